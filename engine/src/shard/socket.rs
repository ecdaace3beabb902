//! [`Socket`]: a connection of the shard's driver, with whole sends.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use super::{OpStream, Shard};
use crate::io::{
    Buf, Chunk, Completion, Errno, Fd, ListenOptions, Mono, Op, Output, Payload, ReadPath,
    SendPath, advance_chunks, chunks_len,
};

/// A connection. Clones are the same connection; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Socket(Rc<Inner>);

struct Inner {
    shard: Shard,
    fd: Fd,
    /// Since when something is being sent.
    sending_since: Cell<Option<Mono>>,
}

/// Bytes of a file that are looked for in memory before they are sent.
const SEND_LOOK_BYTES: usize = 1 << 20;

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.shard.submit(Op::Close { fd: self.fd }).started());
    }
}

impl Socket {
    /// Takes over an accepted connection.
    pub fn adopt(shard: &Shard, fd: Fd) -> Socket {
        let sending_since = Cell::new(None);
        Socket(Rc::new(Inner { shard: shard.clone(), fd, sending_since }))
    }

    /// Since when the piece that is being sent waits for the peer; `None` if nothing is being sent.
    pub fn sending_since(&self) -> Option<Mono> {
        self.0.sending_since.get()
    }

    /// How many bytes the peer has acknowledged since the connection was made.
    pub async fn bytes_acked(&self) -> Result<usize, Errno> {
        match self.0.shard.submit(Op::BytesAcked { socket: self.0.fd }).await.result? {
            Output::Count(count) => Ok(count),
            other => unreachable!("TCP_INFO gave {other:?}"),
        }
    }

    async fn send_op(&self, op: Op) -> Completion {
        self.0.sending_since.set(Some(self.0.shard.now()));
        let completion = self.0.shard.submit(op).await;
        self.0.sending_since.set(None);
        completion
    }

    /// Opens a connection.
    pub async fn connect(shard: &Shard, address: SocketAddr) -> Result<Socket, Errno> {
        match shard.submit(Op::Connect { address }).await.result? {
            Output::Fd(fd) => Ok(Socket::adopt(shard, fd)),
            other => unreachable!("connect gave {other:?}"),
        }
    }

    /// Everything the peer sends, as it comes.
    pub fn receive_stream(&self) -> OpStream {
        self.0.shard.submit_multi(Op::RecvMulti { socket: self.0.fd })
    }

    /// Receives at least one byte and at most `len`, appending to `buf`; none if the peer closed.
    pub async fn receive(&self, mut buf: Buf, len: usize) -> Result<Buf, Errno> {
        loop {
            let op = Op::Recv { socket: self.0.fd, buf, len, all: false };
            let completion = self.0.shard.submit(op).await;
            buf = must_buf(completion.payload);
            match completion.result {
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                result => return result.map(|_| buf),
            }
        }
    }

    /// Receives `len` bytes, appending to `buf`; fewer if the peer closed.
    pub async fn receive_exact(&self, buf: Buf, len: usize) -> Result<Buf, Errno> {
        Ok(self.receive_until(buf, len, None).await?.0)
    }

    /// Receives `len` bytes, appending to `buf`; fewer if the peer closed or `deadline` came first.
    pub async fn receive_until(
        &self,
        mut buf: Buf,
        len: usize,
        deadline: Option<Mono>,
    ) -> Result<(Buf, Received), Errno> {
        let end = buf.len() + len;
        let mut late = false;
        while buf.len() < end {
            if late {
                return Ok((buf, Received::Late));
            }
            let len = end - buf.len();
            let op = Op::Recv { socket: self.0.fd, buf, len, all: true };
            let mut receiving = self.0.shard.submit(op).started();
            let in_time = match deadline {
                Some(deadline) => self.0.shard.timeout_at(deadline, &mut receiving).await.ok(),
                None => Some((&mut receiving).await),
            };
            late = in_time.is_none();
            let completion = match in_time {
                Some(completion) => completion,
                None => {
                    receiving.cancel();
                    receiving.await
                }
            };
            buf = must_buf(completion.payload);
            match completion.result {
                Ok(Output::Count(0)) => return Ok((buf, Received::Closed)),
                Ok(_) | Err(Errno::EINTR | Errno::EAGAIN | Errno::ECANCELED) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok((buf, Received::All))
    }

    /// Sends all of `chunks`; `more` says that more follows at once.
    pub async fn send(&self, mut chunks: Vec<Chunk>, more: bool) -> Result<(), Errno> {
        while chunks_len(&chunks) > 0 {
            let op = Op::Send { socket: self.0.fd, chunks, more };
            let completion = self.send_op(op).await;
            let Payload::Chunks(back) = completion.payload else {
                unreachable!("a send gives its chunks back")
            };
            chunks = back;
            match completion.result {
                Ok(Output::Count(count)) => advance_chunks(&mut chunks, count),
                Ok(other) => unreachable!("send gave {other:?}"),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Sends `len` bytes of `file` at `offset` from the page cache. Returns how many there were:
    /// fewer only if the file ends earlier.
    pub async fn send_file(
        &self,
        file: Fd,
        mut offset: u64,
        len: usize,
        more: bool,
        path: SendPath,
    ) -> Result<usize, Errno> {
        let mut left = len;
        while left > 0 {
            let op = Op::SendFile { socket: self.0.fd, file, offset, len: left, more, path };
            match self.send_op(op).await.result {
                Ok(Output::Count(0)) => break,
                Ok(Output::Count(count)) => {
                    left -= count;
                    offset += count as u64;
                }
                Ok(other) => unreachable!("sendfile gave {other:?}"),
                Err(Errno::EINTR) => {}
                // The peer has taken its time: what was in memory then may have gone.
                Err(Errno::EAGAIN) => self.bring_in(file, offset, left.min(SEND_LOOK_BYTES)).await,
                Err(errno) => return Err(errno),
            }
        }
        Ok(len - left)
    }

    /// Has a range of a file read into memory by the driver, if it is not there: sendfile would
    /// read it on the shard's own time.
    async fn bring_in(&self, file: Fd, offset: u64, len: usize) {
        let cached = Op::CacheStat { file, offset, len: len as u64 };
        let cached = self.0.shard.submit(cached).await.result;
        // A kernel that cannot tell (before 6.5) is not asked to read everything twice.
        if matches!(cached, Ok(Output::Cached { bytes }) if bytes < len as u64) {
            let buf = Buf::with_capacity(len);
            let read = Op::Read { file, buf, len, offset, path: ReadPath::Ring };
            // A failure is for the sendfile to find.
            drop(self.0.shard.submit(read).await);
        }
    }

    /// Ends the connection in both directions; what is pending on it completes.
    pub async fn shutdown(&self) {
        self.0.shard.submit(Op::Shutdown { socket: self.0.fd }).await;
    }
}

/// How a receive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// With everything.
    All,
    /// The peer has closed.
    Closed,
    /// The time was up.
    Late,
}

fn must_buf(payload: Payload) -> Buf {
    match payload {
        Payload::Buf(buf) => buf,
        other => unreachable!("a receive gives its buffer back, not {other:?}"),
    }
}

impl Shard {
    /// A host's addresses, IPv4 first; none if it is not known.
    pub async fn resolve(&self, host: &str) -> Vec<IpAddr> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return vec![address];
        }
        let turn = self.0.lookups.take(1).await;
        let looked_up = self.submit(Op::Resolve { host: host.to_owned() }).await.result;
        drop(turn);
        match looked_up {
            Ok(Output::Addresses(addresses)) => addresses,
            Ok(other) => unreachable!("a lookup gave {other:?}"),
            Err(_) => Vec::new(),
        }
    }

    /// Opens a listening socket; returns it and the port it got.
    pub async fn listen(
        &self,
        address: SocketAddr,
        options: ListenOptions,
    ) -> Result<(Fd, u16), Errno> {
        match self.submit(Op::Listen { address, options }).await.result? {
            Output::Listening { listener, port } => Ok((listener, port)),
            other => unreachable!("listen gave {other:?}"),
        }
    }

    /// The connections that arrive at a listening socket.
    pub fn accept_stream(&self, listener: Fd) -> OpStream {
        self.submit_multi(Op::Accept { listener })
    }
}

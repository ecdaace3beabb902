//! [`Socket`]: a connection of the shard's driver, with whole sends.

use std::net::SocketAddr;
use std::rc::Rc;

use super::{OpStream, Shard};
use crate::io::{
    Buf, Chunk, Errno, Fd, ListenOptions, Op, Output, Payload, SendPath, advance_chunks, chunks_len,
};

/// A connection. Clones are the same connection; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Socket(Rc<Inner>);

struct Inner {
    shard: Shard,
    fd: Fd,
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.shard.submit(Op::Close { fd: self.fd }).started());
    }
}

impl Socket {
    /// Takes over an accepted connection.
    pub fn adopt(shard: &Shard, fd: Fd) -> Socket {
        Socket(Rc::new(Inner { shard: shard.clone(), fd }))
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
    pub async fn receive_exact(&self, mut buf: Buf, len: usize) -> Result<Buf, Errno> {
        let end = buf.len() + len;
        while buf.len() < end {
            let len = end - buf.len();
            let op = Op::Recv { socket: self.0.fd, buf, len, all: true };
            let completion = self.0.shard.submit(op).await;
            buf = must_buf(completion.payload);
            match completion.result {
                Ok(Output::Count(0)) => return Ok(buf),
                Ok(_) | Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(buf)
    }

    /// Sends all of `chunks`; `more` says that more follows at once.
    pub async fn send(&self, mut chunks: Vec<Chunk>, more: bool) -> Result<(), Errno> {
        while chunks_len(&chunks) > 0 {
            let op = Op::Send { socket: self.0.fd, chunks, more };
            let completion = self.0.shard.submit(op).await;
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
            match self.0.shard.submit(op).await.result {
                Ok(Output::Count(0)) => break,
                Ok(Output::Count(count)) => {
                    left -= count;
                    offset += count as u64;
                }
                Ok(other) => unreachable!("sendfile gave {other:?}"),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(len - left)
    }

    /// Ends the connection in both directions; what is pending on it completes.
    pub async fn shutdown(&self) {
        self.0.shard.submit(Op::Shutdown { socket: self.0.fd }).await;
    }
}

fn must_buf(payload: Payload) -> Buf {
    match payload {
        Payload::Buf(buf) => buf,
        other => unreachable!("a receive gives its buffer back, not {other:?}"),
    }
}

impl Shard {
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

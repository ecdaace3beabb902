//! Simulated connections: byte streams that arrive late, in pieces, and break when told to.

use std::collections::{BTreeMap, VecDeque};

use crate::io::Errno;
use crate::stdx::prng::Prng;

/// Bytes in flight in one direction before a sender must wait.
const STREAM_BYTES_MAX: usize = 256 << 10;

/// One end of a connection.
#[derive(Debug)]
struct End {
    peer: i32,
    /// Bytes on their way to this end.
    incoming: VecDeque<u8>,
    /// The peer sends no more.
    finished: bool,
    reset: bool,
}

/// All connections of the world.
#[derive(Debug, Default)]
pub(super) struct SimNet {
    ends: BTreeMap<i32, End>,
    /// Listening sockets by port, with connections not yet accepted.
    listeners: BTreeMap<u16, (i32, VecDeque<i32>)>,
}

impl SimNet {
    /// Opens a listening socket; port 0 picks a free one.
    pub(super) fn listen(&mut self, fd: i32, port: u16) -> Result<u16, Errno> {
        let port = match port {
            0 => (32_768..).find(|p| !self.listeners.contains_key(p)).ok_or(Errno::EADDRINUSE)?,
            taken if self.listeners.contains_key(&taken) => return Err(Errno::EADDRINUSE),
            free => free,
        };
        self.listeners.insert(port, (fd, VecDeque::new()));
        Ok(port)
    }

    /// Connects `client` to `port`; `server` becomes the other end.
    pub(super) fn connect(&mut self, client: i32, server: i32, port: u16) -> Result<(), Errno> {
        let (_, backlog) = self.listeners.get_mut(&port).ok_or(Errno::ECONNREFUSED)?;
        backlog.push_back(server);
        for (fd, peer) in [(client, server), (server, client)] {
            let end = End { peer, incoming: VecDeque::new(), finished: false, reset: false };
            self.ends.insert(fd, end);
        }
        Ok(())
    }

    /// A connection that waits at the listening socket, if there is one.
    pub(super) fn accept(&mut self, listener: i32) -> Option<i32> {
        let (_, backlog) = self.listeners.values_mut().find(|(fd, _)| *fd == listener)?;
        backlog.pop_front()
    }

    /// Bytes that have arrived, a random part of them; `None` while there are none. Empty: the
    /// peer has finished.
    pub(super) fn recv(
        &mut self,
        fd: i32,
        len: usize,
        prng: &mut Prng,
    ) -> Option<Result<Vec<u8>, Errno>> {
        let Some(end) = self.ends.get_mut(&fd) else { return Some(Err(Errno::EBADF)) };
        if end.reset {
            return Some(Err(Errno::ECONNRESET));
        }
        if end.incoming.is_empty() {
            return end.finished.then(|| Ok(Vec::new()));
        }
        let there = end.incoming.len().min(len);
        let count = if prng.chance(1, 3) { prng.between(1, there as u64) as usize } else { there };
        Some(Ok(end.incoming.drain(..count).collect()))
    }

    /// Sends what fits; `None` while nothing does.
    pub(super) fn send(
        &mut self,
        fd: i32,
        bytes: &[u8],
        prng: &mut Prng,
    ) -> Option<Result<usize, Errno>> {
        let Some(end) = self.ends.get(&fd) else { return Some(Err(Errno::EBADF)) };
        if end.reset {
            return Some(Err(Errno::ECONNRESET));
        }
        let peer = end.peer;
        let Some(peer) = self.ends.get_mut(&peer) else { return Some(Err(Errno::EPIPE)) };
        let room = STREAM_BYTES_MAX.saturating_sub(peer.incoming.len()).min(bytes.len());
        if room == 0 {
            return None;
        }
        let count = if prng.chance(1, 3) { prng.between(1, room as u64) as usize } else { room };
        peer.incoming.extend(&bytes[..count]);
        Some(Ok(count))
    }

    /// This end sends no more and receives no more.
    pub(super) fn shutdown(&mut self, fd: i32) {
        let Some(end) = self.ends.get_mut(&fd) else { return };
        end.finished = true;
        end.incoming.clear();
        let peer = end.peer;
        if let Some(peer) = self.ends.get_mut(&peer) {
            peer.finished = true;
        }
    }

    /// Closes a socket of either kind; false if there is none.
    pub(super) fn close(&mut self, fd: i32) -> bool {
        let listening = self.listeners.len();
        self.listeners.retain(|_, (listener, _)| *listener != fd);
        self.shutdown(fd);
        self.ends.remove(&fd).is_some() || self.listeners.len() < listening
    }

    /// Breaks a connection, as a cut cable and its RST do.
    pub(super) fn reset(&mut self, fd: i32) {
        let Some(peer) = self.ends.get(&fd).map(|end| end.peer) else { return };
        for fd in [fd, peer] {
            if let Some(end) = self.ends.get_mut(&fd) {
                end.reset = true;
            }
        }
    }
}

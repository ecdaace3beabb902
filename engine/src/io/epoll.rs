//! The driver for kernels and containers without io_uring: readiness of sockets by epoll, files by
//! a pool of threads.
//!
//! Sockets are registered once, edge-triggered, for both directions. What they are ready for is
//! remembered until a call says EAGAIN. An operation is carried out by `poll`, not at submission,
//! so that a peer which always has bytes at hand does not keep the shard to itself. Operations of
//! one direction of a socket are carried out in the order of their submission.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::group_sync::GroupSync;
use super::helper::Helpers;
use super::{Buf, Completion, Driver, Errno, Fd, Mono, Op, Output, Payload, Token, Unpark, sys};
use crate::stdx::hash::FxHashMap;

/// Threads of a shard for what blocks: operations on files.
const FILE_THREADS_MAX: usize = 16;
/// Events taken at a time.
const EVENTS_MAX: usize = 256;
/// What one receive of a series takes at most.
const RECV_BYTES: usize = 16 << 10;
/// Marks the eventfd among the events; descriptors are positive.
const EVENTFD: u64 = u64::MAX;

/// What the shards of a node share: by what they wake each other, and the threads that make durable
/// what all of them wrote.
#[derive(Clone, Default)]
pub struct EpollPeers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    eventfds: Vec<OnceLock<Arc<OwnedFd>>>,
    group_sync: Arc<GroupSync>,
}

impl EpollPeers {
    /// Room for `shards` drivers.
    pub fn new(shards: usize) -> Self {
        let eventfds = (0..shards).map(|_| OnceLock::new()).collect();
        Self(Arc::new(Shared { eventfds, group_sync: Arc::default() }))
    }
}

/// A shard's driver on epoll.
pub struct EpollDriver {
    epoll: OwnedFd,
    eventfd: Arc<OwnedFd>,
    peers: EpollPeers,
    helpers: Helpers,
    sockets: FxHashMap<i32, Socket>,
    /// Operations on sockets, by token.
    in_flight: Vec<Option<Waiting>>,
    /// Directions of sockets that have something to do and are not known to block.
    runnable: VecDeque<(i32, Direction)>,
    ready: Vec<Completion>,
}

#[derive(Default)]
struct Socket {
    input: Side,
    output: Side,
}

/// One direction of a socket.
struct Side {
    /// The last call did not say EAGAIN, or readiness has been reported since.
    ready: bool,
    queued: bool,
    waiting: VecDeque<Token>,
}

impl Default for Side {
    fn default() -> Self {
        Self { ready: true, queued: false, waiting: VecDeque::new() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Input,
    Output,
}

impl Socket {
    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Input => &mut self.input,
            Direction::Output => &mut self.output,
        }
    }
}

struct Unparker(Arc<OwnedFd>);

impl Unpark for Unparker {
    fn unpark(&self) {
        sys::signal(&self.0);
    }
}

/// An operation that waits for its socket.
enum Waiting {
    Op(Op),
    /// A connection that is being made; the socket is ours until it is.
    Connect(Fd),
    /// A socket that took nothing of a file: whoever sends it looks first whether the file is
    /// still in memory.
    Room(Fd),
}

/// What came of trying an operation.
enum Tried {
    Done(Result<Output, Errno>, Payload),
    /// One of many completions.
    More(Output, Payload, Op),
    Blocked(Waiting),
    /// The socket is of no use.
    NotConnected(Errno),
}

impl EpollDriver {
    /// The driver of shard `shard`.
    pub fn new(shard: usize, peers: EpollPeers) -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let eventfd = Arc::new(sys::eventfd()?);
        epoll::add(&epoll, &*eventfd, EventData::new_u64(EVENTFD), EventFlags::IN)?;
        if let Some(slot) = peers.0.eventfds.get(shard) {
            assert!(slot.set(Arc::clone(&eventfd)).is_ok(), "shard {shard} has two drivers");
        }
        Ok(Self {
            epoll,
            helpers: Helpers::new(
                Arc::clone(&eventfd),
                FILE_THREADS_MAX,
                Arc::clone(&peers.0.group_sync),
            ),
            eventfd,
            peers,
            sockets: FxHashMap::default(),
            in_flight: Vec::new(),
            runnable: VecDeque::new(),
            ready: Vec::new(),
        })
    }

    /// Puts an operation behind those of the same direction of its socket.
    fn enqueue(&mut self, token: Token, waiting: Waiting) -> Option<Completion> {
        let (fd, direction) = waiting.place();
        if !self.sockets.contains_key(&fd.0)
            && let Err(errno) = self.register(fd)
        {
            return Some(waiting.end(token, Err(errno)));
        }
        let at = token as usize;
        if self.in_flight.len() <= at {
            self.in_flight.resize_with(at + 1, || None);
        }
        assert!(self.in_flight[at].is_none(), "token {token} is in flight twice");
        self.in_flight[at] = Some(waiting);
        let side = self.sockets.get_mut(&fd.0).expect("registered").side(direction);
        side.waiting.push_back(token);
        self.run_later(fd.0, direction);
        None
    }

    fn register(&mut self, fd: Fd) -> Result<(), Errno> {
        sys::set_nonblocking(fd)?;
        let both = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, sys::borrow(fd), EventData::new_u64(fd.0 as u64), both)?;
        self.sockets.insert(fd.0, Socket::default());
        Ok(())
    }

    fn run_later(&mut self, fd: i32, direction: Direction) {
        let Some(socket) = self.sockets.get_mut(&fd) else { return };
        let side = socket.side(direction);
        if side.ready && !side.queued && !side.waiting.is_empty() {
            side.queued = true;
            self.runnable.push_back((fd, direction));
        }
    }

    /// Connects without waiting; the connection is there once the socket can be written to.
    fn connect(&mut self, token: Token, address: &SocketAddr) -> Option<Completion> {
        let connecting = sys::client_socket(address).and_then(|socket| {
            let fd = sys::keep(socket);
            let started = sys::set_nonblocking(fd).and_then(|()| sys::connect(fd, address));
            let registered = started.and_then(|()| self.register(fd));
            registered.map(|()| fd).inspect_err(|_| drop(sys::close(fd)))
        });
        match connecting {
            Ok(fd) => {
                let socket = self.sockets.get_mut(&fd.0).expect("just registered");
                socket.output.ready = false;
                self.enqueue(token, Waiting::Connect(fd))
            }
            Err(errno) => {
                let result = Err(errno);
                Some(Completion { token, result, payload: Payload::None, more: false })
            }
        }
    }

    fn run(&mut self, completions: &mut Vec<Completion>) {
        // Each direction gets one turn; what it is still ready for is for the next poll.
        for _ in 0..self.runnable.len() {
            let Some((fd, direction)) = self.runnable.pop_front() else { return };
            let Some(socket) = self.sockets.get_mut(&fd) else { continue };
            let side = socket.side(direction);
            side.queued = false;
            let Some(token) = side.waiting.pop_front() else { continue };
            let waiting = self.in_flight[token as usize].take().expect("it waits");
            match waiting.attempt() {
                Tried::Done(result, payload) => {
                    completions.push(Completion { token, result, payload, more: false });
                }
                Tried::NotConnected(errno) => {
                    let result = Err(errno);
                    let payload = Payload::None;
                    completions.push(Completion { token, result, payload, more: false });
                    self.sockets.remove(&fd);
                    drop(sys::close(Fd(fd)));
                }
                Tried::More(output, payload, op) => {
                    completions.push(Completion { token, result: Ok(output), payload, more: true });
                    self.in_flight[token as usize] = Some(Waiting::Op(op));
                    side.waiting.push_front(token);
                }
                Tried::Blocked(waiting) => {
                    side.ready = false;
                    self.in_flight[token as usize] = Some(waiting);
                    side.waiting.push_front(token);
                }
            }
            self.run_later(fd, direction);
        }
    }

    fn note_events(&mut self, timeout_ms: i32) {
        let mut events = [const { libc::epoll_event { events: 0, u64: 0 } }; EVENTS_MAX];
        let count = sys::epoll_wait(&self.epoll, &mut events, timeout_ms);
        let ends = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
        for event in &events[..count] {
            let (flags, data) = (event.events, event.u64);
            if data == EVENTFD {
                sys::drain(&self.eventfd);
                continue;
            }
            let fd = data as i32;
            let input = (libc::EPOLLIN | libc::EPOLLRDHUP) as u32 | ends;
            let output = libc::EPOLLOUT as u32 | ends;
            for (direction, mask) in [(Direction::Input, input), (Direction::Output, output)] {
                if flags & mask != 0
                    && let Some(socket) = self.sockets.get_mut(&fd)
                {
                    socket.side(direction).ready = true;
                    self.run_later(fd, direction);
                }
            }
        }
    }

    fn close(&mut self, fd: Fd) {
        let Some(socket) = self.sockets.remove(&fd.0) else { return };
        for token in socket.input.waiting.into_iter().chain(socket.output.waiting) {
            let waiting = self.in_flight[token as usize].take().expect("it waits");
            self.ready.push(waiting.end(token, Err(Errno::ECANCELED)));
        }
    }
}

impl Waiting {
    /// The socket it waits for, and the direction.
    fn place(&self) -> (Fd, Direction) {
        match self {
            Waiting::Connect(socket) | Waiting::Room(socket) => (*socket, Direction::Output),
            Waiting::Op(Op::Accept { listener }) => (*listener, Direction::Input),
            Waiting::Op(Op::Recv { socket, .. } | Op::RecvMulti { socket }) => {
                (*socket, Direction::Input)
            }
            Waiting::Op(Op::Send { socket, .. } | Op::SendFile { socket, .. }) => {
                (*socket, Direction::Output)
            }
            Waiting::Op(op) => unreachable!("not an operation on a socket: {op:?}"),
        }
    }

    /// Its completion without having been carried out.
    fn end(self, token: Token, result: Result<Output, Errno>) -> Completion {
        let payload = match self {
            Waiting::Op(Op::Recv { buf, .. }) => Payload::Buf(buf),
            Waiting::Op(Op::Send { chunks, .. }) => Payload::Chunks(chunks),
            _ => Payload::None,
        };
        Completion { token, result, payload, more: false }
    }

    fn attempt(self) -> Tried {
        match self {
            Waiting::Op(op) => attempt(op),
            Waiting::Room(_) => Tried::Done(Err(Errno::EAGAIN), Payload::None),
            Waiting::Connect(socket) => match sys::connection_error(socket) {
                Ok(()) => Tried::Done(Ok(Output::Fd(socket)), Payload::None),
                Err(errno) => Tried::NotConnected(errno),
            },
        }
    }
}

/// Carries out what can be carried out at once.
fn attempt(op: Op) -> Tried {
    match op {
        Op::Accept { listener } => match sys::accept_nowait(listener) {
            Ok(accepted) => Tried::More(accepted, Payload::None, op),
            // Whoever it was has gone.
            Err(Errno::EAGAIN | Errno(libc::ECONNABORTED)) => Tried::Blocked(Waiting::Op(op)),
            Err(errno) => Tried::Done(Err(errno), Payload::None),
        },
        Op::RecvMulti { socket } => {
            let mut buf = Buf::with_capacity(RECV_BYTES);
            match sys::recv_nowait(socket, &mut buf, RECV_BYTES) {
                Ok(0) => Tried::Done(Ok(Output::Count(0)), Payload::Buf(buf)),
                Ok(count) => Tried::More(Output::Count(count), Payload::Buf(buf), op),
                Err(Errno::EAGAIN) => Tried::Blocked(Waiting::Op(op)),
                Err(errno) => Tried::Done(Err(errno), Payload::None),
            }
        }
        Op::Recv { socket, mut buf, len, all } => match sys::recv_nowait(socket, &mut buf, len) {
            Err(Errno::EAGAIN) => Tried::Blocked(Waiting::Op(Op::Recv { socket, buf, len, all })),
            result => Tried::Done(result.map(Output::Count), Payload::Buf(buf)),
        },
        Op::Send { socket, chunks, more } => match sys::send_nowait(socket, &chunks, more) {
            Err(Errno::EAGAIN) => Tried::Blocked(Waiting::Op(Op::Send { socket, chunks, more })),
            result => Tried::Done(result.map(Output::Count), Payload::Chunks(chunks)),
        },
        Op::SendFile { socket, file, offset, len, path, .. } => {
            match sys::sendfile(socket, file, offset, len, path) {
                Err(Errno::EAGAIN) => Tried::Blocked(Waiting::Room(socket)),
                result => Tried::Done(result, Payload::None),
            }
        }
        op => unreachable!("not an operation on a socket: {op:?}"),
    }
}

impl Driver for EpollDriver {
    fn submit(&mut self, token: Token, op: Op) -> Option<Completion> {
        match op {
            op if op.is_immediate() => {
                let (result, payload) = sys::execute(op);
                Some(Completion { token, result, payload, more: false })
            }
            Op::Close { fd } if self.sockets.contains_key(&fd.0) => {
                self.close(fd);
                let result = Ok(sys::close(fd));
                Some(Completion { token, result, payload: Payload::None, more: false })
            }
            Op::Connect { address } => self.connect(token, &address),
            Op::Accept { .. }
            | Op::Recv { .. }
            | Op::RecvMulti { .. }
            | Op::Send { .. }
            | Op::SendFile { .. } => self.enqueue(token, Waiting::Op(op)),
            // Also the close of a file: the last one of a file that was removed frees its blocks.
            op => {
                self.helpers.submit(token, op);
                None
            }
        }
    }

    fn cancel(&mut self, token: Token) {
        // What the helpers have cannot be ended early.
        let Some(waiting) = self.in_flight.get_mut(token as usize).and_then(Option::take) else {
            return;
        };
        let (fd, direction) = waiting.place();
        let socket = self.sockets.get_mut(&fd.0).expect("an operation in flight has its socket");
        socket.side(direction).waiting.retain(|waiting| *waiting != token);
        if let Waiting::Connect(socket) = waiting {
            self.sockets.remove(&socket.0);
            drop(sys::close(socket));
        }
        self.ready.push(waiting.end(token, Err(Errno::ECANCELED)));
    }

    fn poll(&mut self, deadline: Option<Mono>, completions: &mut Vec<Completion>) {
        completions.append(&mut self.ready);
        let idle = completions.is_empty() && self.runnable.is_empty();
        let timeout_ms = match deadline {
            _ if !idle => 0,
            None => -1,
            // Rather late than early: a timer that is early would be waited for again.
            Some(at) => {
                let left_ms = at.0.saturating_sub(sys::monotonic().0).div_ceil(1_000_000);
                i32::try_from(left_ms).unwrap_or(i32::MAX)
            }
        };
        self.note_events(timeout_ms);
        self.run(completions);
        self.helpers.reap(completions);
        completions.append(&mut self.ready);
    }

    fn now(&self) -> Mono {
        sys::monotonic()
    }

    fn unix_ms(&self) -> i64 {
        sys::unix_ms()
    }

    fn random(&mut self) -> u64 {
        sys::random_u64()
    }

    fn wake(&mut self, shard: usize) {
        if let Some(eventfd) = self.peers.0.eventfds.get(shard).and_then(OnceLock::get) {
            sys::signal(eventfd);
        }
    }

    fn unparker(&self) -> Arc<dyn Unpark> {
        Arc::new(Unparker(Arc::clone(&self.eventfd)))
    }

    fn describe(&self) -> String {
        format!("epoll, up to {FILE_THREADS_MAX} threads for files")
    }
}

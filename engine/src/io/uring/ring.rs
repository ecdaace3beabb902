//! [`UringDriver`]: operations to ring entries, ring completions to [`Completion`]s.
//!
//! Every operation in flight owns, in its slot, all memory the kernel may touch: buffers, the
//! vector of their addresses, a socket address. A slot is freed by its last completion only.
//! Dropping the driver ends every operation, then closes the ring, then frees the memory.

use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use io_uring::types::{self, CancelBuilder, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::buffers::{BUFFER_GROUP, ProvidedBuffers};
use super::options::{Probe, UringOptions, probe};
use crate::io::group_sync::GroupSync;
use crate::io::helper::{HELPER_THREADS_MAX, Helpers};
use crate::io::{Completion, Driver, Errno, Fd, Mono, Op, Output, Payload, Token, Unpark, sys};

const USER_WAKE: u64 = 1 << 63;
const USER_EVENTFD: u64 = 1 << 62;
const USER_IGNORED: u64 = 1 << 61;
const NO_SLOT: u32 = u32::MAX;
/// Chunks of one vectored operation; the kernel's IOV_MAX.
const IOV_MAX: usize = 1024;
/// What a kernel with DEFER_TASKRUN does in one call of what it has put off (its
/// IO_LOCAL_TW_DEFAULT_MAX). Where thousands of sockets are ready, whoever came last would wait for
/// hundreds of turns of the shard, so it is called again while it has more, so often at most.
const DEFERRED_PER_CALL: usize = 20;
const DEFERRED_ROUNDS_MAX: u32 = 64;
/// How often a dropped driver waits 10 ms for its operations to end.
const DROP_ROUNDS_MAX: usize = 100;

/// What the shards of a node share: their rings, by which they wake each other, and the threads
/// that make durable what all of them wrote.
#[derive(Clone, Default)]
pub struct Peers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    rings: Vec<OnceLock<Peer>>,
    group_sync: Arc<GroupSync>,
}

struct Peer {
    ring: i32,
    eventfd: Arc<OwnedFd>,
}

impl Peers {
    /// Room for `shards` rings.
    pub fn new(shards: usize) -> Self {
        let rings = (0..shards).map(|_| OnceLock::new()).collect();
        Self(Arc::new(Shared { rings, group_sync: Arc::default() }))
    }
}

/// A shard's driver on io_uring.
pub struct UringDriver {
    // Dropped by hand, first: the kernel must be done with the memory below.
    ring: ManuallyDrop<IoUring>,
    in_flight: Vec<Option<InFlight>>,
    provided: Option<ProvidedBuffers>,
    helpers: Helpers,
    eventfd: Arc<OwnedFd>,
    eventfd_value: Box<u64>,
    peers: Peers,
    probe: Probe,
    /// Slot of each descriptor in the ring's file table, by number; NO_SLOT is none.
    file_slots: Vec<u32>,
    free_slots: Vec<u32>,
    ready: Vec<Completion>,
}

/// An operation and the memory the kernel uses for it.
struct InFlight {
    op: Op,
    iov: Vec<libc::iovec>,
    message: Option<Box<libc::msghdr>>,
    address: Option<Box<(libc::sockaddr_storage, libc::socklen_t)>>,
    connecting: Option<OwnedFd>,
    cancelled: bool,
}

struct Unparker(Arc<OwnedFd>);

impl Unpark for Unparker {
    fn unpark(&self) {
        sys::signal(&self.0);
    }
}

/// Builds an entry for either kind of target; the opcodes are generic over it.
macro_rules! on_target {
    ($target:expr, |$t:ident| $entry:expr) => {
        match $target {
            Target::Plain($t) => $entry,
            Target::Fixed($t) => $entry,
        }
    };
}
fn errno(e: &std::io::Error) -> Errno {
    Errno(e.raw_os_error().unwrap_or(libc::EIO))
}

impl UringDriver {
    /// Sets up the ring of shard `shard`, on the thread that will drive it.
    pub fn new(shard: usize, peers: Peers, options: &UringOptions) -> Result<Self, Errno> {
        let probe = probe()?;
        options.check().map_err(|_| Errno::EINVAL)?;
        let ring = build_ring(options, &probe)?;
        let eventfd = Arc::new(sys::eventfd()?);
        let peer = Peer { ring: ring.as_raw_fd(), eventfd: Arc::clone(&eventfd) };
        if let Some(slot) = peers.0.rings.get(shard) {
            assert!(slot.set(peer).is_ok(), "shard {shard} has two drivers");
        }
        // The kernel takes no larger table than this process may have files.
        let most = u32::try_from(sys::open_files_max()).unwrap_or(u32::MAX);
        let slots = if probe.registered_files { options.registered_files.min(most) } else { 0 };
        if slots > 0 {
            ring.submitter().register_files_sparse(slots).map_err(|e| errno(&e))?;
        }
        let provided = if probe.recv_multishot {
            let (count, size) = (options.provided_buffers, options.provided_buffer_bytes);
            Some(ProvidedBuffers::register(&ring.submitter(), count, size)?)
        } else {
            None
        };
        let mut driver = Self {
            ring: ManuallyDrop::new(ring),
            in_flight: Vec::new(),
            provided,
            helpers: Helpers::new(
                Arc::clone(&eventfd),
                HELPER_THREADS_MAX,
                Arc::clone(&peers.0.group_sync),
            ),
            eventfd,
            eventfd_value: Box::new(0),
            peers,
            probe,
            file_slots: Vec::new(),
            free_slots: (0..slots).rev().collect(),
            ready: Vec::new(),
        };
        driver.watch_eventfd();
        Ok(driver)
    }

    fn watch_eventfd(&mut self) {
        let value: *mut u64 = &raw mut *self.eventfd_value;
        let entry = opcode::Read::new(types::Fd(sys::raw(&self.eventfd)), value.cast(), 8);
        self.push(entry.build().user_data(USER_EVENTFD));
    }

    fn push(&mut self, entry: squeue::Entry) {
        loop {
            // SAFETY: what the entry points to is owned by its slot in `in_flight` (or by the
            // driver itself, for the eventfd) until its completion.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return;
            }
            // The queue is full: hand it over and go on. EBUSY and EAGAIN mean that completions
            // must be reaped first, which poll does; entering again makes the room.
            match self.ring.submit() {
                Ok(_) => {}
                Err(e)
                    if matches!(
                        e.raw_os_error(),
                        Some(libc::EBUSY | libc::EAGAIN | libc::EINTR)
                    ) =>
                {
                    let mut reaped = Vec::new();
                    self.reap(&mut reaped);
                    self.ready.append(&mut reaped);
                }
                Err(e) => panic!("io_uring_enter: {e}"),
            }
        }
    }

    /// The entry's target: a slot of the file table where the descriptor has one.
    fn target(&mut self, fd: Fd) -> Target {
        let at = fd.0 as usize;
        if self.file_slots.len() <= at {
            self.file_slots.resize(at + 1, NO_SLOT);
        }
        if self.file_slots[at] == NO_SLOT
            && let Some(slot) = self.free_slots.pop()
        {
            match self.ring.submitter().register_files_update(slot, &[fd.0]) {
                Ok(_) => self.file_slots[at] = slot,
                Err(_) => self.free_slots.push(slot),
            }
        }
        match self.file_slots[at] {
            NO_SLOT => Target::Plain(types::Fd(fd.0)),
            slot => Target::Fixed(types::Fixed(slot)),
        }
    }

    /// Takes a descriptor out of the file table, where it would be kept open.
    fn forget(&mut self, fd: Fd) {
        let Some(slot) = self.file_slots.get_mut(fd.0 as usize) else { return };
        let slot = std::mem::replace(slot, NO_SLOT);
        if slot != NO_SLOT {
            let cleared = self.ring.submitter().register_files_update(slot, &[-1]);
            assert!(cleared.is_ok(), "clearing a slot of the file table: {cleared:?}");
            self.free_slots.push(slot);
        }
    }

    fn start(&mut self, token: Token, mut flight: InFlight) -> Option<Completion> {
        let entry = self.entry(&mut flight);
        let entry = match entry {
            Ok(entry) => entry.user_data(u64::from(token)),
            Err(errno) => return Some(flight.complete(token, Err(errno), false)),
        };
        let at = token as usize;
        if self.in_flight.len() <= at {
            self.in_flight.resize_with(at + 1, || None);
        }
        assert!(self.in_flight[at].is_none(), "token {token} is in flight twice");
        self.in_flight[at] = Some(flight);
        self.push(entry);
        None
    }

    fn entry(&mut self, flight: &mut InFlight) -> Result<squeue::Entry, Errno> {
        let InFlight { op, iov, message, address, connecting, .. } = flight;
        Ok(match op {
            Op::Read { file, buf, len, offset, .. } => {
                assert!(*len <= buf.spare_len(), "a read of {len} into {}", buf.spare_len());
                let (pointer, len, offset) = (buf.spare_ptr(), *len as u32, *offset);
                on_target!(self.target(*file), |t| opcode::Read::new(t, pointer, len)
                    .offset(offset)
                    .build())
            }
            Op::Write { file, chunks, offset, .. } => {
                fill_iov(iov, chunks);
                let (pointer, count, offset) = (iov.as_ptr(), iov.len() as u32, *offset);
                on_target!(self.target(*file), |t| opcode::Writev::new(t, pointer, count)
                    .offset(offset)
                    .build())
            }
            Op::Fdatasync { file } => on_target!(self.target(*file), |t| opcode::Fsync::new(t)
                .flags(FsyncFlags::DATASYNC)
                .build()),
            Op::Allocate { file, offset, len, keep_size } => {
                let mode = if *keep_size { libc::FALLOC_FL_KEEP_SIZE } else { 0 };
                fallocate_entry(self.target(*file), *offset, *len, mode)
            }
            Op::WriteZeroes { file, offset, len } => {
                let mode = sys::FALLOC_FL_WRITE_ZEROES;
                fallocate_entry(self.target(*file), *offset, *len, mode)
            }
            Op::DropCache { file, .. } | Op::ReadAhead { file, .. } => {
                advise_entry(self.target(*file), op)
            }
            Op::Close { fd } => {
                self.forget(*fd);
                opcode::Close::new(types::Fd(fd.0)).build()
            }
            Op::Accept { listener } => opcode::AcceptMulti::new(types::Fd(listener.0)).build(),
            Op::Connect { address: to } => {
                let socket = sys::client_socket(to)?;
                let fd = socket.as_raw_fd();
                *connecting = Some(socket);
                let storage = address.insert(Box::new(raw_address(to)));
                let pointer = (&raw const storage.0).cast::<libc::sockaddr>();
                opcode::Connect::new(types::Fd(fd), pointer, storage.1).build()
            }
            Op::Recv { socket, buf, len, all } => {
                assert!(*len <= buf.spare_len(), "a receive of {len} into {}", buf.spare_len());
                let flags = if *all { libc::MSG_WAITALL } else { 0 };
                let (pointer, len) = (buf.spare_ptr(), *len as u32);
                on_target!(self.target(*socket), |t| opcode::Recv::new(t, pointer, len)
                    .flags(flags)
                    .build())
            }
            Op::RecvMulti { socket } => match &self.provided {
                Some(_) => {
                    on_target!(self.target(*socket), |t| opcode::RecvMulti::new(t, BUFFER_GROUP)
                        .build())
                }
                None => poll_for(*socket, libc::POLLIN),
            },
            Op::Send { socket, chunks, more } => {
                fill_iov(iov, chunks);
                let more = if *more { libc::MSG_MORE } else { 0 };
                let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL | more;
                let target = self.target(*socket);
                send_entry(target, iov, message, flags)
            }
            Op::SendFile { socket, .. } => poll_for(*socket, libc::POLLOUT),
            op => unreachable!("not an operation of the ring: {op:?}"),
        })
    }

    /// How many entries there were.
    fn reap(&mut self, completions: &mut Vec<Completion>) -> usize {
        let mut count = 0;
        // Each step borrows the queue anew: finishing an operation may push another.
        while let Some(entry) = { self.ring.completion().next() } {
            self.finish(&entry, completions);
            count += 1;
        }
        count
    }

    /// Submits what is queued and has the kernel do what it has deferred; waits for nothing.
    fn enter(&mut self) -> std::io::Result<usize> {
        const GETEVENTS: u32 = 1;
        let queued = self.ring.submission().len() as u32;
        // SAFETY: no argument; GETEVENTS only runs pending task work and flushes completions.
        unsafe { self.ring.submitter().enter::<()>(queued, 0, GETEVENTS, None) }
    }

    fn finish(&mut self, entry: &cqueue::Entry, completions: &mut Vec<Completion>) {
        let data = entry.user_data();
        if data & USER_EVENTFD != 0 {
            if entry.result() >= 0 {
                self.watch_eventfd();
            }
            return;
        }
        if data & (USER_WAKE | USER_IGNORED) != 0 {
            return;
        }
        let token = data as Token;
        let slot = self.in_flight.get_mut(token as usize).and_then(Option::take);
        let mut flight = slot.expect("a completion belongs to an operation in flight");
        let result = entry.result();
        let result = if result < 0 { Err(Errno(-result)) } else { Ok(result as usize) };
        let more = cqueue::more(entry.flags());
        match &mut flight.op {
            Op::Accept { .. } => self.finish_accept(token, flight, result, more, completions),
            Op::RecvMulti { .. } => {
                self.finish_recv_multi(token, flight, entry, result, completions)
            }
            Op::SendFile { .. } => {
                let result = result.and(Err(Errno::EAGAIN));
                completions.push(flight.complete(token, result, false));
            }
            Op::Connect { .. } => {
                let socket = flight.connecting.take().expect("a connect has its socket");
                let result = result.map(|_| Output::Fd(sys::keep(socket)));
                completions.push(flight.complete(token, result, false));
            }
            Op::Read { buf, .. } | Op::Recv { buf, .. } => {
                let count = *result.as_ref().unwrap_or(&0);
                buf.set_len(buf.len() + count);
                completions.push(flight.complete(token, result.map(Output::Count), false));
            }
            Op::Write { .. } | Op::Send { .. } => {
                completions.push(flight.complete(token, result.map(Output::Count), false));
            }
            _ => completions.push(flight.complete(token, result.map(|_| Output::Unit), false)),
        }
    }

    fn finish_accept(
        &mut self,
        token: Token,
        flight: InFlight,
        result: Result<usize, Errno>,
        more: bool,
        completions: &mut Vec<Completion>,
    ) {
        let result = result.and_then(|fd| sys::adopt_connection(fd as i32));
        // A series that the kernel ended with an error (out of descriptors, say) is left ended:
        // taking it up at once would spin.
        let ended = !more && (flight.cancelled || result.is_err());
        completions.push(Completion { token, result, payload: Payload::None, more: !ended });
        if more {
            self.in_flight[token as usize] = Some(flight);
        } else if !ended {
            let restarted = self.start(token, flight);
            assert!(restarted.is_none(), "accept never completes at once");
        }
    }

    fn finish_recv_multi(
        &mut self,
        token: Token,
        flight: InFlight,
        entry: &cqueue::Entry,
        result: Result<usize, Errno>,
        completions: &mut Vec<Completion>,
    ) {
        let mut more = cqueue::more(entry.flags());
        let mut emit = |result, payload, more| {
            completions.push(Completion { token, result, payload, more });
        };
        let restart = match (result, cqueue::buffer_select(entry.flags()), &mut self.provided) {
            (Ok(len), Some(id), Some(provided)) => {
                let buf = provided.take(id, len);
                let ended = len == 0;
                more &= !ended;
                let restart = !more && !ended && !flight.cancelled;
                emit(Ok(Output::Count(len)), Payload::Buf(buf), more || restart);
                restart
            }
            // Every lent buffer was full. They are back by now.
            (Err(Errno::ENOBUFS), ..) if !flight.cancelled => true,
            // Out of buffers just when it was to end: nothing is wrong with the connection.
            (Err(Errno::ENOBUFS), ..) => {
                emit(Err(Errno::ECANCELED), Payload::None, false);
                false
            }
            // Readiness came from a poll: this kernel has no multishot receive.
            (Ok(_), None, None) => match recv_now(&flight.op) {
                Some((result, payload)) => {
                    let ended = !matches!(result, Ok(Output::Count(1..))) || flight.cancelled;
                    emit(result, payload, !ended);
                    !ended
                }
                None => true,
            },
            (Ok(_), None, _) => {
                emit(Ok(Output::Count(0)), Payload::None, false);
                false
            }
            (Ok(_), Some(_), None) => unreachable!("a provided buffer without provided buffers"),
            (Err(errno), ..) => {
                emit(Err(errno), Payload::None, false);
                false
            }
        };
        if restart {
            let restarted = self.start(token, flight);
            assert!(restarted.is_none(), "a multishot receive never completes at once");
        } else if more {
            self.in_flight[token as usize] = Some(flight);
        }
    }

    /// Sends what the socket takes at once; if it takes nothing, completes with EAGAIN when it has
    /// room again.
    fn send_file(&mut self, token: Token, flight: InFlight) -> Option<Completion> {
        let Op::SendFile { socket, file, offset, len, path, .. } = flight.op else {
            unreachable!("called for SendFile only")
        };
        match sys::sendfile_nowait(socket, file, offset, len, path) {
            Err(Errno::EAGAIN) => self.start(token, flight),
            result => Some(flight.complete(token, result, false)),
        }
    }
}

fn build_ring(options: &UringOptions, probe: &Probe) -> Result<IoUring, Errno> {
    let mut builder = IoUring::builder();
    builder.setup_clamp().setup_submit_all().setup_cqsize(options.entries.saturating_mul(4));
    let task_flags = !options.sqpoll;
    let single = options.single_issuer.unwrap_or(probe.single_issuer);
    let defer = options.defer_taskrun.unwrap_or(probe.defer_taskrun && task_flags && single);
    if single {
        builder.setup_single_issuer();
    }
    if defer {
        builder.setup_defer_taskrun();
    } else if options.coop_taskrun.unwrap_or(probe.coop_taskrun && task_flags) {
        builder.setup_coop_taskrun();
    }
    if options.sqpoll {
        builder.setup_sqpoll(options.sqpoll_idle_ms);
        if let Some(cpu) = options.sqpoll_cpu {
            builder.setup_sqpoll_cpu(cpu);
        }
    }
    builder.build(options.entries).map_err(|e| errno(&e))
}

fn fallocate_entry(target: Target, offset: u64, len: u64, mode: i32) -> squeue::Entry {
    on_target!(target, |t| opcode::Fallocate::new(t, len).offset(offset).mode(mode).build())
}

fn advise_entry(target: Target, op: &Op) -> squeue::Entry {
    let (offset, len, advice) = match op {
        Op::DropCache { offset, len, .. } => (*offset, *len, libc::POSIX_FADV_DONTNEED),
        Op::ReadAhead { offset, len, .. } => (*offset, *len, libc::POSIX_FADV_WILLNEED),
        op => unreachable!("no advice: {op:?}"),
    };
    let len = len as libc::off_t;
    on_target!(target, |t| opcode::Fadvise::new(t, len, advice).offset(offset).build())
}

impl InFlight {
    fn new(op: Op) -> Self {
        let (iov, message, address, connecting) = (Vec::new(), None, None, None);
        Self { op, iov, message, address, connecting, cancelled: false }
    }

    fn complete(self, token: Token, result: Result<Output, Errno>, more: bool) -> Completion {
        let payload = match self.op {
            Op::Read { buf, .. } | Op::Recv { buf, .. } => Payload::Buf(buf),
            Op::Write { chunks, .. } | Op::Send { chunks, .. } => Payload::Chunks(chunks),
            _ => Payload::None,
        };
        Completion { token, result, payload, more }
    }
}

impl Driver for UringDriver {
    fn submit(&mut self, token: Token, op: Op) -> Option<Completion> {
        match op {
            op if op.is_immediate() => {
                let (result, payload) = sys::execute(op);
                Some(Completion { token, result, payload, more: false })
            }
            Op::SendFile { .. } => self.send_file(token, InFlight::new(op)),
            Op::Read { .. }
            | Op::Write { .. }
            | Op::Fdatasync { .. }
            | Op::Allocate { .. }
            | Op::WriteZeroes { .. }
            | Op::DropCache { .. }
            | Op::ReadAhead { .. }
            | Op::Close { .. }
            | Op::Accept { .. }
            | Op::Connect { .. }
            | Op::Recv { .. }
            | Op::RecvMulti { .. }
            | Op::Send { .. } => self.start(token, InFlight::new(op)),
            op => {
                if let Op::CloseFile { fd } = op {
                    self.forget(fd);
                }
                self.helpers.submit(token, op);
                None
            }
        }
    }

    fn cancel(&mut self, token: Token) {
        let Some(Some(flight)) = self.in_flight.get_mut(token as usize) else { return };
        flight.cancelled = true;
        let target = CancelBuilder::user_data(u64::from(token));
        self.push(opcode::AsyncCancel2::new(target).build().user_data(USER_IGNORED));
    }

    fn poll(&mut self, deadline: Option<Mono>, completions: &mut Vec<Completion>) {
        completions.append(&mut self.ready);
        let nothing_yet = completions.is_empty();
        let timeout = deadline.map(|at| at.0.saturating_sub(sys::monotonic().0));
        let wait = nothing_yet && timeout != Some(0);
        let spec = Timespec::from(std::time::Duration::from_nanos(timeout.unwrap_or(0)));
        let mut args = SubmitArgs::new();
        if wait && timeout.is_some() {
            args = args.timespec(&spec);
        }
        let mut entered = match wait {
            true => self.ring.submitter().submit_with_args(1, &args),
            false => self.enter(),
        };
        for round in 0.. {
            if let Err(e) = entered {
                match e.raw_os_error() {
                    Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => {}
                    _ => panic!("io_uring_enter: {e}"),
                }
            }
            let all = self.reap(completions) < DEFERRED_PER_CALL;
            // One connection sends much: it is to be told to pause before more is received.
            let one = completions.last_chunk().is_some_and(|[a, b]| a.token == b.token);
            if all || one || round == DEFERRED_ROUNDS_MAX {
                break;
            }
            entered = self.enter();
        }
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
        let Some(peer) = self.peers.0.rings.get(shard).and_then(OnceLock::get) else { return };
        if self.probe.msg_ring {
            let entry = opcode::MsgRingData::new(types::Fd(peer.ring), 0, USER_WAKE, None);
            self.push(entry.build().user_data(USER_IGNORED).flags(squeue::Flags::SKIP_SUCCESS));
        } else {
            sys::signal(&peer.eventfd);
        }
    }

    fn unparker(&self) -> Arc<dyn Unpark> {
        Arc::new(Unparker(Arc::clone(&self.eventfd)))
    }

    fn describe(&self) -> String {
        let missing = self.probe.missing();
        let sq = self.ring.params().sq_entries();
        if missing.is_empty() {
            format!("io_uring, {sq} entries")
        } else {
            format!("io_uring, {sq} entries, without {}", missing.join(", "))
        }
    }
}

impl Drop for UringDriver {
    fn drop(&mut self) {
        // Closing a ring does not wait for what is in flight, so end that first.
        let cancelled = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
        for flight in self.in_flight.iter_mut().flatten() {
            flight.cancelled = true;
        }
        for _ in 0..DROP_ROUNDS_MAX {
            if self.in_flight.iter().all(Option::is_none) {
                break;
            }
            let spec = Timespec::new().nsec(10_000_000);
            let _ = self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&spec));
            self.reap(&mut Vec::new());
        }
        if cancelled.is_err() || self.in_flight.iter().any(Option::is_some) {
            // A device that never answers, or a kernel that cannot cancel: memory that the kernel
            // may still write to must never be used again.
            std::mem::forget(std::mem::take(&mut self.in_flight));
            std::mem::forget(self.provided.take());
            Box::leak(std::mem::replace(&mut self.eventfd_value, Box::new(0)));
        }
        // SAFETY: dropped once, here.
        unsafe { ManuallyDrop::drop(&mut self.ring) };
    }
}

enum Target {
    Plain(types::Fd),
    Fixed(types::Fixed),
}

fn poll_for(socket: Fd, events: i16) -> squeue::Entry {
    opcode::PollAdd::new(types::Fd(socket.0), events as u16 as u32).build()
}

fn recv_now(op: &Op) -> Option<(Result<Output, Errno>, Payload)> {
    let Op::RecvMulti { socket } = op else { unreachable!("called for RecvMulti only") };
    const BYTES: usize = 16 << 10;
    let mut buf = crate::io::Buf::with_capacity(BYTES);
    let received = sys::recv_nowait(*socket, &mut buf, BYTES);
    match received {
        Err(Errno::EAGAIN) => None,
        result => Some((result.map(Output::Count), Payload::Buf(buf))),
    }
}

fn fill_iov(iov: &mut Vec<libc::iovec>, chunks: &[crate::io::Chunk]) {
    iov.extend(chunks.iter().take(IOV_MAX).map(|chunk| {
        let bytes = chunk.as_slice();
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
    }));
}

fn send_entry(
    target: Target,
    iov: &mut Vec<libc::iovec>,
    message: &mut Option<Box<libc::msghdr>>,
    flags: i32,
) -> squeue::Entry {
    if let [one] = iov.as_slice() {
        let (pointer, len) = (one.iov_base.cast::<u8>().cast_const(), one.iov_len as u32);
        return on_target!(target, |t| opcode::Send::new(t, pointer, len).flags(flags).build());
    }
    // SAFETY: an all-zero msghdr is a valid empty one.
    let header = message.insert(Box::new(unsafe { std::mem::zeroed() }));
    header.msg_iov = iov.as_mut_ptr();
    header.msg_iovlen = iov.len() as _;
    let pointer: *const libc::msghdr = &raw const **header;
    on_target!(target, |t| opcode::SendMsg::new(t, pointer).flags(flags as u32).build())
}

fn raw_address(address: &std::net::SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: an all-zero sockaddr_storage is valid.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let length = match address {
        std::net::SocketAddr::V4(v4) => {
            let to = libc::sockaddr_in {
                sin_family: libc::AF_INET as _,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is large and aligned enough for every address family.
            unsafe { std::ptr::write((&raw mut storage).cast(), to) };
            size_of::<libc::sockaddr_in>()
        }
        std::net::SocketAddr::V6(v6) => {
            let to = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as _,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { std::ptr::write((&raw mut storage).cast(), to) };
            size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, length as libc::socklen_t)
}

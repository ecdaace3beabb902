//! A ring of our own, with every flag that a case may ask for.

use std::os::fd::AsRawFd;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use io_uring::types::{Fd, Fixed, FsyncFlags};
use io_uring::{IoUring, opcode, squeue};
use ringlog_engine::io::Buf;

use super::super::case::{Case, IoPath, RingSetup};
use super::super::files::{Prepared, block};
use super::{Budget, Tally};

/// Entries of the submission queue; a flushed block takes two of them.
const ENTRIES: u32 = 512;
/// How long the polling kernel thread spins without work.
const SQPOLL_IDLE_MS: u32 = 1_000;
/// Marks the entry of a flush.
const FLUSH: u64 = 1 << 63;

fn ring(setup: RingSetup) -> Result<IoUring> {
    let mut builder = IoUring::builder();
    match setup {
        RingSetup::Defer | RingSetup::FixedBuffers => {
            builder.setup_single_issuer().setup_defer_taskrun();
        }
        RingSetup::Coop => {
            builder.setup_single_issuer().setup_coop_taskrun();
        }
        RingSetup::Plain => {}
        RingSetup::Sqpoll => {
            builder.setup_single_issuer().setup_sqpoll(SQPOLL_IDLE_MS);
        }
        RingSetup::Iopoll => {
            builder.setup_single_issuer().setup_defer_taskrun().setup_iopoll();
        }
    }
    builder.build(ENTRIES).context("io_uring_setup")
}

/// Blocks under way: buffer number `i` belongs to the block of slot `i`.
struct Slots {
    bufs: Vec<Buf>,
    began: Vec<Instant>,
    free: Vec<usize>,
}

pub fn run(case: &Case, prepared: &Prepared, budget: Budget) -> Result<Tally> {
    let setup = case.ring.unwrap_or(RingSetup::Defer);
    let mut ring = ring(setup)?;
    let fd = prepared.file.as_raw_fd();
    if setup != RingSetup::Plain {
        ring.submitter().register_files(&[fd]).context("registering the file")?;
    }
    let depth = case.depth as usize;
    let mut slots = Slots {
        bufs: (0..depth).map(|_| block(case.block.0)).collect(),
        began: vec![Instant::now(); depth],
        free: (0..depth).collect(),
    };
    if setup == RingSetup::FixedBuffers {
        register(&ring, &mut slots.bufs)?;
    }
    let mut tally = Tally::new();
    let mut begun = 0;
    let outcome = (|| {
        loop {
            while let Some(slot) = slots.free.last().copied()
                && budget.allows(begun)
            {
                slots.free.pop();
                slots.began[slot] = Instant::now();
                push(&mut ring, case, &mut slots.bufs[slot], slot, begun, fd)?;
                begun += 1;
            }
            if slots.free.len() == depth {
                return Ok(());
            }
            ring.submit_and_wait(1).context("io_uring_enter")?;
            reap(&mut ring, case, &mut slots, &mut tally)?;
        }
    })();
    // The kernel may still use the buffers of what is under way after an error.
    if outcome.is_err() {
        std::mem::forget(slots);
    }
    outcome.map(|()| tally)
}

fn register(ring: &IoUring, bufs: &mut [Buf]) -> Result<()> {
    let iovecs: Vec<_> = bufs
        .iter_mut()
        .map(|buf| libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() })
        .collect();
    // SAFETY: the buffers do not move and live as long as the ring, or are leaked.
    unsafe { ring.submitter().register_buffers(&iovecs) }
        .context("registering buffers (is the memlock limit too low?)")
}

fn push(
    ring: &mut IoUring,
    case: &Case,
    buf: &mut Buf,
    slot: usize,
    number: u64,
    fd: i32,
) -> Result<()> {
    let (memory, length) = (buf.as_mut_ptr(), buf.len() as u32);
    let (at, flags) = (number * case.block.0, case.mode.rwf() as i32);
    let fixed = case.ring == Some(RingSetup::FixedBuffers);
    let entry = match (case.path, fixed, case.ring) {
        (IoPath::Read, true, _) => {
            opcode::ReadFixed::new(Fixed(0), memory, length, slot as u16).offset(at).build()
        }
        (IoPath::Read, _, Some(RingSetup::Plain)) => {
            opcode::Read::new(Fd(fd), memory, length).offset(at).build()
        }
        (IoPath::Read, ..) => opcode::Read::new(Fixed(0), memory, length).offset(at).build(),
        (_, true, _) => opcode::WriteFixed::new(Fixed(0), memory, length, slot as u16)
            .offset(at)
            .rw_flags(flags)
            .build(),
        (_, _, Some(RingSetup::Plain)) => {
            opcode::Write::new(Fd(fd), memory, length).offset(at).rw_flags(flags).build()
        }
        _ => opcode::Write::new(Fixed(0), memory, length).offset(at).rw_flags(flags).build(),
    };
    let entry = entry.user_data(slot as u64);
    let mut entries = vec![entry];
    if case.mode.syncs() {
        let sync = match case.ring {
            Some(RingSetup::Plain) => {
                opcode::Fsync::new(Fd(fd)).flags(FsyncFlags::DATASYNC).build()
            }
            _ => opcode::Fsync::new(Fixed(0)).flags(FsyncFlags::DATASYNC).build(),
        };
        entries[0] = entries[0].clone().flags(squeue::Flags::IO_LINK);
        entries.push(sync.user_data(slot as u64 | FLUSH));
    }
    // SAFETY: the buffer stays where it is until the entry's completion has been seen, or is
    // leaked.
    let pushed = unsafe { ring.submission().push_multiple(&entries) };
    pushed.map_err(|_| anyhow::anyhow!("the submission queue is full"))
}

fn reap(ring: &mut IoUring, case: &Case, slots: &mut Slots, tally: &mut Tally) -> Result<()> {
    for entry in ring.completion() {
        let (slot, result) = ((entry.user_data() & !FLUSH) as usize, entry.result());
        if result < 0 {
            return Err(std::io::Error::from_raw_os_error(-result)).context("a completion");
        }
        let is_flush = entry.user_data() & FLUSH != 0;
        if !is_flush && case.mode.syncs() {
            // The flush that is linked to it ends the block.
            ensure!(result as usize == slots.bufs[slot].len(), "{result} bytes were moved");
            continue;
        }
        let block = slots.bufs[slot].len();
        let moved = if is_flush { block } else { result as usize };
        tally.count(slots.began[slot], moved, block)?;
        slots.free.push(slot);
    }
    Ok(())
}

/// A ring that sends.
pub struct SendRing {
    ring: IoUring,
    socket: i32,
    zero_copy: bool,
    fixed: bool,
    /// Sends whose memory the kernel still holds.
    held: usize,
}

/// A ring for a socket; `memory` is registered if it is to be.
pub fn send_ring(
    socket: &impl AsRawFd,
    zero_copy: bool,
    memory: Option<&'static [u8]>,
) -> Result<SendRing> {
    let ring = ring(RingSetup::Defer)?;
    let fixed = memory.is_some();
    if let Some(memory) = memory {
        let iov_base = memory.as_ptr().cast_mut().cast();
        let iov = libc::iovec { iov_base, iov_len: memory.len() };
        // SAFETY: the memory is never given back, and sends only read it.
        unsafe { ring.submitter().register_buffers(&[iov]) }
            .context("registering buffers (is the memlock limit too low?)")?;
    }
    Ok(SendRing { ring, socket: socket.as_raw_fd(), zero_copy, fixed, held: 0 })
}

impl SendRing {
    /// Sends all of it. It must not change any more: the kernel may read it later.
    pub fn send(&mut self, bytes: &'static [u8]) -> Result<()> {
        let (memory, length) = (bytes.as_ptr(), bytes.len() as u32);
        let entry = if self.zero_copy {
            let send =
                opcode::SendZc::new(Fd(self.socket), memory, length).flags(libc::MSG_WAITALL);
            send.buf_index(self.fixed.then_some(0)).build()
        } else {
            opcode::Send::new(Fd(self.socket), memory, length).flags(libc::MSG_WAITALL).build()
        };
        // SAFETY: the memory lives for ever.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.map_err(|_| anyhow::anyhow!("the submission queue is full"))?;
        loop {
            self.ring.submit_and_wait(1).context("io_uring_enter")?;
            let mut sent = None;
            for entry in self.ring.completion() {
                if io_uring::cqueue::notif(entry.flags()) {
                    self.held -= 1;
                    continue;
                }
                if io_uring::cqueue::more(entry.flags()) {
                    self.held += 1;
                }
                sent = Some(entry.result());
            }
            match sent {
                Some(sent) if sent < 0 => {
                    return Err(std::io::Error::from_raw_os_error(-sent)).context("a send");
                }
                Some(sent) if sent as u32 == length => return Ok(()),
                Some(sent) => bail!("{sent} of {length} bytes were sent"),
                None => {}
            }
        }
    }
}

//! Writing a segment past the page cache (`ringlog.io.mode=direct`).
//!
//! O_DIRECT takes whole blocks. A write begins with the block that the last one left half full and
//! ends with zeros up to the next border, so the file is longer than its batches:
//!
//! ```text
//! batch batch batch 000 | 000000 | 000000 | 000000
//!                  ^ size          ^        ^ zeroed_to
//!                                  ^ settled_to: length and blocks are durable up to here
//! ```
//!
//! Zeros are written ahead by a task of their own, which has them synced. A write below
//! `settled_to` changes nothing but bytes of blocks: a flush of the device makes it durable, one
//! for all logs. A write never meets zeros on their way: it waits for `zeroed_to` to pass it.
//!
//! Zeros are no batch, and recovery cuts them off. What lies behind the end is always zeros and
//! never what a block held before (fault D06): every block of the file is written, as zeros or as
//! records.
//! The file has its exact length again once its log has been idle for a second, at a roll, and when
//! it is closed, because kafka-dump-log takes zeros for damage.
//!
//! The last writes are kept in memory: consumers at the end read them there, and not off the disk.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::reader::FileRange;
use super::segment::Segment;
use crate::io::{BUF_ALIGN, Buf, Chunk, Errno, Mono, OpenOptions, WritePath};
use crate::shard::sync::Event;
use crate::shard::{File, IoError, Shard};

/// From this size on a segment is laid out ahead: most partitions stay small.
const LAY_OUT_FROM_BYTES: u64 = 64 << 10;
/// How far ahead: as much as there is, within these bounds.
const LAID_OUT_BYTES_MIN: u64 = 256 << 10;
const LAID_OUT_BYTES_MAX: u64 = 16 << 20;
/// Zeros of one write.
const ZERO_BYTES: usize = 1 << 20;
/// Bytes of the last writes that a log keeps in memory.
const TAIL_BYTES_MAX: usize = 2 << 20;
const BLOCK: u64 = BUF_ALIGN as u64;

#[repr(align(4096))]
struct Zeros([u8; ZERO_BYTES]);
/// Never written to, so the kernel gives no memory for it.
static ZEROS: Zeros = Zeros([0; ZERO_BYTES]);
const _: () = assert!(align_of::<Zeros>() >= BUF_ALIGN);

/// Who writes logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IoMode {
    /// The kernel, from its page cache.
    #[default]
    Buffered,
    /// The log, straight to the disk.
    Direct,
}

/// What a segment needs to be written past the page cache.
#[derive(Default)]
pub(super) struct DirectWrites {
    file: RefCell<Option<File>>,
    /// Bytes of the last, half full block.
    rest: RefCell<Vec<u8>>,
    /// What is said here of the file is so, whether it is open or not.
    known: Cell<bool>,
    /// The file reaches to here; beyond the segment's size it holds zeros.
    zeroed_to: Cell<u64>,
    /// Its length and its blocks are durable up to here.
    settled_to: Cell<u64>,
    /// Zeros are on their way, up to here, or not durable yet.
    laying_out: Cell<Option<u64>>,
    /// One of these has changed.
    laid_out: Event,
    recent: RefCell<Option<Tail>>,
    last_write: Cell<Mono>,
}

/// Memory for the tails of all logs of a committer.
pub(super) struct TailMemory {
    used: Cell<usize>,
    max: usize,
}

/// Where a write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Landed {
    /// Where length and blocks of the file were durable: a flush of the device is enough.
    LaidOut,
    /// Elsewhere: the file is to be synced.
    Beyond,
}

impl TailMemory {
    pub(super) fn new(max: usize) -> Rc<Self> {
        Rc::new(Self { used: Cell::new(0), max })
    }
}

/// The last writes, each with its place, as they went to the disk.
struct Tail {
    writes: VecDeque<(u64, Arc<Buf>)>,
    bytes: usize,
    /// Where the last record ends.
    end: u64,
    memory: Rc<TailMemory>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.memory.used.set(self.memory.used.get() - self.bytes);
    }
}

impl Tail {
    fn new(memory: &Rc<TailMemory>) -> Self {
        Self { writes: VecDeque::new(), bytes: 0, end: 0, memory: Rc::clone(memory) }
    }

    fn push(&mut self, position: u64, bytes: &Arc<Buf>, end: u64) {
        self.writes.push_back((position, Arc::clone(bytes)));
        self.end = end;
        self.bytes += bytes.capacity();
        let mut used = self.memory.used.get() + bytes.capacity();
        while self.bytes > TAIL_BYTES_MAX || used > self.memory.max {
            // Even the last one: where there is no room, consumers read off the disk.
            let Some((_, gone)) = self.writes.pop_front() else { break };
            self.bytes -= gone.capacity();
            used -= gone.capacity();
        }
        self.memory.used.set(used);
    }

    /// The bytes from `start` to `end`, if all of them are here.
    fn read(&self, start: u64, end: u64) -> Option<Buf> {
        if self.writes.front().is_none_or(|(first, _)| start < *first) || end > self.end {
            return None;
        }
        let mut found = Buf::with_capacity((end - start) as usize);
        found.set_len((end - start) as usize);
        // A block that was written twice: the later write has more of it.
        for (position, bytes) in &self.writes {
            let (from, to) = (start.max(*position), end.min(position + bytes.len() as u64));
            if from < to {
                let part = &bytes[(from - position) as usize..(to - position) as usize];
                found[(from - start) as usize..(to - start) as usize].copy_from_slice(part);
            }
        }
        Some(found)
    }
}

impl Segment {
    /// Writes `chunks` at `position`, which is where the last write ended.
    pub(super) async fn write_direct(
        &self,
        shard: &Shard,
        chunks: &[Chunk],
        position: u64,
        memory: &Rc<TailMemory>,
    ) -> Result<Landed, IoError> {
        let file = self.direct_file(shard, position).await?;
        let start = position / BLOCK * BLOCK;
        let (bytes, end) = {
            let rest = self.direct.rest.borrow();
            assert_eq!(start + rest.len() as u64, position, "the end of the last write");
            let len: usize = chunks.iter().map(|chunk| chunk.as_slice().len()).sum();
            let mut bytes = Buf::with_capacity((rest.len() + len).next_multiple_of(BUF_ALIGN));
            bytes.extend_from_slice(&rest);
            chunks.iter().for_each(|chunk| bytes.extend_from_slice(chunk.as_slice()));
            let end = bytes.len();
            bytes.set_len(end.next_multiple_of(BUF_ALIGN));
            bytes[end..].fill(0);
            (Arc::new(bytes), end)
        };
        let written_to = start + bytes.len() as u64;
        let direct = &self.direct;
        let clear = || {
            let (target, zeroed_to) = (direct.laying_out.get(), direct.zeroed_to.get());
            target.is_none_or(|target| zeroed_to >= target) || written_to <= zeroed_to
        };
        direct.laid_out.until(|| clear().then_some(())).await;
        let all = Chunk::from(Arc::clone(&bytes));
        file.write_at(vec![all], start, WritePath::Ring).await?;
        let whole = end / BUF_ALIGN * BUF_ALIGN;
        *self.direct.rest.borrow_mut() = bytes[whole..end].to_vec();
        direct.zeroed_to.set(direct.zeroed_to.get().max(written_to));
        direct.last_write.set(shard.now());
        self.keep(start, &bytes, start + end as u64, memory);
        match written_to <= direct.settled_to.get() {
            true => Ok(Landed::LaidOut),
            false => Ok(Landed::Beyond),
        }
    }

    fn keep(&self, start: u64, bytes: &Arc<Buf>, end: u64, memory: &Rc<TailMemory>) {
        let mut recent = self.direct.recent.borrow_mut();
        recent.get_or_insert_with(|| Tail::new(memory)).push(start, bytes, end);
    }

    async fn direct_file(&self, shard: &Shard, position: u64) -> Result<File, IoError> {
        let direct = &self.direct;
        if let Some(file) = &*direct.file.borrow() {
            return Ok(file.clone());
        }
        if !direct.known.get() {
            let start = position / BLOCK * BLOCK;
            let len = (position - start) as usize;
            let rest = self.file(shard).await?.read_at(Buf::with_capacity(len), start, len).await?;
            *direct.rest.borrow_mut() = rest.to_vec();
            direct.zeroed_to.set(position);
            direct.settled_to.set(0);
            direct.known.set(true);
        }
        let options = OpenOptions { write: true, direct: true, ..OpenOptions::default() };
        let file = File::open(shard, &self.path("log"), options).await?;
        *direct.file.borrow_mut() = Some(file.clone());
        Ok(file)
    }

    /// Lets go of the file; the next write opens it again, and goes on where it was.
    pub(super) fn close_direct_file(&self) {
        *self.direct.file.borrow_mut() = None;
    }

    /// Whether few zeros are left ahead of the end. If so, no write is to be under way, and
    /// [`Segment::lay_out`], a sync of the file and [`Segment::end_laying_out`] are to follow.
    pub(super) fn start_laying_out(&self, segment_bytes: u32) -> bool {
        let direct = &self.direct;
        let (size, zeroed_to) = (u64::from(self.size.get()), direct.zeroed_to.get());
        let segment_end = u64::from(segment_bytes) / BLOCK * BLOCK;
        let quarter = segment_end / 4 / BLOCK * BLOCK;
        let ahead = size.clamp(LAID_OUT_BYTES_MIN, LAID_OUT_BYTES_MAX) / BLOCK * BLOCK;
        let ahead = ahead.min(quarter);
        let target = (zeroed_to.max(size) / BLOCK * BLOCK + ahead).min(segment_end);
        let wanted = size >= LAY_OUT_FROM_BYTES.min(quarter)
            && zeroed_to < size + ahead / 2
            && zeroed_to < target;
        if !wanted || direct.laying_out.get().is_some() {
            return false;
        }
        direct.laying_out.set(Some(target));
        true
    }

    /// The zeros are durable, or not to be counted on.
    pub(super) fn end_laying_out(&self, durable: bool) {
        let direct = &self.direct;
        let target = direct.laying_out.take();
        if let Some(target) = target.filter(|target| durable && direct.zeroed_to.get() >= *target) {
            direct.settled_to.set(target);
        }
        direct.laid_out.notify();
    }

    /// Writes zeros as far as was decided.
    pub(super) async fn lay_out(&self, shard: &Shard) -> Result<(), IoError> {
        let direct = &self.direct;
        let Some(target) = direct.laying_out.get() else { return Ok(()) };
        let file = self.direct_file(shard, u64::from(self.size.get())).await?;
        let start = direct.zeroed_to.get();
        match file.write_zeroes(start, target - start).await {
            Ok(()) => direct.zeroed_to.set(target),
            // A full disk is for the records to find out.
            Err(error) if error.errno == Errno::ENOSPC => return Ok(()),
            Err(_) => {
                // The blocks first, all at once: writes that extend a file keep all others from it.
                match file.allocate(start, target - start, false).await {
                    Err(error) if error.errno == Errno::ENOSPC => return Ok(()),
                    // A file system that cannot: the writes take them one by one.
                    _ => {}
                }
                while direct.zeroed_to.get() < target {
                    let at = direct.zeroed_to.get();
                    let len = ZERO_BYTES.min((target - at) as usize);
                    let zeros = Chunk::from(&ZEROS.0[..len]);
                    match file.write_at(vec![zeros], at, WritePath::Ring).await {
                        Err(error) if error.errno == Errno::ENOSPC => return Ok(()),
                        result => result?,
                    }
                    direct.zeroed_to.set(at + len as u64);
                    direct.laid_out.notify();
                }
            }
        }
        direct.laid_out.notify();
        Ok(())
    }

    /// Whether the file is longer than what is in it, and nothing has been written since `before`.
    pub(super) fn may_trim(&self, before: Mono) -> bool {
        self.direct.zeroed_to.get() > u64::from(self.size.get())
            && self.direct.last_write.get() <= before
    }

    /// Gives the file its exact length, for good.
    pub(super) async fn trim(&self, shard: &Shard) -> Result<(), IoError> {
        let direct = &self.direct;
        direct.laid_out.until(|| direct.laying_out.get().is_none().then_some(())).await;
        let size = u64::from(self.size.get());
        if direct.zeroed_to.get() <= size {
            return Ok(());
        }
        direct.settled_to.set(0);
        let file = self.file(shard).await?;
        file.set_len(size).await?;
        file.fdatasync().await?;
        direct.zeroed_to.set(size);
        // Whoever is at work has room for more.
        *self.direct.recent.borrow_mut() = None;
        Ok(())
    }

    /// Nothing more will be written: its file for that, and the tail, are let go of.
    pub(super) fn end_direct(&self) {
        self.close_direct_file();
        self.direct.known.set(false);
        *self.direct.recent.borrow_mut() = None;
    }

    /// The bytes of a range of this segment, if they were written last.
    pub(super) fn read_tail(&self, range: &FileRange) -> Option<Buf> {
        self.direct.recent.borrow().as_ref()?.read(range.position, range.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_gives_what_was_written_last_and_only_all_of_it() {
        let page = |byte: u8| {
            let mut buf = Buf::with_capacity(BUF_ALIGN);
            buf.set_len(BUF_ALIGN);
            buf.fill(byte);
            Arc::new(buf)
        };
        let memory = TailMemory::new(3 << 20);
        let mut recent = Tail::new(&memory);
        assert!(recent.read(0, 1).is_none());
        recent.push(0, &page(1), 4000);
        recent.push(0, &page(2), 4096);
        recent.push(4096, &page(3), 5000);
        assert_eq!(recent.read(10, 20).expect("there")[..], [2; 10]);
        assert_eq!(recent.read(4095, 4098).expect("there")[..], [2, 3, 3]);
        assert!(recent.read(4990, 5001).is_none(), "zeros behind the end are not records");
        for i in 2..1000 {
            recent.push(i * BLOCK, &page(4), (i + 1) * BLOCK);
        }
        assert!(recent.bytes <= TAIL_BYTES_MAX && memory.used.get() == recent.bytes);
        let mut other = Tail::new(&memory);
        for i in 0..1000 {
            other.push(i * BLOCK, &page(5), (i + 1) * BLOCK);
        }
        assert!(memory.used.get() <= memory.max && other.bytes > 0);
        drop(other);
        assert_eq!(memory.used.get(), recent.bytes);
        assert!(recent.read(0, 10).is_none(), "let go of");
    }
}

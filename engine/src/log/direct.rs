//! Writing a segment past the page cache (`ringlog.io.mode=direct`).
//!
//! O_DIRECT takes whole blocks. A write begins with the block that the last one left half full and
//! ends with zeros up to the next border, so the file is longer than its batches:
//!
//! ```text
//! batch batch batch 000 | 000000 | 000000
//!                  ^ size      ^ zeroed_to: laid out, so that a sync has no sizes to commit
//! ```
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
use crate::shard::{File, IoError, Shard};

/// From this size on a segment is laid out ahead: most partitions stay small.
const LAY_OUT_FROM_BYTES: u64 = 1 << 20;
/// How far ahead, and by how much at a time.
const LAID_OUT_BYTES: u64 = 8 << 20;
const ZERO_BYTES: usize = 1 << 20;
/// Bytes of the last writes that a log keeps in memory.
const TAIL_BYTES_MAX: usize = 2 << 20;
const BLOCK: u64 = BUF_ALIGN as u64;

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
    /// The file reaches to here; beyond the segment's size it holds zeros.
    zeroed_to: Cell<u64>,
    recent: RefCell<Option<Tail>>,
    last_write: Cell<Mono>,
}

/// Memory for the tails of all logs of a committer.
pub(super) struct TailMemory {
    used: Cell<usize>,
    max: usize,
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
        segment_bytes: u32,
        memory: &Rc<TailMemory>,
    ) -> Result<(), IoError> {
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
        let all = Chunk::from(Arc::clone(&bytes));
        file.write_at(vec![all], start, WritePath::Ring).await?;
        let whole = end / BUF_ALIGN * BUF_ALIGN;
        *self.direct.rest.borrow_mut() = bytes[whole..end].to_vec();
        let written_to = start + bytes.len() as u64;
        self.direct.zeroed_to.set(self.direct.zeroed_to.get().max(written_to));
        self.direct.last_write.set(shard.now());
        self.keep(start, &bytes, start + end as u64, memory);
        self.lay_out(&file, written_to, segment_bytes).await
    }

    fn keep(&self, start: u64, bytes: &Arc<Buf>, end: u64, memory: &Rc<TailMemory>) {
        let mut recent = self.direct.recent.borrow_mut();
        recent.get_or_insert_with(|| Tail::new(memory)).push(start, bytes, end);
    }

    async fn direct_file(&self, shard: &Shard, position: u64) -> Result<File, IoError> {
        if let Some(file) = &*self.direct.file.borrow() {
            return Ok(file.clone());
        }
        let start = position / BLOCK * BLOCK;
        let len = (position - start) as usize;
        let rest = self.file(shard).await?.read_at(Buf::with_capacity(len), start, len).await?;
        let options = OpenOptions { write: true, direct: true, ..OpenOptions::default() };
        let file = File::open(shard, &self.path("log"), options).await?;
        *self.direct.rest.borrow_mut() = rest.to_vec();
        self.direct.zeroed_to.set(position);
        *self.direct.file.borrow_mut() = Some(file.clone());
        Ok(file)
    }

    /// Writes zeros ahead of the end once few are left.
    async fn lay_out(
        &self,
        file: &File,
        written_to: u64,
        segment_bytes: u32,
    ) -> Result<(), IoError> {
        let zeroed_to = self.direct.zeroed_to.get();
        let quarter = u64::from(segment_bytes) / 4;
        let ahead = LAID_OUT_BYTES.min(quarter / BLOCK * BLOCK);
        let target = (written_to + ahead).min(u64::from(segment_bytes) / BLOCK * BLOCK);
        if written_to < LAY_OUT_FROM_BYTES.min(quarter) || zeroed_to >= written_to + ahead / 2 {
            return Ok(());
        }
        let mut at = zeroed_to;
        while at < target {
            let len = ZERO_BYTES.min((target - at) as usize);
            let mut zeros = Buf::with_capacity(len);
            zeros.set_len(len);
            zeros.fill(0);
            match file.write_at(vec![Chunk::from(zeros)], at, WritePath::Ring).await {
                // A full disk is for the records to find out.
                Err(error) if error.errno == Errno::ENOSPC => return Ok(()),
                result => result?,
            }
            at += len as u64;
            self.direct.zeroed_to.set(at);
        }
        Ok(())
    }

    /// Whether the file is longer than what is in it, and nothing has been written since `before`.
    pub(super) fn may_trim(&self, before: Mono) -> bool {
        self.direct.zeroed_to.get() > u64::from(self.size.get())
            && self.direct.last_write.get() <= before
    }

    /// Gives the file its exact length, for good.
    pub(super) async fn trim(&self, shard: &Shard) -> Result<(), IoError> {
        let size = u64::from(self.size.get());
        if self.direct.zeroed_to.get() <= size {
            return Ok(());
        }
        let file = self.file(shard).await?;
        file.set_len(size).await?;
        file.fdatasync().await?;
        self.direct.zeroed_to.set(size);
        // Whoever is at work has room for more.
        *self.direct.recent.borrow_mut() = None;
        Ok(())
    }

    /// Nothing more will be written: its file for that, and the tail, are let go of.
    pub(super) fn end_direct(&self) {
        *self.direct.file.borrow_mut() = None;
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

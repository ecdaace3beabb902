//! Reads that find their bytes on the disk: checked, ahead of the reader, and without pushing out
//! what others read.
//!
//! Consumers at the end of a log read what is still in the page cache, and nothing is done for them
//! but counting. One that catches up reads what nobody else does: a little is read ahead of it, and
//! what it has passed is let go of, so that a whole log may go by without costing the tails of the
//! others their place in memory.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::path::PathBuf;

use super::partition_log::Log;
use super::reader::{FileRange, ReadError};
use crate::batch::BatchHeader;
use crate::io::Buf;

/// What a read takes off the disk at once, unless its first batch is larger.
pub const COLD_BYTES_MAX: usize = 4 << 20;
/// How far the disk is ahead of a reader that catches up.
const AHEAD_BYTES: u64 = 8 << 20;
/// How much behind it stays, for answers that are still being sent.
const BEHIND_BYTES: u64 = 16 << 20;
/// Cached pages are let go of by so many bytes.
const DROP_BYTES: u64 = 4 << 20;
const PAGE_BYTES: u64 = 4096;

/// What reads found in the page cache, and what they did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Bytes that were there.
    pub hit_bytes: u64,
    /// Bytes that came off the disk.
    pub miss_bytes: u64,
}

/// A log's reads with respect to the page cache.
#[derive(Default)]
pub(super) struct ColdReads {
    counts: Cell<CacheCounts>,
    catching_up: RefCell<Option<CatchingUp>>,
}

/// The reader that last read off the disk.
struct CatchingUp {
    segment: PathBuf,
    /// What it has read of the segment, up to where it has been read ahead, and up to where its
    /// pages were let go of.
    read_to: u64,
    ahead_to: u64,
    dropped_to: u64,
}

impl CatchingUp {
    fn at(range: &FileRange) -> Self {
        let read_to = range.position;
        let segment = range.file.path().to_owned();
        Self { segment, read_to, ahead_to: range.end(), dropped_to: read_to }
    }

    /// Whether `range` goes on where this reader was.
    fn goes_on(&self, range: &FileRange) -> bool {
        let near = self.read_to.saturating_sub(DROP_BYTES)..=self.ahead_to + AHEAD_BYTES;
        self.segment == range.file.path() && near.contains(&range.position)
    }

    /// Notes what was read and lets go of what lies far behind. Gives what the disk is to read
    /// next, if anything.
    fn advance(&mut self, range: &FileRange) -> Option<Range<u64>> {
        self.read_to = self.read_to.max(range.end());
        self.ahead_to = self.ahead_to.max(range.end());
        let passed = self.read_to.saturating_sub(BEHIND_BYTES);
        if passed >= self.dropped_to + DROP_BYTES {
            range.file.drop_cache(self.dropped_to, passed - self.dropped_to);
            self.dropped_to = passed;
        }
        if self.ahead_to >= self.read_to + AHEAD_BYTES / 2 {
            return None;
        }
        let from = std::mem::replace(&mut self.ahead_to, self.read_to + AHEAD_BYTES);
        Some(from..self.ahead_to)
    }
}

impl Log {
    /// How reads have fared with the page cache.
    pub fn cache_counts(&self) -> CacheCounts {
        self.cold_reads.counts.get()
    }

    /// The bytes of a range, if the log has just written them and kept them.
    pub fn read_tail(&self, range: &FileRange) -> Option<Buf> {
        let active = self.state.borrow().active();
        let found = active.read_tail(range).filter(|_| range.file.path() == active.path("log"));
        if found.is_some() {
            self.note_cached(range);
        }
        found
    }

    /// The bytes of a range, if all of it is in the page cache; none on a kernel that cannot tell
    /// ([`Log::is_cached`]).
    pub async fn read_cached(&self, range: &FileRange) -> Result<Option<Buf>, ReadError> {
        // A read that does not wait may begin one ahead, and find what that has just brought in off
        // the disk, unchecked.
        if !self.all_cached(range).await {
            return Ok(None);
        }
        let buf = Buf::with_capacity(range.len);
        let found = range.file.read_cached_at(buf, range.position, range.len).await?;
        let found = found.filter(|buf| buf.len() == range.len);
        if found.is_some() {
            self.note_cached(range);
            self.go_on(range).await;
        }
        Ok(found)
    }

    /// Whether all of a range is in the page cache. False on a kernel that cannot tell (before
    /// 6.5): reading it off the disk finds cached pages too, at the price of a copy.
    pub async fn is_cached(&self, range: &FileRange) -> bool {
        let cached = self.all_cached(range).await;
        if cached {
            self.note_cached(range);
            self.go_on(range).await;
        }
        cached
    }

    async fn all_cached(&self, range: &FileRange) -> bool {
        let start = range.position / PAGE_BYTES * PAGE_BYTES;
        let bytes = range.end().next_multiple_of(PAGE_BYTES) - start;
        let found = range.file.cached_bytes(start, bytes).await;
        found.is_ok_and(|found| found >= bytes)
    }

    fn note_cached(&self, range: &FileRange) {
        let mut counts = self.cold_reads.counts.get();
        counts.hit_bytes += range.len as u64;
        self.cold_reads.counts.set(counts);
    }

    /// Reads ahead of the reader that catches up, if this is where it was. Once it comes to what
    /// was cached before it there is nothing more to do for it, nor to undo: pages that others put
    /// there stay, though one of a log that is read again and again was missing.
    async fn go_on(&self, range: &FileRange) {
        let catching_up = &self.cold_reads.catching_up;
        let ahead = match catching_up.borrow_mut().as_mut() {
            Some(reader) if reader.goes_on(range) => reader.advance(range),
            _ => None,
        };
        let Some(ahead) = ahead else { return };
        let bytes = ahead.end - ahead.start;
        match range.file.cached_bytes(ahead.start, bytes).await {
            Ok(cached) if cached >= bytes => drop(catching_up.take()),
            _ => range.file.read_ahead(ahead.start, bytes),
        }
    }

    /// Reads the beginning of a range off the disk, so that it is in the page cache, and checks the
    /// CRC of its batches. Gives the part that was read.
    ///
    /// # Errors
    /// What was stored is no longer what it was: nobody gets to see it.
    pub async fn bring_in(&self, mut range: FileRange) -> Result<(FileRange, Buf), ReadError> {
        range.len = range.len.min(COLD_BYTES_MAX.max(range.first_batch_bytes));
        let buf = Buf::with_capacity(range.len);
        let bytes = range.file.read_at(buf, range.position, range.len).await?;
        let mut counts = self.cold_reads.counts.get();
        counts.miss_bytes += bytes.len() as u64;
        self.cold_reads.counts.set(counts);
        let mut at = 0;
        while let Ok((header, batch)) = BatchHeader::parse_whole(&bytes[at..]) {
            if !header.crc_is_valid(batch) {
                let path = range.file.path().display();
                let position = range.position + at as u64;
                return Err(ReadError::Corrupt(format!(
                    "{path}: byte {position}: the batch at offset {} has another CRC",
                    header.base_offset
                )));
            }
            at += header.size;
        }
        {
            let mut reader = self.cold_reads.catching_up.borrow_mut();
            if !reader.as_ref().is_some_and(|reader| reader.goes_on(&range)) {
                *reader = Some(CatchingUp::at(&range));
            }
        }
        self.go_on(&range).await;
        Ok((range, bytes))
    }
}

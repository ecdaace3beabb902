//! Reading: which bytes of which file answer a fetch.

use std::rc::Rc;

use thiserror::Error;

use super::partition_log::{Log, LogError};
use super::segment::Segment;
use crate::io::{Buf, Errno};
use crate::shard::{File, IoError};
use crate::types::Offset;

/// Why a read gives nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReadError {
    /// Below the log's start or above its end.
    #[error("offset {offset} is outside {start}..={end}")]
    OutOfRange {
        /// Asked for.
        offset: Offset,
        /// Log start offset.
        start: Offset,
        /// Log end offset.
        end: Offset,
    },
    /// What is stored there is not a batch any more.
    #[error("stored data is corrupt: {0}")]
    Corrupt(String),
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// How much a read may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes at most.
    pub bytes_max: usize,
    /// A first batch that is larger is given whole (KIP-74), or else nothing.
    pub at_least_one_batch: bool,
}

/// A part of a segment's file.
#[derive(Clone)]
pub struct FileRange {
    /// The `.log` file.
    pub file: File,
    /// Where the part starts.
    pub position: u64,
    /// How long it is.
    pub len: usize,
    /// The size of its first batch, which must come whole.
    pub first_batch_bytes: usize,
}

impl FileRange {
    /// Where it ends.
    pub fn end(&self) -> u64 {
        self.position + self.len as u64
    }
}

/// The answer to a read: one part of one segment, or nothing.
#[derive(Clone, Default)]
pub struct ReadPlan {
    /// The bytes, if there are any.
    pub range: Option<FileRange>,
    /// Bytes up to `upper` that are left out because of the limit.
    pub more: bool,
    /// No record of the bytes is at this offset or above.
    pub end: Offset,
}

impl ReadPlan {
    /// How many bytes.
    pub fn len(&self) -> usize {
        self.range.as_ref().map_or(0, |range| range.len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Log {
    /// The bytes of the batches from the one that holds `from` up to `upper`, which must be the
    /// end of a batch that is written. The last batch may be cut off by the limit, as in Kafka.
    pub async fn plan_read(
        &self,
        from: Offset,
        upper: Offset,
        limits: ReadLimits,
    ) -> Result<ReadPlan, ReadError> {
        self.note_read();
        loop {
            let layout = self.layout();
            match self.plan_in_segment(from, upper, limits).await {
                // A segment was taken away while it was looked at.
                Err(ReadError::Io(error))
                    if error.errno == Errno::ENOENT && self.layout() != layout => {}
                plan => return plan,
            }
        }
    }

    async fn plan_in_segment(
        &self,
        from: Offset,
        upper: Offset,
        limits: ReadLimits,
    ) -> Result<ReadPlan, ReadError> {
        if let Some(error) = self.failure() {
            return Err(error.into());
        }
        let ends = self.ends();
        if from < ends.log_start_offset || from > ends.log_end_offset {
            let (start, end) = (ends.log_start_offset, ends.log_end_offset);
            return Err(ReadError::OutOfRange { offset: from, start, end });
        }
        assert!(upper <= ends.written_end_offset, "{upper} is not written: {ends:?}");
        if from >= upper {
            return Ok(ReadPlan::default());
        }
        let Some(first) = self.find_batch(from).await? else { return Ok(ReadPlan::default()) };
        if first.base_offset >= upper {
            return Ok(ReadPlan::default());
        }
        let segment = first.segment;
        let next_base = self.state.borrow().base_after(segment.base_offset);
        // Where the batches of this segment below `upper` end.
        let end = match next_base {
            Some(next) if next <= upper => segment.size.get(),
            _ if upper == self.ends().log_end_offset => segment.size.get(),
            _ => match self.find_batch(upper).await? {
                Some(place) if Rc::ptr_eq(&place.segment, &segment) => place.position,
                _ => self.written_size(&segment),
            },
        };
        let available = (end - first.position) as usize;
        let wanted = match limits.at_least_one_batch {
            true => limits.bytes_max.max(first.size as usize),
            // Half a batch is no use to anyone.
            false if limits.bytes_max < first.size as usize => 0,
            false => limits.bytes_max,
        };
        let len = available.min(wanted);
        if len == 0 {
            return Ok(ReadPlan { more: available > 0, ..ReadPlan::default() });
        }
        let file = segment.file(&self.shard).await?;
        let range = FileRange {
            file,
            position: u64::from(first.position),
            len,
            first_batch_bytes: (first.size as usize).min(len),
        };
        let more = available > len;
        let end = match more {
            true => self.upper_bound(&segment, next_base, range.position + len as u64).await?,
            false => next_base.unwrap_or_else(|| self.ends().log_end_offset),
        };
        Ok(ReadPlan { range: Some(range), more, end })
    }

    /// An offset that no batch of a segment before `position` reaches.
    async fn upper_bound(
        &self,
        segment: &Rc<Segment>,
        next_base: Option<Offset>,
        position: u64,
    ) -> Result<Offset, ReadError> {
        let found =
            self.with_indexes(segment, next_base, |indexes| indexes.offset_at(position)).await?;
        let end = next_base.unwrap_or_else(|| self.ends().log_end_offset);
        Ok(found.map_or(end, |relative| segment.base_offset.plus(i64::from(relative))))
    }

    /// Reads what a plan found into memory.
    pub async fn read(&self, plan: &ReadPlan) -> Result<Buf, ReadError> {
        let Some(range) = &plan.range else { return Ok(Buf::with_capacity(0)) };
        let buf = Buf::with_capacity(range.len);
        Ok(range.file.read_at(buf, range.position, range.len).await?)
    }
}

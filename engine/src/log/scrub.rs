//! Scrubbing: reading what nobody reads, to find damage while a good copy may still be had.

use std::rc::Rc;

use super::compact::Throttle;
use super::partition_log::{Log, LogError};
use super::reader::ReadError;
use super::scan::{BatchScan, Scanned};
use super::segment::Segment;
use crate::types::Offset;

/// Bytes that are checked before other tasks of the shard have their turn.
const SLICE_BYTES: usize = 64 << 10;

/// What was checked of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrubbed {
    /// Where to go on; `None` at the active segment, which is too young to rot.
    pub next: Option<Offset>,
    /// Bytes that were read.
    pub bytes: u64,
}

impl Log {
    /// Checks every batch of the first sealed segment at or above `from`.
    ///
    /// # Errors
    /// If a batch is not what was written, with file, position and offset; or if the segment
    /// cannot be read.
    pub async fn scrub(&self, from: Offset, throttle: &Throttle) -> Result<Scrubbed, ReadError> {
        let found = {
            let state = self.state.borrow();
            let at = state.segments.partition_point(|segment| segment.base_offset < from);
            let sealed = at < state.sealed_count();
            sealed.then(|| (Rc::clone(&state.segments[at]), state.segments[at + 1].base_offset))
        };
        let Some((segment, next)) = found else { return Ok(Scrubbed { next: None, bytes: 0 }) };
        let layout = self.layout();
        match self.scrub_segment(&segment, next, throttle).await {
            // It was taken away meanwhile: whatever was there is no longer the log's.
            Err(_) if self.layout() != layout => Ok(Scrubbed { next: Some(next), bytes: 0 }),
            Err(error) => Err(error),
            Ok(bytes) => Ok(Scrubbed { next: Some(next), bytes }),
        }
    }

    async fn scrub_segment(
        &self,
        segment: &Rc<Segment>,
        next: Offset,
        throttle: &Throttle,
    ) -> Result<u64, ReadError> {
        let size = u64::from(segment.size.get());
        let file = segment.file(&self.shard).await?;
        // A kernel without cachestat (before 6.5) answers with an error: leave its cache alone.
        let cold = file.cached_bytes(0, size).await.is_ok_and(|cached| cached < size / 2);
        let mut scan = BatchScan::new(file.clone(), segment.base_offset, Some(next), 0, size);
        let mut since_yield = 0;
        loop {
            if let Some(error) = self.failure() {
                return Err(error.into());
            }
            if self.closing.get() {
                return Err(LogError::Closed.into());
            }
            match scan.next().await? {
                Scanned::Batch(header) => {
                    let stopped = || self.failure().is_some() || self.closing.get();
                    throttle.spend(header.size, stopped).await;
                    since_yield += header.size;
                    if since_yield >= SLICE_BYTES {
                        since_yield = 0;
                        self.shard.yield_now().await;
                    }
                }
                Scanned::End => break,
                Scanned::Bad(what) => {
                    let (path, at) = (segment.path("log"), scan.position);
                    let offset = scan.expected;
                    let what = format!("{}: byte {at}, offset {offset}: {what}", path.display());
                    return Err(ReadError::Corrupt(what));
                }
            }
        }
        if cold {
            file.drop_cache(0, size);
        }
        Ok(size)
    }
}

//! Deleting from the start of a log: what is too old, too much, or was asked to go
//! (Kafka's `UnifiedLog.deleteOldSegments`).
//!
//! A segment that goes is first renamed to `.deleted`, so that a start does not take it for a part
//! of the log, and its files are deleted file.delete.delay.ms later, when readers are done with it.

use std::rc::Rc;

use super::partition_log::{Log, LogError, State, Work};
use super::segment::{DELETED, Segment};
use crate::shard::IoError;
use crate::types::Offset;

impl Log {
    /// Moves the log's start to `start` and deletes the segments that lie below it as a whole. The
    /// active segment stays. Returns how many were deleted.
    ///
    /// # Errors
    /// If the log has failed, or a file cannot be renamed.
    pub async fn delete_before(self: &Rc<Self>, start: Offset) -> Result<usize, LogError> {
        let _turn = self.maintenance.take(1).await;
        self.delete_segments_before(start).await
    }

    async fn delete_segments_before(self: &Rc<Self>, start: Offset) -> Result<usize, LogError> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        self.delete_records(start);
        let doomed = self.forget_segments_before(start);
        let count = doomed.len();
        self.retire(doomed).await.map_err(|error| self.failed_with(error))?;
        Ok(count)
    }

    /// Moves the log's start: records below are no longer served. Their segments go when retention
    /// is next applied.
    pub fn delete_records(self: &Rc<Self>, start: Offset) {
        let epochs = self.epochs();
        self.raise_log_start_offset(start);
        if self.epochs() != epochs {
            self.state.borrow_mut().queue.push_back(Work::Epochs);
            self.committer.touch(self);
        }
    }

    /// Deletes the segments that retention.ms, retention.bytes and the log's start leave no place
    /// for, as far as they lie below `high_watermark`. If that is all of them, a new one is begun.
    /// Returns how many were deleted; `None` while the log is being compacted, which takes long.
    ///
    /// # Errors
    /// If the log has failed, or a file cannot be looked at or renamed.
    pub async fn apply_retention(
        self: &Rc<Self>,
        now_ms: i64,
        high_watermark: Offset,
    ) -> Result<Option<usize>, LogError> {
        let Some(_turn) = self.maintenance.try_take(1) else { return Ok(None) };
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let start = self.retention_start(now_ms, high_watermark).await;
        let start = start.map_err(|error| self.failed_with(error))?;
        let fresh = {
            let mut state = self.state.borrow_mut();
            let active = state.active();
            let all = start == state.ends.log_end_offset && active.size.get() > 0;
            all.then(|| {
                self.roll(&mut state, start, now_ms);
                state.active()
            })
        };
        if let Some(fresh) = fresh {
            self.until_named(&fresh).await?;
        }
        self.delete_segments_before(start).await.map(Some)
    }

    /// Where the log would start if everything that is due were deleted.
    async fn retention_start(
        &self,
        now_ms: i64,
        high_watermark: Offset,
    ) -> Result<Offset, IoError> {
        let (config, segments, ends) = {
            let state = self.state.borrow();
            (Rc::clone(&state.config), state.segments.clone(), state.ends)
        };
        let mut start = ends.log_start_offset;
        if !config.deleted {
            return Ok(start);
        }
        let mut left: u64 = segments.iter().map(|segment| u64::from(segment.size.get())).sum();
        for (i, segment) in segments.iter().enumerate() {
            let next = segments.get(i + 1).map(|next| next.base_offset);
            let end = next.unwrap_or(ends.log_end_offset);
            let size = u64::from(segment.size.get());
            if end > high_watermark || (next.is_none() && size == 0) {
                break;
            }
            let spare = config.retention_bytes.and_then(|bytes| left.checked_sub(bytes));
            let too_much = spare.is_some_and(|spare| spare >= size);
            let below = next.is_some_and(|next| next <= start);
            if !(below || too_much || self.is_too_old(segment, config.retention_ms, now_ms).await?)
            {
                break;
            }
            left -= size;
            start = start.max(end);
        }
        Ok(start)
    }

    async fn is_too_old(
        &self,
        segment: &Segment,
        retention_ms: Option<u64>,
        now_ms: i64,
    ) -> Result<bool, IoError> {
        let Some(retention_ms) = retention_ms else { return Ok(false) };
        let written_ms = match segment.max_timestamp.get() {
            -1 => segment.modified_ms(&self.shard).await?,
            timestamp => timestamp,
        };
        // Records of the future keep their segment.
        Ok(u64::try_from(now_ms.saturating_sub(written_ms)).is_ok_and(|age| age > retention_ms))
    }

    /// Waits until the segment's files are made and their names durable.
    async fn until_named(self: &Rc<Self>, segment: &Segment) -> Result<(), LogError> {
        self.committer.touch(self);
        let named = || match self.failure() {
            Some(error) => Some(Err(error)),
            None => segment.named.get().then_some(Ok(())),
        };
        self.changed.until(named).await
    }

    /// Renames segments that the log no longer has, and deletes them later.
    pub(super) async fn retire(self: &Rc<Self>, doomed: Vec<Rc<Segment>>) -> Result<(), IoError> {
        for segment in &doomed {
            // ORDER: oldest first, each gone for good before the next, so that what a crash leaves
            // has no hole.
            segment.mark_deleted(&self.shard).await?;
            self.shard.sync_dir(&self.dir()).await?;
        }
        self.delete_later(doomed);
        Ok(())
    }

    /// Renames segments that another replaces, whose name is that of the first.
    pub(super) async fn retire_replaced(
        self: &Rc<Self>,
        replaced: Vec<Rc<Segment>>,
    ) -> Result<(), IoError> {
        for (i, segment) in replaced.iter().enumerate() {
            match i {
                // Its producer snapshot is that of the new one's start.
                0 => segment.remark(&self.shard, DELETED).await?,
                _ => segment.mark_deleted(&self.shard).await?,
            }
        }
        // ORDER: they are gone for good before the new one looks like any other.
        self.shard.sync_dir(&self.dir()).await?;
        self.delete_later(replaced);
        Ok(())
    }

    fn delete_later(&self, doomed: Vec<Rc<Segment>>) {
        if doomed.is_empty() {
            return;
        }
        let delay_ms = self.config().file_delete_delay_ms;
        let shard = self.shard.clone();
        self.shard.spawn(async move {
            shard.sleep_ms(delay_ms).await;
            for segment in doomed {
                if let Err(error) = segment.delete_files(&shard).await {
                    // The next start tries again.
                    tracing::warn!(%error, "segment_not_deleted");
                }
            }
        });
    }

    /// Takes sealed segments below `start` out of the log.
    fn forget_segments_before(&self, start: Offset) -> Vec<Rc<Segment>> {
        let mut state = self.state.borrow_mut();
        let below = |next: &&Rc<Segment>| next.base_offset <= start;
        let count = state.segments.iter().skip(1).take_while(below).count();
        let count = count.min(state.sealed_count());
        let doomed: Vec<Rc<Segment>> = state.segments.drain(..count).collect();
        state.note_new_layout();
        state.invariants();
        doomed
    }
}

impl State {
    /// Segments were taken out: forgets the places of their batches.
    pub(super) fn note_new_layout(&mut self) {
        self.layout += 1;
        let segments = &self.segments;
        self.recent.retain(|place| segments.iter().any(|s| Rc::ptr_eq(s, &place.segment)));
    }
}

//! Deleting from the start of a log.

use std::rc::Rc;

use super::partition_log::{Log, LogError, Work};
use super::segment::Segment;
use crate::types::Offset;

impl Log {
    /// Moves the log's start to `start` and deletes the segments that lie below it as a whole. The
    /// active segment stays. Returns how many were deleted.
    ///
    /// # Errors
    /// If the log has failed, or a file cannot be deleted.
    pub async fn delete_before(self: &Rc<Self>, start: Offset) -> Result<usize, LogError> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let epochs = self.epochs();
        self.raise_log_start_offset(start);
        let doomed = self.forget_segments_before(start);
        if self.epochs() != epochs {
            self.state.borrow_mut().queue.push_back(Work::Epochs);
            self.committer.touch(self);
        }
        for segment in &doomed {
            // ORDER: oldest first, each gone for good before the next, so that what a crash leaves
            // has no hole.
            let deleted = segment.delete_files(&self.shard).await;
            deleted.map_err(|error| self.failed_with(error))?;
            let synced = self.shard.sync_dir(&self.dir()).await;
            synced.map_err(|error| self.failed_with(error))?;
        }
        Ok(doomed.len())
    }

    /// Takes segments below `start` out of the log. One whose successor has nothing durable yet may
    /// still be at work in the committer, and stays.
    fn forget_segments_before(&self, start: Offset) -> Vec<Rc<Segment>> {
        let mut state = self.state.borrow_mut();
        let durable = state.ends.durable_end_offset;
        let over = |next: &Rc<Segment>| next.base_offset <= start && next.base_offset < durable;
        let count = state.segments.iter().skip(1).take_while(|next| over(next)).count();
        let doomed: Vec<Rc<Segment>> = state.segments.drain(..count).collect();
        let first = state.segments[0].base_offset;
        state.recent.retain(|place| place.segment >= first);
        state.invariants();
        doomed
    }
}

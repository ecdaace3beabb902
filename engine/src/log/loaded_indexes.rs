//! [`LoadedIndexes`]: the indexes of sealed segments that reads have brought into memory. They are
//! kept for the reads that follow, up to a bound; the oldest go first.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use super::index::Indexes;
use super::partition_log::Log;
use super::segment::Segment;
use crate::shard::IoError;
use crate::types::Offset;

/// Those of one shard and log directory.
pub(super) struct LoadedIndexes {
    /// Oldest first, each with its bytes.
    segments: RefCell<VecDeque<(Weak<Segment>, usize)>>,
    bytes: Cell<usize>,
    bytes_max: usize,
}

impl LoadedIndexes {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { segments: RefCell::default(), bytes: Cell::new(0), bytes_max }
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// The indexes of a sealed segment are in memory now. Unloads others if they are too many, the
    /// segment's own last of all.
    fn add(&self, segment: &Rc<Segment>, bytes: usize) {
        self.segments.borrow_mut().push_back((Rc::downgrade(segment), bytes));
        self.bytes.set(self.bytes.get() + bytes);
        while self.bytes.get() > self.bytes_max {
            let Some((oldest, bytes)) = self.segments.borrow_mut().pop_front() else { break };
            self.bytes.set(self.bytes.get() - bytes);
            oldest.upgrade().inspect(|segment| segment.unload_indexes());
        }
    }

    /// Forgets segments that have no indexes in memory any more.
    fn sweep(&self) {
        let loaded = |segment: &Weak<Segment>| segment.upgrade().is_some_and(|s| s.has_indexes());
        let mut segments = self.segments.borrow_mut();
        segments.retain(|(segment, _)| loaded(segment));
        self.bytes.set(segments.iter().map(|(_, bytes)| bytes).sum());
    }
}

impl Log {
    /// Runs `look` on the indexes of a segment, which are read from their files if they are not in
    /// memory. `next_base` is the next segment's, if there is one.
    pub(super) async fn with_indexes<T>(
        &self,
        segment: &Rc<Segment>,
        next_base: Option<Offset>,
        look: impl FnOnce(&Indexes) -> T,
    ) -> Result<T, IoError> {
        let before = segment.has_indexes();
        let mut bytes = 0;
        let answer = segment.with_indexes(&self.shard, next_base, |indexes| {
            bytes = indexes.memory_bytes();
            look(indexes)
        });
        let answer = answer.await?;
        if !before && next_base.is_some() {
            self.committer.loaded_indexes.add(segment, bytes);
        }
        Ok(answer)
    }

    /// Lets go of files, and of indexes of sealed segments, that nobody has used since this was
    /// last called: descriptors and memory are for logs that are read or written.
    pub fn close_idle_files(&self) {
        {
            let state = self.state.borrow();
            let sealed_count = state.sealed_count();
            for (i, segment) in state.segments.iter().enumerate() {
                if segment.close_if_idle() && i < sealed_count {
                    segment.unload_indexes();
                }
            }
        }
        self.committer.loaded_indexes.sweep();
    }
}

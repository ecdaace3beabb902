//! [`Log`]: one partition's log, its state and its life.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use thiserror::Error;

use super::cold::ColdReads;
use super::commit::Committer;
use super::config::LogConfig;
use super::epochs::LeaderEpochs;
use super::producers::Producers;
use super::segment::{Segment, file_name};
use crate::io::{Buf, Mono};
use crate::shard::sync::{Budget, Event};
use crate::shard::{File, IoError, Shard};
use crate::types::{LeaderEpoch, Offset};

/// Batches at the end of a log whose place is remembered, so that reading there needs no lookup.
const RECENT_BATCHES_MAX: usize = 64;
/// A log that has not been read for this long has no readers.
const READER_GONE_MS: u64 = 600_000;

/// The log cannot be used any more: its directory has failed (Kafka: KAFKA_STORAGE_ERROR).
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LogError {
    /// An operation failed; see docs/DURABILITY.md why it is not tried again.
    #[error("the log directory has failed: {0}")]
    DirFailed(IoError),
    /// The log was closed or deleted.
    #[error("the log is closed")]
    Closed,
}

/// The bounds of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnds {
    /// First offset that can be read.
    pub log_start_offset: Offset,
    /// The offset the next record will get.
    pub log_end_offset: Offset,
    /// Everything below is in the file.
    pub written_end_offset: Offset,
    /// Everything below is on the platter.
    pub durable_end_offset: Offset,
}

/// Where a batch lies.
#[derive(Clone)]
pub(super) struct BatchPlace {
    pub(super) base_offset: Offset,
    pub(super) last_offset: Offset,
    pub(super) segment: Rc<Segment>,
    pub(super) position: u32,
    pub(super) size: u32,
}

/// What the committer has to do for a log, in order.
pub(super) enum Work {
    /// Write a batch at the end of a segment.
    Bytes { segment: Rc<Segment>, position: u32, bytes: Buf, end: Offset },
    /// Seal `old` and make `new`.
    Roll { old: Rc<Segment>, new: Rc<Segment>, snapshot: Vec<u8> },
    /// Write the leader epochs down.
    Epochs,
}

/// One partition's log.
pub struct Log {
    pub(super) shard: Shard,
    pub(super) dir: RefCell<PathBuf>,
    pub(super) committer: Rc<Committer>,
    pub(super) state: RefCell<State>,
    /// Any of the ends has moved, or the log has failed.
    pub changed: Event,
    last_read: Cell<Option<Mono>>,
    pub(super) cold_reads: ColdReads,
    /// Held by whoever takes segments out of the log or replaces them.
    pub(super) maintenance: Rc<Budget>,
    /// Held by whoever writes a producer snapshot and what must be durable before it: a roll, a
    /// recovery point, a close.
    pub(super) sealing: Rc<Budget>,
    /// The log is about to be closed: no more maintenance.
    pub(super) closing: Cell<bool>,
    /// Everything below was compacted.
    pub(super) first_dirty: Cell<Option<Offset>>,
}

pub(super) struct State {
    pub(super) config: Rc<LogConfig>,
    /// Ascending; the last is active. Never empty.
    pub(super) segments: Vec<Rc<Segment>>,
    pub(super) ends: LogEnds,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: Producers,
    /// How often segments were taken out of the log.
    pub(super) layout: u64,
    pub(super) queue: VecDeque<Work>,
    pub(super) recent: VecDeque<BatchPlace>,
    /// The committer is at work on the queue.
    pub(super) writing: bool,
    /// Where the write that is under way starts: segment and position.
    pub(super) write_under_way: Option<(Offset, u32)>,
    /// The log waits for the committer to write.
    pub(super) write_queued: bool,
    /// The log waits for the committer to sync.
    pub(super) sync_queued: bool,
    /// Files written to since the last sync.
    pub(super) unsynced: Vec<File>,
    /// Those of them for which a flush of the device is enough.
    pub(super) unflushed: Vec<File>,
    /// How many bytes were written to them.
    pub(super) unsynced_bytes: u64,
    /// The committer knows of them.
    pub(super) dirty_noted: bool,
    pub(super) last_flush_ms: i64,
    /// Up to here somebody waits for a flush.
    pub(super) flush_to: Offset,
    pub(super) failed: Option<LogError>,
}

impl Log {
    pub(super) fn new(
        shard: &Shard,
        dir: &Path,
        committer: Rc<Committer>,
        state: State,
    ) -> Rc<Log> {
        let log = Log {
            shard: shard.clone(),
            dir: RefCell::new(dir.to_owned()),
            committer,
            state: RefCell::new(state),
            changed: Event::default(),
            last_read: Cell::new(None),
            cold_reads: ColdReads::default(),
            maintenance: Budget::new(1),
            sealing: Budget::new(1),
            closing: Cell::new(false),
            first_dirty: Cell::new(None),
        };
        log.state.borrow().invariants();
        Rc::new(log)
    }

    /// The partition's directory.
    pub fn dir(&self) -> PathBuf {
        self.dir.borrow().clone()
    }

    /// The bounds.
    pub fn ends(&self) -> LogEnds {
        self.state.borrow().ends
    }

    /// Notes that somebody reads the log.
    pub(super) fn note_read(&self) {
        self.last_read.set(Some(self.shard.now()));
    }

    /// Whether nobody has read the log of late: what is written to it takes memory from logs whose
    /// readers would miss it.
    pub(super) fn is_unread(&self) -> bool {
        let since = self.last_read.get().map(|at| self.shard.now().ms_since(at));
        since.is_none_or(|ms| ms > READER_GONE_MS)
    }

    /// Lets go of the cached pages of the active segment, but for the last `keep` bytes.
    pub(super) fn drop_cache_behind(&self, keep: u64) {
        let segment = self.state.borrow().active();
        let end = u64::from(self.written_size(&segment)).saturating_sub(keep);
        segment.drop_cache(end);
    }

    /// The end that counts for acknowledgement and replication under the node's durability policy:
    /// the durable end under `sync`, the written end under `replicated` unless `flush.messages`
    /// makes a flush due first.
    pub fn committed_end_offset(&self) -> Offset {
        let state = self.state.borrow();
        let LogEnds { written_end_offset, durable_end_offset, .. } = state.ends;
        let unflushed = (written_end_offset.0 - durable_end_offset.0) as u64;
        if self.committer.syncs_always() || unflushed >= state.config.flush_messages {
            durable_end_offset
        } else {
            written_end_offset
        }
    }

    /// Up to where a start after a crash may trust the files without looking: what is durable.
    /// (The indexes of sealed segments are durable before the next segment is made.)
    pub fn recovery_point(&self) -> Offset {
        self.state.borrow().ends.durable_end_offset
    }

    /// The settings.
    pub fn config(&self) -> Rc<LogConfig> {
        Rc::clone(&self.state.borrow().config)
    }

    /// Takes over new settings, for what is appended from now on.
    pub fn set_config(&self, config: LogConfig) {
        self.state.borrow_mut().config = Rc::new(config);
    }

    /// Why nothing can be appended, if so.
    pub(super) fn refusal(&self) -> Option<LogError> {
        self.failure().or(self.closing.get().then_some(LogError::Closed))
    }

    /// Why the log can no longer be used, if so.
    pub fn failure(&self) -> Option<LogError> {
        self.state.borrow().failed.clone()
    }

    /// The leader epochs.
    pub fn epochs(&self) -> LeaderEpochs {
        self.state.borrow().epochs.clone()
    }

    /// The newest leader epoch that has appended.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.state.borrow().epochs.latest()
    }

    /// Runs `look` on the producers.
    pub fn with_producers<T>(&self, look: impl FnOnce(&Producers) -> T) -> T {
        look(&self.state.borrow().producers)
    }

    /// Forgets producers that have been silent for producer.id.expiration.ms.
    pub fn expire_producers(&self, now_ms: i64) {
        let mut state = self.state.borrow_mut();
        let expiration_ms = state.config.producer_expiration_ms;
        state.producers.expire(now_ms, expiration_ms);
    }

    /// First offset of the oldest transaction that is not decided below `high_watermark`.
    pub fn first_unstable_offset(&self, high_watermark: Offset) -> Option<Offset> {
        self.state.borrow_mut().producers.first_unstable_offset(high_watermark)
    }

    /// Bytes in all segments, whether written yet or not.
    pub fn size_bytes(&self) -> u64 {
        self.state.borrow().segments.iter().map(|segment| u64::from(segment.size.get())).sum()
    }

    /// Base offset of the first segment.
    pub fn first_segment_base(&self) -> Offset {
        self.state.borrow().segments[0].base_offset
    }

    /// Changes when segments are taken out of the log.
    pub(super) fn layout(&self) -> u64 {
        self.state.borrow().layout
    }

    /// Base offset of the sealed segment after the first one at or above `from`.
    pub fn segment_after(&self, from: Offset) -> Option<Offset> {
        let state = self.state.borrow();
        let at = state.segments.partition_point(|segment| segment.base_offset < from) + 1;
        (at < state.sealed_count()).then(|| state.segments[at].base_offset)
    }

    /// How many segments there are.
    pub fn segment_count(&self) -> usize {
        self.state.borrow().segments.len()
    }

    /// Moves the log start, as the log-start-offset checkpoint says at start.
    pub fn raise_log_start_offset(&self, offset: Offset) {
        let mut state = self.state.borrow_mut();
        if offset > state.ends.log_start_offset && offset <= state.ends.log_end_offset {
            state.ends.log_start_offset = offset;
            state.epochs.truncate_from_start(offset);
        }
    }

    /// The log has failed or is given up: nothing more is written, synced or acknowledged.
    pub(super) fn fail(&self, error: LogError) {
        {
            let mut state = self.state.borrow_mut();
            if state.failed.is_none() {
                if error != LogError::Closed {
                    tracing::error!(dir = %self.dir.borrow().display(), %error, "log_failed");
                }
                if let LogError::DirFailed(error) = &error {
                    self.committer.note_failure(error);
                }
                state.failed = Some(error);
            }
            state.queue.clear();
        }
        self.changed.notify();
    }

    /// The log's directory has failed, seen by another log.
    pub fn fail_with_dir(&self, error: &IoError) {
        self.fail(LogError::DirFailed(error.clone()));
    }

    /// Lets go of all files; what goes on with them opens them again.
    pub fn close_files(&self) {
        self.state.borrow().segments.iter().for_each(|segment| segment.close_files());
    }

    /// Writes the index entries of the active segment that wait for it. Cheap when there are none.
    pub async fn store_indexes(&self) -> Result<(), LogError> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let active = self.state.borrow().active();
        // Its files are made by the committer, empty: what was written before would be gone.
        if !active.named.get() {
            return Ok(());
        }
        let stored = active.store_indexes(&self.shard).await;
        stored.map_err(|error| self.failed_with(error))
    }

    pub(super) fn failed_with(&self, error: IoError) -> LogError {
        let error = LogError::DirFailed(error);
        self.fail(error.clone());
        error
    }

    /// Waits until everything appended so far is durable.
    pub async fn flush(self: &Rc<Self>) -> Result<(), LogError> {
        let target = self.ends().log_end_offset;
        // What is not written yet is synced once it is: the sync asked for here may come before.
        self.state.borrow_mut().flush_to = target;
        self.committer.touch(self);
        self.committer.want_sync(self);
        self.changed
            .until(|| {
                let state = self.state.borrow();
                if let Some(error) = &state.failed {
                    return Some(Err(error.clone()));
                }
                (state.ends.durable_end_offset >= target).then_some(Ok(()))
            })
            .await
    }

    /// Whether flush.ms has passed since the last flush and there is something to flush.
    pub fn flush_is_due(&self, now_ms: i64) -> bool {
        let state = self.state.borrow();
        let waited = now_ms.saturating_sub(state.last_flush_ms).max(0) as u64;
        state.ends.durable_end_offset < state.ends.log_end_offset && waited >= state.config.flush_ms
    }

    /// Flushes, writes down what a clean start wants to find, and refuses appends from now on.
    pub async fn close(self: &Rc<Self>) -> Result<(), LogError> {
        // From now on nothing is appended: all that there is ends up in the files.
        self.closing.set(true);
        let _turn = self.maintenance.take(1).await;
        self.flush().await?;
        let _sealing = self.sealing.take(1).await;
        let (active, snapshot, end) = {
            let mut state = self.state.borrow_mut();
            state.failed = Some(LogError::Closed);
            let snapshot = state.producers.encode_snapshot();
            (state.active(), snapshot, state.ends.log_end_offset)
        };
        active.push_last_time();
        let closing = async {
            active.release_reserved(&self.shard).await?;
            active.seal_indexes(&self.shard).await?;
            // Never `00000000000000000000.snapshot`: Kafka has none for an empty start either.
            if end > Offset::ZERO {
                let path = self.dir().join(file_name(end, "snapshot"));
                self.shard.replace_file(&path, snapshot).await?;
                self.forget_noted(active.noted.take().map(|(offset, _)| offset), end).await?;
            }
            self.shard.sync_dir(&self.dir()).await
        };
        closing.await.map_err(|error| self.failed_with(error))
    }

    /// Refuses everything from now on without flushing: the log is about to be deleted. Once this
    /// is over, nobody touches its files any more: another log may take their names.
    pub async fn abandon(&self) {
        self.fail(LogError::Closed);
        drop(self.maintenance.take(1).await);
    }

    /// Consumers may read up to here: transactions whose markers are below are decided for good.
    pub fn note_high_watermark(&self, high_watermark: Offset) {
        self.state.borrow_mut().producers.first_unstable_offset(high_watermark);
    }

    /// The directory was renamed.
    pub fn moved_to(&self, dir: &Path) {
        *self.dir.borrow_mut() = dir.to_owned();
    }
}

impl State {
    pub(super) fn active(&self) -> Rc<Segment> {
        Rc::clone(self.segments.last().expect("a log has a segment"))
    }

    /// How many segments are sealed, files and all: their successor's name is durable. One that was
    /// rolled in memory only may still be at work in the committer.
    pub(super) fn sealed_count(&self) -> usize {
        self.segments.iter().skip(1).take_while(|next| next.named.get()).count()
    }

    /// The file holds something that the next round has to make durable.
    pub(super) fn note_unsynced(&mut self, file: File) {
        if !self.unsynced.iter().any(|other| other.fd() == file.fd()) {
            self.unsynced.push(file);
        }
    }

    /// The same of one for which a flush of the device is enough.
    pub(super) fn note_unflushed(&mut self, file: File) {
        if !self.unflushed.iter().any(|other| other.fd() == file.fd()) {
            self.unflushed.push(file);
        }
    }

    pub(super) fn remember(&mut self, place: BatchPlace) {
        if self.recent.len() == RECENT_BATCHES_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(place);
    }

    /// The segment that holds `offset` or would, and the base of the next one.
    pub(super) fn segment_for(&self, offset: Offset) -> Option<(Rc<Segment>, Option<Offset>)> {
        let next = self.segments.partition_point(|segment| segment.base_offset <= offset);
        let at = next.checked_sub(1)?;
        let next_base = self.segments.get(next).map(|segment| segment.base_offset);
        Some((Rc::clone(&self.segments[at]), next_base))
    }

    /// The base of the segment after the one at `base`, or where that would be.
    pub(super) fn base_after(&self, base: Offset) -> Option<Offset> {
        let next = self.segments.partition_point(|segment| segment.base_offset <= base);
        self.segments.get(next).map(|segment| segment.base_offset)
    }

    /// Panics if the ends or the segments contradict each other.
    pub(super) fn invariants(&self) {
        let LogEnds { log_start_offset, log_end_offset, written_end_offset, durable_end_offset } =
            self.ends;
        assert!(log_start_offset <= log_end_offset, "{:?}", self.ends);
        assert!(durable_end_offset <= written_end_offset, "{:?}", self.ends);
        assert!(written_end_offset <= log_end_offset, "{:?}", self.ends);
        assert!(!self.segments.is_empty(), "a log without a segment");
        let ascending = self.segments.is_sorted_by(|a, b| a.base_offset < b.base_offset);
        assert!(ascending, "segments are out of order");
        let active = self.segments.last().expect("not empty").base_offset;
        assert!(active <= log_end_offset, "the active segment starts past the end");
    }
}

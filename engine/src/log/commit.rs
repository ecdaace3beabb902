//! The committer: one per shard and log directory. It writes what the logs of the directory have
//! queued, then asks for it to be made durable, all together: group commit, which goes on in the
//! driver, across shards (`io::group_sync`).
//!
//! Writing and syncing overlap. While a sync runs, appends are written and join the next one.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;

use super::direct::{IoMode, Landed, TailMemory};
use super::loaded_indexes::LoadedIndexes;
use super::partition_log::{Log, LogError, Work};
use super::segment::{Segment, file_name};
use crate::io::{BLOCK_BYTES_POOLED_MAX, BUF_ALIGN, Chunk, Errno, Mono, WritePath, chunks_len};
use crate::shard::sync::Event;
use crate::shard::{File, IoError, Shard};
use crate::types::Offset;

/// Bytes of one coalesced write at most, so that one busy log does not keep the shard.
const WRITE_BYTES_MAX: usize = 8 << 20;
/// The same past the page cache, where it is copied: with the rest of a block before it, it fits
/// the largest buffer that is used again.
const DIRECT_WRITE_BYTES_MAX: usize = BLOCK_BYTES_POOLED_MAX - 2 * BUF_ALIGN;
/// A log that has not been written to for this long has its file trimmed.
const IDLE_MS: u64 = 1000;
/// Rounds of syncing that may be under way at once.
const ROUNDS_MAX: u64 = 32;

/// How a committer works.
#[derive(Clone, Copy, Debug)]
pub struct CommitterOptions {
    /// Sync after every write (`ringlog.durability=sync`), or only when asked.
    pub sync_always: bool,
    /// Through the page cache or past it.
    pub io_mode: IoMode,
    /// Memory for the ends of logs that are written past the page cache.
    pub tail_bytes: usize,
    /// Who writes to the page cache.
    pub write_path: WritePath,
    /// Bytes written and not synced from which all are on their way to the device, and writes no
    /// longer block the shard, which the kernel may hold back (`ringlog.dirty.bytes.max`).
    pub dirty_bytes_max: u64,
    /// Bytes at the end of a log that stay in the page cache while nobody reads it
    /// (`ringlog.unread.cache.bytes`); `None` leaves all to the kernel.
    pub unread_cache_bytes: Option<u64>,
    /// Bytes of indexes of sealed segments that are kept in memory after a read.
    pub index_bytes_max: usize,
}

/// Indexes of sealed segments that a shard keeps in memory, for each log directory, unless it is
/// told otherwise: those of half a dozen segments of a gigabyte.
const INDEX_BYTES_MAX: usize = 32 << 20;

impl Default for CommitterOptions {
    /// What a node does unless it is told otherwise.
    fn default() -> Self {
        Self {
            sync_always: true,
            io_mode: IoMode::Buffered,
            tail_bytes: 0,
            write_path: WritePath::Blocking,
            dirty_bytes_max: 256 << 20,
            unread_cache_bytes: None,
            index_bytes_max: INDEX_BYTES_MAX,
        }
    }
}

/// Writes and syncs the logs of one directory.
pub struct Committer {
    shard: Shard,
    options: CommitterOptions,
    to_write: RefCell<Vec<Rc<Log>>>,
    to_sync: RefCell<Vec<Rc<Log>>>,
    to_trim: RefCell<Vec<Rc<Log>>>,
    dirty_bytes: Cell<u64>,
    /// Logs with such bytes, if nothing syncs them at once.
    dirty: RefCell<Vec<Rc<Log>>>,
    trim_wanted: Event,
    tail_memory: Rc<TailMemory>,
    write_wanted: Event,
    sync_wanted: Event,
    rounds_started: Cell<u64>,
    rounds_ended: Cell<u64>,
    round_ended: Event,
    stopped: Cell<bool>,
    /// The file system of the directory, once it is known.
    device: Cell<Option<u64>>,
    dir_failed: Event,
    dir_failure: RefCell<Option<IoError>>,
    pub(super) loaded_indexes: LoadedIndexes,
}

impl Committer {
    /// Starts the committer's two tasks on `shard`.
    pub fn start(shard: &Shard, options: CommitterOptions) -> Rc<Committer> {
        let committer = Rc::new(Committer {
            shard: shard.clone(),
            options,
            to_write: RefCell::default(),
            to_sync: RefCell::default(),
            to_trim: RefCell::default(),
            dirty_bytes: Cell::new(0),
            dirty: RefCell::default(),
            trim_wanted: Event::default(),
            tail_memory: TailMemory::new(options.tail_bytes),
            write_wanted: Event::default(),
            sync_wanted: Event::default(),
            rounds_started: Cell::new(0),
            rounds_ended: Cell::new(0),
            round_ended: Event::default(),
            stopped: Cell::new(false),
            device: Cell::new(None),
            dir_failed: Event::default(),
            dir_failure: RefCell::default(),
            loaded_indexes: LoadedIndexes::new(options.index_bytes_max),
        });
        let writer = Rc::clone(&committer);
        shard.spawn(async move { writer.run_writer().await });
        let syncer = Rc::clone(&committer);
        shard.spawn(async move { syncer.run_syncer().await });
        let trimmer = Rc::clone(&committer);
        shard.spawn(async move { trimmer.run_trimmer().await });
        committer
    }

    /// Ends both tasks once they have nothing left to do.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.write_wanted.notify();
        self.sync_wanted.notify();
        self.trim_wanted.notify();
    }

    /// One of the directory's logs has failed of something that is not the log's own.
    pub(super) fn note_failure(&self, error: &IoError) {
        let lacks_descriptors = matches!(error.errno, Errno::EMFILE | Errno::ENFILE);
        if lacks_descriptors || error.errno.is_lack_of_room() {
            return;
        }
        self.dir_failure.borrow_mut().get_or_insert_with(|| error.clone());
        self.dir_failed.notify();
    }

    /// Waits until an operation on one of the directory's files fails.
    pub async fn until_dir_fails(&self) -> IoError {
        self.dir_failed.until(|| self.dir_failure.borrow().clone()).await
    }

    /// Whether every write is followed by a sync.
    pub fn syncs_always(&self) -> bool {
        self.options.sync_always
    }

    /// Bytes that are written and not known to be durable.
    pub fn dirty_bytes(&self) -> u64 {
        self.dirty_bytes.get()
    }

    /// Bytes of indexes of sealed segments in memory.
    pub fn loaded_index_bytes(&self) -> usize {
        self.loaded_indexes.bytes()
    }

    /// Rounds of syncing so far.
    pub fn sync_count(&self) -> u64 {
        self.rounds_ended.get()
    }

    /// The log has work queued.
    pub(super) fn touch(&self, log: &Rc<Log>) {
        if std::mem::replace(&mut log.state.borrow_mut().write_queued, true) {
            return;
        }
        self.to_write.borrow_mut().push(Rc::clone(log));
        self.write_wanted.notify();
    }

    /// The log wants to be synced.
    pub(super) fn want_sync(&self, log: &Rc<Log>) {
        if std::mem::replace(&mut log.state.borrow_mut().sync_queued, true) {
            return;
        }
        self.to_sync.borrow_mut().push(Rc::clone(log));
        self.sync_wanted.notify();
    }

    async fn run_writer(self: Rc<Self>) {
        loop {
            let stop = self
                .write_wanted
                .until(|| match self.to_write.borrow().is_empty() {
                    false => Some(false),
                    true => self.stopped.get().then_some(true),
                })
                .await;
            if stop {
                return;
            }
            // Everything that this turn appends goes out together.
            self.shard.run_last().await;
            let logs = self.to_write.take();
            for log in logs {
                log.state.borrow_mut().write_queued = false;
                self.write_log(log).await;
            }
        }
    }

    /// Writes what `log` has queued. What takes file operations beyond a write goes on in a task
    /// of its own, so that the other logs do not wait for it.
    async fn write_log(self: &Rc<Self>, log: Rc<Log>) {
        if std::mem::replace(&mut log.state.borrow_mut().writing, true) {
            // That task looks at the queue again before it ends.
            return;
        }
        let plain = log.state.borrow().queue.iter().all(|work| matches!(work, Work::Bytes { .. }));
        let at_once =
            self.options.io_mode == IoMode::Buffered && self.write_path() != WritePath::Ring;
        if plain && at_once {
            self.drain(&log).await;
            return;
        }
        let this = Rc::clone(self);
        self.shard.spawn(async move { this.drain(&log).await });
    }

    async fn drain(&self, log: &Rc<Log>) {
        let bytes_max = match self.options.io_mode {
            IoMode::Buffered => WRITE_BYTES_MAX,
            IoMode::Direct => DIRECT_WRITE_BYTES_MAX,
        };
        loop {
            let Some(step) = take_step(log, bytes_max) else { break };
            let result = match step {
                Step::Write { segment, chunks, position, end } => {
                    self.write(log, segment, chunks, position, end).await
                }
                Step::Work(work) => self.carry_out(log, work).await,
            };
            if let Err(error) = result {
                log.fail(LogError::DirFailed(error));
                break;
            }
        }
        log.state.borrow_mut().writing = false;
    }

    async fn write(
        &self,
        log: &Rc<Log>,
        segment: Rc<Segment>,
        chunks: Vec<Chunk>,
        position: u32,
        end: Offset,
    ) -> Result<(), IoError> {
        let file = segment.file(&self.shard).await?;
        let bytes = chunks_len(&chunks) as u64;
        let position = u64::from(position);
        let landed = match self.options.io_mode {
            IoMode::Buffered => {
                file.write_at(chunks, position, self.write_path()).await?;
                Landed::Beyond
            }
            IoMode::Direct => {
                let (shard, memory) = (&self.shard, &self.tail_memory);
                let landed = segment.write_direct(shard, &chunks, position, memory).await?;
                self.lay_out_ahead(log, &segment);
                self.trim_later(log);
                landed
            }
        };
        let (flush_due, segment_bytes) = {
            let mut state = log.state.borrow_mut();
            state.write_under_way = None;
            assert!(end > state.ends.written_end_offset, "the written end moves forward");
            state.ends.written_end_offset = end;
            match landed {
                Landed::Beyond => state.note_unsynced(file.clone()),
                Landed::LaidOut => state.note_unflushed(file.clone()),
            }
            state.unsynced_bytes += bytes;
            self.dirty_bytes.set(self.dirty_bytes.get() + bytes);
            let unflushed = (end.0 - state.ends.durable_end_offset.0) as u64;
            let due = unflushed >= state.config.flush_messages
                || state.flush_to > state.ends.durable_end_offset;
            (due, state.config.segment_bytes)
        };
        if self.options.sync_always || flush_due {
            self.want_sync(log);
        }
        if !self.options.sync_always {
            log.changed.notify();
            self.limit_dirty(log);
        }
        if self.options.io_mode == IoMode::Buffered {
            segment.reserve_ahead(&file, segment_bytes).await;
        }
        Ok(())
    }

    /// Who writes: the shard itself, unless the kernel may make it wait for the device.
    fn write_path(&self) -> WritePath {
        match self.dirty_bytes.get() > self.options.dirty_bytes_max {
            true => WritePath::Ring,
            false => self.options.write_path,
        }
    }

    /// Nothing else syncs what this log has written; at the limit, all that there is goes out.
    fn limit_dirty(&self, log: &Rc<Log>) {
        if !std::mem::replace(&mut log.state.borrow_mut().dirty_noted, true) {
            self.dirty.borrow_mut().push(Rc::clone(log));
        }
        if self.dirty_bytes.get() > self.options.dirty_bytes_max {
            for log in self.dirty.take() {
                log.state.borrow_mut().dirty_noted = false;
                self.want_sync(&log);
            }
        }
    }

    /// Has zeros written ahead of the segment's end, if few are left.
    fn lay_out_ahead(&self, log: &Rc<Log>, segment: &Rc<Segment>) {
        let (is_active, segment_bytes) = {
            let state = log.state.borrow();
            (Rc::ptr_eq(&state.active(), segment), state.config.segment_bytes)
        };
        if !is_active || !segment.start_laying_out(segment_bytes) {
            return;
        }
        let (this, log, segment) = (Rc::clone(&log.committer), Rc::clone(log), Rc::clone(segment));
        self.shard.spawn(async move {
            let laid_out = async {
                segment.lay_out(&this.shard).await?;
                // ORDER: what is written there from now on counts once the device is flushed,
                // without a word to the file system: it must know of the place for good.
                let file = segment.file(&this.shard).await?;
                this.sync_in_round(&log, file).await
            };
            let laid_out = laid_out.await;
            segment.end_laying_out(laid_out.is_ok());
            if let Err(error) = laid_out {
                log.fail(LogError::DirFailed(error));
            }
        });
    }

    /// Has the log's file trimmed once nothing has been written to it for a while.
    fn trim_later(&self, log: &Rc<Log>) {
        let mut to_trim = self.to_trim.borrow_mut();
        if !to_trim.iter().any(|other| Rc::ptr_eq(other, log)) {
            to_trim.push(Rc::clone(log));
            self.trim_wanted.notify();
        }
    }

    async fn run_trimmer(self: Rc<Self>) {
        loop {
            let wanted = || match self.to_trim.borrow().is_empty() {
                false => Some(false),
                true => self.stopped.get().then_some(true),
            };
            if self.trim_wanted.until(wanted).await || self.stopped.get() {
                return;
            }
            let before = self.shard.now();
            self.shard.sleep_ms(IDLE_MS).await;
            for log in self.to_trim.take() {
                self.trim(&log, before).await;
            }
        }
    }

    /// Trims a log's file, unless it is written to.
    async fn trim(&self, log: &Rc<Log>, before: Mono) {
        let active = {
            let mut state = log.state.borrow_mut();
            if state.failed.is_some() {
                return;
            }
            let active = state.active();
            // Trimming syncs the file by itself: not while a round may hold it.
            let unsynced = self.options.sync_always
                && state.ends.durable_end_offset < state.ends.written_end_offset;
            if unsynced || !active.may_trim(before) || !state.queue.is_empty() || state.writing {
                drop(state);
                return self.trim_later(log);
            }
            state.writing = true;
            active
        };
        if let Err(error) = active.trim(&self.shard).await {
            log.fail(LogError::DirFailed(error));
        }
        // What has come meanwhile has been left to whoever is at work on the log.
        self.drain(log).await;
    }

    async fn carry_out(&self, log: &Rc<Log>, work: Work) -> Result<(), IoError> {
        match work {
            Work::Bytes { .. } => unreachable!("taken as a write"),
            Work::Epochs => {
                let text = log.state.borrow().epochs.render();
                let path = log.dir().join("leader-epoch-checkpoint");
                self.shard.replace_file(&path, text.into_bytes()).await
            }
            Work::Roll { old, new, snapshot } => self.roll(log, &old, &new, snapshot).await,
        }
    }

    async fn roll(
        &self,
        log: &Rc<Log>,
        old: &Segment,
        new: &Segment,
        snapshot: Vec<u8>,
    ) -> Result<(), IoError> {
        let _sealing = log.sealing.take(1).await;
        // ORDER: where a new segment is, the old one and its indexes are durable, whatever the
        // policy. Recovery trusts indexes below the recovery point, and cannot tell a lost end of a
        // sealed segment from compaction's work.
        old.release_reserved(&self.shard).await?;
        self.sync_in_round(log, old.file(&self.shard).await?).await?;
        if self.options.unread_cache_bytes.is_some() && log.is_unread() {
            old.drop_cache(u64::from(old.size.get()));
        }
        old.seal_indexes(&self.shard).await?;
        if !old.txns.is_empty() {
            // ORDER: the name of its transaction index, which not every segment has, is durable
            // before it has a successor. From then on nobody would miss it.
            self.shard.sync_dir(&log.dir()).await?;
        }
        old.unload_indexes();
        new.create_files(&self.shard).await?;
        let config = log.config();
        if config.preallocate {
            new.reserve_whole(&self.shard, config.segment_bytes).await?;
        }
        // ORDER: this makes all names in the directory durable, the new segment's too, before
        // anything in it can count as such.
        let path = log.dir().join(file_name(new.base_offset, "snapshot"));
        self.shard.replace_file(&path, snapshot).await?;
        let noted = old.noted.take().map(|(offset, _)| offset);
        log.forget_noted(noted, new.base_offset).await?;
        new.named.set(true);
        log.changed.notify();
        // Sealing is the one flush that Kafka's default settings make too.
        self.want_sync(log);
        Ok(())
    }

    async fn run_syncer(self: Rc<Self>) {
        loop {
            let stop = self
                .sync_wanted
                .until(|| match self.to_sync.borrow().is_empty() {
                    false => (self.rounds_under_way() < ROUNDS_MAX).then_some(false),
                    true => self.stopped.get().then_some(true),
                })
                .await;
            if stop {
                return;
            }
            self.shard.run_last().await;
            let logs = self.to_sync.take();
            let round = self.rounds_started.get();
            self.rounds_started.set(round + 1);
            let this = Rc::clone(&self);
            self.shard.spawn(async move { this.sync_logs(&logs, round).await });
        }
    }

    /// Makes a file of the log durable, in a round: what the kernel has to say of a file's failure
    /// it says once, so nothing else may sync what a round may hold.
    async fn sync_in_round(&self, log: &Rc<Log>, file: File) -> Result<(), IoError> {
        let round = self.rounds_started.get();
        log.state.borrow_mut().note_unsynced(file);
        self.want_sync(log);
        self.round_ended.until(|| (self.rounds_ended.get() > round).then_some(())).await;
        match log.failure() {
            Some(LogError::DirFailed(error)) => Err(error),
            _ => Ok(()),
        }
    }

    fn rounds_under_way(&self) -> u64 {
        self.rounds_started.get() - self.rounds_ended.get()
    }

    /// One round, the `number`th: all of `logs`, up to what they have written by now.
    async fn sync_logs(&self, logs: &[Rc<Log>], number: u64) {
        let mut round = Vec::with_capacity(logs.len());
        let (mut files, mut laid_out) = (Vec::new(), Vec::new());
        let (mut bytes, mut given_up) = (0, 0);
        for log in logs {
            let mut state = log.state.borrow_mut();
            state.sync_queued = false;
            let unsynced_bytes = std::mem::take(&mut state.unsynced_bytes);
            if state.failed.as_ref().is_some_and(|error| *error != LogError::Closed) {
                given_up += unsynced_bytes;
                continue;
            }
            files.append(&mut state.unsynced);
            laid_out.append(&mut state.unflushed);
            bytes += unsynced_bytes;
            round.push((log, state.ends.written_end_offset));
        }
        let synced = self.sync_files(&files, &laid_out).await;
        // ORDER: a round covers what was written since the one before it was formed, so it proves
        // nothing until that one has ended.
        let my_turn = || (self.rounds_ended.get() == number).then_some(());
        self.round_ended.until(my_turn).await;
        for (log, end) in round {
            let lost = matches!(log.failure(), Some(LogError::DirFailed(_)));
            match &synced {
                // An earlier round has lost what this one could not have missed.
                Ok(()) if lost => {}
                Ok(()) => self.mark_durable(log, end),
                // Not tried again: the kernel marks the pages clean, and a second sync would lie.
                Err(error) => log.fail(LogError::DirFailed(error.clone())),
            }
        }
        self.dirty_bytes.set(self.dirty_bytes.get() - bytes - given_up);
        self.rounds_ended.set(number + 1);
        self.round_ended.notify();
        self.sync_wanted.notify();
    }

    async fn sync_files(&self, files: &[File], laid_out: &[File]) -> Result<(), IoError> {
        let Some(first) = files.first().or(laid_out.first()) else { return Ok(()) };
        let device = match self.device.get() {
            Some(device) => device,
            None => {
                // Once, by its name. To look at a file that is written to has its time of writing
                // change with every write that follows (Linux 6.13), which is a change of metadata.
                let dir = first.path().parent().unwrap_or(Path::new("."));
                let device = self.shard.stat(dir).await?.map_or(0, |stat| stat.device);
                self.device.set(Some(device));
                device
            }
        };
        self.shard.sync_files(device, files, laid_out).await
    }

    fn mark_durable(&self, log: &Rc<Log>, end: Offset) {
        {
            let mut state = log.state.borrow_mut();
            assert!(end <= state.ends.written_end_offset, "durable but not written");
            state.ends.durable_end_offset = state.ends.durable_end_offset.max(end);
            state.last_flush_ms = self.shard.unix_ms();
        }
        log.changed.notify();
        if let Some(keep) = self.options.unread_cache_bytes
            && log.is_unread()
        {
            log.drop_cache_behind(keep);
        }
    }
}

enum Step {
    Write { segment: Rc<Segment>, chunks: Vec<Chunk>, position: u32, end: Offset },
    Work(Work),
}

/// The next thing to do: neighbouring batches of one segment as one write, anything else alone.
fn take_step(log: &Rc<Log>, bytes_max: usize) -> Option<Step> {
    let mut state = log.state.borrow_mut();
    let (segment, position, mut end, mut chunks, mut size) = match state.queue.pop_front()? {
        Work::Bytes { segment, position, bytes, end } => {
            let size = bytes.len();
            (segment, position, end, vec![Chunk::from(bytes)], size)
        }
        other => return Some(Step::Work(other)),
    };
    while let Some(Work::Bytes { segment: next, bytes, .. }) = state.queue.front() {
        if !Rc::ptr_eq(next, &segment) || size + bytes.len() > bytes_max {
            break;
        }
        let Some(Work::Bytes { bytes, end: next_end, .. }) = state.queue.pop_front() else {
            unreachable!("just seen")
        };
        size += bytes.len();
        end = next_end;
        chunks.push(Chunk::from(bytes));
    }
    state.write_under_way = Some((segment.base_offset, position));
    Some(Step::Write { segment, chunks, position, end })
}

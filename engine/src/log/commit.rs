//! The committer: one per shard and log directory. It writes what the logs of the directory have
//! queued, then makes it durable, all together: group commit.
//!
//! Writing and syncing overlap. While a sync runs, appends are written and wait for the next one,
//! which starts as soon as the running one ends and covers all of them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::direct::{IoMode, TailMemory};
use super::partition_log::{Log, LogError, Work};
use super::segment::{Segment, file_name};
use crate::io::{Chunk, Mono, WritePath};
use crate::shard::sync::Event;
use crate::shard::{File, IoError, Shard};
use crate::types::Offset;

/// Bytes of one coalesced write at most, so that one busy log does not keep the shard.
const WRITE_BYTES_MAX: usize = 8 << 20;
/// A log that has not been written to for this long has its file trimmed.
const IDLE_MS: u64 = 1000;
/// How often the slower way of syncing several files is tried, to notice when it is no longer.
const PROBE_ONE_IN: u64 = 64;

/// How several files are made durable at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMethod {
    /// Whichever has been faster of late.
    #[default]
    Auto,
    /// fdatasync of each, all at once.
    Fdatasync,
    /// One syncfs.
    SyncFs,
}

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
    /// How several files are synced.
    pub sync_method: SyncMethod,
    /// Bytes at the end of a log that stay in the page cache while nobody reads it
    /// (`ringlog.unread.cache.bytes`); `None` leaves all to the kernel.
    pub unread_cache_bytes: Option<u64>,
}

/// Writes and syncs the logs of one directory.
pub struct Committer {
    shard: Shard,
    options: CommitterOptions,
    to_write: RefCell<Vec<Rc<Log>>>,
    to_sync: RefCell<Vec<Rc<Log>>>,
    to_trim: RefCell<Vec<Rc<Log>>>,
    trim_wanted: Event,
    tail_memory: Rc<TailMemory>,
    write_wanted: Event,
    sync_wanted: Event,
    costs: Costs,
    syncs: Cell<u64>,
    stopped: Cell<bool>,
}

/// What syncing a file has cost of late, by method, in nanoseconds; 0 is unknown.
#[derive(Default)]
struct Costs {
    fdatasync: Cell<u64>,
    sync_fs: Cell<u64>,
    rounds: Cell<u64>,
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
            trim_wanted: Event::default(),
            tail_memory: TailMemory::new(options.tail_bytes),
            write_wanted: Event::default(),
            sync_wanted: Event::default(),
            costs: Costs::default(),
            syncs: Cell::new(0),
            stopped: Cell::new(false),
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

    /// Whether every write is followed by a sync.
    pub fn syncs_always(&self) -> bool {
        self.options.sync_always
    }

    /// Rounds of syncing so far.
    pub fn sync_count(&self) -> u64 {
        self.syncs.get()
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
        let at_once = self.options.io_mode == IoMode::Buffered
            && self.options.write_path == WritePath::Blocking;
        if plain && at_once {
            self.drain(&log).await;
            return;
        }
        let this = Rc::clone(self);
        self.shard.spawn(async move { this.drain(&log).await });
    }

    async fn drain(&self, log: &Rc<Log>) {
        loop {
            let Some(step) = take_step(log) else { break };
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
        let position = u64::from(position);
        match self.options.io_mode {
            IoMode::Buffered => file.write_at(chunks, position, self.options.write_path).await?,
            IoMode::Direct => {
                let segment_bytes = log.state.borrow().config.segment_bytes;
                let (shard, memory) = (&self.shard, &self.tail_memory);
                segment.write_direct(shard, &chunks, position, segment_bytes, memory).await?;
                self.trim_later(log);
            }
        }
        let (flush_due, segment_bytes) = {
            let mut state = log.state.borrow_mut();
            state.write_under_way = None;
            assert!(end > state.ends.written_end_offset, "the written end moves forward");
            state.ends.written_end_offset = end;
            if !state.unsynced.iter().any(|other| other.fd() == file.fd()) {
                state.unsynced.push(file.clone());
            }
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
        }
        if self.options.io_mode == IoMode::Buffered {
            segment.reserve_ahead(&file, segment_bytes).await;
        }
        Ok(())
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
            if !active.may_trim(before) || !state.queue.is_empty() || state.writing {
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
            Work::Roll { old, new, snapshot } => {
                // ORDER: where a new segment is, the old one and its indexes are durable. Recovery
                // trusts indexes below the recovery point, and cannot tell a lost end of a sealed
                // segment from compaction's work.
                old.release_reserved(&self.shard).await?;
                if self.options.sync_always {
                    old.file(&self.shard).await?.fdatasync().await?;
                    if self.options.unread_cache_bytes.is_some() && log.is_unread() {
                        old.drop_cache(u64::from(old.size.get()));
                    }
                }
                old.seal_indexes(&self.shard).await?;
                old.unload_indexes();
                let path = log.dir().join(file_name(new.base_offset, "snapshot"));
                self.shard.replace_file(&path, snapshot).await?;
                new.create_files(&self.shard).await?;
                log.state.borrow_mut().names_unsynced = true;
                // Sealing is the one flush that Kafka's default settings make too.
                self.want_sync(log);
                Ok(())
            }
        }
    }

    async fn run_syncer(self: Rc<Self>) {
        loop {
            let stop = self
                .sync_wanted
                .until(|| match self.to_sync.borrow().is_empty() {
                    false => Some(false),
                    true => self.stopped.get().then_some(true),
                })
                .await;
            if stop {
                return;
            }
            self.shard.run_last().await;
            let logs = self.to_sync.take();
            self.sync_logs(&logs).await;
        }
    }

    /// One round: all of `logs`, up to what they have written by now.
    async fn sync_logs(&self, logs: &[Rc<Log>]) {
        let mut round = Vec::with_capacity(logs.len());
        let mut files = Vec::new();
        for log in logs {
            let mut state = log.state.borrow_mut();
            state.sync_queued = false;
            if state.failed.as_ref().is_some_and(|error| *error != LogError::Closed) {
                continue;
            }
            files.append(&mut state.unsynced);
            let names = std::mem::take(&mut state.names_unsynced);
            round.push((log, state.ends.written_end_offset, names));
        }
        let synced = self.sync_files(files).await;
        self.syncs.set(self.syncs.get() + 1);
        for (log, end, names) in round {
            let result = match &synced {
                // ORDER: a new segment's name is durable before anything in it counts as such.
                Ok(()) if names => self.shard.sync_dir(&log.dir()).await,
                other => other.clone(),
            };
            match result {
                Ok(()) => self.mark_durable(log, end),
                // Not tried again: the kernel marks the pages clean, and a second sync would lie.
                Err(error) => log.fail(LogError::DirFailed(error)),
            }
        }
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

    async fn sync_files(&self, files: Vec<File>) -> Result<(), IoError> {
        let one_by_one = match (files.len(), self.options.sync_method) {
            (0, _) => return Ok(()),
            (1, _) | (_, SyncMethod::Fdatasync) => true,
            (_, SyncMethod::SyncFs) => false,
            (_, SyncMethod::Auto) => self.costs.prefers_fdatasync(),
        };
        let start = self.shard.clock();
        let count = files.len() as u64;
        if one_by_one {
            let started: Vec<_> = files.iter().map(|file| file.start_fdatasync()).collect();
            let mut result = Ok(());
            for (sync, file) in started.into_iter().zip(&files) {
                // Each is awaited even after a failure: none may be left running unseen.
                let this = file.finish_fdatasync(sync).await;
                result = result.and(this);
            }
            result?;
        } else {
            files[0].sync_fs().await?;
        }
        if count > 1 {
            let cost = self.shard.clock().0.saturating_sub(start.0) / count;
            self.costs.learn(one_by_one, cost);
        }
        Ok(())
    }
}

impl Costs {
    fn prefers_fdatasync(&self) -> bool {
        let round = self.rounds.get();
        self.rounds.set(round + 1);
        let (fdatasync, sync_fs) = (self.fdatasync.get(), self.sync_fs.get());
        let better = fdatasync == 0 || (sync_fs != 0 && fdatasync <= sync_fs);
        better != (round % PROBE_ONE_IN == PROBE_ONE_IN - 1)
    }

    fn learn(&self, fdatasync: bool, cost_ns: u64) {
        let slot = if fdatasync { &self.fdatasync } else { &self.sync_fs };
        slot.set(match slot.get() {
            0 => cost_ns.max(1),
            old => (old * 7 + cost_ns) / 8,
        });
    }
}

enum Step {
    Write { segment: Rc<Segment>, chunks: Vec<Chunk>, position: u32, end: Offset },
    Work(Work),
}

/// The next thing to do: neighbouring batches of one segment as one write, anything else alone.
fn take_step(log: &Rc<Log>) -> Option<Step> {
    let mut state = log.state.borrow_mut();
    let (segment, position, mut end, mut chunks, mut size) = match state.queue.pop_front()? {
        Work::Bytes { segment, position, bytes, end } => {
            let size = bytes.len();
            (segment, position, end, vec![Chunk::from(bytes)], size)
        }
        other => return Some(Step::Work(other)),
    };
    while let Some(Work::Bytes { segment: next, bytes, .. }) = state.queue.front() {
        if !Rc::ptr_eq(next, &segment) || size + bytes.len() > WRITE_BYTES_MAX {
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

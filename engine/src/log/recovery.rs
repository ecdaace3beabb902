//! Opening a log: the files as they are found, to a state that appends can go on from
//! (Kafka's `LogLoader`).
//!
//! After a clean stop nothing is scanned but the last batches behind the last index entry. After
//! anything else, the log is read from the recovery point on, and before that as far back as the
//! indexes below it reach (`recovery::resume`): every batch must follow the one before and have its
//! CRC; where that ends, the log ends, and what comes after is cut off.
//! Below the recovery point nothing may be torn: a bad batch there is corruption, and the log is
//! not opened rather than cut. Nor is one that ends below it (docs/DURABILITY.md).

mod resume;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use thiserror::Error;

use super::append::apply_control;
use super::commit::Committer;
use super::compact::settle_swaps;
use super::config::LogConfig;
use super::epochs::LeaderEpochs;
use super::index::Indexes;
use super::lookup::{HeaderWalk, time_entry_is_true};
use super::partition_log::{Log, LogEnds, State};
use super::producers::Producers;
use super::reader::ReadError;
use super::scan::{BatchScan, Scanned};
use super::segment::{Segment, file_name, parse_file_name};
use super::txn_index::{self, AbortedTxn};
use crate::io::Buf;
use crate::shard::{File, IoError, Shard};
use crate::types::Offset;

const EPOCHS_FILE: &str = "leader-epoch-checkpoint";
const SMALL_FILE_BYTES_MAX: u64 = 64 << 20;

/// Why a log cannot be opened.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LoadError {
    /// The directory cannot be read or mended.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Data that was durable is not a batch any more.
    #[error(
        "{path}: corrupt at byte {position}, {place}: {what}. This is not a torn write; nothing \
         has been cut off",
        path = path.display()
    )]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// How we know that it was durable.
        place: String,
        /// What is wrong there.
        what: String,
    },
    /// Data that was durable is gone.
    #[error(
        "{dir}: the log ends at {end}, below the recovery point {recovery_point}: records that \
         were durable are gone. Nothing has been changed. To go on without them, take the \
         partition's line out of recovery-point-offset-checkpoint",
        dir = dir.display()
    )]
    Short {
        /// The partition's directory.
        dir: PathBuf,
        /// Where the log ends.
        end: Offset,
        /// Everything below was durable.
        recovery_point: Offset,
    },
    /// A segment that is trusted holds what is no batch.
    #[error(transparent)]
    Unreadable(ReadError),
}

/// What is known about a log before it is opened.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The settings.
    pub config: LogConfig,
    /// The directory was closed properly.
    pub clean: bool,
    /// From the recovery-point-offset-checkpoint; 0 if it is not there.
    pub recovery_point: Offset,
    /// From the log-start-offset-checkpoint, if it is there.
    pub log_start_offset: Option<Offset>,
    /// Every batch was durable before the next was written: only the last one can be torn.
    pub one_at_a_time: bool,
}

impl LoadOptions {
    /// For a log that was not closed and of which no checkpoint tells: it is read whole.
    pub fn unknown(config: LogConfig) -> Self {
        Self {
            config,
            clean: false,
            recovery_point: Offset::ZERO,
            log_start_offset: None,
            one_at_a_time: false,
        }
    }
}

/// An open log and what opening it took.
pub struct Loaded {
    /// The log.
    pub log: Rc<Log>,
    /// Bytes cut off the end.
    pub truncated_bytes: u64,
    /// Bytes read to recover.
    pub scanned_bytes: u64,
}

struct Loader<'a> {
    shard: &'a Shard,
    dir: &'a Path,
    options: &'a LoadOptions,
    now_ms: i64,
    epochs: LeaderEpochs,
    epochs_changed: bool,
    truncated_bytes: u64,
    scanned_bytes: u64,
    /// Everything below was durable.
    recovery_point: Offset,
    /// Below this offset inside a segment the indexes were durable too.
    noted: Option<Offset>,
    /// Segments that were read, each from an offset on. Their transaction indexes are made anew
    /// from there, too.
    recovered: Vec<(Rc<Segment>, Offset)>,
}

impl From<ReadError> for LoadError {
    fn from(error: ReadError) -> LoadError {
        match error {
            ReadError::Io(error) => LoadError::Io(error),
            other => LoadError::Unreadable(other),
        }
    }
}

impl Log {
    /// Opens the log in `dir`, which must exist, and recovers it if need be.
    pub async fn open(
        shard: &Shard,
        dir: &Path,
        committer: &Rc<Committer>,
        options: LoadOptions,
    ) -> Result<Loaded, LoadError> {
        let mut loader = Loader {
            shard,
            dir,
            options: &options,
            now_ms: shard.unix_ms(),
            epochs: LeaderEpochs::default(),
            epochs_changed: false,
            truncated_bytes: 0,
            scanned_bytes: 0,
            recovery_point: options.recovery_point,
            noted: None,
            recovered: Vec::new(),
        };
        let state = loader.load().await?;
        let (truncated_bytes, scanned_bytes) = (loader.truncated_bytes, loader.scanned_bytes);
        let log = Log::new(shard, dir, Rc::clone(committer), state);
        Ok(Loaded { log, truncated_bytes, scanned_bytes })
    }
}

impl Loader<'_> {
    async fn load(&mut self) -> Result<State, LoadError> {
        let names = self.shard.list_dir(self.dir).await?;
        let names = match settle_swaps(self.shard, self.dir, &names).await? {
            true => self.shard.list_dir(self.dir).await?,
            false => names,
        };
        let bases = self.clear_leftovers(&names).await?;
        self.load_epochs().await?;
        let mut segments = self.open_segments(&bases, &names).await?;
        self.noted = self.noted_point(&names, &bases).await?;
        self.recovery_point = self.recovery_point.max(self.noted.unwrap_or_default());
        let log_start = self.options.log_start_offset.filter(|start| *start < Offset::LIMIT);
        let log_start = log_start.unwrap_or(Offset::ZERO);
        let mut end = self.settle_segments(&mut segments).await?;
        if end < self.options.recovery_point {
            let (dir, recovery_point) = (self.dir.to_owned(), self.options.recovery_point);
            return Err(LoadError::Short { dir, end, recovery_point });
        }
        let mut fresh = segments.is_empty();
        if end < log_start {
            // Everything below the start was deleted, and what came after is lost. Or the
            // checkpoint lies: the segments stay.
            tracing::warn!(dir = %self.dir.display(), end = end.0, start = log_start.0,
                "log_ends_below_its_start");
            if let Some(last) = segments.last() {
                last.seal_indexes(self.shard).await?;
            }
            (end, fresh) = (log_start, true);
        }
        if fresh {
            let segment = Segment::new(self.dir, end, self.now_ms, 0);
            segment.create_files(self.shard).await?;
            if self.options.config.preallocate {
                segment.reserve_whole(self.shard, self.options.config.segment_bytes).await?;
            }
            segments.push(Rc::new(segment));
        }
        let start = log_start.max(segments[0].base_offset);
        self.epochs_changed |= self.epochs.truncate_from_end(end);
        self.epochs_changed |= self.epochs.truncate_from_start(start);
        if self.epochs_changed {
            let text = self.epochs.render().into_bytes();
            self.shard.replace_file(&self.dir.join(EPOCHS_FILE), text).await?;
        }
        let producers = self.load_producers(&names, &segments, end).await?;
        self.make_durable(&segments, fresh).await?;
        segments.iter().for_each(|segment| {
            segment.named.set(true);
            // Descriptors are for logs that are read or written.
            segment.close_files();
        });
        Ok(self.loaded(segments, producers, start, end))
    }

    fn loaded(
        &mut self,
        segments: Vec<Rc<Segment>>,
        producers: Producers,
        start: Offset,
        end: Offset,
    ) -> State {
        let ends = LogEnds {
            log_start_offset: start,
            log_end_offset: end,
            written_end_offset: end,
            durable_end_offset: end,
        };
        State {
            config: Rc::new(self.options.config.clone()),
            segments,
            ends,
            epochs: std::mem::take(&mut self.epochs),
            producers,
            layout: 0,
            queue: VecDeque::new(),
            recent: VecDeque::new(),
            writing: false,
            write_under_way: None,
            write_queued: false,
            sync_queued: false,
            unsynced: Vec::new(),
            unflushed: Vec::new(),
            flush_to: end,
            unsynced_bytes: 0,
            dirty_noted: false,
            last_flush_ms: self.now_ms,
            failed: None,
        }
    }

    /// Removes what an interrupted deletion left and completes interrupted swaps; returns the base
    /// offsets of the segments, ascending.
    async fn clear_leftovers(&self, names: &[String]) -> Result<Vec<Offset>, LoadError> {
        for name in names {
            let stale = [".deleted", ".cleaned", ".tmp"].iter().any(|s| name.ends_with(s));
            if stale {
                self.shard.unlink(&self.dir.join(name)).await?;
            }
        }
        let mut bases: Vec<Offset> =
            names.iter().filter_map(|name| parse_file_name(name, "log")).collect();
        bases.sort_unstable();
        for name in names {
            let orphan = ["index", "timeindex", "txnindex"].iter().any(|suffix| {
                parse_file_name(name, suffix)
                    .is_some_and(|base| bases.binary_search(&base).is_err())
            });
            if orphan {
                self.shard.unlink(&self.dir.join(name)).await?;
            }
        }
        Ok(bases)
    }

    async fn load_epochs(&mut self) -> Result<(), LoadError> {
        let path = self.dir.join(EPOCHS_FILE);
        let Some(bytes) = self.shard.read_file(&path, SMALL_FILE_BYTES_MAX).await? else {
            return Ok(());
        };
        match LeaderEpochs::parse(&bytes) {
            Ok(epochs) => self.epochs = epochs,
            Err(error) => {
                // Recovered below from the batches, as far as those are read.
                tracing::warn!(path = %path.display(), %error, "epoch_checkpoint_ignored");
                self.epochs_changed = true;
            }
        }
        Ok(())
    }

    async fn open_segments(
        &self,
        bases: &[Offset],
        names: &[String],
    ) -> Result<Vec<Rc<Segment>>, LoadError> {
        let mut segments = Vec::with_capacity(bases.len());
        for &base in bases {
            let path = self.dir.join(file_name(base, "log"));
            let Some(stat) = self.shard.stat(&path).await? else { continue };
            let segment = Segment::new(self.dir, base, stat.modified_ms, 0);
            let size = u32::try_from(stat.len).map_err(|_| LoadError::Corrupt {
                path: path.clone(),
                position: u64::from(u32::MAX),
                place: "where no segment reaches".to_owned(),
                what: "no segment is larger than 2^32 bytes".to_owned(),
            })?;
            segment.size.set(size);
            segment.set_indexes(None, true);
            if names.binary_search(&file_name(base, "txnindex")).is_ok() {
                segment.txns.set(None);
            }
            segments.push(Rc::new(segment));
        }
        Ok(segments)
    }

    /// Brings every segment into order; returns the log's end.
    async fn settle_segments(
        &mut self,
        segments: &mut Vec<Rc<Segment>>,
    ) -> Result<Offset, LoadError> {
        let recovery_point = self.recovery_point;
        let count = segments.len();
        let mut end = Offset::ZERO;
        for i in 0..count {
            let segment = Rc::clone(&segments[i]);
            let next_base = segments.get(i + 1).map(|next| next.base_offset);
            let behind = next_base.is_some_and(|next| next <= recovery_point);
            if (self.options.clean || behind) && self.trust_segment(&segment, next_base).await? {
                end = match next_base {
                    Some(next) => next,
                    None => self.find_end(&segment).await?,
                };
                continue;
            }
            let (next_end, fault) = self.recover_segment(&segment, next_base).await?;
            end = next_end;
            if let Some(what) = fault {
                self.drop_segments(segments.split_off(i + 1)).await?;
                self.cut_bad_tail(&segment, end, &what).await?;
                break;
            }
        }
        Ok(end)
    }

    /// Takes a segment as it is if its indexes fit it. False: it must be read.
    async fn trust_segment(
        &self,
        segment: &Rc<Segment>,
        next_base: Option<Offset>,
    ) -> Result<bool, LoadError> {
        let last = next_base.map_or(i64::from(u32::MAX), |next| next.0 - 1 - segment.base_offset.0);
        let Some(indexes) = segment.read_indexes(self.shard, last).await? else {
            return Ok(false);
        };
        if let Some(time) = indexes.times.last() {
            segment.max_timestamp.set(time.timestamp);
            segment.max_timestamp_offset.set(segment.base_offset.plus(i64::from(time.offset)));
        }
        if !self.indexes_match_tail(segment, &indexes, next_base).await? {
            return Ok(false);
        }
        if !segment.txns.is_empty() {
            let (path, base) = (segment.path("txnindex"), segment.base_offset);
            let Some(txns) = txn_index::read(self.shard, &path, base, next_base).await? else {
                return Ok(false);
            };
            // Those of a sealed segment are read again when they are needed.
            segment.txns.set(next_base.is_none().then_some(txns));
        }
        if next_base.is_none() {
            let trimmed = indexes.clone();
            segment.set_indexes(Some(indexes), true);
            self.trim_index_files(segment, &trimmed).await?;
        }
        Ok(true)
    }

    /// Whether the last entries of both indexes are true. Of a sealed segment also whether the
    /// batches behind them reach to its end, and none has a later timestamp than the time index
    /// knows.
    async fn indexes_match_tail(
        &self,
        segment: &Rc<Segment>,
        indexes: &Indexes,
        next_base: Option<Offset>,
    ) -> Result<bool, LoadError> {
        let matched = self.match_tail(segment, indexes, next_base).await;
        if next_base.is_some() {
            segment.close_file();
        }
        match matched {
            // Whether the log is damaged or the index, reading all of it will tell.
            Err(ReadError::Corrupt(_)) => Ok(false),
            other => Ok(other?),
        }
    }

    async fn match_tail(
        &self,
        segment: &Rc<Segment>,
        indexes: &Indexes,
        next_base: Option<Offset>,
    ) -> Result<bool, ReadError> {
        let size = u64::from(segment.size.get());
        let file = segment.file(self.shard).await?;
        if let Some(time) = indexes.times.last()
            && !time_entry_is_true(&file, segment.base_offset, size, indexes, *time).await?
        {
            return Ok(false);
        }
        let entry = indexes.offsets.last();
        let at = entry.map_or(0, |entry| u64::from(entry.position));
        let mut walk = HeaderWalk::new(file, segment.base_offset, at, size).below(next_base);
        let mut named = entry.map(|entry| segment.base_offset.plus(i64::from(entry.offset)));
        if next_base.is_none() {
            let Some(named) = named else { return Ok(true) };
            return Ok(walk.next().await?.is_some_and(|(header, _)| header.last_offset() == named));
        }
        while let Some((header, _)) = walk.next().await? {
            if named.take().is_some_and(|last| last != header.last_offset())
                || header.latest_record_ms() > segment.max_timestamp.get()
            {
                return Ok(false);
            }
        }
        Ok(named.is_none())
    }

    /// A stock broker that was closed properly has trimmed its files; one found untrimmed with
    /// zeros behind its entries is cut to exact length.
    async fn trim_index_files(
        &self,
        segment: &Rc<Segment>,
        indexes: &Indexes,
    ) -> Result<(), LoadError> {
        for (suffix, len) in
            [("index", indexes.offsets.len() * 8), ("timeindex", indexes.times.len() * 12)]
        {
            let stat = self.shard.stat(&segment.path(suffix)).await?;
            if stat.is_some_and(|stat| stat.len != len as u64) {
                segment.rewrite_indexes(self.shard).await?;
                return Ok(segment.seal_indexes(self.shard).await?);
            }
        }
        Ok(())
    }

    /// The log's end, from the last batches of a trusted active segment.
    async fn find_end(&mut self, segment: &Rc<Segment>) -> Result<Offset, LoadError> {
        let size = u64::from(segment.size.get());
        let start = segment
            .with_indexes(self.shard, None, |indexes| {
                indexes.offsets.last().map_or(0, |entry| entry.position)
            })
            .await?;
        let start = u64::from(start);
        let file = segment.file(self.shard).await?;
        self.note_first_timestamp(segment, &file, size).await?;
        let mut scan = BatchScan::new(file, segment.base_offset, None, start, size);
        let mut fault = None;
        loop {
            match scan.next().await? {
                Scanned::Batch(header)
                    if header.latest_record_ms() > segment.max_timestamp.get() =>
                {
                    segment.max_timestamp.set(header.max_timestamp);
                    segment.max_timestamp_offset.set(header.last_offset());
                }
                Scanned::Batch(_) => {}
                Scanned::End => break,
                Scanned::Bad(what) => {
                    fault = Some(what);
                    break;
                }
            }
        }
        let (end, at) = (scan.expected, scan.position);
        if let Some(what) = fault {
            // Closed properly, and yet bytes follow that are no batch: a preallocated tail, if
            // nothing that was durable is missing.
            self.must_be_torn(segment, &mut scan, what).await?;
            self.truncated_bytes += size - at;
            self.cut_segment(segment, at, end).await?;
        }
        segment.bytes_since_index.set((at - start).min(u64::from(u32::MAX)) as u32);
        Ok(end)
    }

    async fn note_first_timestamp(
        &self,
        segment: &Rc<Segment>,
        file: &File,
        size: u64,
    ) -> Result<(), LoadError> {
        let first = HeaderWalk::new(file.clone(), segment.base_offset, 0, size).next().await;
        let first = match first {
            Err(ReadError::Corrupt(_)) => None,
            first => first?,
        };
        segment
            .first_timestamp
            .set(first.map(|(header, _)| header.max_timestamp).filter(|t| *t >= 0));
        Ok(())
    }

    /// Refuses a fault, at which `scan` stands, that cannot come from a torn write.
    async fn must_be_torn(
        &self,
        segment: &Rc<Segment>,
        scan: &mut BatchScan,
        what: String,
    ) -> Result<(), LoadError> {
        let (recovery_point, position) = (self.recovery_point, scan.position);
        let place = if scan.expected < recovery_point {
            format!("below the recovery point {recovery_point}")
        } else if self.options.one_at_a_time && self.options.clean {
            "in a log that was closed properly".to_owned()
        } else if self.options.one_at_a_time
            && (scan.next_base.is_some() || scan.finds_another(Offset::LIMIT).await?)
        {
            "with whole batches behind it".to_owned()
        } else if segment.base_offset < recovery_point && scan.finds_another(recovery_point).await?
        {
            format!("with batches behind it that are below the recovery point {recovery_point}")
        } else {
            return Ok(());
        };
        Err(LoadError::Corrupt { path: segment.path("log"), position, place, what })
    }

    /// Reads a segment, as far as it is not known to be sound, rebuilding its indexes. Returns the
    /// offset after its last good batch and what is wrong there, if it is not the segment's end.
    async fn recover_segment(
        &mut self,
        segment: &Rc<Segment>,
        next_base: Option<Offset>,
    ) -> Result<(Offset, Option<String>), LoadError> {
        let size = u64::from(segment.size.get());
        let file = segment.file(self.shard).await?;
        let start = self.start_recovery(segment, &file).await?;
        let mut scan = BatchScan::new(file, segment.base_offset, next_base, start, size);
        let fault = loop {
            let header = match scan.next().await? {
                Scanned::Batch(header) => header,
                Scanned::End => break None,
                Scanned::Bad(what) => break Some(what),
            };
            self.epochs_changed |= self.epochs.assign(header.leader_epoch, header.base_offset);
            segment.note_batch(&header, self.options.config.index_interval_bytes);
        };
        self.scanned_bytes += size - start;
        let (good, end) = (scan.position, scan.expected);
        if let Some(what) = fault {
            self.must_be_torn(segment, &mut scan, what.clone()).await?;
            self.truncated_bytes += size - good;
            if next_base != Some(end) {
                return Ok((end, Some(what)));
            }
            // Everything up to the next segment is here: what follows is nobody's.
            self.cut_segment(segment, good, end).await?;
        }
        if next_base.is_some() {
            segment.push_last_time();
        }
        segment.cut_index_files(self.shard).await?;
        // A start after another crash may trust them below a point that was noted before.
        segment.seal_indexes(self.shard).await?;
        if next_base.is_some() {
            segment.unload_indexes();
        }
        // Sealed segments end where the next begins, even if compaction took their last records.
        Ok((next_base.unwrap_or(end), None))
    }

    async fn cut_bad_tail(
        &self,
        segment: &Rc<Segment>,
        end: Offset,
        what: &str,
    ) -> Result<(), LoadError> {
        let (path, position) = (segment.path("log"), segment.size.get());
        tracing::warn!(path = %path.display(), position, end = end.0, what, "log_truncated");
        self.cut_segment(segment, u64::from(position), end).await?;
        segment.cut_index_files(self.shard).await?;
        Ok(segment.seal_indexes(self.shard).await?)
    }

    async fn cut_segment(
        &self,
        segment: &Rc<Segment>,
        size: u64,
        end: Offset,
    ) -> Result<(), LoadError> {
        segment.file(self.shard).await?.set_len(size).await?;
        segment.truncate_accounts(size as u32, end);
        Ok(())
    }

    /// Deletes the segments behind a fault, or all.
    async fn drop_segments(&mut self, segments: Vec<Rc<Segment>>) -> Result<(), LoadError> {
        if segments.is_empty() {
            return Ok(());
        }
        for segment in segments.iter().rev() {
            self.truncated_bytes += u64::from(segment.size.get());
            self.remove_segment(segment.base_offset).await?;
        }
        // ORDER: they are gone for good before the fault is cut off. A crash in between finds the
        // fault again; the other way round it would find them behind a sound end.
        Ok(self.shard.sync_dir(self.dir).await?)
    }

    async fn remove_segment(&self, base: Offset) -> Result<(), LoadError> {
        for suffix in ["log", "index", "timeindex", "txnindex"] {
            self.shard.unlink(&self.dir.join(file_name(base, suffix))).await?;
        }
        Ok(())
    }

    /// The producers at `end`: the newest usable snapshot, and what was appended since.
    async fn load_producers(
        &mut self,
        names: &[String],
        segments: &[Rc<Segment>],
        end: Offset,
    ) -> Result<Producers, LoadError> {
        let mut snapshots: Vec<Offset> =
            names.iter().filter_map(|name| parse_file_name(name, "snapshot")).collect();
        snapshots.sort_unstable();
        let mut start = segments[0].base_offset;
        let mut producers = Producers::default();
        let mut newest = None;
        // What is open where recovery began is needed to know what the markers there ended.
        let until = self.recovered.first().map_or(end, |(_, from)| *from);
        while let Some(offset) = snapshots.pop() {
            let path = self.dir.join(file_name(offset, "snapshot"));
            if offset <= until
                && newest.is_none()
                && let Some(bytes) = self.shard.read_file(&path, SMALL_FILE_BYTES_MAX).await?
                && let Some(read) = Producers::decode_snapshot(&bytes)
            {
                (producers, start, newest) = (read, offset, Some(offset));
                let active = segments.last().filter(|active| offset > active.base_offset);
                if let Some(active) = active {
                    let size = if self.recovered.is_empty() { active.size.get() } else { 0 };
                    active.noted.set(Some((offset, size)));
                }
                continue;
            }
            // Above the end, unreadable, or of no segment's start: of no use to anyone.
            let of_segment = segments.iter().any(|segment| segment.base_offset == offset);
            if offset > end || !of_segment || (newest.is_none() && offset <= until) {
                self.shard.unlink(&path).await?;
            }
        }
        producers.expire(self.now_ms, self.options.config.producer_expiration_ms);
        for (i, segment) in segments.iter().enumerate() {
            let known = segments.get(i + 1).is_some_and(|next| next.base_offset <= start);
            if !known && segment.size.get() > 0 {
                self.replay_segment(segment, start, &mut producers).await?;
            }
        }
        for (segment, _) in &self.recovered {
            segment.txns.rewrite(self.shard, &segment.path("txnindex")).await?;
        }
        Ok(producers)
    }

    async fn replay_segment(
        &mut self,
        segment: &Rc<Segment>,
        start: Offset,
        producers: &mut Producers,
    ) -> Result<(), LoadError> {
        let recovered = self.recovered.iter().find(|(other, _)| Rc::ptr_eq(other, segment));
        let recovered_from = recovered.map_or(Offset::LIMIT, |(_, from)| *from);
        let size = u64::from(segment.size.get());
        let from = match start > segment.base_offset {
            true => {
                let relative = u32::try_from(start.0 - segment.base_offset.0).unwrap_or(u32::MAX);
                segment
                    .with_indexes(self.shard, None, |indexes| {
                        indexes.entry_for(relative).map_or(0, |entry| entry.position)
                    })
                    .await?
            }
            false => 0,
        };
        let file = segment.file(self.shard).await?;
        let base = segment.base_offset;
        let mut walk = HeaderWalk::new(file.clone(), base, u64::from(from), size);
        while let Some((header, position)) = walk.next().await? {
            if header.base_offset < start || header.producer_id.0 < 0 {
                continue;
            }
            producers.apply(&header);
            if header.is_control() {
                let buf = Buf::with_capacity(header.size);
                let batch = file.read_at(buf, position, header.size).await?;
                let completed = apply_control(producers, &header, &batch);
                let indexed = header.base_offset < recovered_from;
                if let Some(txn) = completed.filter(|txn| txn.aborted && !indexed) {
                    segment.txns.push(AbortedTxn::from(txn));
                }
            }
        }
        Ok(())
    }

    /// What a previous process left in the page cache may look fine and not be durable.
    async fn make_durable(&self, segments: &[Rc<Segment>], fresh: bool) -> Result<(), LoadError> {
        if self.options.clean && !fresh && self.truncated_bytes == 0 {
            return Ok(());
        }
        for segment in segments {
            let behind = segment.base_offset.plus(1) <= self.options.recovery_point;
            let active = Rc::ptr_eq(segment, segments.last().expect("not empty"));
            if !behind || active {
                segment.file(self.shard).await?.fdatasync().await?;
            }
        }
        Ok(self.shard.sync_dir(self.dir).await?)
    }
}

//! One segment: a `.log` file and its two indexes.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::config::LogConfig;
use super::direct::DirectWrites;
use super::index::{Indexes, OFFSET_ENTRY_BYTES, OffsetEntry, TIME_ENTRY_BYTES};
use super::txn_index::TxnIndex;
use crate::batch::BatchHeader;
use crate::io::{Buf, Errno, OpenOptions, WritePath};
use crate::shard::sync::{Budget, Share};
use crate::shard::{File, IoError, Shard};
use crate::types::Offset;

/// A file's name in a partition's directory.
pub(super) fn file_name(offset: Offset, suffix: &str) -> String {
    format!("{:020}.{suffix}", offset.0)
}

/// The offset in a file's name, if it has this suffix.
pub(super) fn parse_file_name(name: &str, suffix: &str) -> Option<Offset> {
    let digits = name.strip_suffix(suffix)?.strip_suffix('.')?;
    let number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    number
        .then(|| digits.parse().ok().map(Offset))
        .flatten()
        .filter(|offset| *offset < Offset::LIMIT)
}

/// More than may open a segment's files at a time.
const NAMES: usize = 1 << 16;

pub(super) const READ_ONLY: OpenOptions =
    OpenOptions { write: false, create: false, create_new: false, truncate: false, direct: false };

pub(super) const READ_WRITE: OpenOptions =
    OpenOptions { write: true, create: true, create_new: false, truncate: false, direct: false };

/// A segment. The last one of a log is active: it takes appends. The others are sealed.
pub(super) struct Segment {
    pub(super) base_offset: Offset,
    dir: PathBuf,
    file: RefCell<Option<File>>,
    index_files: RefCell<Option<(File, File)>>,
    /// `None`: sealed, and not loaded since.
    indexes: RefCell<Option<Indexes>>,
    /// Entries that are in the index files.
    stored: Cell<(usize, usize)>,
    /// Held by whoever writes entries to them.
    storing: Rc<Budget>,
    /// Whoever opens its files by their names has one of these, whoever renames them has all.
    names: Rc<Budget>,
    /// Bytes appended, whether written yet or not.
    pub(super) size: Cell<u32>,
    pub(super) bytes_since_index: Cell<u32>,
    pub(super) max_timestamp: Cell<i64>,
    /// Last offset of the batch that has the greatest timestamp.
    pub(super) max_timestamp_offset: Cell<Offset>,
    /// Greatest timestamp of the first batch: from it on, segment.ms counts.
    pub(super) first_timestamp: Cell<Option<i64>>,
    pub(super) created_ms: i64,
    pub(super) jitter_ms: u64,
    /// Blocks are reserved up to here, past the end of the file.
    reserved: Cell<u64>,
    /// Cached pages below were let go of.
    cache_dropped: Cell<u64>,
    /// What its files' names end with besides: nothing while they are the log's.
    mark: Cell<&'static str>,
    /// Up to this offset, at this place, a start after a crash has nothing to read.
    pub(super) noted: Cell<Option<(Offset, u32)>>,
    /// Its files' names are durable.
    pub(super) named: Cell<bool>,
    /// Transactions that were aborted by markers in it.
    pub(super) txns: TxnIndex,
    /// A file was asked for since somebody last looked for idle ones.
    used: Cell<bool>,
    pub(super) direct: DirectWrites,
}

/// The files of a segment, in the order in which they go: without its `.log` the others are taken
/// for leftovers, and without them it is whole.
const SUFFIXES: [&str; 4] = ["txnindex", "timeindex", "index", "log"];
/// Marks files that wait for their deletion.
pub(super) const DELETED: &str = ".deleted";
/// Marks files that compaction is writing.
pub(super) const CLEANED: &str = ".cleaned";
/// Marks files that compaction is putting in the place of others.
pub(super) const SWAP: &str = ".swap";

/// Below this size a segment reserves nothing: most partitions stay small.
const RESERVE_FROM_BYTES: u32 = 1 << 20;
/// Blocks reserved at a time.
const RESERVE_BYTES_MAX: u32 = 32 << 20;
/// Cached pages are let go of this many bytes at a time.
const DROP_CACHE_BYTES: u64 = 4 << 20;

impl Segment {
    /// A segment that starts at `base_offset`; its files are made by [`Segment::create_files`].
    pub(super) fn new(dir: &Path, base_offset: Offset, created_ms: i64, jitter_ms: u64) -> Self {
        Self {
            base_offset,
            dir: dir.to_owned(),
            file: RefCell::new(None),
            index_files: RefCell::new(None),
            indexes: RefCell::new(Some(Indexes::default())),
            stored: Cell::new((0, 0)),
            storing: Budget::new(1),
            names: Budget::new(NAMES),
            size: Cell::new(0),
            bytes_since_index: Cell::new(0),
            max_timestamp: Cell::new(-1),
            max_timestamp_offset: Cell::new(base_offset),
            first_timestamp: Cell::new(None),
            created_ms,
            jitter_ms,
            reserved: Cell::new(0),
            cache_dropped: Cell::new(0),
            mark: Cell::new(""),
            noted: Cell::new(None),
            named: Cell::new(false),
            txns: TxnIndex::empty(),
            used: Cell::new(true),
            direct: DirectWrites::default(),
        }
    }

    /// A segment whose files' names carry `mark`, and which is not the log's yet.
    pub(super) fn marked(
        dir: &Path,
        base_offset: Offset,
        created_ms: i64,
        mark: &'static str,
    ) -> Self {
        let segment = Segment::new(dir, base_offset, created_ms, 0);
        segment.mark.set(mark);
        segment
    }

    pub(super) fn path(&self, suffix: &str) -> PathBuf {
        self.marked_path(suffix, self.mark.get())
    }

    fn marked_path(&self, suffix: &str, mark: &str) -> PathBuf {
        self.dir.join(file_name(self.base_offset, suffix) + mark)
    }

    /// The relative form of an offset of this segment.
    pub(super) fn relative(&self, offset: Offset) -> u32 {
        let relative = offset.0 - self.base_offset.0;
        u32::try_from(relative).unwrap_or_else(|_| {
            panic!("offset {offset} is not within reach of segment {}", self.base_offset)
        })
    }

    /// The `.log` file, opened on first use.
    pub(super) async fn file(&self, shard: &Shard) -> Result<File, IoError> {
        self.used.set(true);
        if let Some(file) = &*self.file.borrow() {
            return Ok(file.clone());
        }
        let options = OpenOptions { create: false, ..READ_WRITE };
        let _names = self.hold_names().await;
        let file = File::open(shard, &self.path("log"), options).await?;
        *self.file.borrow_mut() = Some(file.clone());
        Ok(file)
    }

    /// Its files keep their names as long as this is held. A file that is missing then is missing.
    pub(super) async fn hold_names(&self) -> Share {
        self.names.take(1).await
    }

    /// Renames its files, and the producer snapshot of its start, to wait for their deletion.
    /// Readers that have it go on reading.
    pub(super) async fn mark_deleted(&self, shard: &Shard) -> Result<(), IoError> {
        let from = self.mark.get();
        self.remark(shard, DELETED).await?;
        self.rename_file(shard, "snapshot", from).await
    }

    /// Gives its files' names another mark.
    pub(super) async fn remark(&self, shard: &Shard, mark: &'static str) -> Result<(), IoError> {
        let _names = self.names.take(NAMES).await;
        *self.index_files.borrow_mut() = None;
        let from = self.mark.replace(mark);
        for suffix in SUFFIXES {
            self.rename_file(shard, suffix, from).await?;
        }
        Ok(())
    }

    /// Makes a segment that compaction has written durable, as old as what it replaces.
    pub(super) async fn finish_cleaned(
        &self,
        shard: &Shard,
        modified_ms: i64,
    ) -> Result<(), IoError> {
        self.push_last_time();
        self.file(shard).await?.fdatasync().await?;
        self.seal_indexes(shard).await?;
        self.unload_indexes();
        self.close_file();
        self.named.set(true);
        shard.set_modified(&self.path("log"), modified_ms).await
    }

    /// Gives one of its files the name that it should have; it may be missing.
    async fn rename_file(&self, shard: &Shard, suffix: &str, from: &str) -> Result<(), IoError> {
        match shard.rename(&self.marked_path(suffix, from), &self.path(suffix)).await {
            Err(error) if error.errno == Errno::ENOENT => Ok(()),
            renamed => renamed,
        }
    }

    /// Deletes its files.
    pub(super) async fn delete_files(&self, shard: &Shard) -> Result<(), IoError> {
        self.close_file();
        self.end_direct();
        *self.index_files.borrow_mut() = None;
        for suffix in ["snapshot"].into_iter().chain(SUFFIXES) {
            shard.unlink(&self.path(suffix)).await?;
        }
        Ok(())
    }

    /// When its file was last written to.
    pub(super) async fn modified_ms(&self, shard: &Shard) -> Result<i64, IoError> {
        let stat = shard.stat(&self.path("log")).await?;
        Ok(stat.map_or(self.created_ms, |stat| stat.modified_ms))
    }

    /// Lets go of its files if nobody has used it since this was last called. Whoever is at work on
    /// one has it still.
    pub(super) fn close_if_idle(&self) -> bool {
        let idle = !self.used.replace(false);
        if idle {
            self.close_files();
        }
        idle
    }

    /// Lets go of all its files; the next use opens them again.
    pub(super) fn close_files(&self) {
        self.close_file();
        self.close_direct_file();
        *self.index_files.borrow_mut() = None;
    }

    /// Lets go of the `.log` file; the next use opens it again.
    pub(super) fn close_file(&self) {
        *self.file.borrow_mut() = None;
    }

    /// Reserves blocks ahead of the end once few are left, so that writes need not and a sync has
    /// less to commit. The file's length stays what was written.
    pub(super) async fn reserve_ahead(&self, file: &File, segment_bytes: u32) {
        let size = self.size.get();
        let step = size.min(RESERVE_BYTES_MAX);
        let start = self.reserved.get().max(u64::from(size));
        let end = (start + u64::from(step)).min(u64::from(segment_bytes));
        let left = start - u64::from(size);
        if size < RESERVE_FROM_BYTES || left > u64::from(step / 2) || end <= start {
            return;
        }
        let reserved = match file.allocate(start, end - start, true).await {
            Ok(()) => end,
            // A file system that cannot, or is full: the writes find out for themselves.
            Err(_) => u64::MAX,
        };
        self.reserved.set(reserved);
    }

    /// Lets go of the cached pages below `end` that have not been let go of before.
    pub(super) fn drop_cache(&self, end: u64) {
        let start = self.cache_dropped.get();
        if end < start + DROP_CACHE_BYTES {
            return;
        }
        if let Some(file) = &*self.file.borrow() {
            file.drop_cache(start, end - start);
            self.cache_dropped.set(end);
        }
    }

    /// Gives back blocks that were reserved and not used, by this process or one before it.
    pub(super) async fn release_reserved(&self, shard: &Shard) -> Result<(), IoError> {
        self.trim(shard).await?;
        self.end_direct();
        let size = self.size.get();
        if size < RESERVE_FROM_BYTES && self.reserved.get() == 0 {
            return Ok(());
        }
        // The length is what it was; the kernel frees what lies behind it.
        self.file(shard).await?.set_len(u64::from(size)).await
    }

    /// Reserves the blocks of a whole segment. The file's length stays what was written: Kafka's
    /// tools take zeros at the end of a segment for damage.
    pub(super) async fn reserve_whole(
        &self,
        shard: &Shard,
        segment_bytes: u32,
    ) -> Result<(), IoError> {
        let file = self.file(shard).await?;
        if file.allocate(0, u64::from(segment_bytes), true).await.is_ok() {
            self.reserved.set(u64::from(segment_bytes));
        }
        Ok(())
    }

    /// Makes the three files of a new segment, empty whatever was there.
    pub(super) async fn create_files(&self, shard: &Shard) -> Result<(), IoError> {
        let options = OpenOptions { truncate: true, ..READ_WRITE };
        let log = File::open(shard, &self.path("log"), options).await?;
        let index = File::open(shard, &self.path("index"), options).await?;
        let times = File::open(shard, &self.path("timeindex"), options).await?;
        *self.file.borrow_mut() = Some(log);
        *self.index_files.borrow_mut() = Some((index, times));
        Ok(())
    }

    async fn index_files(&self, shard: &Shard) -> Result<(File, File), IoError> {
        self.used.set(true);
        if let Some(files) = &*self.index_files.borrow() {
            return Ok(files.clone());
        }
        let _names = self.hold_names().await;
        let index = File::open(shard, &self.path("index"), READ_WRITE).await?;
        let times = File::open(shard, &self.path("timeindex"), READ_WRITE).await?;
        *self.index_files.borrow_mut() = Some((index.clone(), times.clone()));
        Ok((index, times))
    }

    /// Whether a batch of `size` bytes, with this greatest timestamp and last offset, must go into
    /// a new segment (Kafka's `LogSegment.shouldRoll`).
    pub(super) fn should_roll(
        &self,
        size: u32,
        max_timestamp: i64,
        last_offset: Offset,
        now_ms: i64,
        config: &LogConfig,
    ) -> bool {
        let have = self.size.get();
        let waited_ms = match self.first_timestamp.get() {
            Some(first) if max_timestamp >= 0 => max_timestamp - first,
            _ => now_ms - self.created_ms,
        };
        let limit_ms = config.segment_ms_max().saturating_sub(self.jitter_ms);
        let entries_max = config.segment_index_bytes as usize;
        let full = self.indexes.borrow().as_ref().is_some_and(|indexes| {
            indexes.offsets.len() >= entries_max / OFFSET_ENTRY_BYTES
                // One slot is kept for the entry that sealing adds.
                || indexes.times.len() + 1 >= entries_max / TIME_ENTRY_BYTES
        });
        have > config.segment_bytes.saturating_sub(size)
            || (have > 0 && waited_ms > i64::try_from(limit_ms).unwrap_or(i64::MAX))
            || full
            || last_offset.0 - self.base_offset.0 > i64::from(i32::MAX)
    }

    /// Accounts for a batch appended at the end, and indexes it if it is due. Returns where it
    /// starts.
    pub(super) fn note_batch(&self, header: &BatchHeader, interval_bytes: u32) -> u32 {
        let position = self.size.get();
        let last = header.last_offset();
        if header.latest_record_ms() > self.max_timestamp.get() {
            self.max_timestamp.set(header.max_timestamp);
            self.max_timestamp_offset.set(last);
        }
        if self.first_timestamp.get().is_none() && header.max_timestamp >= 0 {
            self.first_timestamp.set(Some(header.max_timestamp));
        }
        if self.bytes_since_index.get() > interval_bytes {
            let mut indexes = self.indexes.borrow_mut();
            let indexes = indexes.as_mut().expect("an active segment's indexes are loaded");
            indexes.offsets.push(OffsetEntry { offset: self.relative(last), position });
            let at = self.relative(self.max_timestamp_offset.get());
            indexes.push_time(self.max_timestamp.get(), at);
            self.bytes_since_index.set(0);
        }
        self.bytes_since_index.set(self.bytes_since_index.get() + header.size as u32);
        self.size.set(position + header.size as u32);
        position
    }

    /// Adds the last time entry, as rolling and closing do.
    pub(super) fn push_last_time(&self) {
        let at = self.relative(self.max_timestamp_offset.get());
        if let Some(indexes) = self.indexes.borrow_mut().as_mut() {
            indexes.push_time(self.max_timestamp.get(), at);
        }
    }

    /// Whether entries wait to be written to the index files.
    pub(super) fn has_unstored_entries(&self) -> bool {
        let (offsets, times) = self.stored.get();
        let unstored =
            |indexes: &Indexes| indexes.offsets.len() > offsets || indexes.times.len() > times;
        self.indexes.borrow().as_ref().is_some_and(unstored)
    }

    /// Writes new index entries behind those that are in the files.
    pub(super) async fn store_indexes(&self, shard: &Shard) -> Result<(), IoError> {
        // One at a time: an entry is stored once it is written, and must not be written twice.
        let _turn = self.storing.take(1).await;
        self.txns.write_new(shard, &self.path("txnindex")).await?;
        if !self.has_unstored_entries() {
            return Ok(());
        }
        let (offsets, times) = self.stored.get();
        let (index_file, time_file) = self.index_files(shard).await?;
        let (index_bytes, time_bytes, count) = {
            let indexes = self.indexes.borrow();
            let indexes = indexes.as_ref().expect("it has entries");
            let count = (indexes.offsets.len(), indexes.times.len());
            (indexes.offset_bytes(offsets), indexes.time_bytes(times), count)
        };
        let path = WritePath::Blocking;
        let chunk = vec![Buf::copy_of(&index_bytes).into()];
        index_file.write_at(chunk, (offsets * OFFSET_ENTRY_BYTES) as u64, path).await?;
        let chunk = vec![Buf::copy_of(&time_bytes).into()];
        time_file.write_at(chunk, (times * TIME_ENTRY_BYTES) as u64, path).await?;
        self.stored.set(count);
        Ok(())
    }

    /// Writes both index files anew, at exact length.
    pub(super) async fn rewrite_indexes(&self, shard: &Shard) -> Result<(), IoError> {
        self.stored.set((0, 0));
        self.cut_index_files(shard).await
    }

    /// Cuts both index files to the entries that are known to be there, and writes the others
    /// behind those.
    pub(super) async fn cut_index_files(&self, shard: &Shard) -> Result<(), IoError> {
        let (index_file, time_file) = self.index_files(shard).await?;
        let (offsets, times) = {
            let (indexes, (offsets, times)) = (self.indexes.borrow(), self.stored.get());
            let now = indexes.as_ref().map_or((0, 0), |i| (i.offsets.len(), i.times.len()));
            (offsets.min(now.0), times.min(now.1))
        };
        index_file.set_len((offsets * OFFSET_ENTRY_BYTES) as u64).await?;
        time_file.set_len((times * TIME_ENTRY_BYTES) as u64).await?;
        self.stored.set((offsets, times));
        self.store_indexes(shard).await
    }

    /// Makes the index files durable, and lets go of them.
    pub(super) async fn seal_indexes(&self, shard: &Shard) -> Result<(), IoError> {
        self.store_indexes(shard).await?;
        let (index_file, time_file) = self.index_files(shard).await?;
        index_file.fdatasync().await?;
        time_file.fdatasync().await?;
        self.txns.seal(shard, &self.path("txnindex")).await?;
        *self.index_files.borrow_mut() = None;
        Ok(())
    }

    /// Replaces the indexes in memory; `stored` says whether the files hold the same.
    pub(super) fn set_indexes(&self, indexes: Option<Indexes>, stored: bool) {
        let count = indexes.as_ref().map_or((0, 0), |i| (i.offsets.len(), i.times.len()));
        self.stored.set(if stored { count } else { (0, 0) });
        *self.indexes.borrow_mut() = indexes;
    }

    /// Runs `look` on the indexes, which are read from their files if they are not in memory.
    pub(super) async fn with_indexes<T>(
        &self,
        shard: &Shard,
        next_base: Option<Offset>,
        look: impl FnOnce(&Indexes) -> T,
    ) -> Result<T, IoError> {
        self.used.set(true);
        if let Some(indexes) = &*self.indexes.borrow() {
            return Ok(look(indexes));
        }
        let last = next_base.map_or(i64::MAX, |next| next.0 - 1 - self.base_offset.0);
        let loaded = self.read_indexes(shard, last).await?;
        // Indexes that do not fit their segment are as good as none: the scan starts at 0.
        let indexes = loaded.unwrap_or_default();
        let answer = look(&indexes);
        self.set_indexes(Some(indexes), true);
        Ok(answer)
    }

    /// Whether its indexes are in memory.
    pub(super) fn has_indexes(&self) -> bool {
        self.indexes.borrow().is_some()
    }

    /// Reads the index files; `None` if one is missing or cannot be this segment's.
    pub(super) async fn read_indexes(
        &self,
        shard: &Shard,
        last_relative: i64,
    ) -> Result<Option<Indexes>, IoError> {
        const INDEX_BYTES_MAX: u64 = i32::MAX as u64;
        let _names = self.hold_names().await;
        let Some(index) = shard.read_file(&self.path("index"), INDEX_BYTES_MAX).await? else {
            return Ok(None);
        };
        let Some(times) = shard.read_file(&self.path("timeindex"), INDEX_BYTES_MAX).await? else {
            return Ok(None);
        };
        Ok(Indexes::parse(&index, &times, self.size.get(), last_relative))
    }

    /// Forgets sealed indexes; they are read again when they are needed.
    pub(super) fn unload_indexes(&self) {
        if !self.has_unstored_entries() {
            *self.indexes.borrow_mut() = None;
        }
        if !self.txns.is_empty() && !self.txns.has_unstored() {
            self.txns.set(None);
        }
    }

    /// Cuts the segment's accounts and indexes to `size` bytes, the next offset being `end`.
    pub(super) fn truncate_accounts(&self, size: u32, end: Offset) {
        self.size.set(size);
        self.cache_dropped.set(self.cache_dropped.get().min(u64::from(size)));
        self.bytes_since_index.set(0);
        if let Some(indexes) = self.indexes.borrow_mut().as_mut() {
            indexes.truncate(size, self.relative(end));
        }
    }
}

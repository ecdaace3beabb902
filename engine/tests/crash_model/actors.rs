//! Several actors on one log at once: appends that roll, recovery points, index writes, deletion,
//! compaction, reads, a close. Small scripts of them run in every order that a number of departures
//! allows ([`Explorer`]); after each the log, its files and what a start makes of them are held
//! against what was appended.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_engine::batch::{BatchBuilder, BatchHeader, RecordFields, records};
use ringlog_engine::io::sim::{CrashProfile, Explorer, World, block_on};
use ringlog_engine::io::{Buf, WritePath};
use ringlog_engine::log::{
    AppendError, Committer, CommitterOptions, CompactionLimits, IoMode, LoadOptions, Log,
    LogConfig, LogError, Origin, ReadLimits, Throttle,
};
use ringlog_engine::shard::Shard;
use ringlog_engine::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

use crate::env;
use crate::model::DIR;

/// Records of one batch; each has a key of its own, so that compaction keeps it.
const RECORDS: i64 = 2;
/// A segment takes two batches.
const SEGMENT_BYTES: u32 = 600;

/// What one task does to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    /// Appends so many batches, each once the one before it is durable.
    Append(i64),
    /// Appends so many batches at once.
    Burst(i64),
    NoteRecoveryPoint,
    StoreIndexes,
    /// Moves the log's start to here and deletes the segments below.
    DeleteBefore(i64),
    Compact,
    /// Reads every offset, and finds every timestamp.
    Read,
    Close,
}
use Actor::{Append, Burst, Close, Compact, DeleteBefore, NoteRecoveryPoint, Read, StoreIndexes};

/// What was asked of the log, and what it has promised.
#[derive(Default)]
struct Expected {
    appended: i64,
    durable: i64,
    start: i64,
    closed: bool,
}

#[derive(Clone)]
struct Stage {
    shard: Shard,
    log: Rc<Log>,
    expected: Rc<RefCell<Expected>>,
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: SEGMENT_BYTES,
        index_interval_bytes: 1,
        compacted: true,
        min_cleanable_dirty_ratio: 0.0,
        producer_expiration_ms: i64::MAX,
        file_delete_delay_ms: 0,
        ..LogConfig::default()
    }
}

fn batch(first: i64) -> Buf {
    let mut builder = BatchBuilder::default();
    builder.producer = Some((ProducerId(1), ProducerEpoch(0), first as i32));
    for offset in first..first + RECORDS {
        let (key, mut value) = (offset.to_be_bytes(), offset.to_be_bytes().to_vec());
        value.resize(90, 0xee);
        let fields =
            RecordFields { key: Some(&key), value: Some(&value), ..RecordFields::default() };
        builder.append(1000 + offset, &fields);
    }
    Buf::copy_of(&builder.build().expect("packs"))
}

async fn open(shard: &Shard, io_mode: IoMode) -> Rc<Log> {
    let options = CommitterOptions {
        io_mode,
        tail_bytes: 8192,
        write_path: WritePath::Ring,
        ..CommitterOptions::default()
    };
    let committer = Committer::start(shard, options);
    let load = LoadOptions::unknown(config());
    Log::open(shard, Path::new(DIR), &committer, load).await.expect("opens").log
}

impl Stage {
    async fn act(&self, actor: Actor) -> Result<(), LogError> {
        match actor {
            Append(count) => {
                for _ in 0..count {
                    self.append(1).await?;
                }
            }
            Burst(count) => self.append(count).await?,
            NoteRecoveryPoint => self.log.note_recovery_point().await?,
            StoreIndexes => self.log.store_indexes().await?,
            DeleteBefore(start) => {
                self.log.delete_before(Offset(start)).await?;
                self.expected.borrow_mut().start = start;
            }
            Compact => self.compact().await,
            Read => self.read_all().await,
            Close => {
                self.log.close().await?;
                let mut expected = self.expected.borrow_mut();
                expected.closed = true;
                assert_eq!(self.log.ends().log_end_offset.0, expected.appended);
                expected.durable = expected.appended;
            }
        }
        Ok(())
    }

    async fn append(&self, count: i64) -> Result<(), LogError> {
        for _ in 0..count {
            let first = self.expected.borrow().appended;
            match self.log.append(batch(first), Origin::Client, LeaderEpoch(0)) {
                Ok(appended) => assert_eq!(appended.first_offset.0, first),
                Err(AppendError::Log(error)) => return Err(error),
                Err(error) => panic!("{error}"),
            }
            self.expected.borrow_mut().appended += RECORDS;
        }
        let end = Offset(self.expected.borrow().appended);
        let durable = || {
            let done = self.log.ends().durable_end_offset >= end;
            let failed = self.log.failure().map(Err);
            if done { Some(Ok(())) } else { failed }
        };
        self.log.changed.until(durable).await?;
        let mut expected = self.expected.borrow_mut();
        expected.durable = expected.durable.max(end.0);
        Ok(())
    }

    async fn compact(&self) {
        let throttle = Throttle::new(&self.shard);
        let end = self.log.ends().durable_end_offset;
        let Ok(dirt) = self.log.dirt(self.shard.unix_ms(), end).await else { return };
        let limits =
            CompactionLimits { map_bytes: 4096, map_load_factor: 0.9, throttle: &throttle };
        // It ends early where the log closes, or its segments go.
        let _ = self.log.compact(&dirt, limits).await;
    }

    async fn read_all(&self) {
        let end = self.log.ends().durable_end_offset;
        let mut at = self.log.ends().log_start_offset;
        while at < end {
            let limits = ReadLimits { bytes_max: 300, at_least_one_batch: true };
            let plan = match self.log.plan_read(at, end, limits).await {
                Ok(plan) => plan,
                // Deleted, or closed, while it was read.
                Err(_) if at < self.log.ends().log_start_offset => {
                    at = self.log.ends().log_start_offset;
                    continue;
                }
                Err(error) => {
                    assert!(self.log.failure().is_some(), "offset {at} of {end}: {error}");
                    return;
                }
            };
            let bytes = self.log.read(&plan).await.expect("the disk works");
            let mut rest = &bytes[..];
            let before = at;
            while let Ok((header, batch)) = BatchHeader::parse_whole(rest) {
                assert!(header.crc_is_valid(batch), "a batch with a wrong CRC was served");
                for record in records(&header, &batch[61..]) {
                    let record = record.expect("whole");
                    assert_eq!(record.value.expect("has one")[..8], record.offset.0.to_be_bytes());
                }
                at = header.next_offset().max(at);
                rest = &rest[header.size..];
            }
            assert!(at > before, "no progress at {before}");
        }
    }
}

/// Every entry of an index file is the one that its place in the file asks for. `all`: of a segment
/// whose entries are all written.
fn check_index(world: &World, log_path: &Path, all: bool) {
    let log = world.disk.content(log_path).expect("listed");
    let index = world.disk.content(&log_path.with_extension("index")).unwrap_or_default();
    let mut due = Vec::new();
    let (mut at, mut since, mut base) = (0, 0, None);
    while let Ok((header, _)) = BatchHeader::parse_whole(&log[at..]) {
        let base = *base.get_or_insert_with(|| {
            let name = log_path.file_stem().expect("a name").to_string_lossy().into_owned();
            name.parse::<i64>().expect("an offset")
        });
        if since > config().index_interval_bytes as usize {
            let last = (header.last_offset().0 - base) as u32;
            due.extend([last.to_be_bytes(), (at as u32).to_be_bytes()].concat());
            since = 0;
        }
        since += header.size;
        at += header.size;
    }
    let path = log_path.display();
    assert!(due.starts_with(index), "{path}: its index has {index:?} and should {due:?}");
    assert!(!all || index.len() == due.len(), "{path}: its index is short: {index:?} of {due:?}");
}

fn check_indexes(world: &RefCell<World>, all: bool) {
    let world = world.borrow();
    let logs: Vec<PathBuf> = world
        .disk
        .files()
        .into_iter()
        .filter(|path| path.extension() == Some("log".as_ref()))
        .collect();
    for path in logs {
        check_index(&world, &path, all);
    }
}

/// One run of a script: `before` one after the other, then all of `actors` at once.
fn run(explorer: &Rc<RefCell<Explorer>>, before: &[Actor], actors: &[Actor], io_mode: IoMode) {
    let world = World::new(1, 1, CrashProfile::Ext4);
    let expected: Rc<RefCell<Expected>> = Rc::default();
    let (before, actors) = (before.to_vec(), actors.to_vec());
    let (shared, staged) = (Rc::clone(&expected), Rc::clone(&world));
    let watched = Rc::clone(explorer);
    block_on(&world, move |shard| async move {
        shard.make_dir_all(Path::new(DIR)).await.expect("the disk works");
        let log = open(&shard, io_mode).await;
        let stage = Stage { shard: shard.clone(), log, expected: shared };
        for actor in before {
            stage.act(actor).await.expect("the disk works");
        }
        staged.borrow_mut().explore(Some(&watched));
        let left = Rc::new(Cell::new(actors.len()));
        for actor in actors {
            let (stage, left) = (stage.clone(), Rc::clone(&left));
            shard.spawn(async move {
                let done = stage.act(actor).await;
                let closed = matches!(done, Err(LogError::Closed));
                assert!(done.is_ok() || closed, "{actor:?}: {done:?}");
                left.set(left.get() - 1);
                stage.log.changed.notify();
            });
        }
        stage.log.changed.until(|| (left.get() == 0).then_some(())).await;
        staged.borrow_mut().explore(None);
        let closed = stage.expected.borrow().closed;
        match stage.log.failure() {
            None => {
                stage.act(Append(2)).await.expect("the log goes on");
                stage.act(Read).await.expect("readable");
                stage.act(StoreIndexes).await.expect("the disk works");
                check_indexes(&staged, true);
            }
            Some(error) => assert!(closed && error == LogError::Closed, "{error}"),
        }
    });
    check_indexes(&world, false);
    world.borrow_mut().crash();
    block_on(&world, move |shard| async move {
        let log = open(&shard, IoMode::Buffered).await;
        let ends = log.ends();
        {
            let expected = expected.borrow();
            assert!(ends.log_end_offset.0 >= expected.durable, "{ends:?}");
            assert!(ends.log_end_offset.0 <= expected.appended, "{ends:?}");
            assert!(ends.log_start_offset.0 <= expected.start, "{ends:?}");
        }
        let stage = Stage { shard: shard.clone(), log, expected: Rc::default() };
        stage.act(Read).await.expect("readable");
    });
}

/// Tries a script in all orders with so many departures, or `ACTORS_DEPARTURES` if that is more.
fn explore(before: &[Actor], actors: &[Actor], departures_max: usize) {
    let departures_max = env("ACTORS_DEPARTURES").unwrap_or(0).max(departures_max as u64) as usize;
    for io_mode in [IoMode::Buffered, IoMode::Direct] {
        let explorer = Explorer::new(departures_max);
        while explorer.borrow_mut().next_run() {
            let once = || run(&explorer, before, actors, io_mode);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(once));
            let (run, ways) = (explorer.borrow().runs(), explorer.borrow().departures());
            assert!(result.is_ok(), "{actors:?} in {io_mode:?}, run {run}, departures {ways:?}");
        }
        eprintln!("{actors:?} in {io_mode:?}: {} schedules", explorer.borrow().runs());
    }
}

#[test]
fn e02_a_roll_and_a_recovery_point_do_not_meet() {
    explore(&[Append(1)], &[Append(3), NoteRecoveryPoint], 2);
    explore(&[Append(2)], &[Append(1), NoteRecoveryPoint], 2);
    explore(&[Append(1)], &[Burst(2), NoteRecoveryPoint, NoteRecoveryPoint], 2);
}

#[test]
fn e03_no_index_is_made_before_its_segment() {
    explore(&[Append(2)], &[Burst(2), StoreIndexes], 2);
}

#[test]
fn e09_what_a_closing_log_takes_is_there_afterwards() {
    explore(&[Append(1)], &[Burst(1), Append(1), Close], 2);
}

#[test]
fn actors_of_one_log_do_not_meet() {
    explore(&[Append(6)], &[Append(1), Compact, DeleteBefore(4)], 1);
    explore(&[Append(6)], &[Append(1), Compact, Read], 1);
    explore(&[Append(4)], &[DeleteBefore(4), Read, NoteRecoveryPoint], 1);
    explore(&[Append(5)], &[Burst(2), Read, Close], 2);
    explore(&[Append(5)], &[Compact, NoteRecoveryPoint, Close], 2);
    explore(&[Append(5)], &[Append(1), StoreIndexes, NoteRecoveryPoint, Close], 2);
}

//! The log against a vector, on a disk that tears.
//!
//! A script of random operations runs on a simulated disk; the model is the list of what was
//! appended. At any point the power fails, or the process is killed, or the log is closed; it is
//! opened again and must hold a prefix of the list that has everything it ever promised. Seeds are
//! printed; `CRASH_SEED=n` repeats one, `CRASH_RUNS=n` sets how many are run.

#![allow(clippy::disallowed_methods, reason = "a test reads its environment and its own clock")]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_engine::batch::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, Codec, RecordFields, decompress, records,
};
use ringlog_engine::io::sim::{CrashProfile, World, block_on, run_turns};
use ringlog_engine::io::{Buf, WritePath};
use ringlog_engine::log::{
    Committer, CommitterOptions, IoMode, LoadError, LoadOptions, Log, LogConfig, Origin, ReadLimits,
};
use ringlog_engine::shard::Shard;
use ringlog_engine::stdx::prng::Prng;
use ringlog_engine::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const DIR: &str = "/t-0";

/// What should be in the log.
#[derive(Default)]
struct Model {
    /// Value of the record at each offset.
    values: Vec<u64>,
    /// Below this everything was promised.
    promised: i64,
    /// As the recovery-point checkpoint last said.
    recovery_point: i64,
    next_sequence: i32,
    epoch: i32,
    clean: bool,
    values_made: u64,
}

type Shared = Rc<RefCell<Model>>;

fn config(prng: &mut Prng) -> LogConfig {
    LogConfig {
        // Small ones roll; in large ones direct writes lay out blocks ahead.
        segment_bytes: match prng.below(4) {
            0 => prng.between(17_000, 60_000) as u32,
            _ => prng.between(2200, 9000) as u32,
        },
        index_interval_bytes: prng.between(1, 600) as u32,
        segment_index_bytes: prng.between(64, 400) as u32,
        producer_expiration_ms: i64::MAX,
        ..LogConfig::default()
    }
}

async fn open(shard: &Shard, model: &Shared, config: &LogConfig, sync_always: bool) -> Rc<Log> {
    try_open(shard, model, config, sync_always).await.expect("a torn log opens")
}

async fn try_open(
    shard: &Shard,
    model: &Shared,
    config: &LogConfig,
    sync_always: bool,
) -> Result<Rc<Log>, LoadError> {
    let dir = PathBuf::from(DIR);
    shard.make_dir_all(&dir).await?;
    shard.sync_dir(Path::new("/")).await?;
    let write_path =
        if shard.random().is_multiple_of(2) { WritePath::Ring } else { WritePath::Blocking };
    let io_mode = if shard.random().is_multiple_of(2) { IoMode::Direct } else { IoMode::Buffered };
    let unread_cache_bytes = shard.random().is_multiple_of(2).then_some(0);
    let dirty_bytes_max = if shard.random().is_multiple_of(2) { 4096 } else { 256 << 20 };
    let options = CommitterOptions {
        sync_always,
        io_mode,
        tail_bytes: 8192,
        write_path,
        dirty_bytes_max,
        unread_cache_bytes,
    };
    let committer = Committer::start(shard, options);
    let (clean, recovery_point) = {
        let mut model = model.borrow_mut();
        // The marker is gone before anything is changed.
        (std::mem::take(&mut model.clean), Offset(model.recovery_point))
    };
    let load = LoadOptions {
        config: config.clone(),
        clean,
        recovery_point,
        log_start_offset: None,
        one_at_a_time: false,
    };
    Ok(Log::open(shard, &dir, &committer, load).await?.log)
}

/// Everything the log holds, read the way a consumer does.
async fn read_all(log: &Rc<Log>) -> Vec<u64> {
    let end = log.ends().written_end_offset;
    let mut values = Vec::new();
    let mut at = log.ends().log_start_offset;
    while at < end {
        let limits = ReadLimits { bytes_max: 700, at_least_one_batch: true };
        let plan = log.plan_read(at, end, limits).await.expect("in range");
        let bytes = log.read(&plan).await.expect("readable");
        let mut rest = &bytes[..];
        let before = at;
        while let Ok((header, batch)) = BatchHeader::parse_whole(rest) {
            assert!(header.crc_is_valid(batch), "a batch with a wrong CRC was served");
            let codec = header.codec().expect("a codec");
            let unpacked =
                decompress(codec, &batch[BATCH_HEADER_BYTES..], 1 << 20).expect("unpacks");
            for record in records(&header, &unpacked) {
                let record = record.expect("whole");
                if record.offset >= at {
                    assert_eq!(record.offset.0 as usize, values.len(), "offsets are dense");
                    let value = record.value.expect("a value");
                    values.push(u64::from_be_bytes(value[..8].try_into().expect("eight bytes")));
                }
            }
            at = header.next_offset().max(at);
            rest = &rest[header.size..];
        }
        assert!(at > before, "no progress at {before}");
    }
    values
}

/// Opens the log and holds it against the model; what was never promised may be gone.
async fn check_reopened(shard: &Shard, model: &Shared, config: &LogConfig) -> Rc<Log> {
    let log = open(shard, model, config, true).await;
    let values = read_all(&log).await;
    {
        let mut model = model.borrow_mut();
        let promised = model.promised as usize;
        assert!(values.len() >= promised, "{} records of {promised} promised", values.len());
        assert!(values.len() <= model.values.len(), "records out of nowhere");
        assert_eq!(values, model.values[..values.len()], "another history");
        assert_eq!(log.ends().log_end_offset.0 as usize, values.len());
        model.values.truncate(values.len());
        // What survived is durable now: opening made it so.
        model.promised = values.len() as i64;
        model.recovery_point = log.recovery_point().0;
        let last = log.with_producers(|producers| {
            producers.iter().next().and_then(|(_, p)| p.batches.back().map(|b| b.last_sequence))
        });
        model.next_sequence = last.map_or(0, |sequence| sequence + 1);
        assert_eq!(model.next_sequence as usize, model.values.len(), "the producer's state");
    }
    // Every offset is found, and every timestamp: the indexes agree with the log.
    let end = log.ends().log_end_offset;
    for offset in 0..end.0 {
        let limits = ReadLimits { bytes_max: 1, at_least_one_batch: true };
        let plan = log.plan_read(Offset(offset), end, limits).await.expect("in range");
        let bytes = log.read(&plan).await.expect("readable");
        let (header, _) = BatchHeader::parse_whole(&bytes).expect("a whole batch");
        assert!(header.base_offset.0 <= offset && offset <= header.last_offset().0);
        let found = log.find_timestamp(1000 + offset, end).await.expect("readable");
        assert_eq!(found.map(|f| f.offset.0), Some(offset));
    }
    log
}

fn batch(model: &mut Model, prng: &mut Prng) -> Buf {
    let mut builder = BatchBuilder::default();
    builder.codec = if prng.chance(1, 8) { Codec::ALL[prng.index(5)] } else { Codec::None };
    builder.producer = Some((ProducerId(1), ProducerEpoch(0), model.next_sequence));
    let count = prng.between(1, 5);
    for _ in 0..count {
        let mut value = model.values_made.to_be_bytes().to_vec();
        value.resize(8 + prng.index(300), 0xee);
        let timestamp = 1000 + model.values.len() as i64;
        builder.append(timestamp, &RecordFields { value: Some(&value), ..Default::default() });
        model.values.push(model.values_made);
        model.values_made += 1;
    }
    model.next_sequence += count as i32;
    Buf::copy_of(&builder.build().expect("packs"))
}

/// Whether the disk fails at random while a script runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    Works,
    Fails,
}

/// Appends, and now and then waits for what it appended. Ends at the first error of a failing disk.
async fn run_script(
    shard: Shard,
    model: Shared,
    config: LogConfig,
    seed: u64,
    sync_always: bool,
    disk: Disk,
) {
    let ended = try_script(shard, model, config, seed, sync_always).await;
    assert!(ended.is_ok() || disk == Disk::Fails, "the disk works: {ended:?}");
}

async fn try_script(
    shard: Shard,
    model: Shared,
    config: LogConfig,
    seed: u64,
    sync_always: bool,
) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let mut prng = Prng::new(seed);
    let log = try_open(&shard, &model, &config, sync_always).await.map_err(|e| said(&e))?;
    for _ in 0..prng.between(1, 40) {
        match prng.below(20) {
            0..=11 => {
                let (bytes, epoch) = {
                    let mut model = model.borrow_mut();
                    if prng.chance(1, 10) {
                        model.epoch += 1;
                    }
                    (batch(&mut model, &mut prng), LeaderEpoch(model.epoch))
                };
                let expected = log.ends().log_end_offset;
                let appended = log.append(bytes, Origin::Client, epoch).map_err(|e| said(&e))?;
                assert_eq!(appended.first_offset, expected);
            }
            12..=16 => {
                let target = log.ends().log_end_offset;
                if sync_always || prng.chance(1, 3) {
                    log.flush().await.map_err(|e| said(&e))?;
                }
                let done = log.ends().durable_end_offset;
                assert!(!sync_always || done >= target);
                let mut model = model.borrow_mut();
                model.promised = model.promised.max(done.0);
            }
            // Long enough for an idle log to be trimmed, now and then.
            17 => shard.sleep_ms(if prng.chance(1, 4) { 1500 } else { prng.below(3) }).await,
            18 => {
                log.store_indexes().await.map_err(|e| said(&e))?;
                if prng.chance(1, 2) {
                    log.note_recovery_point().await.map_err(|e| said(&e))?;
                }
                log.close_idle_files();
            }
            _ => {
                // The checkpoint file itself is written atomically; here it is the model's.
                let mut model = model.borrow_mut();
                model.recovery_point = log.recovery_point().0;
            }
        }
        let done = log.ends().durable_end_offset.0;
        let mut model = model.borrow_mut();
        model.promised = model.promised.max(done);
    }
    if prng.chance(1, 3) {
        log.close().await.map_err(|e| said(&e))?;
        let mut model = model.borrow_mut();
        model.clean = true;
        model.promised = model.values.len() as i64;
        model.recovery_point = model.promised;
    }
    Ok(())
}

fn one_run(seed: u64, profile: CrashProfile, turns_max: Option<u64>) {
    let mut prng = Prng::new(seed ^ 0x5eed);
    let world = World::new(seed, 1, profile);
    let model: Shared = Rc::default();
    let config = config(&mut prng);
    if prng.chance(1, 3) {
        world.borrow_mut().disk.faults.short_once_in = Some(prng.between(2, 10));
    }
    for _ in 0..prng.between(1, 4) {
        let script = prng.next_u64();
        let disk = if prng.chance(1, 4) { Disk::Fails } else { Disk::Works };
        if disk == Disk::Fails {
            world.borrow_mut().disk.faults.error_once_in = Some(prng.between(10, 150));
        }
        let turns = turns_max.unwrap_or_else(|| prng.below(400));
        let (shared, config_of_run) = (Rc::clone(&model), config.clone());
        run_turns(&world, turns, move |shard| {
            run_script(shard, shared, config_of_run, script, true, disk)
        });
        let kill = prng.chance(1, 3);
        if kill {
            world.borrow_mut().kill()
        } else {
            world.borrow_mut().crash()
        }
        if prng.chance(1, 4) {
            spoil_indexes(&world, &mut prng);
            model.borrow_mut().clean = false;
        }
        // Crash again in the middle of recovery.
        if prng.chance(1, 3) {
            let (shared, config_of_run) = (Rc::clone(&model), config.clone());
            run_turns(&world, prng.below(60), move |shard| async move {
                let opened = try_open(&shard, &shared, &config_of_run, true).await;
                assert!(opened.is_ok() || disk == Disk::Fails, "the disk works");
            });
            world.borrow_mut().crash();
        }
        world.borrow_mut().disk.faults.error_once_in = None;
        let (shared, config_of_run) = (Rc::clone(&model), config.clone());
        block_on(&world, move |shard| async move {
            check_reopened(&shard, &shared, &config_of_run).await;
        });
        world.borrow_mut().kill();
    }
}

/// D13: indexes and snapshots that are missing, empty or garbage are rebuilt.
fn spoil_indexes(world: &Rc<RefCell<World>>, prng: &mut Prng) {
    let files = world.borrow().disk.files();
    for path in files {
        let name = path.to_string_lossy().into_owned();
        let derived = name.ends_with("index") || name.ends_with(".snapshot");
        if derived && prng.chance(1, 3) {
            let mut bytes = world.borrow().disk.content(&path).expect("listed").to_vec();
            match prng.below(3) {
                0 => bytes.clear(),
                1 => bytes.truncate(prng.index(bytes.len() + 1)),
                _ => prng.fill(&mut bytes),
            }
            world.borrow_mut().disk.overwrite(&path, bytes);
        }
    }
}

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn d01_d04_d07_d13_d15_d16_random_scripts_survive_power_cuts() {
    if let Some(seed) = env("CRASH_SEED") {
        one_run(seed, CrashProfile::Ext4, None);
        one_run(seed, CrashProfile::Hostile, None);
        return;
    }
    let runs = env("CRASH_RUNS").unwrap_or(400);
    for seed in 0..runs {
        for profile in [CrashProfile::Ext4, CrashProfile::Hostile] {
            let result = std::panic::catch_unwind(|| one_run(seed, profile, None));
            assert!(result.is_ok(), "failed: CRASH_SEED={seed} {profile:?}");
        }
    }
}

#[test]
fn every_crash_point_of_small_scripts() {
    for seed in 0..4 {
        for turns in 0..150 {
            for profile in [CrashProfile::Ext4, CrashProfile::Hostile] {
                let result = std::panic::catch_unwind(|| one_run(seed, profile, Some(turns)));
                assert!(result.is_ok(), "failed: seed {seed}, turn {turns}, {profile:?}");
            }
        }
    }
}

#[test]
fn p01_a_kill_loses_nothing_that_was_written_under_replicated() {
    for seed in 0..200 {
        let mut prng = Prng::new(seed);
        let world = World::new(seed, 1, CrashProfile::Ext4);
        let model: Shared = Rc::default();
        let config = config(&mut prng);
        let (shared, config_of_run) = (Rc::clone(&model), config.clone());
        run_turns(&world, prng.below(200), move |shard| async move {
            let log = open(&shard, &shared, &config_of_run, false).await;
            let mut prng = Prng::new(seed);
            for _ in 0..30 {
                let bytes = batch(&mut shared.borrow_mut(), &mut prng);
                log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
                shard.sleep_ms(prng.below(2)).await;
                shared.borrow_mut().promised = log.committed_end_offset().0;
            }
        });
        world.borrow_mut().kill();
        block_on(&world, move |shard| async move {
            check_reopened(&shard, &model, &config).await;
        });
    }
}

#[test]
fn d08_after_a_failed_sync_nothing_is_promised_and_nothing_is_retried() {
    for seed in 0..100 {
        let mut prng = Prng::new(seed);
        let world = World::new(seed, 1, CrashProfile::Ext4);
        let model: Shared = Rc::default();
        let config = config(&mut prng);
        let (shared, config_of_run) = (Rc::clone(&model), config.clone());
        let failing = Rc::clone(&world);
        block_on(&world, move |shard| async move {
            let log = open(&shard, &shared, &config_of_run, true).await;
            let after = prng.below(6);
            failing.borrow_mut().disk.faults.sync_error_after = Some(after);
            let mut failed = false;
            for _ in 0..30 {
                let bytes = batch(&mut shared.borrow_mut(), &mut prng);
                let appended = log.append(bytes, Origin::Client, LeaderEpoch(0));
                let flushed = log.flush().await;
                assert!(!failed || flushed.is_err(), "a second sync is not believed");
                failed |= flushed.is_err();
                if failed {
                    assert!(log.failure().is_some());
                    assert!(flushed.is_err() || appended.is_err());
                }
                let mut model = shared.borrow_mut();
                model.promised = model.promised.max(log.ends().durable_end_offset.0);
            }
            assert!(failed, "the planned failure came");
        });
        world.borrow_mut().crash();
        block_on(&world, move |shard| async move {
            check_reopened(&shard, &model, &config).await;
        });
    }
}

#[test]
fn p01_after_a_kill_only_what_lies_behind_the_noted_point_is_read() {
    let world = World::new(11, 1, CrashProfile::Ext4);
    let model: Shared = Rc::default();
    let config = LogConfig { producer_expiration_ms: i64::MAX, ..LogConfig::default() };
    let (shared, config_of_run) = (Rc::clone(&model), config.clone());
    block_on(&world, move |shard| async move {
        let log = open(&shard, &shared, &config_of_run, true).await;
        let mut prng = Prng::new(1);
        let append = |prng: &mut Prng| {
            let bytes = batch(&mut shared.borrow_mut(), prng);
            log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
        };
        (0..100).for_each(|_| append(&mut prng));
        assert_eq!(log.bytes_to_recover(), log.size_bytes());
        log.note_recovery_point().await.expect("the disk works");
        (0..10).for_each(|_| append(&mut prng));
        assert!(log.bytes_to_recover() < log.size_bytes() / 5);
        log.flush().await.expect("the disk works");
        shared.borrow_mut().promised = log.ends().durable_end_offset.0;
    });
    world.borrow_mut().crash();
    let (shared, config_of_run) = (Rc::clone(&model), config.clone());
    block_on(&world, move |shard| async move {
        let committer = Committer::start(&shard, CommitterOptions::default());
        let load = LoadOptions {
            config: config_of_run,
            clean: false,
            recovery_point: Offset::ZERO,
            log_start_offset: None,
            one_at_a_time: false,
        };
        let loaded = Log::open(&shard, Path::new(DIR), &committer, load).await.expect("opens");
        let (read, all) = (loaded.scanned_bytes, loaded.log.size_bytes());
        assert!(0 < read && read < all / 3, "{read} of {all} bytes were read");
        assert_eq!(read_all(&loaded.log).await, shared.borrow().values);
    });
    world.borrow_mut().kill();
    block_on(&world, move |shard| async move {
        check_reopened(&shard, &model, &config).await;
    });
}

#[test]
fn d12_corruption_below_the_recovery_point_is_refused_not_cut() {
    let world = World::new(9, 1, CrashProfile::Ext4);
    let model: Shared = Rc::default();
    let config = LogConfig { producer_expiration_ms: i64::MAX, ..LogConfig::default() };
    let (shared, config_of_run) = (Rc::clone(&model), config.clone());
    block_on(&world, move |shard| async move {
        let log = open(&shard, &shared, &config_of_run, true).await;
        let mut prng = Prng::new(1);
        for _ in 0..20 {
            let bytes = batch(&mut shared.borrow_mut(), &mut prng);
            log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
        }
        log.flush().await.expect("the disk works");
        shared.borrow_mut().recovery_point = log.recovery_point().0;
    });
    world.borrow_mut().kill();
    let path = PathBuf::from(format!("{DIR}/00000000000000000000.log"));
    let mut bytes = world.borrow().disk.content(&path).expect("written").to_vec();
    let before = bytes.len();
    bytes[before / 2] ^= 1;
    world.borrow_mut().disk.overwrite(&path, bytes);
    block_on(&world, move |shard| async move {
        let options =
            CommitterOptions { write_path: WritePath::Ring, ..CommitterOptions::default() };
        let committer = Committer::start(&shard, options);
        let recovery_point = Offset(model.borrow().recovery_point);
        let load = LoadOptions {
            config,
            clean: false,
            recovery_point,
            log_start_offset: None,
            one_at_a_time: false,
        };
        let error = Log::open(&shard, Path::new(DIR), &committer, load).await.err();
        let message = error.expect("refused").to_string();
        assert!(message.contains("below the recovery point"), "{message}");
    });
    let after = world.borrow().disk.content(&path).expect("still there").len();
    assert_eq!(after, before, "nothing was cut off");
}

/// The first batch after a start writes its leader epoch down first: the sync that a flush asks for
/// is over before the batch is written.
#[test]
fn a_flush_that_is_asked_for_before_the_write_still_ends() {
    for seed in 0..50 {
        let mut prng = Prng::new(seed);
        let world = World::new(seed, 1, CrashProfile::Ext4);
        let model: Shared = Rc::default();
        let config = config(&mut prng);
        let flushed = run_turns(&world, 100_000, move |shard| async move {
            let log = open(&shard, &model, &config, false).await;
            for epoch in 0..5 {
                let bytes = batch(&mut model.borrow_mut(), &mut prng);
                log.append(bytes, Origin::Client, LeaderEpoch(epoch)).expect("acceptable");
                log.flush().await.expect("the disk works");
                assert_eq!(log.ends().durable_end_offset, log.ends().log_end_offset);
            }
        });
        assert!(flushed.is_some(), "seed {seed}: the flush never ends");
    }
}

/// Whenever the power fails while segments are deleted from the start: what is left has no hole.
#[test]
fn d16_a_crash_in_a_deletion_from_the_start_leaves_no_hole() {
    for seed in 0..200 {
        let mut prng = Prng::new(seed);
        let world = World::new(seed, 1, CrashProfile::Hostile);
        let model: Shared = Rc::default();
        let config = LogConfig { segment_bytes: 2000, ..config(&mut prng) };
        let (shared, config_of_run) = (Rc::clone(&model), config.clone());
        let deleted: Rc<RefCell<(Offset, usize)>> = Rc::default();
        let start = Rc::clone(&deleted);
        run_turns(&world, 100 + prng.below(600), move |shard| async move {
            let log = open(&shard, &shared, &config_of_run, true).await;
            let mut prng = Prng::new(seed);
            for _ in 0..60 {
                let bytes = batch(&mut shared.borrow_mut(), &mut prng);
                log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
            }
            log.flush().await.expect("the disk works");
            shared.borrow_mut().promised = log.ends().durable_end_offset.0;
            for part in [4, 2, 1] {
                let to = Offset(log.ends().log_end_offset.0 / part);
                start.borrow_mut().0 = to;
                let count = log.delete_before(to).await.expect("the disk works");
                start.borrow_mut().1 += count;
                assert_eq!(log.ends().log_start_offset, to);
                assert!(log.first_segment_base() <= to);
            }
            assert_eq!(log.segment_count(), 1, "all but the active one");
        });
        world.borrow_mut().crash();
        let (start, count) = *deleted.borrow();
        block_on(&world, move |shard| async move {
            let log = open(&shard, &model, &config, true).await;
            let ends = log.ends();
            assert!(ends.log_start_offset <= start, "{ends:?} {start}");
            assert!(ends.log_end_offset.0 >= model.borrow().promised, "{ends:?}");
            assert!(count == 0 || ends.log_start_offset > Offset::ZERO, "it came back");
            for offset in ends.log_start_offset.0..ends.log_end_offset.0 {
                let limits = ReadLimits { bytes_max: 1, at_least_one_batch: true };
                let plan = log.plan_read(Offset(offset), ends.log_end_offset, limits).await;
                let bytes = log.read(&plan.expect("in range")).await.expect("readable");
                let (header, _) = BatchHeader::parse_whole(&bytes).expect("a whole batch");
                assert!(header.base_offset.0 <= offset && offset <= header.last_offset().0);
            }
        });
    }
}

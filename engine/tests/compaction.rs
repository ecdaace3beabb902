//! Compaction against a model, on a disk that tears.
//!
//! Random batches of keys and tombstones, plain and of transactions that are committed, aborted or
//! left open, are appended; rounds of compaction run between and beside them; the power fails at
//! any point. Whatever is left must be what a reader of committed records may see: nothing that was
//! not written, nothing aborted, and of every key the last committed record. Seeds are printed;
//! `COMPACTION_SEED=n` repeats one, `COMPACTION_RUNS=n` sets how many are run.

#![allow(clippy::disallowed_methods, reason = "a test reads its environment")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_engine::batch::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, Codec, ControlType, EndTxnMarker, RecordFields,
    decompress, records,
};
use ringlog_engine::io::sim::{CrashProfile, World, block_on, run_turns};
use ringlog_engine::io::{Buf, WritePath};
use ringlog_engine::log::{
    Committer, CommitterOptions, CompactError, CompactionLimits, LoadOptions, Log, LogConfig,
    Origin, ReadLimits, Throttle,
};
use ringlog_engine::shard::Shard;
use ringlog_engine::shard::sync::Event;
use ringlog_engine::stdx::prng::Prng;
use ringlog_engine::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const DIR: &str = "/c-0";
const KEYS: u64 = 12;
const PRODUCERS: i64 = 3;
/// How long tombstones stay; the script sleeps for as long now and then.
const DELETE_RETENTION_MS: u64 = 40;

#[derive(Clone, Debug)]
struct Entry {
    key: u64,
    value: Option<u64>,
    /// Which transaction it is of.
    txn: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Txn {
    producer: i64,
    /// Its marker's offset, and whether it says that it was committed.
    end: Option<(i64, bool)>,
}

#[derive(Default)]
struct Model {
    entries: BTreeMap<i64, Entry>,
    txns: Vec<Txn>,
    sequences: BTreeMap<i64, i32>,
    promised: i64,
    recovery_point: i64,
    first_dirty: Option<i64>,
    values_made: u64,
    rounds: usize,
}

type Shared = Rc<RefCell<Model>>;

impl Model {
    fn open_txn(&self, producer: i64) -> Option<usize> {
        self.txns.iter().position(|txn| txn.producer == producer && txn.end.is_none())
    }

    fn is_committed(&self, entry: &Entry) -> bool {
        entry.txn.is_none_or(|txn| self.txns[txn].end.is_some_and(|(_, committed)| committed))
    }

    /// Forgets what a crash took: offsets from `end` on.
    fn lose(&mut self, end: i64) {
        self.entries.retain(|offset, _| *offset < end);
        for txn in &mut self.txns {
            txn.end = txn.end.filter(|(offset, _)| *offset < end);
        }
        let left: BTreeSet<usize> = self.entries.values().filter_map(|entry| entry.txn).collect();
        for (i, txn) in self.txns.iter_mut().enumerate() {
            if !left.contains(&i) && txn.end.is_none() {
                txn.end = Some((-1, false));
            }
        }
    }
}

async fn open(shard: &Shard, model: &Shared, config: &LogConfig) -> Rc<Log> {
    let dir = PathBuf::from(DIR);
    shard.make_dir_all(&dir).await.expect("mkdir");
    shard.sync_dir(Path::new("/")).await.expect("sync");
    let options = CommitterOptions { write_path: WritePath::Ring, ..CommitterOptions::default() };
    let committer = Committer::start(shard, options);
    let load = LoadOptions {
        recovery_point: Offset(model.borrow().recovery_point),
        ..LoadOptions::unknown(config.clone())
    };
    let log = Log::open(shard, &dir, &committer, load).await.expect("a torn log opens").log;
    if let Some(first_dirty) = model.borrow().first_dirty {
        log.set_first_dirty_offset(Offset(first_dirty));
    }
    log
}

/// What a consumer of committed records sees.
async fn read_committed(log: &Rc<Log>) -> BTreeMap<i64, (u64, Option<u64>)> {
    let end = log.ends().durable_end_offset;
    let stable = log.first_unstable_offset(end).unwrap_or(end).min(end);
    let mut seen = BTreeMap::new();
    let mut at = log.ends().log_start_offset;
    while at < stable {
        let limits = ReadLimits { bytes_max: 900, at_least_one_batch: true };
        let plan = log.plan_read(at, stable, limits).await.expect("in range");
        let bytes = log.read(&plan).await.expect("readable");
        let mut aborted = log.collect_aborted(at, plan.end).await.expect("readable");
        aborted.sort_by_key(|txn| txn.first_offset);
        let mut ahead = aborted.into_iter().peekable();
        let mut skipped = BTreeSet::new();
        let mut rest = &bytes[..];
        let before = at;
        while let Ok((header, batch)) = BatchHeader::parse_whole(rest) {
            assert!(header.crc_is_valid(batch), "a batch with a wrong CRC was served");
            while let Some(txn) = ahead.next_if(|txn| txn.first_offset <= header.last_offset()) {
                skipped.insert(txn.producer_id);
            }
            if header.is_control() {
                skipped.remove(&header.producer_id);
            } else if !(header.is_transactional() && skipped.contains(&header.producer_id)) {
                see(&header, batch, at, &mut seen);
            }
            at = header.next_offset().max(at);
            rest = &rest[header.size..];
        }
        if at == before {
            // Nothing is left up to here.
            break;
        }
    }
    seen
}

fn see(
    header: &BatchHeader,
    batch: &[u8],
    from: Offset,
    seen: &mut BTreeMap<i64, (u64, Option<u64>)>,
) {
    let codec = if header.records_count == 0 { Codec::None } else { header.codec().expect("one") };
    let unpacked = decompress(codec, &batch[BATCH_HEADER_BYTES..], 1 << 20).expect("unpacks");
    let number =
        |bytes: &[u8]| u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes at least"));
    for record in records(header, &unpacked) {
        let record = record.expect("whole");
        if record.offset >= from {
            let key = number(record.key.expect("a key"));
            let twice = seen.insert(record.offset.0, (key, record.value.map(number)));
            assert_eq!(twice, None, "offset {} twice", record.offset);
        }
    }
}

/// Holds the log against the model.
async fn check(log: &Rc<Log>, model: &Shared) {
    let seen = read_committed(log).await;
    let model = model.borrow();
    let end = log.ends().durable_end_offset;
    let stable = log.first_unstable_offset(end).unwrap_or(end).0;
    let mut last: BTreeMap<u64, i64> = BTreeMap::new();
    for (offset, entry) in model.entries.iter().filter(|(offset, _)| **offset < stable) {
        if model.is_committed(entry) {
            last.insert(entry.key, *offset);
        }
    }
    for (offset, (key, value)) in &seen {
        let entry = model.entries.get(offset).unwrap_or_else(|| panic!("{offset}: never written"));
        assert_eq!((entry.key, entry.value), (*key, *value), "{offset}");
        assert!(model.is_committed(entry), "{offset} of an aborted transaction: {entry:?}");
    }
    for (key, offset) in last {
        let entry = &model.entries[&offset];
        assert!(seen.contains_key(&offset) || entry.value.is_none(), "{key} at {offset} is gone");
    }
}

async fn check_reopened(shard: &Shard, model: &Shared, config: &LogConfig) {
    let log = open(shard, model, config).await;
    let end = log.ends().log_end_offset.0;
    {
        let mut model = model.borrow_mut();
        assert!(end >= model.promised, "{end}, but {} was promised", model.promised);
        model.lose(end);
        model.promised = end;
        model.recovery_point = log.recovery_point().0;
        model.sequences.clear();
        log.with_producers(|producers| {
            for (id, producer) in producers.iter() {
                let next = producer.batches.back().map_or(0, |batch| batch.last_sequence + 1);
                model.sequences.insert(id.0, next);
            }
        });
    }
    // What was open, and whose marker is lost, is open in the log too.
    let open: Vec<i64> =
        model.borrow().txns.iter().filter(|t| t.end.is_none()).map(|t| t.producer).collect();
    let known: Vec<i64> = log.with_producers(|producers| {
        producers.iter().filter(|(_, p)| p.txn_first_offset.is_some()).map(|(id, _)| id.0).collect()
    });
    let sorted = |mut ids: Vec<i64>| {
        ids.sort_unstable();
        ids
    };
    assert_eq!(sorted(known), sorted(open), "open transactions");
    check(&log, model).await;
}

fn batch(model: &mut Model, prng: &mut Prng, at: i64, now_ms: i64) -> Buf {
    let mut builder = BatchBuilder::default();
    builder.codec = if prng.chance(1, 6) { Codec::ALL[prng.index(5)] } else { Codec::None };
    let mut txn = None;
    if prng.chance(2, 3) {
        let producer = prng.below(PRODUCERS as u64) as i64;
        let transactional = model.open_txn(producer).is_some() || prng.chance(1, 2);
        if transactional {
            txn = Some(model.open_txn(producer).unwrap_or_else(|| {
                model.txns.push(Txn { producer, end: None });
                model.txns.len() - 1
            }));
        }
        let sequence = *model.sequences.entry(producer).or_default();
        builder.producer = Some((ProducerId(producer), ProducerEpoch(0), sequence));
        builder.transactional = transactional;
    }
    let count = prng.between(1, 5) as i64;
    for i in 0..count {
        let key = prng.below(KEYS);
        model.values_made += 1;
        let value = (!prng.chance(1, 5)).then_some(model.values_made);
        let mut bytes = value.unwrap_or(0).to_be_bytes().to_vec();
        bytes.resize(8 + prng.index(100), 0xaa);
        let fields = RecordFields {
            key: Some(&key.to_be_bytes()),
            value: value.map(|_| &bytes[..]),
            headers: &[],
        };
        builder.append(now_ms, &fields);
        model.entries.insert(at + i, Entry { key, value, txn });
    }
    if let Some((ProducerId(id), _, sequence)) = builder.producer {
        model.sequences.insert(id, sequence + count as i32);
    }
    Buf::copy_of(&builder.build().expect("packs"))
}

fn marker(producer: i64, committed: bool, now_ms: i64) -> Buf {
    let mut builder = BatchBuilder::default();
    builder.producer = Some((ProducerId(producer), ProducerEpoch(0), -1));
    builder.transactional = true;
    builder.control = true;
    let control = if committed { ControlType::Commit } else { ControlType::Abort };
    let value = EndTxnMarker { coordinator_epoch: 0 }.value();
    let (key, value) = (control.key(), &value[..]);
    builder.append(now_ms, &RecordFields { key: Some(&key), value: Some(value), headers: &[] });
    Buf::copy_of(&builder.build().expect("uncompressed"))
}

async fn append_something(shard: &Shard, log: &Rc<Log>, model: &Shared, prng: &mut Prng) {
    let (at, now_ms) = (log.ends().log_end_offset.0, shard.unix_ms());
    let producer = prng.below(PRODUCERS as u64) as i64;
    let open = model.borrow().open_txn(producer);
    let (bytes, origin) = match open {
        Some(txn) if prng.chance(1, 2) => {
            let committed = prng.chance(1, 2);
            model.borrow_mut().txns[txn].end = Some((at, committed));
            (marker(producer, committed, now_ms), Origin::Internal)
        }
        _ => (batch(&mut model.borrow_mut(), prng, at, now_ms), Origin::Client),
    };
    log.append(bytes, origin, LeaderEpoch(0)).expect("acceptable");
}

async fn compact(shard: &Shard, log: &Rc<Log>, model: &Shared, prng: &mut Prng) {
    let end = log.ends().durable_end_offset;
    let stable = log.first_unstable_offset(end).unwrap_or(end).min(end);
    let dirt = log.dirt(shard.unix_ms(), stable).await.expect("readable");
    assert!(dirt.uncleanable <= stable && dirt.first_dirty <= dirt.uncleanable, "{dirt:?}");
    let throttle = Throttle::new(shard);
    let map_bytes = if prng.chance(1, 3) { 24 * 7 } else { 1 << 20 };
    let limits = CompactionLimits { map_bytes, map_load_factor: 0.9, throttle: &throttle };
    match log.compact(&dirt, limits).await {
        Ok(done) => {
            assert!(done.first_dirty >= dirt.first_dirty && done.first_dirty <= dirt.uncleanable);
            if done.first_dirty == dirt.uncleanable {
                let again = log.dirt(shard.unix_ms(), stable).await.expect("readable");
                assert_eq!((again.dirty_bytes, again.is_due()), (0, false), "{again:?}");
            }
            let mut model = model.borrow_mut();
            model.first_dirty = Some(done.first_dirty.0);
            model.rounds += 1;
        }
        Err(CompactError::MapTooSmall { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Reads that go on until they are stopped.
struct Reads {
    stop: Cell<bool>,
    ended: Event,
}

/// A consumer beside compaction, which opens every file anew.
fn read_beside(shard: &Shard, log: &Rc<Log>, model: &Shared) -> Rc<Reads> {
    let reads = Rc::new(Reads { stop: Cell::new(false), ended: Event::default() });
    let (shard_of_reads, said) = (shard.clone(), Rc::clone(&reads));
    let (log, model) = (Rc::clone(log), Rc::clone(model));
    shard.spawn(async move {
        while !said.stop.get() {
            log.close_idle_files();
            check(&log, &model).await;
            shard_of_reads.sleep_ms(1).await;
        }
        said.ended.notify();
    });
    reads
}

async fn run_script(shard: Shard, model: Shared, config: LogConfig, seed: u64) {
    let mut prng = Prng::new(seed);
    let log = open(&shard, &model, &config).await;
    for _ in 0..prng.between(2, 12) {
        for _ in 0..prng.between(1, 25) {
            append_something(&shard, &log, &model, &mut prng).await;
        }
        log.flush().await.expect("the disk works");
        {
            let mut model = model.borrow_mut();
            model.promised = log.ends().durable_end_offset.0;
            model.recovery_point = log.recovery_point().0;
        }
        if prng.chance(1, 3) {
            shard.sleep_ms(DELETE_RETENTION_MS + 1).await;
        }
        let reads = read_beside(&shard, &log, &model);
        compact(&shard, &log, &model, &mut prng).await;
        reads.stop.set(true);
        reads.ended.wait().await;
        log.close_idle_files();
        check(&log, &model).await;
    }
    if prng.chance(1, 3) {
        log.close().await.expect("the disk works");
    }
}

fn one_run(seed: u64, profile: CrashProfile, turns_max: Option<u64>) -> usize {
    let mut prng = Prng::new(seed ^ 0xc0de);
    let world = World::new(seed, 1, profile);
    let model: Shared = Rc::default();
    let config = LogConfig {
        segment_bytes: prng.between(700, 3000) as u32,
        index_interval_bytes: prng.between(1, 600) as u32,
        compacted: true,
        deleted: false,
        delete_retention_ms: DELETE_RETENTION_MS,
        file_delete_delay_ms: prng.below(3) * 20,
        producer_expiration_ms: i64::MAX,
        ..LogConfig::default()
    };
    for _ in 0..prng.between(1, 4) {
        let script = prng.next_u64();
        let turns = turns_max.unwrap_or_else(|| prng.below(6000));
        let (shared, config_of_run) = (Rc::clone(&model), config.clone());
        run_turns(&world, turns, move |shard| run_script(shard, shared, config_of_run, script));
        match prng.chance(1, 3) {
            true => world.borrow_mut().kill(),
            false => world.borrow_mut().crash(),
        }
        // Crash again in the middle of recovery.
        if prng.chance(1, 3) {
            let (shared, config_of_run) = (Rc::clone(&model), config.clone());
            run_turns(&world, prng.below(120), move |shard| async move {
                open(&shard, &shared, &config_of_run).await;
            });
            world.borrow_mut().crash();
        }
        let (shared, config_of_run) = (Rc::clone(&model), config.clone());
        block_on(&world, move |shard| async move {
            check_reopened(&shard, &shared, &config_of_run).await;
        });
        world.borrow_mut().kill();
    }
    model.borrow().rounds
}

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn d17_t10_every_key_survives_compaction_and_power_cuts() {
    if let Some(seed) = env("COMPACTION_SEED") {
        one_run(seed, CrashProfile::Ext4, None);
        one_run(seed, CrashProfile::Hostile, None);
        return;
    }
    let mut rounds = 0;
    for seed in 0..env("COMPACTION_RUNS").unwrap_or(150) {
        for profile in [CrashProfile::Ext4, CrashProfile::Hostile] {
            let result = std::panic::catch_unwind(|| one_run(seed, profile, None));
            rounds += result.unwrap_or_else(|_| panic!("COMPACTION_SEED={seed} {profile:?}"));
        }
    }
    assert!(rounds > 100, "only {rounds} rounds of compaction");
}

/// A log of four segments is compacted, and the power fails at every turn of it.
#[test]
fn d17_every_crash_point_of_a_swap() {
    for profile in [CrashProfile::Ext4, CrashProfile::Hostile] {
        for turns in 0..500 {
            let result = std::panic::catch_unwind(|| one_run(4, profile, Some(turns)));
            assert!(result.is_ok(), "turn {turns}, {profile:?}");
        }
    }
}

//! W07: a log whose files were changed at random while it was closed.
//!
//! A script fills a log on a simulated disk and closes or kills it; then one of its files is
//! damaged: bits flipped, ranges zeroed or swapped, cut, extended, removed, exchanged with another.
//! Opening it either names what is wrong and changes no segment, or gives a log that serves what
//! was appended, each record at its offset, and keeps every batch that was durable and is intact.
//! Seeds are printed; `DAMAGE_SEED=n` repeats one, `DAMAGE_RUNS=n` sets how many are run.

#![allow(clippy::disallowed_methods, reason = "a test reads its environment")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_engine::batch::{BatchBuilder, BatchHeader, Codec, RecordFields, decompress, records};
use ringlog_engine::io::Buf;
use ringlog_engine::io::sim::{CrashProfile, World, block_on};
use ringlog_engine::log::{
    Committer, CommitterOptions, LoadError, LoadOptions, Loaded, Log, LogConfig, Origin, ReadError,
    ReadLimits,
};
use ringlog_engine::shard::Shard;
use ringlog_engine::stdx::prng::Prng;
use ringlog_engine::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const DIR: &str = "/t-0";

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// What was appended, and what a start is told about it.
#[derive(Clone)]
struct Written {
    /// Value of the record at each offset.
    values: Vec<u64>,
    clean: bool,
    recovery_point: i64,
    log_start: Option<i64>,
    config: LogConfig,
    one_at_a_time: bool,
}

/// A batch as it lay in a file before the damage.
struct Placed {
    path: PathBuf,
    position: usize,
    bytes: Vec<u8>,
    header: BatchHeader,
}

async fn open(shard: &Shard, written: &Written) -> Result<Loaded, LoadError> {
    let options = CommitterOptions::default();
    let load = LoadOptions {
        clean: written.clean,
        recovery_point: Offset(written.recovery_point),
        log_start_offset: written.log_start.map(Offset),
        one_at_a_time: written.one_at_a_time,
        ..LoadOptions::unknown(written.config.clone())
    };
    Log::open(shard, Path::new(DIR), &Committer::start(shard, options), load).await
}

fn batch(prng: &mut Prng, values: &mut Vec<u64>) -> Buf {
    let mut builder = BatchBuilder::default();
    builder.codec = if prng.chance(1, 6) { Codec::ALL[prng.index(5)] } else { Codec::None };
    builder.producer = Some((ProducerId(1), ProducerEpoch(0), values.len() as i32));
    for _ in 0..prng.between(1, 5) {
        let number = prng.next_u64();
        let mut value = number.to_be_bytes().to_vec();
        value.resize(8 + prng.index(300), 0xee);
        let timestamp = 1000 + values.len() as i64;
        builder.append(timestamp, &RecordFields { value: Some(&value), ..Default::default() });
        values.push(number);
    }
    Buf::copy_of(&builder.build().expect("packs"))
}

/// Fills a log and ends its process.
fn fill(world: &Rc<RefCell<World>>, seed: u64) -> Written {
    let mut prng = Prng::new(seed);
    let config = LogConfig {
        segment_bytes: prng.between(2200, 9000) as u32,
        index_interval_bytes: prng.between(1, 600) as u32,
        segment_index_bytes: prng.between(64, 400) as u32,
        producer_expiration_ms: i64::MAX,
        ..LogConfig::default()
    };
    let written = Written {
        values: Vec::new(),
        clean: false,
        recovery_point: 0,
        log_start: None,
        config,
        one_at_a_time: prng.chance(1, 4),
    };
    let written = block_on(world, move |shard| async move {
        let mut written = written;
        shard.make_dir_all(Path::new(DIR)).await.expect("the disk works");
        let log = open(&shard, &written).await.expect("an empty log opens").log;
        for _ in 0..prng.between(1, 40) {
            let bytes = batch(&mut prng, &mut written.values);
            let epoch = LeaderEpoch((written.values.len() / 50) as i32);
            log.append(bytes, Origin::Client, epoch).expect("acceptable");
            if prng.chance(1, 4) {
                log.flush().await.expect("the disk works");
                written.recovery_point = log.recovery_point().0;
            }
            if prng.chance(1, 10) {
                log.store_indexes().await.expect("the disk works");
            }
        }
        log.flush().await.expect("the disk works");
        if prng.chance(1, 2) {
            log.close().await.expect("the disk works");
            written.clean = true;
            written.recovery_point = written.values.len() as i64;
        }
        written
    });
    world.borrow_mut().kill();
    written
}

fn snapshot(world: &Rc<RefCell<World>>) -> Files {
    let world = world.borrow();
    let paths = world.disk.files();
    let content = |path: &PathBuf| world.disk.content(path).expect("listed").to_vec();
    paths.into_iter().map(|path| (path.clone(), content(&path))).collect()
}

fn placed_batches(files: &Files) -> Vec<Placed> {
    let mut all = Vec::new();
    for (path, bytes) in files.iter().filter(|(path, _)| is_log(path)) {
        let mut at = 0;
        while let Ok((header, batch)) = BatchHeader::parse_whole(&bytes[at..]) {
            let (path, bytes) = (path.clone(), batch.to_vec());
            all.push(Placed { path, position: at, bytes, header });
            at += header.size;
        }
        assert_eq!(at, bytes.len(), "a segment is batches and nothing else");
    }
    all
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix == "log")
}

fn range(prng: &mut Prng, len: usize) -> std::ops::Range<usize> {
    let start = prng.index(len);
    let most = if prng.chance(1, 2) { 16 } else { len };
    start..(start + 1 + prng.index(most)).min(len)
}

/// Damages one file, and says how.
fn damage(world: &Rc<RefCell<World>>, files: &Files, prng: &mut Prng) -> (PathBuf, String) {
    let path = files.keys().nth(prng.index(files.len())).expect("there are files").clone();
    let mut bytes = files[&path].clone();
    let len = bytes.len();
    let how = prng.below(if len == 0 { 3 } else { 9 });
    let what = match how {
        0 => {
            world.borrow_mut().disk.remove(&path);
            return (path, "removed".to_owned());
        }
        1 | 2 => {
            let mut tail = vec![0; 1 + prng.index(300)];
            if how == 1 {
                prng.fill(&mut tail);
            }
            bytes.extend_from_slice(&tail);
            format!("extended by {} bytes", tail.len())
        }
        3 => {
            bytes.truncate(prng.index(len));
            format!("cut to {} bytes", bytes.len())
        }
        4 | 5 => {
            let flips = prng.between(1, 4);
            let mut at = Vec::new();
            for _ in 0..flips {
                at.push(prng.index(len));
                bytes[*at.last().expect("just pushed")] ^= 1 << prng.below(8);
            }
            format!("bits flipped at {at:?}")
        }
        6 => {
            let range = range(prng, len);
            bytes[range.clone()].fill(0);
            format!("zeros at {range:?}")
        }
        7 => {
            let range = range(prng, len);
            prng.fill(&mut bytes[range.clone()]);
            format!("noise at {range:?}")
        }
        _ => {
            // What another file of its kind holds.
            let kind = |other: &&PathBuf| other.extension() == path.extension();
            let others: Vec<&PathBuf> = files.keys().filter(kind).collect();
            let other = others[prng.index(others.len())];
            bytes = files[other].clone();
            format!("replaced by {}", other.display())
        }
    };
    world.borrow_mut().disk.overwrite(&path, bytes);
    (path, what)
}

/// A checkpoint of the directory was damaged, and reads as another number.
fn misremember(written: &mut Written, prng: &mut Prng) -> (PathBuf, String) {
    let garbage = prng.next_u64() as i64 >> prng.below(64);
    match prng.chance(1, 2) {
        true => written.recovery_point = garbage,
        false => written.log_start = Some(garbage),
    }
    (PathBuf::from("a checkpoint"), format!("says {garbage}"))
}

/// What a consumer that checks CRCs, as all do, gets to see: values and, where the answer is an
/// error, `None`. Batches whose offsets were damaged where nothing is read at a start are `moved`:
/// no CRC covers those, and they are not looked at.
async fn consume(log: &Rc<Log>, end: i64, moved: &[&Placed]) -> BTreeMap<i64, Option<u64>> {
    let mut seen = BTreeMap::new();
    let mut at = log.ends().log_start_offset;
    while at.0 < end && at < log.ends().log_end_offset {
        let limits = ReadLimits { bytes_max: 700, at_least_one_batch: true };
        let before = at;
        let plan = match log.plan_read(at, log.ends().log_end_offset, limits).await {
            Ok(plan) => plan,
            Err(ReadError::Corrupt(what)) => {
                assert!(what.contains(DIR), "it says where: {what}");
                seen.insert(at.0, None);
                at = at.plus(1);
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let bytes = log.read(&plan).await.expect("the disk works");
        let mut rest = &bytes[..];
        while let Ok((header, batch)) = BatchHeader::parse_whole(rest) {
            if !header.crc_is_valid(batch) {
                seen.entry(at.0).or_insert(None);
                break;
            }
            if header.last_offset() < at || moved.iter().any(|p| p.bytes[16..] == batch[16..]) {
                break;
            }
            let codec = header.codec().expect("a codec");
            let unpacked = decompress(codec, &batch[61..], 1 << 20).expect("its CRC holds");
            for record in records(&header, &unpacked) {
                let record = record.expect("its CRC holds");
                let value = record.value.expect("a value");
                let value = u64::from_be_bytes(value[..8].try_into().expect("eight bytes"));
                seen.insert(record.offset.0, Some(value));
            }
            at = header.next_offset();
            rest = &rest[header.size..];
        }
        at = at.max(before.plus(1));
    }
    seen
}

/// After the damage: which batches are still as they were.
fn intact<'a>(placed: &'a [Placed], damaged: &Files) -> Vec<&'a Placed> {
    let is_there = |p: &&Placed| {
        let file = damaged.get(&p.path).map(Vec::as_slice).unwrap_or_default();
        file.get(p.position..p.position + p.bytes.len()) == Some(&p.bytes[..])
    };
    placed.iter().filter(is_there).collect()
}

async fn check_served(
    log: &Rc<Log>,
    written: &Written,
    placed: &[Placed],
    sound: &[&Placed],
    foreign_snapshot: bool,
) {
    let len = written.values.len() as i64;
    let bad = placed.iter().filter(|p| !sound.iter().any(|s| std::ptr::eq(*s, *p)));
    let bad: Vec<&Placed> = bad.collect();
    let seen = consume(log, len, &bad).await;
    for (offset, value) in seen.iter().filter(|(_, value)| value.is_some()) {
        let was = written.values.get(*offset as usize);
        assert_eq!(value.as_ref(), was, "another record at {offset}");
    }
    let first_bad = bad.first().map_or(i64::MAX, |p| p.header.base_offset.0);
    for batch in sound {
        let (base, last) = (batch.header.base_offset.0, batch.header.last_offset().0);
        let torn = first_bad < base && last >= written.recovery_point && !written.clean;
        let hidden = last < log.ends().log_start_offset.0;
        // Behind a header that cannot be read a batch may not be found; then that is said.
        let answer = seen.get(&last).copied();
        let lost = seen.get(&base) == Some(&None) && first_bad < base;
        assert!(
            torn || hidden || lost || answer.flatten().is_some(),
            "offset {last} of {base}.. is intact and not served: {:?}, first bad {first_bad}",
            seen.range(base - 8..base + 8).collect::<Vec<_>>()
        );
    }
    if first_bad == i64::MAX {
        let whole = log.ends().log_end_offset.0;
        assert!(whole >= len, "the log ends at {whole} of {len}");
        if written.log_start.is_none() && !foreign_snapshot {
            let last = log.with_producers(|producers| {
                producers.iter().next().and_then(|(_, p)| p.batches.back().map(|b| b.last_sequence))
            });
            assert_eq!(last, Some(len as i32 - 1), "the producer's state");
            for offset in 0..len {
                let found = log.find_timestamp(1000 + offset, Offset(len)).await;
                assert_eq!(found.expect("readable").map(|f| f.offset.0), Some(offset));
            }
            let newest = log.find_max_timestamp(Offset(len)).await.expect("readable");
            assert_eq!(newest.map(|f| f.offset.0), Some(len - 1));
        }
    }
}

fn one_run(seed: u64) {
    let world = World::new(seed, 1, CrashProfile::Ext4);
    let mut written = fill(&world, seed);
    let before = snapshot(&world);
    let placed = placed_batches(&before);
    let mut prng = Prng::new(seed ^ 0xDA3A6E);
    let (path, what) = match prng.chance(1, 12) {
        true => misremember(&mut written, &mut prng),
        false => damage(&world, &before, &mut prng),
    };
    eprintln!(
        "DAMAGE_SEED={seed}: {} records, clean {}, recovery point {}: {} {what}",
        written.values.len(),
        written.clean,
        written.recovery_point,
        path.display()
    );
    let damaged = snapshot(&world);
    let sound = intact(&placed, &damaged);
    let opened = {
        let written = written.clone();
        block_on(&world, move |shard| async move { open(&shard, &written).await.map(drop) })
    };
    world.borrow_mut().kill();
    if let Err(error) = opened {
        let message = error.to_string();
        assert!(message.contains(DIR) && message.len() > 30, "not a clear message: {message}");
        for (path, bytes) in damaged.iter().filter(|(path, _)| is_log(path)) {
            let after = world.borrow().disk.content(path).map(<[u8]>::to_vec);
            assert_eq!(after.as_ref(), Some(bytes), "refused, and {} changed", path.display());
        }
        return;
    }
    // What opening did is on the disk: the second start has to say the same.
    let after = snapshot(&world);
    for batch in &sound {
        let durable = written.clean || batch.header.last_offset().0 < written.recovery_point;
        let file = after.get(&batch.path).map(Vec::as_slice).unwrap_or_default();
        let there = file.get(batch.position..batch.position + batch.bytes.len());
        assert!(
            !durable || there == Some(&batch.bytes[..]),
            "{} is gone",
            batch.header.base_offset
        );
    }
    // Nothing in a snapshot says whose it is.
    let foreign_snapshot = path.to_string_lossy().ends_with(".snapshot") && what.contains("by /");
    let checked = written.clone();
    let indices: Vec<usize> = sound
        .iter()
        .map(|s| placed.iter().position(|p| std::ptr::eq(p, *s)).expect("one of them"))
        .collect();
    block_on(&world, move |shard| async move {
        let log = open(&shard, &checked).await.expect("it opened before").log;
        let sound: Vec<&Placed> = indices.iter().map(|&i| &placed[i]).collect();
        check_served(&log, &checked, &placed, &sound, foreign_snapshot).await;
        let end = log.ends().log_end_offset;
        let mut more = Vec::new();
        let bytes = batch(&mut Prng::new(seed), &mut more);
        // The producer may be known with a later sequence.
        if log.append(bytes, Origin::Client, LeaderEpoch(99)).is_ok_and(|a| !a.duplicate) {
            log.flush().await.expect("the disk works");
            let seen = consume(&log, i64::MAX, &[]).await;
            let first = seen.get(&end.0).copied().flatten();
            assert_eq!(first.as_ref(), more.first(), "the log goes on");
        }
    });
}

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn w07_a_log_with_a_damaged_file_is_refused_or_serves_what_was_appended() {
    if let Some(seed) = env("DAMAGE_SEED") {
        return one_run(seed);
    }
    for seed in 0..env("DAMAGE_RUNS").unwrap_or(1500) {
        let result = std::panic::catch_unwind(|| one_run(seed));
        assert!(result.is_ok(), "failed: DAMAGE_SEED={seed}");
    }
}

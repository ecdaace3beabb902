//! What a log should hold, and scripts of random operations that are run on it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_engine::batch::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, Codec, RecordFields, decompress, records,
};
use ringlog_engine::io::sim::{CrashProfile, DiskLies, World, block_on, run_turns};
use ringlog_engine::io::{Buf, WritePath};
use ringlog_engine::log::{
    Committer, CommitterOptions, IoMode, LoadError, LoadOptions, Log, LogConfig, LogEnds, Origin,
    Producers, ReadLimits,
};
use ringlog_engine::shard::Shard;
use ringlog_engine::stdx::prng::Prng;
use ringlog_engine::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

pub const DIR: &str = "/t-0";

/// What should be in the log.
#[derive(Default)]
pub struct Model {
    /// Value of the record at each offset.
    pub values: Vec<u64>,
    /// The leader epoch that each was appended in.
    epochs: Vec<i32>,
    /// Where its batches end.
    ends: Vec<i64>,
    /// Below this everything was promised.
    pub promised: i64,
    /// As the recovery-point checkpoint last said.
    pub recovery_point: i64,
    pub next_sequence: i32,
    pub epoch: i32,
    /// The checkpoint of leader epochs was damaged: some may be forgotten.
    epochs_spoilt: bool,
    pub clean: bool,
    values_made: u64,
    /// What counts as promised.
    pub promise: Promise,
    pub plants: Plants,
}

/// Bugs of recovery.
#[derive(Default)]
pub struct Plants {
    /// Corruption where nothing can be torn is cut off.
    pub cuts_corrupt: bool,
    /// Snapshots of producers are those of none.
    pub forgets_producers: bool,
}

/// Which of a log's ends its user takes for the one that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Promise {
    #[default]
    Durable,
    /// A bug: what a kill leaves is not what a power cut leaves.
    Written,
    /// A bug: what is in memory only.
    Appended,
}

pub type Shared = Rc<RefCell<Model>>;

impl Model {
    /// The log has acknowledged everything up to one of its ends.
    pub fn note_promise(&mut self, ends: LogEnds) {
        let end = match self.promise {
            Promise::Durable => ends.durable_end_offset,
            Promise::Written => ends.written_end_offset,
            Promise::Appended => ends.log_end_offset,
        };
        self.promised = self.promised.max(end.0);
    }
}

pub fn config(prng: &mut Prng) -> LogConfig {
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

pub async fn open(shard: &Shard, model: &Shared, config: &LogConfig, sync_always: bool) -> Rc<Log> {
    try_open(shard, model, config, sync_always).await.expect("a torn log opens")
}

pub async fn try_open(
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
        index_bytes_max: 200,
    };
    let committer = Committer::start(shard, options);
    let (clean, recovery_point) = {
        let mut model = model.borrow_mut();
        // The marker is gone before anything is changed.
        (std::mem::take(&mut model.clean), Offset(model.recovery_point))
    };
    let load = LoadOptions { clean, recovery_point, ..LoadOptions::unknown(config.clone()) };
    Ok(Log::open(shard, &dir, &committer, load).await?.log)
}

/// Everything the log holds, read the way a consumer does.
pub async fn read_all(log: &Rc<Log>) -> Vec<u64> {
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
pub async fn check_reopened(shard: &Shard, model: &Shared, config: &LogConfig) -> Rc<Log> {
    let log = open(shard, model, config, true).await;
    let values = read_all(&log).await;
    {
        let mut model = model.borrow_mut();
        let promised = model.promised as usize;
        assert!(values.len() >= promised, "{} records of {promised} promised", values.len());
        assert!(values.len() <= model.values.len(), "records out of nowhere");
        assert_eq!(values, model.values[..values.len()], "another history");
        assert_eq!(log.ends().log_end_offset.0 as usize, values.len());
        let first = log.ends().log_start_offset.0 as usize;
        for offset in (first..values.len()).filter(|_| !model.epochs_spoilt) {
            let epoch = log.epochs().epoch_at(Offset(offset as i64)).map(|epoch| epoch.0);
            assert_eq!(epoch, Some(model.epochs[offset]), "the leader epoch of {offset}");
        }
        keep(&mut model, values.len() as i64);
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

pub fn batch(model: &mut Model, prng: &mut Prng) -> Buf {
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
        let epoch = model.epoch;
        model.epochs.push(epoch);
        model.values_made += 1;
    }
    model.next_sequence += count as i32;
    let end = model.values.len() as i64;
    model.ends.push(end);
    Buf::copy_of(&builder.build().expect("packs"))
}

/// Whether the disk fails at random while a script runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    Works,
    Fails,
}

/// Appends, and now and then waits for what it appended. Ends at the first error of a failing disk.
pub async fn run_script(
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
    let mut log = try_open(&shard, &model, &config, sync_always).await.map_err(|e| said(&e))?;
    for _ in 0..prng.between(1, 40) {
        match prng.below(20) {
            // D18: its leader has another end.
            0 => {
                log = truncate(&shard, log, &model, &config, sync_always, &mut prng).await?;
            }
            1..=11 => {
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
            12..=15 => {
                let target = log.ends().log_end_offset;
                if sync_always || prng.chance(1, 3) {
                    log.flush().await.map_err(|e| said(&e))?;
                }
                assert!(!sync_always || log.ends().durable_end_offset >= target);
            }
            // Long enough for an idle log to be trimmed, now and then.
            17 => shard.sleep_ms(if prng.chance(1, 4) { 1500 } else { prng.below(3) }).await,
            // Or for a write to be over and its sync not.
            16 => {
                for _ in 0..prng.below(8) {
                    shard.yield_now().await;
                }
            }
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
        model.borrow_mut().note_promise(log.ends());
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

/// Takes the end off the log, as a new leader with another one asks for.
async fn truncate(
    shard: &Shard,
    log: Rc<Log>,
    model: &Shared,
    config: &LogConfig,
    sync_always: bool,
    prng: &mut Prng,
) -> Result<Rc<Log>, String> {
    let said = |error: LoadError| error.to_string();
    log.close().await.map_err(|error| error.to_string())?;
    cut_model(model, prng);
    let to = Offset(model.borrow().promised);
    Log::truncate(shard, Path::new(DIR), to).await.map_err(said)?;
    let log = try_open(shard, model, config, sync_always).await.map_err(said)?;
    assert_eq!(log.ends().log_end_offset, to);
    keep(&mut model.borrow_mut(), to.0);
    Ok(log)
}

/// A place between two batches, from which on everything goes. ORDER: the recovery point that says
/// so is there first.
fn cut_model(model: &Shared, prng: &mut Prng) {
    let mut model = model.borrow_mut();
    let mut ends = model.ends.clone();
    ends.retain(|end| *end < model.values.len() as i64);
    let to = if ends.is_empty() { 0 } else { ends[prng.index(ends.len())] };
    model.promised = to;
    model.recovery_point = model.recovery_point.min(to);
}

/// What is left of it is all there is.
fn keep(model: &mut Model, end: i64) {
    model.values.truncate(end as usize);
    model.epochs.truncate(end as usize);
    model.ends.retain(|other| *other <= end);
    model.next_sequence = end as i32;
}

/// What is wrong with the code under test, or with the disk, in all of a run.
pub type Plant = fn(&mut DiskLies, &mut Model);

pub fn one_run(seed: u64, profile: CrashProfile, turns_max: Option<u64>, plant: Plant) {
    let mut prng = Prng::new(seed ^ 0x5eed);
    let world = World::new(seed, 1, profile);
    let model: Shared = Rc::default();
    plant(&mut world.borrow_mut().disk.faults.lies, &mut model.borrow_mut());
    let config = config(&mut prng);
    if prng.chance(1, 3) {
        world.borrow_mut().disk.faults.short_once_in = Some(prng.between(2, 10));
    }
    for _ in 0..prng.between(1, 4) {
        let script = prng.next_u64();
        let disk = if prng.chance(1, 4) { Disk::Fails } else { Disk::Works };
        if disk == Disk::Fails {
            let mut world = world.borrow_mut();
            match prng.below(3) {
                // D19: it fills up.
                0 => {
                    let room = world.disk.used_bytes() + prng.below(20_000);
                    world.disk.faults.capacity_bytes = Some(room);
                }
                _ => world.disk.faults.error_once_in = Some(prng.between(10, 150)),
            }
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
            spoil_small_files(&world, &model, &mut prng);
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
        plant_in_files(&world, &model);
        world.borrow_mut().disk.faults.error_once_in = None;
        world.borrow_mut().disk.faults.capacity_bytes = None;
        let (shared, config_of_run) = (Rc::clone(&model), config.clone());
        block_on(&world, move |shard| async move {
            check_reopened(&shard, &shared, &config_of_run).await;
        });
        world.borrow_mut().kill();
    }
}

/// Makes the files what a recovery with these bugs would take them for.
fn plant_in_files(world: &Rc<RefCell<World>>, model: &Shared) {
    let mut model = model.borrow_mut();
    let files = world.borrow().disk.files();
    for path in files {
        let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
        if model.plants.forgets_producers && suffix == "snapshot" {
            let none = Producers::default().encode_snapshot();
            world.borrow_mut().disk.overwrite(&path, none);
        }
        if model.plants.cuts_corrupt && suffix == "log" && model.promised > 0 {
            let mut bytes = world.borrow().disk.content(&path).expect("listed").to_vec();
            if let Some(byte) = bytes.get_mut(BATCH_HEADER_BYTES) {
                *byte ^= 1;
            }
            world.borrow_mut().disk.overwrite(&path, bytes);
            (model.recovery_point, model.clean) = (0, false);
        }
    }
}

/// D13, D14: indexes, snapshots and the checkpoint of leader epochs that are missing, empty or
/// garbage are made anew, or done without.
fn spoil_small_files(world: &Rc<RefCell<World>>, model: &Shared, prng: &mut Prng) {
    let files = world.borrow().disk.files();
    for path in files {
        let name = path.to_string_lossy().into_owned();
        let epochs = name.ends_with("leader-epoch-checkpoint");
        let derived = name.ends_with("index") || name.ends_with(".snapshot") || epochs;
        if derived && prng.chance(1, 3) {
            model.borrow_mut().epochs_spoilt |= epochs;
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

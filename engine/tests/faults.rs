//! Faults of a disk, one by one: what a log makes of each.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_engine::batch::{BatchBuilder, BatchHeader, RecordFields};
use ringlog_engine::io::sim::{CrashProfile, World, block_on};
use ringlog_engine::io::{BUF_ALIGN, Buf, Chunk, Errno, OpenOptions, WritePath};
use ringlog_engine::log::{
    Committer, CommitterOptions, LoadError, LoadOptions, Log, LogConfig, Origin, ReadError,
    ReadLimits,
};
use ringlog_engine::shard::{File, Shard};
use ringlog_engine::types::{LeaderEpoch, Offset};

const DIR: &str = "/f-0";
const BATCHES: i64 = 12;

async fn open(shard: &Shard, recovery_point: i64) -> Result<Rc<Log>, LoadError> {
    shard.make_dir_all(Path::new(DIR)).await.expect("mkdir");
    let options = CommitterOptions { write_path: WritePath::Ring, ..CommitterOptions::default() };
    let load = LoadOptions {
        recovery_point: Offset(recovery_point),
        ..LoadOptions::unknown(LogConfig { segment_bytes: 1500, ..LogConfig::default() })
    };
    let committer = Committer::start(shard, options);
    Ok(Log::open(shard, Path::new(DIR), &committer, load).await?.log)
}

/// A log of [`BATCHES`] batches of one record, five to a segment, all durable.
async fn filled(shard: &Shard) -> Rc<Log> {
    let log = open(shard, 0).await.expect("opens");
    for i in 0..BATCHES as u8 {
        let mut builder = BatchBuilder::default();
        builder.append(1000, &RecordFields { value: Some(&[i; 200]), ..Default::default() });
        let bytes = Buf::copy_of(&builder.build().expect("packs"));
        log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
    }
    log.flush().await.expect("the disk works");
    log
}

async fn read(log: &Rc<Log>, offset: i64) -> Result<i64, ReadError> {
    let limits = ReadLimits { bytes_max: 1, at_least_one_batch: true };
    let plan = log.plan_read(Offset(offset), log.ends().log_end_offset, limits).await?;
    let bytes = log.read(&plan).await?;
    let (header, batch) = BatchHeader::parse_whole(&bytes).expect("a whole batch");
    assert!(header.crc_is_valid(batch), "zeros, or something else that was never written");
    Ok(header.base_offset.0)
}

fn segment(base: i64) -> PathBuf {
    PathBuf::from(format!("{DIR}/{base:020}.log"))
}

/// Offsets of segments that are there.
fn bases(world: &World) -> Vec<i64> {
    let name = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok();
    let files = world.disk.files();
    files.iter().filter(|p| p.extension().is_some_and(|e| e == "log")).filter_map(name).collect()
}

#[test]
fn d05_what_comes_behind_a_hole_is_not_taken() {
    let world = World::new(5, 1, CrashProfile::Ext4);
    block_on(&world, |shard| async move { drop(filled(&shard).await) });
    world.borrow_mut().kill();
    let last = *bases(&world.borrow()).last().expect("a segment");
    let mut content = world.borrow().disk.content(&segment(last)).expect("there").to_vec();
    let size = content.len() / (BATCHES - last) as usize;
    // The device wrote the batch after it, and not this one.
    content[..size].fill(0);
    world.borrow_mut().disk.overwrite(&segment(last), content);
    block_on(&world, move |shard| async move {
        // Nothing of the segment was acknowledged: the recovery point is at its start.
        let log = open(&shard, last).await.expect("a torn write");
        assert_eq!(log.ends().log_end_offset, Offset(last));
        for offset in 0..last {
            assert_eq!(read(&log, offset).await, Ok(offset));
        }
    });
}

#[test]
fn d09_a_disk_that_lost_what_it_had_synced_is_caught_at_the_start() {
    let world = World::new(9, 1, CrashProfile::Ext4);
    block_on(&world, |shard| async move { drop(filled(&shard).await) });
    world.borrow_mut().kill();
    let last = *bases(&world.borrow()).last().expect("a segment");
    let content = world.borrow().disk.content(&segment(last)).expect("there").to_vec();
    let size = content.len() / (BATCHES - last) as usize;
    world.borrow_mut().disk.overwrite(&segment(last), content[..size].to_vec());
    let disk = Rc::clone(&world);
    block_on(&world, move |shard| async move {
        let error = open(&shard, BATCHES).await.err().expect("refused");
        assert!(matches!(error, LoadError::Short { .. }), "{error}");
        // Nothing was changed: whoever can mend it finds what is left.
        assert_eq!(disk.borrow().disk.content(&segment(last)).expect("there").len(), size);
        // Without the claim of the recovery point what is left is a log.
        assert_eq!(open(&shard, 0).await.expect("opens").ends().log_end_offset, Offset(last + 1));
    });
}

#[test]
fn d10_a_segment_that_cannot_be_read_fails_its_reads_and_nothing_else() {
    let world = World::new(10, 1, CrashProfile::Ext4);
    let disk = Rc::clone(&world);
    block_on(&world, move |shard| async move {
        let log = filled(&shard).await;
        let broken = segment(5);
        disk.borrow_mut().disk.faults.read_error_path = Some(broken.display().to_string());
        match read(&log, 6).await {
            Err(ReadError::Io(error)) => {
                assert_eq!((error.errno, error.path), (Errno::EIO, broken));
            }
            other => panic!("{other:?}"),
        }
        for offset in [0, 4, 10, 11] {
            assert_eq!(read(&log, offset).await, Ok(offset));
        }
        // One sector is not the directory: appends go on.
        assert_eq!(log.failure(), None);
        let mut builder = BatchBuilder::default();
        builder.append(1000, &RecordFields { value: Some(b"more"), ..Default::default() });
        let bytes = Buf::copy_of(&builder.build().expect("packs"));
        log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
        log.flush().await.expect("the disk works");
        disk.borrow_mut().disk.faults.read_error_path = None;
        assert_eq!(read(&log, 6).await, Ok(6));
    });
}

#[test]
fn d22_short_reads_and_writes_leave_every_byte_in_its_place() {
    for seed in 0..40 {
        let world = World::new(seed, 1, CrashProfile::Ext4);
        world.borrow_mut().disk.faults.short_once_in = Some(2);
        block_on(&world, |shard| async move {
            let log = filled(&shard).await;
            for offset in 0..BATCHES {
                assert_eq!(read(&log, offset).await, Ok(offset));
            }
        });
        world.borrow_mut().kill();
        block_on(&world, |shard| async move {
            let log = open(&shard, BATCHES).await.expect("whole");
            for offset in 0..BATCHES {
                assert_eq!(read(&log, offset).await, Ok(offset));
            }
        });
    }
}

/// One log's flush, in a directory of its own; how long it takes by the world's clock.
async fn append_and_flush(shard: &Shard, log: &Rc<Log>) -> u64 {
    let mut builder = BatchBuilder::default();
    builder.append(1000, &RecordFields { value: Some(&[1; 400]), ..Default::default() });
    let bytes = Buf::copy_of(&builder.build().expect("packs"));
    log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
    let before = shard.now();
    log.flush().await.expect("the disk works");
    shard.now().ms_since(before)
}

#[test]
fn d21_x03_a_disk_that_stalls_holds_up_its_own_logs_only() {
    const STALL_NS: u64 = 60_000_000_000;
    for path in [WritePath::Ring, WritePath::Blocking] {
        let world = World::new(21, 1, CrashProfile::Ext4);
        let disk = Rc::clone(&world);
        block_on(&world, move |shard| async move {
            let mut logs = Vec::new();
            for dir in ["/slow", "/fast"] {
                shard.make_dir_all(Path::new(dir)).await.expect("mkdir");
                let options = CommitterOptions { write_path: path, ..CommitterOptions::default() };
                let committer = Committer::start(&shard, options);
                // Small ones: the slow disk also rolls.
                let load = LoadOptions {
                    clean: true,
                    recovery_point: Offset(0),
                    ..LoadOptions::unknown(LogConfig {
                        segment_bytes: 1500,
                        ..LogConfig::default()
                    })
                };
                let opened = Log::open(&shard, Path::new(dir), &committer, load).await;
                logs.push(opened.expect("opens").log);
            }
            let (slow, fast) = (Rc::clone(&logs[0]), Rc::clone(&logs[1]));
            append_and_flush(&shard, &slow).await;
            disk.borrow_mut().disk.faults.slow_path = Some(("/slow".to_owned(), STALL_NS));
            let (own, stalled) = (shard.clone(), Rc::clone(&slow));
            shard.spawn(async move {
                for _ in 0..8 {
                    append_and_flush(&own, &stalled).await;
                }
            });
            for _ in 0..50 {
                let took_ms = append_and_flush(&shard, &fast).await;
                assert!(took_ms < 100, "{path:?}: {took_ms} ms beside a disk that stalls");
            }
            // What has not come back is not taken for done.
            assert_eq!(slow.ends().durable_end_offset, Offset(1), "{path:?}");
            assert_eq!((slow.failure(), fast.failure()), (None, None));
            let all = || (slow.ends().durable_end_offset == Offset(9)).then_some(());
            slow.changed.until(all).await;
        });
    }
}

/// Two files that are laid out share one flush of the device; true if both have what was written.
/// `flushes_nothing`: a disk on which a sync is the one file's own affair.
fn laid_out_files_survive(seed: u64, profile: CrashProfile, flushes_nothing: bool) -> bool {
    const PATHS: [&str; 2] = ["/a", "/b"];
    let page = |byte: u8| {
        let mut buf = Buf::with_capacity(BUF_ALIGN);
        buf.set_len(BUF_ALIGN);
        buf.fill(byte);
        vec![Chunk::from(buf)]
    };
    let world = World::new(seed, 1, profile);
    world.borrow_mut().disk.faults.lies.flushes = flushes_nothing;
    block_on(&world, move |shard| async move {
        let options =
            OpenOptions { write: true, create: true, direct: true, ..OpenOptions::default() };
        let mut files = Vec::new();
        for path in PATHS {
            let file = File::open(&shard, Path::new(path), options).await.expect("opens");
            file.write_at(page(0), 0, WritePath::Ring).await.expect("the disk works");
            file.fdatasync().await.expect("the disk works");
            files.push(file);
        }
        shard.sync_dir(Path::new("/")).await.expect("the disk works");
        for file in &files {
            file.write_at(page(7), 0, WritePath::Ring).await.expect("the disk works");
        }
        shard.sync_files(0, &[], &files).await.expect("the disk works");
    });
    world.borrow_mut().crash();
    let world = world.borrow();
    let content = PATHS.map(|path| world.disk.content(Path::new(path)).map(<[u8]>::to_vec));
    content.iter().all(|content| content.as_deref() == Some(&[7; BUF_ALIGN]))
}

#[test]
fn e01_one_sync_of_a_file_makes_all_that_are_laid_out_durable() {
    for profile in [CrashProfile::Ext4, CrashProfile::Hostile] {
        for seed in 0..50 {
            let survived = laid_out_files_survive(seed, profile, false);
            assert!(survived, "seed {seed} {profile:?}: acknowledged and lost");
        }
    }
    let noticed = |seed: &u64| !laid_out_files_survive(*seed, CrashProfile::Ext4, true);
    assert!((0..50).find(noticed).is_some(), "a sync that flushes nothing would go unnoticed");
}

//! What a log may hold on to, and what a peer can make of it.

use std::path::Path;
use std::rc::Rc;

use ringlog_engine::batch::{BatchBuilder, RecordFields};
use ringlog_engine::io::sim::{CrashProfile, World, block_on};
use ringlog_engine::io::{Buf, WritePath};
use ringlog_engine::log::{
    AppendError, Committer, CommitterOptions, CompactError, CompactionLimits, IoMode, LoadOptions,
    Log, LogConfig, Origin, Throttle,
};
use ringlog_engine::shard::Shard;
use ringlog_engine::types::{LeaderEpoch, Offset};

const DIR: &str = "/b-0";
const SEGMENTS: i64 = 12;
const BATCHES_PER_SEGMENT: i64 = 4;

/// A batch of one record, as a leader placed it.
fn batch(base_offset: i64, epoch: i32, value_bytes: usize) -> Vec<u8> {
    batch_of(base_offset, epoch, 1000, value_bytes)
}

fn batch_of(base_offset: i64, epoch: i32, timestamp: i64, value_bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.base_offset = Offset(base_offset);
    builder.leader_epoch = LeaderEpoch(epoch);
    let value = vec![b'x'; value_bytes];
    builder.append(timestamp, &RecordFields { value: Some(&value), ..Default::default() });
    builder.build().expect("packs")
}

async fn open(shard: &Shard, options: CommitterOptions) -> (Rc<Committer>, Rc<Log>) {
    shard.make_dir_all(Path::new(DIR)).await.expect("mkdir");
    let committer = Committer::start(shard, options);
    let config = LogConfig { segment_bytes: 1200, index_interval_bytes: 1, ..LogConfig::default() };
    let load = LoadOptions { clean: true, ..LoadOptions::unknown(config) };
    let log =
        Log::open(shard, Path::new(DIR), &committer, load).await.expect("a new log opens").log;
    (committer, log)
}

async fn append(log: &Rc<Log>, count: i64) {
    for _ in 0..count {
        let bytes = Buf::copy_of(&batch_of(0, 0, 1000 + log.ends().log_end_offset.0, 200));
        log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
        log.flush().await.expect("the disk works");
    }
}

#[test]
fn e06_indexes_that_reads_bring_into_memory_have_a_bound_and_go_when_idle() {
    block_on(&World::new(6, 1, CrashProfile::Ext4), |shard| async move {
        let options = CommitterOptions { index_bytes_max: 500, ..CommitterOptions::default() };
        let (committer, log) = open(&shard, options).await;
        append(&log, SEGMENTS * BATCHES_PER_SEGMENT).await;
        assert!(log.segment_count() as i64 >= SEGMENTS);
        assert_eq!(committer.loaded_index_bytes(), 0, "nobody has read");
        let end = log.ends().log_end_offset;
        let mut most = 0;
        for offset in (0..end.0).rev() {
            let found = log.find_timestamp(1000 + offset, end).await.expect("readable");
            assert_eq!(found.map(|found| found.offset), Some(Offset(offset)));
            most = most.max(committer.loaded_index_bytes());
        }
        assert!((1..=500).contains(&most), "{most} bytes");
        // The first look makes them idle, the second finds that they are.
        log.close_idle_files();
        log.close_idle_files();
        assert_eq!(committer.loaded_index_bytes(), 0);
    });
}

/// Compaction may take hours at its rate: what bounds recovery and space does not wait for it.
#[test]
fn e07_a_long_compaction_keeps_nothing_else_waiting() {
    block_on(&World::new(7, 1, CrashProfile::Ext4), |shard| async move {
        let (_, log) = open(&shard, CommitterOptions::default()).await;
        append(&log, SEGMENTS * BATCHES_PER_SEGMENT).await;
        let end = log.ends().log_end_offset;
        let dirt = log.dirt(shard.unix_ms(), end).await.expect("readable");
        let (compacted, slow) = (Rc::clone(&log), shard.clone());
        shard.spawn(async move {
            let throttle = Throttle::new(&slow);
            throttle.set_rate(1.0);
            let (map_bytes, map_load_factor) = (4096, 0.9);
            let limits = CompactionLimits { map_bytes, map_load_factor, throttle: &throttle };
            let ended = compacted.compact(&dirt, limits).await;
            assert_eq!(ended.err(), Some(CompactError::Stopped), "the log was closed first");
        });
        shard.sleep_ms(1000).await;
        let started = shard.now();
        assert!(log.bytes_to_recover() > 0);
        log.note_recovery_point().await.expect("the disk works");
        assert_eq!(log.bytes_to_recover(), 0);
        assert_eq!(log.apply_retention(shard.unix_ms(), end).await, Ok(None));
        log.close().await.expect("the disk works");
        assert!(shard.now().ms_since(started) < 1000, "it waited for the compaction");
    });
}

#[test]
fn e08_a_lack_of_descriptors_closes_the_files_of_direct_mode_too() {
    let world = World::new(8, 1, CrashProfile::Ext4);
    let disk = Rc::clone(&world);
    block_on(&world, |shard| async move {
        let options = CommitterOptions {
            io_mode: IoMode::Direct,
            tail_bytes: 1 << 20,
            write_path: WritePath::Ring,
            ..CommitterOptions::default()
        };
        let (_, log) = open(&shard, options).await;
        for round in 1..20 {
            append(&log, 1).await;
            log.close_files();
            // What was let go of is closed once nobody is at work on it.
            shard.sleep_ms(1).await;
            assert_eq!(disk.borrow().disk.open_count(), 0, "round {round}");
        }
        // The file is trimmed all the same once the log is idle.
        shard.sleep_ms(2500).await;
        let path = Path::new(DIR).join("00000000000000000016.log");
        let len = disk.borrow().disk.content(&path).expect("the last segment").len();
        assert_eq!(len, 3 * batch(0, 0, 200).len());
    });
}

#[test]
fn e10_what_a_peer_gets_wrong_is_an_error_and_changes_nothing() {
    block_on(&World::new(10, 1, CrashProfile::Ext4), |shard| async move {
        let (_, log) = open(&shard, CommitterOptions::default()).await;
        let place = |bytes: &[u8]| log.append_placed(Buf::copy_of(bytes));
        // Two batches as one fetch brings them: the first is taken, and no byte of the second.
        let (first, second) = (batch(5, 3, 100), batch(6, 3, 100));
        let appended = place(&[&first[..], &second[..]].concat()).expect("in place");
        assert_eq!(appended.first_offset, Offset(5));
        assert_eq!(log.size_bytes(), first.len() as u64);
        let ends = log.ends();
        let out_of_place =
            |bytes: &[u8]| matches!(place(bytes), Err(AppendError::OutOfPlace { .. }));
        assert!(out_of_place(&batch(5, 3, 100)), "it is there already");
        assert!(out_of_place(&batch(0, 3, 100)), "below the end");
        assert!(out_of_place(&batch(6, 2, 100)), "of a leader before");
        // A second record that lies beyond the last offset there is.
        let mut reaches = BatchBuilder::default();
        reaches.base_offset = Offset(Offset::LIMIT.0 - 1);
        reaches.leader_epoch = LeaderEpoch(3);
        for _ in 0..2 {
            reaches.append(1000, &RecordFields { value: Some(b"x"), ..Default::default() });
        }
        assert!(out_of_place(&reaches.build().expect("packs")), "beyond all offsets");
        let torn = &second[..second.len() - 1];
        assert!(matches!(place(torn), Err(AppendError::Batch(_))), "cut off");
        let mut garbled = second.clone();
        garbled[70] ^= 1;
        assert!(matches!(place(&garbled), Err(AppendError::Batch(_))), "another CRC");
        let large = batch(6, 3, 2000);
        assert!(matches!(place(&large), Err(AppendError::LargerThanSegment { .. })));
        assert_eq!(log.ends(), ends);
        log.close().await.expect("nothing has failed");
    });
}

//! What a log leaves in the page cache, on a real file system.

#![allow(clippy::disallowed_methods, reason = "a test looks at real files")]

use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use ringlog_engine::batch::{BatchBuilder, RecordFields};
use ringlog_engine::io::sim::{CrashProfile, World, block_on};
use ringlog_engine::io::uring::{UringOptions, probe};
use ringlog_engine::io::{Buf, DriverChoice, DriverPlan, OpenOptions};
use ringlog_engine::log::{
    CacheCounts, Committer, CommitterOptions, LoadOptions, Log, LogConfig, Origin, ReadLimits,
};
use ringlog_engine::shard::{File, Shard, ShardOptions};
use ringlog_engine::types::{LeaderEpoch, Offset, ShardId};

const BATCH_BYTES: usize = 512 << 10;
const KEPT_BYTES: u64 = 1 << 20;
/// How often a test looks, a millisecond apart, whether the kernel has dropped what it was told to.
const SETTLING_LOOKS: u32 = 5000;

async fn open(
    shard: &Shard,
    dir: &Path,
    unread_cache_bytes: Option<u64>,
    segment_bytes: u32,
) -> Rc<Log> {
    let options = CommitterOptions { unread_cache_bytes, ..CommitterOptions::default() };
    let committer = Committer::start(shard, options);
    let load = LoadOptions {
        clean: true,
        ..LoadOptions::unknown(LogConfig { segment_bytes, ..LogConfig::default() })
    };
    Log::open(shard, dir, &committer, load).await.expect("a new log opens").log
}

/// Appends a batch of one large record; returns where the log ends then.
fn append_one(shard: &Shard, log: &Rc<Log>) -> Offset {
    let value = vec![b'x'; BATCH_BYTES];
    let mut builder = BatchBuilder::default();
    builder.append(shard.unix_ms(), &RecordFields { value: Some(&value), ..Default::default() });
    let bytes = Buf::copy_of(&builder.build().expect("packs"));
    let appended = log.append(bytes, Origin::Client, LeaderEpoch(0));
    appended.expect("acceptable").last_offset.plus(1)
}

/// Appends 32 batches, 16 MiB, one after the other; returns how much of the first segment stayed
/// in memory and how long it is.
async fn cached_after_appends(
    shard: &Shard,
    dir: &Path,
    unread_cache_bytes: Option<u64>,
    read: impl AsyncFn(&Log),
) -> (u64, u64) {
    shard.make_dir_all(dir).await.expect("mkdir");
    let log = open(shard, dir, unread_cache_bytes, 16 << 20).await;
    for _ in 0..32 {
        let end = append_one(shard, &log);
        log.changed.until(|| (log.ends().durable_end_offset >= end).then_some(())).await;
        read(&log).await;
    }
    let path = dir.join("00000000000000000000.log");
    let file = File::open(shard, &path, OpenOptions::default()).await.expect("is there");
    let len = shard.stat(&path).await.expect("stat").expect("is there").len;
    let cached = file.cached_bytes(0, len).await.expect("this kernel has cachestat");
    log.close().await.expect("closes");
    (cached, len)
}

/// `ringlog.durability=replicated` asks for no sync, and does not leave it all to the kernel.
#[test]
fn what_is_written_and_not_durable_has_a_bound() {
    const DIRTY_BYTES_MAX: u64 = 4 * BATCH_BYTES as u64;
    block_on(&World::new(7, 1, CrashProfile::Ext4), |shard| async move {
        let options = CommitterOptions {
            sync_always: false,
            dirty_bytes_max: DIRTY_BYTES_MAX,
            ..CommitterOptions::default()
        };
        let committer = Committer::start(&shard, options);
        let mut logs = Vec::new();
        for name in ["/a-0", "/b-0"] {
            shard.make_dir_all(Path::new(name)).await.expect("mkdir");
            let load = LoadOptions { clean: true, ..LoadOptions::unknown(LogConfig::default()) };
            let opened = Log::open(&shard, Path::new(name), &committer, load).await;
            logs.push(opened.expect("a new log opens").log);
        }
        let append = async |log: &Rc<Log>| {
            let end = append_one(&shard, log);
            log.changed.until(|| (log.ends().written_end_offset >= end).then_some(())).await;
        };
        // The first is written to once and then no more: it counts, and is synced with the other.
        append(&logs[0]).await;
        for _ in 0..3 {
            append(&logs[1]).await;
        }
        assert_eq!(committer.sync_count(), 0, "{} bytes are few", committer.dirty_bytes());
        for _ in 0..32 {
            append(&logs[1]).await;
        }
        let durable = |log: &Rc<Log>| log.ends().durable_end_offset;
        logs[0].changed.until(|| (durable(&logs[0]) == Offset(1)).then_some(())).await;
        let settled = || (committer.dirty_bytes() <= DIRTY_BYTES_MAX + KEPT_BYTES).then_some(());
        logs[1].changed.until(settled).await;
        assert!(durable(&logs[1]) > Offset(20), "{:?}", durable(&logs[1]));
    });
}

#[test]
fn pages_of_a_log_without_readers_are_given_back() {
    let uring = probe().is_ok().then_some(DriverChoice::Uring);
    for choice in uring.into_iter().chain([DriverChoice::Epoll]) {
        pages_are_given_back(choice);
    }
}

fn pages_are_given_back(choice: DriverChoice) {
    // On disk: a tmpfs has nowhere to give pages back to.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let plan = DriverPlan::new(choice, 1, &UringOptions::default()).expect("works").0;
    let driver = plan.driver(0).expect("works");
    let shard = Shard::new(ShardId(0), driver, ShardOptions::default());
    let this = shard.clone();
    shard.run(async move {
        let nobody = async |_: &Log| {};
        let somebody = async |log: &Log| {
            let limits = ReadLimits { bytes_max: 1, at_least_one_batch: true };
            let end = log.ends().durable_end_offset;
            log.plan_read(Offset::ZERO, end, limits).await.expect("in range");
        };
        let keep = Some(KEPT_BYTES);
        let (cached, len) = cached_after_appends(&this, &dir.path().join("a"), keep, nobody).await;
        assert!(cached < len / 2, "{cached} of {len} bytes are still cached");
        let (cached, len) =
            cached_after_appends(&this, &dir.path().join("b"), keep, somebody).await;
        assert!(cached >= len, "a reader's pages were dropped: {cached} of {len} are left");
        let (cached, len) = cached_after_appends(&this, &dir.path().join("c"), None, nobody).await;
        assert!(cached >= len, "dropped though it is off: {cached} of {len} are left");
    });
    shard.abandon();
}

/// Reads a whole log, of which a part is not in memory, from its beginning, so many times; gives
/// how much of its first segment is in memory once that is below `settled_bytes`, how long it is,
/// and what the reads found.
async fn catch_up(
    shard: &Shard,
    dir: &Path,
    cold: Range<u64>,
    times: u32,
    settled_bytes: u64,
) -> (u64, u64, CacheCounts) {
    shard.make_dir_all(dir).await.expect("mkdir");
    let log = open(shard, dir, None, 64 << 20).await;
    for _ in 0..128 {
        append_one(shard, &log);
        log.flush().await.expect("the disk works");
    }
    let path = dir.join("00000000000000000000.log");
    let file = File::open(shard, &path, OpenOptions::default()).await.expect("is there");
    let len = shard.stat(&path).await.expect("stat").expect("is there").len;
    file.fdatasync().await.expect("the disk works");
    let cold = cold.start..cold.end.min(len);
    let cold_bytes = cold.end - cold.start;
    // Again where the kernel passed over pages that it was busy with, but not while the last one
    // may be under way: it would drop what is read below.
    let mut looks = 0;
    while file.cached_bytes(cold.start, cold_bytes).await.expect("this kernel has cachestat") > 0 {
        if looks % 200 == 0 {
            file.drop_cache(cold.start, cold_bytes);
        }
        looks += 1;
        shard.sleep_ms(1).await;
    }
    for _ in 0..times {
        let (mut read, mut from) = (0, Offset::ZERO);
        while read < len {
            let end = log.ends().durable_end_offset;
            let limits = ReadLimits { bytes_max: 1 << 20, at_least_one_batch: true };
            let range = log.plan_read(from, end, limits).await.expect("in range").range;
            let range = range.expect("there is more");
            let range = match log.is_cached(&range).await {
                true => range,
                false => log.bring_in(range).await.expect("whole").0,
            };
            read = range.end();
            // A record each, all of one size.
            from = from.plus((range.len / range.first_batch_bytes) as i64);
            // The kernel begins here with what the reader lets go of.
            shard.yield_now().await;
        }
    }
    let mut cached = len;
    for _ in 0..SETTLING_LOOKS {
        cached = file.cached_bytes(0, len).await.expect("this kernel has cachestat");
        if cached < settled_bytes {
            break;
        }
        shard.sleep_ms(1).await;
    }
    let counts = log.cache_counts();
    log.close().await.expect("closes");
    (cached, len, counts)
}

#[test]
fn a_reader_that_catches_up_is_read_ahead_for_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let plan = DriverPlan::new(DriverChoice::Auto, 1, &UringOptions::default()).expect("works").0;
    let shard = Shard::new(ShardId(0), plan.driver(0).expect("works"), ShardOptions::default());
    let this = shard.clone();
    shard.run(async move {
        // 16 MiB behind it, 8 ahead, 4 not yet let go of, and what one read takes.
        let most = 34 << 20;
        let (cached, len, counts) =
            catch_up(&this, &dir.path().join("a"), 0..u64::MAX, 1, most).await;
        assert!(len > 60 << 20, "{len}");
        assert!(counts.hit_bytes + counts.miss_bytes >= len, "{counts:?}");
        assert!(counts.miss_bytes > 0, "{counts:?}");
        assert!(cached < most, "{cached} of {len} bytes are still cached");
    });
    shard.abandon();
}

#[test]
fn a_page_that_is_missing_costs_a_log_in_memory_no_others() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let plan = DriverPlan::new(DriverChoice::Auto, 1, &UringOptions::default()).expect("works").0;
    let shard = Shard::new(ShardId(0), plan.driver(0).expect("works"), ShardOptions::default());
    let this = shard.clone();
    shard.run(async move {
        let cold = 4 << 20..5 << 20;
        let (cached, len, counts) =
            catch_up(&this, &dir.path().join("a"), cold, 10, u64::MAX).await;
        assert!(counts.miss_bytes >= 1 << 20, "{counts:?}");
        assert!(counts.miss_bytes < 4 << 20, "{counts:?}: read again off the disk");
        assert!(cached >= len, "{cached} of {len} bytes are left");
    });
    shard.abandon();
}

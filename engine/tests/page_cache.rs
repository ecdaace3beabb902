//! What a log leaves in the page cache, on a real file system.

#![allow(clippy::disallowed_methods, reason = "a test looks at real files")]

use std::path::Path;
use std::rc::Rc;

use ringlog_engine::batch::{BatchBuilder, RecordFields};
use ringlog_engine::io::uring::{Peers, UringDriver, UringOptions, probe};
use ringlog_engine::io::{Buf, OpenOptions, WritePath};
use ringlog_engine::log::{
    Committer, CommitterOptions, LoadOptions, Log, LogConfig, Origin, ReadLimits,
};
use ringlog_engine::shard::{File, Shard, ShardOptions};
use ringlog_engine::types::{LeaderEpoch, Offset, ShardId};

const BATCH_BYTES: usize = 512 << 10;
const KEPT_BYTES: u64 = 1 << 20;

async fn open(shard: &Shard, dir: &Path, unread_cache_bytes: Option<u64>) -> Rc<Log> {
    let options =
        CommitterOptions { sync_always: true, write_path: WritePath::Blocking, unread_cache_bytes };
    let committer = Committer::start(shard, options);
    let load = LoadOptions {
        config: LogConfig { segment_bytes: 16 << 20, ..LogConfig::default() },
        clean: true,
        recovery_point: Offset::ZERO,
        log_start_offset: None,
        one_at_a_time: false,
    };
    Log::open(shard, dir, &committer, load).await.expect("a new log opens").log
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
    let log = open(shard, dir, unread_cache_bytes).await;
    let value = vec![b'x'; BATCH_BYTES];
    for _ in 0..32 {
        let mut builder = BatchBuilder::default();
        builder
            .append(shard.unix_ms(), &RecordFields { value: Some(&value), ..Default::default() });
        let bytes = Buf::copy_of(&builder.build().expect("packs"));
        let appended = log.append(bytes, Origin::Client, LeaderEpoch(0));
        let end = Offset(appended.expect("acceptable").last_offset.0 + 1);
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

#[test]
fn pages_of_a_log_without_readers_are_given_back() {
    if probe().is_err() {
        eprintln!("skipped: io_uring is not available here");
        return;
    }
    // On disk: a tmpfs has nowhere to give pages back to.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let driver = UringDriver::new(0, Peers::new(1), &UringOptions::default()).expect("works");
    let shard = Shard::new(ShardId(0), Box::new(driver), ShardOptions::default());
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

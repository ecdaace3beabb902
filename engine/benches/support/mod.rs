//! A log on a real disk, on io_uring, for the benches.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ringlog_engine::batch::{BatchBuilder, Codec, RecordFields};
use ringlog_engine::io::Buf;
use ringlog_engine::io::uring::{Peers, UringDriver, UringOptions};
use ringlog_engine::log::{
    Committer, CommitterOptions, IoMode, LoadOptions, Loaded, Log, LogConfig, Origin,
};
use ringlog_engine::shard::{Shard, ShardOptions};
use ringlog_engine::types::{LeaderEpoch, ShardId};

/// Runs `job` on a shard of its own and gives the time that it says it took.
pub fn on_shard<F: Future<Output = Duration> + 'static>(job: impl FnOnce(Shard) -> F) -> Duration {
    let driver = UringDriver::new(0, Peers::new(1), &UringOptions::default());
    let driver = driver.expect("io_uring is there");
    let shard = Shard::new(ShardId(0), Box::new(driver), ShardOptions::default());
    let took = shard.run(job(shard.clone()));
    shard.abandon();
    took
}

/// The time that `job` takes.
pub async fn timed(shard: &Shard, job: impl Future<Output = ()>) -> Duration {
    let start = shard.clock();
    job.await;
    Duration::from_nanos(shard.clock().0 - start.0)
}

pub fn committer(shard: &Shard, sync_always: bool) -> Rc<Committer> {
    committer_of(shard, sync_always, IoMode::Buffered)
}

pub fn committer_of(shard: &Shard, sync_always: bool, io_mode: IoMode) -> Rc<Committer> {
    let options = CommitterOptions { sync_always, io_mode, ..CommitterOptions::default() };
    Committer::start(shard, options)
}

pub async fn open(
    shard: &Shard,
    dir: &Path,
    committer: &Rc<Committer>,
    config: LogConfig,
) -> Loaded {
    shard.make_dir_all(dir).await.expect("mkdir");
    let load = LoadOptions::unknown(config);
    Log::open(shard, dir, committer, load).await.expect("opens")
}

/// A log on a disk that has `count` times the same batch.
pub async fn filled(
    shard: &Shard,
    dir: &Path,
    config: LogConfig,
    bytes: &[u8],
    count: u64,
) -> Rc<Log> {
    let committer = committer(shard, false);
    let log = open(shard, dir, &committer, config).await.log;
    for _ in 0..count {
        log.append(buf(bytes), Origin::Client, LeaderEpoch(0)).expect("acceptable");
    }
    log.flush().await.expect("the disk works");
    log
}

/// A batch of `count` records of about `size` bytes, with keys from `key` on.
pub fn batch(codec: Codec, count: usize, size: usize, key: u64) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.codec = codec;
    let now = 1_700_000_000_000;
    for i in 0..count as u64 {
        let key = (key + i).to_be_bytes();
        // Half of it repeats, as text does.
        let value: Vec<u8> = (0..size as u64)
            .map(|at| if at % 2 == 0 { b'x' } else { ((at * 31 + i * 7) % 251) as u8 })
            .collect();
        let fields = RecordFields { key: Some(&key), value: Some(&value), headers: &[] };
        builder.append(now, &fields);
    }
    builder.build().expect("packs")
}

pub fn buf(bytes: &[u8]) -> Buf {
    Buf::copy_of(bytes)
}

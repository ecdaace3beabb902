//! How fast is a round of compaction, by how many of the records are superseded?

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringlog_engine::batch::Codec;
use ringlog_engine::log::{CompactionLimits, LogConfig, Origin, Throttle};
use ringlog_engine::types::LeaderEpoch;

const BATCHES: u64 = 1000;
const RECORDS: u64 = 200;

fn compaction(c: &mut Criterion) {
    let mut group = c.benchmark_group("compaction");
    group.sample_size(10);
    for (codec, keys) in [(Codec::None, 1000), (Codec::None, BATCHES * RECORDS), (Codec::Lz4, 1000)]
    {
        let size = support::batch(codec, RECORDS as usize, 100, 0).len() as u64;
        group.throughput(Throughput::Bytes(size * BATCHES));
        group.bench_function(BenchmarkId::new(format!("{codec:?}"), keys), |b| {
            b.iter_custom(|count| {
                let mut took = std::time::Duration::ZERO;
                for _ in 0..count {
                    took += round(codec, keys);
                }
                took
            });
        });
    }
    group.finish();
}

fn round(codec: Codec, keys: u64) -> std::time::Duration {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_owned();
    support::on_shard(|shard| async move {
        let committer = support::committer(&shard, false);
        let config = LogConfig { segment_bytes: 4 << 20, compacted: true, ..LogConfig::default() };
        let log = support::open(&shard, &path, &committer, config).await.log;
        for i in 0..BATCHES {
            let bytes = support::batch(codec, RECORDS as usize, 100, i * RECORDS % keys);
            let bytes = support::buf(&bytes);
            log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
        }
        log.flush().await.expect("the disk works");
        let stable = log.ends().durable_end_offset;
        let dirt = log.dirt(shard.unix_ms(), stable).await.expect("readable");
        let throttle = Throttle::new(&shard);
        let limits =
            CompactionLimits { map_bytes: 64 << 20, map_load_factor: 0.9, throttle: &throttle };
        support::timed(&shard, async {
            let done = log.compact(&dirt, limits).await.expect("the disk works");
            assert!(done.written_bytes > 0);
        })
        .await
    })
}

criterion_group!(benches, compaction);
criterion_main!(benches);

//! How long does a start after a crash read, by the size of what has to be read?

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringlog_engine::batch::Codec;
use ringlog_engine::log::{LogConfig, Origin};
use ringlog_engine::types::LeaderEpoch;

fn recovery(c: &mut Criterion) {
    let mut group = c.benchmark_group("recovery");
    group.sample_size(10);
    for mib in [1u64, 16, 64] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().to_owned();
        let bytes = support::batch(Codec::None, 600, 100, 0);
        let batches = (mib << 20) / bytes.len() as u64;
        let fill = path.clone();
        support::on_shard(|shard| async move {
            let committer = support::committer(&shard, false);
            let log = support::open(&shard, &fill, &committer, LogConfig::default()).await.log;
            support::timed(&shard, async {
                for _ in 0..batches {
                    let bytes = support::buf(&bytes);
                    log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
                }
                log.flush().await.expect("the disk works");
            })
            .await
        });
        group.throughput(Throughput::Bytes(mib << 20));
        group.bench_function(BenchmarkId::new("unclean", format!("{mib} MiB")), |b| {
            b.iter_custom(|count| {
                let path = path.clone();
                support::on_shard(|shard| async move {
                    let committer = support::committer(&shard, false);
                    support::timed(&shard, async {
                        for _ in 0..count {
                            let config = LogConfig::default();
                            let loaded = support::open(&shard, &path, &committer, config).await;
                            assert_eq!(loaded.truncated_bytes, 0);
                        }
                    })
                    .await
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, recovery);
criterion_main!(benches);

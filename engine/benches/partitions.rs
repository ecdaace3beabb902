//! What does a record cost when it goes to one of many partitions, under `sync`?

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringlog_engine::batch::Codec;
use ringlog_engine::io::raise_open_files_max;
use ringlog_engine::log::{LogConfig, Origin};
use ringlog_engine::types::LeaderEpoch;

fn partitions(c: &mut Criterion) {
    let mut group = c.benchmark_group("partitions");
    group.sample_size(10);
    raise_open_files_max();
    for count in [1usize, 100, 1000, 10_000] {
        group.throughput(Throughput::Elements(count as u64));
        // A batch to each, all of them waited for: one round of group commit.
        group.bench_function(BenchmarkId::new("round", count), |b| {
            b.iter_custom(|rounds| {
                let dir = tempfile::tempdir().expect("a directory");
                let path = dir.path().to_owned();
                let bytes = support::batch(Codec::None, 10, 100, 0);
                support::on_shard(|shard| async move {
                    let committer = support::committer(&shard, true);
                    let mut logs = Vec::new();
                    for i in 0..count {
                        let dir = path.join(format!("p-{i}"));
                        let config = LogConfig::default();
                        logs.push(support::open(&shard, &dir, &committer, config).await.log);
                    }
                    support::timed(&shard, async {
                        for _ in 0..rounds {
                            for log in &logs {
                                let bytes = support::buf(&bytes);
                                log.append(bytes, Origin::Client, LeaderEpoch(0))
                                    .expect("acceptable");
                            }
                            for log in &logs {
                                let end = log.ends().log_end_offset;
                                let done = || (log.committed_end_offset() >= end).then_some(());
                                log.changed.until(done).await;
                            }
                        }
                    })
                    .await
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, partitions);
criterion_main!(benches);

//! How long until a batch is appended, written and counts, by size and policy, one after the other?

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringlog_engine::batch::Codec;
use ringlog_engine::log::{LogConfig, Origin};
use ringlog_engine::types::LeaderEpoch;

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.sample_size(10);
    for sync in [false, true] {
        for records in [1, 100, 10_000] {
            let bytes = support::batch(Codec::None, records, 100, 0);
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            let policy = if sync { "sync" } else { "replicated" };
            group.bench_function(BenchmarkId::new(policy, bytes.len()), |b| {
                b.iter_custom(|count| {
                    let bytes = bytes.clone();
                    let dir = tempfile::tempdir().expect("a directory");
                    let path = dir.path().to_owned();
                    support::on_shard(|shard| async move {
                        let committer = support::committer(&shard, sync);
                        let config =
                            LogConfig { max_message_bytes: usize::MAX, ..LogConfig::default() };
                        let log = support::open(&shard, &path, &committer, config).await.log;
                        support::timed(&shard, async {
                            for _ in 0..count {
                                let bytes = support::buf(&bytes);
                                let appended = log
                                    .append(bytes, Origin::Client, LeaderEpoch(0))
                                    .expect("acceptable");
                                let end = appended.last_offset.plus(1);
                                let done = || (log.committed_end_offset() >= end).then_some(());
                                log.changed.until(done).await;
                            }
                        })
                        .await
                    })
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);

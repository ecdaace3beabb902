//! How long until a batch is appended, written and counts, by size, policy and I/O mode, one
//! after the other?

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringlog_engine::batch::Codec;
use ringlog_engine::log::{IoMode, LogConfig, Origin};
use ringlog_engine::types::LeaderEpoch;

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.sample_size(10);
    let kinds = [
        ("replicated", false, IoMode::Buffered),
        ("sync", true, IoMode::Buffered),
        ("sync, direct", true, IoMode::Direct),
    ];
    for (name, sync, mode) in kinds {
        for records in [1, 100, 10_000] {
            let bytes = support::batch(Codec::None, records, 100, 0);
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(BenchmarkId::new(name, bytes.len()), |b| {
                b.iter_custom(|count| {
                    let bytes = bytes.clone();
                    let dir = tempfile::tempdir().expect("a directory");
                    let path = dir.path().to_owned();
                    support::on_shard(|shard| async move {
                        let committer = support::committer_of(&shard, sync, mode);
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

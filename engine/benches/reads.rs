//! How long does a consumer's read of about 1 MiB take, out of memory and off the disk?

mod support;

use std::cell::Cell;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringlog_engine::batch::Codec;
use ringlog_engine::log::{LogConfig, ReadLimits};
use ringlog_engine::stdx::prng::Prng;
use ringlog_engine::types::Offset;

const BATCHES: u64 = 1000;
const RECORDS: u64 = 1000;
const READ_BYTES: usize = 1 << 20;

fn reads(c: &mut Criterion) {
    let mut group = c.benchmark_group("reads");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(READ_BYTES as u64));
    for cold in [false, true] {
        let seed = Cell::new(0);
        let name = if cold { "cold" } else { "hot" };
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter_custom(|count| {
                let dir = tempfile::tempdir().expect("a directory");
                let path = dir.path().to_owned();
                let bytes = support::batch(Codec::None, RECORDS as usize, 100, 0);
                seed.set(seed.get() + 1);
                let mut prng = Prng::new(seed.get());
                support::on_shard(|shard| async move {
                    let config = LogConfig::default();
                    let log = support::filled(&shard, &path, config, &bytes, BATCHES).await;
                    let end = log.ends().log_end_offset;
                    let limits = ReadLimits { bytes_max: READ_BYTES, at_least_one_batch: true };
                    support::timed(&shard, async {
                        for _ in 0..count {
                            let offset = Offset(prng.below(BATCHES * RECORDS) as i64);
                            let plan = log.plan_read(offset, end, limits).await.expect("in range");
                            let range = plan.range.expect("records");
                            if cold {
                                range.file.drop_cache(range.position, range.len as u64);
                                log.bring_in(range).await.expect("readable");
                            } else {
                                assert!(log.read_cached(&range).await.expect("readable").is_some());
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

criterion_group!(benches, reads);
criterion_main!(benches);

//! How long does it take to find an offset or a time in a log of 64 MiB?

mod support;

use std::cell::Cell;

use criterion::{Criterion, criterion_group, criterion_main};
use ringlog_engine::batch::Codec;
use ringlog_engine::log::{LogConfig, ReadLimits};
use ringlog_engine::stdx::prng::Prng;
use ringlog_engine::types::Offset;

const BATCHES: u64 = 20_000;
const RECORDS: u64 = 30;

fn lookup(c: &mut Criterion) {
    let mut group = c.benchmark_group("lookup");
    group.sample_size(10);
    for what in ["offset", "time"] {
        let seed = Cell::new(0);
        group.bench_function(what, |b| {
            b.iter_custom(|count| {
                let dir = tempfile::tempdir().expect("a directory");
                let path = dir.path().to_owned();
                let bytes = support::batch(Codec::None, RECORDS as usize, 100, 0);
                seed.set(seed.get() + 1);
                let mut prng = Prng::new(seed.get());
                support::on_shard(|shard| async move {
                    let config = LogConfig { segment_bytes: 16 << 20, ..LogConfig::default() };
                    let log = support::filled(&shard, &path, config, &bytes, BATCHES).await;
                    let end = log.ends().log_end_offset;
                    let limits = ReadLimits { bytes_max: 1, at_least_one_batch: true };
                    support::timed(&shard, async {
                        for _ in 0..count {
                            let offset = Offset(prng.below(BATCHES * RECORDS) as i64);
                            if what == "offset" {
                                let plan = log.plan_read(offset, end, limits).await;
                                assert!(!plan.expect("in range").is_empty());
                            } else {
                                let found = log.find_timestamp(1, end).await;
                                assert!(found.expect("readable").is_some());
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

criterion_group!(benches, lookup);
criterion_main!(benches);

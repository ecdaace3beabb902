//! What does it cost to check a batch of 1000 records before it is appended, by codec and size?

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringlog_engine::batch::{AppendRules, Codec, TimestampType, validate_for_append};

const RECORDS: usize = 1000;

fn validate(c: &mut Criterion) {
    let mut group = c.benchmark_group("validate");
    let rules = AppendRules {
        batch_bytes_max: usize::MAX,
        compacted: false,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: i64::MAX,
        allow_control: false,
    };
    for size in [10, 100, 1000] {
        for codec in Codec::ALL {
            let mut bytes = support::batch(codec, RECORDS, size, 0);
            group.throughput(Throughput::Elements(RECORDS as u64));
            group.bench_function(BenchmarkId::new(format!("{codec:?}"), size), |b| {
                b.iter(|| validate_for_append(&mut bytes, &rules, 0).expect("acceptable"));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, validate);
criterion_main!(benches);

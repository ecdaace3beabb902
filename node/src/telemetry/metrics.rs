//! /metrics: what all shards have counted, in Prometheus' text format. Names that begin with
//! `kafka_` are those of Apache Kafka's beans.

use std::path::Path;
use std::rc::Rc;

use ringlog_engine::io::{Buf, OpenOptions};
use ringlog_engine::shard::File;
use ringlog_engine::types::ShardId;

use crate::broker::{Broker, Call, Measures, Reply};

const PAGE_BYTES: f64 = 4096.0;
/// The kernel's line about a process is shorter.
const STATM_BYTES_MAX: usize = 4096;

/// Everything there is to say.
pub(super) async fn text(broker: &Rc<Broker>) -> String {
    let mut all = Measures::default();
    for shard in 0..broker.settings.shards {
        let answer = broker.call(ShardId(shard as u16), Call::Measure).await;
        if let Reply::Measured(measures) = answer.await {
            all.add(&measures);
        }
    }
    let mut out = Metrics::default();
    logs(&mut out, &all);
    process(&mut out, broker).await;
    out.0
}

fn logs(out: &mut Metrics, all: &Measures) {
    out.gauge("kafka_server_partition_count", "Partitions that are online.", all.partitions as f64);
    out.gauge(
        "kafka_log_offline_partitions",
        "Partitions whose log could not be opened, or has failed.",
        all.offline_partitions as f64,
    );
    out.gauge("kafka_log_size_bytes", "Bytes of all segments.", all.log_bytes as f64);
    out.counter(
        "ringlog_page_cache_hit_bytes_total",
        "Bytes for consumers that were in memory.",
        all.cache.hit_bytes as f64,
    );
    out.counter(
        "ringlog_page_cache_miss_bytes_total",
        "Bytes for consumers that came off a disk.",
        all.cache.miss_bytes as f64,
    );
    let compaction = &all.compaction;
    let recopied = match compaction.read_bytes {
        0 => 0.0,
        read => compaction.written_bytes as f64 * 100.0 / read as f64,
    };
    out.gauge(
        "kafka_log_cleaner_recopy_percent",
        "What compaction has left of what it read.",
        recopied,
    );
    out.gauge(
        "kafka_log_cleaner_max_clean_time_secs",
        "The longest round of compaction so far.",
        compaction.longest_ms as f64 / 1000.0,
    );
    out.gauge(
        "kafka_log_cleaner_manager_max_dirty_percent",
        "The dirtiest log that is compacted, when that was last looked at.",
        compaction.dirtiest * 100.0,
    );
    out.gauge(
        "kafka_log_cleaner_manager_uncleanable_partitions_count",
        "Logs that cannot be compacted until the next start.",
        compaction.uncleanable as f64,
    );
    out.counter("ringlog_compaction_rounds_total", "Rounds.", compaction.rounds as f64);
    out.counter(
        "ringlog_compaction_read_bytes_total",
        "Bytes read for rewriting.",
        compaction.read_bytes as f64,
    );
    out.counter(
        "ringlog_compaction_written_bytes_total",
        "Bytes that were left of them.",
        compaction.written_bytes as f64,
    );
}

async fn process(out: &mut Metrics, broker: &Broker) {
    if let Ok(names) = broker.shard.list_dir(Path::new("/proc/self/fd")).await {
        // One of them was open to list them.
        let open = names.len().saturating_sub(1) as f64;
        out.gauge("process_open_fds", "Descriptors in use.", open);
    }
    let limit = broker.settings.open_files_max as f64;
    out.gauge("process_max_fds", "Descriptors that may be in use.", limit);
    if let Some(bytes) = resident_bytes(broker).await {
        out.gauge("process_resident_memory_bytes", "Memory in use.", bytes);
    }
}

async fn resident_bytes(broker: &Broker) -> Option<f64> {
    let path = Path::new("/proc/self/statm");
    let file = File::open(&broker.shard, path, OpenOptions::default()).await.ok()?;
    let buf = Buf::with_capacity(STATM_BYTES_MAX);
    let buf = file.read_at(buf, 0, STATM_BYTES_MAX).await.ok()?;
    let pages: f64 = str::from_utf8(&buf).ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}

/// The text so far.
#[derive(Default)]
struct Metrics(String);

impl Metrics {
    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.add(name, "gauge", help, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.add(name, "counter", help, value);
    }

    fn add(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        let lines = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        self.0.push_str(&lines);
    }
}

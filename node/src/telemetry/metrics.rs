//! /metrics: what all shards have counted, together and by their parts. Names that begin with
//! `kafka_` are those of Apache Kafka's beans.

use std::path::Path;
use std::rc::Rc;

use ringlog_engine::io::{Buf, OpenOptions};
use ringlog_engine::shard::File;

use super::parts;
use super::text::Text;
use crate::broker::{Broker, Call, CompactionCounts, Measures, Reply};

const PAGE_BYTES: f64 = 4096.0;
/// The kernel's line about a process is shorter.
const STATM_BYTES_MAX: usize = 4096;

/// Everything there is to say.
pub(super) async fn text(broker: &Rc<Broker>) -> String {
    let mut shards = Vec::with_capacity(broker.settings.shards);
    for shard in broker.settings.data_shards() {
        let answer = broker.call(shard, Call::Measure).await;
        if let Reply::Measured(measures) = answer.await {
            shards.push(*measures);
        }
    }
    let mut out = Text::default();
    traffic(&mut out, &shards);
    logs(&mut out, &shards);
    compaction(&mut out, &shards);
    process(&mut out, broker).await;
    parts::shards(&mut out, &shards);
    parts::requests(&mut out, &shards);
    parts::partitions(&mut out, &shards, &broker.shard).await;
    out.into_string()
}

/// What all shards have together.
fn sum(shards: &[Measures], of: impl Fn(&Measures) -> u64) -> f64 {
    shards.iter().map(of).sum::<u64>() as f64
}

fn traffic(out: &mut Text, shards: &[Measures]) {
    out.counter(
        "kafka_server_brokertopicmetrics_messagesin_total",
        "Records appended for producers.",
        sum(shards, |shard| shard.done.records_in),
    );
    out.counter(
        "kafka_server_brokertopicmetrics_bytesin_total",
        "Bytes of their batches.",
        sum(shards, |shard| shard.done.bytes_in),
    );
    out.counter(
        "kafka_server_brokertopicmetrics_bytesout_total",
        "Bytes of batches sent to consumers.",
        sum(shards, |shard| shard.done.bytes_out),
    );
}

fn logs(out: &mut Text, shards: &[Measures]) {
    out.gauge(
        "kafka_server_partition_count",
        "Partitions that are online.",
        sum(shards, |shard| shard.partitions.len() as u64),
    );
    out.gauge(
        "kafka_log_offline_partitions",
        "Partitions whose log could not be opened, or has failed.",
        sum(shards, |shard| shard.offline_partitions as u64),
    );
    out.gauge(
        "kafka_log_size_bytes",
        "Bytes of all segments.",
        sum(shards, |shard| shard.partitions.iter().map(|p| p.log_bytes).sum()),
    );
    out.counter(
        "ringlog_page_cache_hit_bytes_total",
        "Bytes for consumers that were in memory.",
        sum(shards, |shard| shard.cache.hit_bytes),
    );
    out.counter(
        "ringlog_page_cache_miss_bytes_total",
        "Bytes for consumers that came off a disk.",
        sum(shards, |shard| shard.cache.miss_bytes),
    );
}

fn compaction(out: &mut Text, shards: &[Measures]) {
    let mut compaction = CompactionCounts::default();
    shards.iter().for_each(|shard| compaction.add(&shard.compaction));
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
        "The longest round of compaction.",
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

async fn process(out: &mut Text, broker: &Broker) {
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

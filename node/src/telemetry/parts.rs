//! What a node says of its parts: by shard, by request, by partition.

use ringlog_engine::shard::Shard;

use super::text::Text;
use crate::broker::{BOUNDS, Latencies, Measures, PartitionMeasures};

/// A node may have tens of thousands of partitions: others have their turn after so many lines.
const LINES_AT_ONCE: usize = 256;

/// A name, its kind, its help, and where to find it.
type ShardRow = (&'static str, &'static str, &'static str, fn(&Measures) -> u64);
type PartitionRow = (&'static str, &'static str, fn(&PartitionMeasures) -> i64);

const SHARD_ROWS: [ShardRow; 12] = [
    ("connections", "gauge", "Connections.", |m| m.connections as u64),
    ("partitions", "gauge", "Partitions that are online.", |m| m.partitions.len() as u64),
    ("requests_in_work", "gauge", "Requests worked on.", |m| m.requests_in_work as u64),
    ("request_bytes", "gauge", "Memory that requests hold.", |m| m.request_bytes as u64),
    ("calls_waiting", "gauge", "Calls to other shards, unanswered.", |m| m.calls_waiting as u64),
    ("dirty_bytes", "gauge", "Bytes written and not yet flushed.", |m| m.dirty_bytes),
    (
        "largest_request_bytes",
        "gauge",
        "The largest request that was taken apart here, but for Produce and Fetch.",
        |m| m.done.largest_request_bytes as u64,
    ),
    ("largest_call_partitions", "gauge", "Partitions of the largest call of another shard.", |m| {
        m.done.largest_call_partitions as u64
    }),
    ("syncs_total", "counter", "Flushes.", |m| m.syncs),
    ("records_in_total", "counter", "Records appended to its logs.", |m| m.done.records_in),
    ("bytes_in_total", "counter", "Bytes of their batches.", |m| m.done.bytes_in),
    ("bytes_out_total", "counter", "Bytes of batches in its answers.", |m| m.done.bytes_out),
];

const PARTITION_ROWS: [PartitionRow; 3] = [
    ("kafka_log_log_logstartoffset", "The first offset.", |p| p.log_start_offset.0),
    ("kafka_log_log_logendoffset", "The offset after the last.", |p| p.log_end_offset.0),
    ("kafka_log_log_size", "Bytes of all segments.", |p| p.log_bytes as i64),
];

/// A line for each shard.
pub(super) fn shards(out: &mut Text, shards: &[Measures]) {
    for (name, kind, help, of) in SHARD_ROWS {
        let name = format!("ringlog_shard_{name}");
        out.head(&name, kind, help);
        for (index, shard) in shards.iter().enumerate() {
            out.line(&name, format_args!("shard=\"{index}\""), of(shard));
        }
    }
}

/// A histogram for each API, of each shard.
pub(super) fn requests(out: &mut Text, shards: &[Measures]) {
    let help = "From a request's being taken up to its answer; a fetch waits as it was told to.";
    out.head("ringlog_request_seconds", "histogram", help);
    let seconds = |ns: u64| ns as f64 / 1e9;
    for (index, shard) in shards.iter().enumerate() {
        for (key, latencies) in shard.done.requests() {
            let labels = format!("shard=\"{index}\",request=\"{}\"", key.name());
            let mut count = 0;
            for (bound, within) in latencies.within.iter().enumerate() {
                count += within;
                let le = match bound {
                    BOUNDS => "+Inf".to_owned(),
                    bound => seconds(Latencies::bound_ns(bound)).to_string(),
                };
                let labels = format_args!("{labels},le=\"{le}\"");
                out.line("ringlog_request_seconds_bucket", labels, count);
            }
            out.line("ringlog_request_seconds_sum", &labels, seconds(latencies.total_ns));
            out.line("ringlog_request_seconds_count", &labels, count);
        }
    }
}

/// Some lines for each partition.
pub(super) async fn partitions(out: &mut Text, shards: &[Measures], shard: &Shard) {
    for (name, help, of) in PARTITION_ROWS {
        out.head(name, "gauge", help);
        for (count, partition) in shards.iter().flat_map(|shard| &shard.partitions).enumerate() {
            // Names of topics are letters, digits, dots, dashes and underscores: nothing to escape.
            let (topic, index) = (&partition.topic, partition.index);
            let labels = format_args!("topic=\"{topic}\",partition=\"{index}\"");
            out.line(name, labels, of(partition));
            if count % LINES_AT_ONCE == LINES_AT_ONCE - 1 {
                shard.yield_now().await;
            }
        }
    }
}

//! A log's settings, resolved: Kafka's topic configs that the engine acts on.

use crate::batch::TimestampType;

/// Settings of one log. Names and meanings are those of Kafka's topic configs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// segment.bytes
    pub segment_bytes: u32,
    /// segment.ms
    pub segment_ms: u64,
    /// segment.jitter.ms: at most this much is taken off `segment_ms`, at random per segment.
    pub segment_jitter_ms: u64,
    /// segment.index.bytes
    pub segment_index_bytes: u32,
    /// index.interval.bytes
    pub index_interval_bytes: u32,
    /// flush.messages
    pub flush_messages: u64,
    /// flush.ms
    pub flush_ms: u64,
    /// max.message.bytes
    pub max_message_bytes: usize,
    /// message.timestamp.type
    pub timestamp_type: TimestampType,
    /// message.timestamp.before.max.ms
    pub timestamp_before_max_ms: i64,
    /// message.timestamp.after.max.ms
    pub timestamp_after_max_ms: i64,
    /// cleanup.policy contains compact.
    pub compacted: bool,
    /// producer.id.expiration.ms
    pub producer_expiration_ms: i64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            flush_messages: i64::MAX as u64,
            flush_ms: i64::MAX as u64,
            max_message_bytes: (1 << 20) + 12,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compacted: false,
            producer_expiration_ms: 86_400_000,
        }
    }
}

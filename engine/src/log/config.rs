//! A log's settings, resolved: Kafka's topic configs that the engine acts on.

use crate::batch::{Packing, TimestampType};

/// Settings of one log. Names and meanings are those of Kafka's topic configs.
#[derive(Clone, Debug, PartialEq)]
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
    /// compression.type with its level; `None` stores batches as producers send them.
    pub packing: Option<Packing>,
    /// preallocate
    pub preallocate: bool,
    /// cleanup.policy contains compact.
    pub compacted: bool,
    /// cleanup.policy contains delete.
    pub deleted: bool,
    /// retention.ms; `None` keeps for ever.
    pub retention_ms: Option<u64>,
    /// retention.bytes; `None` keeps any size.
    pub retention_bytes: Option<u64>,
    /// file.delete.delay.ms
    pub file_delete_delay_ms: u64,
    /// delete.retention.ms
    pub delete_retention_ms: u64,
    /// min.compaction.lag.ms
    pub min_compaction_lag_ms: u64,
    /// max.compaction.lag.ms
    pub max_compaction_lag_ms: u64,
    /// min.cleanable.dirty.ratio
    pub min_cleanable_dirty_ratio: f64,
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
            packing: None,
            preallocate: false,
            compacted: false,
            deleted: true,
            retention_ms: None,
            retention_bytes: None,
            file_delete_delay_ms: 60_000,
            delete_retention_ms: 86_400_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX as u64,
            min_cleanable_dirty_ratio: 0.5,
            producer_expiration_ms: 86_400_000,
        }
    }
}

impl LogConfig {
    /// Age at which a segment rolls: a compacted log must not keep from the cleaner for longer than
    /// max.compaction.lag.ms what is in the active segment.
    pub fn segment_ms_max(&self) -> u64 {
        match self.compacted {
            true => self.segment_ms.min(self.max_compaction_lag_ms),
            false => self.segment_ms,
        }
    }
}

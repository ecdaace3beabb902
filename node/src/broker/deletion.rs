//! Records leave the start of a log: by age, by size, and when a client asks for it.

use std::rc::Rc;

use ringlog_engine::types::Offset;
use ringlog_wire::Uuid;

use super::partition::Partition;
use super::shard_broker::Broker;
use crate::error_code::ErrorCode;

/// In DeleteRecords: everything up to the high watermark.
const HIGH_WATERMARK: i64 = -1;
/// How soon retention is tried again on a log that is being compacted.
const COMPACTED_AGAIN_MS: u64 = 1000;
/// Topics of Kafka's own, whose records clients must not delete.
const INTERNAL_TOPICS: [&str; 3] =
    ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Up to where one partition's records are to be deleted.
#[derive(Clone, Copy, Debug)]
pub struct DeleteUpTo {
    /// Its topic.
    pub topic: Uuid,
    /// Its number.
    pub partition: i32,
    /// The first offset that stays; -1 is the high watermark.
    pub offset: i64,
}

impl Broker {
    /// Applies retention every log.retention.check.interval.ms. To a log that is being compacted as
    /// soon as that is over: no other waits for it.
    pub(super) async fn run_retention(self: Rc<Self>) {
        let config = self.config();
        let delay = config.current().long("log.initial.task.delay.ms");
        let interval = config.current().long("log.retention.check.interval.ms");
        self.shard.sleep_ms(delay.max(0) as u64).await;
        loop {
            let next = self.shard.now().plus_ms(interval.max(1) as u64);
            let mut left = self.online_partitions();
            while !left.is_empty() {
                left = self.apply_retention(left).await;
                let again = self.shard.now().plus_ms(COMPACTED_AGAIN_MS);
                if left.is_empty() || again >= next {
                    break;
                }
                self.shard.sleep_until(again).await;
            }
            self.shard.sleep_until(next).await;
        }
    }

    /// Applies retention to these partitions; gives those that are being compacted.
    async fn apply_retention(&self, partitions: Vec<Rc<Partition>>) -> Vec<Rc<Partition>> {
        let mut busy = Vec::new();
        for partition in partitions {
            let now_ms = self.shard.unix_ms();
            match partition.log.apply_retention(now_ms, partition.high_watermark()).await {
                Ok(None) => busy.push(partition),
                Ok(Some(0)) => {}
                Ok(Some(segments)) => {
                    let start = partition.log.ends().log_start_offset.0;
                    tracing::info!(topic = %partition.topic_name, partition = partition.index,
                        segments, start, "segments_deleted");
                }
                // The log has reported what failed.
                Err(error) => tracing::debug!(%error, "retention_not_applied"),
            }
        }
        busy
    }

    /// Moves the starts of logs of this shard; gives where each starts then. Their segments go when
    /// retention is next applied.
    pub(super) fn delete_records(&self, targets: &[DeleteUpTo]) -> Vec<Result<Offset, ErrorCode>> {
        targets.iter().map(|target| self.delete_records_of(target)).collect()
    }

    fn delete_records_of(&self, target: &DeleteUpTo) -> Result<Offset, ErrorCode> {
        let partition = self.partition(target.topic, target.partition)?;
        if INTERNAL_TOPICS.contains(&&*partition.topic_name) {
            return Err(ErrorCode::InvalidTopicException);
        }
        if partition.log.failure().is_some() {
            return Err(ErrorCode::KafkaStorageError);
        }
        if !partition.log.config().deleted {
            return Err(ErrorCode::PolicyViolation);
        }
        let high_watermark = partition.high_watermark();
        let start = match target.offset {
            HIGH_WATERMARK => high_watermark,
            offset => Offset(offset),
        };
        if start < Offset::ZERO || start > high_watermark {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        partition.log.delete_records(start);
        Ok(partition.log.ends().log_start_offset)
    }
}

//! DeleteRecords: moves the starts of logs.

use std::collections::BTreeMap;
use std::rc::Rc;

use ringlog_engine::dirs::OffsetCheckpoint;
use ringlog_engine::types::ShardId;
use ringlog_wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use ringlog_wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::{Incoming, Outcome};
use crate::broker::{Broker, CALL_PARTITIONS_MAX, Call, DeleteUpTo, Reply};
use crate::error_code::ErrorCode;

/// The low watermark of a partition that was refused.
const NO_LOW_WATERMARK: i64 = -1;

/// By topic and partition, so that one that is named twice is answered once, for the last.
type Answers = BTreeMap<TopicPartition, Result<i64, ErrorCode>>;

/// A partition by its topic's name.
type TopicPartition = (String, i32);

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: DeleteRecordsRequest = incoming.decode()?;
    let mut wanted = BTreeMap::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (topic.name.clone(), partition.partition_index);
            wanted.insert(key, partition.offset);
        }
    }
    let answers = delete(broker, wanted).await;
    let mut topics: Vec<DeleteRecordsTopicResult> = Vec::new();
    for ((name, partition_index), answer) in answers {
        let error = answer.err().unwrap_or(ErrorCode::None);
        let result = DeleteRecordsPartitionResult {
            partition_index,
            low_watermark: answer.unwrap_or(NO_LOW_WATERMARK),
            error_code: error.code(),
        };
        match topics.last_mut().filter(|topic| topic.name == name) {
            Some(topic) => topic.partitions.push(result),
            None => topics.push(DeleteRecordsTopicResult { name, partitions: vec![result] }),
        }
    }
    Some(incoming.respond(&DeleteRecordsResponse { throttle_time_ms: 0, topics }))
}

async fn delete(broker: &Rc<Broker>, wanted: BTreeMap<TopicPartition, i64>) -> Answers {
    let image = broker.image();
    let mut answers = Answers::new();
    let mut by_shard: BTreeMap<ShardId, Vec<(TopicPartition, DeleteUpTo)>> = BTreeMap::new();
    for (key, offset) in wanted {
        let (topic, partition) = (image.topic_by_name(&key.0), key.1);
        let Some(topic) = topic.filter(|topic| topic.partitions.contains_key(&partition)) else {
            answers.insert(key, Err(ErrorCode::UnknownTopicOrPartition));
            continue;
        };
        let target = DeleteUpTo { topic: topic.id, partition, offset };
        by_shard.entry(broker.owner_of(topic.id, partition)).or_default().push((key, target));
    }
    for (shard, asked) in by_shard {
        for some in asked.chunks(CALL_PARTITIONS_MAX) {
            let targets = some.iter().map(|(_, target)| *target).collect();
            let answer = broker.call(shard, Call::DeleteRecords { targets }).await.await;
            let Reply::RecordsDeleted(deleted) = answer else {
                unreachable!("a deletion has a deletion's reply")
            };
            let starts = deleted.into_iter().map(|start| start.map(|start| start.0));
            answers.extend(some.iter().map(|(key, _)| key.clone()).zip(starts));
            broker.shard.yield_now().await;
        }
    }
    // ORDER: what is answered as deleted does not come back after a crash.
    if answers.values().any(Result::is_ok) {
        let control = broker.settings.control_shard();
        let answer =
            broker.call(control, Call::WriteCheckpoint(OffsetCheckpoint::LogStart)).await.await;
        if !matches!(answer, Reply::CheckpointWritten(true)) {
            let failed = Err(ErrorCode::KafkaStorageError);
            answers.values_mut().filter(|a| a.is_ok()).for_each(|a| *a = failed);
        }
    }
    answers
}

//! ListOffsets: where logs start and end, and what was written when.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ringlog_engine::types::ShardId;
use ringlog_wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use ringlog_wire::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::{Incoming, Outcome};
use crate::broker::{
    Broker, CALL_PARTITIONS_MAX, Call, EARLIEST_LOCAL_TIMESTAMP, EARLIEST_TIMESTAMP,
    LATEST_TIERED_TIMESTAMP, LATEST_TIMESTAMP, ListOffsetAnswer, ListOffsetQuery, MAX_TIMESTAMP,
    Reply,
};
use crate::error_code::ErrorCode;

/// From here on the answer says which leader's epoch the record is of.
const LEADER_EPOCH_FROM: i16 = 4;

/// Which partition of which topic of the request.
type Slot = (usize, usize);

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: ListOffsetsRequest = incoming.decode()?;
    let image = broker.image();
    let mut answers: BTreeMap<Slot, ListOffsetAnswer> = BTreeMap::new();
    let mut by_shard: BTreeMap<ShardId, Vec<(Slot, ListOffsetQuery)>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (t, topic) in request.topics.iter().enumerate() {
        let known = image.topic_by_name(&topic.name);
        for (p, partition) in topic.partitions.iter().enumerate() {
            let index = partition.partition_index;
            let repeated = !seen.insert((&topic.name, index));
            let found = known.filter(|topic| topic.partitions.contains_key(&index));
            let known_time = is_supported(partition.timestamp, incoming.header.version);
            let topic = match (repeated, known_time, found) {
                (true, ..) => Err(ErrorCode::InvalidRequest),
                (_, false, _) => Err(ErrorCode::UnsupportedVersion),
                (.., None) => Err(ErrorCode::UnknownTopicOrPartition),
                (.., Some(topic)) => Ok(topic),
            };
            let topic = match topic {
                Ok(topic) => topic,
                Err(error) => {
                    answers.insert((t, p), failed(error));
                    continue;
                }
            };
            let query = ListOffsetQuery {
                topic: topic.id,
                partition: index,
                current_leader_epoch: partition.current_leader_epoch,
                timestamp: partition.timestamp,
                read_committed: request.isolation_level == 1,
            };
            let shard = broker.owner_of(topic.id, index);
            by_shard.entry(shard).or_default().push(((t, p), query));
        }
    }
    for (shard, asked) in by_shard {
        for some in asked.chunks(CALL_PARTITIONS_MAX) {
            let queries = some.iter().map(|(_, query)| *query).collect();
            let call = Call::ListOffsets { queries };
            let Reply::ListOffsets(found) = broker.call(shard, call).await.await else {
                unreachable!("a lookup has a lookup's reply")
            };
            answers.extend(some.iter().map(|(slot, _)| *slot).zip(found));
            broker.shard.yield_now().await;
        }
    }
    let epochs = incoming.header.version >= LEADER_EPOCH_FROM;
    let topics = request.topics.iter().enumerate().map(|(t, topic)| {
        let partitions = topic.partitions.iter().enumerate().map(|(p, partition)| {
            let answer = answers[&(t, p)];
            ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                error_code: answer.error.code(),
                timestamp: answer.timestamp,
                offset: answer.offset,
                leader_epoch: if epochs { answer.leader_epoch } else { -1 },
            }
        });
        ListOffsetsTopicResponse { name: topic.name.clone(), partitions: partitions.collect() }
    });
    Some(incoming.respond(&ListOffsetsResponse { topics: topics.collect(), throttle_time_ms: 0 }))
}

/// Times below zero are names of offsets; each came with a version.
fn is_supported(timestamp: i64, version: i16) -> bool {
    match timestamp {
        0.. | LATEST_TIMESTAMP | EARLIEST_TIMESTAMP => true,
        MAX_TIMESTAMP => version >= 7,
        EARLIEST_LOCAL_TIMESTAMP => version >= 8,
        LATEST_TIERED_TIMESTAMP => version >= 9,
        _ => false,
    }
}

fn failed(error: ErrorCode) -> ListOffsetAnswer {
    ListOffsetAnswer { error, timestamp: -1, offset: -1, leader_epoch: -1 }
}

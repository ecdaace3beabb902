//! ListOffsets: where logs start and end, and what was written when.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ringlog_engine::types::ShardId;
use ringlog_wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use ringlog_wire::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::{Incoming, Outcome};
use crate::broker::{Broker, Call, ListOffsetAnswer, ListOffsetQuery, Reply};
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
            let Some(topic) = found.filter(|_| !repeated) else {
                let error = match repeated {
                    true => ErrorCode::InvalidRequest,
                    false => ErrorCode::UnknownTopicOrPartition,
                };
                answers.insert((t, p), failed(error));
                continue;
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
        let (slots, queries): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let Reply::ListOffsets(found) =
            broker.call(shard, Call::ListOffsets { queries }).await.await
        else {
            unreachable!("a lookup has a lookup's reply")
        };
        answers.extend(slots.into_iter().zip(found));
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

fn failed(error: ErrorCode) -> ListOffsetAnswer {
    ListOffsetAnswer { error, timestamp: -1, offset: -1, leader_epoch: -1 }
}

//! OffsetFetch: what groups have committed.

use std::rc::Rc;

use ringlog_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use ringlog_wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use ringlog_wire::messages::{OffsetFetchRequest, OffsetFetchResponse};

use super::{Incoming, Outcome};
use crate::broker::{Broker, CALL_PARTITIONS_MAX};
use crate::error_code::ErrorCode;
use crate::group::{
    FetchOffsets, FetchedOffset, FetchedTopic, GroupAnswer, GroupRequest, TopicPartitions,
};

/// From here on a group has an error of its own.
const GROUP_ERROR_FROM: i16 = 2;
/// From here on several groups are asked for at once (KIP-709).
const GROUPS_FROM: i16 = 8;
/// From here on topics are named by their ids.
const TOPIC_IDS_FROM: i16 = 10;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let version = incoming.header.version;
    let request: OffsetFetchRequest = incoming.decode()?;
    let stable = request.require_stable;
    if version >= GROUPS_FROM {
        let mut groups = Vec::with_capacity(request.groups.len());
        for group in request.groups {
            groups.push(fetch(broker, group, stable, version).await);
        }
        return Some(incoming.respond(&OffsetFetchResponse { groups, ..Default::default() }));
    }
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..OffsetFetchRequestTopics::default()
        });
        topics.collect()
    });
    let group =
        OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() };
    let group = fetch(broker, group, stable, version).await;
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(old_partition).collect(),
    });
    let (topics, error_code) = (topics.collect(), group.error_code);
    Some(incoming.respond(&OffsetFetchResponse { topics, error_code, ..Default::default() }))
}

fn old_partition(partition: OffsetFetchResponsePartitions) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    }
}

async fn fetch(
    broker: &Rc<Broker>,
    asked: OffsetFetchRequestGroup,
    require_stable: bool,
    version: i16,
) -> OffsetFetchResponseGroup {
    let image = broker.image();
    let all = asked.topics.is_none();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for topic in asked.topics.into_iter().flatten() {
        let name = match version {
            TOPIC_IDS_FROM.. => image.topic(topic.topic_id).map(|topic| topic.name.clone()),
            _ => Some(topic.name),
        };
        let found = TopicPartitions {
            topic: name.clone().unwrap_or_default(),
            topic_id: topic.topic_id,
            partitions: topic.partition_indexes,
        };
        if name.is_some() { known.push(found) } else { unknown.push(found) }
    }
    let request = FetchOffsets {
        group: asked.group_id.clone(),
        member: asked.member_id,
        member_epoch: asked.member_epoch,
        require_stable,
        topics: None,
    };
    let parts = match all {
        true => vec![None],
        false => parts_of(&known).into_iter().map(Some).collect(),
    };
    let (topics, error) = match fetch_parts(broker, request, parts).await {
        Ok(mut topics) => {
            if all && version >= TOPIC_IDS_FROM {
                topics.iter_mut().for_each(|topic| {
                    let known = image.topic_by_name(&topic.topic);
                    topic.topic_id = known.map_or(topic.topic_id, |known| known.id);
                });
                // What has no id cannot be named.
                topics.retain(|topic| !topic.topic_id.is_zero());
            }
            topics.extend(failed(unknown, ErrorCode::UnknownTopicId));
            (topics, ErrorCode::None)
        }
        Err(error) if version < GROUP_ERROR_FROM => (failed(known, error), ErrorCode::None),
        Err(error) => (Vec::new(), error),
    };
    let topics = topics.into_iter().map(topic).collect();
    OffsetFetchResponseGroup { group_id: asked.group_id, topics, error_code: error.code() }
}

/// Asks for one part after the other.
async fn fetch_parts(
    broker: &Rc<Broker>,
    request: FetchOffsets,
    parts: Vec<Option<Vec<TopicPartitions>>>,
) -> Result<Vec<FetchedTopic>, ErrorCode> {
    let mut fetched: Vec<FetchedTopic> = Vec::new();
    for topics in parts {
        let part = GroupRequest::Fetch(FetchOffsets { topics, ..request.clone() });
        let answer = match broker.ask_group(&request.group, part).await.await {
            GroupAnswer::Fetched(fetched) => fetched?,
            GroupAnswer::Unavailable(error) => return Err(error),
            other => unreachable!("a fetch of offsets has its own answer, not {other:?}"),
        };
        for topic in answer {
            match fetched.last_mut().filter(|last| last.topic == topic.topic) {
                // The rest of one that was too large for a part.
                Some(last) => last.partitions.extend(topic.partitions),
                None => fetched.push(topic),
            }
        }
    }
    Ok(fetched)
}

/// The topics in parts, each of which a coordinator can answer at once; at least one.
fn parts_of(topics: &[TopicPartitions]) -> Vec<Vec<TopicPartitions>> {
    let (mut parts, mut count) = (vec![Vec::new()], 0);
    for topic in topics {
        // A topic without partitions is one too.
        for partitions in topic
            .partitions
            .chunks(CALL_PARTITIONS_MAX)
            .chain(topic.partitions.is_empty().then_some(&[][..]))
        {
            count += partitions.len().max(1);
            if count > CALL_PARTITIONS_MAX {
                parts.push(Vec::new());
                count = partitions.len().max(1);
            }
            let part = parts.last_mut().expect("there is one");
            part.push(TopicPartitions { partitions: partitions.to_vec(), ..topic.clone() });
        }
    }
    parts
}

fn failed(topics: Vec<TopicPartitions>, error: ErrorCode) -> Vec<FetchedTopic> {
    let failed = topics.into_iter().map(|topic| FetchedTopic {
        topic: topic.topic,
        topic_id: topic.topic_id,
        partitions: topic.partitions.into_iter().map(|p| FetchedOffset::none(p, error)).collect(),
    });
    failed.collect()
}

fn topic(fetched: FetchedTopic) -> OffsetFetchResponseTopics {
    let partitions = fetched.partitions.into_iter().map(|fetched| OffsetFetchResponsePartitions {
        partition_index: fetched.partition,
        committed_offset: fetched.offset,
        committed_leader_epoch: fetched.leader_epoch,
        metadata: Some(fetched.metadata),
        error_code: fetched.error.code(),
    });
    OffsetFetchResponseTopics {
        name: fetched.topic,
        topic_id: fetched.topic_id,
        partitions: partitions.collect(),
    }
}

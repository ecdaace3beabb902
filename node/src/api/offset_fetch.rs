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
use crate::broker::Broker;
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
        topics: (!all).then(|| known.clone()),
    };
    let group = asked.group_id.clone();
    let fetched = match broker.ask_group(&group, GroupRequest::Fetch(request)).await.await {
        GroupAnswer::Fetched(fetched) => fetched,
        GroupAnswer::Unavailable(error) => Err(error),
        other => unreachable!("a fetch of offsets has its own answer, not {other:?}"),
    };
    let (topics, error) = match fetched {
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

//! DescribeTopicPartitions (KIP-966): topics page by page, with eligible leader replicas.

use std::collections::BTreeSet;

use ringlog_wire::messages::describe_topic_partitions_request::{
    Cursor as AskedCursor, TopicRequest,
};
use ringlog_wire::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use ringlog_wire::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};

use super::{Incoming, Outcome, TOPIC_OPERATIONS};
use crate::broker::Broker;
use crate::error_code::ErrorCode;
use crate::metadata::{MetadataImage, PartitionImage, TopicImage, is_internal_topic};

pub(super) fn answer(broker: &Broker, incoming: &Incoming) -> Option<Outcome> {
    let request: DescribeTopicPartitionsRequest = incoming.decode()?;
    let image = broker.image();
    let limit = broker.config().current().int("max.request.partition.size.limit");
    let mut left = request.response_partition_limit.min(limit).max(1) as usize;
    let (from_topic, from_partition) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.as_str(), cursor.partition_index.max(0)),
        None => ("", 0),
    };
    let contained = |cursor: &AskedCursor| {
        request.topics.is_empty() || request.topics.iter().any(|t| t.name == cursor.topic_name)
    };
    let bad_cursor = |cursor: &AskedCursor| cursor.partition_index < 0 || !contained(cursor);
    if request.cursor.as_ref().is_some_and(bad_cursor) {
        let refused = |topic: &TopicRequest| DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::InvalidRequest.code(),
            name: Some(topic.name.clone()),
            ..DescribeTopicPartitionsResponseTopic::default()
        };
        let topics = request.topics.iter().map(refused).collect();
        return Some(incoming.respond(&DescribeTopicPartitionsResponse {
            topics,
            ..DescribeTopicPartitionsResponse::default()
        }));
    }
    let names: BTreeSet<String> = match request.topics.is_empty() {
        true => image.topics_from(from_topic).map(|topic| topic.name.clone()).collect(),
        false => request.topics.iter().map(|topic| topic.name.clone()).collect(),
    };
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.range(from_topic.to_owned()..) {
        if left == 0 {
            let topic_name = name.clone();
            response.next_cursor = Some(Cursor { topic_name, partition_index: 0 });
            break;
        }
        let Some(topic) = image.topic_by_name(name) else {
            response.topics.push(unknown(name));
            continue;
        };
        let start = if name == from_topic { from_partition } else { 0 };
        let described = describe(&image, topic, start, left);
        left -= described.partitions.len();
        let next = start + described.partitions.len() as i32;
        response.topics.push(described);
        if (next as usize) < topic.partitions.len() {
            let topic_name = name.clone();
            response.next_cursor = Some(Cursor { topic_name, partition_index: next });
            break;
        }
    }
    Some(incoming.respond(&response))
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = match crate::controller::validate_topic_name(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: error.code(),
        name: Some(name.to_owned()),
        is_internal: is_internal_topic(name),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn describe(
    image: &MetadataImage,
    topic: &TopicImage,
    start: i32,
    count_max: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let partitions = topic.partitions.range(start..).take(count_max);
    DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: is_internal_topic(&topic.name),
        topic_authorized_operations: TOPIC_OPERATIONS,
        partitions: partitions.map(|(index, p)| partition(image, *index, p)).collect(),
    }
}

fn partition(
    image: &MetadataImage,
    partition_index: i32,
    partition: &PartitionImage,
) -> DescribeTopicPartitionsResponsePartition {
    let alive = image.brokers.get(&partition.leader).is_some_and(|broker| !broker.fenced);
    let error = if alive { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
    DescribeTopicPartitionsResponsePartition {
        error_code: error.code(),
        partition_index,
        leader_id: if alive { partition.leader } else { -1 },
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.clone(),
        isr_nodes: partition.isr.clone(),
        eligible_leader_replicas: Some(partition.elr.clone()),
        last_known_elr: Some(partition.last_known_elr.clone()),
        offline_replicas: image.offline_replicas(partition),
    }
}

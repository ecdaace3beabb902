//! OffsetCommit.

use std::collections::BTreeMap;
use std::rc::Rc;

use ringlog_wire::Uuid;
use ringlog_wire::messages::offset_commit_request::OffsetCommitRequestTopic;
use ringlog_wire::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ringlog_wire::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::{Incoming, Outcome};
use crate::broker::{Broker, CALL_PARTITIONS_MAX};
use crate::error_code::ErrorCode;
use crate::group::{CommitOffsets, GroupAnswer, GroupRequest, OffsetToCommit};
use crate::metadata::MetadataImage;

/// From here on topics are named by their ids (KIP-848).
const TOPIC_IDS_FROM: i16 = 10;
/// From here on clients know GROUP_ID_NOT_FOUND.
const MISSING_GROUPS_FROM: i16 = 9;

/// A partition of the request, by its topic's and its own position, and what is said of it.
type Said = (usize, i32, ErrorCode);

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let version = incoming.header.version;
    let request: OffsetCommitRequest = incoming.decode()?;
    let mut topics = request.topics;
    let (mut said, mut places, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
    let image = broker.image();
    for (t, topic) in topics.iter_mut().enumerate() {
        let error = resolve(&image, topic, version);
        let known = image.topic_by_name(&topic.name);
        for partition in std::mem::take(&mut topic.partitions) {
            let index = partition.partition_index;
            let known = known.is_some_and(|topic| topic.partitions.contains_key(&index));
            match (error, known) {
                (Some(error), _) => said.push((t, index, error)),
                (None, false) => said.push((t, index, ErrorCode::UnknownTopicOrPartition)),
                (None, true) => {
                    places.push((t, index));
                    offsets.push(OffsetToCommit {
                        topic: topic.name.clone(),
                        topic_id: topic.topic_id,
                        partition: index,
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: partition.committed_metadata,
                    });
                }
            }
        }
    }
    let group = request.group_id.clone();
    let commit = CommitOffsets {
        group: request.group_id,
        generation: request.generation_id_or_member_epoch,
        member: request.member_id,
        instance: request.group_instance_id,
        retention_ms: request.retention_time_ms,
        knows_missing_groups: version >= MISSING_GROUPS_FROM,
        offsets: Vec::new(),
    };
    let some = offsets.chunks(CALL_PARTITIONS_MAX);
    for (places, offsets) in places.chunks(CALL_PARTITIONS_MAX).zip(some) {
        let commit = CommitOffsets { offsets: offsets.to_vec(), ..commit.clone() };
        let committed = match broker.ask_group(&group, GroupRequest::Commit(commit)).await.await {
            GroupAnswer::Committed(committed) => committed,
            GroupAnswer::Unavailable(error) => Err(error),
            other => unreachable!("a commit has a commit's answer, not {other:?}"),
        };
        let errors = committed.unwrap_or_else(|error| vec![error; places.len()]);
        said.extend(places.iter().zip(errors).map(|((t, index), error)| (*t, *index, error)));
    }
    let topics = response(&topics, &said);
    Some(incoming.respond(&OffsetCommitResponse { topics, throttle_time_ms: 0 }))
}

/// Names the topic if it came by its id; says what is wrong with it.
fn resolve(
    image: &MetadataImage,
    topic: &mut OffsetCommitRequestTopic,
    version: i16,
) -> Option<ErrorCode> {
    if version >= TOPIC_IDS_FROM {
        let Some(known) = image.topic(topic.topic_id) else {
            return Some(ErrorCode::UnknownTopicId);
        };
        topic.name.clone_from(&known.name);
    }
    image.topic_by_name(&topic.name).is_none().then_some(ErrorCode::UnknownTopicOrPartition)
}

/// What is wrong comes first, then what the group said; a topic that is named twice is one.
fn response(topics: &[OffsetCommitRequestTopic], said: &[Said]) -> Vec<OffsetCommitResponseTopic> {
    let mut answered: Vec<OffsetCommitResponseTopic> = Vec::new();
    let mut places: BTreeMap<(&str, Uuid), usize> = BTreeMap::new();
    for &(t, partition_index, error) in said {
        let topic = &topics[t];
        let at = *places.entry((&topic.name, topic.topic_id)).or_insert_with(|| {
            answered.push(OffsetCommitResponseTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions: Vec::new(),
            });
            answered.len() - 1
        });
        let error_code = error.code();
        answered[at].partitions.push(OffsetCommitResponsePartition { partition_index, error_code });
    }
    answered
}

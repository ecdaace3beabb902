//! OffsetDelete: offsets of topics that a group does not read any more.

use std::collections::BTreeMap;
use std::rc::Rc;

use ringlog_wire::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use ringlog_wire::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::error_code::ErrorCode;
use crate::group::{DeleteOffsets, GroupAnswer, GroupRequest, TopicPartitions};

/// What is said of the partitions of each topic, in the order in which topics were spoken of first.
#[derive(Default)]
struct Answered {
    topics: Vec<OffsetDeleteResponseTopic>,
    places: BTreeMap<String, usize>,
}

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: OffsetDeleteRequest = incoming.decode()?;
    let image = broker.image();
    let mut answered = Answered::default();
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for topic in request.topics {
        let known = image.topic_by_name(&topic.name);
        let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
        let (valid, unknown): (Vec<i32>, Vec<i32>) = indexes
            .partition(|index| known.is_some_and(|topic| topic.partitions.contains_key(index)));
        if !unknown.is_empty() {
            let errors = vec![ErrorCode::UnknownTopicOrPartition; unknown.len()];
            add(&mut answered, &topic.name, &unknown, &errors);
        }
        if !valid.is_empty() {
            let (topic_id, partitions) = (ringlog_wire::Uuid::ZERO, valid);
            topics.push(TopicPartitions { topic: topic.name, topic_id, partitions });
        }
    }
    let deletion = DeleteOffsets { group: request.group_id.clone(), topics: topics.clone() };
    let call = GroupRequest::DeleteOffsets(deletion);
    let deleted = match broker.ask_group(&request.group_id, call).await.await {
        GroupAnswer::OffsetsDeleted(deleted) => deleted,
        GroupAnswer::Unavailable(error) => Err(error),
        other => unreachable!("a deletion has its own answer, not {other:?}"),
    };
    Some(match deleted {
        Err(error) => {
            let error_code = error.code();
            incoming.respond(&OffsetDeleteResponse { error_code, ..Default::default() })
        }
        Ok(errors) => {
            for (topic, errors) in topics.iter().zip(errors) {
                add(&mut answered, &topic.topic, &topic.partitions, &errors);
            }
            let topics = answered.topics;
            incoming.respond(&OffsetDeleteResponse { topics, ..Default::default() })
        }
    })
}

/// Says something of partitions of a topic, which may have been spoken of already.
fn add(answered: &mut Answered, name: &str, partitions: &[i32], errors: &[ErrorCode]) {
    let said = partitions.iter().zip(errors).map(|(index, error)| OffsetDeleteResponsePartition {
        partition_index: *index,
        error_code: error.code(),
    });
    let Answered { topics, places } = answered;
    let place = *places.entry(name.to_owned()).or_insert_with(|| {
        topics.push(OffsetDeleteResponseTopic { name: name.to_owned(), partitions: Vec::new() });
        topics.len() - 1
    });
    topics[place].partitions.extend(said);
}

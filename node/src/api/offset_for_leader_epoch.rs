//! OffsetForLeaderEpoch: where a leader's epoch ended, so that a reader sees whether what it has
//! read was cut off (KIP-101, KIP-320).

use std::rc::Rc;

use ringlog_wire::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use ringlog_wire::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::inspections::inspect;
use super::{Incoming, Outcome};
use crate::broker::{Broker, Inspected, Inspection};
use crate::error_code::ErrorCode;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: OffsetForLeaderEpochRequest = incoming.decode()?;
    let asked = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            let inspection = Inspection::EpochEnd {
                current_leader_epoch: partition.current_leader_epoch,
                leader_epoch: partition.leader_epoch,
            };
            (topic.topic.clone(), partition.partition, inspection)
        })
    });
    let asked: Vec<(String, i32, Inspection)> = asked.collect();
    let mut found = inspect(broker, &asked).await.into_iter();
    let topics = request.topics.into_iter().map(|topic| OffsetForLeaderTopicResult {
        partitions: topic
            .partitions
            .iter()
            .map(|asked| end(asked.partition, found.next().expect("all are answered")))
            .collect(),
        topic: topic.topic,
    });
    let topics = topics.collect();
    Some(incoming.respond(&OffsetForLeaderEpochResponse { topics, throttle_time_ms: 0 }))
}

fn end(partition: i32, found: Result<Inspected, ErrorCode>) -> EpochEndOffset {
    let (error, leader_epoch, end_offset) = match found {
        Ok(Inspected::EpochEnd { leader_epoch, end_offset }) => {
            (ErrorCode::None, leader_epoch, end_offset)
        }
        Ok(other) => unreachable!("an epoch was asked about: {other:?}"),
        Err(error) => (error, -1, -1),
    };
    EpochEndOffset { error_code: error.code(), partition, leader_epoch, end_offset }
}

//! DescribeProducers: who writes to partitions (KIP-664).

use std::rc::Rc;

use ringlog_wire::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use ringlog_wire::messages::{DescribeProducersRequest, DescribeProducersResponse};

use super::inspections::inspect;
use super::{Incoming, Outcome};
use crate::broker::{ActiveProducer, Broker, Inspected, Inspection};
use crate::controller::validate_topic_name;
use crate::error_code::ErrorCode;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: DescribeProducersRequest = incoming.decode()?;
    let asked = request.topics.iter().flat_map(|topic| {
        let indexes = topic.partition_indexes.iter();
        indexes.map(|index| (topic.name.clone(), *index, Inspection::Producers))
    });
    let asked: Vec<(String, i32, Inspection)> = asked.collect();
    let mut found = inspect(broker, &asked).await.into_iter();
    let image = broker.image();
    let topics = request.topics.into_iter().map(|topic| {
        let invalid = validate_topic_name(&topic.name).err();
        let known = image.topic_by_name(&topic.name).is_some();
        let partitions = topic.partition_indexes.iter().map(|index| {
            let found = found.next().expect("all are answered");
            partition(*index, found, invalid.as_deref(), known)
        });
        TopicResponse { partitions: partitions.collect(), name: topic.name }
    });
    let topics = topics.collect();
    Some(incoming.respond(&DescribeProducersResponse { topics, throttle_time_ms: 0 }))
}

fn partition(
    partition_index: i32,
    found: Result<Inspected, ErrorCode>,
    invalid: Option<&str>,
    topic_is_known: bool,
) -> PartitionResponse {
    let refused = |error: ErrorCode, message: Option<&str>| PartitionResponse {
        partition_index,
        error_code: error.code(),
        error_message: message.map(str::to_owned),
        ..PartitionResponse::default()
    };
    match (invalid, found) {
        (Some(message), _) => refused(ErrorCode::InvalidTopicException, Some(message)),
        // Kafka has a sentence for the topic only.
        (None, Err(error)) if topic_is_known => refused(error, None),
        (None, Err(error)) => {
            refused(error, Some("This server does not host this topic-partition."))
        }
        (None, Ok(Inspected::Producers(producers))) => PartitionResponse {
            partition_index,
            active_producers: producers.into_iter().map(producer).collect(),
            ..PartitionResponse::default()
        },
        (None, Ok(other)) => unreachable!("producers were asked for: {other:?}"),
    }
}

fn producer(producer: ActiveProducer) -> ProducerState {
    ProducerState {
        producer_id: producer.id,
        producer_epoch: i32::from(producer.epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.txn_first_offset,
    }
}

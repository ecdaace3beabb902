//! AlterPartitionReassignments (KIP-455).

use ringlog_wire::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use ringlog_wire::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};

use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::controller::check_reassignment;
use crate::error_code::ErrorCode;

pub(super) fn answer(broker: &Broker, incoming: &Incoming) -> Option<Outcome> {
    let request: AlterPartitionReassignmentsRequest = incoming.decode()?;
    let image = broker.image();
    let responses = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let checked =
                check_reassignment(&image, &topic.name, index, partition.replicas.as_ref());
            let (error, error_message) = match checked {
                Ok(()) => (ErrorCode::None, None),
                Err(fault) => (fault.error, fault.message),
            };
            let error_code = error.code();
            ReassignablePartitionResponse { partition_index: index, error_code, error_message }
        });
        ReassignableTopicResponse { partitions: partitions.collect(), name: topic.name }
    });
    Some(incoming.respond(&AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        error_message: None,
        responses: responses.collect(),
        ..AlterPartitionReassignmentsResponse::default()
    }))
}

//! DescribeQuorum (KIP-595, KIP-836, KIP-853): who votes on the metadata, how far each has come.

use std::rc::Rc;

use ringlog_wire::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use ringlog_wire::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::{Incoming, Outcome};
use crate::broker::{Broker, ControlCall, ControlReply, QuorumState};
use crate::error_code::ErrorCode;

const METADATA_TOPIC: &str = "__cluster_metadata";
/// What stock says of any other partition.
const UNKNOWN_PARTITION: &str = "This server does not host this topic-partition.";
/// The version that knows endpoints and directories of voters.
const NODES_FROM: i16 = 2;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: DescribeQuorumRequest = incoming.decode()?;
    let asked: Vec<(&str, i32)> = request
        .topics
        .iter()
        .flat_map(|t| t.partitions.iter().map(|p| (t.topic_name.as_str(), p.partition_index)))
        .collect();
    if asked != [(METADATA_TOPIC, 0)] || request.topics.len() != 1 {
        return Some(incoming.respond(&unknown(&request)));
    }
    let response = match incoming.ask_controller(broker, ControlCall::DescribeQuorum).await {
        ControlReply::Quorum(state) => describe(&state, broker, incoming.header.version),
        ControlReply::Refused(_) => of_partition(PartitionData {
            error_code: ErrorCode::NotLeaderOrFollower.code(),
            ..PartitionData::default()
        }),
        _ => unreachable!("a question about the quorum has its own reply"),
    };
    Some(incoming.respond(&response))
}

fn of_partition(partition: PartitionData) -> DescribeQuorumResponse {
    let topic = TopicData { topic_name: METADATA_TOPIC.to_owned(), partitions: vec![partition] };
    DescribeQuorumResponse { topics: vec![topic], ..DescribeQuorumResponse::default() }
}

fn unknown(request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = request.topics.iter().map(|topic| TopicData {
        topic_name: topic.topic_name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|partition| PartitionData {
                partition_index: partition.partition_index,
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
                error_message: Some(UNKNOWN_PARTITION.to_owned()),
                ..PartitionData::default()
            })
            .collect(),
    });
    DescribeQuorumResponse { topics: topics.collect(), ..DescribeQuorumResponse::default() }
}

/// The only voter is the leader: it is where it says it is, now.
fn describe(state: &QuorumState, broker: &Broker, version: i16) -> DescribeQuorumResponse {
    let now_ms = broker.shard.unix_ms();
    let voter = ReplicaState {
        replica_id: broker.settings.node_id,
        replica_directory_id: state.directory_id,
        log_end_offset: state.log_end_offset,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
    };
    let mut response = of_partition(PartitionData {
        leader_id: broker.settings.node_id,
        leader_epoch: state.epoch,
        high_watermark: state.high_watermark,
        current_voters: vec![voter],
        ..PartitionData::default()
    });
    if version >= NODES_FROM {
        let listeners = state.endpoints.iter().map(|(name, host, port)| Listener {
            name: name.clone(),
            host: host.clone(),
            port: *port,
        });
        let node = Node { node_id: broker.settings.node_id, listeners: listeners.collect() };
        response.nodes = vec![node];
    }
    response
}

//! ElectLeaders (KIP-460). With one broker nobody else can lead: a partition that is led needs no
//! election, and one that is not has nobody to elect.

use std::collections::BTreeMap;

use ringlog_wire::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use ringlog_wire::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::error_code::ErrorCode;
use crate::metadata::{LEADER_UNKNOWN, MetadataImage};

const UNCLEAN: i8 = 1;

pub(super) fn answer(broker: &Broker, incoming: &Incoming) -> Option<Outcome> {
    let request: ElectLeadersRequest = incoming.decode()?;
    let image = broker.image();
    let all = request.topic_partitions.is_none();
    let asked: Vec<(String, Vec<i32>)> = match request.topic_partitions {
        Some(topics) => topics.into_iter().map(|t| (t.topic, t.partitions)).collect(),
        None => {
            let topics = image.topics_by_name();
            topics.map(|t| (t.name.clone(), t.partitions.keys().copied().collect())).collect()
        }
    };
    let mut results: BTreeMap<String, Vec<PartitionResult>> = BTreeMap::new();
    for (topic, partitions) in asked {
        let of = results.entry(topic.clone()).or_default();
        for partition_id in partitions {
            let (error, message) = elect(&image, &topic, partition_id, request.election_type);
            // Asked for all, only those are told of that need one.
            if !(all && error == ErrorCode::ElectionNotNeeded) {
                of.push(PartitionResult {
                    partition_id,
                    error_code: error.code(),
                    error_message: Some(message),
                });
            }
        }
    }
    let replica_election_results = results
        .into_iter()
        .map(|(topic, partition_result)| ReplicaElectionResult { topic, partition_result })
        .collect();
    Some(incoming.respond(&ElectLeadersResponse { replica_election_results, ..Default::default() }))
}

fn elect(image: &MetadataImage, topic: &str, partition: i32, kind: i8) -> (ErrorCode, String) {
    let unknown = |what: String| (ErrorCode::UnknownTopicOrPartition, what);
    let Some(known) = image.topic_by_name(topic) else {
        return unknown(format!("No such topic as {topic}"));
    };
    let Some(known) = known.partitions.get(&partition) else {
        return unknown(format!("No such partition as {topic}-{partition}"));
    };
    let led = known.leader != LEADER_UNKNOWN;
    let preferred = led && known.replicas.first() == Some(&known.leader);
    let (error, message) = match kind {
        UNCLEAN if !led => (
            ErrorCode::EligibleLeadersNotAvailable,
            "Eligible topic partition leaders are not available.",
        ),
        kind if kind != UNCLEAN && !preferred => {
            (ErrorCode::PreferredLeaderNotAvailable, "The preferred leader was not available.")
        }
        _ => (ErrorCode::ElectionNotNeeded, "Leader election not needed for topic partition."),
    };
    (error, message.to_owned())
}

//! ApiVersions, DescribeCluster, DescribeQuorum, InitProducerId, ListPartitionReassignments; and
//! what the listeners of controllers say.

use std::time::{Duration, Instant};

use ringlog_node::wire::versions::{BROKER_APIS, CONTROLLER_APIS, Served};
use ringlog_wire::Uuid;
use ringlog_wire::messages::create_partitions_request::CreatePartitionsTopic;
use ringlog_wire::messages::describe_quorum_request::{PartitionData, TopicData};
use ringlog_wire::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use ringlog_wire::messages::{
    ApiVersionsRequest, CreatePartitionsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeQuorumRequest, InitProducerIdRequest, ListPartitionReassignmentsRequest,
};

use crate::pair::{Pair, Side, create, new_topic};
use crate::support::PATIENCE;

pub fn compare(pair: &mut Pair) {
    api_versions(pair, BROKER_APIS);
    describe_cluster(pair);
    describe_quorum(pair);
    pair.ask_controllers(true);
    api_versions(pair, CONTROLLER_APIS);
    describe_cluster(pair);
    describe_quorum(pair);
    topics_by_controllers(pair);
    pair.ask_controllers(false);
    init_producer_id(pair);
    pair.same("none", 0, |_| ListPartitionReassignmentsRequest::default());
    pair.create_topic("still", 1, &[]);
    for (name, partition) in [("still", 0), ("still", 7), ("nope", 0)] {
        pair.same(&format!("{name}-{partition}"), 0, |_| ListPartitionReassignmentsRequest {
            timeout_ms: 1000,
            topics: Some(vec![ListPartitionReassignmentsTopics {
                name: name.to_owned(),
                partition_indexes: vec![partition],
            }]),
        });
    }
}

fn api_versions(pair: &mut Pair, apis: &[Served]) {
    let ask = |name: &str| ApiVersionsRequest {
        client_software_name: name.to_owned(),
        client_software_version: "1.0".to_owned(),
    };
    for version in 0..=4 {
        for name in ["good", "bad name", ""] {
            pair.same_but(
                name,
                version,
                |_| ask(name),
                |response| {
                    // An API that does not work yet is not advertised; nor is a feature.
                    response
                        .api_keys
                        .retain(|api| apis.iter().any(|served| served.key as i16 == api.api_key));
                    response.api_keys.sort_by_key(|api| api.api_key);
                    let known = ["metadata.version", "kraft.version"];
                    response.supported_features.retain(|f| known.contains(&f.name.as_str()));
                    response.supported_features.sort_by(|a, b| a.name.cmp(&b.name));
                    response.finalized_features_epoch = response.finalized_features_epoch.min(0);
                },
            );
        }
    }
}

fn describe_cluster(pair: &mut Pair) {
    for version in 0..=2 {
        for endpoint_type in [1, 2, 3] {
            for include in [false, true] {
                pair.same(&format!("{endpoint_type} {include}"), version, |_| {
                    DescribeClusterRequest {
                        include_cluster_authorized_operations: include,
                        endpoint_type: if version == 0 { 1 } else { endpoint_type },
                        include_fenced_brokers: include && version >= 2,
                    }
                });
            }
        }
    }
}

fn describe_quorum(pair: &mut Pair) {
    let metadata = "__cluster_metadata";
    let topic = |name: &str, partitions: &[i32]| TopicData {
        topic_name: name.to_owned(),
        partitions: partitions
            .iter()
            .map(|index| PartitionData { partition_index: *index })
            .collect(),
    };
    let questions = [
        vec![topic(metadata, &[0])],
        vec![topic(metadata, &[1])],
        vec![topic(metadata, &[0, 1])],
        vec![topic("nope", &[0])],
        vec![topic(metadata, &[0]), topic("nope", &[0])],
        vec![topic(metadata, &[0]), topic("empty", &[])],
        vec![topic("empty", &[])],
        vec![],
    ];
    for version in 0..=2 {
        for (i, topics) in questions.iter().enumerate() {
            pair.same_but(
                &format!("question {i}"),
                version,
                |_| DescribeQuorumRequest { topics: topics.clone() },
                |response| {
                    for partition in response.topics.iter_mut().flat_map(|t| &mut t.partitions) {
                        partition.leader_epoch = partition.leader_epoch.min(1);
                        partition.high_watermark = partition.high_watermark.signum();
                        for replica in &mut partition.current_voters {
                            replica.log_end_offset = replica.log_end_offset.signum();
                            replica.last_fetch_timestamp = replica.last_fetch_timestamp.signum();
                            replica.last_caught_up_timestamp =
                                replica.last_caught_up_timestamp.signum();
                        }
                    }
                },
            );
        }
    }
}

/// What changes the metadata is served by controllers too.
fn topics_by_controllers(pair: &mut Pair) {
    let ask = |pair: &mut Pair, version| {
        let request = |_: &Side| create(vec![new_topic("by-controller")]);
        pair.same_but("by-controller", version, request, |response| {
            response.topics.iter_mut().for_each(|topic| topic.topic_id = Uuid::default());
        });
    };
    ask(pair, 7);
    ask(pair, 5);
    let grow = |_: &Side| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "by-controller".to_owned(),
            count: 3,
            ..Default::default()
        }],
        timeout_ms: 10_000,
        ..Default::default()
    };
    pair.same("grow", 3, grow);
    pair.same("grow again", 3, grow);
    let delete = |_: &Side| DeleteTopicsRequest {
        topic_names: vec!["by-controller".to_owned()],
        timeout_ms: 10_000,
        ..Default::default()
    };
    pair.same("delete", 5, delete);
    pair.same("delete again", 5, delete);
    pair.same("none", 0, |_| ListPartitionReassignmentsRequest::default());
}

fn init_producer_id(pair: &mut Pair) {
    // Kafka asks for its first block of ids only now.
    let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let deadline = Instant::now() + PATIENCE;
    while pair.stock.client.request(&request, 4).error_code != 0 {
        assert!(Instant::now() < deadline, "Kafka has no producer ids");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    for version in 0..=5 {
        for (what, transactional_id, producer_id, producer_epoch) in [
            ("fresh", None, -1, -1),
            ("empty", Some(""), -1, -1),
            ("known", None, 5, 3),
            ("no epoch", None, 5, -1),
            ("no id", None, -1, 3),
        ] {
            if version < 3 && (producer_id, producer_epoch) != (-1, -1) {
                continue;
            }
            pair.same_but(
                what,
                version,
                |_| InitProducerIdRequest {
                    transactional_id: transactional_id.map(str::to_owned),
                    transaction_timeout_ms: 60_000,
                    producer_id,
                    producer_epoch,
                    ..Default::default()
                },
                |response| response.producer_id = response.producer_id.min(0),
            );
        }
    }
}

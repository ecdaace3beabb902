//! The work that one request may cause between two turns of others, counted: a frame with as many
//! elements as it can carry is sent of each API, and no shard that has partitions takes a large
//! request apart, or gets a call about more partitions than a turn's worth.

#![allow(clippy::disallowed_methods, reason = "tests open sockets")]

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use ringlog_node::wire::versions::BROKER_APIS;
use ringlog_wire::ApiKey;
use ringlog_wire::messages::*;
use support::{Client, Node, PATIENCE, batch, free_ports};

/// Names in a frame, and partitions of a topic that has them.
const NAMES: usize = 60_000;
const PARTITIONS: i32 = 64;
/// The bounds of docs/decisions/0019.
const REQUEST_BYTES_MAX: u64 = 16 << 10;
const CALL_PARTITIONS_MAX: u64 = 1024;

/// Names that are all different, but that every thousandth is one that was there.
fn names() -> impl Iterator<Item = String> {
    (0..NAMES).map(|i| format!("n{:05}", if i % 1000 == 0 { 0 } else { i }))
}

/// Partitions of the topic that exists, over and over.
fn partitions() -> impl Iterator<Item = i32> {
    (0..NAMES as i32).map(|i| i % PARTITIONS)
}

fn t() -> String {
    "t".to_owned()
}

macro_rules! frame {
    ($client:ident, $version:expr, $request:expr) => {
        Some($client.frame(&$request, $version))
    };
}

/// An element for each item, with fields that are not as usual.
macro_rules! all {
    ($items:expr, $type:ty, $($field:ident: $value:expr),* => $each:ident) => {
        $items.map(|$each| { let mut it = <$type>::default(); $(it.$field = $value;)* it })
            .collect::<Vec<_>>()
    };
}

/// A frame of an API, built of as many elements as there are names or partitions; none of one that
/// carries no list.
fn frame_of(client: &mut Client, key: ApiKey) -> Option<Vec<u8>> {
    let families =
        [of_records, of_offsets, of_groups, of_members, of_topics, of_settings, of_partitions];
    let frame = families.into_iter().find_map(|family| family(client, key));
    let without_list = matches!(
        key,
        ApiKey::ApiVersions
            | ApiKey::Heartbeat
            | ApiKey::InitProducerId
            | ApiKey::DescribeCluster
            | ApiKey::SaslHandshake
            | ApiKey::DescribeAcls
    );
    assert!(frame.is_some() != without_list, "{} has no largest frame here", key.name());
    frame
}

/// Requests about records and offsets.
fn of_records(client: &mut Client, key: ApiKey) -> Option<Vec<u8>> {
    match key {
        ApiKey::Produce => {
            let partition_data = partitions()
                .map(|index| produce_request::PartitionProduceData {
                    index,
                    records: Some(batch(&[b"v"], None)),
                })
                .collect();
            let topic = produce_request::TopicProduceData {
                name: t(),
                partition_data,
                ..Default::default()
            };
            frame!(
                client,
                9,
                ProduceRequest {
                    acks: 1,
                    timeout_ms: 1000,
                    topic_data: vec![topic],
                    ..Default::default()
                }
            )
        }
        ApiKey::Fetch => {
            use fetch_request::{FetchPartition, FetchTopic};
            let partitions = all!(partitions(), FetchPartition,
                partition: it, partition_max_bytes: 1000, current_leader_epoch: -1 => it);
            let topics = vec![FetchTopic { topic: t(), partitions, ..Default::default() }];
            frame!(client, 11, FetchRequest { topics, max_bytes: 1 << 20, ..Default::default() })
        }
        ApiKey::ListOffsets => {
            use list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
            let partitions = all!(partitions(), ListOffsetsPartition,
                partition_index: it, timestamp: 5, current_leader_epoch: -1 => it);
            let topics = vec![ListOffsetsTopic { name: t(), partitions }];
            frame!(client, 5, ListOffsetsRequest { replica_id: -1, topics, ..Default::default() })
        }
        ApiKey::DeleteRecords => {
            use delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
            let partitions = all!(partitions(), DeleteRecordsPartition, partition_index: it => it);
            let topics = vec![DeleteRecordsTopic { name: t(), partitions }];
            frame!(client, 1, DeleteRecordsRequest { topics, timeout_ms: 1000 })
        }
        ApiKey::WriteTxnMarkers => {
            use write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
            let topic =
                WritableTxnMarkerTopic { name: t(), partition_indexes: partitions().collect() };
            let marker = WritableTxnMarker { topics: vec![topic], ..Default::default() };
            frame!(client, 1, WriteTxnMarkersRequest { markers: vec![marker] })
        }
        ApiKey::OffsetForLeaderEpoch => {
            use offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
            let partitions = all!(partitions(), OffsetForLeaderPartition, partition: it => it);
            let topics = vec![OffsetForLeaderTopic { topic: t(), partitions }];
            frame!(client, 3, OffsetForLeaderEpochRequest { replica_id: -1, topics })
        }
        _ => None,
    }
}

/// Requests about offsets of groups.
fn of_offsets(client: &mut Client, key: ApiKey) -> Option<Vec<u8>> {
    match key {
        ApiKey::OffsetCommit => {
            use offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
            let partitions =
                all!(partitions(), OffsetCommitRequestPartition, partition_index: it => it);
            let topics =
                vec![OffsetCommitRequestTopic { name: t(), partitions, ..Default::default() }];
            frame!(
                client,
                8,
                OffsetCommitRequest {
                    group_id: "g".to_owned(),
                    generation_id_or_member_epoch: -1,
                    topics,
                    ..Default::default()
                }
            )
        }
        ApiKey::OffsetFetch => {
            use offset_fetch_request::OffsetFetchRequestTopic;
            let topics = vec![OffsetFetchRequestTopic {
                name: t(),
                partition_indexes: partitions().collect(),
            }];
            frame!(
                client,
                7,
                OffsetFetchRequest {
                    group_id: "g".to_owned(),
                    topics: Some(topics),
                    ..Default::default()
                }
            )
        }
        ApiKey::OffsetDelete => {
            use offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
            let partitions =
                all!(partitions(), OffsetDeleteRequestPartition, partition_index: it => it);
            let topics = vec![OffsetDeleteRequestTopic { name: t(), partitions }];
            frame!(client, 0, OffsetDeleteRequest { group_id: "g".to_owned(), topics })
        }
        ApiKey::FindCoordinator => {
            frame!(
                client,
                4,
                FindCoordinatorRequest {
                    coordinator_keys: names().collect(),
                    ..Default::default()
                }
            )
        }
        _ => None,
    }
}

/// Requests about groups as a whole.
fn of_groups(client: &mut Client, key: ApiKey) -> Option<Vec<u8>> {
    match key {
        ApiKey::DescribeGroups => {
            frame!(
                client,
                4,
                DescribeGroupsRequest { groups: names().collect(), ..Default::default() }
            )
        }
        ApiKey::ListGroups => {
            frame!(
                client,
                4,
                ListGroupsRequest { states_filter: names().collect(), ..Default::default() }
            )
        }
        ApiKey::DeleteGroups => {
            frame!(client, 1, DeleteGroupsRequest { groups_names: names().collect() })
        }
        ApiKey::ConsumerGroupDescribe => {
            let group_ids = names().collect();
            frame!(client, 0, ConsumerGroupDescribeRequest { group_ids, ..Default::default() })
        }
        _ => None,
    }
}

/// Requests of members of groups.
fn of_members(client: &mut Client, key: ApiKey) -> Option<Vec<u8>> {
    match key {
        ApiKey::JoinGroup => {
            use join_group_request::JoinGroupRequestProtocol;
            frame!(
                client,
                5,
                JoinGroupRequest {
                    group_id: "g".to_owned(),
                    session_timeout_ms: 6000,
                    rebalance_timeout_ms: 6000,
                    protocol_type: "p".to_owned(),
                    protocols: all!(names(), JoinGroupRequestProtocol, name: it => it),
                    ..Default::default()
                }
            )
        }
        ApiKey::LeaveGroup => {
            use leave_group_request::MemberIdentity;
            let members = all!(names(), MemberIdentity, member_id: it => it);
            frame!(
                client,
                4,
                LeaveGroupRequest { group_id: "g".to_owned(), members, ..Default::default() }
            )
        }
        ApiKey::SyncGroup => {
            use sync_group_request::SyncGroupRequestAssignment;
            frame!(
                client,
                4,
                SyncGroupRequest {
                    group_id: "g".to_owned(),
                    assignments: all!(names(), SyncGroupRequestAssignment, member_id: it => it),
                    ..Default::default()
                }
            )
        }
        ApiKey::ConsumerGroupHeartbeat => {
            frame!(
                client,
                0,
                ConsumerGroupHeartbeatRequest {
                    group_id: "g".to_owned(),
                    rebalance_timeout_ms: 6000,
                    subscribed_topic_names: Some(names().collect()),
                    topic_partitions: Some(Vec::new()),
                    ..Default::default()
                }
            )
        }
        _ => None,
    }
}

/// Requests about topics.
fn of_topics(client: &mut Client, key: ApiKey) -> Option<Vec<u8>> {
    match key {
        ApiKey::Metadata => {
            use metadata_request::MetadataRequestTopic;
            let topics = all!(names(), MetadataRequestTopic, name: Some(it) => it);
            frame!(
                client,
                9,
                MetadataRequest {
                    topics: Some(topics),
                    allow_auto_topic_creation: true,
                    ..Default::default()
                }
            )
        }
        ApiKey::CreateTopics => {
            use create_topics_request::CreatableTopic;
            let topics = all!(names(), CreatableTopic,
                name: it, num_partitions: 1, replication_factor: 1 => it);
            frame!(
                client,
                5,
                CreateTopicsRequest { topics, timeout_ms: 1000, ..Default::default() }
            )
        }
        ApiKey::DeleteTopics => {
            let topic_names = names().collect();
            frame!(client, 4, DeleteTopicsRequest { topic_names, ..Default::default() })
        }
        ApiKey::CreatePartitions => {
            use create_partitions_request::CreatePartitionsTopic;
            let topics = all!(names(), CreatePartitionsTopic, name: it, count: 9 => it);
            frame!(client, 1, CreatePartitionsRequest { topics, ..Default::default() })
        }
        ApiKey::DescribeTopicPartitions => {
            use describe_topic_partitions_request::TopicRequest;
            let topics = all!(names(), TopicRequest, name: it => it);
            frame!(client, 0, DescribeTopicPartitionsRequest { topics, ..Default::default() })
        }
        ApiKey::AlterPartitionReassignments => {
            use alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
            let partitions = all!(partitions(), ReassignablePartition, partition_index: it => it);
            let topics = vec![ReassignableTopic { name: t(), partitions }];
            frame!(client, 0, AlterPartitionReassignmentsRequest { topics, ..Default::default() })
        }
        ApiKey::ListPartitionReassignments => {
            use list_partition_reassignments_request::ListPartitionReassignmentsTopics;
            let partition_indexes = partitions().collect();
            let topics = vec![ListPartitionReassignmentsTopics { name: t(), partition_indexes }];
            frame!(
                client,
                0,
                ListPartitionReassignmentsRequest { topics: Some(topics), ..Default::default() }
            )
        }
        _ => None,
    }
}

/// Requests about settings.
fn of_settings(client: &mut Client, key: ApiKey) -> Option<Vec<u8>> {
    match key {
        ApiKey::DescribeConfigs => {
            use describe_configs_request::DescribeConfigsResource;
            let resources = all!(names(), DescribeConfigsResource,
                resource_type: 2, resource_name: it => it);
            frame!(client, 3, DescribeConfigsRequest { resources, ..Default::default() })
        }
        ApiKey::AlterConfigs => {
            use alter_configs_request::AlterConfigsResource;
            let resources = all!(names(), AlterConfigsResource,
                resource_type: 2, resource_name: it => it);
            frame!(client, 1, AlterConfigsRequest { resources, validate_only: false })
        }
        ApiKey::IncrementalAlterConfigs => {
            use incremental_alter_configs_request::AlterConfigsResource;
            let resources = all!(names(), AlterConfigsResource,
                resource_type: 2, resource_name: it => it);
            frame!(client, 0, IncrementalAlterConfigsRequest { resources, validate_only: false })
        }
        ApiKey::ListConfigResources => {
            let resource_types = (0..NAMES).map(|i| i as i8).collect();
            frame!(client, 1, ListConfigResourcesRequest { resource_types })
        }
        ApiKey::UpdateFeatures => {
            use update_features_request::FeatureUpdateKey;
            let feature_updates = all!(names(), FeatureUpdateKey, feature: it => it);
            frame!(client, 1, UpdateFeaturesRequest { feature_updates, ..Default::default() })
        }
        ApiKey::CreateAcls => {
            use create_acls_request::AclCreation;
            let creations = all!(names(), AclCreation, resource_name: it => it);
            frame!(client, 2, CreateAclsRequest { creations })
        }
        ApiKey::DeleteAcls => {
            use delete_acls_request::DeleteAclsFilter;
            let filters = all!(names(), DeleteAclsFilter, resource_name_filter: Some(it) => it);
            frame!(client, 2, DeleteAclsRequest { filters })
        }
        _ => None,
    }
}

/// Requests about replicas.
fn of_partitions(client: &mut Client, key: ApiKey) -> Option<Vec<u8>> {
    match key {
        ApiKey::DescribeLogDirs => {
            use describe_log_dirs_request::DescribableLogDirTopic;
            let topics =
                vec![DescribableLogDirTopic { topic: t(), partitions: partitions().collect() }];
            frame!(client, 2, DescribeLogDirsRequest { topics: Some(topics) })
        }
        ApiKey::ElectLeaders => {
            use elect_leaders_request::TopicPartitions;
            let topics = vec![TopicPartitions { topic: t(), partitions: partitions().collect() }];
            frame!(
                client,
                2,
                ElectLeadersRequest { topic_partitions: Some(topics), ..Default::default() }
            )
        }
        ApiKey::DescribeProducers => {
            use describe_producers_request::TopicRequest;
            let topics =
                vec![TopicRequest { name: t(), partition_indexes: partitions().collect() }];
            frame!(client, 0, DescribeProducersRequest { topics })
        }
        ApiKey::DescribeQuorum => {
            use describe_quorum_request::{PartitionData, TopicData};
            let partitions = all!(partitions(), PartitionData, partition_index: it => it);
            let topics = vec![TopicData { topic_name: t(), partitions }];
            frame!(client, 1, DescribeQuorumRequest { topics })
        }
        _ => None,
    }
}

/// The values of a metric, by shard.
fn by_shard(port: u16, name: &str) -> Vec<u64> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: n\r\n\r\n").expect("sends");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    let of = answer.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    of.map(|line| line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number")).collect()
}

#[test]
fn rn01_rn11_no_request_takes_a_shard_that_has_partitions_for_itself() {
    const SHARDS: usize = 2;
    let [http] = free_ports();
    let mut node = Node::start(&[
        &format!("ringlog.http.listener=localhost:{http}"),
        &format!("ringlog.shards={SHARDS}"),
        "ringlog.memory.limit.bytes=268435456",
        "auto.create.topics.enable=false",
    ]);
    node.client().create_topic("t", PARTITIONS, &[]);
    let before = node.memory("VmRSS:");
    let mut without_answer = BTreeSet::new();
    for api in BROKER_APIS {
        let mut client = node.client();
        let Some(frame) = frame_of(&mut client, api.key) else { continue };
        assert!(frame.len() as u64 > REQUEST_BYTES_MAX, "{} is large", api.key.name());
        client.socket.write_all(&frame).expect("the node reads it");
        if client.read_frame().is_none() {
            without_answer.insert(api.key.name());
        }
        assert!(node.is_alive(), "{}: {}", api.key.name(), node.log());
    }
    assert_eq!(without_answer, BTreeSet::new(), "{}", node.log());
    let decoded = by_shard(http, "ringlog_shard_largest_request_bytes");
    let called = by_shard(http, "ringlog_shard_largest_call_partitions");
    assert!(decoded.len() >= SHARDS && called.iter().max() > Some(&0), "{decoded:?} {called:?}");
    for shard in 0..SHARDS {
        assert!(decoded[shard] <= REQUEST_BYTES_MAX, "shard {shard}: {decoded:?}");
        assert!(called[shard] <= CALL_PARTITIONS_MAX, "shard {shard}: {called:?}");
    }
    let grown = node.peak_memory().saturating_sub(before);
    assert!(grown < 256 << 20, "{grown} bytes");
}

//! Every API answers at every version it is advertised in, good requests and bad.

#![allow(clippy::disallowed_methods, reason = "tests open sockets")]

mod support;

use ringlog_node::wire::versions::{BROKER_APIS, PRODUCE_VERSION_MIN};
use ringlog_wire::messages as m;
use ringlog_wire::messages::{
    create_partitions_request, create_topics_request, delete_records_request,
    delete_topics_request, describe_configs_request, describe_topic_partitions_request,
    fetch_request, list_offsets_request, metadata_request, produce_request,
    write_txn_markers_request,
};
use ringlog_wire::{ApiKey, Uuid};
use support::{Client, Node, batch};

/// What a test of one version knows.
struct Case<'a> {
    client: &'a mut Client,
    version: i16,
    topic_id: Uuid,
}

impl Case<'_> {
    fn named(&self, from: i16) -> (String, Uuid) {
        match self.version >= from {
            true => (String::new(), self.topic_id),
            false => ("t".to_owned(), Uuid::ZERO),
        }
    }

    fn produce(&mut self) {
        let (name, topic_id) = self.named(13);
        let data = [0, 9].map(|index| produce_request::PartitionProduceData {
            index,
            records: Some(batch(&[b"v"], None)),
        });
        let request = m::ProduceRequest {
            acks: -1,
            timeout_ms: 5000,
            topic_data: vec![produce_request::TopicProduceData {
                name,
                topic_id,
                partition_data: data.to_vec(),
            }],
            ..Default::default()
        };
        let response = self.client.request(&request, self.version);
        let codes = response.responses[0].partition_responses.iter().map(|p| p.error_code);
        assert_eq!(codes.collect::<Vec<_>>(), [0, 3], "version {}", self.version);
    }

    fn fetch(&mut self) {
        let (topic, topic_id) = self.named(13);
        let partitions = [(0, 0), (0, 1 << 40), (9, 0)].map(|(partition, fetch_offset)| {
            fetch_request::FetchPartition {
                partition,
                fetch_offset,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }
        });
        let request = m::FetchRequest {
            max_wait_ms: 10,
            min_bytes: 1,
            session_epoch: -1,
            topics: vec![fetch_request::FetchTopic {
                topic,
                topic_id,
                partitions: partitions.to_vec(),
            }],
            ..Default::default()
        };
        let response = self.client.request(&request, self.version);
        let answered = &response.responses[0].partitions;
        let codes: Vec<i16> = answered.iter().map(|p| p.error_code).collect();
        assert_eq!(codes, [0, 1, 3], "version {}", self.version);
        assert!(!answered[0].records.as_ref().expect("records").is_empty());
    }

    fn list_offsets(&mut self) {
        let specs = [-1, -2, 0, -3].into_iter().filter(|t| *t != -3 || self.version >= 7);
        for timestamp in specs {
            let partitions =
                [0, 9].map(|partition_index| list_offsets_request::ListOffsetsPartition {
                    partition_index,
                    timestamp,
                    ..Default::default()
                });
            let request = m::ListOffsetsRequest {
                replica_id: -1,
                topics: vec![list_offsets_request::ListOffsetsTopic {
                    name: "t".to_owned(),
                    partitions: partitions.to_vec(),
                }],
                ..Default::default()
            };
            let response = self.client.request(&request, self.version);
            let codes = response.topics[0].partitions.iter().map(|p| p.error_code);
            assert_eq!(codes.collect::<Vec<_>>(), [0, 3]);
            assert!(response.topics[0].partitions[0].offset >= 0);
        }
    }

    /// A group that is not there; golden/groups.rs compares whole lives of groups with Kafka's.
    fn groups(&mut self, key: ApiKey) {
        let (version, client) = (self.version, &mut *self.client);
        let group = || "nope".to_owned();
        let code = match key {
            ApiKey::FindCoordinator => {
                let coordinator_keys = if version >= 4 { vec![group()] } else { Vec::new() };
                let key = if version >= 4 { String::new() } else { group() };
                let request =
                    m::FindCoordinatorRequest { key, coordinator_keys, ..Default::default() };
                let response = client.request(&request, version);
                let id = response.coordinators.first().map_or(response.node_id, |c| c.node_id);
                assert_eq!(id, 1);
                response.error_code
            }
            ApiKey::JoinGroup => {
                let (group_id, member_id) = (group(), "x".to_owned());
                let session_timeout_ms = 10_000;
                let request = m::JoinGroupRequest {
                    group_id,
                    member_id,
                    session_timeout_ms,
                    ..Default::default()
                };
                client.request(&request, version).error_code - 25
            }
            ApiKey::SyncGroup => {
                let named = (version >= 5).then(|| "consumer".to_owned());
                let request = m::SyncGroupRequest {
                    group_id: group(),
                    protocol_type: named.clone(),
                    protocol_name: named,
                    ..Default::default()
                };
                client.request(&request, version).error_code - 25
            }
            ApiKey::Heartbeat => {
                let request = m::HeartbeatRequest { group_id: group(), ..Default::default() };
                client.request(&request, version).error_code - 25
            }
            ApiKey::LeaveGroup => {
                let request = m::LeaveGroupRequest { group_id: group(), ..Default::default() };
                client.request(&request, version).error_code - if version < 3 { 25 } else { 0 }
            }
            key => self.offsets(key),
        };
        assert_eq!(code, 0, "{} {version}", key.name());
    }

    /// Offsets of such a group, and what administrators ask of it.
    fn offsets(&mut self, key: ApiKey) -> i16 {
        let (version, client) = (self.version, &mut *self.client);
        let group = || "nope".to_owned();
        match key {
            ApiKey::OffsetCommit => {
                let request = m::OffsetCommitRequest { group_id: group(), ..Default::default() };
                client.request(&request, version).topics.len() as i16
            }
            ApiKey::OffsetFetch => {
                let all = (version < 2).then(Vec::new);
                let request = m::OffsetFetchRequest {
                    group_id: if version < 8 { group() } else { String::new() },
                    topics: if version < 8 { all } else { Some(Vec::new()) },
                    ..Default::default()
                };
                client.request(&request, version).error_code
            }
            ApiKey::OffsetDelete => {
                let request = m::OffsetDeleteRequest { group_id: group(), ..Default::default() };
                client.request(&request, version).error_code - 69
            }
            ApiKey::ConsumerGroupHeartbeat => {
                let request = m::ConsumerGroupHeartbeatRequest {
                    group_id: group(),
                    member_id: "x".to_owned(),
                    member_epoch: 1,
                    ..Default::default()
                };
                client.request(&request, version).error_code - 69
            }
            ApiKey::ConsumerGroupDescribe => {
                let request = m::ConsumerGroupDescribeRequest {
                    group_ids: vec![group()],
                    ..Default::default()
                };
                client.request(&request, version).groups[0].error_code - 69
            }
            ApiKey::ListGroups => {
                client.request(&m::ListGroupsRequest::default(), version).error_code
            }
            ApiKey::DescribeGroups => {
                let request =
                    m::DescribeGroupsRequest { groups: vec![group()], ..Default::default() };
                let response = client.request(&request, version);
                response.groups[0].error_code - if version < 6 { 0 } else { 69 }
            }
            _ => {
                let request = m::DeleteGroupsRequest { groups_names: vec![group()] };
                client.request(&request, version).results[0].error_code - 69
            }
        }
    }

    /// golden/admin.rs compares what these say with Kafka.
    fn administration(&mut self, key: ApiKey) {
        let (version, client) = (self.version, &mut *self.client);
        match key {
            ApiKey::AlterConfigs => {
                let response = client.request(&m::AlterConfigsRequest::default(), version);
                assert!(response.responses.is_empty());
            }
            ApiKey::IncrementalAlterConfigs => {
                let request = m::IncrementalAlterConfigsRequest::default();
                assert!(client.request(&request, version).responses.is_empty());
            }
            ApiKey::ListConfigResources => {
                let request = m::ListConfigResourcesRequest::default();
                assert_eq!(client.request(&request, version).error_code, 0);
            }
            ApiKey::OffsetForLeaderEpoch => {
                let request = m::OffsetForLeaderEpochRequest::default();
                assert!(client.request(&request, version).topics.is_empty());
            }
            ApiKey::DescribeProducers => {
                let request = m::DescribeProducersRequest::default();
                assert!(client.request(&request, version).topics.is_empty());
            }
            ApiKey::DescribeLogDirs => {
                let response = client.request(&m::DescribeLogDirsRequest::default(), version);
                assert_eq!((response.error_code, response.results.len()), (0, 1));
            }
            ApiKey::ElectLeaders => {
                let response = client.request(&m::ElectLeadersRequest::default(), version);
                assert_eq!((response.error_code, response.replica_election_results.len()), (0, 0));
            }
            ApiKey::AlterPartitionReassignments => {
                let request = m::AlterPartitionReassignmentsRequest::default();
                assert_eq!(client.request(&request, version).error_code, 0);
            }
            ApiKey::DescribeQuorum => {
                let response = client.request(&m::DescribeQuorumRequest::default(), version);
                assert_eq!(response.topics.len(), 0);
            }
            ApiKey::UpdateFeatures => {
                let request = m::UpdateFeaturesRequest {
                    feature_updates: vec![m::update_features_request::FeatureUpdateKey {
                        feature: "nonsense".to_owned(),
                        max_version_level: 1,
                        ..Default::default()
                    }],
                    ..Default::default()
                };
                assert_eq!(client.request(&request, version).error_code, 95);
            }
            ApiKey::DescribeAcls => {
                let request = m::DescribeAclsRequest::default();
                assert_eq!(client.request(&request, version).error_code, 54);
            }
            ApiKey::CreateAcls => {
                let response = client.request(&m::CreateAclsRequest::default(), version);
                assert!(response.results.is_empty());
            }
            ApiKey::DeleteAcls => {
                let response = client.request(&m::DeleteAclsRequest::default(), version);
                assert!(response.filter_results.is_empty());
            }
            ApiKey::SaslHandshake => {
                let request = m::SaslHandshakeRequest::default();
                assert_eq!(client.request(&request, version).error_code, 34);
            }
            other => panic!("{} is served and not tested", other.name()),
        }
    }

    fn metadata(&mut self) {
        let all = if self.version == 0 { Some(Vec::new()) } else { None };
        let request = m::MetadataRequest { topics: all, ..Default::default() };
        let response = self.client.request(&request, self.version);
        assert!(response.topics.iter().any(|t| t.name.as_deref() == Some("t")));
        assert_eq!(response.brokers.len(), 1);
        let topic = |name: &str| metadata_request::MetadataRequestTopic {
            name: Some(name.to_owned()),
            ..Default::default()
        };
        let request = m::MetadataRequest {
            topics: Some(vec![topic("t"), topic("not/legal")]),
            ..Default::default()
        };
        let response = self.client.request(&request, self.version);
        let codes: Vec<i16> = response.topics.iter().map(|t| t.error_code).collect();
        assert_eq!(codes, [0, 17], "version {}", self.version);
    }

    fn topics(&mut self, key: ApiKey) {
        let name = format!("{}-{}", key.name(), self.version);
        match key {
            ApiKey::CreateTopics => {
                let topic = |name: &str| create_topics_request::CreatableTopic {
                    name: name.to_owned(),
                    num_partitions: 1,
                    replication_factor: 1,
                    ..Default::default()
                };
                let topics = vec![topic(&name), topic("t"), topic("not/legal")];
                let request = m::CreateTopicsRequest { topics, ..Default::default() };
                let response = self.client.request(&request, self.version);
                let codes: Vec<i16> = response.topics.iter().map(|t| t.error_code).collect();
                assert_eq!(codes, [0, 36, 17]);
            }
            ApiKey::DeleteTopics => {
                self.client.create_topic(&name, 1, &[]);
                let names = vec![name, "nope".to_owned()];
                let by_name = self.version < 6;
                let request = m::DeleteTopicsRequest {
                    topics: match by_name {
                        true => Vec::new(),
                        false => names
                            .iter()
                            .map(|name| delete_topics_request::DeleteTopicState {
                                name: Some(name.clone()),
                                ..Default::default()
                            })
                            .collect(),
                    },
                    topic_names: if by_name { names } else { Vec::new() },
                    ..Default::default()
                };
                let response = self.client.request(&request, self.version);
                let codes: Vec<i16> = response.responses.iter().map(|t| t.error_code).collect();
                assert_eq!(codes, [0, 3]);
            }
            _ => {
                self.client.create_topic(&name, 1, &[]);
                let grow = |name: &str, count| create_partitions_request::CreatePartitionsTopic {
                    name: name.to_owned(),
                    count,
                    assignments: None,
                };
                let topics = vec![grow(&name, 3), grow("nope", 2)];
                let request = m::CreatePartitionsRequest { topics, ..Default::default() };
                let response = self.client.request(&request, self.version);
                let codes: Vec<i16> = response.results.iter().map(|t| t.error_code).collect();
                assert_eq!(codes, [0, 3]);
            }
        }
    }

    fn others(&mut self, key: ApiKey) {
        let version = self.version;
        match key {
            ApiKey::ApiVersions => {
                let request = m::ApiVersionsRequest {
                    client_software_name: "test".to_owned(),
                    client_software_version: "1.0".to_owned(),
                };
                let response = self.client.request(&request, version);
                assert_eq!(response.api_keys.len(), BROKER_APIS.len());
                let level = |f: &m::api_versions_response::FinalizedFeatureKey| f.max_version_level;
                if version >= 3 {
                    assert_eq!(response.finalized_features.iter().map(level).max(), Some(27));
                }
            }
            ApiKey::InitProducerId => {
                let response = self.client.request(&m::InitProducerIdRequest::default(), version);
                // The default transactional id is an empty text, which is none that can be used.
                assert_eq!(response.error_code, 42);
                let request =
                    m::InitProducerIdRequest { transactional_id: None, ..Default::default() };
                let response = self.client.request(&request, version);
                assert_eq!((response.error_code, response.producer_epoch), (0, 0));
            }
            ApiKey::DescribeConfigs => {
                let resource =
                    |resource_type, name: &str| describe_configs_request::DescribeConfigsResource {
                        resource_type,
                        resource_name: name.to_owned(),
                        configuration_keys: None,
                    };
                let resources =
                    vec![resource(2, "t"), resource(2, "nope"), resource(4, "1"), resource(4, "x")];
                let request = m::DescribeConfigsRequest { resources, ..Default::default() };
                let response = self.client.request(&request, version);
                let codes: Vec<i16> = response.results.iter().map(|r| r.error_code).collect();
                assert_eq!(codes, [3, 0, 0, 42]);
            }
            ApiKey::ListPartitionReassignments => {
                let request = m::ListPartitionReassignmentsRequest::default();
                let response = self.client.request(&request, version);
                assert_eq!((response.error_code, response.topics.len()), (0, 0));
            }
            ApiKey::DescribeCluster => {
                let response = self.client.request(&m::DescribeClusterRequest::default(), version);
                assert_eq!((response.error_code, response.brokers.len()), (0, 1));
                if version >= 1 {
                    let request =
                        m::DescribeClusterRequest { endpoint_type: 2, ..Default::default() };
                    assert_eq!(self.client.request(&request, version).error_code, 114);
                }
            }
            ApiKey::DescribeTopicPartitions => {
                let topic = |name: &str| describe_topic_partitions_request::TopicRequest {
                    name: name.to_owned(),
                };
                let request = m::DescribeTopicPartitionsRequest {
                    topics: vec![topic("nope"), topic("t")],
                    response_partition_limit: 1,
                    cursor: None,
                };
                let response = self.client.request(&request, version);
                let codes: Vec<i16> = response.topics.iter().map(|t| t.error_code).collect();
                assert_eq!(codes, [3, 0]);
                let next = response.next_cursor.expect("the topic has two partitions");
                assert_eq!((next.topic_name.as_str(), next.partition_index), ("t", 1));
            }
            other => self.administration(other),
        }
    }

    fn storage(&mut self, key: ApiKey) {
        let version = self.version;
        match key {
            ApiKey::DeleteRecords => {
                let topic = |name: &str, offset| delete_records_request::DeleteRecordsTopic {
                    name: name.to_owned(),
                    partitions: vec![delete_records_request::DeleteRecordsPartition {
                        partition_index: 0,
                        offset,
                    }],
                };
                let request = m::DeleteRecordsRequest {
                    topics: vec![topic("nope", 0), topic("t", 0)],
                    timeout_ms: 1000,
                };
                let response = self.client.request(&request, version);
                let of = |t: &m::delete_records_response::DeleteRecordsTopicResult| {
                    (t.partitions[0].error_code, t.partitions[0].low_watermark)
                };
                let answers: Vec<_> = response.topics.iter().map(of).collect();
                assert_eq!(answers, [(3, -1), (0, 0)]);
            }
            ApiKey::WriteTxnMarkers => {
                let topic = |name: &str| write_txn_markers_request::WritableTxnMarkerTopic {
                    name: name.to_owned(),
                    partition_indexes: vec![0],
                };
                let marker = write_txn_markers_request::WritableTxnMarker {
                    producer_id: 900,
                    topics: vec![topic("nope"), topic("t")],
                    ..Default::default()
                };
                let request = m::WriteTxnMarkersRequest { markers: vec![marker] };
                let response = self.client.request(&request, version);
                let codes: Vec<i16> = response.markers[0]
                    .topics
                    .iter()
                    .map(|topic| topic.partitions[0].error_code)
                    .collect();
                assert_eq!(codes, [3, 0]);
            }
            other => unreachable!("{}", other.name()),
        }
    }
}

#[test]
fn every_api_answers_at_every_version() {
    let node = Node::start(&[]);
    let mut client = node.client();
    client.create_topic("t", 2, &[]);
    let request = m::MetadataRequest { topics: None, ..Default::default() };
    let topic_id = client.request(&request, 12).topics[0].topic_id;
    // Where groups are kept is made when it is first asked for.
    let request = m::FindCoordinatorRequest { key: "nope".to_owned(), ..Default::default() };
    assert_eq!(client.request(&request, 0).error_code, 0);
    for served in BROKER_APIS {
        let min = if served.key == ApiKey::Produce { PRODUCE_VERSION_MIN } else { served.min };
        for version in min..=served.max {
            let mut case = Case { client: &mut client, version, topic_id };
            match served.key {
                ApiKey::Produce => case.produce(),
                ApiKey::Fetch => case.fetch(),
                ApiKey::ListOffsets => case.list_offsets(),
                ApiKey::Metadata => case.metadata(),
                ApiKey::CreateTopics | ApiKey::DeleteTopics | ApiKey::CreatePartitions => {
                    case.topics(served.key);
                }
                ApiKey::DeleteRecords | ApiKey::WriteTxnMarkers => case.storage(served.key),
                ApiKey::FindCoordinator
                | ApiKey::JoinGroup
                | ApiKey::SyncGroup
                | ApiKey::Heartbeat
                | ApiKey::LeaveGroup
                | ApiKey::OffsetCommit
                | ApiKey::OffsetFetch
                | ApiKey::OffsetDelete
                | ApiKey::ConsumerGroupHeartbeat
                | ApiKey::ConsumerGroupDescribe
                | ApiKey::ListGroups
                | ApiKey::DescribeGroups
                | ApiKey::DeleteGroups => case.groups(served.key),
                other => case.others(other),
            }
        }
    }
}

//! The same bytes through the codecs of the `kafka-protocol` crate, which come from Kafka 4.1.0 by
//! another generator: what we encode decodes there, and encodes to the same bytes again.
//!
//! A second opinion besides Kafka's own classes (java.rs): it needs no Java, so it always runs.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kafka_protocol::{messages, protocol as peer};

use crate::arbitrary::Subject;
use crate::generated::every_message;

const INSTANCES: u64 = 20;

/// Messages that the crate does not have, or not rightly.
const MISSING_THERE: [&str; 7] = [
    // Its decoders take the field named Version, once read, for the version they read.
    "LeaderChangeMessage",
    "VotersRecord",
    // Its generator leaves out the streams groups (KIP-1071).
    "StreamsGroupDescribeRequest",
    "StreamsGroupDescribeResponse",
    "StreamsGroupHeartbeatRequest",
    "StreamsGroupHeartbeatResponse",
    // A file format of the storage module.
    "ProducerSnapshot",
];

/// A message of the crate, as values.
struct Peer {
    versions: peer::VersionRange,
    /// Decodes and encodes again.
    again: fn(&[u8], i16) -> Result<Vec<u8>, String>,
}

fn peer_of<P: peer::Message + peer::Encodable + peer::Decodable>() -> Peer {
    let again = |bytes: &[u8], version| {
        let mut input = Bytes::copy_from_slice(bytes);
        let decoded = P::decode(&mut input, version).map_err(|e| format!("unreadable: {e}"))?;
        if !input.is_empty() {
            return Err(format!("{} bytes are left", input.len()));
        }
        let mut out = Vec::new();
        decoded.encode(&mut out, version).map_err(|e| format!("unwritable: {e}"))?;
        Ok(out)
    };
    Peer { versions: P::VERSIONS, again }
}

fn compare(subject: &Subject, peer: &Peer) {
    let (first, last) = subject.versions.clone().into_inner();
    let (first, last) = (first.max(peer.versions.min), last.min(peer.versions.max));
    assert!(first <= last, "{}: no version in common", subject.name);
    for version in first..=last {
        for n in 0..INSTANCES {
            let (value, _) = subject.instance(version, n);
            let ours = value.to_vec(version).expect("encodes");
            let theirs = (peer.again)(&ours, version);
            assert_eq!(Ok(ours), theirs, "{} v{version}: {value:?}", subject.name);
        }
    }
}

macro_rules! peers {
    ($($name:ident)+) => {
        BTreeMap::from([$((stringify!($name), peer_of::<messages::$name>()),)+])
    };
}

#[test]
fn another_crate_reads_and_writes_the_same_bytes() {
    let peers = peers!(
        ConsumerProtocolAssignment ConsumerProtocolSubscription DefaultPrincipalData EndTxnMarker
        KRaftVersionRecord RequestHeader ResponseHeader SnapshotFooterRecord
        SnapshotHeaderRecord ProduceRequest FetchRequest ListOffsetsRequest
        MetadataRequest OffsetCommitRequest OffsetFetchRequest FindCoordinatorRequest
        JoinGroupRequest HeartbeatRequest LeaveGroupRequest SyncGroupRequest DescribeGroupsRequest
        ListGroupsRequest SaslHandshakeRequest ApiVersionsRequest CreateTopicsRequest
        DeleteTopicsRequest DeleteRecordsRequest InitProducerIdRequest OffsetForLeaderEpochRequest
        AddPartitionsToTxnRequest AddOffsetsToTxnRequest EndTxnRequest WriteTxnMarkersRequest
        TxnOffsetCommitRequest DescribeAclsRequest CreateAclsRequest DeleteAclsRequest
        DescribeConfigsRequest AlterConfigsRequest AlterReplicaLogDirsRequest
        DescribeLogDirsRequest SaslAuthenticateRequest CreatePartitionsRequest
        CreateDelegationTokenRequest RenewDelegationTokenRequest ExpireDelegationTokenRequest
        DescribeDelegationTokenRequest DeleteGroupsRequest ElectLeadersRequest
        IncrementalAlterConfigsRequest AlterPartitionReassignmentsRequest
        ListPartitionReassignmentsRequest OffsetDeleteRequest DescribeClientQuotasRequest
        AlterClientQuotasRequest DescribeUserScramCredentialsRequest
        AlterUserScramCredentialsRequest VoteRequest BeginQuorumEpochRequest EndQuorumEpochRequest
        DescribeQuorumRequest AlterPartitionRequest UpdateFeaturesRequest EnvelopeRequest
        FetchSnapshotRequest DescribeClusterRequest DescribeProducersRequest
        BrokerRegistrationRequest BrokerHeartbeatRequest UnregisterBrokerRequest
        DescribeTransactionsRequest ListTransactionsRequest AllocateProducerIdsRequest
        ConsumerGroupHeartbeatRequest ConsumerGroupDescribeRequest ControllerRegistrationRequest
        GetTelemetrySubscriptionsRequest PushTelemetryRequest AssignReplicasToDirsRequest
        ListConfigResourcesRequest DescribeTopicPartitionsRequest ShareGroupHeartbeatRequest
        ShareGroupDescribeRequest ShareFetchRequest ShareAcknowledgeRequest AddRaftVoterRequest
        RemoveRaftVoterRequest UpdateRaftVoterRequest InitializeShareGroupStateRequest
        ReadShareGroupStateRequest WriteShareGroupStateRequest DeleteShareGroupStateRequest
        ReadShareGroupStateSummaryRequest DescribeShareGroupOffsetsRequest
        AlterShareGroupOffsetsRequest DeleteShareGroupOffsetsRequest ProduceResponse FetchResponse
        ListOffsetsResponse MetadataResponse OffsetCommitResponse OffsetFetchResponse
        FindCoordinatorResponse JoinGroupResponse HeartbeatResponse LeaveGroupResponse
        SyncGroupResponse DescribeGroupsResponse ListGroupsResponse SaslHandshakeResponse
        ApiVersionsResponse CreateTopicsResponse DeleteTopicsResponse DeleteRecordsResponse
        InitProducerIdResponse OffsetForLeaderEpochResponse AddPartitionsToTxnResponse
        AddOffsetsToTxnResponse EndTxnResponse WriteTxnMarkersResponse TxnOffsetCommitResponse
        DescribeAclsResponse CreateAclsResponse DeleteAclsResponse DescribeConfigsResponse
        AlterConfigsResponse AlterReplicaLogDirsResponse DescribeLogDirsResponse
        SaslAuthenticateResponse CreatePartitionsResponse CreateDelegationTokenResponse
        RenewDelegationTokenResponse ExpireDelegationTokenResponse DescribeDelegationTokenResponse
        DeleteGroupsResponse ElectLeadersResponse IncrementalAlterConfigsResponse
        AlterPartitionReassignmentsResponse ListPartitionReassignmentsResponse OffsetDeleteResponse
        DescribeClientQuotasResponse AlterClientQuotasResponse DescribeUserScramCredentialsResponse
        AlterUserScramCredentialsResponse VoteResponse BeginQuorumEpochResponse
        EndQuorumEpochResponse DescribeQuorumResponse AlterPartitionResponse UpdateFeaturesResponse
        EnvelopeResponse FetchSnapshotResponse DescribeClusterResponse DescribeProducersResponse
        BrokerRegistrationResponse BrokerHeartbeatResponse UnregisterBrokerResponse
        DescribeTransactionsResponse ListTransactionsResponse AllocateProducerIdsResponse
        ConsumerGroupHeartbeatResponse ConsumerGroupDescribeResponse ControllerRegistrationResponse
        GetTelemetrySubscriptionsResponse PushTelemetryResponse AssignReplicasToDirsResponse
        ListConfigResourcesResponse DescribeTopicPartitionsResponse ShareGroupHeartbeatResponse
        ShareGroupDescribeResponse ShareFetchResponse ShareAcknowledgeResponse AddRaftVoterResponse
        RemoveRaftVoterResponse UpdateRaftVoterResponse InitializeShareGroupStateResponse
        ReadShareGroupStateResponse WriteShareGroupStateResponse DeleteShareGroupStateResponse
        ReadShareGroupStateSummaryResponse DescribeShareGroupOffsetsResponse
        AlterShareGroupOffsetsResponse DeleteShareGroupOffsetsResponse
    );
    let mut missing = BTreeSet::new();
    for subject in every_message().iter().filter(|subject| !is_record(subject)) {
        match peers.get(subject.name) {
            Some(peer) => compare(subject, peer),
            None => assert!(missing.insert(subject.name)),
        }
    }
    assert_eq!(missing, BTreeSet::from(MISSING_THERE));
}

/// Records of logs: the crate has none.
fn is_record(subject: &Subject) -> bool {
    !subject.java_class.contains(".common.message.") && subject.name != "ProducerSnapshot"
}

//! The APIs that a node serves, and their versions. An API that does not fully work is not listed
//! here.

use ringlog_wire::ApiKey;

/// An API and the versions that are advertised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The API.
    pub key: ApiKey,
    /// Oldest version advertised.
    pub min: i16,
    /// Newest version advertised.
    pub max: i16,
}

const fn served(key: ApiKey, min: i16, max: i16) -> Served {
    Served { key, min, max }
}

/// On broker listeners.
pub const BROKER_APIS: &[Served] = &[
    // Versions 0 to 2 are advertised and not served. Old versions of librdkafka look for them to
    // find out whether the broker supports record batches (KAFKA-18659).
    served(ApiKey::Produce, 0, 13),
    served(ApiKey::Fetch, 4, 18),
    served(ApiKey::ListOffsets, 1, 10),
    served(ApiKey::Metadata, 0, 13),
    served(ApiKey::OffsetCommit, 2, 9),
    served(ApiKey::OffsetFetch, 1, 9),
    served(ApiKey::FindCoordinator, 0, 6),
    served(ApiKey::JoinGroup, 0, 9),
    served(ApiKey::Heartbeat, 0, 4),
    served(ApiKey::LeaveGroup, 0, 5),
    served(ApiKey::SyncGroup, 0, 5),
    served(ApiKey::DescribeGroups, 0, 6),
    served(ApiKey::ListGroups, 0, 5),
    served(ApiKey::ApiVersions, 0, 4),
    served(ApiKey::CreateTopics, 2, 7),
    served(ApiKey::DeleteTopics, 1, 6),
    served(ApiKey::DeleteRecords, 0, 2),
    served(ApiKey::InitProducerId, 0, 5),
    served(ApiKey::WriteTxnMarkers, 1, 1),
    served(ApiKey::DescribeConfigs, 1, 4),
    served(ApiKey::CreatePartitions, 0, 3),
    served(ApiKey::DeleteGroups, 0, 2),
    served(ApiKey::ListPartitionReassignments, 0, 0),
    served(ApiKey::OffsetDelete, 0, 0),
    served(ApiKey::DescribeQuorum, 0, 2),
    served(ApiKey::UpdateFeatures, 0, 2),
    served(ApiKey::DescribeCluster, 0, 2),
    served(ApiKey::ConsumerGroupHeartbeat, 0, 1),
    served(ApiKey::ConsumerGroupDescribe, 0, 1),
    served(ApiKey::DescribeTopicPartitions, 0, 0),
    served(ApiKey::SaslHandshake, 0, 1),
    served(ApiKey::OffsetForLeaderEpoch, 2, 4),
    served(ApiKey::DescribeAcls, 1, 3),
    served(ApiKey::CreateAcls, 1, 3),
    served(ApiKey::DeleteAcls, 1, 3),
    served(ApiKey::AlterConfigs, 0, 2),
    served(ApiKey::DescribeLogDirs, 1, 4),
    served(ApiKey::ElectLeaders, 0, 2),
    served(ApiKey::AlterPartitionReassignments, 0, 1),
    served(ApiKey::IncrementalAlterConfigs, 0, 1),
    served(ApiKey::DescribeProducers, 0, 0),
    served(ApiKey::ListConfigResources, 0, 1),
];

/// On controller listeners.
pub const CONTROLLER_APIS: &[Served] = &[
    served(ApiKey::ApiVersions, 0, 4),
    served(ApiKey::CreateTopics, 2, 7),
    served(ApiKey::DeleteTopics, 1, 6),
    served(ApiKey::CreatePartitions, 0, 3),
    served(ApiKey::ListPartitionReassignments, 0, 0),
    served(ApiKey::DescribeQuorum, 0, 2),
    served(ApiKey::UpdateFeatures, 0, 2),
    served(ApiKey::DescribeCluster, 0, 2),
];

/// The oldest version of Produce that is served.
pub const PRODUCE_VERSION_MIN: i16 = 3;

/// Whether any listener serves this version of an API. If so, the format of its header is known.
pub fn is_known(key: ApiKey, version: i16) -> bool {
    serves(BROKER_APIS, key, version) || serves(CONTROLLER_APIS, key, version)
}

/// Whether a listener that offers `apis` serves this version of an API.
pub fn serves(apis: &[Served], key: ApiKey, version: i16) -> bool {
    apis.iter().any(|served| {
        let min = if key == ApiKey::Produce { PRODUCE_VERSION_MIN } else { served.min };
        served.key == key && min <= version && version <= served.max
    })
}

//! The controller's decisions: requests and the image in, records and answers out. Pure.
//!
//! Records that belong together are one batch of the metadata log: they take effect together or
//! not at all.

mod configs;
mod features;
mod placement;
mod producer_ids;
mod reassignments;
mod registration;
mod topics;

use ringlog_wire::records::metadata::MetadataRecord;

use crate::error_code::ErrorCode;

pub use configs::{
    AlterConfigs, NewConfigs, RESOURCE_BROKER, RESOURCE_BROKER_LOGGER, RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP, RESOURCE_TOPIC, alter_configs,
};
pub use features::{FeatureChanges, FeatureUpdate, UpgradeType, update_features};
pub use placement::{Assignment, place_replicas};
pub use producer_ids::{PRODUCER_ID_BLOCK, allocate_producer_ids};
pub use reassignments::check_reassignment;
pub use registration::{NodeIdentity, bootstrap_records, registration_records};
pub use topics::{
    DeletedTopic, NewTopic, NewTopicOutcome, NewTopicResult, TopicFault, TopicSelector,
    add_partitions, create_topics, delete_topics, validate_topic_name,
};

/// Records that one request may lead to (Kafka's `QuorumController.MAX_RECORDS_PER_USER_OP`).
pub const RECORDS_PER_REQUEST_MAX: usize = 10_000;

/// What a request hears that leads to more records than one decision may have.
pub fn excessive() -> TopicFault {
    TopicFault {
        error: ErrorCode::PolicyViolation,
        message: Some("Unable to perform excessively large batch operation.".to_owned()),
    }
}

/// The version a record is written in at metadata.version 4.1-IV1.
pub fn record_version(record: &MetadataRecord, elr_enabled: bool) -> i16 {
    match record {
        MetadataRecord::RegisterBroker(_) => 3,
        MetadataRecord::BrokerRegistrationChange(change) if change.log_dirs.is_empty() => 0,
        MetadataRecord::BrokerRegistrationChange(_) => 2,
        MetadataRecord::Partition(_) | MetadataRecord::PartitionChange(_) if elr_enabled => 2,
        MetadataRecord::Partition(_) | MetadataRecord::PartitionChange(_) => 1,
        _ => 0,
    }
}

//! Reassignments of partitions. With one broker there is nowhere to move a replica to, so none is
//! ever in progress: what is asked for is what is so already, or refused.

use super::placement::Assignment;
use super::topics::{TopicFault, check_replicas};
use crate::error_code::ErrorCode;
use crate::metadata::MetadataImage;

/// Whether a partition may be moved to `replicas`, or, without them, its move be cancelled.
///
/// # Errors
/// Kafka's sentence.
pub fn check_reassignment(
    image: &MetadataImage,
    topic: &str,
    partition: i32,
    replicas: Option<&Assignment>,
) -> Result<(), TopicFault> {
    let fault = |error, message: String| Err(TopicFault { error, message: Some(message) });
    let unknown = ErrorCode::UnknownTopicOrPartition;
    let Some(known) = image.topic_by_name(topic) else {
        return fault(unknown, format!("Unable to find a topic named {topic}."));
    };
    let Some(known) = known.partitions.get(&partition) else {
        return fault(unknown, format!("Unable to find partition {topic}:{partition}."));
    };
    let Some(replicas) = replicas else {
        return Err(TopicFault { error: ErrorCode::NoReassignmentInProgress, message: None });
    };
    check_replicas(image, replicas, None)?;
    if *replicas != known.replicas {
        let message = "Replicas cannot be moved to other brokers by this version.".to_owned();
        return fault(ErrorCode::InvalidReplicaAssignment, message);
    }
    Ok(())
}

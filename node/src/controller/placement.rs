//! Where replicas go.

use ringlog_wire::Uuid;

use crate::metadata::MetadataImage;

/// The replicas of one partition, the preferred leader first.
pub type Assignment = Vec<i32>;

/// Spreads `partitions` new partitions over the brokers that are not fenced, beginning at a random
/// one (`start`), each replica of a partition on another broker.
///
/// # Errors
/// Kafka's sentence, if there are too few brokers.
pub fn place_replicas(
    image: &MetadataImage,
    partitions: usize,
    replication_factor: i16,
    start: u64,
) -> Result<Vec<Assignment>, String> {
    let brokers: Vec<i32> =
        image.brokers.values().filter(|broker| !broker.fenced).map(|b| b.broker_id).collect();
    let factor = usize::try_from(replication_factor).unwrap_or(0);
    if factor > image.brokers.len() {
        return Err(format!(
            "The target replication factor of {replication_factor} cannot be reached because only \
             {} broker(s) are registered.",
            image.brokers.len()
        ));
    }
    if brokers.is_empty() {
        return Err("All brokers are currently fenced.".to_owned());
    }
    if factor > brokers.len() {
        return Err(format!(
            "The target replication factor of {replication_factor} cannot be reached because only \
             {} unfenced broker(s) are registered.",
            brokers.len()
        ));
    }
    let start = (start % brokers.len() as u64) as usize;
    let pick =
        |partition: usize, replica: usize| brokers[(start + partition + replica) % brokers.len()];
    Ok((0..partitions).map(|p| (0..factor).map(|r| pick(p, r)).collect()).collect())
}

/// The directory a new replica goes to on its broker: the only one, or unassigned, for the broker
/// to choose (KIP-858).
pub(super) fn directory_of(image: &MetadataImage, broker: i32) -> Uuid {
    match image.brokers.get(&broker).map(|broker| broker.log_dirs.as_slice()) {
        Some([only]) => *only,
        _ => Uuid::ZERO,
    }
}

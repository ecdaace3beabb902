//! Consumer groups and committed offsets: the core of the group coordinator.
//!
//! [`GroupCore`] is the state of one partition of `__consumer_offsets`. It takes requests, the time
//! and what the log holds, and gives records to append and answers to send. An answer must not be
//! sent before the records given with it, and all before them, are durable: the core changes its
//! state at once, so that what it says next already builds on them. There is no way back from a
//! record that could not be written; the partition's coordinator ends, and begins anew by loading.
//!
//! What it says in which case is that of Kafka's `GroupMetadataManager`, `ClassicGroup` and
//! `OffsetMetadataManager`.

mod admin;
mod assignor;
mod beat;
mod classic;
mod consumer;
mod coordinator;
mod embedded;
mod join;
mod leave;
mod member;
mod migrate;
mod mixed;
mod offsets;
mod reconcile;
mod record;
mod request;
mod sync;
mod timers;
mod topic_changes;

#[cfg(test)]
mod tests;

pub use admin::{
    DescribedConsumer, DescribedConsumerGroup, DescribedGroup, DescribedMember, ListedGroup,
};
pub use assignor::Assignor;
pub use consumer::Assignment;
pub use coordinator::{Effects, GroupCore, GroupLimits, Now};
pub use offsets::{FetchedOffset, FetchedTopic};
pub use record::GroupRecord;
pub use request::{
    CommitOffsets, ConsumerBeat, ConsumerHeartbeat, DeleteOffsets, Fault, FetchOffsets,
    GroupAnswer, GroupRequest, Heartbeat, JoinGroup, Joined, JoinedMember, LeaveGroup, Leaving,
    OffsetToCommit, Protocol, SyncGroup, Synced, Ticket, TopicPartitions,
};

use ringlog_engine::stdx::java::java_hash;

/// Which partition of `__consumer_offsets` a group's state is in: Java's hash of its id.
pub fn partition_of(group: &str, partitions: i32) -> i32 {
    let hash = java_hash(group);
    // Kafka's abs: the one number without a positive counterpart becomes 0.
    let abs = if hash == i32::MIN { 0 } else { hash.abs() };
    abs % partitions.max(1)
}

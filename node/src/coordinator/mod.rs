//! The shell of the group coordinators: each shard has one per partition of `__consumer_offsets`
//! that it owns. It loads the groups from the log, appends what the core decides, and sends an
//! answer when what it says is durable.

mod ask;
mod groups;
mod load;
mod partition;

pub use groups::GroupCoordinators;

/// Where groups and offsets are kept.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

//! A log directory: who may use it, what it says of itself, and the checkpoint files beside the
//! partitions (Kafka's `LogManager`, `MetaProperties`, `OffsetCheckpointFile`).

mod checkpoints;
mod directory;
mod meta;
mod partition_name;

pub use checkpoints::{OffsetCheckpoint, TopicPartition};
pub use directory::{
    DirError, LogDir, LogDirOptions, partition_metadata, write_partition_metadata,
};
pub use meta::{MetaError, MetaProperties};
pub use partition_name::{DirectoryName, parse_directory_name};

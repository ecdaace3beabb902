//! The broker's shell: what each shard holds and does. The decisions are in the cores
//! (`controller`, `metadata`, `quorum`), the bytes in the engine.

mod calls;
mod compaction;
mod connection_limits;
mod connections;
mod control;
mod counters;
mod deletion;
mod dirs;
mod inspect;
mod measures;
mod metadata_log;
mod metadata_snapshots;
mod partition;
mod published;
mod rate;
mod reads;
mod replicas;
mod scrubbing;
mod settings;
mod shard_broker;
mod upkeep;

pub use calls::{
    Acks, AppendBatch, AppendOutcome, CALL_PARTITIONS_MAX, Call, ControlCall, ControlReply,
    ForwardedRequest, ListOffsetAnswer, ListOffsetQuery, Message, MetadataUpdate, QuorumState,
    ReadOutcome, ReadSpec, Reply, Served, TxnMarker,
};
pub use connections::Connections;
pub use control::Control;
pub use counters::{BOUNDS, Latencies};
pub use deletion::DeleteUpTo;
pub use inspect::{ActiveProducer, Inspected, Inspection};
pub use measures::{CompactionCounts, Measures, PartitionMeasures};
pub use metadata_log::{BootstrapError, MetadataLog};
pub use metadata_snapshots::snapshot_bytes;
pub use partition::Partition;
pub use published::PublishedImage;
pub use reads::{LentRange, Piece};
pub use replicas::{
    EARLIEST_LOCAL_TIMESTAMP, EARLIEST_TIMESTAMP, LATEST_TIERED_TIMESTAMP, LATEST_TIMESTAMP,
    MAX_TIMESTAMP,
};
pub use settings::{DirInfo, FetchPath, LARGE_FRAME_BYTES, ListenerKind, RequestLimits, Settings};
pub use shard_broker::{Answer, Broker, NewConnection, ServedConnection, shard_of};

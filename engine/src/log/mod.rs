//! A partition's log in Kafka's files.
//!
//! ```text
//!   log_start_offset        high watermark    durable_end    written_end    log_end_offset
//!         |                       |                |              |               |
//!   ------+=======================+================+==============+...............+------>
//!           readable by consumers    on the platter   in the file    in memory
//! ```
//!
//! Three ends that are never confused. [`Log::append`] validates a batch, gives it its offsets and
//! queues it: `log_end_offset` moves, nothing else. The shard's [`Committer`] writes what is queued
//! (`written_end`), then syncs (`durable_end`), for all logs of a directory together. Which of the
//! ends counts for an acknowledgement is decided above, by `ringlog.durability`.
//!
//! Everything here runs on the driver it is given: crash tests run this code on a simulated disk.

mod append;
mod checkpoint;
mod cold;
mod commit;
mod compact;
mod config;
mod direct;
mod epochs;
mod index;
mod loaded_indexes;
mod lookup;
mod partition_log;
mod producers;
mod reader;
mod recovery;
mod retention;
mod scan;
mod scrub;
mod segment;
mod truncate;
mod txn_index;

pub use append::{AppendError, Appended, Origin};
pub use checkpoint::{CheckpointError, parse_entries, render_entries};
pub use cold::{COLD_BYTES_MAX, CacheCounts};
pub use commit::{Committer, CommitterOptions};
pub use compact::{CompactError, Compacted, CompactionLimits, Dirt, Throttle};
pub use config::LogConfig;
pub use direct::IoMode;
pub use epochs::{EpochEnd, LeaderEpochs};
pub use lookup::{OffsetLookup, TimestampAnswer};
pub use partition_log::{Log, LogEnds, LogError};
pub use producers::{CompletedTxn, ProducerError, Producers};
pub use reader::{FileRange, ReadError, ReadLimits, ReadPlan};
pub use recovery::{LoadError, LoadOptions, Loaded};
pub use scrub::Scrubbed;
pub use txn_index::AbortedTxn;

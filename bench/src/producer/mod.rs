//! A native Kafka producer: the load generator of the experiments.
//!
//! It keeps the batching semantics of the Java client (which is what the experiments are about),
//! with none of its limits: it runs on one engine shard, appends records at their final place, and
//! is fast enough that the broker is what is measured. A [`Producer`] serves one topic.
//!
//! ```text
//! load loop -> Producer::try_send -> Accumulator (batches per partition)
//!                                        | ready, drain: one task per broker (link)
//!                                        v
//!            Observer <- outcome <- link reader <- broker
//! ```
//!
//! Everything runs on the shard's thread; no borrow of the shared state crosses an await.

mod accumulator;
mod batch;
mod config;
mod control;
mod link;
mod metrics;
mod murmur2;
mod outcome;
mod partitioner;
mod queued;
mod request;
mod shared;

pub use accumulator::NoMemory;
pub use batch::{BatchWriter, Sequence, size_with_one_record};
pub use config::{Acks, AcksSetting, ProducerConfig, ProducerSettings};
pub use metrics::ProducerMetrics;
pub use murmur2::{murmur2, partition_of_key};
pub use partitioner::{BatchState, StickyPartitioner};
pub use queued::{Batch, Mark, Stamp};
pub use request::{PRODUCE_FIRST, PRODUCE_LAST, ProduceForm};
pub use shared::{Losses, Observer, Producer, TARGET_LOST_MS};

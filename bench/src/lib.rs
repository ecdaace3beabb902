//! `ringlog-bench`: experiments on Kafka brokers.
//!
//! A profile (`profile`) names experiments; `run` measures each (`experiment`) against a target
//! (`target`) under a load (`load`) that the native producer (`producer`) carries out, and writes
//! down what came of it (`results`, `report`).

#![allow(
    clippy::disallowed_methods,
    reason = "a harness reads files, starts processes and asks for the time; what must be \
              deterministic (producer, load) takes both from its shard"
)]

pub mod agent;
pub mod client;
pub mod compare;
pub mod experiment;
pub mod export;
pub mod figures;
pub mod host;
pub mod index;
pub mod io_study;
#[cfg(feature = "librdkafka")]
pub mod librdkafka;
pub mod lines;
pub mod load;
pub mod null_broker;
pub mod producer;
pub mod profile;
pub mod progress;
pub mod report;
pub mod results;
pub mod run;
pub mod stats;
pub mod study;
pub mod table;
pub mod target;

use anyhow::{Context, Result};
use ringlog_engine::io::uring::{Peers, UringDriver, UringOptions};
use ringlog_engine::io::{keep_freed_memory, set_pool_limit};
use ringlog_engine::shard::{Shard, ShardOptions};
use ringlog_engine::types::ShardId;

/// What the pool of buffers keeps: `buffer.memory` and what rounding its batches up to powers of
/// two costs, so that a run allocates nothing.
const POOL_BYTES_MAX: usize = 256 << 20;

/// What the heap keeps: the answer of a fetch is taken apart into new memory, and a page that is
/// touched for the first time costs more than its copy.
const HEAP_KEPT_BYTES: i32 = 256 << 20;

/// A shard on io_uring for this thread.
pub fn uring_shard() -> Result<Shard> {
    set_pool_limit(POOL_BYTES_MAX);
    keep_freed_memory(HEAP_KEPT_BYTES);
    let driver = UringDriver::new(0, Peers::new(1), &UringOptions::default())
        .map_err(|errno| anyhow::anyhow!("{errno}"))
        .context("io_uring is not available here")?;
    Ok(Shard::new(ShardId(0), Box::new(driver), ShardOptions::default()))
}

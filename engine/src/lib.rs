//! Ringlog's engine: a thread-per-core runtime over replaceable I/O drivers, and a log in Kafka's
//! file format on top of it. It knows offsets, batches and files; topics' metadata, groups and
//! replication live in `ringlog-node`.

pub mod batch;
pub mod dirs;
pub mod io;
pub mod log;
pub mod shard;
pub mod stdx;
pub mod types;

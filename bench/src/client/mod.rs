//! A small Kafka client: one connection with one request at a time, and what the harness asks
//! brokers besides Produce. The producer's pipelined connections are in `producer::link`.

mod admin;
mod cluster;
mod connection;
mod durability;
mod endpoint;
mod errors;
mod fetch;
mod frames;
mod produce;

pub use admin::{TopicSpec, create_topic, delete_topic, log_ends, wait_for_leaders};
pub use cluster::{Cluster, TopicRef, any_broker, fetch_cluster};
pub use connection::Connection;
pub use durability::{Durability, durability_of};
pub use endpoint::Endpoint;
pub use errors::{error_name, is_retriable};
pub use fetch::{UNPACKED_BYTES_MAX, fetch_version};
pub use frames::{FRAME_BYTES_MAX, Frames};
pub use produce::{PRODUCE_BY_NAME, one_record_each, produce_errors};

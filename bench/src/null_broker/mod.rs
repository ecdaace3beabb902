//! A broker that takes records, checks them and stores nothing.
//!
//! As a target (`--target null`) it is the harness's own ceiling: what no broker can beat on this
//! machine with this load generator. In the tests it is the peer of the native producer, on any
//! driver of the engine, with a [`Script`] that makes it slow, faulty or silent. It keeps Kafka's
//! rules about sequence numbers, so that a producer that gets them wrong is found out.

mod serve;
mod state;

pub use serve::{run_null_broker, serve};
pub use state::{NullBroker, PartitionSeen, ProduceSeen, Reaction, Script};

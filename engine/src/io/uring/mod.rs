//! The io_uring driver: one ring per shard.
//!
//! Receives are multishot into provided buffers, accepts are multishot, shards wake each other with
//! MSG_RING, hot descriptors sit in the ring's file table. What the kernel lacks is found out at
//! start ([`probe`]), logged, and done another way. What it would refuse in combination is refused
//! before it is asked ([`UringOptions::check`]), with the reason.

mod buffers;
mod options;
mod ring;

pub use options::{Probe, RefusedOptions, UringOptions, probe};
pub use ring::{Peers, UringDriver};

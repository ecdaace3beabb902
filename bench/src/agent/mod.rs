//! Load from several machines: `ringlog-bench agent` on each load host carries out its part of a
//! load; the program that runs the profile (`Agents`) tells them what, when to begin, and merges
//! what they counted.
//!
//! Clocks of different hosts are never compared. All agents begin when they are told to, each
//! counts from there on its own monotonic clock, and what crosses the network are durations. Where
//! both ends of a record are measured (`kind = "tail"`), both are on one host: every agent has a
//! topic of its own for that.

mod agents;
mod link;
mod secret;
mod serve;
mod words;

pub use agents::{Agents, Place};
pub use secret::Secret;
pub use serve::serve;

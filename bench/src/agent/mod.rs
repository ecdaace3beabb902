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

use std::cell::Cell;

pub use agents::{Agents, Place};
pub use secret::Secret;
pub use serve::serve;
pub use words::AgentEnv;

/// What one host's part of a load waits for before it begins, once it is ready to.
#[derive(Debug, Default)]
pub struct Gate {
    /// All is prepared.
    pub ready: Cell<bool>,
    /// The others are ready too.
    pub begun: Cell<bool>,
}

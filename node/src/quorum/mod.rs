//! KRaft's election state. Pure: no file, no clock.
//!
//! So far a quorum has one voter, this node, which elects itself at every start: it raises the
//! epoch, writes that down, and begins its reign with a LeaderChange record.

mod election_state;

pub use election_state::{ElectionState, KraftVersion, MalformedElectionState};

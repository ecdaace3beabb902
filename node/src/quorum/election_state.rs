//! The `quorum-state` file (Kafka's `QuorumStateData`): one line of JSON.

use serde_json::{Value, json};
use thiserror::Error;

/// Which shape the file has: 0 with static voters, 1 with voters in the log (KIP-853).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KraftVersion {
    /// controller.quorum.voters says who votes.
    Static,
    /// The log says who votes.
    Dynamic,
}

/// What a voter must never forget: the epoch it has seen and whom it has voted for in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionState {
    /// The newest epoch.
    pub leader_epoch: i32,
    /// Its leader, or -1.
    pub leader_id: i32,
    /// Whom this node has voted for in it, or -1.
    pub voted_id: i32,
}

/// The file cannot be trusted: a voter that has lost its memory must not vote.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("quorum-state is malformed: {0}")]
pub struct MalformedElectionState(String);

impl Default for ElectionState {
    fn default() -> Self {
        Self { leader_epoch: 0, leader_id: -1, voted_id: -1 }
    }
}

impl ElectionState {
    /// Reads the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedElectionState> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| MalformedElectionState(error.to_string()))?;
        let number = |name: &str| {
            let found = value.get(name).and_then(Value::as_i64);
            found
                .and_then(|number| i32::try_from(number).ok())
                .ok_or_else(|| MalformedElectionState(format!("{name} is not a number")))
        };
        if !matches!(number("data_version")?, 0 | 1) {
            return Err(MalformedElectionState("data_version is neither 0 nor 1".to_owned()));
        }
        let state = Self {
            leader_epoch: number("leaderEpoch")?,
            leader_id: number("leaderId")?,
            voted_id: number("votedId")?,
        };
        if state.leader_epoch < 0 {
            return Err(MalformedElectionState("leaderEpoch is negative".to_owned()));
        }
        Ok(state)
    }

    /// The file's text.
    pub fn render(&self, version: KraftVersion, voters: &[i32]) -> String {
        let Self { leader_epoch, leader_id, voted_id } = *self;
        match version {
            KraftVersion::Static => {
                let voters: Vec<Value> = voters.iter().map(|id| json!({ "voterId": id })).collect();
                json!({
                    "clusterId": "", "leaderId": leader_id, "leaderEpoch": leader_epoch,
                    "votedId": voted_id, "appliedOffset": 0, "currentVoters": voters,
                    "data_version": 0,
                })
            }
            KraftVersion::Dynamic => json!({
                "leaderId": leader_id, "leaderEpoch": leader_epoch, "votedId": voted_id,
                "votedDirectoryId": "AAAAAAAAAAAAAAAAAAAAAA", "data_version": 1,
            }),
        }
        .to_string()
    }

    /// The only voter elects itself: the next epoch, with itself as leader. `None` if there is no
    /// next epoch.
    pub fn elect_self(&self, id: i32) -> Option<Self> {
        let leader_epoch = self.leader_epoch.checked_add(1)?;
        Some(Self { leader_epoch, leader_id: id, voted_id: -1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_files_are_understood_and_ours_round_trip() {
        let v0 = br#"{"clusterId":"","leaderId":1,"leaderEpoch":4,"votedId":-1,
            "appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}"#;
        let v1 = br#"{"leaderId":1,"leaderEpoch":4,"votedId":-1,
            "votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#;
        let state = ElectionState { leader_epoch: 4, leader_id: 1, voted_id: -1 };
        assert_eq!(ElectionState::parse(v0), Ok(state));
        assert_eq!(ElectionState::parse(v1), Ok(state));
        for version in [KraftVersion::Static, KraftVersion::Dynamic] {
            let text = state.render(version, &[1]);
            assert_eq!(ElectionState::parse(text.as_bytes()), Ok(state));
        }
        assert_eq!(state.elect_self(1).map(|elected| elected.leader_epoch), Some(5));
        let last = ElectionState { leader_epoch: i32::MAX, ..state };
        assert_eq!(last.elect_self(1), None);
    }

    #[test]
    fn d14_garbage_is_refused() {
        for bytes in [&b""[..], b"{}", b"[]", br#"{"leaderEpoch":-1}"#, b"\xff"] {
            assert!(ElectionState::parse(bytes).is_err());
        }
    }
}

//! [`GroupsConfig`]: the consumer groups of `kind = "join"` and `kind = "rebalance"`.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// Members of all groups at most: each has a connection.
const MEMBERS_MAX: u32 = 50_000;
const HEARTBEAT_MS_MAX: u64 = 45_000;

/// Which protocol members speak.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupProtocol {
    /// JoinGroup and SyncGroup.
    #[default]
    Classic,
    /// ConsumerGroupHeartbeat (KIP-848).
    Consumer,
}

/// What a profile says about groups.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GroupsSettings {
    /// How many groups: 1.
    pub groups: Option<u32>,
    /// Members of all groups together: 10.
    pub members: Option<u32>,
    /// How members speak: classic.
    #[serde(rename = "group.protocol")]
    pub protocol: Option<GroupProtocol>,
    /// Between two heartbeats of a classic member: 3000.
    #[serde(rename = "heartbeat.interval.ms")]
    pub heartbeat_ms: Option<u64>,
}

/// The same, checked.
#[allow(missing_docs, reason = "the fields are those of GroupsSettings")]
#[derive(Clone, Debug, PartialEq)]
pub struct GroupsConfig {
    pub groups: usize,
    pub members: usize,
    pub protocol: GroupProtocol,
    pub heartbeat_ms: u64,
}

impl GroupsSettings {
    /// These settings, and those of `base` where these say nothing.
    #[must_use]
    pub fn over(&self, base: &GroupsSettings) -> GroupsSettings {
        GroupsSettings {
            groups: self.groups.or(base.groups),
            members: self.members.or(base.members),
            protocol: self.protocol.or(base.protocol),
            heartbeat_ms: self.heartbeat_ms.or(base.heartbeat_ms),
        }
    }

    /// With their defaults, checked.
    pub fn resolve(&self) -> Result<GroupsConfig> {
        let (groups, members) = (self.groups.unwrap_or(1), self.members.unwrap_or(10));
        ensure!(
            (1..=MEMBERS_MAX).contains(&members),
            "groups.members = {members}: expected 1 to {MEMBERS_MAX}"
        );
        ensure!(
            (1..=members).contains(&groups),
            "groups.groups = {groups}: expected 1 to the number of members, {members}"
        );
        let heartbeat_ms = self.heartbeat_ms.unwrap_or(3000);
        ensure!(
            (1..=HEARTBEAT_MS_MAX).contains(&heartbeat_ms),
            "groups.heartbeat.interval.ms = {heartbeat_ms}: expected 1 to {HEARTBEAT_MS_MAX}"
        );
        Ok(GroupsConfig {
            groups: groups as usize,
            members: members as usize,
            protocol: self.protocol.unwrap_or_default(),
            heartbeat_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_a_member_and_errors_name_the_key() {
        for (text, expected) in [
            ("groups = 11", "groups.groups = 11"),
            ("members = 0", "groups.members = 0"),
            ("\"heartbeat.interval.ms\" = 0", "heartbeat.interval.ms = 0"),
            ("\"group.protocol\" = \"classical\"", "classical"),
            ("member = 1", "member"),
        ] {
            let settings = toml::from_str::<GroupsSettings>(text);
            let resolved = settings.map_err(anyhow::Error::from).and_then(|s| s.resolve());
            let error = format!("{:#}", resolved.expect_err(text));
            assert!(error.contains(expected), "{text}: {error}");
        }
        let base: GroupsSettings = toml::from_str("groups = 3\nmembers = 30").expect("valid");
        let over: GroupsSettings = toml::from_str("members = 60").expect("valid");
        let config = over.over(&base).resolve().expect("valid");
        assert_eq!((config.groups, config.members, config.heartbeat_ms), (3, 60, 3000));
    }
}

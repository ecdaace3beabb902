//! What administrators ask: ListGroups, DescribeGroups, DeleteGroups; and what goes by itself.

use super::classic::ClassicState;
use super::consumer::{Assignment, ConsumerMember};
use super::coordinator::{Effects, GroupCore, Now};
use super::offsets::CommittedOffset;
use super::record::GroupRecord;
use crate::error_code::ErrorCode;

/// A group as ListGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its id.
    pub group: String,
    /// What kind of members it has; empty if it has had none.
    pub protocol_type: String,
    /// Kafka's word for its state.
    pub state: &'static str,
    /// Kafka's word for its type.
    pub kind: &'static str,
}

/// A group as DescribeGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Kafka's word for its state.
    pub state: &'static str,
    /// What kind of members it has.
    pub protocol_type: String,
    /// The protocol in use, in a stable group.
    pub protocol: String,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member as DescribeGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member: String,
    /// Its instance id.
    pub instance: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// Where it is.
    pub client_host: String,
    /// What it said to the protocol, in a stable group.
    pub metadata: Vec<u8>,
    /// What it was assigned.
    pub assignment: Vec<u8>,
}

/// A consumer group as ConsumerGroupDescribe shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumerGroup {
    /// Kafka's word for its state.
    pub state: &'static str,
    /// Counts changes of what it is about.
    pub epoch: i32,
    /// The epoch that it is assigned for.
    pub target_epoch: i32,
    /// Who assigns.
    pub assignor: &'static str,
    /// Its members, with what they have.
    pub members: Vec<DescribedConsumer>,
}

/// A member as ConsumerGroupDescribe shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumer {
    /// The member.
    pub member: ConsumerMember,
    /// What it is to have.
    pub target: Assignment,
}

const CLASSIC: &str = "classic";
const CONSUMER: &str = "consumer";

impl GroupCore {
    pub(super) fn list(&self, states: &[String], types: &[String]) -> Vec<ListedGroup> {
        let wanted = |filter: &[String], word: &str| {
            filter.is_empty() || filter.iter().any(|f| f.trim().eq_ignore_ascii_case(word))
        };
        let groups = self.groups.values();
        let groups =
            groups.filter(|group| wanted(states, group.state.name()) && wanted(types, CLASSIC));
        let classic = groups.map(|group| ListedGroup {
            group: group.id.clone(),
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            state: group.state.name(),
            kind: CLASSIC,
        });
        let consumers = self.consumers.values();
        let consumers =
            consumers.filter(|g| wanted(states, g.state_name()) && wanted(types, CONSUMER));
        let consumers = consumers.map(|group| ListedGroup {
            group: group.id.clone(),
            protocol_type: CONSUMER.to_owned(),
            state: group.state_name(),
            kind: CONSUMER,
        });
        classic.chain(consumers).collect()
    }

    /// Kafka's sentence for a group that is not of a kind.
    fn missing(&self, id: &str, kind: &str) -> String {
        match self.groups.contains_key(id) || self.consumers.contains_key(id) {
            true => format!("Group {id} is not a {kind} group."),
            false => format!("Group {id} not found."),
        }
    }

    pub(super) fn describe_consumers(
        &self,
        groups: &[String],
    ) -> Vec<Result<DescribedConsumerGroup, String>> {
        let described = groups.iter().map(|id| {
            let group = self.consumers.get(id).ok_or_else(|| self.missing(id, CONSUMER))?;
            let members = group.members.values().map(|member| DescribedConsumer {
                member: member.clone(),
                target: group.target.get(&member.id).cloned().unwrap_or_default(),
            });
            Ok(DescribedConsumerGroup {
                state: group.state_name(),
                epoch: group.epoch,
                target_epoch: group.target_epoch,
                assignor: self.assignor_of(group).name(),
                members: members.collect(),
            })
        });
        described.collect()
    }

    pub(super) fn describe(&self, groups: &[String]) -> Vec<Result<DescribedGroup, String>> {
        let described = groups.iter().map(|id| {
            let group = self.groups.get(id).ok_or_else(|| self.missing(id, CLASSIC))?;
            let stable = group.state == ClassicState::Stable;
            let protocol = group.protocol.clone().filter(|_| stable);
            let members = group.members.values().map(|member| DescribedMember {
                member: member.id.clone(),
                instance: member.instance.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                metadata: protocol
                    .as_deref()
                    .map(|p| member.metadata(p))
                    .unwrap_or_default()
                    .to_vec(),
                assignment: member.assignment.clone(),
            });
            Ok(DescribedGroup {
                state: group.state.name(),
                protocol_type: group.protocol_type.clone().unwrap_or_default(),
                members: members.collect(),
                protocol: protocol.unwrap_or_default(),
            })
        });
        described.collect()
    }

    pub(super) fn delete_groups(
        &mut self,
        groups: &[String],
        now: Now,
        out: &mut Effects,
    ) -> Vec<ErrorCode> {
        let mut errors = Vec::with_capacity(groups.len());
        for id in groups {
            let empty = match (self.groups.get(id), self.consumers.get(id)) {
                (Some(group), _) => Some(group.state == ClassicState::Empty),
                (_, Some(group)) => Some(group.members.is_empty()),
                (None, None) => None,
            };
            errors.push(match empty {
                None => ErrorCode::GroupIdNotFound,
                Some(false) => ErrorCode::NonEmptyGroup,
                Some(true) => {
                    for (topic, partition) in self.offsets.of_group(id) {
                        self.delete_offset(id, &topic, partition, out);
                    }
                    self.delete_group(id, out);
                    self.write_no_consumer_group(id, now, out);
                    ErrorCode::None
                }
            });
        }
        errors
    }

    pub(super) fn delete_offset(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
        out: &mut Effects,
    ) {
        self.offsets.set(group, topic, partition, None, None);
        out.records.push(GroupRecord::no_offset(group, topic, partition));
    }

    pub(super) fn delete_group(&mut self, id: &str, out: &mut Effects) {
        if let Some(group) = self.groups.remove(id) {
            for pending in &group.pending_join {
                self.timers.cancel(&group.session_timer(pending));
            }
            out.records.push(GroupRecord::no_classic_group(id));
        }
    }

    /// Deletes offsets that are out of date, and groups of which nothing is left
    /// (offsets.retention.minutes).
    pub fn expire(&mut self, now: Now) -> Effects {
        let mut out = Effects::default();
        let ids: Vec<String> = self.groups.keys().cloned().collect();
        for id in ids {
            let group = &self.groups[&id];
            let empty = group.state == ClassicState::Empty;
            let stable = group.state == ClassicState::Stable;
            let since_ms = group.since_ms.filter(|_| group.protocol_type.is_some());
            let may = match &group.protocol_type {
                // Nothing but offsets: each has its own time.
                None => true,
                Some(_) => empty || (stable && group.subscribed.is_some()),
            };
            if !may {
                continue;
            }
            // In an empty group time runs from when the last member left.
            let base = |offset: &CommittedOffset| match since_ms {
                Some(since_ms) if empty => since_ms,
                _ => offset.commit_ms,
            };
            let retention_ms = self.limits.retention_ms;
            let unused = |topic: &str| !group.is_subscribed(topic);
            let (expired, all) = self.offsets.expired(&id, now.unix_ms, retention_ms, unused, base);
            for (topic, partition) in expired {
                self.delete_offset(&id, &topic, partition, &mut out);
            }
            if all && empty {
                self.delete_group(&id, &mut out);
            }
        }
        self.expire_in_consumer_groups(now, &mut out);
        out
    }

    fn expire_in_consumer_groups(&mut self, now: Now, out: &mut Effects) {
        let ids: Vec<String> = self.consumers.keys().cloned().collect();
        for id in ids {
            let group = &self.consumers[&id];
            let empty = group.members.is_empty();
            let retention_ms = self.limits.retention_ms;
            let unused = |topic: &str| !group.is_subscribed(topic);
            let committed = |offset: &CommittedOffset| offset.commit_ms;
            let (expired, all) =
                self.offsets.expired(&id, now.unix_ms, retention_ms, unused, committed);
            for (topic, partition) in expired {
                self.delete_offset(&id, &topic, partition, out);
            }
            if all && empty {
                self.write_no_consumer_group(&id, now, out);
            }
        }
    }

    /// Deletes the offsets of a topic that is gone.
    pub fn topic_deleted(&mut self, topic: &str) -> Effects {
        let mut out = Effects::default();
        for (group, partition) in self.offsets.of_topic(topic) {
            self.delete_offset(&group, topic, partition, &mut out);
        }
        out
    }
}

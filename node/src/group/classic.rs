//! A classic group: its members, its state, and what follows from them (Kafka's `ClassicGroup`).

use std::collections::{BTreeMap, BTreeSet};

use ringlog_wire::records::group::GroupMetadataValue;
use ringlog_wire::{Layout, Reader};

use super::member::Member;
use super::record::GroupRecord;
use super::request::{JoinedMember, Protocol};
use crate::error_code::ErrorCode;

/// Protocol type of groups of consumers.
pub const CONSUMER_PROTOCOL: &str = "consumer";
/// What decoding a subscription may allocate, besides a multiple of its size.
const SUBSCRIPTION_BUDGET_BYTES: usize = 1024;

/// States of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassicState {
    /// No members; perhaps offsets.
    Empty,
    /// Waiting for members to join.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Every member has what it was assigned.
    Stable,
}

impl ClassicState {
    /// Kafka's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A group that uses JoinGroup and SyncGroup.
#[derive(Clone, Debug)]
pub struct ClassicGroup {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub state: ClassicState,
    /// Its first rebalance after having been empty: completed by time only.
    pub initial: Option<InitialDelay>,
    /// When it came into its state; unknown if an old broker wrote it down.
    pub since_ms: Option<i64>,
    /// Counts rebalances.
    pub generation: i32,
    /// What kind of members it has; `None` if only offsets.
    pub protocol_type: Option<String>,
    /// What was agreed on.
    pub protocol: Option<String>,
    /// The member that assigns.
    pub leader: Option<String>,
    /// Members by id.
    pub members: BTreeMap<String, Member>,
    /// Static members: their ids by instance id.
    pub statics: BTreeMap<String, String>,
    /// Ids given to members that have yet to come with them.
    pub pending_join: BTreeSet<String>,
    /// Members that have not asked for their assignment.
    pub pending_sync: BTreeSet<String>,
    /// Topics that consumers subscribe to, if their words can be read.
    pub subscribed: Option<BTreeSet<String>>,
    /// Members that wait for the answer to a join.
    awaiting_join: usize,
    /// How many members know each protocol.
    supported: BTreeMap<String, usize>,
}

/// How far the delay of a first rebalance may still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialDelay {
    /// The delay that runs.
    pub delay_ms: u64,
    /// What is left for more.
    pub remaining_ms: u64,
    /// A member has come since it began.
    pub member_added: bool,
}

impl ClassicGroup {
    /// A group without anything.
    pub fn new(id: &str, now_ms: i64) -> Self {
        Self {
            id: id.to_owned(),
            state: ClassicState::Empty,
            initial: None,
            since_ms: Some(now_ms),
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            subscribed: None,
            awaiting_join: 0,
            supported: BTreeMap::new(),
        }
    }

    /// As the log has it.
    pub fn loaded(id: &str, value: GroupMetadataValue) -> Self {
        let mut group = Self::new(id, value.current_state_timestamp);
        group.since_ms =
            (value.current_state_timestamp != -1).then_some(value.current_state_timestamp);
        group.generation = value.generation;
        if !value.members.is_empty() {
            group.state = ClassicState::Stable;
        }
        let protocol = value.protocol.clone().unwrap_or_default();
        for stored in value.members {
            group.add(Member::loaded(stored, &protocol));
        }
        let kind = value.protocol_type;
        group.protocol_type = (!kind.is_empty()).then_some(kind);
        (group.protocol, group.leader) = (value.protocol, value.leader);
        group.subscribed = group.subscriptions();
        group
    }

    /// For the log, with these assignments.
    pub fn record(&self, mut assignments: BTreeMap<String, Vec<u8>>) -> GroupRecord {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.values().map(|member| {
            let assignment = assignments.remove(&member.id).unwrap_or_default();
            member.stored(protocol, assignment)
        });
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.since_ms.unwrap_or(-1),
            members: members.collect(),
        };
        GroupRecord::classic_group(&self.id, value)
    }

    /// For the log, as it stands.
    pub fn record_now(&self) -> GroupRecord {
        let of = |member: &Member| (member.id.clone(), member.assignment.clone());
        self.record(self.members.values().map(of).collect())
    }

    /// Changes its state.
    pub fn become_state(&mut self, state: ClassicState, now_ms: i64) {
        self.state = state;
        self.since_ms = Some(now_ms);
    }

    /// Takes in a member that it does not have.
    pub fn add(&mut self, member: Member) {
        if let Some(instance) = &member.instance {
            let known = self.statics.insert(instance.clone(), member.id.clone());
            assert!(known.is_none(), "instance {instance} is in group {} twice", self.id);
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        self.count_protocols(&member, true);
        self.awaiting_join += usize::from(member.joining.is_some());
        self.pending_join.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    /// Lets go of a member, or of an id that was given out.
    pub fn remove(&mut self, id: &str) -> Option<Member> {
        let removed = self.members.remove(id);
        if let Some(member) = &removed {
            self.count_protocols(member, false);
            self.awaiting_join -= usize::from(member.joining.is_some());
            if let Some(instance) = &member.instance {
                self.statics.remove(instance);
            }
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_join.remove(id);
        self.pending_sync.remove(id);
        removed
    }

    /// A static member comes back with a new id: gives the member as it was.
    pub fn replace_static(&mut self, instance: &str, old: &str, new: &str) -> Member {
        let was = self.members.remove(old).expect("a static member is a member");
        self.awaiting_join -= usize::from(was.joining.is_some());
        let mut member = was.clone();
        member.id = new.to_owned();
        (member.joining, member.syncing, member.is_new) = (None, None, false);
        self.members.insert(new.to_owned(), member);
        if self.is_leader(old) {
            self.leader = Some(new.to_owned());
        }
        self.statics.insert(instance.to_owned(), new.to_owned());
        was
    }

    /// What a member says anew.
    pub fn update_member(
        &mut self,
        id: &str,
        protocols: Vec<Protocol>,
        (rebalance_timeout_ms, session_timeout_ms): (i32, i32),
        joining: Option<u64>,
    ) -> Option<u64> {
        let mut member = self.members.remove(id).expect("it is a member");
        self.count_protocols(&member, false);
        member.protocols = protocols;
        self.count_protocols(&member, true);
        member.rebalance_timeout_ms = rebalance_timeout_ms;
        member.session_timeout_ms = session_timeout_ms;
        self.awaiting_join -= usize::from(member.joining.is_some());
        self.awaiting_join += usize::from(joining.is_some());
        let before = std::mem::replace(&mut member.joining, joining);
        self.members.insert(id.to_owned(), member);
        before
    }

    /// Takes the join that a member waits for an answer to.
    pub fn take_joining(&mut self, id: &str) -> Option<u64> {
        let ticket = self.members.get_mut(id)?.joining.take()?;
        self.awaiting_join -= 1;
        Some(ticket)
    }

    fn count_protocols(&mut self, member: &Member, more: bool) {
        for protocol in &member.protocols {
            match more {
                true => *self.supported.entry(protocol.name.clone()).or_default() += 1,
                false => match self.supported.get_mut(&protocol.name) {
                    Some(count) if *count > 1 => *count -= 1,
                    _ => drop(self.supported.remove(&protocol.name)),
                },
            }
        }
    }

    /// Whether it leads.
    pub fn is_leader(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    /// How many wait for the answer to a join.
    pub fn awaiting_join(&self) -> usize {
        self.awaiting_join
    }

    /// Whether nobody has to be waited for.
    pub fn has_all_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending_join.is_empty()
    }

    /// A member that has joined leads from now on; false if none has.
    pub fn elect_joined_leader(&mut self) -> bool {
        let Some(leader) = &self.leader else { return false };
        if self.members.get(leader).is_some_and(|member| member.joining.is_some()) {
            return true;
        }
        match self.members.values().find(|member| member.joining.is_some()) {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }

    /// The longest that any member may take.
    pub fn rebalance_timeout_ms(&self) -> u64 {
        let timeouts = self.members.values().map(|member| member.rebalance_timeout_ms);
        timeouts.max().unwrap_or(0).max(0) as u64
    }

    /// Whether a member that offers these could be one of it.
    pub fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == ClassicState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let everyone =
            |name: &str| self.supported.get(name).copied().unwrap_or(0) == self.members.len();
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| everyone(&protocol.name))
    }

    /// The protocol that most members prefer among those that all know.
    pub fn select_protocol(&self) -> Option<String> {
        let everyone = |name: &str| self.supported.get(name) == Some(&self.members.len());
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let vote = member.protocols.iter().find(|protocol| everyone(&protocol.name))?;
            *votes.entry(&vote.name).or_default() += 1;
        }
        let most = votes.into_iter().max_by_key(|(_, count)| *count)?;
        Some(most.0.to_owned())
    }

    /// The next generation, of the members that are here.
    pub fn next_generation(&mut self, now_ms: i64) {
        self.generation = self.generation.wrapping_add(1);
        self.protocol = self.select_protocol();
        self.subscribed = self.subscriptions();
        self.pending_sync.clear();
        let state = match self.members.is_empty() {
            true => ClassicState::Empty,
            false => ClassicState::CompletingRebalance,
        };
        self.become_state(state, now_ms);
    }

    /// The members with what they said to the protocol, for the leader.
    pub fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.values().map(|member| JoinedMember {
            member: member.id.clone(),
            instance: member.instance.clone(),
            metadata: member.metadata(protocol).to_vec(),
        });
        members.collect()
    }

    /// Whether a request is of a member.
    pub fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                // FENCE: another process is that instance now.
                Some(known) if known != id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        match self.members.contains_key(id) {
            true => Ok(()),
            false => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// Whether it is of consumers.
    pub fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL)
    }

    /// Whether it may read a topic, as far as that can be told.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    /// The topics of all members. Every version of the consumer protocol begins like the first.
    pub fn subscriptions(&self) -> Option<BTreeSet<String>> {
        if !self.is_of_consumers() {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let bytes = member.metadata(self.protocol.as_deref()?);
            let mut r = Reader::new(bytes, SUBSCRIPTION_BUDGET_BYTES + 32 * bytes.len());
            r.i16().ok()?;
            let first = Layout { version: 0, flexible: false };
            topics.extend(r.array::<String>(first).ok()?);
        }
        Some(topics)
    }
}

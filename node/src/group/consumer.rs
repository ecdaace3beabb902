//! A group of the consumer protocol (KIP-848): the coordinator assigns, and members follow one by
//! one (Kafka's `ConsumerGroup` and `ConsumerGroupMember`).

use std::collections::{BTreeMap, BTreeSet};

use ringlog_wire::Uuid;
use ringlog_wire::records::group::consumer_group_current_member_assignment_value::{
    ConsumerGroupCurrentMemberAssignmentValue, TopicPartitions,
};
use ringlog_wire::records::group::consumer_group_member_metadata_value::{
    ClassicMemberMetadata, ClassicProtocol, ConsumerGroupMemberMetadataValue,
};
use ringlog_wire::records::group::consumer_group_target_assignment_member_value::{
    ConsumerGroupTargetAssignmentMemberValue, TopicPartition,
};

use super::request::Protocol;
use crate::metadata::MetadataImage;

/// Partitions by topic.
pub type Assignment = BTreeMap<Uuid, BTreeSet<i32>>;

/// The epoch of a member that has left, or not come yet.
pub const LEFT: i32 = -1;
/// The epoch of a static member that has left and is expected back.
pub const STATIC_LEFT: i32 = -2;

/// Whether a member has what it is to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// It has.
    #[default]
    Stable,
    /// It must let go of partitions first.
    Unrevoked,
    /// Others must let go of partitions first.
    Unreleased,
}

impl MemberState {
    fn of_wire(number: i8) -> Self {
        match number {
            1 => Self::Unrevoked,
            2 => Self::Unreleased,
            // A state of a later version: reconciled anew.
            _ => Self::Stable,
        }
    }

    fn to_wire(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::Unrevoked => 1,
            Self::Unreleased => 2,
        }
    }
}

/// What a member that speaks the classic protocol has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMember {
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// What it knows.
    pub protocols: Vec<Protocol>,
}

/// A member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerMember {
    /// Its id.
    pub id: String,
    /// What a static member calls itself.
    pub instance: Option<String>,
    /// Where it is.
    pub rack: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// Where that is, as Java prints an address.
    pub client_host: String,
    /// Topics that it reads.
    pub topics: BTreeSet<String>,
    /// And those that match this.
    pub regex: Option<String>,
    /// How long it may take to let go of partitions.
    pub rebalance_timeout_ms: i32,
    /// The assignor that it prefers.
    pub assignor: Option<String>,
    /// Set if it speaks the classic protocol.
    pub classic: Option<ClassicMember>,
    /// The assignment that it follows.
    pub epoch: i32,
    /// The one before.
    pub previous_epoch: i32,
    /// How far it is.
    pub state: MemberState,
    /// What it has, or is to have at once.
    pub assigned: Assignment,
    /// What it must let go of.
    pub revoking: Assignment,
}

/// Names of topics, and a regular expression for more.
pub type Subscription<'a> = (&'a BTreeSet<String>, Option<&'a str>);

impl ConsumerMember {
    /// One that has not said anything.
    pub fn new(id: &str) -> Self {
        let (id, regex) = (id.to_owned(), Some(String::new()));
        Self { id, regex, previous_epoch: -1, ..Self::default() }
    }

    /// Whether it subscribes by a regular expression.
    pub fn regex(&self) -> Option<&str> {
        self.regex.as_deref().filter(|regex| !regex.is_empty())
    }

    /// What it wants.
    pub fn subscription(&self) -> Subscription<'_> {
        (&self.topics, self.regex())
    }

    /// For the log: who it is and what it wants.
    pub fn metadata_value(&self) -> ConsumerGroupMemberMetadataValue {
        let classic = self.classic.as_ref().map(|classic| ClassicMemberMetadata {
            session_timeout_ms: classic.session_timeout_ms,
            supported_protocols: classic
                .protocols
                .iter()
                .map(|p| ClassicProtocol { name: p.name.clone(), metadata: p.metadata.clone() })
                .collect(),
        });
        ConsumerGroupMemberMetadataValue {
            instance_id: self.instance.clone(),
            rack_id: self.rack.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topics.iter().cloned().collect(),
            subscribed_topic_regex: self.regex.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.assignor.clone(),
            classic_member_metadata: classic,
        }
    }

    /// For the log: what it has.
    pub fn assignment_value(&self) -> ConsumerGroupCurrentMemberAssignmentValue {
        let list = |assignment: &Assignment| {
            let topics = assignment.iter().map(|(topic_id, partitions)| TopicPartitions {
                topic_id: *topic_id,
                partitions: partitions.iter().copied().collect(),
            });
            topics.collect()
        };
        ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.to_wire(),
            assigned_partitions: list(&self.assigned),
            partitions_pending_revocation: list(&self.revoking),
        }
    }

    fn take_metadata(&mut self, value: ConsumerGroupMemberMetadataValue) {
        self.instance = value.instance_id;
        self.rack = value.rack_id;
        self.client_id = value.client_id;
        self.client_host = value.client_host;
        self.topics = value.subscribed_topic_names.into_iter().collect();
        self.regex = value.subscribed_topic_regex;
        self.rebalance_timeout_ms = value.rebalance_timeout_ms;
        self.assignor = value.server_assignor;
        self.classic = value.classic_member_metadata.map(|classic| ClassicMember {
            session_timeout_ms: classic.session_timeout_ms,
            protocols: classic
                .supported_protocols
                .into_iter()
                .map(|p| Protocol { name: p.name, metadata: p.metadata })
                .collect(),
        });
    }

    fn take_assignment(&mut self, value: ConsumerGroupCurrentMemberAssignmentValue) {
        let map = |topics: Vec<TopicPartitions>| {
            topics.into_iter().map(|t| (t.topic_id, t.partitions.into_iter().collect())).collect()
        };
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::of_wire(value.state);
        self.assigned = map(value.assigned_partitions);
        self.revoking = map(value.partitions_pending_revocation);
    }
}

/// A target for the log.
pub fn target_value(assignment: &Assignment) -> ConsumerGroupTargetAssignmentMemberValue {
    let topics = assignment.iter().map(|(topic_id, partitions)| TopicPartition {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
    });
    ConsumerGroupTargetAssignmentMemberValue { topic_partitions: topics.collect() }
}

/// The topics that a regular expression names, as of some metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Topics.
    pub topics: BTreeSet<String>,
    /// Offset of the metadata that they were found in.
    pub version: i64,
    /// When.
    pub at_ms: i64,
}

/// A group.
#[derive(Clone, Debug, Default)]
pub struct ConsumerGroup {
    /// Its id.
    pub id: String,
    /// Counts changes of what it is about.
    pub epoch: i32,
    /// Stands for the topics that it reads, as they are.
    pub metadata_hash: i64,
    /// The epoch that the targets are for.
    pub target_epoch: i32,
    /// Members by id.
    pub members: BTreeMap<String, ConsumerMember>,
    /// Static members: their ids by instance id.
    pub statics: BTreeMap<String, String>,
    /// What each member is to have in the end.
    pub target: BTreeMap<String, Assignment>,
    /// Regular expressions that members subscribe by.
    pub regexes: BTreeMap<String, Resolved>,
    /// Up to which change of topics it has looked; `None`: all topics are to be looked at.
    pub seen_changes: Option<u64>,
    /// Who has a partition now: the epoch in which it was given.
    owned: BTreeMap<(Uuid, i32), i32>,
}

fn each(assignment: &Assignment) -> impl Iterator<Item = (Uuid, i32)> {
    assignment.iter().flat_map(|(topic, partitions)| partitions.iter().map(|p| (*topic, *p)))
}

impl ConsumerGroup {
    /// A group without anything.
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// Kafka's word for its state.
    pub fn state_name(&self) -> &'static str {
        let behind = |member: &ConsumerMember| {
            member.state != MemberState::Stable || member.epoch != self.target_epoch
        };
        match () {
            () if self.members.is_empty() => "Empty",
            () if self.epoch > self.target_epoch => "Assigning",
            () if self.members.values().any(behind) => "Reconciling",
            () => "Stable",
        }
    }

    /// A member, made if it is not there.
    fn member_mut(&mut self, id: &str) -> &mut ConsumerMember {
        self.members.entry(id.to_owned()).or_insert_with(|| ConsumerMember::new(id))
    }

    /// Takes over a member's metadata.
    pub fn set_member(&mut self, id: &str, value: ConsumerGroupMemberMetadataValue) {
        let instance = value.instance_id.clone();
        self.member_mut(id).take_metadata(value);
        if let Some(instance) = instance {
            self.statics.insert(instance, id.to_owned());
        }
    }

    /// Forgets a member.
    pub fn remove_member(&mut self, id: &str) {
        self.set_assignment(id, None);
        let Some(member) = self.members.remove(id) else { return };
        if let Some(instance) = member.instance
            && self.statics.get(&instance).is_some_and(|known| known == id)
        {
            self.statics.remove(&instance);
        }
    }

    /// Takes over what a member has.
    pub fn set_assignment(
        &mut self,
        id: &str,
        value: Option<ConsumerGroupCurrentMemberAssignmentValue>,
    ) {
        if value.is_none() && !self.members.contains_key(id) {
            return;
        }
        let member = self.members.entry(id.to_owned()).or_insert_with(|| ConsumerMember::new(id));
        for partition in each(&member.assigned).chain(each(&member.revoking)) {
            // Another may have been given it since.
            if self.owned.get(&partition) == Some(&member.epoch) {
                self.owned.remove(&partition);
            }
        }
        match value {
            Some(value) => member.take_assignment(value),
            None => {
                (member.epoch, member.previous_epoch) = (LEFT, LEFT);
                member.state = MemberState::Stable;
                (member.assigned, member.revoking) = Default::default();
            }
        }
        let epoch = member.epoch;
        self.owned.extend(each(&member.assigned).chain(each(&member.revoking)).map(|p| (p, epoch)));
    }

    /// Whether somebody has a partition.
    pub fn is_owned(&self, topic: Uuid, partition: i32) -> bool {
        self.owned.contains_key(&(topic, partition))
    }

    /// A member's target; a static member that comes back takes over that of its instance.
    pub fn target_of(&self, member: &ConsumerMember) -> Assignment {
        let of = |id: &String| self.target.get(id).cloned();
        let known = member.instance.as_ref().and_then(|instance| self.statics.get(instance));
        of(&member.id).or_else(|| known.and_then(of)).unwrap_or_default()
    }

    /// What members subscribe to, each once.
    pub fn subscriptions(&self) -> BTreeSet<Subscription<'_>> {
        self.members.values().map(ConsumerMember::subscription).collect()
    }

    /// The topics that whoever subscribes so reads.
    pub fn topics_of<'a>(&'a self, (names, regex): Subscription<'a>) -> BTreeSet<&'a String> {
        let resolved = regex.and_then(|regex| self.regexes.get(regex));
        names.iter().chain(resolved.into_iter().flat_map(|resolved| &resolved.topics)).collect()
    }

    /// Whether any member reads a topic.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        let resolved =
            |regex: &str| self.regexes.get(regex).is_some_and(|r| r.topics.contains(topic));
        self.members.values().any(|m| m.topics.contains(topic) || m.regex().is_some_and(resolved))
    }

    /// Stands for the topics that its members read, as they are now: FNV-1a over names, ids and
    /// numbers of partitions. Kafka's hash is another; a group that changes hands is assigned anew.
    pub fn hash(&self, image: &MetadataImage) -> i64 {
        let subscriptions = self.subscriptions();
        let topics: BTreeSet<&String> =
            subscriptions.into_iter().flat_map(|wanted| self.topics_of(wanted)).collect();
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for topic in topics.iter().filter_map(|name| image.topic_by_name(name)) {
            add(topic.name.as_bytes());
            add(&topic.id.0);
            add(&topic.partitions.len().to_be_bytes());
        }
        hash as i64
    }

    /// Whether a member that speaks the classic protocol and knows these could be one of it.
    pub fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        let classic = || self.members.values().filter_map(|member| member.classic.as_ref());
        let everyone =
            |name: &str| classic().all(|member| member.protocols.iter().any(|p| p.name == name));
        protocol_type == super::classic::CONSUMER_PROTOCOL
            && protocols.iter().any(|protocol| everyone(&protocol.name))
    }
}

//! ConsumerGroupHeartbeat: all that a member of a consumer group says and is told (KIP-848).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use regex_automata::meta::Regex;
use ringlog_wire::Uuid;
use ringlog_wire::records::group::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupMemberMetadataKey,
    ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue,
};

use super::assignor::{Assignor, Subscriber};
use super::classic::ClassicState;
use super::consumer::{
    Assignment, ConsumerGroup, ConsumerMember, MemberState, STATIC_LEFT, Subscription, target_value,
};
use super::coordinator::{Effects, GroupCore, Now};
use super::reconcile::step;
use super::record::GroupRecord;
use super::request::{ConsumerBeat, ConsumerHeartbeat, Fault};
use super::timers::Timer;
use crate::error_code::ErrorCode;

/// The version in which all records of consumer groups are written.
const VERSION: i16 = 0;
/// Largest compiled regular expression; Kafka's has no bound.
const REGEX_BYTES_MAX: usize = 1 << 20;

pub(super) fn refuse<T>(error: ErrorCode, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { error, message: Some(message.into()) })
}

fn unknown<T>(group: &str, member: &str) -> Result<T, Fault> {
    let message = format!("Member {member} is not a member of group {group}.");
    refuse(ErrorCode::UnknownMemberId, message)
}

impl GroupCore {
    pub(super) fn consumer_beat(
        &mut self,
        mut request: ConsumerHeartbeat,
        now: Now,
        out: &mut Effects,
    ) -> Result<ConsumerBeat, Fault> {
        self.check_beat(&request)?;
        if request.epoch < 0 {
            return self.consumer_leave(&request, now, out);
        }
        if let Some(regex) = request.regex.as_deref().filter(|regex| !regex.is_empty()) {
            compile(regex)?;
        }
        self.consumer_group_for(&request, now, out)?;
        if request.member.is_empty() {
            request.member.clone_from(&request.new_id);
        }
        let member = self.member_for(&request, now, out)?;
        let mut updated = member.clone();
        let id = request.member.clone();
        updated.instance = request.instance.clone().or(updated.instance);
        updated.rack = request.rack.clone().or(updated.rack);
        if request.rebalance_timeout_ms != -1 {
            updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        updated.assignor = request.assignor.clone().or(updated.assignor);
        if let Some(topics) = &request.topics {
            updated.topics = topics.iter().cloned().collect();
        }
        updated.regex = request.regex.clone().or(updated.regex);
        updated.client_id.clone_from(&request.client_id);
        updated.client_host.clone_from(&request.client_host);
        updated.classic = None;
        self.follow_member(&request.group, &member, updated, now, out);
        self.update_target(&request.group, now, out);
        let assigned = self.reconcile(&request.group, &id, request.owned.as_deref(), now, out);
        self.set_session(&request.group, &id, now);
        let says_all = request.rebalance_timeout_ms != -1
            && (request.topics.is_some() || request.regex.is_some())
            && request.owned.is_some();
        let changed = assigned.assigned != member.assigned;
        let tells = request.epoch == 0 || says_all || changed;
        Ok(ConsumerBeat {
            member: Some(id),
            epoch: assigned.epoch,
            interval_ms: self.group_int(&request.group, "consumer.heartbeat.interval.ms"),
            assignment: tells.then_some(assigned.assigned),
        })
    }

    /// What can be told from the request alone (`throwIfConsumerGroupHeartbeatRequestIsInvalid`).
    fn check_beat(&self, request: &ConsumerHeartbeat) -> Result<(), Fault> {
        let invalid = |message: &str| refuse(ErrorCode::InvalidRequest, message);
        let named = request.needs_member_id || request.epoch > 0 || request.epoch == -1;
        let blank = |text: &str| text.trim().is_empty();
        if named && blank(&request.member) {
            return invalid("MemberId can't be empty.");
        }
        if blank(&request.group) {
            return invalid("GroupId can't be empty.");
        }
        if request.instance.as_deref().is_some_and(blank) {
            return invalid("InstanceId can't be empty.");
        }
        if request.rack.as_deref().is_some_and(blank) {
            return invalid("RackId can't be empty.");
        }
        match request.epoch {
            0 if request.rebalance_timeout_ms == -1 => {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            0 if request.owned.as_ref().is_none_or(|owned| !owned.is_empty()) => {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            0 if request.topics.is_none() && request.regex.is_none() => {
                return invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                     (re-)joining.",
                );
            }
            STATIC_LEFT if request.instance.is_none() => {
                return invalid("InstanceId can't be null.");
            }
            i32::MIN..STATIC_LEFT => return invalid("MemberEpoch is invalid."),
            _ => {}
        }
        let known: Vec<&str> = self.limits.assignors.iter().map(|a| a.name()).collect();
        match &request.assignor {
            Some(name) if !known.contains(&name.as_str()) => refuse(
                ErrorCode::UnsupportedAssignor,
                format!(
                    "ServerAssignor {name} is not supported. Supported assignors: {}.",
                    known.join(", ")
                ),
            ),
            _ => Ok(()),
        }
    }

    /// Sees to it that the group is one of the consumer protocol, with room for the member.
    fn consumer_group_for(
        &mut self,
        request: &ConsumerHeartbeat,
        now: Now,
        out: &mut Effects,
    ) -> Result<(), Fault> {
        let id = &request.group;
        let joins = request.epoch == 0;
        let max = self.limits.consumer_members_max;
        let full = || {
            let message =
                format!("The consumer group has reached its maximum capacity of {max} members.");
            refuse(ErrorCode::GroupMaxSizeReached, message)
        };
        if let Some(group) = self.consumers.get(id) {
            let is_new = request.member.is_empty() || !group.members.contains_key(&request.member);
            return if group.members.len() >= max && is_new { full() } else { Ok(()) };
        }
        match self.groups.get(id) {
            None if !joins => {
                let message = format!("Consumer group {id} not found.");
                refuse(ErrorCode::GroupIdNotFound, message)
            }
            Some(_) if !joins => {
                let message = format!("Group {id} is not a consumer group.");
                refuse(ErrorCode::GroupIdNotFound, message)
            }
            Some(classic) if classic.state != ClassicState::Empty => {
                // With more members it cannot be upgraded, which is another error.
                if classic.members.len() == max { full() } else { self.upgrade(id, now, out) }
            }
            Some(_) => {
                self.delete_group(id, out);
                self.consumers.insert(id.clone(), ConsumerGroup::new(id));
                Ok(())
            }
            None => {
                self.consumers.insert(id.clone(), ConsumerGroup::new(id));
                Ok(())
            }
        }
    }

    /// The member as it was. One that comes anew under its instance id gets the place it had.
    fn member_for(
        &mut self,
        request: &ConsumerHeartbeat,
        now: Now,
        out: &mut Effects,
    ) -> Result<ConsumerMember, Fault> {
        let group = &self.consumers[&request.group];
        let id = &request.member;
        let fresh = || ConsumerMember::new(id);
        let Some(instance) = &request.instance else {
            return match group.members.get(id) {
                Some(member) => check_epoch(member, request).map(|()| member.clone()),
                None if request.epoch == 0 => Ok(fresh()),
                None => unknown(&request.group, id),
            };
        };
        let existing = group.statics.get(instance).and_then(|id| group.members.get(id)).cloned();
        let Some(existing) = existing else {
            return match request.epoch {
                0 => Ok(fresh()),
                _ => refuse(
                    ErrorCode::UnknownMemberId,
                    format!("Instance id {instance} is unknown."),
                ),
            };
        };
        if request.epoch == 0 {
            // FENCE: two processes with one instance id.
            if existing.classic.is_none() && existing.epoch != STATIC_LEFT {
                let message = format!(
                    "Static member {id} with instance id {instance} cannot join the group because \
                     the instance id is owned by {} member.",
                    existing.id
                );
                return refuse(ErrorCode::UnreleasedInstanceId, message);
            }
            return Ok(self.replace_consumer(&request.group, &existing, id, now, out));
        }
        check_instance(&existing, id, instance)?;
        check_epoch(&existing, request)?;
        Ok(existing)
    }

    pub(super) fn replace_consumer(
        &mut self,
        group: &str,
        old: &ConsumerMember,
        id: &str,
        now: Now,
        out: &mut Effects,
    ) -> ConsumerMember {
        let mut member = old.clone();
        member.id = id.to_owned();
        (member.epoch, member.previous_epoch) = (0, 0);
        let target = self.consumers[group].target.get(&old.id).cloned().unwrap_or_default();
        self.write_no_member(group, &old.id, now, out);
        self.write_member(group, &member, now, out);
        self.write_target(group, id, &target, now, out);
        self.write_assignment(group, &member, now, out);
        member
    }

    /// Takes over what a member says, and what follows for the group's epoch.
    pub(super) fn follow_member(
        &mut self,
        id: &str,
        member: &ConsumerMember,
        updated: ConsumerMember,
        now: Now,
        out: &mut Effects,
    ) {
        let known = self.consumers[id].members.contains_key(&updated.id);
        let mut bump = self.consumers[id].epoch == 0;
        if !known || updated != *member {
            bump |= updated.topics != member.topics;
            self.write_member(id, &updated, now, out);
        }
        if updated.regex() != member.regex() {
            bump |= updated.regex().is_some();
            let others = |m: &ConsumerMember| m.regex() == member.regex();
            match member.regex() {
                Some(regex) if !self.consumers[id].members.values().any(others) => {
                    self.write_regex(id, regex, None, now, out);
                }
                _ => {}
            }
            if let Some(regex) = updated.regex()
                && !self.consumers[id].regexes.contains_key(regex)
            {
                self.resolve_regex(id, regex, None, now, out);
            }
        }
        self.follow_topics(id, bump, now, out);
    }

    /// Counts a new epoch if `bump` says so, or the topics that the group reads have changed.
    pub(super) fn follow_topics(&mut self, id: &str, bump: bool, now: Now, out: &mut Effects) {
        let group = &self.consumers[id];
        let last = self.topic_changes.last();
        let behind = group.seen_changes != Some(last);
        if !bump && !behind {
            return;
        }
        if behind {
            let changed = group.seen_changes.and_then(|seen| self.topic_changes.since(seen));
            let changed: Option<BTreeSet<String>> =
                changed.map(|names| names.map(str::to_owned).collect());
            let regexes: Vec<String> = group.regexes.keys().cloned().collect();
            for regex in regexes {
                self.resolve_regex(id, &regex, changed.as_ref(), now, out);
            }
        }
        let group = self.consumers.get_mut(id).expect("it is there");
        group.seen_changes = Some(last);
        let hash = group.hash(&self.image);
        if bump || hash != group.metadata_hash {
            let value = ConsumerGroupMetadataValue { epoch: group.epoch + 1, metadata_hash: hash };
            let key = ConsumerGroupMetadataKey { group_id: id.to_owned() };
            self.write(key, Some(value.into()), now, out);
        }
    }

    /// Looks up the topics that match, of those that have changed if they are known; writes them
    /// down if they are others than before.
    fn resolve_regex(
        &mut self,
        id: &str,
        regex: &str,
        changed: Option<&BTreeSet<String>>,
        now: Now,
        out: &mut Effects,
    ) {
        // Checked when a member brought it; one that another version has taken matches nothing.
        let compiled = compile(regex).ok();
        let matches = |topic: &str| compiled.as_ref().is_some_and(|regex| regex.is_match(topic));
        let before = self.consumers[id].regexes.get(regex);
        let topics: BTreeSet<String> = match (before, changed) {
            (Some(before), Some(changed)) => {
                let kept = before.topics.difference(changed).cloned();
                let there = |topic: &&String| self.image.topic_by_name(topic).is_some();
                let new = changed.iter().filter(there).filter(|topic| matches(topic)).cloned();
                kept.chain(new).collect()
            }
            _ => {
                let all = self.image.topics_by_name().map(|topic| &topic.name);
                all.filter(|topic| matches(topic)).cloned().collect()
            }
        };
        if before.is_none_or(|before| before.topics != topics) {
            let value = ConsumerGroupRegularExpressionValue {
                topics: topics.into_iter().collect(),
                version: self.image.end_offset - 1,
                timestamp: now.unix_ms,
            };
            self.write_regex(id, regex, Some(value), now, out);
        }
    }

    /// Assigns anew if the group has a new epoch.
    pub(super) fn update_target(&mut self, id: &str, now: Now, out: &mut Effects) {
        let group = &self.consumers[id];
        if group.epoch <= group.target_epoch {
            return;
        }
        let epoch = group.epoch;
        let mut topics: BTreeMap<Uuid, i32> = BTreeMap::new();
        // Most members subscribe alike: what that means is looked up once.
        let mut read: BTreeMap<Subscription<'_>, Rc<BTreeSet<Uuid>>> = BTreeMap::new();
        for subscription in group.subscriptions() {
            let names = group.topics_of(subscription);
            let known = names.into_iter().filter_map(|name| self.image.topic_by_name(name));
            let known: BTreeMap<Uuid, i32> =
                known.map(|topic| (topic.id, topic.partitions.len() as i32)).collect();
            read.insert(subscription, Rc::new(known.keys().copied().collect()));
            topics.extend(known);
        }
        let members = group.members.iter().map(|(id, member)| Subscriber {
            name: member.instance.as_ref().unwrap_or(id),
            topics: Rc::clone(&read[&member.subscription()]),
            before: group.target.get(id),
        });
        let members: Vec<Subscriber<'_>> = members.collect();
        let targets = self.assignor_of(group).assign(&members, &topics);
        let of_member = group.members.keys().zip(&members).zip(targets);
        let changed = of_member.filter(|((_, member), target)| member.before != Some(target));
        let changed: Vec<(String, Assignment)> =
            changed.map(|((id, _), target)| (id.clone(), target)).collect();
        for (member, target) in changed {
            self.write_target(id, &member, &target, now, out);
        }
        let value = ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch: epoch };
        let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: id.to_owned() };
        self.write(key, Some(value.into()), now, out);
    }

    /// The assignor that most members prefer, else the first of the configuration.
    pub(super) fn assignor_of(&self, group: &ConsumerGroup) -> Assignor {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for name in group.members.values().filter_map(|member| member.assignor.as_deref()) {
            *votes.entry(name).or_default() += 1;
        }
        let most = votes.into_iter().max_by_key(|(_, count)| *count);
        let preferred = most.and_then(|(name, _)| Assignor::of_name(name));
        preferred.or(self.limits.assignors.first().copied()).unwrap_or(Assignor::Uniform)
    }

    /// Moves a member one step towards its target.
    pub(super) fn reconcile(
        &mut self,
        group: &str,
        id: &str,
        owned: Option<&[(Uuid, Vec<i32>)]>,
        now: Now,
        out: &mut Effects,
    ) -> ConsumerMember {
        let known = &self.consumers[group];
        let member = &known.members[id];
        let target = known.target_of(member);
        let next = step(known, member, &target, owned);
        if next != *member {
            self.write_assignment(group, &next, now, out);
            let timer = Timer::Revoke { group: group.to_owned(), member: id.to_owned() };
            match next.state {
                MemberState::Unrevoked => {
                    let at = now.mono_ms + next.rebalance_timeout_ms.max(0) as u64;
                    self.timers.set(timer, at);
                }
                _ => self.timers.cancel(&timer),
            }
        }
        next
    }

    fn consumer_leave(
        &mut self,
        request: &ConsumerHeartbeat,
        now: Now,
        out: &mut Effects,
    ) -> Result<ConsumerBeat, Fault> {
        let id = &request.group;
        let Some(group) = self.consumers.get(id) else {
            return match self.groups.contains_key(id) {
                true => refuse(
                    ErrorCode::GroupIdNotFound,
                    format!("Group {id} is not a consumer group."),
                ),
                false => refuse(ErrorCode::GroupIdNotFound, format!("Group {id} not found.")),
            };
        };
        let beat = |epoch| ConsumerBeat {
            member: Some(request.member.clone()),
            epoch,
            interval_ms: 0,
            assignment: None,
        };
        let Some(instance) = &request.instance else {
            if !group.members.contains_key(&request.member) {
                return unknown(id, &request.member);
            }
            self.fence(id, std::slice::from_ref(&request.member), now, out);
            return Ok(beat(request.epoch));
        };
        let member = group.statics.get(instance).and_then(|id| group.members.get(id)).cloned();
        let Some(mut member) = member else {
            let message = format!("Instance id {instance} is unknown.");
            return refuse(ErrorCode::UnknownMemberId, message);
        };
        check_instance(&member, &request.member, instance)?;
        if request.epoch == STATIC_LEFT {
            // It is expected back within its session.
            member.epoch = STATIC_LEFT;
            member.revoking = Assignment::new();
            self.write_assignment(id, &member, now, out);
            return Ok(beat(STATIC_LEFT));
        }
        self.fence(id, std::slice::from_ref(&member.id), now, out);
        Ok(beat(request.epoch))
    }

    /// Removes members; the group may become one of the classic protocol by that.
    pub(super) fn fence(&mut self, id: &str, members: &[String], now: Now, out: &mut Effects) {
        if members.is_empty() {
            return;
        }
        for member in members {
            for timer in member_timers(id, member) {
                self.timers.cancel(&timer);
            }
        }
        if self.downgrade(id, members, now, out) {
            return;
        }
        let group = &self.consumers[id];
        let gone = |member: &ConsumerMember| members.contains(&member.id);
        let left: BTreeSet<&str> =
            group.members.values().filter(|m| !gone(m)).filter_map(|m| m.regex()).collect();
        let unused: Vec<String> =
            group.regexes.keys().filter(|r| !left.contains(r.as_str())).cloned().collect();
        for member in members {
            self.write_no_member(id, member, now, out);
        }
        for regex in unused {
            self.write_regex(id, &regex, None, now, out);
        }
        self.follow_topics(id, true, now, out);
    }

    pub(super) fn set_session(&mut self, group: &str, member: &str, now: Now) {
        let classic = self.consumers[group].members.get(member).and_then(|m| m.classic.as_ref());
        let timeout_ms = match classic {
            Some(classic) => classic.session_timeout_ms,
            None => self.group_int(group, "consumer.session.timeout.ms"),
        };
        let timer = Timer::Session { group: group.to_owned(), member: member.to_owned() };
        self.timers.set(timer, now.mono_ms + timeout_ms.max(0) as u64);
    }

    /// A group's own setting, else the broker's.
    fn group_int(&self, group: &str, name: &str) -> i32 {
        const RESOURCE_GROUP: i8 = 32;
        let own = self.image.configs(RESOURCE_GROUP, group);
        let own = own.get(name).and_then(|value| value.parse().ok());
        own.unwrap_or(match name {
            "consumer.session.timeout.ms" => self.limits.consumer_session_timeout_ms,
            _ => self.limits.consumer_heartbeat_ms,
        })
    }

    pub(super) fn write_member(
        &mut self,
        group: &str,
        member: &ConsumerMember,
        now: Now,
        out: &mut Effects,
    ) {
        let key = ConsumerGroupMemberMetadataKey {
            group_id: group.to_owned(),
            member_id: member.id.clone(),
        };
        self.write(key, Some(member.metadata_value().into()), now, out);
    }

    pub(super) fn write_assignment(
        &mut self,
        group: &str,
        member: &ConsumerMember,
        now: Now,
        out: &mut Effects,
    ) {
        let key = ConsumerGroupCurrentMemberAssignmentKey {
            group_id: group.to_owned(),
            member_id: member.id.clone(),
        };
        self.write(key, Some(member.assignment_value().into()), now, out);
    }

    pub(super) fn write_target(
        &mut self,
        group: &str,
        member: &str,
        target: &Assignment,
        now: Now,
        out: &mut Effects,
    ) {
        let key = ConsumerGroupTargetAssignmentMemberKey {
            group_id: group.to_owned(),
            member_id: member.to_owned(),
        };
        self.write(key, Some(target_value(target).into()), now, out);
    }

    pub(super) fn write_no_member(
        &mut self,
        group: &str,
        member: &str,
        now: Now,
        out: &mut Effects,
    ) {
        let (group_id, member_id) = (group.to_owned(), member.to_owned());
        let key = ConsumerGroupCurrentMemberAssignmentKey {
            group_id: group_id.clone(),
            member_id: member_id.clone(),
        };
        self.write(key, None, now, out);
        let key = ConsumerGroupTargetAssignmentMemberKey {
            group_id: group_id.clone(),
            member_id: member_id.clone(),
        };
        self.write(key, None, now, out);
        self.write(ConsumerGroupMemberMetadataKey { group_id, member_id }, None, now, out);
    }

    fn write_regex(
        &mut self,
        group: &str,
        regex: &str,
        value: Option<ConsumerGroupRegularExpressionValue>,
        now: Now,
        out: &mut Effects,
    ) {
        let key = ConsumerGroupRegularExpressionKey {
            group_id: group.to_owned(),
            regular_expression: regex.to_owned(),
        };
        self.write(key, value.map(Into::into), now, out);
    }

    /// Writes a record and takes it over at once: what the log says and what is here cannot differ.
    pub(super) fn write(
        &mut self,
        key: impl Into<ringlog_wire::records::group::Key>,
        value: Option<ringlog_wire::records::group::Value>,
        now: Now,
        out: &mut Effects,
    ) {
        let key = key.into();
        out.records.push(GroupRecord::new(key.clone(), value.clone().map(|v| (v, VERSION))));
        self.apply(now.next_offset, now.unix_ms, None, key, value);
    }
}

/// The timers that a member of a consumer group may have.
pub(super) fn member_timers(group: &str, member: &str) -> [Timer; 4] {
    let (group, member) = (group.to_owned(), member.to_owned());
    let both = || (group.clone(), member.clone());
    let of = |(group, member)| Timer::Session { group, member };
    let revoke = |(group, member)| Timer::Revoke { group, member };
    let rejoin = |(group, member)| Timer::Rejoin { group, member };
    let resync = |(group, member)| Timer::Resync { group, member };
    [of(both()), revoke(both()), rejoin(both()), resync(both())]
}

/// A regular expression that must match the whole of a topic's name.
fn compile(regex: &str) -> Result<Regex, Fault> {
    let config = Regex::config().nfa_size_limit(Some(REGEX_BYTES_MAX));
    let whole = format!("^(?:{regex})$");
    Regex::builder().configure(config).build(&whole).map_err(|error| Fault {
        error: ErrorCode::InvalidRegularExpression,
        message: Some(format!(
            "SubscribedTopicRegex `{regex}` is not a valid regular expression: {error}."
        )),
    })
}

pub(super) fn check_instance(
    existing: &ConsumerMember,
    id: &str,
    instance: &str,
) -> Result<(), Fault> {
    // FENCE: another process is that instance now.
    if existing.id != id {
        let message = format!(
            "Static member {id} with instance id {instance} was fenced by member {}.",
            existing.id
        );
        return refuse(ErrorCode::FencedInstanceId, message);
    }
    Ok(())
}

fn check_epoch(member: &ConsumerMember, request: &ConsumerHeartbeat) -> Result<(), Fault> {
    let received = request.epoch;
    // FENCE: a member that does not know its epoch does not know its partitions.
    let which = match received.cmp(&member.epoch) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Greater => "greater",
        // The answer with the newer epoch was perhaps lost.
        std::cmp::Ordering::Less
            if received == member.previous_epoch && owns_less(member, request) =>
        {
            return Ok(());
        }
        std::cmp::Ordering::Less => "smaller",
    };
    refuse(
        ErrorCode::FencedMemberEpoch,
        format!(
            "The consumer group member has a {which} member epoch ({received}) than the one known \
             by the group coordinator ({}). The member must abandon all its partitions and \
             rejoin.",
            member.epoch
        ),
    )
}

/// Whether a member says that it has nothing but what it was given.
fn owns_less(member: &ConsumerMember, request: &ConsumerHeartbeat) -> bool {
    let Some(owned) = &request.owned else { return false };
    owned.iter().all(|(topic, partitions)| {
        let assigned = member.assigned.get(topic);
        assigned.is_some_and(|assigned| partitions.iter().all(|p| assigned.contains(p)))
    })
}

//! Groups that change their protocol while members are in them: to the consumer protocol when the
//! first member of it joins, and back when the last one is gone.

use std::collections::BTreeMap;

use ringlog_wire::records::group::{
    ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue,
};

use super::beat::{member_timers, refuse};
use super::classic::{CONSUMER_PROTOCOL, ClassicGroup, ClassicState};
use super::consumer::{Assignment, ClassicMember, ConsumerGroup, ConsumerMember, MemberState};
use super::coordinator::{Effects, GroupCore, Now};
use super::embedded;
use super::member::Member;
use super::request::{Fault, GroupAnswer, Joined, Synced};
use super::timers::Timer;
use crate::error_code::ErrorCode;

impl GroupCore {
    /// Makes a consumer group of a classic one. Its members keep what they have, and go on with
    /// the classic protocol.
    pub(super) fn upgrade(&mut self, id: &str, now: Now, out: &mut Effects) -> Result<(), Fault> {
        let classic = self.groups.get(id).expect("the caller has looked");
        let cannot = |why: &str| {
            let message =
                format!("Cannot upgrade classic group {id} to consumer group because {why}");
            refuse(ErrorCode::GroupIdNotFound, message)
        };
        if !self.limits.may_upgrade {
            return cannot("online upgrade is disabled.");
        }
        if !classic.is_of_consumers() {
            return cannot("the group does not use the consumer embedded protocol.");
        }
        if classic.members.len() > self.limits.consumer_members_max {
            return cannot("the group size exceeds the consumer group maximum size.");
        }
        let mut members = Vec::with_capacity(classic.members.len());
        for member in classic.members.values() {
            match self.upgraded(classic, member) {
                Ok(Some(member)) => members.push(member),
                Ok(None) => {
                    return cannot(
                        "an unsupported custom assignor is in use. Please refer to the \
                         documentation or switch to a default assignor before re-attempting the \
                         upgrade.",
                    );
                }
                Err(_) => return cannot("the embedded consumer protocol is malformed."),
            }
        }
        let epoch = classic.generation;
        self.answer_all(id, ErrorCode::RebalanceInProgress, out);
        self.delete_group(id, out);
        self.consumers.insert(id.to_owned(), ConsumerGroup::new(id));
        for member in &members {
            self.write_member(id, member, now, out);
        }
        let metadata_hash = self.consumers[id].hash(&self.image);
        let group_id = id.to_owned();
        let value = ConsumerGroupMetadataValue { epoch, metadata_hash };
        let key = ConsumerGroupMetadataKey { group_id: group_id.clone() };
        self.write(key, Some(value.into()), now, out);
        for member in &members {
            self.write_target(id, &member.id, &member.assigned, now, out);
        }
        let value = ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch: epoch };
        let key = ConsumerGroupTargetAssignmentMetadataKey { group_id };
        self.write(key, Some(value.into()), now, out);
        for member in &members {
            self.write_assignment(id, member, now, out);
            self.set_session(id, &member.id, now);
        }
        Ok(())
    }

    /// A member as it goes on; `None` if its assignor has said more than the coordinator can keep.
    fn upgraded(
        &self,
        group: &ClassicGroup,
        member: &Member,
    ) -> Result<Option<ConsumerMember>, ringlog_wire::DecodeError> {
        let Some(assigned) = embedded::assignment(&member.assignment)? else { return Ok(None) };
        let first = member.protocols.first().map_or("", |protocol| protocol.name.as_str());
        let protocol = group.protocol.as_deref().unwrap_or(first);
        let subscription = embedded::subscription(member.metadata(protocol))?;
        Ok(Some(ConsumerMember {
            instance: member.instance.clone(),
            rack: subscription.rack,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            topics: subscription.topics,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            classic: Some(ClassicMember {
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols.clone(),
            }),
            epoch: group.generation,
            previous_epoch: group.generation,
            state: MemberState::Stable,
            assigned: embedded::by_id(&assigned, &self.image),
            ..ConsumerMember::new(&member.id)
        }))
    }

    /// Answers all members of a classic group that wait for something.
    fn answer_all(&mut self, id: &str, error: ErrorCode, out: &mut Effects) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let ids: Vec<String> = group.members.keys().cloned().collect();
        for member in ids {
            if let Some(ticket) = group.take_joining(&member) {
                let refused = Joined::refused(member.clone(), error);
                out.answers.push((ticket, GroupAnswer::Joined(refused)));
            }
            let member = group.members.get_mut(&member).expect("it is a member");
            if let Some(ticket) = member.syncing.take() {
                out.answers.push((ticket, GroupAnswer::Synced(Synced::refused(error))));
            }
        }
        let group = id.to_owned();
        self.timers.cancel(&Timer::Join { group: group.clone() });
        self.timers.cancel(&Timer::Sync { group });
    }

    /// Makes a classic group of a consumer group of which only members of the classic protocol are
    /// left without `leaving`; false if that is not so, or not allowed.
    pub(super) fn downgrade(
        &mut self,
        id: &str,
        leaving: &[String],
        now: Now,
        out: &mut Effects,
    ) -> bool {
        let group = &self.consumers[id];
        let left: Vec<&ConsumerMember> =
            group.members.values().filter(|member| !leaving.contains(&member.id)).collect();
        let all_classic = left.iter().all(|member| member.classic.is_some());
        let fits = !left.is_empty() && left.len() <= self.limits.members_max;
        if !all_classic || !fits || !self.limits.may_downgrade {
            return false;
        }
        let mut classic = ClassicGroup::new(id, now.unix_ms);
        classic.state = ClassicState::Stable;
        classic.generation = group.epoch;
        classic.protocol_type = Some(CONSUMER_PROTOCOL.to_owned());
        let mut targets: BTreeMap<String, Assignment> = BTreeMap::new();
        for member in left {
            targets.insert(member.id.clone(), group.target_of(member));
            classic.add(downgraded(member));
        }
        classic.protocol = classic.select_protocol();
        let protocol = classic.protocol.clone().unwrap_or_default();
        for (member, target) in targets {
            let member = classic.members.get_mut(&member).expect("it was added");
            let version =
                embedded::subscription(member.metadata(&protocol)).map_or(0, |s| s.version);
            member.assignment = embedded::to_assignment(&target, version, &self.image);
        }
        classic.subscribed = classic.subscriptions();
        self.write_no_consumer_group(id, now, out);
        out.records.push(classic.record_now());
        self.groups.insert(id.to_owned(), classic);
        self.with_group(id, now, out, |group, turn| {
            for member in group.members.keys() {
                group.restart_session(member, turn);
            }
            group.prepare_rebalance(turn);
        });
        true
    }

    /// Deletes everything that the log says of a consumer group.
    pub(super) fn write_no_consumer_group(&mut self, id: &str, now: Now, out: &mut Effects) {
        let Some(group) = self.consumers.get(id) else { return };
        let members: Vec<String> = group.members.keys().cloned().collect();
        let regexes: Vec<String> = group.regexes.keys().cloned().collect();
        for member in &members {
            for timer in member_timers(id, member) {
                self.timers.cancel(&timer);
            }
            self.write_no_member(id, member, now, out);
        }
        let group_id = id.to_owned();
        for regular_expression in regexes {
            let group_id = group_id.clone();
            let key = ConsumerGroupRegularExpressionKey { group_id, regular_expression };
            self.write(key, None, now, out);
        }
        let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: group_id.clone() };
        self.write(key, None, now, out);
        self.write(ConsumerGroupMetadataKey { group_id }, None, now, out);
    }
}

fn downgraded(member: &ConsumerMember) -> Member {
    let classic = member.classic.clone().expect("it speaks the classic protocol");
    Member {
        id: member.id.clone(),
        instance: member.instance.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms: classic.session_timeout_ms,
        protocols: classic.protocols,
        assignment: Vec::new(),
        joining: None,
        syncing: None,
        is_new: false,
    }
}

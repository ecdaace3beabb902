//! Members of a consumer group that speak the classic protocol: JoinGroup, SyncGroup, Heartbeat and
//! LeaveGroup as ways to learn and to follow the coordinator's assignment. None of them leads.

use super::beat::check_instance;
use super::classic::CONSUMER_PROTOCOL;
use super::consumer::{ClassicMember, ConsumerMember, MemberState};
use super::coordinator::{Effects, GroupCore, Now};
use super::embedded::{self, by_id, to_assignment};
use super::request::{
    CommitOffsets, FetchOffsets, Heartbeat, JoinGroup, Joined, Leaving, SyncGroup, Synced,
};
use super::timers::Timer;
use crate::error_code::ErrorCode;

impl GroupCore {
    /// The answer to a join; `None` if the group has become a classic one, which is to answer.
    pub(super) fn join_consumer_group(
        &mut self,
        request: &mut JoinGroup,
        now: Now,
        out: &mut Effects,
    ) -> Option<Joined> {
        let id = request.group.clone();
        let group = &self.consumers[&id];
        let is_new = request.member.is_empty();
        if is_new {
            request.member.clone_from(&request.new_id);
        }
        let member_id = request.member.clone();
        let refused = |error| Some(Joined::refused("", error));
        let known = group.members.contains_key(&member_id);
        if group.members.len() >= self.limits.consumer_members_max && !known {
            return refused(ErrorCode::GroupMaxSizeReached);
        }
        if !group.supports(&request.protocol_type, &request.protocols) {
            return refused(ErrorCode::InconsistentGroupProtocol);
        }
        if is_new && request.instance.is_none() && request.needs_member_id {
            return Some(Joined::refused(member_id, ErrorCode::MemberIdRequired));
        }
        let first = request.protocols.first().map_or(&[][..], |protocol| &protocol.metadata);
        let Ok(subscription) = embedded::subscription(first) else {
            return refused(ErrorCode::UnknownServerError);
        };
        let member = match self.classic_member_for(request, is_new, now, out) {
            Ok(member) => member,
            Err(error) => return refused(error),
        };
        let mut updated = member.clone();
        updated.instance = request.instance.clone().or(updated.instance);
        updated.rack = subscription.rack.or(updated.rack);
        updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
        updated.topics = subscription.topics;
        updated.client_id.clone_from(&request.client_id);
        updated.client_host.clone_from(&request.client_host);
        updated.classic = Some(ClassicMember {
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols.clone(),
        });
        self.follow_member(&id, &member, updated, now, out);
        if self.downgrade(&id, &[], now, out) {
            return None;
        }
        self.update_target(&id, now, out);
        let owned = by_id(&subscription.owned, &self.image);
        let owned: Vec<_> = owned.into_iter().map(|(t, ps)| (t, Vec::from_iter(ps))).collect();
        let member = self.reconcile(&id, &member_id, Some(&owned), now, out);
        self.timers.cancel(&Timer::Rejoin { group: id.clone(), member: member_id.clone() });
        self.set_session(&id, &member_id, now);
        let timer = Timer::Resync { group: id, member: member_id.clone() };
        self.timers.set(timer, now.mono_ms + request.rebalance_timeout_ms.max(0) as u64);
        Some(Joined {
            error: ErrorCode::None,
            generation: member.epoch,
            protocol_type: Some(CONSUMER_PROTOCOL.to_owned()),
            protocol: request.protocols.first().map(|protocol| protocol.name.clone()),
            ..Joined::refused(member_id, ErrorCode::None)
        })
    }

    fn classic_member_for(
        &mut self,
        request: &JoinGroup,
        is_new: bool,
        now: Now,
        out: &mut Effects,
    ) -> Result<ConsumerMember, ErrorCode> {
        let group = &self.consumers[&request.group];
        let id = &request.member;
        let fresh = || ConsumerMember::new(id);
        let Some(instance) = &request.instance else {
            return Ok(group.members.get(id).cloned().unwrap_or_else(fresh));
        };
        let existing = group.statics.get(instance).and_then(|id| group.members.get(id)).cloned();
        match existing {
            Some(existing) if is_new => {
                Ok(self.replace_consumer(&request.group, &existing, id, now, out))
            }
            Some(existing) => match check_instance(&existing, id, instance) {
                Ok(()) => Ok(existing),
                Err(fault) => Err(fault.error),
            },
            None if is_new => Ok(fresh()),
            None => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// A member that speaks the classic protocol, if a request is of one.
    fn check_classic(
        &self,
        group: &str,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<&ConsumerMember, ErrorCode> {
        let group = &self.consumers[group];
        let member = match instance {
            None => group.members.get(id),
            Some(instance) => {
                let member = group.statics.get(instance).and_then(|id| group.members.get(id));
                if let Some(member) = member {
                    check_instance(member, id, instance).map_err(|fault| fault.error)?;
                }
                member
            }
        };
        let member = member.filter(|member| member.classic.is_some());
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        // FENCE: what it was assigned is of another epoch.
        match member.epoch == generation {
            true => Ok(member),
            false => Err(ErrorCode::IllegalGeneration),
        }
    }

    /// A member must join again within its time, counted from when it was first told.
    fn must_rejoin(&mut self, group: &str, member: &str, timeout_ms: i32, now: Now) {
        let timer = Timer::Rejoin { group: group.to_owned(), member: member.to_owned() };
        if !self.timers.is_set(&timer) {
            self.timers.set(timer, now.mono_ms + timeout_ms.max(0) as u64);
        }
    }

    pub(super) fn sync_consumer_group(&mut self, request: &SyncGroup, now: Now) -> Synced {
        let (id, instance) = (&request.group, request.instance.as_deref());
        let member = match self.check_classic(id, &request.member, instance, request.generation) {
            Ok(member) => member.clone(),
            Err(error) => return Synced::refused(error),
        };
        let protocols = member.classic.as_ref().map(|classic| &classic.protocols);
        let first = protocols.and_then(|protocols| protocols.first()).cloned().unwrap_or_default();
        let other = |said: &Option<String>, is: &str| said.as_ref().is_some_and(|said| said != is);
        if other(&request.protocol_type, CONSUMER_PROTOCOL) || other(&request.protocol, &first.name)
        {
            return Synced::refused(ErrorCode::InconsistentGroupProtocol);
        }
        let newer = self.consumers[id].epoch > member.epoch;
        if newer && member.state != MemberState::Unrevoked {
            self.must_rejoin(id, &member.id, member.rebalance_timeout_ms, now);
            return Synced::refused(ErrorCode::RebalanceInProgress);
        }
        self.timers.cancel(&Timer::Resync { group: id.clone(), member: member.id.clone() });
        self.set_session(id, &member.id, now);
        let version = embedded::subscription(&first.metadata).map_or(0, |s| s.version);
        Synced {
            error: ErrorCode::None,
            protocol_type: request.protocol_type.clone(),
            protocol: request.protocol.clone(),
            assignment: to_assignment(&member.assigned, version, &self.image),
        }
    }

    pub(super) fn heartbeat_consumer_group(&mut self, request: &Heartbeat, now: Now) -> ErrorCode {
        let (id, instance) = (&request.group, request.instance.as_deref());
        let member = match self.check_classic(id, &request.member, instance, request.generation) {
            Ok(member) => member.clone(),
            Err(error) => return error,
        };
        self.set_session(id, &member.id, now);
        let group = &self.consumers[id];
        let target = group.target_of(&member);
        let waits = target.iter().any(|(topic, partitions)| {
            let has = member.assigned.get(topic);
            partitions.iter().any(|partition| {
                !has.is_some_and(|has| has.contains(partition))
                    && group.is_owned(*topic, *partition)
            })
        });
        let rejoin = member.epoch < group.epoch
            || member.state == MemberState::Unrevoked
            || (member.state == MemberState::Unreleased && !waits);
        if !rejoin {
            return ErrorCode::None;
        }
        self.must_rejoin(id, &member.id, member.rebalance_timeout_ms, now);
        ErrorCode::RebalanceInProgress
    }

    pub(super) fn leave_consumer_group(
        &mut self,
        id: &str,
        members: &[Leaving],
        now: Now,
        out: &mut Effects,
    ) -> Vec<ErrorCode> {
        let group = &self.consumers[id];
        let (mut errors, mut leaving) = (Vec::with_capacity(members.len()), Vec::new());
        for one in members {
            let found = match &one.instance {
                None => group.members.get(&one.member).ok_or(ErrorCode::UnknownMemberId),
                Some(instance) => {
                    let member = group.statics.get(instance).and_then(|id| group.members.get(id));
                    match member {
                        None => Err(ErrorCode::UnknownMemberId),
                        // An administrator names the instance alone.
                        Some(member) if one.member.is_empty() => Ok(member),
                        Some(member) => check_instance(member, &one.member, instance)
                            .map(|()| member)
                            .map_err(|fault| fault.error),
                    }
                }
            };
            errors.push(found.as_ref().err().copied().unwrap_or(ErrorCode::None));
            if let Ok(member) = found
                && !leaving.contains(&member.id)
            {
                leaving.push(member.id.clone());
            }
        }
        self.fence(id, &leaving, now, out);
        errors
    }

    /// Whether a member of a consumer group may commit (`ConsumerGroup.validateOffsetCommit`).
    pub(super) fn accept_consumer_commit(&self, request: &CommitOffsets) -> Result<(), ErrorCode> {
        let group = &self.consumers[&request.group];
        if request.generation < 0 && group.members.is_empty() {
            return Ok(());
        }
        let member = group.members.get(&request.member).ok_or(ErrorCode::UnknownMemberId)?;
        if member.classic.is_none() && !request.knows_missing_groups {
            return Err(ErrorCode::UnsupportedVersion);
        }
        check_epoch(member, request.generation)
    }

    /// Whether a member of a consumer group may ask for offsets.
    pub(super) fn accept_consumer_fetch(&self, request: &FetchOffsets) -> Result<(), ErrorCode> {
        let Some(id) = &request.member else {
            return match request.member_epoch {
                i32::MIN..0 => Ok(()),
                _ => Err(ErrorCode::UnknownMemberId),
            };
        };
        let member = self.consumers[&request.group].members.get(id);
        check_epoch(member.ok_or(ErrorCode::UnknownMemberId)?, request.member_epoch)
    }
}

fn check_epoch(member: &ConsumerMember, epoch: i32) -> Result<(), ErrorCode> {
    // FENCE: its partitions may be another's.
    match member.epoch == epoch {
        true => Ok(()),
        false if member.classic.is_some() => Err(ErrorCode::IllegalGeneration),
        false => Err(ErrorCode::StaleMemberEpoch),
    }
}

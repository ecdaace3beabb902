//! JoinGroup, and the rebalance up to the moment when its members are known.

use super::classic::{ClassicGroup, ClassicState, InitialDelay};
use super::coordinator::{Effects, GroupCore, Now, Turn};
use super::member::Member;
use super::request::{GroupAnswer, JoinGroup, Joined, Synced, Ticket};
use super::timers::Timer;
use crate::error_code::ErrorCode;

/// How long a member that does not know its id yet is kept
/// (`CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`).
const NEW_MEMBER_TIMEOUT_MS: u64 = 5 * 60 * 1000;
/// Longest name of a member, so that it fits every version of every message.
const MEMBER_ID_BYTES_MAX: usize = i16::MAX as usize;

impl GroupCore {
    pub(super) fn join(
        &mut self,
        ticket: Ticket,
        mut request: JoinGroup,
        now: Now,
        out: &mut Effects,
    ) {
        let member = request.member.clone();
        let refuse = |error| GroupAnswer::Joined(Joined::refused(member.clone(), error));
        if request.group.is_empty() {
            return out.answers.push((ticket, refuse(ErrorCode::InvalidGroupId)));
        }
        let limits = &self.limits;
        let timeouts = limits.session_timeout_min_ms..=limits.session_timeout_max_ms;
        if !timeouts.contains(&request.session_timeout_ms) {
            return out.answers.push((ticket, refuse(ErrorCode::InvalidSessionTimeout)));
        }
        let id = request.group.clone();
        match self.consumers.get(&id).map(|group| group.members.is_empty()) {
            // Nobody speaks for the consumer protocol any more.
            Some(true) => self.write_no_consumer_group(&id, now, out),
            Some(false) => {
                if let Some(joined) = self.join_consumer_group(&mut request, now, out) {
                    return out.answers.push((ticket, GroupAnswer::Joined(joined)));
                }
            }
            None => {}
        }
        let is_new_group = !self.groups.contains_key(&id);
        if is_new_group {
            if !request.member.is_empty() {
                return out.answers.push((ticket, refuse(ErrorCode::UnknownMemberId)));
            }
            self.groups.insert(id.clone(), ClassicGroup::new(&id, now.unix_ms));
        }
        self.with_group(&id, now, out, |group, turn| group.join(ticket, request, turn));
        if is_new_group && out.records.is_empty() {
            // From now on the group is there, whatever becomes of this member.
            out.records.push(ClassicGroup::new(&id, now.unix_ms).record_now());
        }
    }
}

impl ClassicGroup {
    fn join(&mut self, ticket: Ticket, request: JoinGroup, turn: &mut Turn<'_>) {
        let refuse = |member: &str, error| GroupAnswer::Joined(Joined::refused(member, error));
        if !self.has_room_for(&request.member, turn) {
            self.drop_member(&request.member, turn);
            turn.answer(ticket, refuse("", ErrorCode::GroupMaxSizeReached));
            return self.complete_if_all(turn);
        }
        if !self.supports(&request.protocol_type, &request.protocols) {
            let error = ErrorCode::InconsistentGroupProtocol;
            return turn.answer(ticket, refuse(&request.member, error));
        }
        if request.member.is_empty() {
            return self.join_new(ticket, request, turn);
        }
        if request.instance.is_none() && self.pending_join.contains(&request.member) {
            let id = request.member.clone();
            return self.add_member(id, ticket, request, turn);
        }
        let known = self.check_member(&request.member, request.instance.as_deref());
        match known {
            Err(error) => turn.answer(ticket, refuse(&request.member, error)),
            Ok(()) => self.join_again(ticket, request, turn),
        }
    }

    /// Whether group.max.size leaves room. While members join, those count that have: the last to
    /// come again are turned away.
    fn has_room_for(&self, id: &str, turn: &Turn<'_>) -> bool {
        let max = turn.limits.members_max;
        match self.state {
            ClassicState::Empty => true,
            ClassicState::PreparingRebalance => {
                self.members.get(id).is_some_and(|member| member.joining.is_some())
                    || self.awaiting_join() < max
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.members.contains_key(id) || self.members.len() < max
            }
        }
    }

    fn join_new(&mut self, ticket: Ticket, request: JoinGroup, turn: &mut Turn<'_>) {
        let name = request.instance.as_ref().unwrap_or(&request.client_id);
        let id = format!("{name}-{}", request.new_id);
        if id.len() > MEMBER_ID_BYTES_MAX {
            let refused = Joined::refused("", ErrorCode::InvalidRequest);
            return turn.answer(ticket, GroupAnswer::Joined(refused));
        }
        let known = request.instance.as_ref().and_then(|instance| self.statics.get(instance));
        match known.cloned() {
            Some(old) => self.replace_member(&old, id, ticket, request, turn),
            None if request.instance.is_none() && request.needs_member_id => {
                let timer = self.session_timer(&id);
                let timeout_ms = request.session_timeout_ms.max(0) as u64;
                turn.timers.set(timer, turn.in_ms(timeout_ms));
                let refused = Joined::refused(id.clone(), ErrorCode::MemberIdRequired);
                self.pending_join.insert(id);
                turn.answer(ticket, GroupAnswer::Joined(refused));
            }
            None => self.add_member(id, ticket, request, turn),
        }
    }

    /// A member that the group knows joins again.
    fn join_again(&mut self, ticket: Ticket, request: JoinGroup, turn: &mut Turn<'_>) {
        let member = &self.members[&request.member];
        let same = member.protocols == request.protocols;
        let leads = self.is_leader(&request.member);
        let answers_now = match self.state {
            // It has perhaps not heard the answer to its join.
            ClassicState::CompletingRebalance => same,
            // The leader joins to have everything assigned anew.
            ClassicState::Stable => same && !leads,
            ClassicState::PreparingRebalance => false,
            ClassicState::Empty => {
                let refused = Joined::refused(request.member, ErrorCode::UnknownMemberId);
                return turn.answer(ticket, GroupAnswer::Joined(refused));
            }
        };
        if answers_now {
            let joined = self.joined(&request.member);
            return turn.answer(ticket, GroupAnswer::Joined(joined));
        }
        let timeouts = (request.rebalance_timeout_ms, request.session_timeout_ms);
        let before = self.update_member(&request.member, request.protocols, timeouts, Some(ticket));
        self.supersede(before, &request.member, turn);
        self.rebalance_or_complete(turn);
    }

    /// A member asks twice: the first time will not be answered otherwise.
    fn supersede(&self, ticket: Option<Ticket>, member: &str, turn: &mut Turn<'_>) {
        if let Some(ticket) = ticket {
            let refused = Joined::refused(member, ErrorCode::RebalanceInProgress);
            turn.answer(ticket, GroupAnswer::Joined(refused));
        }
    }

    fn add_member(&mut self, id: String, ticket: Ticket, request: JoinGroup, turn: &mut Turn<'_>) {
        if let Some(initial) = &mut self.initial {
            initial.member_added = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        turn.timers.set(self.session_timer(&id), turn.in_ms(NEW_MEMBER_TIMEOUT_MS));
        self.add(Member::joining(id, request, ticket));
        self.rebalance_or_complete(turn);
    }

    /// A static member has started anew, and gets the place that it had.
    fn replace_member(
        &mut self,
        old: &str,
        new: String,
        ticket: Ticket,
        request: JoinGroup,
        turn: &mut Turn<'_>,
    ) {
        let instance = request.instance.clone().unwrap_or_default();
        let leader_before = self.leader.clone().unwrap_or_default();
        let was = self.replace_static(&instance, old, &new);
        let timeouts = (request.rebalance_timeout_ms, request.session_timeout_ms);
        self.update_member(&new, request.protocols, timeouts, Some(ticket));
        let goes_on = self.state == ClassicState::Stable && self.select_protocol() == self.protocol;
        if goes_on {
            let record = self.record_now();
            if !turn.fits(&record) {
                self.remove(&new);
                self.add(was);
                self.leader = Some(leader_before);
                let refused = Joined::refused("", ErrorCode::UnknownServerError);
                return turn.answer(ticket, GroupAnswer::Joined(refused));
            }
            turn.out.records.push(record);
        }
        // FENCE: whoever was that instance until now hears that it is not any more.
        let fenced = ErrorCode::FencedInstanceId;
        if let Some(ticket) = was.joining {
            turn.answer(ticket, GroupAnswer::Joined(Joined::refused(old, fenced)));
        }
        if let Some(ticket) = was.syncing {
            turn.answer(ticket, GroupAnswer::Synced(Synced::refused(fenced)));
        }
        self.restart_session(&new, turn);
        match self.state {
            ClassicState::Stable if !goes_on => self.prepare_rebalance(turn),
            ClassicState::Stable => {
                let leads = self.is_leader(&new);
                let mut joined = self.joined(&new);
                match request.may_skip_assignment {
                    true => joined.skip_assignment = leads,
                    // It believes in the leader that was, and so does not assign.
                    false => (joined.leader, joined.members) = (leader_before, Vec::new()),
                }
                self.take_joining(&new);
                turn.answer(ticket, GroupAnswer::Joined(joined));
            }
            // The leader may assign to the old id.
            ClassicState::CompletingRebalance => self.prepare_rebalance(turn),
            ClassicState::PreparingRebalance | ClassicState::Empty => self.complete_if_all(turn),
        }
    }

    /// What a member is told about the generation that it is in.
    fn joined(&self, id: &str) -> Joined {
        Joined {
            error: ErrorCode::None,
            member: id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            members: if self.is_leader(id) { self.joined_members() } else { Vec::new() },
        }
    }

    pub(super) fn rebalance_or_complete(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            ClassicState::PreparingRebalance => self.complete_if_all(turn),
            _ => self.prepare_rebalance(turn),
        }
    }

    pub(super) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == ClassicState::CompletingRebalance {
            self.assign_nothing(ErrorCode::RebalanceInProgress, turn);
        }
        self.stop_waiting_for_sync(turn);
        let was_empty = self.state == ClassicState::Empty;
        self.become_state(ClassicState::PreparingRebalance, turn.now.unix_ms);
        if was_empty {
            // The group is new: others are about to come.
            let delay_ms = turn.limits.initial_delay_ms;
            let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms);
            self.initial = Some(InitialDelay { delay_ms, remaining_ms, member_added: false });
            turn.timers.set(self.join_timer(), turn.in_ms(delay_ms));
        } else if self.has_all_joined() {
            self.complete_join(turn);
        } else {
            turn.timers.set(self.join_timer(), turn.in_ms(self.rebalance_timeout_ms()));
        }
    }

    /// Completes a rebalance that has nobody to wait for; a first one waits for its time.
    pub(super) fn complete_if_all(&mut self, turn: &mut Turn<'_>) {
        let preparing = self.state == ClassicState::PreparingRebalance;
        if preparing && self.initial.is_none() && self.has_all_joined() {
            self.complete_join(turn);
        }
    }

    /// The time for joining is over.
    pub(super) fn join_is_due(&mut self, turn: &mut Turn<'_>) {
        match &mut self.initial {
            Some(initial) if initial.member_added && initial.remaining_ms > 0 => {
                let delay_ms = turn.limits.initial_delay_ms.min(initial.remaining_ms);
                initial.remaining_ms = initial.remaining_ms.saturating_sub(initial.delay_ms);
                (initial.delay_ms, initial.member_added) = (delay_ms, false);
                turn.timers.set(self.join_timer(), turn.in_ms(delay_ms));
            }
            _ => self.complete_join(turn),
        }
    }

    /// Goes on with those that have joined.
    pub(super) fn complete_join(&mut self, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.join_timer());
        let late = self.members.values();
        let late = late.filter(|member| member.joining.is_none() && member.instance.is_none());
        let late: Vec<String> = late.map(|member| member.id.clone()).collect();
        for id in late {
            self.drop_member(&id, turn);
        }
        if !self.elect_joined_leader() && !self.members.is_empty() {
            // Static members that have not come yet: wait for them until their sessions end.
            turn.timers.set(self.join_timer(), turn.in_ms(self.rebalance_timeout_ms()));
            return;
        }
        self.initial = None;
        self.next_generation(turn.now.unix_ms);
        if self.state == ClassicState::Empty {
            turn.out.records.push(self.record_now());
            return;
        }
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in &ids {
            if let Some(ticket) = self.take_joining(id) {
                let joined = self.joined(id);
                turn.answer(ticket, GroupAnswer::Joined(joined));
            }
            self.restart_session(id, turn);
            self.members.get_mut(id).expect("it is a member").is_new = false;
            self.pending_sync.insert(id.clone());
        }
        turn.timers.set(self.sync_timer(), turn.in_ms(self.rebalance_timeout_ms()));
    }

    /// Lets go of a member, with what it waits for and its timer.
    pub(super) fn drop_member(&mut self, id: &str, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.session_timer(id));
        let Some(member) = self.remove(id) else { return };
        // If it is still there it will join again.
        let unknown = ErrorCode::UnknownMemberId;
        if let Some(ticket) = member.joining {
            turn.answer(ticket, GroupAnswer::Joined(Joined::refused("", unknown)));
        }
        if let Some(ticket) = member.syncing {
            turn.answer(ticket, GroupAnswer::Synced(Synced::refused(unknown)));
        }
    }

    pub(super) fn restart_session(&self, id: &str, turn: &mut Turn<'_>) {
        let timeout_ms = self.members[id].session_timeout_ms.max(0) as u64;
        turn.timers.set(self.session_timer(id), turn.in_ms(timeout_ms));
    }

    /// A member has been silent for too long.
    pub(super) fn session_is_over(&mut self, id: &str, turn: &mut Turn<'_>) {
        match self.members.get(id) {
            Some(member) if member.is_excused() => return,
            None if !self.pending_join.contains(id) => return,
            _ => {}
        }
        let was_member = self.members.contains_key(id);
        self.drop_member(id, turn);
        match self.state {
            ClassicState::Stable | ClassicState::CompletingRebalance if was_member => {
                self.prepare_rebalance(turn);
            }
            ClassicState::PreparingRebalance if self.has_all_joined() => self.complete_join(turn),
            _ => {}
        }
    }

    /// Loaded from the log: every member gets its time, and one too many is one too many.
    pub(super) fn start_after_load(&mut self, turn: &mut Turn<'_>) {
        for id in self.members.keys() {
            self.restart_session(id, turn);
        }
        if self.members.len() > turn.limits.members_max {
            self.prepare_rebalance(turn);
        }
    }

    fn join_timer(&self) -> Timer {
        Timer::Join { group: self.id.clone() }
    }

    pub(super) fn sync_timer(&self) -> Timer {
        Timer::Sync { group: self.id.clone() }
    }

    pub(super) fn session_timer(&self, member: &str) -> Timer {
        Timer::Session { group: self.id.clone(), member: member.to_owned() }
    }
}

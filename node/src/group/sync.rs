//! SyncGroup: the leader's assignment, on its way to the members; and what members say while the
//! group is stable.

use std::collections::BTreeMap;

use super::classic::{ClassicGroup, ClassicState};
use super::coordinator::{Effects, GroupCore, Now, Turn};
use super::request::{CommitOffsets, GroupAnswer, Heartbeat, SyncGroup, Synced, Ticket};
use crate::error_code::ErrorCode;

impl GroupCore {
    pub(super) fn sync(&mut self, ticket: Ticket, request: SyncGroup, now: Now, out: &mut Effects) {
        let id = request.group.clone();
        if self.consumers.contains_key(&id) {
            let synced = self.sync_consumer_group(&request, now);
            return out.answers.push((ticket, GroupAnswer::Synced(synced)));
        }
        let refused =
            if id.is_empty() { ErrorCode::InvalidGroupId } else { ErrorCode::UnknownMemberId };
        let known = self.with_group(&id, now, out, |group, turn| group.sync(ticket, request, turn));
        if known.is_none() {
            out.answers.push((ticket, GroupAnswer::Synced(Synced::refused(refused))));
        }
    }
}

impl ClassicGroup {
    fn sync(&mut self, ticket: Ticket, request: SyncGroup, turn: &mut Turn<'_>) {
        let refuse = |error| GroupAnswer::Synced(Synced::refused(error));
        if let Err(error) = self.check_sync(&request) {
            return turn.answer(ticket, refuse(error));
        }
        match self.state {
            ClassicState::Empty => turn.answer(ticket, refuse(ErrorCode::UnknownMemberId)),
            ClassicState::PreparingRebalance => {
                turn.answer(ticket, refuse(ErrorCode::RebalanceInProgress));
            }
            ClassicState::CompletingRebalance => {
                self.synced(&request.member, turn);
                let member = self.members.get_mut(&request.member).expect("it was checked");
                let before = member.syncing.replace(ticket);
                if let Some(ticket) = before {
                    turn.answer(ticket, refuse(ErrorCode::RebalanceInProgress));
                }
                if self.is_leader(&request.member) {
                    self.assign(request.assignments, turn);
                }
            }
            ClassicState::Stable => {
                self.synced(&request.member, turn);
                let assigned = self.assigned(&request.member);
                turn.answer(ticket, GroupAnswer::Synced(assigned));
            }
        }
    }

    fn check_sync(&self, request: &SyncGroup) -> Result<(), ErrorCode> {
        self.check_member(&request.member, request.instance.as_deref())?;
        // FENCE: an assignment is of one generation.
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let contradicts = |said: &Option<String>, is: &Option<String>| {
            said.is_some() && is.is_some() && said != is
        };
        let other = contradicts(&request.protocol_type, &self.protocol_type)
            || contradicts(&request.protocol, &self.protocol);
        if other { Err(ErrorCode::InconsistentGroupProtocol) } else { Ok(()) }
    }

    /// A member has asked for its assignment.
    fn synced(&mut self, id: &str, turn: &mut Turn<'_>) {
        self.pending_sync.remove(id);
        if self.pending_sync.is_empty() {
            turn.timers.cancel(&self.sync_timer());
        }
    }

    /// The leader has assigned; whom it has forgotten gets nothing.
    fn assign(&mut self, assignments: Vec<(String, Vec<u8>)>, turn: &mut Turn<'_>) {
        let assignments: BTreeMap<String, Vec<u8>> = assignments.into_iter().collect();
        let record = self.record(assignments.clone());
        if !turn.fits(&record) {
            self.assign_nothing(ErrorCode::UnknownServerError, turn);
            return self.prepare_rebalance(turn);
        }
        turn.out.records.push(record);
        for (id, member) in &mut self.members {
            member.assignment = assignments.get(id).cloned().unwrap_or_default();
        }
        self.become_state(ClassicState::Stable, turn.now.unix_ms);
        self.tell_assignments(ErrorCode::None, turn);
    }

    /// Whoever waits for an assignment gets an error.
    pub(super) fn assign_nothing(&mut self, error: ErrorCode, turn: &mut Turn<'_>) {
        self.members.values_mut().for_each(|member| member.assignment.clear());
        self.tell_assignments(error, turn);
    }

    fn tell_assignments(&mut self, error: ErrorCode, turn: &mut Turn<'_>) {
        let waiting = self.members.values_mut();
        let waiting = waiting.filter_map(|m| Some((m.id.clone(), m.syncing.take()?)));
        let waiting: Vec<(String, Ticket)> = waiting.collect();
        for (id, ticket) in waiting {
            let answer = match error {
                ErrorCode::None => self.assigned(&id),
                error => Synced::refused(error),
            };
            turn.answer(ticket, GroupAnswer::Synced(answer));
            self.restart_session(&id, turn);
        }
    }

    fn assigned(&self, id: &str) -> Synced {
        Synced {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.members[id].assignment.clone(),
        }
    }

    pub(super) fn stop_waiting_for_sync(&mut self, turn: &mut Turn<'_>) {
        self.pending_sync.clear();
        turn.timers.cancel(&self.sync_timer());
    }

    /// The time for asking for assignments is over: whoever has not is let go.
    pub(super) fn sync_is_due(&mut self, turn: &mut Turn<'_>) {
        let waiting =
            matches!(self.state, ClassicState::CompletingRebalance | ClassicState::Stable);
        if !waiting || self.pending_sync.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.pending_sync) {
            self.drop_member(&id, turn);
        }
        self.prepare_rebalance(turn);
    }

    pub(super) fn heartbeat(&mut self, request: &Heartbeat, turn: &mut Turn<'_>) -> ErrorCode {
        if let Err(error) = self.check_member(&request.member, request.instance.as_deref()) {
            return error;
        }
        // FENCE: a member of another generation has missed a rebalance.
        if request.generation != self.generation {
            return ErrorCode::IllegalGeneration;
        }
        self.restart_session(&request.member, turn);
        match self.state {
            ClassicState::PreparingRebalance => ErrorCode::RebalanceInProgress,
            _ => ErrorCode::None,
        }
    }

    /// Whether offsets may be committed (`ClassicGroup.validateOffsetCommit`).
    pub(super) fn accept_commit(
        &mut self,
        request: &CommitOffsets,
        turn: &mut Turn<'_>,
    ) -> Result<(), ErrorCode> {
        if request.generation < 0 && self.state == ClassicState::Empty {
            // An administrator, or a consumer that assigns its partitions to itself.
            return Ok(());
        }
        let says_who =
            request.generation >= 0 || !request.member.is_empty() || request.instance.is_some();
        if !says_who {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.check_member(&request.member, request.instance.as_deref())?;
        // FENCE: its partitions may be another's in the new generation.
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.state == ClassicState::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        // A commit is a sign of life too.
        self.restart_session(&request.member, turn);
        Ok(())
    }
}

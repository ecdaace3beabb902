//! LeaveGroup.

use super::classic::{ClassicGroup, ClassicState};
use super::coordinator::Turn;
use super::request::Leaving;
use crate::error_code::ErrorCode;

impl ClassicGroup {
    /// Lets members go; says for each whether it was one.
    pub(super) fn leave(&mut self, members: &[Leaving], turn: &mut Turn<'_>) -> Vec<ErrorCode> {
        let errors: Vec<ErrorCode> =
            members.iter().map(|leaving| self.leave_one(leaving, turn)).collect();
        if errors.contains(&ErrorCode::None) && self.state != ClassicState::Empty {
            self.rebalance_or_complete(turn);
        }
        errors
    }

    fn leave_one(&mut self, leaving: &Leaving, turn: &mut Turn<'_>) -> ErrorCode {
        let instance = leaving.instance.as_deref();
        let id = match leaving.member.as_str() {
            // An administrator removes a static member.
            "" => match instance.and_then(|instance| self.statics.get(instance)) {
                Some(id) => id.clone(),
                None => return ErrorCode::UnknownMemberId,
            },
            pending if self.pending_join.contains(pending) => pending.to_owned(),
            id => match self.check_member(id, instance) {
                Ok(()) => id.to_owned(),
                Err(error) => return error,
            },
        };
        self.drop_member(&id, turn);
        ErrorCode::None
    }
}

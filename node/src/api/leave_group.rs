//! LeaveGroup: members leave a classic group, or are removed from it.

use std::rc::Rc;

use ringlog_wire::messages::leave_group_response::MemberResponse;
use ringlog_wire::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::error_code::ErrorCode;
use crate::group::{GroupAnswer, GroupRequest, LeaveGroup, Leaving};

/// Members that a coordinator lets go of at once.
const CALL_MEMBERS_MAX: usize = 1024;
/// From here on several members leave at once (KIP-345).
const MEMBERS_FROM: i16 = 3;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let several = incoming.header.version >= MEMBERS_FROM;
    let request: LeaveGroupRequest = incoming.decode()?;
    let members: Vec<Leaving> = match several {
        true => {
            let members = request.members.into_iter();
            members
                .map(|m| Leaving { member: m.member_id, instance: m.group_instance_id })
                .collect()
        }
        false => vec![Leaving { member: request.member_id, instance: None }],
    };
    let group = request.group_id;
    let mut left: Result<_, ErrorCode> = Ok(Vec::with_capacity(members.len()));
    // One that has no members to leave is asked about all the same.
    let all: Vec<&[Leaving]> = match members.is_empty() {
        true => vec![&[]],
        false => members.chunks(CALL_MEMBERS_MAX).collect(),
    };
    for some in all {
        let leave = LeaveGroup { group: group.clone(), members: some.to_vec() };
        let answer = match broker.ask_group(&group, GroupRequest::Leave(leave)).await.await {
            GroupAnswer::Left(left) => left,
            GroupAnswer::Unavailable(error) => Err(error),
            other => unreachable!("leaving has its own answer, not {other:?}"),
        };
        left = left.and_then(|mut left: Vec<ErrorCode>| {
            left.extend(answer?);
            Ok(left)
        });
    }
    let response = match left {
        Err(error) => LeaveGroupResponse { error_code: error.code(), ..Default::default() },
        Ok(errors) if several => {
            let members = members.into_iter().zip(errors).map(|(leaving, error)| MemberResponse {
                member_id: leaving.member,
                group_instance_id: leaving.instance,
                error_code: error.code(),
            });
            LeaveGroupResponse { members: members.collect(), ..Default::default() }
        }
        Ok(errors) => {
            let error = errors.first().copied().unwrap_or(ErrorCode::None);
            LeaveGroupResponse { error_code: error.code(), ..Default::default() }
        }
    };
    Some(incoming.respond(&response))
}

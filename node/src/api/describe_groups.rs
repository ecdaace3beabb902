//! DescribeGroups, of classic groups.

use std::rc::Rc;

use ringlog_wire::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use ringlog_wire::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::{GROUP_OPERATIONS, Incoming, Outcome};
use crate::broker::Broker;
use crate::error_code::ErrorCode;
use crate::group::{self, GroupAnswer, GroupRequest};

/// From here on a group that is not there is an error (KIP-1043).
const MISSING_FROM: i16 = 6;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: DescribeGroupsRequest = incoming.decode()?;
    let mut groups = Vec::with_capacity(request.groups.len());
    for id in request.groups {
        let describe = GroupRequest::Describe { groups: vec![id.clone()] };
        let mut described = match broker.ask_group(&id, describe).await.await {
            GroupAnswer::Described(described) => match described.into_iter().next() {
                Some(Ok(described)) => found(id, described),
                Some(Err(why)) => missing(id, why, incoming.header.version),
                None => unreachable!("a group is asked for"),
            },
            GroupAnswer::Unavailable(error) => DescribedGroup {
                group_id: id,
                error_code: error.code(),
                ..DescribedGroup::default()
            },
            other => unreachable!("a description has its own answer, not {other:?}"),
        };
        if request.include_authorized_operations && described.error_code == ErrorCode::None.code() {
            described.authorized_operations = GROUP_OPERATIONS;
        }
        groups.push(described);
    }
    Some(incoming.respond(&DescribeGroupsResponse { groups, throttle_time_ms: 0 }))
}

fn missing(group_id: String, message: String, version: i16) -> DescribedGroup {
    let is_error = version >= MISSING_FROM;
    let error = if is_error { ErrorCode::GroupIdNotFound } else { ErrorCode::None };
    DescribedGroup {
        error_code: error.code(),
        error_message: is_error.then_some(message),
        group_id,
        group_state: "Dead".to_owned(),
        ..DescribedGroup::default()
    }
}

fn found(group_id: String, group: group::DescribedGroup) -> DescribedGroup {
    let members = group.members.into_iter().map(|member| DescribedGroupMember {
        member_id: member.member,
        group_instance_id: member.instance,
        client_id: member.client_id,
        client_host: member.client_host,
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    });
    DescribedGroup {
        group_id,
        group_state: group.state.to_owned(),
        protocol_type: group.protocol_type,
        protocol_data: group.protocol,
        members: members.collect(),
        ..DescribedGroup::default()
    }
}

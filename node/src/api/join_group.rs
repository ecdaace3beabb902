//! JoinGroup: a member joins a classic group, and waits for the others.

use std::rc::Rc;

use ringlog_wire::messages::join_group_response::JoinGroupResponseMember;
use ringlog_wire::messages::{JoinGroupRequest, JoinGroupResponse};

use super::java::{java_address, java_uuid};
use super::{Incoming, Outcome, RequestContext};
use crate::broker::Broker;
use crate::format::random_uuid;
use crate::group::{GroupAnswer, GroupRequest, JoinGroup, Joined, Protocol};

/// From here on a rebalance has a timeout of its own.
const REBALANCE_TIMEOUT_FROM: i16 = 1;
/// From here on a member must come with an id (KIP-394).
const MEMBER_ID_FROM: i16 = 4;
/// From here on there may be no protocol.
const NO_PROTOCOL_FROM: i16 = 7;
/// From here on a leader may be told to assign nothing (KIP-814).
const SKIP_ASSIGNMENT_FROM: i16 = 9;

pub(super) async fn answer(
    broker: &Rc<Broker>,
    context: &RequestContext,
    incoming: &Incoming,
) -> Option<Outcome> {
    let version = incoming.header.version;
    let request: JoinGroupRequest = incoming.decode()?;
    let member = request.member_id.clone();
    let group = request.group_id.clone();
    let protocols = request.protocols.into_iter();
    let join = JoinGroup {
        group: request.group_id,
        member: request.member_id,
        instance: request.group_instance_id,
        client_id: incoming.header.client_id.clone().unwrap_or_default(),
        client_host: java_address(context.peer),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: match version {
            REBALANCE_TIMEOUT_FROM.. => request.rebalance_timeout_ms,
            _ => request.session_timeout_ms,
        },
        protocol_type: request.protocol_type,
        protocols: protocols.map(|p| Protocol { name: p.name, metadata: p.metadata }).collect(),
        needs_member_id: version >= MEMBER_ID_FROM,
        may_skip_assignment: version >= SKIP_ASSIGNMENT_FROM,
        new_id: java_uuid(random_uuid(&broker.shard)),
    };
    let answer = incoming.ask_for_member(broker, &group, GroupRequest::Join(join)).await;
    let joined = match answer {
        GroupAnswer::Joined(joined) => joined,
        GroupAnswer::Unavailable(error) => Joined::refused(member, error),
        other => unreachable!("a join has a join's answer, not {other:?}"),
    };
    Some(incoming.respond(&response(joined, version)))
}

fn response(joined: Joined, version: i16) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|member| JoinGroupResponseMember {
        member_id: member.member,
        group_instance_id: member.instance,
        metadata: member.metadata,
    });
    JoinGroupResponse {
        error_code: joined.error.code(),
        generation_id: joined.generation,
        protocol_type: joined.protocol_type,
        protocol_name: match version {
            NO_PROTOCOL_FROM.. => joined.protocol,
            _ => Some(joined.protocol.unwrap_or_default()),
        },
        leader: joined.leader,
        skip_assignment: joined.skip_assignment,
        member_id: joined.member,
        members: members.collect(),
        throttle_time_ms: 0,
    }
}

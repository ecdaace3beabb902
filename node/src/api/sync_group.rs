//! SyncGroup: the leader assigns, and every member waits for what it is assigned.

use std::rc::Rc;

use ringlog_wire::messages::{SyncGroupRequest, SyncGroupResponse};

use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::error_code::ErrorCode;
use crate::group::{GroupAnswer, GroupRequest, SyncGroup, Synced};

/// From here on a member says what it believes the group to be (KIP-559).
const PROTOCOL_FROM: i16 = 5;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: SyncGroupRequest = incoming.decode()?;
    let says_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    let synced = if incoming.header.version >= PROTOCOL_FROM && !says_protocol {
        Synced::refused(ErrorCode::InconsistentGroupProtocol)
    } else {
        let group = request.group_id.clone();
        let assignments = request.assignments.into_iter();
        let sync = SyncGroup {
            group: request.group_id,
            generation: request.generation_id,
            member: request.member_id,
            instance: request.group_instance_id,
            protocol_type: request.protocol_type,
            protocol: request.protocol_name,
            assignments: assignments.map(|a| (a.member_id, a.assignment)).collect(),
        };
        match incoming.ask_for_member(broker, &group, GroupRequest::Sync(sync)).await {
            GroupAnswer::Synced(synced) => synced,
            GroupAnswer::Unavailable(error) => Synced::refused(error),
            other => unreachable!("a sync has a sync's answer, not {other:?}"),
        }
    };
    Some(incoming.respond(&SyncGroupResponse {
        error_code: synced.error.code(),
        protocol_type: synced.protocol_type,
        protocol_name: synced.protocol,
        assignment: synced.assignment,
        throttle_time_ms: 0,
    }))
}

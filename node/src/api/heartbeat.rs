//! Heartbeat: a member of a classic group is alive.

use std::rc::Rc;

use ringlog_wire::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::error_code::ErrorCode;
use crate::group::{GroupAnswer, GroupRequest, Heartbeat};

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: HeartbeatRequest = incoming.decode()?;
    let group = request.group_id.clone();
    let heartbeat = Heartbeat {
        group: request.group_id,
        generation: request.generation_id,
        member: request.member_id,
        instance: request.group_instance_id,
    };
    let beat = GroupRequest::Heartbeat(heartbeat);
    let error = match incoming.ask_for_member(broker, &group, beat).await {
        GroupAnswer::Heartbeat(error) => error,
        // Nothing speaks against it: sessions begin when loading ends.
        GroupAnswer::Unavailable(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
        GroupAnswer::Unavailable(error) => error,
        other => unreachable!("a heartbeat has a heartbeat's answer, not {other:?}"),
    };
    let error_code = error.code();
    Some(incoming.respond(&HeartbeatResponse { error_code, throttle_time_ms: 0 }))
}

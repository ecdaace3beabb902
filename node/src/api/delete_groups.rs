//! DeleteGroups: groups that have no members.

use std::collections::BTreeSet;
use std::rc::Rc;

use ringlog_wire::messages::delete_groups_response::DeletableGroupResult;
use ringlog_wire::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::error_code::ErrorCode;
use crate::group::{GroupAnswer, GroupRequest};

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: DeleteGroupsRequest = incoming.decode()?;
    let mut seen = BTreeSet::new();
    let mut results = Vec::new();
    for group_id in request.groups_names {
        if !seen.insert(group_id.clone()) {
            continue;
        }
        let delete = GroupRequest::Delete { groups: vec![group_id.clone()] };
        let error = match broker.ask_group(&group_id, delete).await.await {
            GroupAnswer::Deleted(errors) => errors.first().copied().unwrap_or(ErrorCode::None),
            GroupAnswer::Unavailable(error) => error,
            other => unreachable!("a deletion has its own answer, not {other:?}"),
        };
        results.push(DeletableGroupResult { group_id, error_code: error.code() });
    }
    Some(incoming.respond(&DeleteGroupsResponse { results, throttle_time_ms: 0 }))
}

//! ListGroups.

use std::rc::Rc;

use ringlog_wire::messages::list_groups_response::ListedGroup;
use ringlog_wire::messages::{ListGroupsRequest, ListGroupsResponse};

use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::error_code::ErrorCode;
use crate::group::{GroupAnswer, GroupRequest};

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: ListGroupsRequest = incoming.decode()?;
    let list = GroupRequest::List { states: request.states_filter, types: request.types_filter };
    let mut response = ListGroupsResponse::default();
    for answer in broker.ask_all_groups(&list).await {
        match answer.await {
            GroupAnswer::Listed(groups) => {
                response.groups.extend(groups.into_iter().map(|group| ListedGroup {
                    group_id: group.group,
                    protocol_type: group.protocol_type,
                    group_state: group.state.to_owned(),
                    group_type: group.kind.to_owned(),
                }));
            }
            // Another broker has those.
            GroupAnswer::Unavailable(ErrorCode::NotCoordinator) => {}
            GroupAnswer::Unavailable(error) => {
                let error_code = error.code();
                let failed = ListGroupsResponse { error_code, ..ListGroupsResponse::default() };
                return Some(incoming.respond(&failed));
            }
            other => unreachable!("a list has a list's answer, not {other:?}"),
        }
    }
    Some(incoming.respond(&response))
}

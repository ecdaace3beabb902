//! ListPartitionReassignments: on a single node there are none.

use ringlog_wire::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::{Incoming, Outcome};

pub(super) fn answer(incoming: &Incoming) -> Option<Outcome> {
    let _: ListPartitionReassignmentsRequest = incoming.decode()?;
    Some(incoming.respond(&ListPartitionReassignmentsResponse {
        error_message: None,
        ..ListPartitionReassignmentsResponse::default()
    }))
}

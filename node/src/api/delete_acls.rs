//! DeleteAcls: without an authorizer there are none.

use ringlog_wire::messages::delete_acls_response::DeleteAclsFilterResult;
use ringlog_wire::messages::{DeleteAclsRequest, DeleteAclsResponse};

use super::{Incoming, Outcome};
use crate::error_code::ErrorCode;

pub(super) fn answer(incoming: &Incoming) -> Option<Outcome> {
    let request: DeleteAclsRequest = incoming.decode()?;
    let refused = DeleteAclsFilterResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured.".to_owned()),
        matching_acls: Vec::new(),
    };
    let filter_results = vec![refused; request.filters.len()];
    Some(incoming.respond(&DeleteAclsResponse { filter_results, throttle_time_ms: 0 }))
}

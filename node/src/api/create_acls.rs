//! CreateAcls: without an authorizer there is nobody to keep them.

use ringlog_wire::messages::create_acls_response::AclCreationResult;
use ringlog_wire::messages::{CreateAclsRequest, CreateAclsResponse};

use super::{Incoming, Outcome};
use crate::error_code::ErrorCode;

pub(super) fn answer(incoming: &Incoming) -> Option<Outcome> {
    let request: CreateAclsRequest = incoming.decode()?;
    let refused = AclCreationResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured.".to_owned()),
    };
    let results = vec![refused; request.creations.len()];
    Some(incoming.respond(&CreateAclsResponse { results, throttle_time_ms: 0 }))
}

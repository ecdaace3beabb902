//! DescribeAcls: without an authorizer there are none.

use ringlog_wire::messages::{DescribeAclsRequest, DescribeAclsResponse};

use super::{Incoming, Outcome};
use crate::error_code::ErrorCode;

pub(super) fn answer(incoming: &Incoming) -> Option<Outcome> {
    let _: DescribeAclsRequest = incoming.decode()?;
    Some(incoming.respond(&DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured on the broker".to_owned()),
        ..DescribeAclsResponse::default()
    }))
}

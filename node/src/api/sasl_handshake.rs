//! SaslHandshake: a listener without SASL has nothing to shake hands about.

use ringlog_wire::messages::{SaslHandshakeRequest, SaslHandshakeResponse};

use super::{Incoming, Outcome};
use crate::error_code::ErrorCode;

pub(super) fn answer(incoming: &Incoming) -> Option<Outcome> {
    let _: SaslHandshakeRequest = incoming.decode()?;
    let error_code = ErrorCode::IllegalSaslState.code();
    Some(incoming.respond(&SaslHandshakeResponse { error_code, mechanisms: Vec::new() }))
}

//! InitProducerId, for idempotent producers. Transactions come later: a transactional id is refused
//! with an error that clients treat as fatal.

use std::rc::Rc;

use ringlog_wire::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Incoming, Outcome};
use crate::broker::{Broker, ControlCall, ControlReply};
use crate::error_code::ErrorCode;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: InitProducerIdRequest = incoming.decode()?;
    let failed = |error: ErrorCode| {
        Some(incoming.respond(&InitProducerIdResponse {
            error_code: error.code(),
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdResponse::default()
        }))
    };
    if let Some(transactional_id) = &request.transactional_id {
        return failed(match transactional_id.is_empty() {
            true => ErrorCode::InvalidRequest,
            false => ErrorCode::TransactionalIdAuthorizationFailed,
        });
    }
    // An id and its epoch say together which producer goes on; one alone says nothing.
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return failed(ErrorCode::InvalidRequest);
    }
    match incoming.ask_controller(broker, ControlCall::NextProducerId).await {
        ControlReply::ProducerId(Some(producer_id)) => {
            Some(incoming.respond(&InitProducerIdResponse {
                error_code: ErrorCode::None.code(),
                producer_id,
                producer_epoch: 0,
                ..InitProducerIdResponse::default()
            }))
        }
        // All 2^63 ids are taken.
        ControlReply::ProducerId(None) => failed(ErrorCode::UnknownServerError),
        ControlReply::Refused(fault) => failed(fault.error),
        _ => unreachable!("asking for a producer id gives one"),
    }
}

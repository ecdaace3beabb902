//! DeleteTopics.

use std::rc::Rc;

use ringlog_wire::Uuid;
use ringlog_wire::messages::delete_topics_response::DeletableTopicResult;
use ringlog_wire::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use super::{Incoming, Outcome};
use crate::broker::{Broker, ControlCall, ControlReply};
use crate::controller::TopicSelector;
use crate::error_code::ErrorCode;

/// TOPIC_DELETION_DISABLED
const DELETION_DISABLED: i16 = 73;
/// The first version whose clients know it.
const DELETION_DISABLED_FROM: i16 = 3;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: DeleteTopicsRequest = incoming.decode()?;
    let mut topics: Vec<TopicSelector> = request
        .topic_names
        .into_iter()
        .map(|name| TopicSelector { name: Some(name), id: Uuid::ZERO })
        .collect();
    topics
        .extend(request.topics.into_iter().map(|t| TopicSelector { name: t.name, id: t.topic_id }));
    let respond = |responses| {
        Some(incoming.respond(&DeleteTopicsResponse { responses, throttle_time_ms: 0 }))
    };
    let result = |selector: TopicSelector, error_code: i16, error_message: Option<String>| {
        DeletableTopicResult {
            name: selector.name,
            topic_id: selector.id,
            error_code,
            error_message,
        }
    };
    if !broker.config().current().boolean("delete.topic.enable") {
        let code = match incoming.header.version {
            ..DELETION_DISABLED_FROM => ErrorCode::InvalidRequest.code(),
            _ => DELETION_DISABLED,
        };
        return respond(topics.into_iter().map(|t| result(t, code, None)).collect());
    }
    match incoming
        .ask_controller(broker, ControlCall::DeleteTopics { topics: topics.clone() })
        .await
    {
        ControlReply::Deleted(outcomes) => respond(
            outcomes
                .into_iter()
                .map(|(selector, outcome)| match outcome {
                    Ok(()) => result(selector, ErrorCode::None.code(), None),
                    Err(fault) => result(selector, fault.error.code(), fault.message),
                })
                .collect(),
        ),
        ControlReply::Refused(fault) => respond(
            topics
                .into_iter()
                .map(|t| result(t, fault.error.code(), fault.message.clone()))
                .collect(),
        ),
        _ => unreachable!("deleting topics gives deleted topics"),
    }
}

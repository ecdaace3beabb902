//! FindCoordinator: which broker has a group. Where groups are kept is made when it is first asked
//! for.

use std::rc::Rc;

use ringlog_wire::Uuid;
use ringlog_wire::messages::find_coordinator_response::Coordinator;
use ringlog_wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

use super::{Incoming, Outcome, RequestContext};
use crate::broker::{Broker, ControlCall, ControlReply};
use crate::controller::NewTopic;
use crate::coordinator::OFFSETS_TOPIC;
use crate::error_code::ErrorCode;
use crate::format::random_uuid;
use crate::group::partition_of;

/// From here on several keys are asked for at once.
const KEYS_FROM: i16 = 4;
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;
/// From here on share groups have coordinators.
const SHARE_FROM: i16 = 6;

/// Where a coordinator is.
struct Found {
    node_id: i32,
    host: String,
    port: i32,
}

pub(super) async fn answer(
    broker: &Rc<Broker>,
    context: &RequestContext,
    incoming: &Incoming,
) -> Option<Outcome> {
    let version = incoming.header.version;
    let request: FindCoordinatorRequest = incoming.decode()?;
    let kind = request.key_type;
    if version < KEYS_FROM {
        let found = find(broker, context, kind, version, &request.key).await;
        let error = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
        let message = sentence(error).unwrap_or(match error {
            ErrorCode::None => "NONE",
            _ => "The coordinator is not available.",
        });
        let Found { node_id, host, port } = found.unwrap_or_else(|_| nowhere());
        return Some(incoming.respond(&FindCoordinatorResponse {
            error_code: error.code(),
            error_message: (version >= 1).then(|| message.to_owned()),
            node_id,
            host,
            port,
            ..FindCoordinatorResponse::default()
        }));
    }
    let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
    for key in request.coordinator_keys {
        let found = find(broker, context, kind, version, &key).await;
        let error = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
        let Found { node_id, host, port } = found.unwrap_or_else(|_| nowhere());
        let message = if kind == SHARE { None } else { sentence(error) };
        let message = message.unwrap_or_default();
        coordinators.push(Coordinator {
            key,
            node_id,
            host,
            port,
            error_code: error.code(),
            error_message: Some(message.to_owned()),
        });
    }
    Some(incoming.respond(&FindCoordinatorResponse { coordinators, ..Default::default() }))
}

/// Kafka's sentence for INVALID_REQUEST.
const REQUEST_MESSAGE: &str = "This most likely occurs because of a request being malformed by the \
                               client library or the message was sent to an incompatible broker. \
                               See the broker logs for more details.";

/// What is said of an error at every version.
fn sentence(error: ErrorCode) -> Option<&'static str> {
    match error {
        ErrorCode::InvalidRequest => Some(REQUEST_MESSAGE),
        ErrorCode::TransactionalIdAuthorizationFailed => Some("This broker has no transactions."),
        _ => None,
    }
}

fn nowhere() -> Found {
    Found { node_id: -1, host: String::new(), port: -1 }
}

async fn find(
    broker: &Rc<Broker>,
    context: &RequestContext,
    kind: i8,
    version: i16,
    key: &str,
) -> Result<Found, ErrorCode> {
    match kind {
        GROUP => find_group(broker, context, key).await,
        SHARE if version < SHARE_FROM || !is_share_partition(key) => Err(ErrorCode::InvalidRequest),
        // There are none yet, and this is what producers take for an answer for good.
        TRANSACTION => Err(ErrorCode::TransactionalIdAuthorizationFailed),
        // Where share groups are off, so is their coordinator.
        SHARE => Err(ErrorCode::CoordinatorNotAvailable),
        _ => Err(ErrorCode::InvalidRequest),
    }
}

/// Whether a key names a partition of a share group: group, id of the topic, partition.
fn is_share_partition(key: &str) -> bool {
    // Java's split drops what is empty at the end.
    let parts: Vec<&str> = key.trim_end_matches(':').split(':').collect();
    let [group, topic, partition] = parts[..] else { return false };
    !group.trim().is_empty() && topic.parse::<Uuid>().is_ok() && partition.parse::<i32>().is_ok()
}

async fn find_group(
    broker: &Rc<Broker>,
    context: &RequestContext,
    group: &str,
) -> Result<Found, ErrorCode> {
    if broker.image().topic_by_name(OFFSETS_TOPIC).is_none() {
        create_offsets_topic(broker).await;
    }
    let image = broker.image();
    let unavailable = ErrorCode::CoordinatorNotAvailable;
    let topic = image.topic_by_name(OFFSETS_TOPIC).ok_or(unavailable)?;
    let index = partition_of(group, topic.partitions.len() as i32);
    let leader = topic.partitions.get(&index).ok_or(unavailable)?.leader;
    let leader = image.brokers.get(&leader).filter(|leader| !leader.fenced).ok_or(unavailable)?;
    let listener = &broker.settings.listeners[context.listener].name;
    let endpoint = leader.end_points.iter().find(|e| e.name == *listener).ok_or(unavailable)?;
    let (node_id, host) = (leader.broker_id, endpoint.host.clone());
    Ok(Found { node_id, host, port: i32::from(endpoint.port) })
}

async fn create_offsets_topic(broker: &Rc<Broker>) {
    let config = broker.config();
    let config = config.current();
    let set = |name: &str, value: String| (name.to_owned(), Some(value));
    let topic = NewTopic {
        name: OFFSETS_TOPIC.to_owned(),
        partitions: config.int("offsets.topic.num.partitions"),
        replication_factor: config.short("offsets.topic.replication.factor"),
        configs: vec![
            set("cleanup.policy", "compact".to_owned()),
            set("compression.type", "producer".to_owned()),
            set("segment.bytes", config.int("offsets.topic.segment.bytes").to_string()),
        ],
        id: random_uuid(&broker.shard),
        placement_start: broker.shard.random(),
        ..NewTopic::default()
    };
    let call = ControlCall::CreateTopics { topics: vec![topic], validate_only: false };
    let result = match broker.control(call).await {
        ControlReply::Topics(results) => {
            results.into_iter().next().expect("of one topic").map(drop)
        }
        ControlReply::Refused(fault) => Err(fault),
        _ => unreachable!("creating topics gives topics"),
    };
    match result {
        // Or somebody else has made it since.
        Ok(()) => {}
        Err(fault) if fault.error == ErrorCode::TopicAlreadyExists => {}
        Err(fault) => {
            let error = fault.message.unwrap_or_default();
            tracing::warn!(topic = OFFSETS_TOPIC, error, "internal_topic_not_created");
        }
    }
}

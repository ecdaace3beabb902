//! ConsumerGroupHeartbeat: a member of a group of the consumer protocol (KIP-848).

use std::rc::Rc;

use ringlog_wire::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use ringlog_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::java::java_address;
use super::{Incoming, Outcome, RequestContext};
use crate::broker::Broker;
use crate::error_code::ErrorCode;
use crate::format::random_uuid;
use crate::group::{self, ConsumerBeat, ConsumerHeartbeat, Fault, GroupAnswer, GroupRequest};

/// Topics that a member may subscribe to by their names, and partitions that it may say it has.
const TOPICS_MAX: usize = 10_000;
const OWNED_MAX: usize = 100_000;
/// From here on a client draws its member's id.
const MEMBER_ID_FROM: i16 = 1;

pub(super) async fn answer(
    broker: &Rc<Broker>,
    context: &RequestContext,
    incoming: &Incoming,
) -> Option<Outcome> {
    let request: ConsumerGroupHeartbeatRequest = incoming.decode()?;
    let topics = request.subscribed_topic_names.as_ref().map_or(0, Vec::len);
    let owned = request.topic_partitions.iter().flatten();
    let owned: usize = owned.map(|topic| topic.partitions.len().max(1)).sum();
    let beat = match broker.serves_consumer_groups() {
        true if topics > TOPICS_MAX || owned > OWNED_MAX => Err(Fault {
            error: ErrorCode::InvalidRequest,
            message: Some(format!(
                "A member may name {TOPICS_MAX} topics and own {OWNED_MAX} partitions."
            )),
        }),
        true => beat(broker, context, incoming, request).await,
        false => Err(Fault { error: ErrorCode::UnsupportedVersion, message: None }),
    };
    Some(incoming.respond(&match beat {
        Ok(beat) => ConsumerGroupHeartbeatResponse {
            error_code: ErrorCode::None.code(),
            member_id: beat.member,
            member_epoch: beat.epoch,
            heartbeat_interval_ms: beat.interval_ms,
            assignment: beat.assignment.map(assignment),
            ..ConsumerGroupHeartbeatResponse::default()
        },
        Err(Fault { error, message }) => ConsumerGroupHeartbeatResponse {
            error_code: error.code(),
            error_message: message,
            ..ConsumerGroupHeartbeatResponse::default()
        },
    }))
}

async fn beat(
    broker: &Rc<Broker>,
    context: &RequestContext,
    incoming: &Incoming,
    request: ConsumerGroupHeartbeatRequest,
) -> Result<ConsumerBeat, Fault> {
    let group = request.group_id.clone();
    let owned = request
        .topic_partitions
        .map(|topics| topics.into_iter().map(|topic| (topic.topic_id, topic.partitions)).collect());
    let heartbeat = ConsumerHeartbeat {
        group: request.group_id,
        member: request.member_id,
        epoch: request.member_epoch,
        instance: request.instance_id,
        rack: request.rack_id,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        topics: request.subscribed_topic_names,
        regex: request.subscribed_topic_regex,
        assignor: request.server_assignor,
        owned,
        client_id: incoming.header.client_id.clone().unwrap_or_default(),
        client_host: java_address(context.peer),
        needs_member_id: incoming.header.version >= MEMBER_ID_FROM,
        new_id: random_uuid(&broker.shard).to_string(),
    };
    let beat = GroupRequest::ConsumerHeartbeat(heartbeat);
    match incoming.ask_for_member(broker, &group, beat).await {
        GroupAnswer::ConsumerHeartbeat(beat) => beat,
        GroupAnswer::Unavailable(error) => Err(Fault { error, message: None }),
        other => unreachable!("a heartbeat has a heartbeat's answer, not {other:?}"),
    }
}

fn assignment(assignment: group::Assignment) -> Assignment {
    let topics = assignment.into_iter().map(|(topic_id, partitions)| TopicPartitions {
        topic_id,
        partitions: partitions.into_iter().collect(),
    });
    Assignment { topic_partitions: topics.collect() }
}

//! Produce: batches to the logs of their partitions.

use std::rc::Rc;

use ringlog_engine::io::{Buf, Mono};
use ringlog_engine::shard::sync::Share;
use ringlog_engine::types::ShardId;
use ringlog_wire::{ApiKey, Uuid};

use super::{Frame, Outcome, OutcomeFuture};
use crate::broker::{
    Acks, Answer, AppendBatch, AppendOutcome, Broker, CALL_PARTITIONS_MAX, Call, Reply,
};
use crate::error_code::ErrorCode;
use crate::metadata::{MetadataImage, is_internal_topic};
use crate::wire::frame::{Response, set_length, start_response};
use crate::wire::hot::produce::{PartitionOutcome, ProduceRequest, TopicRef, write_response};

/// From this version on zstd may be used (KIP-110).
const ZSTD_FROM: i16 = 7;
const ZSTD_BITS: u8 = 4;
const ATTRIBUTES_LOW_BYTE: usize = 22;
const TRANSACTIONAL_BIT: u8 = 0x10;

/// Bytes of batches of one request that a shard takes up at once, unless one batch has more.
const CALL_BYTES_MAX: usize = 4 << 20;

/// What a client must call itself to write into topics that are the cluster's own.
const ADMIN_CLIENT: &str = "__admin_client";

/// A request, and what its header says of it.
struct Request<'a> {
    parsed: &'a ProduceRequest,
    version: i16,
    admin: bool,
}

/// A batch on its way to a shard, and which partition of the request it is.
struct Routed {
    slot: usize,
    shard: ShardId,
    batch: AppendBatch,
}

/// Appends what the request holds. When this returns, every batch has its place in its log.
pub(super) async fn dispatch(
    broker: Rc<Broker>,
    frame: Frame,
    turn: Share,
) -> Option<OutcomeFuture> {
    let Frame { header, mut body, share } = frame;
    let version = header.version;
    let request = ProduceRequest::parse(&body, version).ok()?;
    let acks = match request.acks {
        0 => Some(Acks::None),
        1 => Some(Acks::Leader),
        -1 => Some(Acks::All),
        _ => None,
    };
    let refused = match acks {
        None => Some(ErrorCode::InvalidRequiredAcks),
        // Nobody may write to a transaction that he does not name.
        _ if request.transactional_id.is_none() && has_transactional(&request, &body) => {
            Some(ErrorCode::TransactionalIdAuthorizationFailed)
        }
        _ => None,
    };
    let mut outcomes: Vec<Option<PartitionOutcome>> = vec![None; request.partitions.len()];
    let mut routed = Vec::new();
    match refused {
        Some(error) => {
            outcomes.fill(Some(PartitionOutcome::refused(error, None)));
        }
        None => {
            let admin = header.client_id.as_deref() == Some(ADMIN_CLIENT);
            let request = Request { parsed: &request, version, admin };
            route(&broker, &request, &mut body, &mut outcomes, &mut routed);
        }
    }
    let silent = acks == Some(Acks::None);
    let acks = acks.unwrap_or(Acks::None);
    let deadline = broker.shard.now().plus_ms(request.timeout_ms.max(0) as u64);
    let answers = send(&broker, routed, acks, deadline).await;
    // What waits for its turn to be answered is not worked on: a peer that reads no answers must
    // not hold what others need.
    drop(turn);
    Some(Box::pin(async move {
        for (slots, answer) in answers {
            let Reply::Append(appended) = answer.await else {
                unreachable!("an append has an append's reply")
            };
            for (slot, outcome) in slots.into_iter().zip(appended) {
                outcomes[slot] = Some(outcome_of(outcome));
            }
        }
        // The frame's memory goes back to this shard's pool, where its next frame comes from.
        drop((body, share));
        let outcomes: Vec<PartitionOutcome> =
            outcomes.into_iter().map(|o| o.expect("every partition has an outcome")).collect();
        if silent {
            // Nobody listens; a closed connection is the only way to say that something failed.
            let failed = outcomes.iter().any(|outcome| outcome.error != ErrorCode::None);
            return if failed { Outcome::Close } else { Outcome::Silent };
        }
        respond(&request, version, header.correlation_id, &outcomes)
    }))
}

/// Whether any of the batches is part of a transaction.
fn has_transactional(request: &ProduceRequest, body: &[u8]) -> bool {
    let low_bits = |start: usize, len: usize| {
        (len > ATTRIBUTES_LOW_BYTE).then(|| body.get(start + ATTRIBUTES_LOW_BYTE)).flatten()
    };
    request.partitions.iter().any(|records| {
        low_bits(records.start, records.len.unwrap_or(0))
            .is_some_and(|bits| bits & TRANSACTIONAL_BIT != 0)
    })
}

/// Hands the batches to their shards, those of one shard together.
async fn send(
    broker: &Rc<Broker>,
    mut routed: Vec<Routed>,
    acks: Acks,
    deadline: Mono,
) -> Vec<(Vec<usize>, Answer)> {
    let mut answers = Vec::new();
    routed.sort_by_key(|r| r.shard);
    let mut rest = routed.into_iter().peekable();
    while let Some(first) = rest.next() {
        let shard = first.shard;
        let mut slots = vec![first.slot];
        let mut bytes = first.batch.bytes.len();
        let mut batches = vec![first.batch];
        while batches.len() < CALL_PARTITIONS_MAX
            && bytes < CALL_BYTES_MAX
            && let Some(next) = rest.next_if(|next| next.shard == shard)
        {
            slots.push(next.slot);
            bytes += next.batch.bytes.len();
            batches.push(next.batch);
        }
        let call = Call::Append { batches, acks, deadline };
        answers.push((slots, broker.call(shard, call).await));
        if rest.peek().is_some_and(|next| next.shard == shard) {
            // Others have their turn before the next part of a large request.
            broker.shard.yield_now().await;
        }
    }
    answers
}

fn respond(
    request: &ProduceRequest,
    version: i16,
    correlation_id: i32,
    outcomes: &[PartitionOutcome],
) -> Outcome {
    let mut out = Vec::with_capacity(64 + outcomes.len() * 48);
    start_response(&mut out, ApiKey::Produce, version, correlation_id);
    if let Err(error) = write_response(&mut out, version, request, outcomes) {
        tracing::error!(%error, "response_not_encodable");
        return Outcome::Close;
    }
    set_length(&mut out, 0);
    Outcome::Respond(Response::of_bytes(&out))
}

/// Cuts the request's batches out of its frame, without a copy, and finds the shard of each.
fn route(
    broker: &Broker,
    Request { parsed: request, version, admin }: &Request<'_>,
    body: &mut Buf,
    outcomes: &mut [Option<PartitionOutcome>],
    routed: &mut Vec<Routed>,
) {
    let image = broker.image();
    let topics: Vec<Result<Uuid, ErrorCode>> =
        request.topics.iter().map(|topic| resolve(&image, topic)).collect();
    let mut consumed = 0;
    for (slot, records) in request.partitions.iter().enumerate() {
        let len = records.len.unwrap_or(0);
        drop(body.split_to(records.start - consumed));
        let bytes = body.split_to(len);
        consumed = records.start + len;
        let refuse = |error, message: Option<&str>| {
            Some(PartitionOutcome::refused(error, message.map(str::to_owned)))
        };
        let topic = match topics[records.topic] {
            Ok(topic) => topic,
            Err(error) => {
                outcomes[slot] = refuse(error, None);
                continue;
            }
        };
        let known = image.topic(topic).is_some_and(|t| t.partitions.contains_key(&records.index));
        if !known {
            outcomes[slot] = refuse(ErrorCode::UnknownTopicOrPartition, None);
            continue;
        }
        let name = image.topic(topic).map_or("", |topic| topic.name.as_str());
        if is_internal_topic(name) && !admin {
            outcomes[slot] = refuse(ErrorCode::InvalidTopicException, None);
            continue;
        }
        let codec = bytes.get(ATTRIBUTES_LOW_BYTE).map_or(0, |bits| bits & 7);
        if *version < ZSTD_FROM && codec == ZSTD_BITS {
            let message = "Produce requests with a version below 7 may not use ZSTD compression";
            outcomes[slot] = refuse(ErrorCode::UnsupportedCompressionType, Some(message));
            continue;
        }
        let shard = broker.owner_of(topic, records.index);
        let batch = AppendBatch { topic, partition: records.index, bytes, marker: None };
        routed.push(Routed { slot, shard, batch });
    }
}

fn resolve(image: &MetadataImage, topic: &TopicRef) -> Result<Uuid, ErrorCode> {
    match topic {
        TopicRef::Name(name) => image
            .topic_by_name(name)
            .map(|topic| topic.id)
            .ok_or(ErrorCode::UnknownTopicOrPartition),
        TopicRef::Id(id) => image.topic(*id).map(|topic| topic.id).ok_or(ErrorCode::UnknownTopicId),
    }
}

fn outcome_of(outcome: AppendOutcome) -> PartitionOutcome {
    match outcome {
        AppendOutcome::Done { base_offset, log_append_time_ms, log_start_offset } => {
            PartitionOutcome {
                error: ErrorCode::None,
                base_offset: base_offset.0,
                log_append_time_ms: log_append_time_ms.unwrap_or(-1),
                log_start_offset: log_start_offset.0,
                record_errors: Vec::new(),
                message: None,
            }
        }
        AppendOutcome::Refused { error, message, record_errors, log_start_offset } => {
            PartitionOutcome {
                error,
                base_offset: -1,
                log_append_time_ms: -1,
                log_start_offset,
                record_errors,
                message,
            }
        }
    }
}

//! Fetch: record batches out of the logs, now or when there are enough of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use ringlog_engine::io::{Chunk, Mono};
use ringlog_engine::shard::sync::Share;
use ringlog_engine::types::{Offset, ShardId};
use ringlog_wire::messages::FetchRequest;
use ringlog_wire::{ApiKey, Uuid};

use super::fetch_sessions::{FetchKey, FetchPlan};
use super::{Frame, Incoming, Outcome, OutcomeFuture, RequestContext, decode_bytes_max};
use crate::broker::{Broker, CALL_PARTITIONS_MAX, Call, Piece, ReadOutcome, ReadSpec, Reply};
use crate::error_code::ErrorCode;
use crate::metadata::MetadataImage;
use crate::wire::frame::{Part, Response, set_length, start_response};
use crate::wire::hot::fetch::{FetchWriter, PartitionHead};

const TOPIC_IDS_FROM: i16 = 13;
/// A fetch is answered where its session is, so it may not take long to read: this is enough for
/// a hundred thousand partitions.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// Another shard's watch is not called off when a first one has news. Whatever time a client gives
/// its fetches, such a watch is gone after this one; who still waits watches anew.
const WATCH_MS_MAX: u64 = 1000;

struct Fetched {
    key: FetchKey,
    outcome: ReadOutcome,
}

pub(super) async fn dispatch(
    broker: Rc<Broker>,
    context: Rc<RequestContext>,
    frame: Frame,
) -> Option<OutcomeFuture> {
    let Frame { header, body, share } = frame;
    if body.len() > REQUEST_BYTES_MAX {
        tracing::warn!(peer = %context.peer, bytes = body.len(), "fetch_request_too_large");
        return None;
    }
    let decoded = broker.decode_budget.take(decode_bytes_max(&broker, body.len())).await;
    let (key, turn) = (ApiKey::Fetch, Cell::new(None));
    let (share, decoded) = (Some(share), RefCell::new(decoded));
    let incoming = Incoming { header, key, body, share, decoded, turn };
    let request: FetchRequest = incoming.decode()?;
    let Incoming { header, body, share, decoded, .. } = incoming;
    drop((body, share));
    let version = header.version;
    Some(Box::pin(async move {
        let _decoded = decoded;
        let now_ms = broker.shard.now().0 / 1_000_000;
        let random = || broker.shard.random();
        let planned = context.sessions.borrow_mut().plan(&request, version, now_ms, random);
        let plan = match planned {
            Ok(plan) => plan,
            Err(error) => {
                let response = Response { parts: vec![], share: None };
                return respond(response, version, header.correlation_id, error, 0, Vec::new());
            }
        };
        // A long poll works on nothing: it does not count as a request that does.
        let (fetched, share) = gather(&broker, &request, &plan, version).await;
        let fetched = only_news(&context, &plan, fetched);
        let bytes = fetched.iter().map(|f| f.outcome.len).sum();
        broker.counters.borrow_mut().fetched(bytes);
        let response = Response { parts: vec![], share: Some(share) };
        let (id, none) = (plan.session_id, ErrorCode::None);
        respond(response, version, header.correlation_id, none, id, fetched)
    }))
}

fn only_news(context: &RequestContext, plan: &FetchPlan, fetched: Vec<Fetched>) -> Vec<Fetched> {
    if plan.session_id == 0 {
        return fetched;
    }
    let mut sessions = context.sessions.borrow_mut();
    let mut keep = |f: &Fetched| {
        let o = &f.outcome;
        let (hw, start) = (o.high_watermark, o.log_start_offset);
        sessions.has_news(plan, &f.key, o.error, o.len, hw, start)
    };
    fetched.into_iter().filter(|f| keep(f) || !plan.incremental).collect()
}

/// Reads until there is enough, or the time is up.
async fn gather(
    broker: &Rc<Broker>,
    request: &FetchRequest,
    plan: &FetchPlan,
    version: i16,
) -> (Vec<Fetched>, Share) {
    let deadline = broker.shard.now().plus_ms(request.max_wait_ms.max(0) as u64);
    let min_bytes = (request.min_bytes.max(0) as usize).min(bytes_max(broker, request));
    loop {
        let specs = resolve(&broker.image(), request, plan, version);
        let mut share = broker.read_budget.take(memory_of(broker, request, &specs)).await;
        let fetched = read(broker, request, &specs).await;
        share.shrink_to(fetched.iter().map(|f| f.outcome.memory_bytes()).sum());
        let bytes: usize = fetched.iter().map(|f| f.outcome.len).sum();
        let failed = fetched
            .iter()
            .any(|f| f.outcome.error != ErrorCode::None || f.outcome.diverging.is_some());
        let up = broker.shard.now() >= deadline || broker.stopping.get();
        if bytes >= min_bytes || failed || up || fetched.is_empty() {
            return (fetched, share);
        }
        // What it read so far is let go; it is read again together with what comes.
        let seen: Vec<(Uuid, i32, Offset)> = specs
            .iter()
            .zip(&fetched)
            .filter_map(|((_, spec), f)| {
                let spec = spec.as_ref().ok()?;
                Some((spec.topic, spec.partition, Offset(f.outcome.high_watermark)))
            })
            .collect();
        drop((fetched, share));
        watch(broker, seen, deadline).await;
    }
}

fn bytes_max(broker: &Broker, request: &FetchRequest) -> usize {
    (request.max_bytes.max(0) as usize).min(broker.settings.requests.fetch_bytes)
}

/// What the answer may take in memory, so that it can be paid for before it is read.
fn memory_of(broker: &Broker, request: &FetchRequest, specs: &Resolved) -> usize {
    let each = specs.iter().flat_map(|(_, spec)| spec.as_ref().ok());
    let all: usize = each.map(|spec| broker.read_memory_max(spec.bytes_max)).sum();
    all.min(bytes_max(broker, request))
}

/// A partition that was asked for, and how to read it.
type Asked = (FetchKey, Result<ReadSpec, ErrorCode>);
type Resolved = Vec<Asked>;

fn resolve(
    image: &MetadataImage,
    request: &FetchRequest,
    plan: &FetchPlan,
    version: i16,
) -> Resolved {
    let specs = plan.partitions.iter().map(|(key, asked)| {
        let topic = match version >= TOPIC_IDS_FROM {
            true => image.topic(key.topic_id).ok_or(ErrorCode::UnknownTopicId),
            false => image.topic_by_name(&key.topic).ok_or(ErrorCode::UnknownTopicOrPartition),
        };
        let spec = topic.and_then(|topic| {
            if !topic.partitions.contains_key(&key.partition) {
                return Err(ErrorCode::UnknownTopicOrPartition);
            }
            Ok(ReadSpec {
                topic: topic.id,
                partition: key.partition,
                offset: Offset(asked.fetch_offset),
                current_leader_epoch: asked.current_leader_epoch.max(-1),
                last_fetched_epoch: asked.last_fetched_epoch.max(-1),
                bytes_max: asked.partition_max_bytes.max(0) as usize,
                at_least_one_batch: false,
                read_committed: request.isolation_level == 1,
            })
        });
        (key.clone(), spec)
    });
    specs.collect()
}

/// Reads all partitions once, within the response's limit. It is dealt out in the order of the
/// request, so that a client which rotates its partitions starves none.
async fn read(broker: &Rc<Broker>, request: &FetchRequest, specs: &Resolved) -> Vec<Fetched> {
    let mut left = bytes_max(broker, request);
    let mut outcomes: Vec<ReadOutcome> = Vec::with_capacity(specs.len());
    let mut nothing_yet = true;
    while outcomes.len() < specs.len() {
        let rest = &specs[outcomes.len()..];
        let together = &rest[..fitting(rest, left)];
        let mut read = read_together(broker, together, left).await;
        if together.len() == CALL_PARTITIONS_MAX {
            broker.shard.yield_now().await;
        }
        if nothing_yet {
            read_first_whole(broker, together, left, &mut read).await;
        }
        let bytes: usize = read.iter().map(|outcome| outcome.len).sum();
        nothing_yet &= bytes == 0;
        left -= bytes.min(left);
        outcomes.append(&mut read);
    }
    let mut fetched: Vec<(u8, Fetched)> = specs
        .iter()
        .zip(outcomes)
        .map(|((key, spec), outcome)| (place(spec), Fetched { key: key.clone(), outcome }))
        .collect();
    fetched.sort_by_key(|(place, _)| *place);
    fetched.into_iter().map(|(_, fetched)| fetched).collect()
}

/// How many of the partitions can be read at once, because `left` is enough whatever they give;
/// at least one.
fn fitting(specs: &[Asked], left: usize) -> usize {
    let mut sum = 0;
    let fits = |(_, spec): &&Asked| {
        sum += spec.as_ref().map_or(0, |spec| spec.bytes_max.min(left));
        sum <= left
    };
    specs.iter().take(CALL_PARTITIONS_MAX).take_while(fits).count().max(1)
}

/// As in Kafka, what is not known comes last.
fn place(spec: &Result<ReadSpec, ErrorCode>) -> u8 {
    match spec {
        Ok(_) => 0,
        Err(ErrorCode::UnknownTopicId) => 1,
        Err(_) => 2,
    }
}

/// Reads partitions, all shards at once; none gives more than `left`.
async fn read_together(broker: &Rc<Broker>, specs: &[Asked], left: usize) -> Vec<ReadOutcome> {
    let mut by_shard: BTreeMap<ShardId, (Vec<usize>, Vec<ReadSpec>)> = BTreeMap::new();
    let mut outcomes: Vec<Option<ReadOutcome>> = Vec::with_capacity(specs.len());
    for (slot, (_, spec)) in specs.iter().enumerate() {
        outcomes.push(spec.as_ref().err().map(|error| error_outcome(*error)));
        if let Ok(spec) = spec {
            let shard = broker.owner_of(spec.topic, spec.partition);
            let (slots, reads) = by_shard.entry(shard).or_default();
            slots.push(slot);
            reads.push(ReadSpec { bytes_max: spec.bytes_max.min(left), ..*spec });
        }
    }
    let mut answers = Vec::with_capacity(by_shard.len());
    for (shard, (slots, reads)) in by_shard {
        answers.push((slots, broker.call(shard, Call::Read { reads }).await));
    }
    for (slots, answer) in answers {
        for (slot, outcome) in slots.into_iter().zip(read_reply(answer.await)) {
            outcomes[slot] = Some(outcome);
        }
    }
    outcomes.into_iter().map(|outcome| outcome.expect("every partition was read")).collect()
}

/// The first partition that has anything gives at least one batch, however large that is.
async fn read_first_whole(
    broker: &Rc<Broker>,
    specs: &[Asked],
    left: usize,
    outcomes: &mut [ReadOutcome],
) {
    let specs = specs.iter().map(|(_, spec)| spec.as_ref().ok());
    let first = specs.zip(outcomes).find_map(|(spec, outcome)| {
        let spec = spec.filter(|spec| outcome.len > 0 || has_more(spec, outcome))?;
        Some((spec, outcome))
    });
    let Some((spec, outcome)) = first.filter(|(_, outcome)| outcome.len == 0) else { return };
    let bytes_max = spec.bytes_max.min(left);
    let reads = vec![ReadSpec { bytes_max, at_least_one_batch: true, ..*spec }];
    let shard = broker.owner_of(spec.topic, spec.partition);
    let answer = broker.call(shard, Call::Read { reads }).await;
    *outcome = read_reply(answer.await).remove(0);
}

/// Whether there was more to read than a limit of bytes let through.
fn has_more(spec: &ReadSpec, outcome: &ReadOutcome) -> bool {
    let end = if spec.read_committed { outcome.last_stable_offset } else { outcome.high_watermark };
    outcome.error == ErrorCode::None && outcome.diverging.is_none() && spec.offset.0 < end
}

fn read_reply(reply: Reply) -> Vec<ReadOutcome> {
    match reply {
        Reply::Read(outcomes) => outcomes,
        _ => unreachable!("a read has a read's reply"),
    }
}

/// Waits for news of one of the partitions, until `deadline`, or not even that long.
async fn watch(broker: &Rc<Broker>, seen: Vec<(Uuid, i32, Offset)>, deadline: Mono) {
    let deadline = deadline.min(broker.shard.now().plus_ms(WATCH_MS_MAX));
    let mut by_shard: BTreeMap<ShardId, Vec<(Uuid, i32, Offset)>> = BTreeMap::new();
    for (topic, partition, offset) in seen {
        let shard = broker.owner_of(topic, partition);
        by_shard.entry(shard).or_default().push((topic, partition, offset));
    }
    let mut answers = Vec::new();
    for (shard, all) in by_shard {
        for some in all.chunks(CALL_PARTITIONS_MAX) {
            let partitions = some.to_vec();
            answers.push(broker.call(shard, Call::Watch { partitions, deadline }).await);
        }
    }
    if answers.is_empty() {
        return broker.shard.sleep_until(deadline).await;
    }
    // The first shard with news is enough; the others' replies find nobody waiting, or come at
    // the deadline.
    std::future::poll_fn(|cx| {
        let ready = answers.iter_mut().any(|answer| answer.as_mut().poll(cx).is_ready());
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

fn error_outcome(error: ErrorCode) -> ReadOutcome {
    ReadOutcome {
        error,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        aborted: Some(Vec::new()),
        diverging: None,
        pieces: Vec::new(),
        len: 0,
    }
}

fn respond(
    mut response: Response,
    version: i16,
    correlation_id: i32,
    error: ErrorCode,
    session_id: i32,
    fetched: Vec<Fetched>,
) -> Outcome {
    let writer = FetchWriter::new(version);
    let mut out = Vec::with_capacity(64 + fetched.len() * 64);
    start_response(&mut out, ApiKey::Fetch, version, correlation_id);
    let mut groups: Vec<Vec<Fetched>> = Vec::new();
    for f in fetched {
        let same =
            |g: &Vec<Fetched>| g[0].key.topic == f.key.topic && g[0].key.topic_id == f.key.topic_id;
        match groups.last_mut().filter(|g| same(g)) {
            Some(group) => group.push(f),
            None => groups.push(vec![f]),
        }
    }
    writer.head(&mut out, error, session_id, groups.len());
    let mut records_len = 0;
    let mut bytes_len = 0;
    for group in groups {
        let key = &group[0].key;
        if let Err(error) = writer.topic(&mut out, &key.topic, key.topic_id, group.len()) {
            tracing::error!(%error, "response_not_encodable");
            return Outcome::Close;
        }
        for f in group {
            let o = f.outcome;
            let diverging = o.diverging;
            writer.partition(
                &mut out,
                &PartitionHead {
                    index: f.key.partition,
                    error: o.error,
                    high_watermark: o.high_watermark,
                    last_stable_offset: o.last_stable_offset,
                    log_start_offset: o.log_start_offset,
                    aborted: o.aborted,
                    records_len: o.len,
                },
            );
            records_len += o.len;
            for piece in o.pieces {
                bytes_len += out.len();
                // Too small for a page of the pool's while the client does not read.
                response.parts.push(Part::Bytes(Chunk::from(Arc::<[u8]>::from(&out[..]))));
                out.clear();
                response.parts.push(match piece {
                    Piece::Memory(buf) => Part::Bytes(Chunk::from(buf)),
                    Piece::File(range) => Part::File(range),
                });
            }
            writer.partition_end(&mut out, diverging);
        }
        writer.end(&mut out);
    }
    writer.end(&mut out);
    finish(response, out, bytes_len, records_len)
}

/// Sets the frame's length, which is in the first part.
fn finish(mut response: Response, out: Vec<u8>, before: usize, records: usize) -> Outcome {
    if response.parts.is_empty() {
        let mut out = out;
        set_length(&mut out, 0);
        return Outcome::Respond(Response::of_bytes(&out));
    }
    let total = before + out.len() + records;
    response.parts.push(Part::Bytes(Chunk::from(Arc::<[u8]>::from(&out[..]))));
    let Part::Bytes(first) = &response.parts[0] else { unreachable!("the head comes first") };
    let mut head = first.as_slice().to_vec();
    let rest = total - head.len();
    set_length(&mut head, rest);
    response.parts[0] = Part::Bytes(Chunk::from(Arc::<[u8]>::from(head)));
    Outcome::Respond(response)
}

//! The producer's connection to one broker: a task that sends, a task that receives.
//!
//! As Java's `Sender` and `NetworkClient` together: a request takes at most one batch of every
//! partition that the broker leads, up to `max.in.flight.requests.per.connection` requests are
//! unanswered, answers come in the order of the requests. When the connection ends, its batches go
//! back to the accumulator.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use ringlog_engine::io::{Mono, Payload};
use ringlog_engine::shard::sync::Event;
use ringlog_engine::shard::{OpStream, Socket};
use ringlog_wire::{ApiKey, Uuid};

use super::accumulator::{NodeId, Ready};
use super::config::Acks;
use super::outcome::Outcome;
use super::queued::Batch;
use super::request::{PRODUCE_BY_ID, PRODUCE_FIRST, PRODUCE_LAST, ProduceForm};
use super::shared::{Observer, Shared};
use crate::client::{Connection, Frames};

/// How long a broker may take to accept a connection and tell its versions.
const CONNECT_MS: u64 = 5_000;

/// What the two tasks of a connection share.
struct Link {
    socket: Socket,
    form: ProduceForm,
    in_flight: RefCell<VecDeque<Sent>>,
    broken: RefCell<Option<String>>,
    reading: Cell<bool>,
    stopped_reading: Event,
}

/// A request that is not answered.
struct Sent {
    correlation: i32,
    at: Mono,
    batches: Vec<Batch>,
}

/// Keeps a connection to `node` until the producer is closed.
pub(super) async fn run<O: Observer + 'static>(shared: Rc<Shared<O>>, node: NodeId) {
    let mut backoff_ms = shared.config.reconnect_backoff_ms;
    while !shared.is_over() {
        match open(&shared, node).await {
            Ok(link) => {
                shared.heard();
                backoff_ms = shared.config.reconnect_backoff_ms;
                shared.links_open.set(shared.links_open.get() + 1);
                shared.news.notify();
                drive(&shared, node, Rc::new(link)).await;
                shared.links_open.set(shared.links_open.get() - 1);
            }
            Err(error) => {
                shared.trouble(&error);
                shared.shard.sleep_ms(backoff_ms.max(1)).await;
                backoff_ms = (backoff_ms * 2).min(shared.config.reconnect_backoff_max_ms);
            }
        }
    }
}

async fn open<O: Observer + 'static>(shared: &Rc<Shared<O>>, node: NodeId) -> Result<Link> {
    let (endpoint, topic) = {
        let cluster = shared.cluster.borrow();
        (cluster.brokers.get(&node).cloned(), cluster.topic.clone())
    };
    let endpoint = endpoint.ok_or_else(|| anyhow!("broker {node} has left the cluster"))?;
    let deadline = shared.shard.clock().plus_ms(CONNECT_MS);
    let client_id = shared.config.client_id.clone();
    let connection = Connection::open(&shared.shard, &endpoint, &client_id, deadline).await?;
    let has_id = topic.id != Uuid::default();
    let newest = if has_id { PRODUCE_LAST } else { PRODUCE_BY_ID - 1 };
    let version = connection.version(ApiKey::Produce, PRODUCE_FIRST, newest)?;
    let form = ProduceForm {
        version,
        topic,
        acks: shared.config.acks.to_wire(),
        timeout_ms: shared.config.request_timeout_ms as i32,
        client_id,
    };
    Ok(Link {
        socket: connection.into_socket(),
        form,
        in_flight: RefCell::default(),
        broken: RefCell::new(None),
        reading: Cell::new(true),
        stopped_reading: Event::default(),
    })
}

/// Sends until the connection breaks or the producer is closed; brings back what is unanswered.
async fn drive<O: Observer + 'static>(shared: &Rc<Shared<O>>, node: NodeId, link: Rc<Link>) {
    let stream = link.socket.receive_stream();
    shared.spawn(receive(Rc::clone(shared), Rc::clone(&link), stream));
    let mut correlation = 0;
    let why = loop {
        let news = shared.news.wait();
        if let Some(why) = link.broken.borrow_mut().take() {
            break why;
        }
        if shared.is_over() {
            break "the producer was closed".to_owned();
        }
        let now = shared.shard.clock();
        let timeout_ms = shared.config.request_timeout_ms;
        let overdue = link.in_flight.borrow().front().map(|sent| sent.at.plus_ms(timeout_ms));
        if overdue.is_some_and(|at| at <= now) {
            break format!("no answer to Produce within request.timeout.ms={timeout_ms}");
        }
        let mut until = overdue;
        if link.in_flight.borrow().len() < shared.config.max_in_flight {
            let ready = shared.accumulator.borrow().ready(node, now);
            match ready {
                Ready::Now => {
                    drop(news);
                    correlation += 1;
                    match send(shared, node, &link, correlation).await {
                        Ok(()) => continue,
                        Err(error) => break format!("{error:#}"),
                    }
                }
                Ready::At(at) => until = Some(until.map_or(at, |until| until.min(at))),
                Ready::Idle => {}
            }
        }
        match until {
            Some(until) => {
                // Time passing is as good a reason to look as any.
                let _ = shared.shard.timeout_at(until, news).await;
            }
            None => news.await,
        }
    };
    // Ends the receiving task, which would otherwise take answers for requests of the next link.
    link.socket.shutdown().await;
    link.stopped_reading.until(|| (!link.reading.get()).then_some(())).await;
    bring_back(shared, &link, &why);
}

fn bring_back<O: Observer + 'static>(shared: &Rc<Shared<O>>, link: &Link, why: &str) {
    let unanswered = link.in_flight.take();
    if !shared.is_over() {
        shared.metrics.borrow_mut().disconnects += 1;
    }
    // Latest first: each goes before those that were sent after it.
    let batches = unanswered.into_iter().flat_map(|sent| sent.batches);
    let outcome = Outcome::Disconnected(why.to_owned());
    for batch in batches.collect::<Vec<_>>().into_iter().rev() {
        shared.settle(batch, &outcome);
    }
    shared.want_metadata();
    shared.news.notify();
}

async fn send<O: Observer + 'static>(
    shared: &Rc<Shared<O>>,
    node: NodeId,
    link: &Link,
    correlation: i32,
) -> Result<()> {
    let now = shared.shard.clock();
    let batches = shared.accumulator.borrow_mut().drain(node, now);
    if batches.is_empty() {
        return Ok(());
    }
    let parts: Vec<_> =
        batches.iter().map(|b| (b.partition as i32, Arc::clone(b.sealed()))).collect();
    let chunks = link.form.encode(correlation, &parts)?;
    drop(parts);
    count_request(shared, &batches, ringlog_engine::io::chunks_len(&chunks));
    let silent = shared.config.acks == Acks::None;
    let mut unanswered = Some(batches);
    if !silent {
        // Before the send: the answer may come before its completion.
        let batches = unanswered.take().unwrap_or_default();
        link.in_flight.borrow_mut().push_back(Sent { correlation, at: now, batches });
    }
    let deadline = now.plus_ms(shared.config.request_timeout_ms);
    let sent = shared.shard.timeout_at(deadline, link.socket.send(chunks, false)).await;
    let result = match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(errno)) => Err(anyhow!("sending Produce: {errno}")),
        Err(_) => Err(anyhow!("the broker takes no more bytes")),
    };
    // Without acknowledgements, what was sent counts as delivered.
    for batch in unanswered.into_iter().flatten() {
        let outcome = match &result {
            Ok(()) => Outcome::Answered(0),
            Err(error) => Outcome::Disconnected(error.to_string()),
        };
        shared.settle(batch, &outcome);
    }
    result
}

fn count_request<O: Observer + 'static>(shared: &Shared<O>, batches: &[Batch], bytes: usize) {
    let mut metrics = shared.metrics.borrow_mut();
    metrics.requests += 1;
    metrics.request_bytes += bytes as u64;
    for batch in batches {
        metrics.batches += 1;
        metrics.batch_bytes += batch.size() as u64;
        metrics.records += u64::from(batch.records());
        metrics.queue_ns += batch.drained.0.saturating_sub(batch.created.0);
    }
}

/// Takes answers until the connection ends.
async fn receive<O: Observer + 'static>(
    shared: Rc<Shared<O>>,
    link: Rc<Link>,
    mut stream: OpStream,
) {
    let mut frames = Frames::default();
    let why = loop {
        let Some(completion) = stream.next().await else {
            break "the broker closed the connection".to_owned();
        };
        let bytes = match (completion.result, completion.payload) {
            (Err(errno), _) => break format!("receiving: {errno}"),
            (Ok(_), Payload::Buf(buf)) if !buf.is_empty() => buf,
            _ => break "the broker closed the connection".to_owned(),
        };
        frames.push(&bytes);
        drop(bytes);
        if let Err(error) = take_answers(&shared, &link, &mut frames) {
            break format!("{error:#}");
        }
    };
    link.broken.borrow_mut().get_or_insert(why);
    link.reading.set(false);
    link.stopped_reading.notify();
    shared.news.notify();
}

fn take_answers<O: Observer + 'static>(
    shared: &Rc<Shared<O>>,
    link: &Link,
    frames: &mut Frames,
) -> Result<()> {
    let mut answered = false;
    while let Some(frame) = frames.next_frame()? {
        answer(shared, link, frame)?;
        answered = true;
    }
    if answered {
        shared.heard();
        shared.news.notify();
    }
    Ok(())
}

fn answer<O: Observer + 'static>(shared: &Shared<O>, link: &Link, frame: &[u8]) -> Result<()> {
    let (correlation, response) = link.form.decode(frame)?;
    let sent = link.in_flight.borrow_mut().pop_front();
    let sent = sent.ok_or_else(|| anyhow!("an answer to no request"))?;
    let now = shared.shard.clock();
    {
        let mut metrics = shared.metrics.borrow_mut();
        let took_ns = now.0.saturating_sub(sent.at.0);
        metrics.answers += 1;
        metrics.answer_ns += took_ns;
        metrics.answer_ns_max = metrics.answer_ns_max.max(took_ns);
    }
    let expected = sent.correlation;
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    for batch in sent.batches {
        let index = batch.partition as i32;
        let found = partitions.clone().find(|partition| partition.index == index);
        let outcome = match found {
            Some(found) if correlation == expected => Outcome::Answered(found.error_code),
            _ => Outcome::Disconnected("the broker's answer belongs to another request".into()),
        };
        shared.settle(batch, &outcome);
    }
    ensure!(correlation == expected, "answer {correlation} instead of {expected}");
    Ok(())
}

//! Serving a connection: frames in, responses out, in the order of the requests.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Poll;

use ringlog_engine::io::{Chunk, Mono, chunks_len};
use ringlog_engine::shard::sync::Queue;
use ringlog_engine::shard::{Socket, TaskClass};
use ringlog_wire::ApiKey;

use super::frames::{FrameEnd, FrameReader};
use crate::api::{self, FetchSessions, Outcome, OutcomeFuture, RequestContext};
use crate::broker::{Broker, Message, ServedConnection};
use crate::wire::frame::{Part, Response};

/// Requests of one connection that are worked on at a time; a client that pipelines more waits.
const PIPELINE_MAX: usize = 32;
/// Responses are sent together up to this size.
const SEND_BYTES_MAX: usize = 256 << 10;

/// A request that is worked on, in its place among its connection's.
struct InWork {
    key: ApiKey,
    /// When the turn began in which it was taken up.
    since: Mono,
    outcome: OutcomeFuture,
}

/// Serves the connections that are handed to this shard.
pub async fn run_connections(broker: Rc<Broker>) {
    let slots = broker.settings.requests.fetch_sessions;
    let sessions = Rc::new(RefCell::new(FetchSessions::new(slots)));
    while let Some(connection) = broker.connections.pop().await {
        let this = Rc::clone(&broker);
        let context = Rc::new(RequestContext::new(
            broker.settings.kind_of(connection.listener),
            connection.listener,
            connection.peer,
            &sessions,
        ));
        // What a connection has asked last says who goes first: it most likely asks the same next.
        broker.shard.spawn_as(TaskClass::Background, async move {
            let (peer, listener) = (connection.peer, connection.listener);
            let served = Rc::new(ServedConnection {
                socket: Socket::adopt(&this.shard, connection.socket),
                listener,
                last_used: Cell::new(this.shard.now()),
                read_by_peer: Cell::new((0, this.shard.now())),
                shed: Cell::new(false),
            });
            let id = this.note_served(&served);
            serve(&this, &served, peer, context).await;
            this.forget_served(id);
            let shed = served.shed.get();
            // The descriptor is free before the control shard counts one less.
            drop(served);
            let control = this.settings.control_shard();
            this.post(control, Message::ConnectionClosed { peer, listener, shed });
        });
    }
}

async fn serve(
    broker: &Rc<Broker>,
    served: &Rc<ServedConnection>,
    peer: IpAddr,
    context: Rc<RequestContext>,
) {
    let queue: Rc<Queue<InWork>> = Rc::default();
    let broken = Rc::new(Cell::new(false));
    let writer = {
        let (broker, served) = (Rc::clone(broker), Rc::clone(served));
        let (queue, broken) = (Rc::clone(&queue), Rc::clone(&broken));
        async move {
            if write_responses(&broker, &served, &queue).await.is_err() {
                broken.set(true);
                // The reader may wait for a peer that will never be answered.
                served.socket.shutdown().await;
                queue.close();
            }
        }
    };
    let (done, written) = ringlog_engine::shard::sync::oneshot();
    broker.shard.spawn_as(TaskClass::Background, async move {
        writer.await;
        done.send(());
    });
    let end = read_requests(broker, served, &context, &queue, &broken).await;
    match end {
        FrameEnd::BadLength(length) => {
            let hint = spoken_instead(length);
            tracing::warn!(%peer, length, hint, "bad_frame_length");
        }
        FrameEnd::Idle => tracing::debug!(%peer, "connection_idle"),
        FrameEnd::Closed | FrameEnd::Broken => {}
    }
    // What was asked is still answered.
    queue.close();
    written.await;
}

/// What a peer speaks whose first bytes, taken for a frame's length, are this.
fn spoken_instead(length: i32) -> &'static str {
    match &length.to_be_bytes() {
        b"GET " | b"HEAD" | b"POST" | b"PUT " | b"DELE" | b"OPTI" | b"CONN" | b"PATC" | b"PRI " => {
            "an HTTP request; this port speaks Kafka's protocol"
        }
        [0x16, 3, ..] => "a TLS handshake; this listener is not encrypted",
        _ => "larger than socket.request.max.bytes allows, or no Kafka request",
    }
}

async fn read_requests(
    broker: &Rc<Broker>,
    served: &ServedConnection,
    context: &Rc<RequestContext>,
    queue: &Rc<Queue<InWork>>,
    broken: &Rc<Cell<bool>>,
) -> FrameEnd {
    let config = broker.config();
    let frame_bytes_max = broker.settings.requests.one_frame_bytes;
    let idle_ms = config.current().long("connections.max.idle.ms");
    let idle_ms = u64::try_from(idle_ms).unwrap_or(u64::MAX / 2_000_000);
    let mut frames = FrameReader::new(broker, served.socket.clone(), frame_bytes_max, idle_ms);
    loop {
        let frame = match frames.next().await {
            Ok(frame) => frame,
            Err(end) => return end,
        };
        let since = broker.shard.now();
        served.last_used.set(since);
        if broken.get() || broker.stopping.get() {
            return FrameEnd::Closed;
        }
        match api::dispatch(broker, context, frame).await {
            Some((key, outcome)) => queue.push(InWork { key, since, outcome }),
            // Kafka closes the connection: there is no answer that the client could read.
            None => return FrameEnd::Broken,
        }
        queue.until_shorter_than(PIPELINE_MAX).await;
    }
}

/// The connection is of no more use.
struct Gone;

async fn write_responses(
    broker: &Broker,
    served: &ServedConnection,
    queue: &Queue<InWork>,
) -> Result<(), Gone> {
    let socket = &served.socket;
    let mut held: Option<InWork> = None;
    loop {
        let mut work = match held.take() {
            Some(next) => next,
            None => match queue.pop().await {
                Some(next) => next,
                None => return Ok(()),
            },
        };
        broker.shard.set_class(api::class_of(work.key));
        let mut outcome = work.outcome.as_mut().await;
        let mut chunks = Vec::new();
        // Paid for until all is sent.
        let mut shares = Vec::new();
        loop {
            note_answer(broker, &work);
            match outcome {
                Outcome::Close => return Err(Gone),
                Outcome::Silent => {}
                Outcome::Respond(mut response) => {
                    shares.extend(response.share.take());
                    send_response(socket, response, &mut chunks).await?;
                }
            }
            if chunks_len(&chunks) >= SEND_BYTES_MAX {
                break;
            }
            // Whatever is ready behind it goes out with it.
            let Some(mut next) = queue.try_pop() else { break };
            match poll_fn(|cx| Poll::Ready(next.outcome.as_mut().poll(cx))).await {
                Poll::Ready(ready) => (work, outcome) = (next, ready),
                Poll::Pending => {
                    held = Some(next);
                    break;
                }
            }
        }
        if !chunks.is_empty() {
            socket.send(chunks, false).await.map_err(|_| Gone)?;
        }
        served.last_used.set(broker.shard.now());
    }
}

fn note_answer(broker: &Broker, work: &InWork) {
    let ns = broker.shard.clock().0.saturating_sub(work.since.0);
    broker.counters.borrow_mut().answered(work.key, ns);
}

/// Queues a response's bytes in `chunks`, sending what must go before a file range.
async fn send_response(
    socket: &Socket,
    response: Response,
    chunks: &mut Vec<Chunk>,
) -> Result<(), Gone> {
    let count = response.parts.len();
    for (i, part) in response.parts.into_iter().enumerate() {
        match part {
            Part::Bytes(chunk) => chunks.push(chunk),
            Part::File(range) => {
                send_file(socket, std::mem::take(chunks), &range, i + 1 < count).await?;
            }
        }
    }
    Ok(())
}

async fn send_file(
    socket: &Socket,
    before: Vec<Chunk>,
    range: &crate::broker::LentRange,
    more: bool,
) -> Result<(), Gone> {
    socket.send(before, true).await.map_err(|_| Gone)?;
    let sent = socket.send_file(range.fd, range.position, range.len, more, range.path).await;
    // A file that ends early leaves the response incomplete: the frame's length was promised.
    if sent.is_ok_and(|sent| sent == range.len) { Ok(()) } else { Err(Gone) }
}

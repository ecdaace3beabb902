//! As much of HTTP/1.1 as it takes to answer GET, one request to a connection.

use std::net::SocketAddr;
use std::rc::Rc;

use ringlog_engine::io::{Buf, Fd, ListenOptions, Output};
use ringlog_engine::shard::Socket;
use ringlog_engine::shard::sync::Budget;

use super::metrics;
use crate::broker::Broker;

/// Requests that are worked on at a time; the others wait.
const REQUESTS_MAX: usize = 8;
/// Bytes of a request; nobody who watches has more to say.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// How long a peer may take to ask and to listen.
const PATIENCE_MS: u64 = 10_000;
const BACKLOG: u32 = 64;

/// An answer: status line and text.
type Answer = (&'static str, String);

/// Opens `ringlog.http.listener` and serves it, if it is set. On the control shard.
///
/// # Errors
/// If it cannot be opened.
pub async fn start(broker: &Rc<Broker>) -> Result<(), String> {
    let config = broker.config();
    let text = config.current().string("ringlog.http.listener").unwrap_or_default().to_owned();
    if text.is_empty() {
        return Ok(());
    }
    let failed = |error: &dyn std::fmt::Display| format!("ringlog.http.listener {text}: {error}");
    let (host, port) = text.rsplit_once(':').ok_or_else(|| failed(&"it is no host:port"))?;
    let port = port.parse().map_err(|_| failed(&"it has no port"))?;
    let address = broker.shard.resolve(host).await.into_iter().next();
    let address = SocketAddr::new(address.ok_or_else(|| failed(&"the host is not known"))?, port);
    let options =
        ListenOptions { backlog: BACKLOG, receive_buffer_bytes: None, send_buffer_bytes: None };
    let listening = broker.shard.listen(address, options).await;
    let (listener, port) = listening.map_err(|error| failed(&error))?;
    tracing::info!(port, "http_listening");
    let this = Rc::clone(broker);
    broker.shard.spawn(async move { accept(&this, listener).await });
    Ok(())
}

async fn accept(broker: &Rc<Broker>, listener: Fd) {
    let turns = Budget::new(REQUESTS_MAX);
    loop {
        let mut accepted = broker.shard.accept_stream(listener);
        while let Some(completion) = accepted.next().await {
            let Ok(Output::Accepted { socket, .. }) = completion.result else { continue };
            let socket = Socket::adopt(&broker.shard, socket);
            let turn = turns.take(1).await;
            let this = Rc::clone(broker);
            broker.shard.spawn(async move {
                serve(&this, &socket).await;
                drop(turn);
            });
        }
        // Accepting ends when descriptors do.
        broker.shard.sleep_ms(PATIENCE_MS / 100).await;
    }
}

async fn serve(broker: &Rc<Broker>, socket: &Socket) {
    let (shard, late) = (broker.shard.clone(), socket.clone());
    let done = Rc::new(std::cell::Cell::new(false));
    let over = Rc::clone(&done);
    broker.shard.spawn(async move {
        shard.sleep_ms(PATIENCE_MS).await;
        if !over.get() {
            late.shutdown().await;
        }
    });
    let (status, text) = match request(socket).await {
        Some(path) => answer(broker, &path).await,
        None => ("400 Bad Request", String::new()),
    };
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    // A peer that is gone needs no answer.
    let _ = socket.send(vec![Buf::copy_of(response.as_bytes()).into()], false).await;
    socket.shutdown().await;
    done.set(true);
}

/// The path that is asked for; `None` if the peer says something else, or too much.
async fn request(socket: &Socket) -> Option<String> {
    let mut buf = Buf::with_capacity(REQUEST_BYTES_MAX);
    while !buf.windows(4).any(|window| window == b"\r\n\r\n") {
        let (before, room) = (buf.len(), REQUEST_BYTES_MAX - buf.len());
        if room == 0 {
            return None;
        }
        buf = socket.receive(buf, room).await.ok()?;
        if buf.len() == before {
            return None;
        }
    }
    let head = str::from_utf8(&buf).ok()?;
    let mut words = head.lines().next()?.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    (method == "GET").then(|| path.split('?').next().unwrap_or_default().to_owned())
}

async fn answer(broker: &Rc<Broker>, path: &str) -> Answer {
    match path {
        "/metrics" => ("200 OK", metrics::text(broker).await),
        "/healthz" => ("200 OK", "ok\n".to_owned()),
        "/readyz" if broker.stopping.get() => ("503 Service Unavailable", "stopping\n".to_owned()),
        "/readyz" => ("200 OK", "ready\n".to_owned()),
        _ => ("404 Not Found", "/metrics, /healthz, /readyz\n".to_owned()),
    }
}

//! Listening sockets: one per listener, their connections dealt round robin to the shards.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use ringlog_engine::io::{Errno, Fd, ListenOptions, Output};
use ringlog_engine::shard::Shard;
use ringlog_engine::types::ShardId;

use crate::broker::{Broker, Message};
use crate::config::Listener;

/// How long accepting rests after the kernel refused a connection (out of descriptors).
const ACCEPT_PAUSE_MS: u64 = 100;
const BIND_TRIES: u32 = 50;
const BIND_RETRY_MS: u64 = 20;

/// A listener that is open.
pub struct Bound {
    /// Its number in the settings.
    pub index: usize,
    /// The socket.
    pub fd: Fd,
    /// The port it got.
    pub port: u16,
}

/// Where to listen: of a host's addresses an IPv4 one if there is any, as Java picks them; without
/// a host, all interfaces of both kinds, or of IPv4 where there is no IPv6.
async fn addresses_of(shard: &Shard, listener: &Listener) -> Result<Vec<SocketAddr>, String> {
    let Some(host) = &listener.host else {
        let any: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
        return Ok(any.map(|ip| SocketAddr::new(ip, listener.port)).to_vec());
    };
    let picked = shard.resolve(host).await.into_iter().next();
    let picked = picked.ok_or_else(|| format!("{listener}: the host is not known"))?;
    Ok(vec![SocketAddr::new(picked, listener.port)])
}

/// Opens the listening sockets.
///
/// # Errors
/// Names the listener that cannot be opened.
pub async fn bind_listeners(broker: &Broker, listeners: &[Listener]) -> Result<Vec<Bound>, String> {
    let config = broker.config();
    let config = config.current();
    let size = |name: &str| match config.is_set(name) {
        true => u32::try_from(config.int(name)).ok(),
        false => None,
    };
    let options = ListenOptions {
        backlog: config.int("socket.listen.backlog.size").max(1) as u32,
        receive_buffer_bytes: size("socket.receive.buffer.bytes"),
        send_buffer_bytes: size("socket.send.buffer.bytes"),
    };
    let mut bound = Vec::new();
    for (index, listener) in listeners.iter().enumerate() {
        let mut addresses = addresses_of(&broker.shard, listener).await?.into_iter().peekable();
        while let Some(address) = addresses.next() {
            match listen(broker, address, options).await {
                Ok((fd, port)) => {
                    bound.push(Bound { index, fd, port });
                    break;
                }
                Err(Errno::EADDRINUSE) => {
                    return Err(format!(
                        "Socket server failed to bind to {address}: Address already in use. \
                         `ss -ltnp` names the process; `listeners` sets another port."
                    ));
                }
                Err(Errno(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
                    if addresses.peek().is_some() => {}
                Err(error) => {
                    return Err(format!("Socket server failed to bind to {address}: {error}"));
                }
            }
        }
    }
    Ok(bound)
}

/// Listens, trying for a while: a process that was killed lets go of its port only once its last
/// operations have drained.
async fn listen(
    broker: &Broker,
    address: SocketAddr,
    options: ListenOptions,
) -> Result<(Fd, u16), Errno> {
    for _ in 0..BIND_TRIES {
        match broker.shard.listen(address, options).await {
            Err(Errno::EADDRINUSE) => broker.shard.sleep_ms(BIND_RETRY_MS).await,
            result => return result,
        }
    }
    Err(Errno::EADDRINUSE)
}

/// Accepts connections until the node stops.
pub async fn run_accept(broker: Rc<Broker>, bound: Bound) {
    let mut next = 0usize;
    let kind = broker.settings.kind_of(bound.index);
    let open = broker.connections_of(kind);
    while !broker.stopping.get() {
        let mut accepted = broker.shard.accept_stream(bound.fd);
        let mut refused = false;
        while let Some(completion) = accepted.next().await {
            if broker.stopping.get() {
                break;
            }
            let (socket, peer) = match completion.result {
                // An IPv4 client of a listener for both kinds.
                Ok(Output::Accepted { socket, peer }) => (socket, peer.ip().to_canonical()),
                Ok(other) => unreachable!("accept gave {other:?}"),
                Err(Errno::ECANCELED) => continue,
                Err(error) => {
                    tracing::warn!(%error, "accept_failed");
                    refused = true;
                    continue;
                }
            };
            let throttle_ms = open.throttle_ms(bound.index, broker.shard.now());
            if throttle_ms > 0 || !open.has_room(bound.index) {
                // Those behind it wait in the backlog.
                accepted.cancel();
                broker.shard.sleep_ms(throttle_ms).await;
                open.room(bound.index).await;
            }
            let shard = ShardId((next % broker.settings.shards) as u16);
            // The kernel gives the lowest number that is free, so it says how many are taken.
            let out_of_descriptors = socket.0 as u64 >= broker.settings.connection_fd_end;
            if out_of_descriptors || !open.open(bound.index, peer, shard) {
                tracing::warn!(%peer, "connection_refused_too_many");
                broker.shard.close(socket).await;
                continue;
            }
            next += 1;
            broker.post(shard, Message::Connection { socket, peer, listener: bound.index });
            broker.shed_excess();
        }
        if refused {
            broker.shard.sleep_ms(ACCEPT_PAUSE_MS).await;
        }
    }
    broker.shard.close(bound.fd).await;
}

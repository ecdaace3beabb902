//! What a shard does about the limits on connections: the control shard counts them and decides
//! (`connections`), each shard closes its own. It also closes those whose peer does not read what
//! it asked for, since what is being sent holds memory.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::calls::Message;
use super::connections::Connections;
use super::settings::ListenerKind;
use super::shard_broker::{Broker, ServedConnection};
use crate::config::RawConfig;

/// How often a shard looks for peers that do not read.
const LOOK_MS: u64 = 1_000;
/// Where others wait for the memory that responses hold, a peer must read at least
/// [`READ_BYTES_MIN`] of what is being sent to it in this long.
const STALLED_MS: u64 = 5_000;
const READ_BYTES_MIN: usize = 1 << 10;

impl Broker {
    /// The control shard: the connections of such listeners.
    pub fn connections_of(&self, kind: ListenerKind) -> &Connections {
        match kind {
            ListenerKind::Broker => &self.open_connections,
            ListenerKind::Controller => &self.controller_connections,
        }
    }

    /// The control shard: takes over the limits of a configuration.
    pub(super) fn limit_connections(&self, config: &RawConfig) {
        let first = self.settings.broker_listeners;
        let (brokers, controllers) = self.settings.listeners.split_at(first);
        self.open_connections.set_limits(config, brokers, 0);
        self.controller_connections.set_limits(config, controllers, first);
    }

    /// The control shard: takes over the limits of single addresses, once their hosts are looked
    /// up.
    pub async fn limit_addresses(&self, config: &RawConfig) {
        let number = self.address_limits_taken.get() + 1;
        self.address_limits_taken.set(number);
        let mut limits = BTreeMap::new();
        for (host, max) in config.max_connections_per_ip_overrides().unwrap_or_default() {
            match self.shard.resolve(&host).await.first() {
                Some(address) => {
                    limits.insert(*address, usize::try_from(max).unwrap_or(0));
                }
                None => tracing::warn!(host, "max.connections.per.ip.overrides: unknown host"),
            }
        }
        // Not if they were changed once more meanwhile.
        if self.address_limits_taken.get() == number {
            self.open_connections.set_address_limits(limits.clone());
            self.controller_connections.set_address_limits(limits);
        }
    }

    /// The control shard: has connections closed where there are too many.
    pub fn shed_excess(self: &Rc<Self>) {
        for kind in [ListenerKind::Broker, ListenerKind::Controller] {
            for (shard, count) in self.connections_of(kind).shed() {
                tracing::info!(shard = shard.0, count, "connections_shed");
                self.post(shard, Message::ShedConnections { kind, count });
            }
        }
    }

    /// A connection is served here from now on.
    pub fn note_served(&self, connection: &Rc<ServedConnection>) -> u32 {
        self.served.borrow_mut().insert(Rc::clone(connection))
    }

    /// It no longer is.
    pub fn forget_served(&self, id: u32) {
        self.served.borrow_mut().remove(id);
    }

    /// Closes connections whose peer has stopped reading: after connections.max.idle.ms, or sooner
    /// if others wait for the memory it holds.
    pub(super) async fn run_stalled_readers(self: Rc<Self>) {
        while !self.stopping.get() {
            self.shard.sleep_ms(LOOK_MS).await;
            let short = self.read_budget.is_short() || self.request_budget.is_short();
            let idle_ms = self.config().current().long("connections.max.idle.ms");
            let idle_ms = u64::try_from(idle_ms).unwrap_or(u64::MAX);
            let limit_ms = if short { STALLED_MS.min(idle_ms) } else { idle_ms };
            let sending: Vec<_> = self
                .served
                .borrow()
                .iter()
                .map(|(_, connection)| connection)
                .filter(|connection| connection.socket.sending_since().is_some())
                .cloned()
                .collect();
            for connection in sending {
                self.close_if_stalled(&connection, limit_ms).await;
            }
        }
    }

    async fn close_if_stalled(&self, connection: &ServedConnection, limit_ms: u64) {
        let now = self.shard.now();
        let (seen, since) = connection.read_by_peer.get();
        // A socket that cannot tell counts as one that reads nothing.
        let read = connection.socket.bytes_acked().await.unwrap_or(seen);
        if read >= seen + READ_BYTES_MIN {
            connection.read_by_peer.set((read, now));
            return;
        }
        let Some(sending_since) = connection.socket.sending_since() else { return };
        if now.ms_since(since.max(sending_since)) >= limit_ms {
            tracing::info!(limit_ms, "connection_closed_peer_does_not_read");
            connection.socket.shutdown().await;
        }
    }

    /// Closes `count` connections, those first that have been silent for longest.
    pub(super) fn shed_connections(self: &Rc<Self>, kind: ListenerKind, count: usize) {
        let config = self.config();
        let (inter_broker, _) = config.current().inter_broker_listener();
        let protected = |connection: &ServedConnection| {
            self.settings.broker_listeners > 1
                && self.settings.listeners[connection.listener].name == inter_broker
        };
        let mut silent: Vec<_> = self
            .served
            .borrow()
            .iter()
            .map(|(_, connection)| connection)
            .filter(|c| self.settings.kind_of(c.listener) == kind)
            .filter(|c| !c.shed.get() && !protected(c))
            .cloned()
            .collect();
        silent.sort_by_key(|connection| connection.last_used.get());
        silent.truncate(count);
        let missing = count - silent.len();
        for connection in silent {
            connection.shed.set(true);
            self.shard.spawn(async move { connection.socket.shutdown().await });
        }
        if missing > 0 {
            self.post(self.settings.control_shard(), Message::NotShed { kind, count: missing });
        }
    }
}

//! What a shard does about the limits on connections: the control shard counts them and decides
//! (`connections`), each shard closes its own.

use std::rc::Rc;

use super::calls::Message;
use super::connections::Connections;
use super::settings::ListenerKind;
use super::shard_broker::{Broker, ServedConnection};
use crate::config::RawConfig;

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

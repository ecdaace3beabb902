//! The node's connections, counted on shard 0 for the limits on them (Kafka's `ConnectionQuotas`).
//!
//! At max.connections, for the node or for a listener, the next connection waits, and those behind
//! it in the listener's backlog. One too many from its address is closed instead. So far nothing
//! that is open is closed when the inter-broker listener, which does not wait for the node's limit,
//! has brought the node above it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};

use ringlog_engine::shard::sync::Event;

use crate::config::{Listener, RawConfig, Value};

const NODE_MAX: &str = "max.connections";

/// What is open, and how much may be.
#[derive(Default)]
pub struct Connections {
    counts: RefCell<Counts>,
    limits: RefCell<Limits>,
    changed: Event,
}

#[derive(Default)]
struct Counts {
    total: usize,
    by_address: BTreeMap<IpAddr, usize>,
    by_listener: BTreeMap<usize, usize>,
}

/// max.connections and its kin, by listener number where a listener has its own.
#[derive(Debug, Default, PartialEq, Eq)]
struct Limits {
    total_max: usize,
    listener_max: Vec<usize>,
    address_max: usize,
    single_addresses_max: BTreeMap<IpAddr, usize>,
    /// The inter-broker listener, if it is not the only one: brokers must find each other however
    /// many clients there are.
    protected: Option<usize>,
}

fn limit(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}

impl Limits {
    fn of(config: &RawConfig, listeners: &[Listener]) -> Self {
        let own = |listener: &Listener| match config.listener_value(&listener.name, NODE_MAX) {
            // The key itself is the node's limit, not each listener's.
            Ok(Some(Value::Int(own))) if config.is_set(&own_key(listener)) => limit(own),
            _ => usize::MAX,
        };
        let (inter_broker, _) = config.inter_broker_listener();
        let protected = listeners.iter().position(|listener| listener.name == inter_broker);
        let overrides = config.max_connections_per_ip_overrides().unwrap_or_default();
        let single = overrides
            .into_iter()
            .filter_map(|(host, max)| Some((address_of(&host)?, limit(max))))
            .collect();
        Self {
            total_max: limit(config.int(NODE_MAX)),
            listener_max: listeners.iter().map(own).collect(),
            address_max: limit(config.int("max.connections.per.ip")),
            single_addresses_max: single,
            protected: protected.filter(|_| listeners.len() > 1),
        }
    }
}

fn own_key(listener: &Listener) -> String {
    format!("listener.name.{}.{NODE_MAX}", listener.name.to_lowercase())
}

/// A host's first address. A name is looked up when the key is set, not when somebody connects.
fn address_of(host: &str) -> Option<IpAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok().or_else(|| Some((host, 0).to_socket_addrs().ok()?.next()?.ip()))
}

impl Connections {
    /// Takes over the limits of a configuration.
    pub fn set_limits(&self, config: &RawConfig, listeners: &[Listener]) {
        *self.limits.borrow_mut() = Limits::of(config, listeners);
        self.changed.notify();
    }

    /// Whether one more may be open now.
    pub fn has_room(&self, listener: usize) -> bool {
        let (limits, counts) = (self.limits.borrow(), self.counts.borrow());
        let of_listener = counts.by_listener.get(&listener).copied().unwrap_or(0);
        let listener_max = limits.listener_max.get(listener).copied().unwrap_or(usize::MAX);
        let protected = limits.protected == Some(listener);
        of_listener < listener_max && (protected || counts.total < limits.total_max)
    }

    /// Waits until one more may be open.
    pub async fn room(&self, listener: usize) {
        self.changed.until(|| self.has_room(listener).then_some(())).await;
    }

    /// Counts a connection; false, and nothing counted, if its address has too many.
    pub fn open(&self, listener: usize, address: IpAddr) -> bool {
        let (limits, mut counts) = (self.limits.borrow(), self.counts.borrow_mut());
        let of_address = counts.by_address.get(&address).copied().unwrap_or(0);
        let single = limits.single_addresses_max.get(&address).copied();
        if of_address >= single.unwrap_or(limits.address_max) {
            return false;
        }
        counts.total += 1;
        counts.by_address.insert(address, of_address + 1);
        *counts.by_listener.entry(listener).or_default() += 1;
        true
    }

    /// A counted connection has ended.
    pub fn close(&self, listener: usize, address: IpAddr) {
        let mut counts = self.counts.borrow_mut();
        counts.total -= 1;
        *counts.by_listener.get_mut(&listener).expect("it was counted") -= 1;
        let of_address = counts.by_address.get_mut(&address).expect("it was counted");
        *of_address -= 1;
        if *of_address == 0 {
            counts.by_address.remove(&address);
        }
        drop(counts);
        self.changed.notify();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(lines: &str) -> Connections {
        let file = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@h:9093\n\
             controller.listener.names=C\n\
             listeners=A://h:1,B://h:2,C://h:9093\ninter.broker.listener.name=B\n\
             listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT,C:PLAINTEXT\n{lines}"
        );
        let config = RawConfig::load(file.as_bytes(), &[]).expect("a good file");
        let connections = Connections::default();
        connections.set_limits(&config, &config.broker_listeners());
        connections
    }

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn the_node_and_each_listener_have_a_limit_and_brokers_wait_only_for_theirs() {
        let open = connections("max.connections=3\nlistener.name.a.max.connections=2\n");
        assert!(open.open(0, ip(1)) && open.open(0, ip(1)));
        assert!(!open.has_room(0), "listener A is full");
        assert!(open.has_room(1));
        assert!(open.open(1, ip(1)));
        open.close(0, ip(1));
        assert!(open.has_room(0));
        assert!(open.open(1, ip(2)));
        assert!(!open.has_room(0), "the node is full");
        assert!(open.has_room(1), "but not for brokers");
        open.close(1, ip(2));
        assert!(open.has_room(0));
    }

    #[test]
    fn an_address_has_a_limit_and_some_have_their_own() {
        let open = connections(
            "max.connections.per.ip=1\nmax.connections.per.ip.overrides=10.0.0.2:2,10.0.0.3:0\n",
        );
        assert!(open.open(0, ip(1)) && !open.open(1, ip(1)));
        assert!(open.open(0, ip(2)) && open.open(0, ip(2)) && !open.open(0, ip(2)));
        assert!(!open.open(0, ip(3)));
        open.close(0, ip(1));
        assert!(open.open(0, ip(1)));
    }
}

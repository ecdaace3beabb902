//! The node's connections, counted on the control shard for the limits on them (Kafka's
//! `ConnectionQuotas`).
//!
//! At max.connections, for the node or for a listener, the next connection waits, and those behind
//! it in the listener's backlog; so it does where connections come faster than
//! max.connection.creation.rate. One too many from its address is closed instead. The inter-broker
//! listener does not wait for the node's limit. Where that is exceeded, because brokers came or
//! because it was lowered, connections of the other listeners are closed, those first that have
//! been silent for longest. A listener's own limit closes nothing that is open.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use ringlog_engine::io::Mono;
use ringlog_engine::shard::sync::Event;
use ringlog_engine::types::ShardId;

use super::rate::Rate;
use crate::config::{Listener, RawConfig, Value};

const NODE_MAX: &str = "max.connections";
const RATE_MAX: &str = "max.connection.creation.rate";

/// What is open, and how much may be.
#[derive(Default)]
pub struct Connections {
    counts: RefCell<Counts>,
    limits: RefCell<Limits>,
    /// max.connections.per.ip.overrides.
    address_limits: RefCell<BTreeMap<IpAddr, usize>>,
    rates: RefCell<Rates>,
    changed: Event,
}

#[derive(Default)]
struct Counts {
    total: usize,
    by_address: BTreeMap<IpAddr, usize>,
    by_listener: BTreeMap<usize, usize>,
    /// Of the listeners that are not protected, those that are not being closed.
    closable: BTreeMap<ShardId, i64>,
    /// Being closed because there are too many.
    shedding: usize,
}

/// How fast connections come, to the node and to each listener.
#[derive(Default)]
struct Rates {
    node: Option<Rate>,
    listeners: BTreeMap<usize, Rate>,
}

/// max.connections and its kin, by listener number where a listener has its own.
#[derive(Debug, Default, PartialEq)]
struct Limits {
    total_max: usize,
    listener_max: BTreeMap<usize, usize>,
    address_max: usize,
    rate_max: f64,
    listener_rate_max: BTreeMap<usize, f64>,
    /// Windows over which rates are measured, and their length.
    windows: (usize, u64),
    /// The inter-broker listener, if it is not the only one: brokers must find each other however
    /// many clients there are.
    protected: Option<usize>,
}

fn limit(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}

impl Limits {
    /// Those of `listeners`, numbered from `first` on.
    fn of(config: &RawConfig, listeners: &[Listener], first: usize) -> Self {
        // A listener without a limit of its own has the node's.
        let own = |listener: &Listener, key| match config.listener_value(&listener.name, key) {
            Ok(Some(Value::Int(own))) => own,
            _ => i32::MAX,
        };
        let numbered = || listeners.iter().enumerate().map(|(i, listener)| (first + i, listener));
        let (inter_broker, _) = config.inter_broker_listener();
        let protected = numbered().find(|(_, l)| l.name == inter_broker).map(|(i, _)| i);
        let window_ms = 1000 * u64::try_from(config.int("quota.window.size.seconds")).unwrap_or(1);
        Self {
            total_max: limit(config.int(NODE_MAX)),
            listener_max: numbered().map(|(i, l)| (i, limit(own(l, NODE_MAX)))).collect(),
            address_max: limit(config.int("max.connections.per.ip")),
            rate_max: f64::from(config.int(RATE_MAX)),
            listener_rate_max: numbered().map(|(i, l)| (i, f64::from(own(l, RATE_MAX)))).collect(),
            windows: (limit(config.int("quota.window.num")).max(1), window_ms.max(1)),
            protected: protected.filter(|_| listeners.len() > 1),
        }
    }
}

impl Connections {
    /// Takes over the limits of a configuration, for the listeners from number `first` on.
    pub fn set_limits(&self, config: &RawConfig, listeners: &[Listener], first: usize) {
        *self.limits.borrow_mut() = Limits::of(config, listeners, first);
        self.changed.notify();
    }

    /// Takes over the limits of single addresses.
    pub fn set_address_limits(&self, limits: BTreeMap<IpAddr, usize>) {
        *self.address_limits.borrow_mut() = limits;
    }

    /// Counts a connection that has come, and says how long to let it wait because they come too
    /// fast.
    pub fn throttle_ms(&self, listener: usize, now: Mono) -> u64 {
        let (limits, mut rates) = (self.limits.borrow(), self.rates.borrow_mut());
        let (windows, window_ms) = limits.windows;
        let new = || Rate::new(windows, window_ms);
        let node_ms = match limits.protected == Some(listener) {
            true => 0,
            false => rates.node.get_or_insert_with(new).throttle_ms(limits.rate_max, now),
        };
        let own_max = limits.listener_rate_max.get(&listener).copied().unwrap_or(f64::MAX);
        let own = rates.listeners.entry(listener).or_insert_with(new);
        node_ms.max(own.throttle_ms(own_max, now))
    }

    /// Whether one more may be open now.
    pub fn has_room(&self, listener: usize) -> bool {
        let (limits, counts) = (self.limits.borrow(), self.counts.borrow());
        let of_listener = counts.by_listener.get(&listener).copied().unwrap_or(0);
        let listener_max = limits.listener_max.get(&listener).copied().unwrap_or(usize::MAX);
        let protected = limits.protected == Some(listener);
        of_listener < listener_max && (protected || counts.total < limits.total_max)
    }

    /// Waits until one more may be open.
    pub async fn room(&self, listener: usize) {
        self.changed.until(|| self.has_room(listener).then_some(())).await;
    }

    /// Counts a connection that `shard` is to serve; false, and nothing counted, if its address has
    /// too many.
    pub fn open(&self, listener: usize, address: IpAddr, shard: ShardId) -> bool {
        let (limits, mut counts) = (self.limits.borrow(), self.counts.borrow_mut());
        let of_address = counts.by_address.get(&address).copied().unwrap_or(0);
        let single = self.address_limits.borrow().get(&address).copied();
        if of_address >= single.unwrap_or(limits.address_max) {
            return false;
        }
        counts.total += 1;
        counts.by_address.insert(address, of_address + 1);
        *counts.by_listener.entry(listener).or_default() += 1;
        if limits.protected != Some(listener) {
            *counts.closable.entry(shard).or_default() += 1;
        }
        true
    }

    /// A counted connection has ended; `shed` if it was closed because there were too many.
    pub fn close(&self, listener: usize, address: IpAddr, shard: ShardId, shed: bool) {
        let (limits, mut counts) = (self.limits.borrow(), self.counts.borrow_mut());
        counts.total -= 1;
        *counts.by_listener.get_mut(&listener).expect("it was counted") -= 1;
        let of_address = counts.by_address.get_mut(&address).expect("it was counted");
        *of_address -= 1;
        if *of_address == 0 {
            counts.by_address.remove(&address);
        }
        if shed {
            counts.shedding -= 1;
        } else if limits.protected != Some(listener) {
            *counts.closable.get_mut(&shard).expect("it was counted") -= 1;
        }
        drop(counts);
        self.changed.notify();
    }

    /// Connections that must be closed, by shard, where there are more than the node's limit.
    pub fn shed(&self) -> BTreeMap<ShardId, usize> {
        let (limits, mut counts) = (self.limits.borrow(), self.counts.borrow_mut());
        let open = counts.total - counts.shedding;
        let mut shed = BTreeMap::new();
        for _ in limits.total_max..open {
            let fullest = counts.closable.iter().rev().max_by_key(|(_, count)| **count);
            let Some((&shard, 1..)) = fullest else { break };
            *counts.closable.get_mut(&shard).expect("just seen") -= 1;
            counts.shedding += 1;
            *shed.entry(shard).or_default() += 1;
        }
        shed
    }

    /// So many of those that a shard was to close had ended by themselves.
    pub fn not_shed(&self, shard: ShardId, count: usize) {
        let mut counts = self.counts.borrow_mut();
        counts.shedding -= count;
        // They were taken off this count twice: when they were chosen and when they ended.
        *counts.closable.entry(shard).or_default() += count as i64;
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
        connections.set_limits(&config, &config.broker_listeners(), 0);
        connections
    }

    const S: ShardId = ShardId(0);

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn the_node_and_each_listener_have_a_limit_and_brokers_wait_only_for_theirs() {
        let open = connections("max.connections=3\nlistener.name.a.max.connections=2\n");
        assert!(open.open(0, ip(1), S) && open.open(0, ip(1), S));
        assert!(!open.has_room(0), "listener A is full");
        assert!(open.has_room(1));
        assert!(open.open(1, ip(1), S));
        open.close(0, ip(1), S, false);
        assert!(open.has_room(0));
        assert!(open.open(1, ip(2), S));
        assert!(!open.has_room(0), "the node is full");
        assert!(open.has_room(1), "but not for brokers");
        open.close(1, ip(2), S, false);
        assert!(open.has_room(0));
    }

    #[test]
    fn an_address_has_a_limit_and_some_have_their_own() {
        let open = connections("max.connections.per.ip=1\n");
        open.set_address_limits(BTreeMap::from([(ip(2), 2), (ip(3), 0)]));
        assert!(open.open(0, ip(1), S) && !open.open(1, ip(1), S));
        assert!(open.open(0, ip(2), S) && open.open(0, ip(2), S) && !open.open(0, ip(2), S));
        assert!(!open.open(0, ip(3), S));
        open.close(0, ip(1), S, false);
        assert!(open.open(0, ip(1), S));
    }

    #[test]
    fn above_the_nodes_limit_the_fullest_shards_close_some_but_none_of_brokers() {
        let open = connections("max.connections=5\n");
        let on = |shard, listener| open.open(listener, ip(1), ShardId(shard));
        assert!(on(0, 0) && on(1, 0) && on(1, 0) && on(1, 1) && on(1, 1));
        assert!(open.shed().is_empty(), "as many as may be");
        assert!(on(0, 1) && on(0, 1));
        assert_eq!(open.shed(), BTreeMap::from([(ShardId(0), 1), (ShardId(1), 1)]));
        assert!(open.shed().is_empty(), "not twice for the same excess");
        // One that was to be closed ends by itself, and the shard finds nothing else to close.
        open.close(0, ip(1), ShardId(0), false);
        open.not_shed(ShardId(0), 1);
        assert_eq!(open.counts.borrow().closable[&ShardId(0)], 0);
        open.close(0, ip(1), ShardId(1), true);
        assert!(open.shed().is_empty());
        for _ in 0..3 {
            assert!(on(0, 1));
        }
        assert_eq!(open.shed(), BTreeMap::from([(ShardId(1), 1)]), "brokers' are not closed");
    }

    #[test]
    fn the_node_and_a_listener_have_a_rate_and_brokers_wait_only_for_theirs() {
        let open = connections(
            "max.connection.creation.rate=2\nlistener.name.b.max.connection.creation.rate=1\n\
             quota.window.num=2\n",
        );
        let come = |listener, ms| open.throttle_ms(listener, Mono(0).plus_ms(ms));
        // A second counts as gone: two a second may come at once.
        assert_eq!((come(0, 0), come(0, 0)), (0, 0));
        assert_eq!(come(0, 0), 500);
        assert_eq!(come(1, 0), 0, "brokers are not counted with the rest");
        assert_eq!(come(1, 0), 1000);
        assert_eq!(come(0, 5000), 0);
    }
}

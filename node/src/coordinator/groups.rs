//! [`GroupCoordinators`]: the coordinators of a shard.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use ringlog_engine::io::Mono;
use ringlog_engine::shard::sync::Event;
use ringlog_engine::stdx::NS_PER_MS;
use ringlog_wire::Uuid;

use super::OFFSETS_TOPIC;
use super::partition::{Coordinator, Phase};
use crate::broker::{Answer, Broker, MetadataUpdate, Partition, Reply, TxnMarker};
use crate::error_code::ErrorCode;
use crate::group::{GroupAnswer, GroupRequest};

/// A shard's coordinators by partition of `__consumer_offsets`.
#[derive(Default)]
pub struct GroupCoordinators {
    of: RefCell<BTreeMap<i32, Rc<Coordinator>>>,
    /// There is an earlier deadline than the one that is waited for.
    changed: Event,
    waited_for_ms: Cell<u64>,
}

impl GroupCoordinators {
    /// Starts what a shard's coordinators do by themselves.
    pub fn start(broker: &Rc<Broker>) {
        let this = Rc::clone(broker);
        broker.shard.spawn(async move { run_deadlines(&this).await });
        let this = Rc::clone(broker);
        broker.shard.spawn(async move { run_expiry(&this).await });
    }

    /// Follows the metadata: a coordinator for each partition that the shard owns, which begins by
    /// loading; and no offsets of topics that are gone.
    pub fn follow(&self, broker: &Rc<Broker>, update: &MetadataUpdate) {
        let image = &update.image;
        let topic = image.topic_by_name(OFFSETS_TOPIC);
        let gone = |c: &Coordinator| topic.is_none_or(|topic| topic.id != c.partition.topic);
        self.of.borrow_mut().retain(|_, coordinator| {
            let gone = gone(coordinator);
            if gone {
                coordinator.end();
            }
            !gone
        });
        for name in update.delta.topics_removed.values() {
            self.each(|coordinator| coordinator.happen(|core, _| core.topic_deleted(name)));
        }
        let Some(topic) = topic else { return };
        let config = broker.config();
        let named = |id| image.topic(id).map(|topic| topic.name.clone());
        let removed = update.delta.topics_removed.values().cloned();
        let changed: Vec<String> =
            update.delta.topics_changed.iter().copied().filter_map(named).chain(removed).collect();
        let buffer_bytes = config.current().int("offsets.load.buffer.size").max(1) as usize;
        self.each(|coordinator| {
            coordinator.follow(config.current());
            coordinator.set_image(image, &changed);
        });
        for &index in topic.partitions.keys() {
            let Ok(partition) = broker.partition(topic.id, index) else { continue };
            if self.of.borrow().contains_key(&index) {
                continue;
            }
            let coordinator = Coordinator::new(&broker.shard, partition, config.current());
            coordinator.set_image(image, &[]);
            self.of.borrow_mut().insert(index, Rc::clone(&coordinator));
            let this = Rc::clone(broker);
            broker.shard.spawn(async move {
                coordinator.load(buffer_bytes).await;
                this.groups.look_at_deadlines();
            });
        }
    }

    /// Asks the coordinator of a partition. The request has its place when this returns.
    pub fn ask(&self, topic: Uuid, partition: i32, request: GroupRequest) -> Answer {
        let coordinator = self.of.borrow().get(&partition).cloned();
        let asked = match coordinator.filter(|c| c.partition.topic == topic) {
            Some(coordinator) => coordinator.ask(request),
            None => Err(ErrorCode::NotCoordinator),
        };
        self.look_at_deadlines();
        Box::pin(async move {
            let unavailable = GroupAnswer::Unavailable;
            Reply::Group(match asked {
                Ok(answer) => {
                    answer.await.unwrap_or(unavailable(ErrorCode::CoordinatorNotAvailable))
                }
                Err(error) => unavailable(error),
            })
        })
    }

    /// Whether transactions may end in a partition: not before the coordinator of a partition of
    /// groups has read its log (Kafka's code for that is the one of a partition that is led
    /// elsewhere).
    pub fn takes_markers(&self, partition: &Partition) -> bool {
        *partition.topic_name != *OFFSETS_TOPIC || self.active(partition).is_some()
    }

    /// A producer's transaction has ended in a partition: offsets that it committed count now, if
    /// the partition is one of groups.
    pub fn end_transaction(&self, partition: &Partition, marker: TxnMarker) {
        if let Some(coordinator) = self.active(partition) {
            let mut core = coordinator.core.borrow_mut();
            core.end_transaction(marker.producer, marker.committed);
        }
    }

    fn active(&self, partition: &Partition) -> Option<Rc<Coordinator>> {
        let coordinator = self.of.borrow().get(&partition.index).cloned()?;
        let same = coordinator.partition.topic == partition.topic;
        (same && coordinator.phase.get() == Phase::Active).then_some(coordinator)
    }

    fn each(&self, act: impl Fn(&Rc<Coordinator>)) {
        let all: Vec<Rc<Coordinator>> = self.of.borrow().values().cloned().collect();
        all.iter().for_each(act);
    }

    fn look_at_deadlines(&self) {
        if self.next_deadline().is_some_and(|at_ms| at_ms < self.waited_for_ms.get()) {
            self.changed.notify();
        }
    }

    fn next_deadline(&self) -> Option<u64> {
        let of = self.of.borrow();
        of.values().filter_map(|coordinator| coordinator.core.borrow().next_deadline()).min()
    }
}

async fn run_deadlines(broker: &Rc<Broker>) {
    let (shard, groups) = (&broker.shard, &broker.groups);
    loop {
        let changed = groups.changed.wait();
        let next = groups.next_deadline();
        groups.waited_for_ms.set(next.unwrap_or(u64::MAX));
        match next {
            None => changed.await,
            Some(at_ms) => {
                let at = Mono(at_ms.saturating_mul(NS_PER_MS));
                // Whichever comes first, the deadlines are looked at again.
                let _ = shard.timeout_at(at, changed).await;
            }
        }
        groups.each(|coordinator| coordinator.happen(|core, now| core.on_time(now)));
    }
}

/// offsets.retention.check.interval.ms
async fn run_expiry(broker: &Rc<Broker>) {
    let interval = broker.config().current().long("offsets.retention.check.interval.ms");
    let interval_ms = u64::try_from(interval).unwrap_or(1).max(1);
    loop {
        broker.shard.sleep_ms(interval_ms).await;
        broker.groups.each(|coordinator| coordinator.happen(|core, now| core.expire(now)));
    }
}

//! [`Producer`]: what the load loops, the links and the control task share.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use anyhow::{Result, anyhow};
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;
use ringlog_engine::shard::sync::Event;

use super::accumulator::{Accumulator, NoMemory, NodeId};
use super::config::ProducerConfig;
use super::metrics::ProducerMetrics;
use super::murmur2::partition_of_key;
use super::outcome::{Outcome, Verdict, judge};
use super::partitioner::{BatchState, StickyPartitioner};
use super::queued::{Batch, Stamp};
use super::{control, link};
use crate::client::{Cluster, Endpoint};

/// A target that nobody could talk to for so long is given up.
pub const TARGET_LOST_MS: u64 = 10_000;

/// Is told what becomes of records.
pub trait Observer {
    /// The batch was acknowledged at `now`.
    fn delivered(&mut self, now: Mono, batch: &Batch);
    /// So many records were given up at `now`.
    fn lost(&mut self, now: Mono, records: u64, why: &str);
}

/// Remembers what was lost: for a producer that is to lose nothing.
#[derive(Debug, Default)]
pub struct Losses {
    /// How many records.
    pub records: u64,
    /// Why the first of them.
    pub why: Option<String>,
}

impl Observer for Losses {
    fn delivered(&mut self, _: Mono, _: &Batch) {}

    fn lost(&mut self, _: Mono, records: u64, why: &str) {
        self.records += records;
        self.why.get_or_insert_with(|| why.to_owned());
    }
}

/// A producer for one topic; clones are the same one.
pub struct Producer<O>(pub(super) Rc<Shared<O>>);

impl<O> Clone for Producer<O> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

pub(super) struct Shared<O> {
    pub(super) shard: Shard,
    pub(super) config: ProducerConfig,
    pub(super) bootstrap: Vec<Endpoint>,
    pub(super) cluster: RefCell<Cluster>,
    pub(super) accumulator: RefCell<Accumulator>,
    partitioner: RefCell<StickyPartitioner>,
    pub(super) metrics: RefCell<ProducerMetrics>,
    observer: RefCell<O>,
    /// The links have something to look at.
    pub(super) news: Event,
    /// The control task has something to look at.
    pub(super) wanted: Event,
    /// Memory was given back, or the end has come.
    freed: Event,
    pub(super) metadata_wanted: Cell<bool>,
    /// The last time that a broker answered anything.
    pub(super) last_contact: Cell<Mono>,
    closing: Cell<bool>,
    fatal: RefCell<Option<String>>,
    /// Brokers that have a link task.
    pub(super) linked: RefCell<BTreeSet<NodeId>>,
    /// Those of them whose connection is open.
    pub(super) links_open: Cell<usize>,
    /// Tasks that have not ended.
    pub(super) tasks: Cell<usize>,
}

impl<O: Observer + 'static> Producer<O> {
    /// A producer for the topic of `cluster`, with its tasks started.
    pub fn start(
        shard: &Shard,
        config: ProducerConfig,
        bootstrap: Vec<Endpoint>,
        cluster: Cluster,
        observer: O,
    ) -> Producer<O> {
        let now = shard.clock();
        let partitions = cluster.leaders.len();
        let mut accumulator = Accumulator::new(config.clone(), partitions);
        for (index, leader) in cluster.leaders.iter().enumerate() {
            accumulator.set_leader(index, *leader);
        }
        let batch_size = config.batch_size;
        let partitioner = StickyPartitioner::new(shard.random(), partitions, batch_size);
        let shared = Rc::new(Shared {
            shard: shard.clone(),
            config,
            bootstrap,
            cluster: RefCell::new(cluster),
            accumulator: RefCell::new(accumulator),
            partitioner: RefCell::new(partitioner),
            metrics: RefCell::new(ProducerMetrics::new(now)),
            observer: RefCell::new(observer),
            news: Event::default(),
            wanted: Event::default(),
            freed: Event::default(),
            metadata_wanted: Cell::new(false),
            last_contact: Cell::new(now),
            closing: Cell::new(false),
            fatal: RefCell::new(None),
            linked: RefCell::default(),
            links_open: Cell::new(0),
            tasks: Cell::new(0),
        });
        shared.spawn(control::run(Rc::clone(&shared)));
        shared.link_leaders();
        Producer(shared)
    }

    /// Waits until a record could be sent at once: every leader is connected, and the producer has
    /// its identity. An error if the target was given up.
    pub async fn ready(&self) -> Result<()> {
        let shared = &*self.0;
        let done = || {
            let connected = shared.links_open.get() >= shared.linked.borrow().len();
            let ready = connected && !shared.accumulator.borrow().wants_identity();
            (ready || shared.is_over()).then_some(())
        };
        shared.news.until(done).await;
        self.check()
    }

    /// Appends a record if there is memory for it.
    #[inline]
    pub fn try_send(
        &self,
        now: Mono,
        stamp: &Stamp,
        key: Option<&[u8]>,
        value: &[u8],
    ) -> Result<(), NoMemory> {
        let shared = &*self.0;
        let mut accumulator = shared.accumulator.borrow_mut();
        let mut partitioner = shared.partitioner.borrow_mut();
        let partition = match key {
            Some(key) => partition_of_key(key, accumulator.partitions()),
            None => partitioner.current(),
        };
        let appended = accumulator.append(now, partition, stamp, key, value)?;
        let state = if appended.full { BatchState::Complete } else { BatchState::Filling };
        if key.is_none() && partitioner.produced(appended.bytes, state) {
            if shared.config.adaptive_partitioning {
                partitioner.switch(accumulator.queue_lengths());
            } else {
                partitioner.switch((0..accumulator.partitions()).map(|_| Some(0)));
            }
        }
        if appended.news {
            shared.news.notify();
        }
        Ok(())
    }

    /// Appends a record, waiting for memory; false if `max.block.ms` passed first.
    pub async fn send(&self, stamp: &Stamp, key: Option<&[u8]>, value: &[u8]) -> Result<bool> {
        let shared = &*self.0;
        let began = shared.shard.clock();
        if self.try_send(began, stamp, key, value).is_ok() {
            return Ok(true);
        }
        let deadline = began.plus_ms(shared.config.max_block_ms);
        shared.accumulator.borrow_mut().set_waiting(true);
        shared.metrics.borrow_mut().memory_wait_begins(began);
        shared.news.notify();
        let sent = loop {
            let freed = shared.freed.wait();
            if let Err(error) = self.check() {
                break Err(error);
            }
            if self.try_send(shared.shard.clock(), stamp, key, value).is_ok() {
                break Ok(true);
            }
            if shared.shard.timeout_at(deadline, freed).await.is_err() {
                shared.observer.borrow_mut().lost(
                    shared.shard.clock(),
                    1,
                    "buffer.memory was exhausted for max.block.ms",
                );
                break Ok(false);
            }
        };
        shared.accumulator.borrow_mut().set_waiting(false);
        shared.metrics.borrow_mut().memory_wait_ends(shared.shard.clock());
        sent
    }

    /// An error if the target was given up.
    pub fn check(&self) -> Result<()> {
        match &*self.0.fatal.borrow() {
            Some(why) => Err(anyhow!("{why}")),
            None => Ok(()),
        }
    }

    /// Sends what is left and waits until all of it is answered or given up, until `deadline` at
    /// the latest: false if something is still unanswered then.
    pub async fn flush(&self, deadline: Mono) -> Result<bool> {
        let shared = &*self.0;
        shared.accumulator.borrow_mut().flush();
        shared.news.notify();
        loop {
            let freed = shared.freed.wait();
            self.check()?;
            if shared.accumulator.borrow().unfinished() == 0 {
                return Ok(true);
            }
            if shared.shard.timeout_at(deadline, freed).await.is_err() {
                return Ok(false);
            }
        }
    }

    /// Tells the tasks to end.
    pub fn begin_close(&self) {
        let shared = &*self.0;
        shared.closing.set(true);
        shared.news.notify();
        shared.wanted.notify();
        shared.freed.notify();
    }

    /// Ends the tasks and gives up what is unanswered.
    pub async fn close(&self) {
        self.begin_close();
        let shared = &*self.0;
        while shared.tasks.get() > 0 {
            shared.shard.sleep_ms(1).await;
        }
        let now = shared.shard.clock();
        let records = shared.accumulator.borrow_mut().abandon();
        if records > 0 {
            shared.observer.borrow_mut().lost(now, records, "still unanswered at the end");
        }
    }

    /// Ends the run: everybody who waits gets this error.
    pub fn give_up(&self, why: String) {
        self.0.give_up(why);
    }

    /// Reads or changes the observer.
    pub fn observer<T>(&self, with: impl FnOnce(&mut O) -> T) -> T {
        with(&mut self.0.observer.borrow_mut())
    }

    /// Reads or changes the metrics.
    pub fn metrics<T>(&self, with: impl FnOnce(&mut ProducerMetrics) -> T) -> T {
        with(&mut self.0.metrics.borrow_mut())
    }
}

impl<O: Observer + 'static> Shared<O> {
    /// Runs a task that `close` waits for.
    pub(super) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        self.tasks.set(self.tasks.get() + 1);
        let shared = Rc::clone(self);
        self.shard.spawn(async move {
            task.await;
            shared.tasks.set(shared.tasks.get() - 1);
        });
    }

    /// Starts a link to every leader that has none.
    pub(super) fn link_leaders(self: &Rc<Self>) {
        let leaders: BTreeSet<NodeId> =
            self.cluster.borrow().leaders.iter().copied().flatten().collect();
        for node in leaders {
            if self.linked.borrow_mut().insert(node) {
                self.spawn(link::run(Rc::clone(self), node));
            }
        }
    }

    /// Whether the tasks are to end.
    pub(super) fn is_over(&self) -> bool {
        self.closing.get() || self.fatal.borrow().is_some()
    }

    /// A broker answered.
    pub(super) fn heard(&self) {
        self.last_contact.set(self.shard.clock());
    }

    /// Gives the target up.
    pub(super) fn give_up(&self, why: String) {
        self.fatal.borrow_mut().get_or_insert(why);
        self.news.notify();
        self.wanted.notify();
        self.freed.notify();
    }

    /// A broker could not be reached or used. Gives up if nobody could for too long.
    pub(super) fn trouble(&self, error: &anyhow::Error) {
        let silent_ms = self.shard.clock().ms_since(self.last_contact.get());
        if silent_ms >= TARGET_LOST_MS {
            let seconds = silent_ms / 1000;
            self.give_up(format!("the target has not answered for {seconds} s: {error:#}"));
        }
        self.want_metadata();
    }

    /// Leaders may have changed.
    pub(super) fn want_metadata(&self) {
        self.metadata_wanted.set(true);
        self.wanted.notify();
    }

    /// Acts on what became of a batch.
    pub(super) fn settle(&self, batch: Batch, outcome: &Outcome) {
        let now = self.shard.clock();
        let mut accumulator = self.accumulator.borrow_mut();
        let verdict = judge(&accumulator, self.config.retries, &batch, outcome, now);
        match verdict {
            Verdict::Delivered => {
                self.observer.borrow_mut().delivered(now, &batch);
                accumulator.complete(batch);
                self.freed.notify();
            }
            Verdict::Retry | Verdict::RetryRenewed => {
                self.metrics.borrow_mut().retried_records += u64::from(batch.records());
                accumulator.retry(batch, now);
                if verdict == Verdict::RetryRenewed {
                    accumulator.renew_identity();
                }
                self.want_metadata();
            }
            Verdict::Lost(why) => {
                self.observer.borrow_mut().lost(now, u64::from(batch.records()), &why);
                accumulator.fail(batch);
                self.freed.notify();
            }
        }
        if accumulator.wants_identity() {
            self.wanted.notify();
        }
    }

    /// Gives up batches that waited too long.
    pub(super) fn expire(&self) {
        let now = self.shard.clock();
        let records = self.accumulator.borrow_mut().expire(now);
        if records > 0 {
            self.observer.borrow_mut().lost(now, records, "delivery.timeout.ms has passed");
            self.freed.notify();
        }
    }
}

//! [`Accumulator`]: records waiting in batches, and which batches may go where, when.
//!
//! A pure state machine with Java's rules (`RecordAccumulator`, `BufferPool` and the sequence
//! bookkeeping of `TransactionManager`): it does no I/O and is told the time. The sender asks
//! [`Accumulator::ready`] when a broker has something to get, takes it with
//! [`Accumulator::drain`], and brings every batch back with [`Accumulator::complete`] or
//! [`Accumulator::retry`].
//!
//! Invariants: the memory of a batch is taken when it is started and given back when it is
//! complete, so `free` plus what all batches hold is `buffer.memory`. The batches of a partition
//! are queued in the order of their records; those that were sent before stand first, in the order
//! of their sequence numbers.

use std::collections::{BTreeMap, VecDeque};

use ringlog_engine::io::Mono;

use super::batch::{Sequence, size_with_one_record};
use super::config::ProducerConfig;
use super::queued::{Batch, Stamp};

/// A broker's id.
pub type NodeId = i32;

/// The producer's idempotent identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The producer is not idempotent.
    Unneeded,
    /// Nothing is sent before InitProducerId has answered. The identity to be replaced, if any.
    Wanted(Option<(i64, i16)>),
    /// Producer id and epoch.
    Known(i64, i16),
}

/// When a broker has something to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// At once.
    Now,
    /// Not before then.
    At(Mono),
    /// Not before something is appended.
    Idle,
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Bytes that the partition's batches grew by.
    pub bytes: usize,
    /// The record opened a batch, or filled one: the sender may have something to do.
    pub news: bool,
    /// The partition's last batch takes no more.
    pub full: bool,
}

/// There is no memory for another batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// A partition's batches.
#[derive(Debug, Default)]
struct Partition {
    leader: Option<NodeId>,
    queue: VecDeque<Batch>,
    next_sequence: i32,
    last_acked_sequence: Option<i32>,
    /// Base sequences of batches that were sent and are not complete, ascending but for the wrap.
    unacked: VecDeque<i32>,
    /// Batches on the wire.
    in_flight: usize,
}

/// The batches of one topic that are not acknowledged yet.
#[derive(Debug)]
pub struct Accumulator {
    config: ProducerConfig,
    partitions: Vec<Partition>,
    memory_free: usize,
    /// Tasks that wait for memory: everything goes out while there are any.
    waiting: usize,
    flushing: bool,
    identity: Identity,
    /// The partition with which a broker's next request begins.
    drain_starts: BTreeMap<NodeId, usize>,
    in_flight: usize,
    queued: usize,
    spare: Vec<Batch>,
}

impl Accumulator {
    /// For a topic with so many partitions, whose leaders are not known yet.
    pub fn new(config: ProducerConfig, partitions: usize) -> Accumulator {
        let idempotent = config.enable_idempotence;
        Self {
            memory_free: config.buffer_memory,
            config,
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            waiting: 0,
            flushing: false,
            identity: if idempotent { Identity::Wanted(None) } else { Identity::Unneeded },
            drain_starts: BTreeMap::new(),
            in_flight: 0,
            queued: 0,
            spare: Vec::new(),
        }
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Who leads a partition from now on.
    pub fn set_leader(&mut self, partition: usize, leader: Option<NodeId>) {
        self.partitions[partition].leader = leader;
    }

    /// How many batches wait for each partition; `None` where it has no leader.
    pub fn queue_lengths(&self) -> impl Iterator<Item = Option<usize>> + Clone + '_ {
        self.partitions.iter().map(|p| p.leader.map(|_| p.queue.len()))
    }

    /// Whether records wait for a partition without a leader.
    pub fn lacks_leader(&self) -> bool {
        self.partitions.iter().any(|p| p.leader.is_none() && !p.queue.is_empty())
    }

    /// Batches that are not complete.
    pub fn unfinished(&self) -> usize {
        self.in_flight + self.queued
    }

    /// Bytes nobody holds.
    #[cfg(test)]
    pub fn memory_free(&self) -> usize {
        self.memory_free
    }

    /// From now on a batch need not wait to be full.
    pub fn flush(&mut self) {
        self.flushing = true;
    }

    /// Somebody begins, or has ended, to wait for memory.
    pub fn set_waiting(&mut self, waits: bool) {
        self.waiting = if waits { self.waiting + 1 } else { self.waiting - 1 };
    }

    /// Appends a record to the partition's last batch, or to a new one.
    #[inline]
    pub fn append(
        &mut self,
        now: Mono,
        partition: usize,
        stamp: &Stamp,
        key: Option<&[u8]>,
        value: &[u8],
    ) -> Result<Appended, NoMemory> {
        if let Some(last) = self.partitions[partition].queue.back_mut()
            && let Some(bytes) = last.append(stamp, key, value)
        {
            let full = last.is_full();
            return Ok(Appended { bytes, news: full, full });
        }
        self.append_to_new(now, partition, stamp, key, value)
    }

    fn append_to_new(
        &mut self,
        now: Mono,
        partition: usize,
        stamp: &Stamp,
        key: Option<&[u8]>,
        value: &[u8],
    ) -> Result<Appended, NoMemory> {
        let first_record = size_with_one_record(key, value);
        let memory = self.config.batch_size.max(first_record);
        assert!(memory <= self.config.buffer_memory, "the configuration was checked");
        if memory > self.memory_free {
            return Err(NoMemory);
        }
        self.memory_free -= memory;
        let spare = self.spare.pop();
        let mut batch = Batch::new(partition, now, self.config.batch_size, first_record, spare);
        let bytes = batch.append(stamp, key, value).expect("the first record fits");
        let full = batch.is_full();
        self.partitions[partition].queue.push_back(batch);
        self.queued += 1;
        Ok(Appended { bytes, news: true, full })
    }

    /// When `node` has something to get.
    pub fn ready(&self, node: NodeId, now: Mono) -> Ready {
        if matches!(self.identity, Identity::Wanted(_)) {
            return Ready::Idle;
        }
        let exhausted = self.waiting > 0 || self.flushing;
        let mut earliest = Ready::Idle;
        for partition in self.partitions.iter().filter(|p| p.leader == Some(node)) {
            let Some(first) = partition.queue.front() else { continue };
            if self.must_wait(partition, first) {
                continue;
            }
            let full = partition.queue.len() > 1 || first.is_full();
            let due = if first.attempts > 0 {
                first.last_attempt.plus_ms(self.backoff_ms(first.attempts))
            } else if full || exhausted {
                return Ready::Now;
            } else {
                first.last_attempt.plus_ms(self.config.linger_ms)
            };
            if due <= now {
                return Ready::Now;
            }
            earliest = match earliest {
                Ready::At(at) => Ready::At(at.min(due)),
                _ => Ready::At(due),
            };
        }
        earliest
    }

    /// Whether the partition's first batch has to wait for those that are on the wire: because
    /// only one may be (`max.in.flight=1`), or because it was sent before and is not the next.
    fn must_wait(&self, partition: &Partition, first: &Batch) -> bool {
        if self.config.max_in_flight == 1 && partition.in_flight > 0 {
            return true;
        }
        match (first.sequence, partition.unacked.front()) {
            (Some(sequence), Some(next)) => sequence.base_sequence != *next,
            _ => false,
        }
    }

    fn backoff_ms(&self, attempts: u32) -> u64 {
        let doubled = self.config.retry_backoff_ms << (attempts - 1).min(20);
        doubled.min(self.config.retry_backoff_max_ms.max(self.config.retry_backoff_ms))
    }

    /// Takes what goes to `node` in one request: at most one batch of each of its partitions, and
    /// at most `max.request.size` bytes. Every partition of the node takes part, full batches or
    /// not, beginning where the last request ended, as Java's does.
    pub fn drain(&mut self, node: NodeId, now: Mono) -> Vec<Batch> {
        let mut batches = Vec::new();
        if matches!(self.identity, Identity::Wanted(_)) {
            return batches;
        }
        let count = self.partitions.len();
        let start = self.drain_starts.get(&node).copied().unwrap_or(0) % count;
        let mut size = 0;
        for step in 0..count {
            let index = (start + step) % count;
            let partition = &self.partitions[index];
            if partition.leader != Some(node) {
                continue;
            }
            let Some(first) = partition.queue.front() else { continue };
            let backing_off = first.attempts > 0
                && first.last_attempt.plus_ms(self.backoff_ms(first.attempts)) > now;
            if backing_off || self.must_wait(partition, first) {
                continue;
            }
            if size + first.size() > self.config.max_request_size && !batches.is_empty() {
                self.drain_starts.insert(node, index);
                return batches;
            }
            let batch = self.take_first(index, now);
            size += batch.size();
            batches.push(batch);
        }
        self.drain_starts.insert(node, (start + 1) % count);
        batches
    }

    fn take_first(&mut self, index: usize, now: Mono) -> Batch {
        let partition = &mut self.partitions[index];
        let mut batch = partition.queue.pop_front().expect("just seen");
        if let (Identity::Known(producer_id, producer_epoch), None) =
            (self.identity, batch.sequence)
        {
            let base_sequence = partition.next_sequence;
            partition.next_sequence = add_sequence(base_sequence, batch.records());
            partition.unacked.push_back(base_sequence);
            batch.sequence = Some(Sequence { producer_id, producer_epoch, base_sequence });
        }
        batch.seal(self.config.compression);
        batch.drained = now;
        partition.in_flight += 1;
        self.queued -= 1;
        self.in_flight += 1;
        batch
    }

    /// A batch is off the wire.
    fn landed(&mut self, batch: &Batch) {
        self.in_flight -= 1;
        self.partitions[batch.partition].in_flight -= 1;
    }

    /// The batch is acknowledged: its memory is free.
    pub fn complete(&mut self, batch: Batch) {
        self.landed(&batch);
        self.forget_sequence(&batch);
        if let Some(sequence) = batch.sequence {
            let last = add_sequence(sequence.base_sequence, batch.records() - 1);
            self.partitions[batch.partition].last_acked_sequence = Some(last);
        }
        self.release(batch);
    }

    /// The batch on the wire will not be sent again. Its sequence numbers leave a gap that the
    /// broker would not accept, so the producer needs another identity.
    pub fn fail(&mut self, batch: Batch) {
        self.landed(&batch);
        self.fail_queued(batch);
    }

    fn fail_queued(&mut self, batch: Batch) {
        if batch.sequence.is_some() {
            self.forget_sequence(&batch);
            self.renew_identity();
        }
        self.release(batch);
    }

    fn forget_sequence(&mut self, batch: &Batch) {
        if let Some(sequence) = batch.sequence {
            self.partitions[batch.partition].unacked.retain(|base| *base != sequence.base_sequence);
        }
    }

    fn release(&mut self, mut batch: Batch) {
        self.memory_free += batch.memory;
        assert!(self.memory_free <= self.config.buffer_memory, "memory was given back twice");
        batch.clear();
        self.spare.push(batch);
    }

    /// The batch is to be sent again: it goes back before those that were sent after it.
    pub fn retry(&mut self, mut batch: Batch, now: Mono) {
        self.landed(&batch);
        batch.attempts += 1;
        batch.last_attempt = now;
        self.queued += 1;
        let partition = &mut self.partitions[batch.partition];
        let at = match batch.sequence {
            None => 0,
            Some(sequence) => {
                let rank = |base: i32| partition.unacked.iter().position(|b| *b == base);
                let own = rank(sequence.base_sequence);
                let before = |other: &Batch| {
                    other.sequence.is_some_and(|other| rank(other.base_sequence) < own)
                };
                partition.queue.iter().take_while(|other| before(other)).count()
            }
        };
        partition.queue.insert(at, batch);
    }

    /// Whether `batch` is the one that the broker must take next.
    pub fn is_next(&self, batch: &Batch) -> bool {
        let Some(sequence) = batch.sequence else { return true };
        let expected = match self.partitions[batch.partition].last_acked_sequence {
            Some(last) => add_sequence(last, 1),
            None => 0,
        };
        sequence.base_sequence == expected
    }

    /// The producer's identity.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Asks for a new identity. Nothing is drained until there is one.
    pub fn renew_identity(&mut self) {
        if let Identity::Known(id, epoch) = self.identity {
            self.identity = Identity::Wanted(Some((id, epoch)));
        }
    }

    /// Whether InitProducerId is to be asked now: one is wanted, and nothing sent under the old
    /// one is on the wire.
    pub fn wants_identity(&self) -> bool {
        matches!(self.identity, Identity::Wanted(_)) && self.in_flight == 0
    }

    /// The answer of InitProducerId: every sequence begins again.
    pub fn set_identity(&mut self, producer_id: i64, producer_epoch: i16) {
        assert!(self.wants_identity(), "nothing may be on the wire");
        self.identity = Identity::Known(producer_id, producer_epoch);
        for partition in &mut self.partitions {
            partition.next_sequence = 0;
            partition.last_acked_sequence = None;
            partition.unacked.clear();
            partition.queue.iter_mut().for_each(|batch| batch.sequence = None);
        }
    }

    /// Gives up queued batches older than `delivery.timeout.ms`: their numbers of records.
    pub fn expire(&mut self, now: Mono) -> u64 {
        let mut records = 0;
        for index in 0..self.partitions.len() {
            while let Some(first) = self.partitions[index].queue.front()
                && self.is_overdue(first, now)
            {
                let batch = self.partitions[index].queue.pop_front().expect("just seen");
                records += u64::from(batch.records());
                self.queued -= 1;
                self.fail_queued(batch);
            }
        }
        records
    }

    /// Whether the batch has had all the time it may take.
    pub fn is_overdue(&self, batch: &Batch, now: Mono) -> bool {
        batch.created.plus_ms(self.config.delivery_timeout_ms) <= now
    }

    /// Gives up everything that is queued: its number of records.
    pub fn abandon(&mut self) -> u64 {
        let mut records = 0;
        for index in 0..self.partitions.len() {
            while let Some(batch) = self.partitions[index].queue.pop_front() {
                records += u64::from(batch.records());
                self.queued -= 1;
                self.fail_queued(batch);
            }
        }
        records
    }
}

/// The sequence number `count` after `sequence`; they wrap after 2^31 - 1.
fn add_sequence(sequence: i32, count: u32) -> i32 {
    ((i64::from(sequence) + i64::from(count)) % (1 << 31)) as i32
}

#[cfg(test)]
mod tests;

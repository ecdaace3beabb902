//! [`Coordinator`]: the groups of one partition of `__consumer_offsets`, alive.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use ringlog_engine::batch::{BATCH_HEADER_BYTES, BatchBuilder, Codec};
use ringlog_engine::io::{Buf, Mono};
use ringlog_engine::log::Origin;
use ringlog_engine::shard::Shard;
use ringlog_engine::shard::sync::{OneshotReceiver, OneshotSender, Queue, oneshot};
use ringlog_engine::stdx::NS_PER_MS;
use ringlog_engine::stdx::slab::Slab;
use ringlog_engine::types::Offset;

use crate::broker::Partition;
use crate::config::RawConfig;
use crate::error_code::ErrorCode;
use crate::group::{
    Assignor, Effects, GroupAnswer, GroupCore, GroupLimits, GroupRecord, GroupRequest, Now,
};
use crate::metadata::MetadataImage;

const MS_PER_MINUTE: i64 = 60_000;

/// How far a coordinator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Reading the log.
    Loading,
    /// Answering.
    Active,
    /// Its log cannot be read or written, or is another's: it will not answer again.
    Ended,
}

/// Answers that wait for their records to be durable.
struct Held {
    end: Offset,
    deadline: Mono,
    answers: Vec<(OneshotSender<GroupAnswer>, GroupAnswer)>,
}

/// A coordinator.
pub(super) struct Coordinator {
    pub(super) shard: Shard,
    pub(super) partition: Rc<Partition>,
    pub(super) core: RefCell<GroupCore>,
    pub(super) phase: Cell<Phase>,
    waiting: RefCell<Slab<OneshotSender<GroupAnswer>>>,
    held: Queue<Held>,
    held_count: Cell<usize>,
    commit_timeout_ms: u64,
    codec: Codec,
}

/// The limits that a configuration sets, for groups whose records go into such a log.
fn limits(config: &RawConfig, partition: &Partition) -> GroupLimits {
    let positive = |name| u64::try_from(config.int(name)).unwrap_or(0);
    let log = partition.log.config();
    let policy = config.string("group.consumer.migration.policy").unwrap_or_default();
    let policy = policy.to_lowercase();
    GroupLimits {
        session_timeout_min_ms: config.int("group.min.session.timeout.ms"),
        session_timeout_max_ms: config.int("group.max.session.timeout.ms"),
        initial_delay_ms: positive("group.initial.rebalance.delay.ms"),
        members_max: positive("group.max.size") as usize,
        metadata_len_max: positive("offset.metadata.max.bytes") as usize,
        retention_ms: i64::from(config.int("offsets.retention.minutes")) * MS_PER_MINUTE,
        batch_bytes_max: log
            .max_message_bytes
            .min(log.segment_bytes as usize)
            .saturating_sub(BATCH_HEADER_BYTES),
        consumer_session_timeout_ms: config.int("group.consumer.session.timeout.ms"),
        consumer_heartbeat_ms: config.int("group.consumer.heartbeat.interval.ms"),
        consumer_members_max: positive("group.consumer.max.size") as usize,
        assignors: assignors(config.list("group.consumer.assignors")),
        may_upgrade: policy == "upgrade" || policy == "bidirectional",
        may_downgrade: policy == "downgrade" || policy == "bidirectional",
    }
}

/// Those of the built-in assignors that are named, in their order; a Java class is none of ours.
fn assignors(names: &[String]) -> &'static [Assignor] {
    use Assignor::{Range, Uniform};
    let named: Vec<Assignor> = names.iter().filter_map(|name| Assignor::of_name(name)).collect();
    match named.as_slice() {
        [Range, Uniform, ..] => &[Range, Uniform],
        [Range, ..] => &[Range],
        [Uniform, Range, ..] | [] => &[Uniform, Range],
        [Uniform, ..] => &[Uniform],
    }
}

impl Coordinator {
    pub(super) fn new(shard: &Shard, partition: Rc<Partition>, config: &RawConfig) -> Rc<Self> {
        let codec = u16::try_from(config.int("offsets.topic.compression.codec"));
        let this = Rc::new(Self {
            shard: shard.clone(),
            core: RefCell::new(GroupCore::new(limits(config, &partition))),
            partition,
            phase: Cell::new(Phase::Loading),
            waiting: RefCell::default(),
            held: Queue::default(),
            held_count: Cell::new(0),
            commit_timeout_ms: config.int("offsets.commit.timeout.ms").max(1) as u64,
            codec: codec.ok().and_then(Codec::from_bits).unwrap_or_default(),
        });
        let releasing = Rc::clone(&this);
        shard.spawn(async move { releasing.run_release().await });
        this
    }

    /// Takes over settings that may have changed.
    pub(super) fn follow(&self, config: &RawConfig) {
        self.core.borrow_mut().set_limits(limits(config, &self.partition));
    }

    /// Takes over new metadata, in which topics of these names were made, changed or deleted.
    pub(super) fn set_image(&self, image: &Arc<MetadataImage>, changed: &[String]) {
        self.core.borrow_mut().set_image(Arc::clone(image), changed);
    }

    pub(super) fn now(&self) -> Now {
        Now {
            mono_ms: self.shard.now().0 / NS_PER_MS,
            unix_ms: self.shard.unix_ms(),
            next_offset: self.partition.log.ends().log_end_offset.0,
        }
    }

    /// Takes up a request; when this returns it has its place in the order of the group's.
    pub(super) fn ask(
        self: &Rc<Self>,
        request: GroupRequest,
    ) -> Result<OneshotReceiver<GroupAnswer>, ErrorCode> {
        match self.phase.get() {
            Phase::Loading => return Err(ErrorCode::CoordinatorLoadInProgress),
            Phase::Ended => return Err(ErrorCode::NotCoordinator),
            Phase::Active => {}
        }
        let (sender, receiver) = oneshot();
        let ticket = self.waiting.borrow_mut().insert(sender);
        let effects = self.core.borrow_mut().handle(u64::from(ticket), request, self.now());
        self.carry_out(effects);
        Ok(receiver)
    }

    /// Lets something happen to the core, if it is active.
    pub(super) fn happen(self: &Rc<Self>, event: impl FnOnce(&mut GroupCore, Now) -> Effects) {
        if self.phase.get() == Phase::Active {
            let effects = event(&mut self.core.borrow_mut(), self.now());
            self.carry_out(effects);
        }
    }

    /// Appends the records; the answers follow when they are durable.
    pub(super) fn carry_out(self: &Rc<Self>, effects: Effects) {
        if let Err(error) = self.append(&effects.records) {
            tracing::error!(partition = self.partition.index, error, "group_records_not_written");
            return self.end();
        }
        let mut waiting = self.waiting.borrow_mut();
        let answers = effects.answers.into_iter().map(|(ticket, answer)| {
            let sender = waiting.remove(ticket as u32).expect("a ticket is answered once");
            (sender, answer)
        });
        let answers: Vec<_> = answers.collect();
        drop(waiting);
        if answers.is_empty() {
            return;
        }
        // ORDER: an answer builds on every record before it, so it waits for all of them.
        let end = self.partition.log.ends().log_end_offset;
        if self.held_count.get() == 0 && self.partition.high_watermark() >= end {
            return answers.into_iter().for_each(|(sender, answer)| sender.send(answer));
        }
        let deadline = self.shard.now().plus_ms(self.commit_timeout_ms);
        self.held_count.update(|count| count + 1);
        self.held.push(Held { end, deadline, answers });
    }

    /// As few batches as hold the records. What must not be torn apart fits into one: the core
    /// keeps to the limit that it was given.
    fn append(&self, records: &[GroupRecord]) -> Result<(), String> {
        let bytes_max = self.core.borrow().limits().batch_bytes_max + BATCH_HEADER_BYTES;
        let now_ms = self.shard.unix_ms();
        let mut batch = self.batch();
        for record in records {
            if !batch.is_empty() && batch.size() + record.size_max() > bytes_max {
                let full = std::mem::replace(&mut batch, self.batch());
                self.append_batch(full)?;
            }
            batch.append(now_ms, &record.fields());
        }
        if batch.is_empty() { Ok(()) } else { self.append_batch(batch) }
    }

    fn batch(&self) -> BatchBuilder {
        let mut batch = BatchBuilder::default();
        batch.codec = self.codec;
        batch
    }

    fn append_batch(&self, batch: BatchBuilder) -> Result<(), String> {
        let bytes = batch.build().map_err(|error| error.to_string())?;
        let epoch = self.partition.leader_epoch();
        let appended = self.partition.log.append(Buf::copy_of(&bytes), Origin::Internal, epoch);
        appended.map(drop).map_err(|error| error.to_string())
    }

    /// Sends held answers in their order.
    async fn run_release(self: Rc<Self>) {
        while let Some(held) = self.held.pop().await {
            let log = &self.partition.log;
            let durable = log.changed.until(|| match log.failure() {
                Some(_) => Some(false),
                None => (self.partition.high_watermark() >= held.end).then_some(true),
            });
            let durable = self.shard.timeout_at(held.deadline, durable).await;
            let failed = match durable {
                Ok(true) => None,
                Ok(false) => Some(ErrorCode::NotCoordinator),
                Err(_) => Some(ErrorCode::CoordinatorNotAvailable),
            };
            self.held_count.update(|count| count - 1);
            for (sender, answer) in held.answers {
                sender.send(failed.map_or(answer, GroupAnswer::Unavailable));
            }
            if failed == Some(ErrorCode::NotCoordinator) {
                self.end();
            }
        }
    }

    /// Answers nothing any more.
    pub(super) fn end(&self) {
        self.phase.set(Phase::Ended);
        self.held.close();
        let mut waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        let tickets: Vec<u32> = waiting.iter().map(|(ticket, _)| ticket).collect();
        for sender in tickets.into_iter().filter_map(|ticket| waiting.remove(ticket)) {
            sender.send(GroupAnswer::Unavailable(ErrorCode::NotCoordinator));
        }
    }
}

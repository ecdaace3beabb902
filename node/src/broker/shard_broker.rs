//! [`Broker`]: what one shard holds, and how it asks the others.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use ringlog_engine::batch::{BatchError, HeaderError, RecordFault};
use ringlog_engine::dirs::LogDir;
use ringlog_engine::io::{Fd, Mono};
use ringlog_engine::log::{
    AppendError, CacheCounts, Committer, CommitterOptions, Origin, ProducerError,
};
use ringlog_engine::shard::mesh::Mesh;
use ringlog_engine::shard::sync::{Budget, OneshotSender, Queue, oneshot};
use ringlog_engine::shard::{Shard, Socket, TaskClass};
use ringlog_engine::stdx::hash::FxHashMap;
use ringlog_engine::stdx::slab::Slab;
use ringlog_engine::types::{Offset, ShardId};
use ringlog_wire::Uuid;

use super::calls::{
    Acks, AppendBatch, AppendOutcome, CALL_PARTITIONS_MAX, Call, ControlCall, ControlReply,
    ForwardedRequest, Message, Reply, Served,
};
use super::connections::Connections;
use super::control::Control;
use super::counters::Counters;
use super::dirs::DirHealth;
use super::measures::CompactionCounts;
use super::partition::Partition;
use super::published::PublishedImage;
use super::reads::Leases;
use super::settings::{COLD_READ_BYTES, ONE_DECODED_BYTES_MAX, Settings};
use crate::config::BrokerConfig;
use crate::controller::TopicFault;
use crate::coordinator::GroupCoordinators;
use crate::error_code::ErrorCode;
use crate::metadata::MetadataImage;

/// A call's answer, once its first, immediate step is done.
pub type Answer = Pin<Box<dyn Future<Output = Reply>>>;

/// How a request that another shard has forwarded is answered.
pub type OnForwarded = Rc<dyn Fn(ForwardedRequest) -> Pin<Box<dyn Future<Output = Served>>>>;

/// Large requests that the control shard works on at a time.
const LARGE_REQUESTS_MAX: usize = 4;

/// A shard's partitions by topic and number; those that could not be opened say why.
pub(super) type Partitions = FxHashMap<(Uuid, i32), Result<Rc<Partition>, ErrorCode>>;

/// A connection that waits to be served.
pub struct NewConnection {
    /// The socket.
    pub socket: Fd,
    /// Who is at the other end.
    pub peer: IpAddr,
    /// Which listener it came by.
    pub listener: usize,
}

/// A connection that is served on this shard.
pub struct ServedConnection {
    /// The socket.
    pub socket: Socket,
    /// Which listener it came by.
    pub listener: usize,
    /// When it last brought or took anything.
    pub last_used: Cell<Mono>,
    /// How far its peer had come in reading, and when that was seen.
    pub read_by_peer: Cell<(usize, Mono)>,
    /// It is being closed because there are too many.
    pub shed: Cell<bool>,
}

/// Which shard owns a partition: nothing moves unless the number of shards changes.
pub fn shard_of(topic: Uuid, partition: i32, shards: usize) -> ShardId {
    let (high, low) = topic.0.split_at(8);
    let word = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    // Random ids need no mixing; partitions of a topic go round.
    let start = (word(high) ^ word(low)) % shards as u64;
    ShardId(((start + partition.max(0) as u64) % shards as u64) as u16)
}

/// One shard's part of the broker.
pub struct Broker {
    /// The executor.
    pub shard: Shard,
    /// What the node was started with.
    pub settings: Arc<Settings>,
    /// Frames of requests that are being received or worked on, in bytes.
    pub frame_budget: Rc<Budget>,
    /// The same of large frames.
    pub large_frame_budget: Rc<Budget>,
    /// Records in memory on their way to consumers, in bytes.
    pub read_budget: Rc<Budget>,
    /// Bytes that are being read off the disk for consumers.
    pub(super) cold_budget: Rc<Budget>,
    /// Requests that are being worked on.
    pub request_budget: Rc<Budget>,
    /// The control shard: large ones that are.
    pub large_request_budget: Rc<Budget>,
    /// Requests that are decoded, in bytes.
    pub decode_budget: Rc<Budget>,
    /// What one request may take of it.
    pub one_decoded_bytes: usize,
    /// Connections handed over by the accepting shard.
    pub connections: Queue<NewConnection>,
    /// The node is shutting down: no new requests.
    pub stopping: Cell<bool>,
    /// Set on the control shard.
    pub(super) control: RefCell<Option<Rc<Control>>>,
    /// The control shard: the log directories, for their checkpoints.
    pub(super) dirs: RefCell<Vec<Rc<LogDir>>>,
    pub(super) published: Arc<PublishedImage>,
    /// What was last taken from `published`, and its number there.
    image: RefCell<(u64, Arc<MetadataImage>)>,
    pub(super) config: RefCell<Rc<BrokerConfig>>,
    pub(super) broker_epoch: Cell<i64>,
    pub(super) partitions: RefCell<Partitions>,
    pub(super) committers: Vec<Rc<Committer>>,
    pub(super) leases: RefCell<Leases>,
    /// The control shard: the connections of clients and brokers.
    pub(super) open_connections: Connections,
    /// The control shard: the connections of controllers.
    pub(super) controller_connections: Connections,
    /// How often the limits of single addresses have been taken over.
    pub(super) address_limits_taken: Cell<u64>,
    pub(super) served: RefCell<Slab<Rc<ServedConnection>>>,
    pub(super) dir_health: RefCell<Vec<DirHealth>>,
    /// The control shard: who writes the checkpoint files. Two at once would write the same
    /// temporary file.
    pub(super) checkpoint_turn: Rc<Budget>,
    /// What this shard has done for clients.
    pub counters: RefCell<Counters>,
    pub(super) compaction_counts: Cell<CompactionCounts>,
    /// Of logs that are deleted.
    pub(super) past_cache_counts: Cell<CacheCounts>,
    /// The group coordinators of this shard.
    pub groups: GroupCoordinators,
    /// The control shard: answers what other shards forward.
    on_forwarded: RefCell<Option<OnForwarded>>,
    mesh: RefCell<Option<Mesh<Message>>>,
    calls: RefCell<Slab<OneshotSender<Reply>>>,
    /// Calls of other shards that are not begun.
    put_off: RefCell<VecDeque<(ShardId, u32, Call)>>,
}

impl Broker {
    /// The broker of a shard; [`Broker::connect`] gives it its mailboxes.
    pub fn new(
        shard: &Shard,
        settings: Arc<Settings>,
        published: Arc<PublishedImage>,
    ) -> Rc<Broker> {
        let options = CommitterOptions {
            sync_always: settings.sync_always,
            io_mode: settings.io_mode,
            tail_bytes: settings.requests.tail_bytes,
            write_path: settings.write_path,
            dirty_bytes_max: settings.dirty_bytes_max,
            unread_cache_bytes: settings.unread_cache_bytes,
            ..CommitterOptions::default()
        };
        let committers = settings.dirs.iter().map(|_| Committer::start(shard, options)).collect();
        let decoded_bytes = match shard.id() == settings.control_shard() {
            true => settings.requests.control_decoded_bytes,
            false => settings.requests.decoded_bytes,
        };
        ringlog_engine::io::set_pool_limit(settings.requests.pool_bytes);
        let broker = Rc::new(Broker {
            shard: shard.clone(),
            frame_budget: Budget::new(settings.requests.frame_bytes),
            large_frame_budget: Budget::new(settings.requests.large_frame_bytes),
            read_budget: Budget::new(settings.requests.read_bytes),
            cold_budget: Budget::new(COLD_READ_BYTES),
            request_budget: Budget::new(settings.requests.count),
            large_request_budget: Budget::new(LARGE_REQUESTS_MAX),
            decode_budget: Budget::new(decoded_bytes),
            one_decoded_bytes: decoded_bytes.min(ONE_DECODED_BYTES_MAX),
            connections: Queue::default(),
            stopping: Cell::new(false),
            control: RefCell::new(None),
            dirs: RefCell::default(),
            published,
            image: RefCell::default(),
            config: RefCell::new(Rc::new(BrokerConfig::new(settings.config.clone()))),
            broker_epoch: Cell::new(-1),
            partitions: RefCell::default(),
            committers,
            leases: RefCell::default(),
            open_connections: Connections::default(),
            controller_connections: Connections::default(),
            address_limits_taken: Cell::new(0),
            served: RefCell::default(),
            dir_health: RefCell::new(vec![DirHealth::default(); settings.dirs.len()]),
            checkpoint_turn: Budget::new(1),
            counters: RefCell::default(),
            compaction_counts: Cell::default(),
            past_cache_counts: Cell::default(),
            groups: GroupCoordinators::default(),
            on_forwarded: RefCell::new(None),
            mesh: RefCell::new(None),
            calls: RefCell::default(),
            put_off: RefCell::default(),
            settings,
        });
        broker.limit_connections(&broker.settings.config);
        broker
    }

    /// Gives the broker its way to the other shards.
    pub fn connect(&self, mesh: Mesh<Message>) {
        *self.mesh.borrow_mut() = Some(mesh);
    }

    /// Has requests that other shards forward answered by `serve`.
    pub fn on_forwarded(&self, serve: OnForwarded) {
        *self.on_forwarded.borrow_mut() = Some(serve);
    }

    /// Makes this shard the controller's.
    pub fn set_control(&self, control: Rc<Control>) {
        *self.control.borrow_mut() = Some(control);
    }

    /// Gives this shard the checkpoint files to write.
    pub fn set_dirs(&self, dirs: Vec<Rc<LogDir>>) {
        *self.dirs.borrow_mut() = dirs;
    }

    /// Whether this is the control shard.
    pub(super) fn is_control(&self) -> bool {
        self.shard.id() == self.settings.control_shard()
    }

    /// The newest metadata.
    pub fn image(&self) -> Arc<MetadataImage> {
        let mut known = self.image.borrow_mut();
        if let Some(newer) = self.published.newer_than(known.0) {
            *known = newer;
        }
        Arc::clone(&known.1)
    }

    /// The configuration as it is now.
    pub fn config(&self) -> Rc<BrokerConfig> {
        Rc::clone(&self.config.borrow())
    }

    /// This incarnation's epoch.
    pub fn broker_epoch(&self) -> i64 {
        self.broker_epoch.get()
    }

    /// Which shard owns a partition.
    pub fn owner_of(&self, topic: Uuid, partition: i32) -> ShardId {
        shard_of(topic, partition, self.settings.shards)
    }

    /// A partition of this shard.
    pub(crate) fn partition(&self, topic: Uuid, index: i32) -> Result<Rc<Partition>, ErrorCode> {
        let partitions = self.partitions.borrow();
        match partitions.get(&(topic, index)) {
            Some(Ok(partition)) => Ok(Rc::clone(partition)),
            Some(Err(error)) => Err(*error),
            None => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }

    /// Calls to other shards that are not answered.
    pub(super) fn calls_waiting(&self) -> usize {
        self.calls.borrow().len()
    }

    /// All partitions of this shard that are online.
    pub(super) fn online_partitions(&self) -> Vec<Rc<Partition>> {
        self.partitions.borrow().values().filter_map(|p| p.as_ref().ok().cloned()).collect()
    }

    /// Handles a message of another shard. Does not wait.
    pub fn on_message(self: &Rc<Self>, from: ShardId, message: Message) {
        match message {
            Message::Call { id, call } => match call.class() {
                TaskClass::Foreground => {
                    // The immediate step happens here, in the order of the messages.
                    let answer = self.begin(call);
                    let this = Rc::clone(self);
                    self.shard.spawn(async move { this.reply(from, id, answer.await).await });
                }
                TaskClass::Background => {
                    // In the order of the messages, too, but the step of a group takes a while, and
                    // records are not to wait here for those of thousands of members.
                    self.put_off.borrow_mut().push_back((from, id, call));
                    let this = Rc::clone(self);
                    self.shard.spawn_as(TaskClass::Background, async move {
                        let first = this.put_off.borrow_mut().pop_front();
                        let (from, id, call) = first.expect("each has a task of its own");
                        let answer = this.begin(call);
                        this.reply(from, id, answer.await).await;
                    });
                }
            },
            Message::Reply { id, reply } => {
                let caller = self.calls.borrow_mut().remove(id);
                caller.expect("a reply has a caller").send(reply);
            }
            Message::Connection { socket, peer, listener } => {
                self.connections.push(NewConnection { socket, peer, listener });
            }
            Message::ConnectionClosed { peer, listener, shed } => {
                let kind = self.settings.kind_of(listener);
                self.connections_of(kind).close(listener, peer, from, shed);
            }
            Message::SpareFiles => self.spare_files(),
            Message::ShedConnections { kind, count } => self.shed_connections(kind, count),
            Message::NotShed { kind, count } => self.connections_of(kind).not_shed(from, count),
        }
    }

    /// Asks a shard, which may be this one. The call has its place in the order of calls to that
    /// shard once the outer future is done; the answer is awaited apart.
    pub async fn call(self: &Rc<Self>, to: ShardId, call: Call) -> Answer {
        if to == self.shard.id() {
            return self.begin(call);
        }
        let (sender, receiver) = oneshot();
        let id = self.calls.borrow_mut().insert(sender);
        self.send(to, Message::Call { id, call }).await;
        Box::pin(async move { receiver.await.expect("every call is replied to") })
    }

    async fn reply(&self, to: ShardId, id: u32, reply: Reply) {
        self.send(to, Message::Reply { id, reply }).await;
    }

    async fn send(&self, to: ShardId, message: Message) {
        let mesh = self.mesh.borrow().clone().expect("a node of several shards has a mesh");
        mesh.send(to, message).await;
    }

    /// Sends a message without waiting for room.
    pub fn post(self: &Rc<Self>, to: ShardId, message: Message) {
        if to == self.shard.id() {
            return self.on_message(to, message);
        }
        let this = Rc::clone(self);
        self.shard.spawn(async move { this.send(to, message).await });
    }

    /// Asks the controller.
    pub async fn control(self: &Rc<Self>, call: ControlCall) -> ControlReply {
        match self.call(self.settings.control_shard(), Call::Control(call)).await.await {
            Reply::Control(reply) => reply,
            _ => unreachable!("a control call has a control reply"),
        }
    }

    async fn ask_control(&self, call: ControlCall) -> ControlReply {
        let control = self.control.borrow().clone();
        match control {
            Some(control) => control.ask(call).await,
            None => {
                ControlReply::Refused(TopicFault { error: ErrorCode::NotController, message: None })
            }
        }
    }

    /// Does a call's immediate step; the rest is in the answer.
    fn begin(self: &Rc<Self>, call: Call) -> Answer {
        let partitions = call.partitions();
        assert!(partitions <= CALL_PARTITIONS_MAX, "a call about {partitions} partitions");
        self.counters.borrow_mut().called(partitions);
        let this = Rc::clone(self);
        match call {
            Call::Append { batches, acks, deadline } => self.begin_append(batches, acks, deadline),
            Call::Read { reads } => {
                Box::pin(async move { Reply::Read(this.read_all(reads).await) })
            }
            Call::Watch { partitions, deadline } => Box::pin(async move {
                this.watch(partitions, deadline).await;
                Reply::Watch
            }),
            Call::ListOffsets { queries } => {
                Box::pin(async move { Reply::ListOffsets(this.list_offsets(queries).await) })
            }
            Call::Group { topic, partition, request } => {
                self.groups.ask(topic, partition, *request)
            }
            Call::Inspect { inspections } => {
                Box::pin(async move { Reply::Inspect(this.inspect(&inspections).await) })
            }
            Call::Control(call) => {
                Box::pin(async move { Reply::Control(this.ask_control(call).await) })
            }
            Call::Serve(forwarded) => {
                let serve = self.on_forwarded.borrow().clone();
                let serve = serve.expect("only the control shard is asked to");
                let served = serve(*forwarded);
                Box::pin(async move { Reply::Served(served.await) })
            }
            Call::ApplyMetadata(update) => Box::pin(async move {
                this.apply_metadata(&update).await;
                Reply::MetadataApplied
            }),
            Call::CollectOffsets => {
                let offsets = self.collect_offsets();
                Box::pin(async move { Reply::Offsets(offsets) })
            }
            Call::Measure => {
                let measures = Box::new(self.measure());
                Box::pin(async move { Reply::Measured(measures) })
            }
            Call::DeleteRecords { targets } => {
                let deleted = self.delete_records(&targets);
                Box::pin(async move { Reply::RecordsDeleted(deleted) })
            }
            Call::WriteCheckpoint(checkpoint) => Box::pin(async move {
                Reply::CheckpointWritten(this.write_checkpoints(&[checkpoint]).await)
            }),
            Call::FailDir { dir, error } => {
                let noted = self.fail_dir(dir, &error);
                Box::pin(async move { noted })
            }
            Call::NoteSpace { dir, full } => {
                let noted = self.note_space(dir, full);
                Box::pin(async move { noted })
            }
            Call::CloseLogs => {
                let offline = self.partitions.borrow().values().any(Result::is_err);
                Box::pin(async move { Reply::LogsClosed { all: this.close_logs().await, offline } })
            }
        }
    }

    fn begin_append(
        self: &Rc<Self>,
        batches: Vec<AppendBatch>,
        acks: Acks,
        deadline: ringlog_engine::io::Mono,
    ) -> Answer {
        let mut waits = Vec::with_capacity(batches.len());
        let outcomes: Vec<AppendOutcome> = batches
            .into_iter()
            .enumerate()
            .map(|(i, batch)| match self.append_one(batch, acks) {
                Ok((partition, end, outcome)) => {
                    waits.push((i, partition, end));
                    outcome
                }
                Err(refused) => refused,
            })
            .collect();
        let this = Rc::clone(self);
        Box::pin(async move {
            let mut outcomes = outcomes;
            for (i, partition, end) in waits {
                if acks != Acks::None
                    && let Err(refused) = this.wait_for(&partition, end, acks, deadline).await
                {
                    outcomes[i] = refused;
                }
                // Whoever asked pays for the bytes until they are no longer in memory, whether it
                // is told so or not.
                if let Err(refused) = until_written(&partition, end).await {
                    outcomes[i] = refused;
                }
            }
            Reply::Append(outcomes)
        })
    }

    fn append_one(
        &self,
        batch: AppendBatch,
        acks: Acks,
    ) -> Result<(Rc<Partition>, Offset, AppendOutcome), AppendOutcome> {
        let partition =
            self.partition(batch.topic, batch.partition).map_err(|error| refused(error, None))?;
        if acks == Acks::All && !partition.has_enough_replicas() {
            return Err(refused(ErrorCode::NotEnoughReplicas, None));
        }
        if batch.marker.is_none() && !self.dir_has_room(partition.dir) {
            return Err(refused(ErrorCode::KafkaStorageError, None));
        }
        if batch.marker.is_some() && !self.groups.takes_markers(&partition) {
            return Err(refused(ErrorCode::NotLeaderOrFollower, None));
        }
        let origin = if batch.marker.is_some() { Origin::Internal } else { Origin::Client };
        let epoch = partition.leader_epoch();
        let bytes = batch.bytes.len();
        match partition.log.append(batch.bytes, origin, epoch) {
            Ok(appended) => {
                if !appended.duplicate {
                    let records = appended.last_offset.0 - appended.first_offset.0 + 1;
                    self.counters.borrow_mut().appended(records, bytes);
                }
                if let Some(marker) = batch.marker {
                    self.groups.end_transaction(&partition, marker);
                }
                let outcome = AppendOutcome::Done {
                    base_offset: appended.first_offset,
                    log_append_time_ms: appended.log_append_time_ms,
                    log_start_offset: appended.log_start_offset,
                };
                Ok((partition, appended.last_offset.plus(1), outcome))
            }
            Err(error) => Err(append_refused(&partition, error)),
        }
    }

    async fn wait_for(
        &self,
        partition: &Partition,
        end: Offset,
        acks: Acks,
        deadline: ringlog_engine::io::Mono,
    ) -> Result<(), AppendOutcome> {
        let reached = || {
            if partition.log.failure().is_some() {
                return Some(Err(refused(ErrorCode::KafkaStorageError, None)));
            }
            let at = match acks {
                Acks::All => partition.high_watermark(),
                _ => partition.log.committed_end_offset(),
            };
            (at >= end).then_some(Ok(()))
        };
        match self.shard.timeout_at(deadline, partition.log.changed.until(reached)).await {
            Ok(result) => result,
            Err(_) => Err(refused(ErrorCode::RequestTimedOut, None)),
        }
    }

    /// Waits until one of the partitions has more to read, fails or is gone, or until `deadline`.
    async fn watch(
        self: &Rc<Self>,
        partitions: Vec<(Uuid, i32, Offset)>,
        deadline: ringlog_engine::io::Mono,
    ) {
        let watched: Vec<(Rc<Partition>, Offset)> = partitions
            .into_iter()
            .filter_map(|(topic, index, offset)| Some((self.partition(topic, index).ok()?, offset)))
            .collect();
        if watched.is_empty() {
            return self.shard.sleep_until(deadline).await;
        }
        let news = |(partition, offset): &(Rc<Partition>, Offset)| {
            partition.high_watermark() > *offset || partition.log.failure().is_some()
        };
        let any = async {
            loop {
                let mut waits: Vec<_> =
                    watched.iter().map(|(partition, _)| partition.log.changed.wait()).collect();
                if watched.iter().any(news) {
                    return;
                }
                std::future::poll_fn(|cx| {
                    let ready = waits.iter_mut().any(|wait| Pin::new(wait).poll(cx).is_ready());
                    if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
                })
                .await;
            }
        };
        // At the deadline the caller reads once more either way.
        let _ = self.shard.timeout_at(deadline, any).await;
    }
}

/// Waits until what was appended up to `end` is in the file.
async fn until_written(partition: &Partition, end: Offset) -> Result<(), AppendOutcome> {
    let written = || match partition.log.ends().written_end_offset >= end {
        true => Some(Ok(())),
        false => partition.log.failure().map(|_| Err(refused(ErrorCode::KafkaStorageError, None))),
    };
    partition.log.changed.until(written).await
}

fn refused(error: ErrorCode, message: Option<String>) -> AppendOutcome {
    AppendOutcome::Refused { error, message, record_errors: Vec::new(), log_start_offset: -1 }
}

/// Kafka's code for a batch that is not appended. It has a sentence only where single records are
/// at fault, and tells the log's start only if the fault is in the batch's contents
/// (`ReplicaManager.appendRecordsToLeader`).
fn append_refused(partition: &Partition, error: AppendError) -> AppendOutcome {
    let name = format!("{}-{}", partition.topic_name, partition.index);
    tracing::debug!(partition = name, %error, "append_refused");
    let log_start_offset = partition.log.ends().log_start_offset.0;
    let of_contents = |error| AppendOutcome::Refused {
        error,
        message: None,
        record_errors: Vec::new(),
        log_start_offset,
    };
    let error = match error {
        AppendError::Batch(error) => error,
        AppendError::Producer(ProducerError::InvalidEpoch { .. }) => {
            return of_contents(ErrorCode::InvalidProducerEpoch);
        }
        AppendError::Producer(ProducerError::OutOfOrderSequence { .. }) => {
            return of_contents(ErrorCode::OutOfOrderSequenceNumber);
        }
        AppendError::Producer(ProducerError::InvalidTxnState { .. }) => {
            return of_contents(ErrorCode::InvalidTxnState);
        }
        AppendError::Producer(ProducerError::CoordinatorFenced { .. }) => {
            return of_contents(ErrorCode::TransactionCoordinatorFenced);
        }
        AppendError::LargerThanSegment { .. } => {
            return refused(ErrorCode::RecordListTooLarge, None);
        }
        // Of a leader's batches only, which clients do not send.
        AppendError::OutOfPlace { .. } => return of_contents(ErrorCode::InvalidRecord),
        AppendError::Log(_) => return refused(ErrorCode::KafkaStorageError, None),
    };
    match error {
        // A format that is yet to come.
        BatchError::CorruptHeader(HeaderError::Magic(_)) => {
            let message = format!("{error} in partition {name}");
            refused(ErrorCode::CorruptMessage, Some(message))
        }
        BatchError::Crc { .. } | BatchError::CorruptHeader(_) => {
            refused(ErrorCode::CorruptMessage, None)
        }
        // Kafka's decoders fail with exceptions that have no code. Unlike CORRUPT_MESSAGE this one
        // is not tried again by clients.
        BatchError::Corrupt(_) | BatchError::UnknownCodec(_) => {
            of_contents(ErrorCode::UnknownServerError)
        }
        BatchError::TooLarge { .. } => refused(ErrorCode::MessageTooLarge, None),
        BatchError::Missing | BatchError::Magic(_) | BatchError::Several => {
            refused(ErrorCode::InvalidRecord, None)
        }
        BatchError::Invalid(_) => of_contents(ErrorCode::InvalidRecord),
        BatchError::Records { ref faults } => {
            let time = |(_, fault): &(i32, RecordFault)| *fault != RecordFault::NoKey;
            let timely = !faults.iter().any(time);
            let records = faults.iter();
            AppendOutcome::Refused {
                error: if timely { ErrorCode::InvalidRecord } else { ErrorCode::InvalidTimestamp },
                message: Some(format!("{error} in partition {name}")),
                record_errors: records
                    .map(|(index, fault)| (*index, Some(fault_message(fault, &name))))
                    .collect(),
                log_start_offset,
            }
        }
    }
}

fn fault_message(fault: &RecordFault, partition: &str) -> String {
    match fault {
        RecordFault::NoKey => format!(
            "Compacted topic cannot accept message without key in topic partition {partition}"
        ),
        RecordFault::Timestamp(timestamp) => {
            format!("Timestamp {timestamp} is outside the range that the topic allows")
        }
        RecordFault::LogAppendTimeClaimed => {
            "Producer should not set timestamp type to LogAppendTime.".to_owned()
        }
    }
}

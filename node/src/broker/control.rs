//! The controller's shell, on the control shard: it takes requests one by one, lets the core
//! decide, appends the records, applies them, and publishes the image to all shards.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use ringlog_engine::batch::BatchError;
use ringlog_engine::log::AppendError;
use ringlog_engine::shard::sync::{OneshotSender, Queue, oneshot};
use ringlog_wire::records::metadata::{MetadataRecord, NoOpRecord};

use super::calls::{Call, ControlCall, ControlReply, MetadataUpdate, PartitionsWanted};
use super::metadata_log::{BootstrapError, MetadataLog, OpenedMetadata};
use super::shard_broker::Broker;
use crate::controller::{
    AlterConfigs, FeatureChanges, NodeIdentity, PRODUCER_ID_BLOCK, RECORDS_PER_REQUEST_MAX,
    TopicFault, add_partitions, allocate_producer_ids, alter_configs, bootstrap_records,
    create_topics, delete_topics, excessive, registration_records, update_features,
};
use crate::error_code::ErrorCode;
use crate::metadata::{ApplyError, MetadataDelta, MetadataImage};

/// Requests that wait for the controller at most.
const WAITING_MAX: usize = 1000;
/// Records of one batch in what a start writes. They are no one decision, and a batch has to fit a
/// segment of the metadata log, however small that is set.
const REGISTRATION_RECORDS_MAX: usize = 500;
/// How often what is too old or too much is looked for, besides after each snapshot.
const CLEAN_INTERVAL_MS: i64 = 60_000;

/// Resources that are decided on before others have their turn.
const DECIDED_AT_ONCE: usize = 256;

/// Why a decision does not take effect.
enum Uncommitted {
    /// It is not one that the log takes. Everything is as it was.
    Refused(TopicFault),
    /// The log has failed.
    Failed(BootstrapError),
}

impl From<BootstrapError> for Uncommitted {
    fn from(error: BootstrapError) -> Self {
        match error {
            // More than a segment of the metadata log holds.
            BootstrapError::Append(
                AppendError::LargerThanSegment { .. }
                | AppendError::Batch(BatchError::TooLarge { .. }),
            ) => Uncommitted::Refused(excessive()),
            error => Uncommitted::Failed(error),
        }
    }
}

impl From<ApplyError> for Uncommitted {
    fn from(error: ApplyError) -> Self {
        tracing::error!(%error, "decision_contradicts_the_metadata");
        let (error, message) = (ErrorCode::UnknownServerError, Some(error.to_string()));
        Uncommitted::Refused(TopicFault { error, message })
    }
}

impl Uncommitted {
    /// At a start nothing may be refused.
    fn at_start(self) -> BootstrapError {
        match self {
            Uncommitted::Failed(error) => error,
            Uncommitted::Refused(fault) => {
                BootstrapError::Unsupported(fault.message.unwrap_or_default())
            }
        }
    }
}

fn check_count(records: &[MetadataRecord]) -> Result<(), Uncommitted> {
    match records.len() > RECORDS_PER_REQUEST_MAX {
        true => Err(Uncommitted::Refused(excessive())),
        false => Ok(()),
    }
}

/// The active controller.
pub struct Control {
    broker: Rc<Broker>,
    log: MetadataLog,
    node: NodeIdentity,
    image: RefCell<MetadataImage>,
    broker_epoch: Cell<i64>,
    producer_ids: Cell<(i64, i64)>,
    waiting: Queue<(ControlCall, OneshotSender<ControlReply>)>,
    last_append_ms: Cell<i64>,
    last_snapshot: Cell<(i64, i64)>,
    last_clean_ms: Cell<i64>,
    failed: Cell<bool>,
}

impl Control {
    /// Takes up the controller's role: bootstraps a new cluster, registers this node, and
    /// publishes the first image.
    pub async fn start(
        broker: &Rc<Broker>,
        opened: OpenedMetadata,
        node: &NodeIdentity,
    ) -> Result<Rc<Control>, BootstrapError> {
        let OpenedMetadata { log, image, bootstrap } = opened;
        let now_ms = broker.shard.unix_ms();
        let control = Rc::new(Control {
            broker: Rc::clone(broker),
            last_snapshot: Cell::new((image.end_offset, now_ms)),
            log,
            node: node.clone(),
            image: RefCell::new(image),
            broker_epoch: Cell::new(-1),
            producer_ids: Cell::new((0, 0)),
            waiting: Queue::default(),
            last_append_ms: Cell::new(now_ms),
            last_clean_ms: Cell::new(now_ms),
            failed: Cell::new(false),
        });
        let mut delta = MetadataDelta::default();
        if let Some(from_file) = bootstrap {
            let committed = control.commit(bootstrap_records(from_file), &mut delta).await;
            committed.map_err(Uncommitted::at_start)?;
        }
        let next_offset = control.log.end_offset();
        let (broker_epoch, records) =
            registration_records(&control.image.borrow(), node, next_offset);
        control.broker_epoch.set(broker_epoch);
        for batch in records.chunks(REGISTRATION_RECORDS_MAX) {
            let committed = control.commit(batch.to_vec(), &mut delta).await;
            committed.map_err(Uncommitted::at_start)?;
        }
        // The first image is all news.
        {
            let image = control.image.borrow();
            delta.topics_changed.extend(image.topics_by_name().map(|topic| topic.id));
            delta.configs_changed.extend(image.config_resources().cloned());
        }
        control.publish(delta).await;
        Ok(control)
    }

    /// Starts answering.
    pub fn run(self: &Rc<Self>) {
        let this = Rc::clone(self);
        self.broker.shard.spawn(async move { this.run_requests().await });
        let this = Rc::clone(self);
        self.broker.shard.spawn(async move { this.run_ticks().await });
    }

    /// Asks the controller; it answers once the decision is durable and all shards follow it.
    pub async fn ask(&self, call: ControlCall) -> ControlReply {
        let refused = |error, message: &str| {
            let message = Some(message.to_owned());
            ControlReply::Refused(TopicFault { error, message })
        };
        if self.failed.get() {
            return refused(ErrorCode::NotController, "The metadata log has failed.");
        }
        if self.waiting.len() >= WAITING_MAX {
            return refused(ErrorCode::RequestTimedOut, "Too many requests wait.");
        }
        let (sender, receiver) = oneshot();
        self.waiting.push((call, sender));
        let stopped = || refused(ErrorCode::NotController, "The controller has stopped.");
        receiver.await.unwrap_or_else(stopped)
    }

    async fn run_requests(self: Rc<Self>) {
        while let Some((call, reply)) = self.waiting.pop().await {
            let answer = self.decide(call).await;
            let answer = answer.unwrap_or_else(|error| match error {
                Uncommitted::Refused(fault) => ControlReply::Refused(fault),
                Uncommitted::Failed(error) => {
                    // Nothing it has promised is lost; but it can promise nothing more.
                    tracing::error!(%error, "metadata_log_failed");
                    self.failed.set(true);
                    let (error, message) = (ErrorCode::KafkaStorageError, Some(error.to_string()));
                    ControlReply::Refused(TopicFault { error, message })
                }
            });
            reply.send(answer);
        }
    }

    /// Asks for upkeep at intervals. It is done in the order of requests, so that an image is never
    /// taken between a decision and its effect.
    async fn run_ticks(self: Rc<Self>) {
        let config = self.broker.config();
        let idle_ms = config.current().int("metadata.max.idle.interval.ms");
        let tick_ms = if idle_ms > 0 { idle_ms as u64 } else { 500 };
        while !self.failed.get() && !self.waiting.is_closed() {
            self.broker.shard.sleep_ms(tick_ms).await;
            self.ask(ControlCall::Upkeep).await;
        }
    }

    /// NoOp records, index entries and snapshots.
    async fn upkeep(&self) -> Result<(), Uncommitted> {
        let config = self.broker.config();
        let config = config.current();
        let now_ms = self.broker.shard.unix_ms();
        let idle_ms = i64::from(config.int("metadata.max.idle.interval.ms"));
        if idle_ms > 0 && now_ms - self.last_append_ms.get() >= idle_ms {
            let noop = vec![NoOpRecord::default().into()];
            self.commit(noop, &mut MetadataDelta::default()).await?;
        }
        self.log.store_indexes().await;
        let (offset, at_ms) = self.last_snapshot.get();
        let grown = i64::try_from(self.log.since_snapshot_bytes()).unwrap_or(i64::MAX);
        let snapshot_ms = config.long("metadata.log.max.snapshot.interval.ms");
        let due = grown >= config.long("metadata.log.max.record.bytes.between.snapshots")
            || (snapshot_ms > 0 && now_ms - at_ms >= snapshot_ms);
        if due && self.log.end_offset() > offset {
            self.snapshot().await;
            self.last_clean_ms.set(0);
        }
        if now_ms.saturating_sub(self.last_clean_ms.get()) >= CLEAN_INTERVAL_MS {
            self.last_clean_ms.set(now_ms);
            if let Err(error) = self.log.clean().await {
                tracing::error!(%error, "metadata_not_cleaned");
            }
        }
        Ok(())
    }

    /// Writes a snapshot of the image as it is.
    pub async fn snapshot(&self) {
        let image = self.image.borrow().clone();
        match self.log.write_snapshot(&image).await {
            Ok(()) => self.last_snapshot.set((image.end_offset, self.broker.shard.unix_ms())),
            Err(error) => tracing::error!(%error, "snapshot_failed"),
        }
    }

    /// Appends records as one decision and applies them once they are durable.
    async fn commit(
        &self,
        records: Vec<MetadataRecord>,
        delta: &mut MetadataDelta,
    ) -> Result<(), Uncommitted> {
        if records.is_empty() {
            return Ok(());
        }
        let before = self.image.borrow().clone();
        // ORDER: what cannot be applied is not written. Every start would stumble over it.
        let (mut image, mut changes) = (before.clone(), delta.clone());
        for record in &records {
            match record {
                MetadataRecord::BeginTransaction(_) | MetadataRecord::EndTransaction(_) => {}
                record => image.apply(record.clone(), &mut changes)?,
            }
        }
        self.log.append(&records, &before).await?;
        image.end_offset = self.log.end_offset();
        image.epoch = self.log.epoch();
        image.last_timestamp = self.broker.shard.unix_ms();
        self.last_append_ms.set(image.last_timestamp);
        *self.image.borrow_mut() = image;
        *delta = changes;
        Ok(())
    }

    async fn commit_and_publish(&self, records: Vec<MetadataRecord>) -> Result<(), Uncommitted> {
        let mut delta = MetadataDelta::default();
        if records.is_empty() {
            return Ok(());
        }
        self.commit(records, &mut delta).await?;
        self.publish(delta).await;
        Ok(())
    }

    /// Hands the image to every shard, and shows it once all of them have followed it.
    async fn publish(&self, delta: MetadataDelta) {
        let update = Arc::new(MetadataUpdate {
            image: Arc::new(self.image.borrow().clone()),
            delta,
            broker_epoch: self.broker_epoch.get(),
        });
        let mut answers = Vec::new();
        for shard in self.broker.settings.all_shards() {
            let call = Call::ApplyMetadata(Arc::clone(&update));
            answers.push(self.broker.call(shard, call).await);
        }
        for answer in answers {
            answer.await;
        }
        self.broker.published.publish(Arc::clone(&update.image));
    }

    async fn decide(&self, call: ControlCall) -> Result<ControlReply, Uncommitted> {
        let image = self.image.borrow().clone();
        let config = self.broker.config();
        Ok(match call {
            ControlCall::CreateTopics { topics, validate_only } => {
                let decided = create_topics(&image, config.current(), &topics);
                let (records, outcomes) = match decided {
                    Ok(decided) => decided,
                    Err(fault) => return Ok(ControlReply::Refused(fault)),
                };
                if !validate_only {
                    self.commit_and_publish(records).await?;
                }
                ControlReply::Topics(outcomes)
            }
            ControlCall::CreatePartitions { topics, validate_only } => {
                self.create_partitions(&image, &topics, validate_only).await?
            }
            ControlCall::DeleteTopics { topics } => {
                let (records, outcomes) = delete_topics(&image, &topics);
                check_count(&records)?;
                let any = !records.is_empty();
                self.commit_and_publish(records).await?;
                if any {
                    // ORDER: the recovery points of what is gone are gone before a topic of the
                    // same name can be made. It would look as if that had lost its records.
                    use ringlog_engine::dirs::OffsetCheckpoint::{
                        Cleaner, LogStart, RecoveryPoint,
                    };
                    self.broker.write_checkpoints(&[RecoveryPoint, LogStart, Cleaner]).await;
                }
                ControlReply::Deleted(outcomes)
            }
            ControlCall::AlterConfigs { resources, validate_only } => {
                self.alter_configs(&image, &resources, validate_only).await?
            }
            ControlCall::UpdateFeatures { updates, validate_only } => {
                match update_features(&image, self.node.node_id, &updates) {
                    Ok(_) if validate_only => ControlReply::Done,
                    Ok(changes) => self.change_features(changes).await?,
                    Err(fault) => ControlReply::Refused(fault),
                }
            }
            ControlCall::Upkeep => {
                self.upkeep().await?;
                ControlReply::Done
            }
            ControlCall::DescribeQuorum => {
                ControlReply::Quorum(self.log.quorum_state(config.current()))
            }
            ControlCall::NextProducerId => {
                ControlReply::ProducerId(self.next_producer_id(&image).await?)
            }
        })
    }

    async fn create_partitions(
        &self,
        image: &MetadataImage,
        topics: &[PartitionsWanted],
        validate_only: bool,
    ) -> Result<ControlReply, Uncommitted> {
        let mut records = Vec::new();
        let mut outcomes = Vec::with_capacity(topics.len());
        for some in topics.chunks(DECIDED_AT_ONCE) {
            for (name, count, assignments) in some {
                let start = self.broker.shard.random();
                let decided = add_partitions(image, name, *count, assignments.as_deref(), start);
                outcomes.push(decided.map(|added| records.extend(added)));
                check_count(&records)?;
            }
            self.broker.shard.yield_now().await;
        }
        if !validate_only {
            self.commit_and_publish(records).await?;
        }
        Ok(ControlReply::Partitions(outcomes))
    }

    async fn alter_configs(
        &self,
        image: &MetadataImage,
        resources: &[AlterConfigs],
        validate_only: bool,
    ) -> Result<ControlReply, Uncommitted> {
        let (config, node_id) = (self.broker.config(), self.broker.settings.node_id);
        let (mut records, mut outcomes) = (Vec::new(), Vec::with_capacity(resources.len()));
        for some in resources.chunks(DECIDED_AT_ONCE) {
            let (more, decided) = alter_configs(image, &config, node_id, some);
            records.extend(more);
            outcomes.extend(decided);
            check_count(&records)?;
            self.broker.shard.yield_now().await;
        }
        if !validate_only {
            self.commit_and_publish(records).await?;
        }
        Ok(ControlReply::Altered(outcomes))
    }

    async fn change_features(&self, changes: FeatureChanges) -> Result<ControlReply, Uncommitted> {
        if changes.kraft_upgrade {
            self.log.upgrade_kraft(&self.node).await?;
            self.image.borrow_mut().kraft_version = 1;
        }
        self.commit_and_publish(changes.records).await?;
        Ok(ControlReply::Done)
    }

    async fn next_producer_id(&self, image: &MetadataImage) -> Result<Option<i64>, Uncommitted> {
        let (mut next, mut end) = self.producer_ids.get();
        if next == end {
            let node_id = self.broker.settings.node_id;
            let Some((first, record)) =
                allocate_producer_ids(image, node_id, self.broker_epoch.get())
            else {
                return Ok(None);
            };
            self.commit_and_publish(vec![record]).await?;
            (next, end) = (first, first + PRODUCER_ID_BLOCK);
        }
        self.producer_ids.set((next + 1, end));
        Ok(Some(next))
    }

    /// Closes the metadata log; the last thing before the clean-shutdown marker.
    pub async fn close(&self) -> bool {
        self.waiting.close();
        match self.log.close().await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "close_failed");
                false
            }
        }
    }
}

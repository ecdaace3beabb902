//! What a shard does from time to time, and at the end: indexes, checkpoints, expiry, closing.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ringlog_engine::dirs::{OffsetCheckpoint, TopicPartition};
use ringlog_engine::io::Mono;
use ringlog_engine::types::Offset;

use super::calls::{Call, LogOffsets, Message, Reply};
use super::partition::Partition;
use super::shard_broker::Broker;
use crate::coordinator::GroupCoordinators;

/// How often index entries are written behind the log.
const INDEX_INTERVAL_MS: u64 = 1000;
/// How often, and from how many bytes on, it is noted how far a log need not be read after a crash.
const RECOVERY_INTERVAL_MS: u64 = 200;
const RECOVERY_BYTES: u64 = 32 << 20;
/// How often a lack of descriptors is told of.
const TELL_AGAIN_MS: u64 = 60_000;

impl Broker {
    /// Starts this shard's recurring work.
    pub fn start_upkeep(self: &Rc<Self>) {
        self.start_dir_watch();
        self.watch_descriptors();
        let this = Rc::clone(self);
        self.shard.spawn(async move { this.run_indexes().await });
        let this = Rc::clone(self);
        self.shard.spawn(async move { this.run_recovery_points().await });
        let this = Rc::clone(self);
        self.shard.spawn(async move { this.run_producer_expiry().await });
        let this = Rc::clone(self);
        self.shard.spawn(async move { this.run_flushes().await });
        let this = Rc::clone(self);
        self.shard.spawn(async move { this.run_retention().await });
        let this = Rc::clone(self);
        self.shard.spawn(async move { this.run_compaction().await });
        let this = Rc::clone(self);
        self.shard.spawn(async move { this.run_scrubbing().await });
        let this = Rc::clone(self);
        self.shard.spawn(async move { this.run_stalled_readers().await });
        GroupCoordinators::start(self);
    }

    /// Without a descriptor for a file, all shards let go of theirs. Connections have a share of
    /// their own, so there is always one to be had.
    fn watch_descriptors(self: &Rc<Self>) {
        let this = Rc::downgrade(self);
        let last_told = Cell::new(None);
        self.shard.on_lack_of_files(Rc::new(move || {
            let Some(this) = this.upgrade() else { return };
            let now = this.shard.now();
            let told = |at: Mono| now.ms_since(at) < TELL_AGAIN_MS;
            if !last_told.get().is_some_and(told) {
                last_told.set(Some(now));
                let limit = this.settings.open_files_max;
                tracing::warn!(
                    limit,
                    "no descriptor is left for a file: those of others are closed; \
                    the limit (ulimit -n, LimitNOFILE) is too low"
                );
            }
            for shard in this.settings.all_shards() {
                this.post(shard, Message::SpareFiles);
            }
        }));
    }

    pub(super) fn spare_files(&self) {
        self.online_partitions().iter().for_each(|partition| partition.log.close_files());
    }

    async fn run_indexes(self: Rc<Self>) {
        loop {
            self.shard.sleep_ms(INDEX_INTERVAL_MS).await;
            self.leases.borrow_mut().sweep();
            for partition in self.online_partitions() {
                // A failure is the log's own to report and to remember.
                let _ = partition.log.store_indexes().await;
                partition.log.close_idle_files();
            }
        }
    }

    async fn run_recovery_points(self: Rc<Self>) {
        loop {
            self.shard.sleep_ms(RECOVERY_INTERVAL_MS).await;
            for partition in self.online_partitions() {
                if partition.log.bytes_to_recover() >= RECOVERY_BYTES {
                    let _ = partition.log.note_recovery_point().await;
                }
            }
        }
    }

    async fn run_producer_expiry(self: Rc<Self>) {
        let config = self.config();
        let interval = config.current().int("producer.id.expiration.check.interval.ms");
        loop {
            self.shard.sleep_ms(interval.max(1) as u64).await;
            let now_ms = self.shard.unix_ms();
            for partition in self.online_partitions() {
                partition.log.expire_producers(now_ms);
            }
        }
    }

    /// flush.ms: logs whose last flush is that long ago, looked at every
    /// log.flush.scheduler.interval.ms.
    async fn run_flushes(self: Rc<Self>) {
        let interval = self.config().current().long("log.flush.scheduler.interval.ms");
        loop {
            self.shard.sleep_ms(u64::try_from(interval).unwrap_or(1).max(1)).await;
            let now_ms = self.shard.unix_ms();
            for partition in self.online_partitions() {
                if partition.log.flush_is_due(now_ms) {
                    let _ = partition.log.flush().await;
                }
            }
        }
    }

    pub(super) fn collect_offsets(&self) -> Vec<LogOffsets> {
        let mut all: Vec<LogOffsets> = self
            .online_partitions()
            .iter()
            .map(|partition| {
                let ends = partition.log.ends();
                LogOffsets {
                    dir: partition.dir,
                    topic: partition.topic_name.to_string(),
                    partition: partition.index,
                    recovery_point: partition.log.recovery_point(),
                    log_start: Some(ends.log_start_offset)
                        .filter(|start| *start > partition.log.first_segment_base()),
                    high_watermark: partition.high_watermark(),
                    first_dirty: partition.log.first_dirty_offset(),
                }
            })
            .collect();
        all.extend(self.offline_offsets());
        all
    }

    /// What the checkpoints said of partitions that could not be opened. It must go on saying so:
    /// without a recovery point the next start would take their damage for a torn write.
    fn offline_offsets(&self) -> Vec<LogOffsets> {
        let image = self.image();
        let mut kept = Vec::new();
        for ((topic, index), partition) in self.partitions.borrow().iter() {
            let Some(topic) = image.topic(*topic).filter(|_| partition.is_err()) else { continue };
            let key = (topic.name.clone(), *index);
            for (dir, info) in self.settings.dirs.iter().enumerate() {
                if let Some(&recovery_point) = info.recovery_points.get(&key) {
                    let log_start = info.log_starts.get(&key).copied();
                    let first_dirty = info.first_dirty_offsets.get(&key).copied();
                    let (topic, partition, high_watermark) = (key.0.clone(), key.1, recovery_point);
                    kept.push(LogOffsets {
                        dir,
                        topic,
                        partition,
                        recovery_point,
                        log_start,
                        high_watermark,
                        first_dirty,
                    });
                }
            }
        }
        kept
    }

    pub(super) async fn close_logs(self: &Rc<Self>) -> bool {
        self.stopping.set(true);
        let all = Rc::new(Cell::new(true));
        let close = |partition: Rc<Partition>| {
            let all = Rc::clone(&all);
            async move {
                if let Err(error) = partition.log.close().await {
                    tracing::error!(topic = %partition.topic_name, partition = partition.index,
                        %error, "close_failed");
                    all.set(false);
                }
            }
        };
        let at_once = self.settings.logs_at_once();
        self.shard.for_each(self.online_partitions(), at_once, close).await;
        all.get()
    }

    /// The control shard: collects the bounds of all logs of the node.
    async fn collect_all_offsets(self: &Rc<Self>) -> Vec<LogOffsets> {
        let mut all = Vec::new();
        for shard in self.settings.data_shards() {
            let answer = self.call(shard, Call::CollectOffsets).await;
            if let Reply::Offsets(offsets) = answer.await {
                all.extend(offsets);
            }
        }
        all
    }

    /// The control shard, at the start: takes lines out of the checkpoints whose partitions are
    /// gone. They would be taken for those of a later topic of the same name.
    pub async fn drop_stale_checkpoints(self: &Rc<Self>) {
        let offsets = self.collect_all_offsets().await;
        let known: BTreeSet<TopicPartition> =
            offsets.into_iter().map(|log| (log.topic, log.partition)).collect();
        let stale = self.settings.dirs.iter().any(|dir| {
            let lines = dir.recovery_points.keys().chain(dir.log_starts.keys());
            let mut lines = lines.chain(dir.first_dirty_offsets.keys());
            lines.any(|line| !known.contains(line))
        });
        if stale {
            use OffsetCheckpoint::{Cleaner, LogStart, RecoveryPoint};
            self.write_checkpoints(&[RecoveryPoint, LogStart, Cleaner]).await;
        }
    }

    /// The control shard: writes the checkpoint files of all directories.
    pub async fn write_checkpoints(self: &Rc<Self>, which: &[OffsetCheckpoint]) -> bool {
        let _turn = self.checkpoint_turn.take(1).await;
        let offsets = self.collect_all_offsets().await;
        let dirs = self.dirs.borrow().clone();
        let mut all = true;
        for (i, dir) in dirs.iter().enumerate() {
            if !self.dir_is_online(i) {
                all = false;
                continue;
            }
            for checkpoint in which {
                let mut entries: BTreeMap<TopicPartition, Offset> = BTreeMap::new();
                for log in offsets.iter().filter(|log| log.dir == i) {
                    let offset = match checkpoint {
                        OffsetCheckpoint::RecoveryPoint => Some(log.recovery_point),
                        OffsetCheckpoint::LogStart => log.log_start,
                        OffsetCheckpoint::HighWatermark => Some(log.high_watermark),
                        OffsetCheckpoint::Cleaner => log.first_dirty,
                    };
                    if let Some(offset) = offset {
                        entries.insert((log.topic.clone(), log.partition), offset);
                    }
                }
                if let Err(error) = dir.write_checkpoint(&self.shard, *checkpoint, &entries).await {
                    tracing::error!(%error, "checkpoint_failed");
                    all = false;
                }
            }
        }
        all
    }
}

//! A shard follows the metadata: it opens the logs of its partitions, takes over their settings,
//! and deletes what was deleted. And it answers ListOffsets.

use std::path::Path;
use std::rc::Rc;

use ringlog_engine::batch::{self, Codec, Packing};
use ringlog_engine::dirs::{partition_metadata, write_partition_metadata};
use ringlog_engine::io::Errno;
use ringlog_engine::log::{LoadOptions, Log, LogConfig, ReadError};
use ringlog_engine::shard::IoError;
use ringlog_engine::types::{LeaderEpoch, Offset, TopicId};
use ringlog_wire::Uuid;

use super::calls::{ListOffsetAnswer, ListOffsetQuery, MetadataUpdate};
use super::partition::Partition;
use super::shard_broker::Broker;
use crate::config::{BrokerConfig, Level, TimestampType, TopicCompression, TopicConfig};
use crate::error_code::ErrorCode;
use crate::metadata::{MetadataImage, PartitionImage, TopicImage};

const RESOURCE_TOPIC: i8 = 2;
const RESOURCE_BROKER: i8 = 4;
/// The topic part of a deleted directory's name is cut so that the whole fits a file name.
const FILE_NAME_BYTES_MAX: usize = 255;
/// How often a directory is tried to be removed that is still added to, and the pause between.
const REMOVE_TRIES: usize = 100;
const REMOVE_PAUSE_MS: u64 = 20;
/// In ListOffsets: the end.
pub const LATEST_TIMESTAMP: i64 = -1;
/// The start.
pub const EARLIEST_TIMESTAMP: i64 = -2;
/// The record with the greatest timestamp.
pub const MAX_TIMESTAMP: i64 = -3;
/// The start of what is here and not in remote storage.
pub const EARLIEST_LOCAL_TIMESTAMP: i64 = -4;
/// The last offset that is in remote storage.
pub const LATEST_TIERED_TIMESTAMP: i64 = -5;

/// A topic's settings as the log wants them.
fn log_config(topic: &TopicConfig, producer_expiration_ms: i64) -> LogConfig {
    LogConfig {
        segment_bytes: topic.segment_bytes,
        segment_ms: topic.segment_ms,
        segment_jitter_ms: topic.segment_jitter_ms,
        segment_index_bytes: topic.segment_index_bytes,
        index_interval_bytes: topic.index_interval_bytes,
        flush_messages: topic.flush_messages,
        flush_ms: topic.flush_ms,
        max_message_bytes: topic.max_message_bytes as usize,
        timestamp_type: match topic.message_timestamp_type {
            TimestampType::CreateTime => batch::TimestampType::CreateTime,
            TimestampType::LogAppendTime => batch::TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: saturated(topic.message_timestamp_before_max_ms),
        timestamp_after_max_ms: saturated(topic.message_timestamp_after_max_ms),
        packing: packing(topic.compression),
        preallocate: topic.preallocate,
        compacted: topic.cleanup_policy.compact,
        deleted: topic.cleanup_policy.delete,
        retention_ms: topic.retention_ms,
        retention_bytes: topic.retention_bytes,
        file_delete_delay_ms: topic.file_delete_delay_ms,
        delete_retention_ms: topic.delete_retention_ms,
        min_compaction_lag_ms: topic.min_compaction_lag_ms,
        max_compaction_lag_ms: topic.max_compaction_lag_ms,
        min_cleanable_dirty_ratio: topic.min_cleanable_dirty_ratio,
        producer_expiration_ms,
    }
}

fn packing(compression: TopicCompression) -> Option<Packing> {
    let (codec, level) = match compression {
        TopicCompression::Producer => return None,
        TopicCompression::Uncompressed => (Codec::None, None),
        TopicCompression::Gzip(level) => (Codec::Gzip, Some(level).filter(|level| *level > 0)),
        TopicCompression::Snappy => (Codec::Snappy, None),
        TopicCompression::Lz4(level) => (Codec::Lz4, Some(level)),
        TopicCompression::Zstd(level) => (Codec::Zstd, Some(level)),
    };
    Some(Packing { codec, level })
}

fn saturated(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

impl Broker {
    /// Brings this shard's logs to where a new image has them, before the image is shown.
    pub(super) async fn apply_metadata(self: &Rc<Self>, update: &MetadataUpdate) {
        let image = &update.image;
        self.broker_epoch.set(update.broker_epoch);
        self.follow_configs(image, update);
        for (id, name) in &update.delta.topics_removed {
            self.delete_topic(*id, name).await;
        }
        for id in &update.delta.topics_changed {
            if let Some(topic) = image.topic(*id) {
                self.follow_topic(image, topic).await;
            }
        }
        self.groups.follow(self, update);
    }

    fn follow_configs(self: &Rc<Self>, image: &MetadataImage, update: &MetadataUpdate) {
        let changed = |kind: i8| update.delta.configs_changed.iter().any(|(k, _)| *k == kind);
        if changed(RESOURCE_BROKER) {
            let mut config = BrokerConfig::clone(&self.config());
            let name = self.settings.node_id.to_string();
            for (level, name) in [(Level::ClusterDefault, ""), (Level::Broker, name.as_str())] {
                for error in config.set_overrides(level, &image.configs(RESOURCE_BROKER, name)) {
                    tracing::warn!(error = error.message(), "broker_config_ignored");
                }
            }
            if self.is_control() {
                self.limit_connections(config.current());
                let (this, config) = (Rc::clone(self), config.current().clone());
                self.shard.spawn(async move { this.limit_addresses(&config).await });
                self.shed_excess();
            }
            *self.config.borrow_mut() = Rc::new(config);
        }
        if changed(RESOURCE_TOPIC) || changed(RESOURCE_BROKER) {
            for partition in self.online_partitions() {
                if let Some(topic) = image.topic(partition.topic) {
                    let config = self.topic_config(image, &topic.name);
                    partition.log.set_config(self.log_config_of(&config));
                }
            }
        }
    }

    /// A topic's settings, resolved.
    pub fn topic_config(&self, image: &MetadataImage, name: &str) -> TopicConfig {
        let stored = image.configs(RESOURCE_TOPIC, name);
        let config = self.config();
        config.topic_config(&stored).unwrap_or_else(|error| {
            // Checked when it was set, but perhaps by another version.
            tracing::warn!(topic = name, error = error.message(), "topic_config_ignored");
            config.topic_config(&Default::default()).expect("the defaults are valid")
        })
    }

    fn log_config_of(&self, topic: &TopicConfig) -> LogConfig {
        let expiration = self.config().current().int("producer.id.expiration.ms");
        log_config(topic, i64::from(expiration))
    }

    async fn follow_topic(self: &Rc<Self>, image: &MetadataImage, topic: &TopicImage) {
        let config = self.topic_config(image, &topic.name);
        let mine = |index: i32, replica: &PartitionImage| {
            self.owner_of(topic.id, index) == self.shard.id()
                && replica.replicas.contains(&self.settings.node_id)
        };
        self.open_partitions(topic, &config, mine).await;
        for (&index, replica) in &topic.partitions {
            if mine(index, replica)
                && let Ok(partition) = self.partition(topic.id, index)
            {
                partition.lead(
                    LeaderEpoch(replica.leader_epoch),
                    replica.isr.len(),
                    (config.min_insync_replicas as usize).min(replica.replicas.len()),
                );
            }
        }
    }

    /// Opens the partitions of a topic that are this shard's and not open, several at a time: each
    /// is a score of small operations that wait for the disk.
    async fn open_partitions(
        self: &Rc<Self>,
        topic: &TopicImage,
        config: &TopicConfig,
        mine: impl Fn(i32, &PartitionImage) -> bool,
    ) {
        let mut counts = self.partitions_by_dir();
        let mut missing = Vec::new();
        for (&index, replica) in topic.partitions.iter().filter(|(i, replica)| mine(**i, replica)) {
            if self.partitions.borrow().contains_key(&(topic.id, index)) {
                continue;
            }
            let name = format!("{}-{index}", topic.name);
            let dir = self.choose_dir(&name, topic.id, index, replica, &counts).await;
            dir.iter().for_each(|dir| counts[*dir] += 1);
            missing.push((index, dir));
        }
        let (name, config) = (Rc::<str>::from(topic.name.as_str()), self.log_config_of(config));
        let open = |(index, dir): (i32, Result<usize, IoError>)| {
            let (this, name, config) = (Rc::clone(self), Rc::clone(&name), config.clone());
            let key = (topic.id, index);
            async move {
                let opened = match dir {
                    Ok(dir) => this.open_partition(&name, key, dir, config).await,
                    Err(error) => Err(error.to_string()),
                };
                let opened = opened.map_err(|error| {
                    tracing::error!(topic = &*name, partition = index, %error, "partition_offline");
                    ErrorCode::KafkaStorageError
                });
                this.partitions.borrow_mut().insert(key, opened);
            }
        };
        self.shard.for_each(missing, self.settings.logs_at_once(), open).await;
    }

    fn partitions_by_dir(&self) -> Vec<usize> {
        let mut counts = vec![0; self.settings.dirs.len()];
        for partition in self.online_partitions() {
            counts[partition.dir] += 1;
        }
        counts
    }

    async fn open_partition(
        &self,
        topic: &str,
        (id, index): (Uuid, i32),
        dir: usize,
        config: LogConfig,
    ) -> Result<Rc<Partition>, String> {
        let name = format!("{topic}-{index}");
        let info = &self.settings.dirs[dir];
        let path = info.path.join(&name);
        let fresh = self.is_fresh(&path, id).await?;
        if fresh {
            self.make_partition_dir(&path, &info.path, id).await.map_err(|e| e.to_string())?;
        }
        let key = (topic.to_owned(), index);
        let options = LoadOptions {
            config,
            clean: fresh || info.clean,
            recovery_point: match fresh {
                true => Offset::ZERO,
                false => info.recovery_points.get(&key).copied().unwrap_or(Offset::ZERO),
            },
            log_start_offset: match fresh {
                true => None,
                false => info.log_starts.get(&key).copied(),
            },
            one_at_a_time: false,
        };
        let committer = &self.committers[dir];
        let loaded =
            Log::open(&self.shard, &path, committer, options).await.map_err(|e| e.to_string())?;
        if let Some(&first_dirty) = info.first_dirty_offsets.get(&key).filter(|_| !fresh) {
            loaded.log.set_first_dirty_offset(first_dirty);
        }
        if loaded.scanned_bytes > 0 || loaded.truncated_bytes > 0 {
            tracing::info!(
                partition = name,
                scanned_bytes = loaded.scanned_bytes,
                truncated_bytes = loaded.truncated_bytes,
                end_offset = loaded.log.ends().log_end_offset.0,
                "log_recovered"
            );
        }
        Ok(Rc::new(Partition::new(id, topic, index, dir, loaded.log)))
    }

    /// Whether the partition has yet to be made. One that has records and does not say whose they
    /// are is damaged: nothing is made anew over it.
    async fn is_fresh(&self, path: &Path, topic: Uuid) -> Result<bool, String> {
        let text = |error: IoError| error.to_string();
        if self.shard.stat(path).await.map_err(text)?.is_none() {
            return Ok(true);
        }
        match partition_metadata(&self.shard, path).await.map_err(text)? {
            Some(id) if id.0 == topic.0 => Ok(false),
            Some(id) => Err(format!("{} is of topic {id}, not {topic}", path.display())),
            None => {
                let names = self.shard.list_dir(path).await.map_err(text)?;
                match names.iter().any(|name| name.ends_with(".log")) {
                    false => Ok(true),
                    true => Err(format!(
                        "{}/partition.metadata is missing or damaged. If the records beside it \
                         are of topic {topic}, let it say so: `version: 0`, `topic_id: {topic}`",
                        path.display()
                    )),
                }
            }
        }
    }

    /// The directory that has the partition already, else the one it is assigned to, else one by
    /// its topic and number, so that topics spread too.
    async fn choose_dir(
        &self,
        name: &str,
        topic: Uuid,
        index: i32,
        replica: &PartitionImage,
        counts: &[usize],
    ) -> Result<usize, IoError> {
        let dirs = &self.settings.dirs[..self.settings.data_dirs];
        let online = |i: &usize| self.dir_is_online(*i);
        if dirs.len() == 1 {
            return Ok(0);
        }
        for (i, dir) in dirs.iter().enumerate().filter(|(i, _)| online(i)) {
            if self.shard.stat(&dir.path.join(name)).await?.is_some() {
                return Ok(i);
            }
        }
        let at = replica.replicas.iter().position(|id| *id == self.settings.node_id);
        let assigned = at.and_then(|at| replica.directories.get(at)).copied();
        let known = dirs.iter().position(|dir| Some(dir.id) == assigned);
        // Where there are fewest; among equals by another part of the random id than the one that
        // chooses the shard.
        let start = usize::from(topic.0[7]) + index.max(0) as usize;
        let turn = |i: &usize| (i + dirs.len() - start % dirs.len()) % dirs.len();
        let fewest = (0..dirs.len()).filter(online).min_by_key(|i| (counts[*i], turn(i)));
        // Without any the process ends.
        Ok(known.filter(online).or(fewest).unwrap_or(0))
    }

    async fn make_partition_dir(
        &self,
        path: &Path,
        parent: &Path,
        topic: Uuid,
    ) -> Result<(), IoError> {
        match self.shard.make_dir(path).await {
            Err(error) if error.errno != Errno::EEXIST => return Err(error),
            _ => {}
        }
        // ORDER: the partition knows its topic's id, and its name is durable, before anything is
        // appended: a directory without an id is a stray.
        write_partition_metadata(&self.shard, path, TopicId(topic.0)).await?;
        self.shard.sync_dir(parent).await
    }

    async fn delete_topic(self: &Rc<Self>, id: Uuid, name: &str) {
        let mine: Vec<Rc<Partition>> =
            self.online_partitions().into_iter().filter(|p| p.topic == id).collect();
        self.partitions.borrow_mut().retain(|(topic, _), _| *topic != id);
        for partition in mine {
            partition.log.abandon().await;
            self.keep_counts(partition.log.cache_counts());
            let from = partition.log.dir();
            let marker = format!(
                "-{}.{:016x}{:016x}-delete",
                partition.index,
                self.shard.random(),
                self.shard.random()
            );
            let topic_part: String =
                name.chars().take(FILE_NAME_BYTES_MAX - marker.len()).collect();
            let parent = &self.settings.dirs[partition.dir].path;
            let to = parent.join(format!("{topic_part}{marker}"));
            if let Err(error) = self.shard.rename(&from, &to).await {
                tracing::error!(%error, "delete_failed");
                continue;
            }
            partition.log.moved_to(&to);
            if let Err(error) = self.shard.sync_dir(parent).await {
                tracing::error!(%error, "delete_failed");
            }
            let delay_ms = self.config().current().long("log.segment.delete.delay.ms").max(0);
            let this = Rc::clone(self);
            self.shard.spawn(async move {
                this.shard.sleep_ms(delay_ms as u64).await;
                if let Err(error) = this.remove_tree(&to).await {
                    tracing::warn!(%error, "delete_failed");
                }
            });
        }
    }

    /// Removes a partition's directory with the files in it. A round of the log's committer that
    /// began before the log was abandoned may still rename one, or add one: then once more.
    pub async fn remove_tree(&self, dir: &Path) -> Result<(), IoError> {
        for _ in 0..REMOVE_TRIES {
            for name in self.shard.list_dir(dir).await? {
                match self.shard.unlink(&dir.join(name)).await {
                    Err(error) if error.errno != Errno::ENOENT => return Err(error),
                    _ => {}
                }
            }
            match self.shard.remove_dir(dir).await {
                Err(error) if error.errno == Errno::ENOTEMPTY => {}
                removed => return removed,
            }
            self.shard.sleep_ms(REMOVE_PAUSE_MS).await;
        }
        self.shard.remove_dir(dir).await
    }

    /// Looks up offsets of this shard's partitions.
    pub(super) async fn list_offsets(
        &self,
        queries: Vec<ListOffsetQuery>,
    ) -> Vec<ListOffsetAnswer> {
        let mut answers = Vec::with_capacity(queries.len());
        for query in queries {
            let answer = self.list_offset(query).await;
            answers.push(answer.unwrap_or_else(|error| ListOffsetAnswer {
                error,
                timestamp: -1,
                offset: -1,
                leader_epoch: -1,
            }));
        }
        answers
    }

    async fn list_offset(&self, query: ListOffsetQuery) -> Result<ListOffsetAnswer, ErrorCode> {
        let partition = self.partition(query.topic, query.partition)?;
        partition.check_epoch(query.current_leader_epoch)?;
        let log = &partition.log;
        let end = match query.read_committed {
            true => partition.last_stable_offset(),
            false => partition.high_watermark(),
        };
        let epoch_at = |offset: Offset| log.epochs().epoch_at(offset).map_or(-1, |epoch| epoch.0);
        let answer = |timestamp, offset: i64, leader_epoch| {
            Ok(ListOffsetAnswer { error: ErrorCode::None, timestamp, offset, leader_epoch })
        };
        let storage = |error: ReadError| {
            tracing::error!(topic = %partition.topic_name, partition = partition.index, %error,
                "list_offsets_failed");
            ErrorCode::KafkaStorageError
        };
        let found = match query.timestamp {
            LATEST_TIMESTAMP => return answer(-1, end.0, partition.leader_epoch().0),
            EARLIEST_TIMESTAMP | EARLIEST_LOCAL_TIMESTAMP => {
                let start = log.ends().log_start_offset;
                // Where nothing has been appended yet, it would be in the leader's epoch.
                let epoch = match log.epochs().entries().is_empty() {
                    true => partition.leader_epoch().0,
                    false => epoch_at(start),
                };
                return answer(-1, start.0, epoch);
            }
            // Nothing is tiered: the latest tiered offset is none.
            LATEST_TIERED_TIMESTAMP => return answer(-1, -1, -1),
            MAX_TIMESTAMP => log.find_max_timestamp(end).await.map_err(storage)?,
            timestamp => log.find_timestamp(timestamp, end).await.map_err(storage)?,
        };
        match found {
            Some(found) => answer(found.timestamp, found.offset.0, found.leader_epoch.0),
            None => answer(-1, -1, -1),
        }
    }
}

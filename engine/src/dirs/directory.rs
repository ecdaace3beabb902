//! [`LogDir`]: an open log directory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::checkpoints::{OffsetCheckpoint, TopicPartition};
use super::meta::{MetaError, MetaProperties};
use crate::io::{Errno, Fd};
use crate::shard::{IoError, Shard};
use crate::types::{Offset, TopicId};

const CHECKPOINT_BYTES_MAX: u64 = 256 << 20;
const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;
const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";
/// How often, and how many milliseconds apart, a lock that is still held is tried: a process that
/// was killed lets go only once its last operations have drained.
const LOCK_TRIES: u32 = 20;
const LOCK_RETRY_MS: u64 = 50;

/// Why a log directory cannot be used.
#[derive(Debug, Error)]
pub enum DirError {
    /// An operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Another process holds its lock.
    #[error(
        "Failed to acquire lock on file .lock in {}. Another process, Ringlog or Kafka, is using \
         this directory.",
        .0.display()
    )]
    Locked(PathBuf),
    /// It has not been formatted.
    #[error(
        "No `meta.properties` found in {}. Format the directory first: ringlog format -t \
         \"$(ringlog random-uuid)\" -c FILE, or kafka-storage.sh format",
        .0.display()
    )]
    NotFormatted(PathBuf),
    /// `meta.properties` cannot be read.
    #[error("{}: {error}", dir.display())]
    Meta {
        /// Where.
        dir: PathBuf,
        /// What is wrong.
        error: MetaError,
    },
}

/// How a directory is opened.
#[derive(Clone, Copy, Debug)]
pub struct LogDirOptions {
    /// Read checkpoints and take the clean-shutdown marker away: a node is starting on it.
    pub start: bool,
}

/// A log directory that this process has locked.
pub struct LogDir {
    path: PathBuf,
    lock: Cell<Option<Fd>>,
    /// What it says of itself.
    pub meta: MetaProperties,
    /// It was closed properly.
    pub clean: bool,
    /// Broker epoch that the clean-shutdown marker carried.
    pub clean_broker_epoch: Option<i64>,
    recovery_points: BTreeMap<TopicPartition, Offset>,
    log_starts: BTreeMap<TopicPartition, Offset>,
    first_dirty: BTreeMap<TopicPartition, Offset>,
    written: RefCell<BTreeMap<&'static str, String>>,
}

impl LogDir {
    /// Locks and opens a formatted directory.
    pub async fn open(
        shard: &Shard,
        path: &Path,
        options: LogDirOptions,
    ) -> Result<LogDir, DirError> {
        let meta_path = path.join("meta.properties");
        let Some(bytes) = shard.read_file(&meta_path, SMALL_FILE_BYTES_MAX).await? else {
            return Err(DirError::NotFormatted(path.to_owned()));
        };
        let meta = MetaProperties::parse(&bytes)
            .map_err(|error| DirError::Meta { dir: path.to_owned(), error })?;
        let lock = lock(shard, path).await?;
        let mut dir = LogDir {
            path: path.to_owned(),
            lock: Cell::new(Some(lock)),
            meta,
            clean: false,
            clean_broker_epoch: None,
            recovery_points: BTreeMap::new(),
            log_starts: BTreeMap::new(),
            first_dirty: BTreeMap::new(),
            written: RefCell::default(),
        };
        if options.start {
            dir.take_clean_marker(shard).await?;
            dir.recovery_points =
                dir.read_checkpoint(shard, OffsetCheckpoint::RecoveryPoint).await?;
            dir.log_starts = dir.read_checkpoint(shard, OffsetCheckpoint::LogStart).await?;
            dir.first_dirty = dir.read_checkpoint(shard, OffsetCheckpoint::Cleaner).await?;
        }
        Ok(dir)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Up to where logs were durable when that was last written down.
    pub fn recovery_points(&self) -> &BTreeMap<TopicPartition, Offset> {
        &self.recovery_points
    }

    /// Where logs start, as far as that was written down.
    pub fn log_starts(&self) -> &BTreeMap<TopicPartition, Offset> {
        &self.log_starts
    }

    /// Up to where logs were compacted, as far as that was written down.
    pub fn first_dirty_offsets(&self) -> &BTreeMap<TopicPartition, Offset> {
        &self.first_dirty
    }

    async fn take_clean_marker(&mut self, shard: &Shard) -> Result<(), DirError> {
        let path = self.path.join(CLEAN_SHUTDOWN_FILE);
        let Some(bytes) = shard.read_file(&path, SMALL_FILE_BYTES_MAX).await? else {
            return Ok(());
        };
        self.clean = true;
        self.clean_broker_epoch = std::str::from_utf8(&bytes).ok().and_then(|text| {
            let after = text.split_once("\"brokerEpoch\":")?.1;
            after.trim_start().split(|c: char| c != '-' && !c.is_ascii_digit()).next()?.parse().ok()
        });
        // ORDER: the marker is gone for good before anything is changed: a crash from here on is
        // a crash.
        shard.unlink(&path).await?;
        Ok(shard.sync_dir(&self.path).await?)
    }

    async fn read_checkpoint(
        &self,
        shard: &Shard,
        checkpoint: OffsetCheckpoint,
    ) -> Result<BTreeMap<TopicPartition, Offset>, DirError> {
        let path = self.path.join(checkpoint.file_name());
        let Some(bytes) = shard.read_file(&path, CHECKPOINT_BYTES_MAX).await? else {
            return Ok(BTreeMap::new());
        };
        Ok(OffsetCheckpoint::parse(&bytes).unwrap_or_else(|error| {
            // Each has a safe default: recover everything, start at the first segment, let the
            // high watermark grow from the log's start.
            tracing::warn!(path = %path.display(), %error, "checkpoint_ignored");
            BTreeMap::new()
        }))
    }

    /// Writes a checkpoint, if it says something new.
    pub async fn write_checkpoint(
        &self,
        shard: &Shard,
        checkpoint: OffsetCheckpoint,
        offsets: &BTreeMap<TopicPartition, Offset>,
    ) -> Result<(), IoError> {
        let (name, text) = (checkpoint.file_name(), OffsetCheckpoint::render(offsets));
        if self.written.borrow().get(name) == Some(&text) {
            return Ok(());
        }
        shard.replace_file(&self.path.join(name), text.clone().into_bytes()).await?;
        self.written.borrow_mut().insert(name, text);
        Ok(())
    }

    /// Says that everything was closed properly. The last thing that is written.
    pub async fn write_clean_marker(
        &self,
        shard: &Shard,
        broker_epoch: i64,
    ) -> Result<(), IoError> {
        let text = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
        shard.replace_file(&self.path.join(CLEAN_SHUTDOWN_FILE), text.into_bytes()).await
    }

    /// Lets other processes have it.
    pub async fn unlock(&self, shard: &Shard) {
        if let Some(lock) = self.lock.take() {
            shard.close(lock).await;
        }
    }
}

async fn lock(shard: &Shard, path: &Path) -> Result<Fd, DirError> {
    for _ in 0..LOCK_TRIES {
        match shard.lock_file(&path.join(".lock")).await {
            Ok(lock) => return Ok(lock),
            Err(error) if error.errno == Errno::EAGAIN => {
                shard.sleep_ms(LOCK_RETRY_MS).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(DirError::Locked(path.to_owned()))
}

/// Writes a partition's `partition.metadata`. Must be durable before its first append.
pub async fn write_partition_metadata(
    shard: &Shard,
    dir: &Path,
    topic: TopicId,
) -> Result<(), IoError> {
    let text = format!("version: 0\ntopic_id: {topic}");
    shard.replace_file(&dir.join("partition.metadata"), text.into_bytes()).await
}

/// Reads a partition's topic id; `None` if the file is missing or says none.
pub async fn partition_metadata(shard: &Shard, dir: &Path) -> Result<Option<TopicId>, IoError> {
    let path = dir.join("partition.metadata");
    let Some(bytes) = shard.read_file(&path, SMALL_FILE_BYTES_MAX).await? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let id = text.lines().find_map(|line| line.strip_prefix("topic_id:"));
    Ok(id.and_then(|id| TopicId::parse(id.trim())).filter(|id| *id != TopicId::ZERO))
}

//! `__cluster_metadata-0`: the log all metadata comes from, its snapshots and its election state.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_engine::batch::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, ControlType, RecordFields,
    UNCOMPRESSED_BATCH_BYTES_MAX, decompress, records, validate_stored,
};
use ringlog_engine::dirs::write_partition_metadata;
use ringlog_engine::io::{Buf, WritePath};
use ringlog_engine::log::{
    AppendError, Committer, CommitterOptions, LoadError, LoadOptions, Log, LogConfig, LogError,
    Origin, ReadError, ReadLimits, SyncMethod,
};
use ringlog_engine::shard::{IoError, Shard};
use ringlog_engine::types::{LeaderEpoch, Offset, TopicId};
use ringlog_wire::messages::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord,
    VotersRecord, leader_change_message,
};
use ringlog_wire::records::metadata::MetadataRecord;
use ringlog_wire::{Message, Reader, Uuid};
use thiserror::Error;

use crate::controller::record_version;
use crate::metadata::{ApplyError, MetadataDelta, MetadataImage};
use crate::quorum::{ElectionState, KraftVersion, MalformedElectionState};

const LOG_NAME: &str = "__cluster_metadata-0";
const QUORUM_STATE: &str = "quorum-state";
const BOOTSTRAP: &str = "bootstrap.checkpoint";
const SNAPSHOT_SUFFIX: &str = ".checkpoint";
const SNAPSHOT_BYTES_MAX: u64 = 2 << 30;
const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;
/// How much of the log replay reads at once.
const REPLAY_BYTES: usize = 1 << 20;
/// Record bytes in one batch; a decision that needs more is not one that Kafka would make.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Why a node cannot take up its metadata.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The log cannot be opened.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log refuses what the controller wrote.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The election state is lost: voting on without it could elect two leaders.
    #[error("{}: {error}. A voter that does not remember its vote must not vote", path.display())]
    ElectionState {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: MalformedElectionState,
    },
    /// A snapshot or the log holds what is no metadata.
    #[error("{path}: {what}", path = path.display())]
    Corrupt {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The quorum is not one this version can be part of.
    #[error("{0}")]
    Quorum(String),
}

/// The metadata log of the only voter.
pub struct MetadataLog {
    shard: Shard,
    dir: PathBuf,
    node_id: i32,
    log: Rc<Log>,
    committer: Rc<Committer>,
    kraft: KraftVersion,
    voters: Option<VotersRecord>,
    epoch: i32,
}

/// What opening the log found.
pub struct OpenedMetadata {
    /// The log.
    pub log: MetadataLog,
    /// What it says.
    pub image: MetadataImage,
    /// For an empty log: the records of the bootstrap file.
    pub bootstrap: Option<Vec<MetadataRecord>>,
}

impl MetadataLog {
    /// Opens the log below `parent`, replays it, and elects this node, its only voter.
    pub async fn open(
        shard: &Shard,
        parent: &Path,
        node_id: i32,
        clean: bool,
    ) -> Result<OpenedMetadata, BootstrapError> {
        let dir = parent.join(LOG_NAME);
        let fresh = shard.stat(&dir).await?.is_none();
        if fresh {
            shard.make_dir(&dir).await?;
        }
        if shard.stat(&dir.join("partition.metadata")).await?.is_none() {
            write_partition_metadata(shard, &dir, TopicId::METADATA).await?;
            shard.sync_dir(parent).await?;
        }
        let options = CommitterOptions {
            sync_always: true,
            write_path: WritePath::Blocking,
            sync_method: SyncMethod::Fdatasync,
            unread_cache_bytes: None,
        };
        let committer = Committer::start(shard, options);
        let load = LoadOptions {
            config: LogConfig { max_message_bytes: BATCH_BYTES_MAX, ..LogConfig::default() },
            clean,
            recovery_point: Offset::ZERO,
            log_start_offset: None,
            // A decision is durable before the next one is made.
            one_at_a_time: true,
        };
        let log = Log::open(shard, &dir, &committer, load).await?.log;
        let mut this = Self {
            shard: shard.clone(),
            dir,
            node_id,
            log,
            committer,
            kraft: KraftVersion::Static,
            voters: None,
            epoch: 0,
        };
        let mut image = MetadataImage::default();
        this.load_snapshot(&mut image).await?;
        this.replay(&mut image).await?;
        this.check_voters()?;
        let bootstrap = match image.end_offset {
            0 => Some(this.read_bootstrap(parent).await?),
            _ => None,
        };
        this.elect(&image).await?;
        Ok(OpenedMetadata { log: this, image, bootstrap })
    }

    /// The epoch in which this node leads.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The offset the next record will get.
    pub fn end_offset(&self) -> i64 {
        self.log.ends().log_end_offset.0
    }

    fn corrupt(&self, name: &str, what: impl ToString) -> BootstrapError {
        BootstrapError::Corrupt { path: self.dir.join(name), what: what.to_string() }
    }

    async fn load_snapshot(&mut self, image: &mut MetadataImage) -> Result<(), BootstrapError> {
        let mut newest: Option<(i64, i32, String)> = None;
        for name in self.shard.list_dir(&self.dir).await? {
            if name.ends_with(".checkpoint.part") {
                self.shard.unlink(&self.dir.join(&name)).await?;
            } else if let Some((offset, epoch)) = parse_snapshot_name(&name)
                && newest.as_ref().is_none_or(|(best, ..)| offset >= *best)
            {
                newest = Some((offset, epoch, name));
            }
        }
        let Some((end_offset, epoch, name)) = newest else { return Ok(()) };
        let Some(bytes) = self.shard.read_file(&self.dir.join(&name), SNAPSHOT_BYTES_MAX).await?
        else {
            return Ok(());
        };
        let mut replay = Replay { image, log: self };
        replay.apply_snapshot(&bytes).map_err(|what| self.corrupt(&name, what))?;
        image.end_offset = end_offset;
        image.epoch = epoch;
        Ok(())
    }

    async fn replay(&mut self, image: &mut MetadataImage) -> Result<(), BootstrapError> {
        let end = self.log.ends().written_end_offset;
        let mut at = Offset(image.end_offset).max(self.log.ends().log_start_offset);
        if at.0 > image.end_offset {
            let what = format!("it starts at {at}, and no snapshot covers what was before");
            return Err(self.corrupt("", what));
        }
        if at > end {
            let what = format!("it ends at {end}, and a snapshot says that it reached {at}");
            return Err(self.corrupt("", what));
        }
        while at < end {
            let limits = ReadLimits { bytes_max: REPLAY_BYTES, at_least_one_batch: true };
            let plan = self.log.plan_read(at, end, limits).await?;
            let bytes = self.log.read(&plan).await?;
            let mut rest = &bytes[..];
            let before = at;
            while let Ok((header, batch)) = BatchHeader::parse_whole(rest) {
                if header.last_offset() >= at {
                    validate_stored(batch).map_err(|what| self.corrupt(LOG_NAME, what))?;
                    Replay { image, log: self }
                        .apply_batch(&header, batch)
                        .map_err(|what| self.corrupt(LOG_NAME, what))?;
                    at = header.next_offset();
                }
                rest = &rest[header.size..];
            }
            if at == before {
                return Err(self.corrupt(LOG_NAME, format!("no batch holds offset {at}")));
            }
        }
        image.end_offset = image.end_offset.max(at.0);
        Ok(())
    }

    fn check_voters(&self) -> Result<(), BootstrapError> {
        let Some(voters) = &self.voters else { return Ok(()) };
        let ids: Vec<i32> = voters.voters.iter().map(|voter| voter.voter_id).collect();
        if ids == [self.node_id] {
            return Ok(());
        }
        Err(BootstrapError::Quorum(format!(
            "the quorum's voters are {ids:?}; this version can only be the single voter of its \
             quorum, and this node is {}",
            self.node_id
        )))
    }

    async fn read_bootstrap(
        &mut self,
        parent: &Path,
    ) -> Result<Vec<MetadataRecord>, BootstrapError> {
        let path = parent.join(BOOTSTRAP);
        let Some(bytes) = self.shard.read_file(&path, SMALL_FILE_BYTES_MAX).await? else {
            return Ok(super::super::format::default_features());
        };
        let corrupt = |what: String| BootstrapError::Corrupt { path: path.clone(), what };
        let mut found = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = validate_stored(rest).map_err(|e| corrupt(e.to_string()))?;
            if !header.is_control() {
                found.extend(decode_records(&header, &rest[..header.size]).map_err(&corrupt)?);
            }
            rest = &rest[header.size..];
        }
        Ok(found)
    }

    /// The next epoch, written down before anything is said in its name.
    async fn elect(&mut self, image: &MetadataImage) -> Result<(), BootstrapError> {
        let path = self.dir.join(QUORUM_STATE);
        let known = match self.shard.read_file(&path, SMALL_FILE_BYTES_MAX).await? {
            Some(bytes) => ElectionState::parse(&bytes)
                .map_err(|error| BootstrapError::ElectionState { path: path.clone(), error })?,
            None => ElectionState::default(),
        };
        let seen = self.log.latest_epoch().map_or(0, |epoch| epoch.0).max(image.epoch);
        let base = ElectionState { leader_epoch: known.leader_epoch.max(seen), ..known };
        let Some(elected) = base.elect_self(self.node_id) else {
            let what = format!("epoch {} is the last there can be", base.leader_epoch);
            return Err(self.corrupt(QUORUM_STATE, what));
        };
        let text = elected.render(self.kraft, &[self.node_id]);
        self.shard.replace_file(&path, text.into_bytes()).await?;
        self.epoch = elected.leader_epoch;
        let change = self.leader_change();
        let mut batch = self.batch();
        batch.control = true;
        let value = change.to_vec(change.version).expect("a leader change fits the wire");
        let key = ControlType::LeaderChange.key();
        let fields = RecordFields { key: Some(&key), value: Some(&value), headers: &[] };
        batch.append(self.shard.unix_ms(), &fields);
        self.append_batch(batch).await?;
        Ok(())
    }

    fn leader_change(&self) -> LeaderChangeMessage {
        let directory = self.voters.as_ref().and_then(|voters| {
            let me = voters.voters.iter().find(|voter| voter.voter_id == self.node_id)?;
            Some(me.voter_directory_id)
        });
        let voter = leader_change_message::Voter {
            voter_id: self.node_id,
            voter_directory_id: directory.unwrap_or(Uuid::ZERO),
        };
        LeaderChangeMessage {
            version: match self.kraft {
                KraftVersion::Static => 0,
                KraftVersion::Dynamic => 1,
            },
            leader_id: self.node_id,
            voters: vec![voter.clone()],
            granting_voters: vec![voter],
        }
    }

    fn batch(&self) -> BatchBuilder {
        let mut batch = BatchBuilder::default();
        batch.leader_epoch = LeaderEpoch(self.epoch);
        batch
    }

    async fn append_batch(&self, batch: BatchBuilder) -> Result<i64, BootstrapError> {
        let bytes = batch.build().expect("uncompressed");
        let epoch = LeaderEpoch(self.epoch);
        let appended = self.log.append(Buf::copy_of(&bytes), Origin::Internal, epoch)?;
        self.log.flush().await?;
        Ok(appended.first_offset.0)
    }

    /// Appends the records of one decision, as one batch, and waits until they are durable.
    /// Returns the offset of the first.
    pub async fn append(
        &self,
        records: &[MetadataRecord],
        image: &MetadataImage,
    ) -> Result<i64, BootstrapError> {
        let elr = image.features.contains_key("eligible.leader.replicas.version");
        let now_ms = self.shard.unix_ms();
        let mut batch = self.batch();
        let mut value = Vec::new();
        for record in records {
            value.clear();
            record
                .encode_frame(record_version(record, elr), &mut value)
                .map_err(|error| self.corrupt(LOG_NAME, error))?;
            batch.append(now_ms, &RecordFields { value: Some(&value), ..RecordFields::default() });
        }
        self.append_batch(batch).await
    }

    /// Writes a snapshot of `image`, which must be that of the log's end.
    pub async fn write_snapshot(&self, image: &MetadataImage) -> Result<(), BootstrapError> {
        let name = format!("{:020}-{:010}{SNAPSHOT_SUFFIX}", image.end_offset, image.epoch);
        let elr = image.features.contains_key("eligible.leader.replicas.version");
        let bytes = snapshot_bytes(
            &image.to_records(),
            image.last_timestamp,
            image.epoch,
            (self.kraft == KraftVersion::Dynamic).then_some(self.voters.as_ref()).flatten(),
            elr,
            self.shard.unix_ms(),
        )
        .map_err(|what| self.corrupt(&name, what))?;
        Ok(self.shard.replace_file(&self.dir.join(name), bytes).await?)
    }

    /// Writes index entries behind the log.
    pub async fn store_indexes(&self) {
        // A failure is the log's own to report and to remember.
        let _ = self.log.store_indexes().await;
    }

    /// Closes the log.
    pub async fn close(&self) -> Result<(), LogError> {
        self.log.close().await?;
        self.committer.stop();
        Ok(())
    }
}

fn parse_snapshot_name(name: &str) -> Option<(i64, i32)> {
    let (offset, epoch) = name.strip_suffix(SNAPSHOT_SUFFIX)?.split_once('-')?;
    let digits = offset.len() == 20 && epoch.len() == 10;
    digits.then(|| Some((offset.parse().ok()?, epoch.parse().ok()?))).flatten()
}

fn decode_records(header: &BatchHeader, batch: &[u8]) -> Result<Vec<MetadataRecord>, String> {
    let codec = header.codec().ok_or("unknown codec")?;
    let unpacked =
        decompress(codec, &batch[BATCH_HEADER_BYTES..header.size], UNCOMPRESSED_BATCH_BYTES_MAX)
            .map_err(|e| e.to_string())?;
    let mut decoded = Vec::new();
    for record in records(header, &unpacked) {
        let record = record.map_err(|e| e.to_string())?;
        let value = record.value.ok_or("a metadata record without a value")?;
        let (record, _) = MetadataRecord::decode_frame(value)
            .map_err(|e| format!("offset {}: {e}", record.offset))?;
        decoded.push(record);
    }
    Ok(decoded)
}

fn first_control_type(header: &BatchHeader, batch: &[u8]) -> Option<ControlType> {
    let record = records(header, &batch[BATCH_HEADER_BYTES..]).next()?.ok()?;
    header.is_control().then(|| record.key.and_then(ControlType::from_key)).flatten()
}

/// Applies batches to an image.
struct Replay<'a> {
    image: &'a mut MetadataImage,
    log: &'a mut MetadataLog,
}

impl Replay<'_> {
    /// Applies a snapshot, which must be whole: half of one says that topics are gone.
    fn apply_snapshot(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut rest = bytes;
        let (mut first, mut last) = (None, None);
        while !rest.is_empty() {
            let header = validate_stored(rest).map_err(|e| e.to_string())?;
            let batch = &rest[..header.size];
            let control = first_control_type(&header, batch);
            (first, last) = (first.or(Some(control)), Some(control));
            self.apply_batch(&header, batch)?;
            rest = &rest[header.size..];
        }
        match (first.flatten(), last.flatten()) {
            (Some(ControlType::SnapshotHeader), Some(ControlType::SnapshotFooter)) => Ok(()),
            _ => Err("it is not a whole snapshot: its first or its last record is gone".to_owned()),
        }
    }

    fn apply_batch(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<(), String> {
        if header.is_control() {
            self.apply_control(header, batch)?;
        } else {
            let mut delta = MetadataDelta::default();
            for record in decode_records(header, batch)? {
                apply_in_transaction(self.image, record, &mut delta).map_err(|e| e.to_string())?;
            }
        }
        self.image.end_offset = header.next_offset().0;
        self.image.epoch = header.leader_epoch.0;
        self.image.last_timestamp = header.max_timestamp;
        Ok(())
    }

    fn apply_control(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<(), String> {
        for record in records(header, &batch[BATCH_HEADER_BYTES..header.size]) {
            let record = record.map_err(|e| e.to_string())?;
            let value = record.value.unwrap_or_default();
            let mut r = Reader::new(value, value.len() * 64 + 1024);
            match record.key.and_then(ControlType::from_key) {
                Some(ControlType::KraftVersion) => {
                    let version =
                        KRaftVersionRecord::decode(&mut r, 0).map_err(|e| e.to_string())?;
                    self.log.kraft = match version.kraft_version {
                        0 => KraftVersion::Static,
                        1 => KraftVersion::Dynamic,
                        other => return Err(format!("kraft.version {other} is not supported")),
                    };
                }
                Some(ControlType::KraftVoters) => {
                    let voters = VotersRecord::decode(&mut r, 0).map_err(|e| e.to_string())?;
                    self.log.voters = Some(voters);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Applies a record, a metadata transaction's brackets included. An aborted transaction cannot be
/// undone record by record, so its records are refused: no controller of one node aborts.
fn apply_in_transaction(
    image: &mut MetadataImage,
    record: MetadataRecord,
    delta: &mut MetadataDelta,
) -> Result<(), ApplyError> {
    match record {
        MetadataRecord::BeginTransaction(_) | MetadataRecord::EndTransaction(_) => Ok(()),
        MetadataRecord::AbortTransaction(_) => Err(ApplyError {
            record: "AbortTransactionRecord",
            what: "aborted metadata transactions are not supported".to_owned(),
        }),
        record => image.apply(record, delta),
    }
}

/// The bytes of a snapshot file: header, records, footer, in batches.
///
/// # Errors
/// If a record cannot be written in its version.
pub fn snapshot_bytes(
    image_records: &[MetadataRecord],
    last_timestamp: i64,
    epoch: i32,
    voters: Option<&VotersRecord>,
    elr: bool,
    now_ms: i64,
) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut next = Offset::ZERO;
    let mut finish = |mut batch: BatchBuilder, out: &mut Vec<u8>| {
        if batch.is_empty() {
            return;
        }
        batch.base_offset = next;
        batch.leader_epoch = LeaderEpoch(epoch);
        next = next.plus(batch.len() as i64);
        out.extend_from_slice(&batch.build().expect("uncompressed"));
    };
    let control = |batch: &mut BatchBuilder, kind: ControlType, value: Vec<u8>| {
        batch.control = true;
        let key = kind.key();
        let fields = RecordFields { key: Some(&key), value: Some(&value), headers: &[] };
        batch.append(now_ms, &fields);
    };
    let text = |e: ringlog_wire::EncodeError| e.to_string();
    let mut head = BatchBuilder::default();
    let header = SnapshotHeaderRecord { version: 0, last_contained_log_timestamp: last_timestamp };
    control(&mut head, ControlType::SnapshotHeader, header.to_vec(0).map_err(text)?);
    if let Some(voters) = voters {
        let version = KRaftVersionRecord { version: 0, kraft_version: 1 };
        control(&mut head, ControlType::KraftVersion, version.to_vec(0).map_err(text)?);
        control(&mut head, ControlType::KraftVoters, voters.to_vec(0).map_err(text)?);
    }
    finish(head, &mut out);
    let mut batch = BatchBuilder::default();
    let mut value = Vec::new();
    for record in image_records {
        value.clear();
        record.encode_frame(record_version(record, elr), &mut value).map_err(text)?;
        let fields = RecordFields { value: Some(&value), ..RecordFields::default() };
        if batch.size() + BatchBuilder::record_size_max(&fields) > BATCH_BYTES_MAX {
            finish(std::mem::take(&mut batch), &mut out);
        }
        batch.append(now_ms, &fields);
    }
    finish(batch, &mut out);
    let mut foot = BatchBuilder::default();
    let footer = SnapshotFooterRecord { version: 0 };
    control(&mut foot, ControlType::SnapshotFooter, footer.to_vec(0).map_err(text)?);
    finish(foot, &mut out);
    Ok(out)
}

//! `__cluster_metadata-0`: the log all metadata comes from, its snapshots and its election state.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_engine::batch::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, ControlType, RecordFields,
    UNCOMPRESSED_BATCH_BYTES_MAX, records, unpack, validate_stored,
};
use ringlog_engine::dirs::write_partition_metadata;
use ringlog_engine::io::{Buf, WritePath};
use ringlog_engine::log::{
    AppendError, Committer, CommitterOptions, LoadError, LoadOptions, Log, LogConfig, LogError,
    Origin, ReadError, ReadLimits,
};
use ringlog_engine::shard::{IoError, Shard};
use ringlog_engine::types::{LeaderEpoch, Offset, TopicId};
use ringlog_wire::messages::voters_record::{Endpoint, KRaftVersionFeature, Voter};
use ringlog_wire::messages::{
    KRaftVersionRecord, LeaderChangeMessage, VotersRecord, leader_change_message,
};
use ringlog_wire::records::metadata::MetadataRecord;
use ringlog_wire::{Message, Reader, Uuid};
use thiserror::Error;

use super::calls::QuorumState;
use super::metadata_snapshots::{Retention, SNAPSHOT_BYTES_MAX, SnapshotId};
use crate::config::RawConfig;
use crate::controller::{NodeIdentity, record_version};
use crate::metadata::{ApplyError, MetadataDelta, MetadataImage};
use crate::quorum::{ElectionState, KraftVersion, MalformedElectionState};

const LOG_NAME: &str = "__cluster_metadata-0";
const QUORUM_STATE: &str = "quorum-state";
const BOOTSTRAP: &str = "bootstrap.checkpoint";
const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;
/// How much of the log replay reads at once.
const REPLAY_BYTES: usize = 1 << 20;
/// Record bytes in one batch; a decision that needs more is not one that Kafka would make.
pub(super) const BATCH_BYTES_MAX: usize = 8 << 20;

/// Where a voter of the configuration can be reached.
fn static_endpoint(config: &RawConfig, node_id: i32) -> Vec<(String, String, u16)> {
    let name = config.controller_listener_names().into_iter().next().unwrap_or_default();
    let voter = config.voters().remove(&node_id);
    voter.into_iter().map(|at| (name.clone(), at.host, at.port)).collect()
}

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
    /// The cluster is not one this version can serve.
    #[error("{0}")]
    Unsupported(String),
}

/// The metadata log of the only voter.
pub struct MetadataLog {
    pub(super) shard: Shard,
    pub(super) dir: PathBuf,
    node_id: i32,
    pub(super) log: Rc<Log>,
    committer: Rc<Committer>,
    pub(super) kraft: Cell<KraftVersion>,
    pub(super) voters: RefCell<Option<VotersRecord>>,
    epoch: i32,
    /// Bytes of batches since the last snapshot.
    pub(super) since_snapshot_bytes: Cell<u64>,
    pub(super) retention: Retention,
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
        config: &RawConfig,
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
        // The control shard accepts connections too: it must not stand still with this disk.
        let options =
            CommitterOptions { write_path: WritePath::Ring, ..CommitterOptions::default() };
        let committer = Committer::start(shard, options);
        let load = LoadOptions {
            config: log_config(config),
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
            node_id: config.node_id(),
            log,
            committer,
            kraft: Cell::new(KraftVersion::Static),
            voters: RefCell::new(None),
            epoch: 0,
            since_snapshot_bytes: Cell::new(0),
            retention: Retention::of(config),
        };
        let mut image = MetadataImage::default();
        this.load_snapshot(&mut image).await?;
        this.replay(&mut image).await?;
        this.check_voters()?;
        check_cluster(&image, this.node_id)?;
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

    /// What there is to say of the quorum. What is in the log is decided: there is one voter.
    pub(super) fn quorum_state(&self, config: &RawConfig) -> QuorumState {
        let ends = self.log.ends();
        let voters = self.voters.borrow();
        let voters = voters.iter().flat_map(|record| &record.voters);
        let (directory_id, endpoints) =
            match voters.into_iter().find(|voter| voter.voter_id == self.node_id) {
                Some(voter) => {
                    let endpoints = voter.endpoints.iter();
                    let endpoints = endpoints.map(|e| (e.name.clone(), e.host.clone(), e.port));
                    (voter.voter_directory_id, endpoints.collect())
                }
                None => (Uuid::default(), static_endpoint(config, self.node_id)),
            };
        QuorumState {
            epoch: self.epoch,
            high_watermark: ends.durable_end_offset.0,
            log_end_offset: ends.log_end_offset.0,
            directory_id,
            endpoints,
        }
    }

    /// The offset the next record will get.
    pub fn end_offset(&self) -> i64 {
        self.log.ends().log_end_offset.0
    }

    pub(super) fn corrupt(&self, name: &str, what: impl ToString) -> BootstrapError {
        BootstrapError::Corrupt { path: self.dir.join(name), what: what.to_string() }
    }

    fn corrupt_log(&self, what: impl ToString) -> BootstrapError {
        BootstrapError::Corrupt { path: self.dir.clone(), what: what.to_string() }
    }

    async fn load_snapshot(&mut self, image: &mut MetadataImage) -> Result<(), BootstrapError> {
        self.remove_leftovers().await?;
        let Some(SnapshotId { end_offset, epoch }) = self.snapshots().await?.pop() else {
            return Ok(());
        };
        let name = SnapshotId { end_offset, epoch }.file_name();
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
            return Err(self.corrupt_log(what));
        }
        if at > end {
            let what = format!("it ends at {end}, and a snapshot says that it reached {at}");
            return Err(self.corrupt_log(what));
        }
        while at < end {
            let limits = ReadLimits { bytes_max: REPLAY_BYTES, at_least_one_batch: true };
            let plan = self.log.plan_read(at, end, limits).await?;
            let bytes = self.log.read(&plan).await?;
            let mut rest = &bytes[..];
            let before = at;
            while let Ok((header, batch)) = BatchHeader::parse_whole(rest) {
                if header.last_offset() >= at {
                    self.since_snapshot_bytes.update(|bytes| bytes + header.size as u64);
                    validate_stored(batch).map_err(|what| self.corrupt_log(what))?;
                    Replay { image, log: self }
                        .apply_batch(&header, batch)
                        .map_err(|what| self.corrupt_log(what))?;
                    at = header.next_offset();
                }
                rest = &rest[header.size..];
            }
            if at == before {
                return Err(self.corrupt_log(format!("no batch holds offset {at}")));
            }
        }
        image.end_offset = image.end_offset.max(at.0);
        Ok(())
    }

    fn check_voters(&self) -> Result<(), BootstrapError> {
        let voters = self.voters.borrow();
        let Some(voters) = &*voters else { return Ok(()) };
        let ids: Vec<i32> = voters.voters.iter().map(|voter| voter.voter_id).collect();
        if ids == [self.node_id] {
            return Ok(());
        }
        Err(BootstrapError::Unsupported(format!(
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
        let text = elected.render(self.kraft.get(), &[self.node_id]);
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
        let directory = self.voters.borrow().as_ref().and_then(|voters| {
            let me = voters.voters.iter().find(|voter| voter.voter_id == self.node_id)?;
            Some(me.voter_directory_id)
        });
        let voter = leader_change_message::Voter {
            voter_id: self.node_id,
            voter_directory_id: directory.unwrap_or(Uuid::ZERO),
        };
        LeaderChangeMessage {
            version: match self.kraft.get() {
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
        self.since_snapshot_bytes.update(|total| total + bytes.len() as u64);
        self.log.flush().await?;
        Ok(appended.first_offset.0)
    }

    /// Moves the voters from the configuration into the log (KIP-853): there is one, this node.
    pub(super) async fn upgrade_kraft(&self, node: &NodeIdentity) -> Result<(), BootstrapError> {
        let endpoints = node.controller_endpoints.iter().map(|(name, host, port, _)| Endpoint {
            name: name.clone(),
            host: host.clone(),
            port: *port,
        });
        let voter = Voter {
            voter_id: self.node_id,
            voter_directory_id: node.metadata_directory,
            endpoints: endpoints.collect(),
            kraft_version_feature: KRaftVersionFeature {
                min_supported_version: 0,
                max_supported_version: 1,
            },
        };
        let voters = VotersRecord { version: 0, voters: vec![voter] };
        let mut batch = self.batch();
        batch.control = true;
        let version = KRaftVersionRecord { version: 0, kraft_version: 1 };
        for (kind, value) in [
            (ControlType::KraftVersion, version.to_vec(0)),
            (ControlType::KraftVoters, voters.to_vec(0)),
        ] {
            let value = value.map_err(|error| self.corrupt_log(error))?;
            let key = kind.key();
            let fields = RecordFields { key: Some(&key), value: Some(&value), headers: &[] };
            batch.append(self.shard.unix_ms(), &fields);
        }
        self.append_batch(batch).await?;
        self.kraft.set(KraftVersion::Dynamic);
        self.voters.replace(Some(voters));
        Ok(())
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
                .map_err(|error| self.corrupt_log(error))?;
            batch.append(now_ms, &RecordFields { value: Some(&value), ..RecordFields::default() });
        }
        self.append_batch(batch).await
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

/// Refuses a cluster that this version would damage or leave open.
fn check_cluster(image: &MetadataImage, node_id: i32) -> Result<(), BootstrapError> {
    let others: Vec<i32> = image.brokers.keys().copied().filter(|id| *id != node_id).collect();
    if !others.is_empty() {
        return Err(BootstrapError::Unsupported(format!(
            "the metadata log names other brokers, {others:?}: this version runs as a single node, \
             and would make itself the leader of their partitions, without what it has not \
             replicated. Unregister them with the brokers of the cluster, or start Apache Kafka"
        )));
    }
    let entries = image.access_control_entries().len();
    if entries > 0 {
        return Err(BootstrapError::Unsupported(format!(
            "the metadata log has {entries} access control entries: this version has no authorizer \
             (authorizer.class.name), and would let everybody do everything"
        )));
    }
    Ok(())
}

/// metadata.log.segment.bytes and .ms; retention is by snapshots, not by the log's own age.
fn log_config(config: &RawConfig) -> LogConfig {
    let usual = config.int("metadata.log.segment.bytes");
    let segment_bytes = config.opt_int("internal.metadata.log.segment.bytes").unwrap_or(usual);
    LogConfig {
        max_message_bytes: BATCH_BYTES_MAX,
        segment_bytes: segment_bytes.max(0) as u32,
        segment_ms: config.long("metadata.log.segment.ms").max(0) as u64,
        ..LogConfig::default()
    }
}

fn decode_records(header: &BatchHeader, batch: &[u8]) -> Result<Vec<MetadataRecord>, String> {
    let unpacked =
        unpack(header, batch, UNCOMPRESSED_BATCH_BYTES_MAX).map_err(|e| e.to_string())?;
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
                    self.log.kraft.set(match version.kraft_version {
                        0 => KraftVersion::Static,
                        1 => KraftVersion::Dynamic,
                        other => return Err(format!("kraft.version {other} is not supported")),
                    });
                    self.image.kraft_version = version.kraft_version;
                }
                Some(ControlType::KraftVoters) => {
                    let voters = VotersRecord::decode(&mut r, 0).map_err(|e| e.to_string())?;
                    self.log.voters.replace(Some(voters));
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

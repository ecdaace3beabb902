//! What shards ask of each other.

#![allow(missing_docs, reason = "fields are named for what they hold; types say what they are")]

use std::net::IpAddr;
use std::sync::Arc;

use ringlog_engine::dirs::OffsetCheckpoint;
use ringlog_engine::io::{Buf, Chunk, Fd, Mono};
use ringlog_engine::shard::{IoError, TaskClass};
use ringlog_engine::types::Offset;
use ringlog_wire::{ApiKey, Uuid};

use super::deletion::DeleteUpTo;
use super::inspect::{Inspected, Inspection};
use super::measures::Measures;
use super::reads::Piece;
use super::settings::ListenerKind;
use crate::controller::{
    AlterConfigs, Assignment, DeletedTopic, FeatureUpdate, NewTopic, NewTopicResult, TopicFault,
    TopicSelector,
};
use crate::error_code::ErrorCode;
use crate::group::{GroupAnswer, GroupRequest};
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::wire::frame::RequestHeader;

/// A message from one shard to another.
pub enum Message {
    /// Do something and reply.
    Call { id: u32, call: Call },
    /// What came of a call.
    Reply { id: u32, reply: Reply },
    /// Serve a connection, accepted on the listener of this number.
    Connection { socket: Fd, peer: IpAddr, listener: usize },
    /// A connection has ended; `shed` if it was closed because there were too many.
    ConnectionClosed { peer: IpAddr, listener: usize, shed: bool },
    /// There are too many connections: close so many, those first that have been silent longest.
    ShedConnections { kind: ListenerKind, count: usize },
    /// There are no descriptors left: let go of files.
    SpareFiles,
    /// So many of those were no longer there.
    NotShed { kind: ListenerKind, count: usize },
}

/// Partitions that one call may be about: what it does at once is bounded by it.
pub const CALL_PARTITIONS_MAX: usize = 1024;

/// What one shard asks of another.
pub enum Call {
    /// Append batches; reply once `acks` is satisfied or `deadline` has passed.
    Append { batches: Vec<AppendBatch>, acks: Acks, deadline: Mono },
    /// Read partitions now.
    Read { reads: Vec<ReadSpec> },
    /// Reply once one of the partitions has more to read than it had at these offsets, or at
    /// `deadline`.
    Watch { partitions: Vec<(Uuid, i32, Offset)>, deadline: Mono },
    /// Look up offsets.
    ListOffsets { queries: Vec<ListOffsetQuery> },
    /// For the group coordinator of a partition of `__consumer_offsets`.
    Group { topic: Uuid, partition: i32, request: Box<GroupRequest> },
    /// Look at partitions.
    Inspect { inspections: Vec<(Uuid, i32, Inspection)> },
    /// For the controller, on the control shard.
    Control(ControlCall),
    /// For the control shard: a request that is too large for the shard that has received it.
    Serve(Box<ForwardedRequest>),
    /// Have the logs that a new image says.
    ApplyMetadata(Arc<MetadataUpdate>),
    /// Report the bounds of all logs.
    CollectOffsets,
    /// Report what was counted.
    Measure,
    /// Move the starts of logs.
    DeleteRecords { targets: Vec<DeleteUpTo> },
    /// For the control shard: write a checkpoint of all logs.
    WriteCheckpoint(OffsetCheckpoint),
    /// A log directory has failed.
    FailDir { dir: usize, error: IoError },
    /// A log directory has run out of room for records, or has room again.
    NoteSpace { dir: usize, full: bool },
    /// Close all logs.
    CloseLogs,
}

impl Call {
    /// How many partitions it is about, if it names them.
    pub(super) fn partitions(&self) -> usize {
        match self {
            Call::Append { batches, .. } => batches.len(),
            Call::Read { reads } => reads.len(),
            Call::Watch { partitions, .. } => partitions.len(),
            Call::ListOffsets { queries } => queries.len(),
            Call::Inspect { inspections } => inspections.len(),
            Call::DeleteRecords { targets } => targets.len(),
            _ => 0,
        }
    }

    /// Who goes first on the shard that is asked: members of a group may all ask at the same time.
    pub(super) fn class(&self) -> TaskClass {
        match self {
            Call::Group { .. } | Call::Serve(_) => TaskClass::Background,
            _ => TaskClass::Foreground,
        }
    }
}

/// The reply to each kind of [`Call`].
pub enum Reply {
    Append(Vec<AppendOutcome>),
    Read(Vec<ReadOutcome>),
    Watch,
    ListOffsets(Vec<ListOffsetAnswer>),
    Group(GroupAnswer),
    Inspect(Vec<Result<Inspected, ErrorCode>>),
    Control(ControlReply),
    Served(Served),
    MetadataApplied,
    Offsets(Vec<LogOffsets>),
    Measured(Box<Measures>),
    /// Where each log starts now.
    RecordsDeleted(Vec<Result<Offset, ErrorCode>>),
    CheckpointWritten(bool),
    DirNoted,
    /// Whether all that were open are closed, and whether any could not be opened at the start.
    LogsClosed {
        all: bool,
        offline: bool,
    },
}

/// A request as a connection has brought it, for another shard.
pub struct ForwardedRequest {
    pub header: RequestHeader,
    pub key: ApiKey,
    pub body: Buf,
    /// The listener's number.
    pub listener: usize,
    pub peer: IpAddr,
}

/// What became of it.
pub enum Served {
    /// The whole frame of its answer.
    Respond(Vec<Chunk>),
    Silent,
    Close,
}

/// When a producer wants to hear back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Never.
    None,
    /// Once the leader has it.
    Leader,
    /// Once all in-sync replicas have it.
    All,
}

/// One batch for one partition.
pub struct AppendBatch {
    pub topic: Uuid,
    pub partition: i32,
    /// The received bytes.
    pub bytes: Buf,
    /// What the batch says, if it is a marker that a transaction coordinator has sent; a client
    /// wrote it otherwise.
    pub marker: Option<TxnMarker>,
}

/// A producer's transaction ends.
#[derive(Clone, Copy)]
pub struct TxnMarker {
    pub producer: i64,
    pub committed: bool,
}

/// What came of one batch.
pub enum AppendOutcome {
    Done {
        base_offset: Offset,
        log_append_time_ms: Option<i64>,
        log_start_offset: Offset,
    },
    Refused {
        error: ErrorCode,
        message: Option<String>,
        record_errors: Vec<(i32, Option<String>)>,
        log_start_offset: i64,
    },
}

/// One partition of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct ReadSpec {
    pub topic: Uuid,
    pub partition: i32,
    pub offset: Offset,
    /// -1: not checked.
    pub current_leader_epoch: i32,
    /// Of the last batch that the reader has; -1: not checked.
    pub last_fetched_epoch: i32,
    pub bytes_max: usize,
    pub at_least_one_batch: bool,
    pub read_committed: bool,
}

/// What one partition gave.
pub struct ReadOutcome {
    pub error: ErrorCode,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
    pub aborted: Option<Vec<(i64, i64)>>,
    /// Where the reader's log stops being the leader's: epoch and end offset.
    pub diverging: Option<(i32, i64)>,
    pub pieces: Vec<Piece>,
    pub len: usize,
}

/// One partition of ListOffsets.
#[derive(Clone, Copy, Debug)]
pub struct ListOffsetQuery {
    pub topic: Uuid,
    pub partition: i32,
    pub current_leader_epoch: i32,
    pub timestamp: i64,
    pub read_committed: bool,
}

/// What one partition answered.
#[derive(Clone, Copy, Debug)]
pub struct ListOffsetAnswer {
    pub error: ErrorCode,
    pub timestamp: i64,
    pub offset: i64,
    pub leader_epoch: i32,
}

/// The bounds of a log, for the checkpoint files.
pub struct LogOffsets {
    pub dir: usize,
    pub topic: String,
    pub partition: i32,
    pub recovery_point: Offset,
    /// If it is not the first segment's base.
    pub log_start: Option<Offset>,
    pub high_watermark: Offset,
    /// Up to where it was compacted.
    pub first_dirty: Option<Offset>,
}

/// A topic's name, how many partitions it is to have, and where the new ones go.
pub type PartitionsWanted = (String, i32, Option<Vec<Assignment>>);

/// What the controller is asked.
pub enum ControlCall {
    CreateTopics {
        topics: Vec<NewTopic>,
        validate_only: bool,
    },
    CreatePartitions {
        topics: Vec<PartitionsWanted>,
        validate_only: bool,
    },
    DeleteTopics {
        topics: Vec<TopicSelector>,
    },
    AlterConfigs {
        resources: Vec<AlterConfigs>,
        validate_only: bool,
    },
    UpdateFeatures {
        updates: Vec<FeatureUpdate>,
        validate_only: bool,
    },
    NextProducerId,
    DescribeQuorum,
    /// What is due from time to time.
    Upkeep,
}

/// What the controller answers.
pub enum ControlReply {
    Topics(Vec<NewTopicResult>),
    Partitions(Vec<Result<(), TopicFault>>),
    Deleted(Vec<DeletedTopic>),
    Altered(Vec<Result<(), TopicFault>>),
    ProducerId(Option<i64>),
    Quorum(QuorumState),
    Done,
    /// The request as a whole was refused.
    Refused(TopicFault),
}

/// The metadata log as its leader, the only voter, knows it.
pub struct QuorumState {
    pub epoch: i32,
    pub high_watermark: i64,
    pub log_end_offset: i64,
    /// Zero where the voters are in the configuration and not in the log.
    pub directory_id: Uuid,
    /// Where the voter can be reached: listener, host, port.
    pub endpoints: Vec<(String, String, u16)>,
}

/// A new image and what it changed.
pub struct MetadataUpdate {
    pub image: Arc<MetadataImage>,
    pub delta: MetadataDelta,
    /// This node's broker epoch.
    pub broker_epoch: i64,
}

//! What a coordinator is asked, and what it answers: the protocol's requests as values.

#![allow(missing_docs, reason = "fields are named for what they hold; types say what they are")]

use ringlog_wire::Uuid;

use super::admin::{DescribedConsumerGroup, DescribedGroup, ListedGroup};
use super::consumer::Assignment;
use super::offsets::FetchedTopic;
use crate::error_code::ErrorCode;

/// Stands for a request until it is answered.
pub type Ticket = u64;

/// A request to one coordinator.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRequest {
    Join(JoinGroup),
    Sync(SyncGroup),
    Heartbeat(Heartbeat),
    Leave(LeaveGroup),
    Commit(CommitOffsets),
    Fetch(FetchOffsets),
    DeleteOffsets(DeleteOffsets),
    /// States and types, in lower case; none is all.
    List {
        states: Vec<String>,
        types: Vec<String>,
    },
    Describe {
        groups: Vec<String>,
    },
    ConsumerHeartbeat(ConsumerHeartbeat),
    /// Groups of the consumer protocol.
    DescribeConsumers {
        groups: Vec<String>,
    },
    Delete {
        groups: Vec<String>,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupAnswer {
    Joined(Joined),
    Synced(Synced),
    Heartbeat(ErrorCode),
    /// Per member; an error is of the whole request.
    Left(Result<Vec<ErrorCode>, ErrorCode>),
    /// Per offset.
    Committed(Result<Vec<ErrorCode>, ErrorCode>),
    Fetched(Result<Vec<FetchedTopic>, ErrorCode>),
    /// Per partition of each topic.
    OffsetsDeleted(Result<Vec<Vec<ErrorCode>>, ErrorCode>),
    Listed(Vec<ListedGroup>),
    /// Why not, in Kafka's words, if there is no such group.
    Described(Vec<Result<DescribedGroup, String>>),
    ConsumerHeartbeat(Result<ConsumerBeat, Fault>),
    ConsumersDescribed(Vec<Result<DescribedConsumerGroup, String>>),
    Deleted(Vec<ErrorCode>),
    /// The coordinator cannot answer now.
    Unavailable(ErrorCode),
}

/// A way to assign partitions that a member knows, and what it says to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protocol {
    pub name: String,
    pub metadata: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinGroup {
    pub group: String,
    /// Empty for one that has none yet.
    pub member: String,
    pub instance: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocol_type: String,
    pub protocols: Vec<Protocol>,
    /// A member without an id is given one and must come again with it (KIP-394).
    pub needs_member_id: bool,
    /// A static member that leads may be told to assign nothing (KIP-814).
    pub may_skip_assignment: bool,
    /// Drawn by the caller: the random part of a new member's id.
    pub new_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub error: ErrorCode,
    pub member: String,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: String,
    pub skip_assignment: bool,
    /// For the leader.
    pub members: Vec<JoinedMember>,
}

impl Joined {
    /// The answer to one that did not join.
    pub fn refused(member: impl Into<String>, error: ErrorCode) -> Self {
        Self {
            error,
            member: member.into(),
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: String::new(),
            skip_assignment: false,
            members: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    pub member: String,
    pub instance: Option<String>,
    pub metadata: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncGroup {
    pub group: String,
    pub generation: i32,
    pub member: String,
    pub instance: Option<String>,
    /// If the member says so: what it believes the group to be.
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    /// From the leader: a member and what it is assigned.
    pub assignments: Vec<(String, Vec<u8>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    pub error: ErrorCode,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub assignment: Vec<u8>,
}

impl Synced {
    /// The answer to one that is assigned nothing.
    pub fn refused(error: ErrorCode) -> Self {
        Self { error, protocol_type: None, protocol: None, assignment: Vec::new() }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    pub group: String,
    pub generation: i32,
    pub member: String,
    pub instance: Option<String>,
}

/// What is wrong with a request, and Kafka's sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub error: ErrorCode,
    pub message: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    pub group: String,
    pub member: String,
    /// 0 joins, -1 leaves, -2 leaves for a while.
    pub epoch: i32,
    pub instance: Option<String>,
    pub rack: Option<String>,
    /// -1: as before.
    pub rebalance_timeout_ms: i32,
    pub topics: Option<Vec<String>>,
    pub regex: Option<String>,
    pub assignor: Option<String>,
    /// What the member has, if it says so.
    pub owned: Option<Vec<(Uuid, Vec<i32>)>>,
    pub client_id: String,
    pub client_host: String,
    /// The client draws its own id.
    pub needs_member_id: bool,
    /// Drawn by the caller: an id for a member that has none.
    pub new_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerBeat {
    pub member: Option<String>,
    pub epoch: i32,
    pub interval_ms: i32,
    pub assignment: Option<Assignment>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaveGroup {
    pub group: String,
    pub members: Vec<Leaving>,
}

/// One that leaves: by its id, or removed by an administrator by its instance id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaving {
    pub member: String,
    pub instance: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitOffsets {
    pub group: String,
    pub generation: i32,
    pub member: String,
    pub instance: Option<String>,
    /// How long to keep the offsets, from now; -1 is the usual.
    pub retention_ms: i64,
    /// The client knows the code for a group that is not there.
    pub knows_missing_groups: bool,
    pub offsets: Vec<OffsetToCommit>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetToCommit {
    pub topic: String,
    /// Zero if the client does not name it.
    pub topic_id: Uuid,
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchOffsets {
    pub group: String,
    pub member: Option<String>,
    pub member_epoch: i32,
    /// Offsets that a transaction may still replace are an error (KIP-447).
    pub require_stable: bool,
    /// `None`: all there are.
    pub topics: Option<Vec<TopicPartitions>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicPartitions {
    pub topic: String,
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOffsets {
    pub group: String,
    pub topics: Vec<TopicPartitions>,
}

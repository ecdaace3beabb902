//! What a node is started with, shared by all its shards and never changed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ringlog_engine::dirs::TopicPartition;
use ringlog_engine::io::WritePath;
use ringlog_engine::log::SyncMethod;
use ringlog_engine::types::Offset;
use ringlog_wire::Uuid;

use crate::config::{Listener, RawConfig};

/// A log directory as it was found at start.
#[derive(Clone, Debug)]
pub struct DirInfo {
    /// Where it is.
    pub path: PathBuf,
    /// Its identity.
    pub id: Uuid,
    /// It had been closed properly.
    pub clean: bool,
    /// recovery-point-offset-checkpoint
    pub recovery_points: BTreeMap<TopicPartition, Offset>,
    /// log-start-offset-checkpoint
    pub log_starts: BTreeMap<TopicPartition, Offset>,
}

/// From here on a frame is paid for from the budget for large ones.
pub const LARGE_FRAME_BYTES: usize = 4 << 20;

/// What a node is started with.
#[derive(Debug)]
pub struct Settings {
    /// The configuration file and overrides.
    pub config: RawConfig,
    /// The cluster.
    pub cluster_id: String,
    /// node.id
    pub node_id: i32,
    /// How many shards.
    pub shards: usize,
    /// Listeners for clients and brokers, in the order of the file.
    pub listeners: Vec<Listener>,
    /// What clients of each of them are told to connect to, by listener name.
    pub advertised: BTreeMap<String, (String, u16)>,
    /// ringlog.durability=sync
    pub sync_always: bool,
    /// Who writes to log files.
    pub write_path: WritePath,
    /// How several files are synced.
    pub sync_method: SyncMethod,
    /// ringlog.unread.cache.bytes
    pub unread_cache_bytes: Option<u64>,
    /// Log directories.
    pub dirs: Vec<DirInfo>,
    /// Bytes of request frames that one shard may hold.
    pub frame_budget_bytes: usize,
    /// Bytes of frames above [`LARGE_FRAME_BYTES`] that one shard may hold: a budget of their own,
    /// so that peers which announce large frames and never send them do not starve all others.
    pub large_frame_budget_bytes: usize,
    /// Connections whose descriptor has this number or a higher one are turned away: the rest is
    /// for files.
    pub connection_fd_end: u64,
    /// Requests that one shard may work on.
    pub request_budget: usize,
}

//! What a node is started with, shared by all its shards and never changed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ringlog_engine::dirs::TopicPartition;
use ringlog_engine::io::WritePath;
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

/// Share of the machine's memory for request frames.
const FRAME_MEMORY_SHARE: u64 = 8;

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
    /// ringlog.unread.cache.bytes
    pub unread_cache_bytes: Option<u64>,
    /// Log directories; the metadata log's own comes last, if it has one.
    pub dirs: Vec<DirInfo>,
    /// How many of them hold topics.
    pub data_dirs: usize,
    /// Connections whose descriptor has this number or a higher one are turned away: the rest is
    /// for files.
    pub connection_fd_end: u64,
    /// What requests of one shard may take.
    pub requests: RequestLimits,
}

/// What the requests of one shard may take: its part of the node's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Bytes of frames.
    pub frame_bytes: usize,
    /// Bytes of frames above [`LARGE_FRAME_BYTES`]: a budget of their own, so that peers which
    /// announce large frames and never send them do not starve all others.
    pub large_frame_bytes: usize,
    /// How many are worked on.
    pub count: usize,
    /// Record bytes of one answer to a fetch.
    pub fetch_bytes: usize,
    /// Incremental fetch sessions.
    pub fetch_sessions: usize,
}

impl RequestLimits {
    /// queued.max.requests and queued.max.request.bytes, dealt out to `shards`. Without the latter
    /// frames get their share of the machine's memory: there is always a limit.
    pub fn of(config: &RawConfig, shards: usize, memory_bytes: u64) -> Self {
        let bytes = match config.long("queued.max.request.bytes") {
            limit @ 1.. => limit as u64,
            _ => memory_bytes / FRAME_MEMORY_SHARE,
        };
        let slots = config.int("max.incremental.fetch.session.cache.slots");
        let requests = config.int("queued.max.requests").max(1) as usize;
        Self {
            frame_bytes: (bytes / 4 * 3 / shards as u64).max(1) as usize,
            large_frame_bytes: (bytes / 4 / shards as u64).max(1) as usize,
            count: requests.div_ceil(shards),
            fetch_bytes: config.int("fetch.max.bytes").max(0) as usize,
            fetch_sessions: (slots.max(0) as usize).div_ceil(shards),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queued_requests_and_their_bytes_are_dealt_out_to_the_shards() {
        let of = |lines: &str| {
            let file = format!(
                "process.roles=broker,controller\nnode.id=1\n\
                 controller.quorum.voters=1@h:2\ncontroller.listener.names=C\n\
                 listeners=PLAINTEXT://h:1,C://h:2\n{lines}"
            );
            let config = RawConfig::load(file.as_bytes(), &[]).expect("a good file");
            RequestLimits::of(&config, 2, 64_000)
        };
        let unlimited = RequestLimits {
            frame_bytes: 3000,
            large_frame_bytes: 1000,
            count: 250,
            fetch_bytes: 55 << 20,
            fetch_sessions: 500,
        };
        assert_eq!(of(""), unlimited);
        assert_eq!(of("queued.max.request.bytes=-1"), unlimited);
        let set = "socket.request.max.bytes=4000\nqueued.max.request.bytes=4000\n\
                   queued.max.requests=5\nfetch.max.bytes=2000\n\
                   max.incremental.fetch.session.cache.slots=3\n";
        let limited = RequestLimits {
            frame_bytes: 1500,
            large_frame_bytes: 500,
            count: 3,
            fetch_bytes: 2000,
            fetch_sessions: 2,
        };
        assert_eq!(of(set), limited);
    }
}

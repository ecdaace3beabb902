//! What a node is started with, shared by all its shards and never changed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ringlog_engine::dirs::TopicPartition;
use ringlog_engine::io::{BUF_ALIGN, WritePath};
use ringlog_engine::log::IoMode;
use ringlog_engine::types::{Offset, ShardId};
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
    /// cleaner-offset-checkpoint
    pub first_dirty_offsets: BTreeMap<TopicPartition, Offset>,
}

/// From here on a frame is paid for from the budget for large ones.
pub const LARGE_FRAME_BYTES: usize = 4 << 20;

/// Parts of the memory limit: requests, records for consumers, tails of logs, kept buffers.
const MEMORY_PARTS: u64 = 4;
/// More than this a shard does not keep for reuse: the allocator has it back.
const POOL_BYTES_MAX: u64 = 64 << 20;
/// Buffers that fit into what may be received ahead. The kernel fills up to 32 for a connection
/// before the shard can tell it to pause (MULTISHOT_MAX_RETRY in io_uring), so where memory is
/// scarce they are small.
const RECEIVE_BUFFERS_AHEAD: usize = 512;
const RECEIVE_BUFFER_BYTES_MAX: usize = 16 << 10;
/// No request is decoded that takes more: more than a million names.
pub const ONE_DECODED_BYTES_MAX: usize = 32 << 20;
/// Logs that a shard opens or closes at a time, at most, and the share of the descriptors for it.
const LOGS_AT_ONCE_MAX: usize = 64;
const DESCRIPTORS_FOR_OPENING: usize = 16;

/// Up to this size records are copied out of the page cache: cheaper than a sendfile of their own.
const COPY_BYTES_MAX: usize = 32 << 10;
/// What one shard has under way off the disk for consumers.
pub const COLD_READ_BYTES: usize = 32 << 20;

/// ringlog.fetch.path
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FetchPath {
    /// A copy of what is small, sendfile for the rest.
    #[default]
    Auto,
    /// sendfile(2), always.
    SendFile,
    /// splice(2), always.
    Splice,
    /// A copy, always.
    Copy,
}

impl FetchPath {
    /// What the configuration says.
    pub fn of(config: &RawConfig) -> Self {
        match config.string("ringlog.fetch.path") {
            Some("sendfile") => Self::SendFile,
            Some("splice") => Self::Splice,
            Some("copy") => Self::Copy,
            _ => Self::Auto,
        }
    }

    /// Up to which size records are sent from memory.
    pub fn copy_bytes_max(self) -> usize {
        match self {
            Self::Auto => COPY_BYTES_MAX,
            Self::SendFile | Self::Splice => 0,
            Self::Copy => usize::MAX,
        }
    }
}

/// What a node is started with.
#[derive(Debug)]
pub struct Settings {
    /// The configuration file and overrides.
    pub config: RawConfig,
    /// The cluster.
    pub cluster_id: String,
    /// node.id
    pub node_id: i32,
    /// How many shards have partitions; the control shard comes besides.
    pub shards: usize,
    /// Listeners for clients and brokers, in the order of the file, then those for controllers.
    pub listeners: Vec<Listener>,
    /// How many of them are for clients and brokers.
    pub broker_listeners: usize,
    /// What clients of each of them are told to connect to, by listener name.
    pub advertised: BTreeMap<String, (String, u16)>,
    /// ringlog.durability=sync
    pub sync_always: bool,
    /// ringlog.io.mode
    pub io_mode: IoMode,
    /// Who writes to log files.
    pub write_path: WritePath,
    /// Bytes of one shard in one directory that may be written and not synced.
    pub dirty_bytes_max: u64,
    /// How records reach consumers.
    pub fetch_path: FetchPath,
    /// ringlog.unread.cache.bytes
    pub unread_cache_bytes: Option<u64>,
    /// Log directories; the metadata log's own comes last, if it has one.
    pub dirs: Vec<DirInfo>,
    /// How many of them hold topics.
    pub data_dirs: usize,
    /// Connections whose descriptor has this number or a higher one are turned away: the rest is
    /// for files.
    pub connection_fd_end: u64,
    /// How many descriptors the process may have.
    pub open_files_max: u64,
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
    /// Bytes of records that are in memory for consumers.
    pub read_bytes: usize,
    /// Bytes of buffers that are kept for reuse.
    pub pool_bytes: usize,
    /// Bytes received for connections that have not come to them yet.
    pub ahead_bytes: usize,
    /// Size of the buffers that connections receive into.
    pub receive_buffer_bytes: usize,
    /// Bytes of the ends of logs, for each log directory.
    pub tail_bytes: usize,
    /// Bytes of one frame.
    pub one_frame_bytes: usize,
    /// Bytes of requests that are decoded, on a shard that has partitions.
    pub decoded_bytes: usize,
    /// The same on the control shard, where the large ones are.
    pub control_decoded_bytes: usize,
    /// Incremental fetch sessions.
    pub fetch_sessions: usize,
}

/// Whom a listener serves. The two are counted apart, and offer different APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// Clients and brokers.
    Broker,
    /// Controllers, and those who ask them directly (KIP-919).
    Controller,
}

impl Settings {
    /// The shard of what belongs to the node as a whole: accepting connections, the controller,
    /// checkpoints, metrics, and requests too large for a shard that has partitions. It has none,
    /// and serves no connections.
    pub fn control_shard(&self) -> ShardId {
        ShardId(self.shards as u16)
    }

    /// The shards that have partitions and serve connections.
    pub fn data_shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.shards as u16).map(ShardId)
    }

    /// All shards.
    pub fn all_shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..=self.shards as u16).map(ShardId)
    }

    /// Whom the listener of this number serves.
    pub fn kind_of(&self, listener: usize) -> ListenerKind {
        match listener < self.broker_listeners {
            true => ListenerKind::Broker,
            false => ListenerKind::Controller,
        }
    }

    /// Logs that a shard opens or closes at a time: enough to keep a disk busy, and few enough for
    /// the descriptors that each takes meanwhile.
    pub fn logs_at_once(&self) -> usize {
        (self.connection_fd_end as usize / DESCRIPTORS_FOR_OPENING / self.shards)
            .clamp(1, LOGS_AT_ONCE_MAX)
    }
}

impl RequestLimits {
    /// ringlog.memory.limit.bytes, queued.max.requests and queued.max.request.bytes, dealt out to
    /// `shards`; the process may use `memory_bytes`.
    pub fn of(config: &RawConfig, shards: usize, memory_bytes: u64) -> Self {
        let (limit, is_set) = match config.long("ringlog.memory.limit.bytes") {
            limit @ 1.. => (limit as u64, true),
            _ => (memory_bytes / 2, false),
        };
        let part = limit / MEMORY_PARTS;
        let bytes = match config.long("queued.max.request.bytes") {
            own @ 1.. if is_set => part.min(own as u64),
            own @ 1.. => own as u64,
            _ => part,
        };
        let of_shard = |bytes: u64| (bytes / shards as u64).max(1) as usize;
        let large_frame_bytes = of_shard(bytes / 4);
        let read_bytes = of_shard(part);
        let ahead_bytes = of_shard(part / 4);
        let of_key = |key: &str| config.int(key).max(0) as usize;
        // Kafka takes one frame and one answer of any size that its keys allow, whatever is free.
        // Who sets a limit means it.
        let fit = |bytes: usize, room: usize| if is_set { bytes.min(room) } else { bytes };
        let slots = config.int("max.incremental.fetch.session.cache.slots");
        let requests = config.int("queued.max.requests").max(1) as usize;
        Self {
            frame_bytes: of_shard(bytes / 2),
            large_frame_bytes,
            count: requests.div_ceil(shards),
            fetch_bytes: fit(of_key("fetch.max.bytes"), read_bytes),
            read_bytes,
            ahead_bytes,
            receive_buffer_bytes: (ahead_bytes / RECEIVE_BUFFERS_AHEAD)
                .next_power_of_two()
                .clamp(BUF_ALIGN, RECEIVE_BUFFER_BYTES_MAX),
            tail_bytes: of_shard(part) / config.log_dirs().len().max(1),
            // The control shard has one too.
            pool_bytes: (part as usize / (shards + 1)).min(POOL_BYTES_MAX as usize),
            one_frame_bytes: fit(of_key("socket.request.max.bytes"), large_frame_bytes),
            decoded_bytes: of_shard(bytes / 8),
            control_decoded_bytes: (bytes / 8) as usize,
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
            frame_bytes: 2000,
            large_frame_bytes: 1000,
            count: 250,
            fetch_bytes: 55 << 20,
            read_bytes: 4000,
            ahead_bytes: 1000,
            receive_buffer_bytes: 4096,
            tail_bytes: 4000,
            pool_bytes: 2666,
            one_frame_bytes: 100 << 20,
            decoded_bytes: 500,
            control_decoded_bytes: 1000,
            fetch_sessions: 500,
        };
        assert_eq!(of(""), unlimited);
        assert_eq!(of("queued.max.request.bytes=-1"), unlimited);
        let set = "socket.request.max.bytes=4000\nqueued.max.request.bytes=4000\n\
                   queued.max.requests=5\nfetch.max.bytes=2000\n\
                   max.incremental.fetch.session.cache.slots=3\n";
        let limited = RequestLimits {
            frame_bytes: 1000,
            large_frame_bytes: 500,
            decoded_bytes: 250,
            control_decoded_bytes: 500,
            count: 3,
            fetch_bytes: 2000,
            one_frame_bytes: 4000,
            fetch_sessions: 2,
            ..unlimited
        };
        assert_eq!(of(set), limited);
        let kept_small = RequestLimits {
            frame_bytes: 200,
            large_frame_bytes: 100,
            decoded_bytes: 50,
            control_decoded_bytes: 100,
            fetch_bytes: 400,
            read_bytes: 400,
            ahead_bytes: 100,
            tail_bytes: 400,
            pool_bytes: 266,
            one_frame_bytes: 100,
            ..unlimited
        };
        assert_eq!(of("ringlog.memory.limit.bytes=3200"), kept_small);
        let both = "ringlog.memory.limit.bytes=3200\nsocket.request.max.bytes=200\n\
                    queued.max.request.bytes=9000";
        assert_eq!(of(both), kept_small);
    }
}

//! What a shard has counted, and how it is at the moment.

use ringlog_engine::log::{CacheCounts, Compacted, Dirt};
use ringlog_engine::types::Offset;

use super::counters::Counters;
use super::partition::Partition;
use super::shard_broker::Broker;

/// Counts of one shard.
#[derive(Clone, Debug)]
pub struct Measures {
    /// What it has done for clients.
    pub done: Counters,
    /// Partitions that are online.
    pub partitions: Vec<PartitionMeasures>,
    /// Those that are not.
    pub offline_partitions: usize,
    /// Connections that it serves.
    pub connections: usize,
    /// Requests that are worked on.
    pub requests_in_work: usize,
    /// Memory that requests hold.
    pub request_bytes: usize,
    /// Calls to other shards that are not answered.
    pub calls_waiting: usize,
    /// Bytes that are written and not yet flushed.
    pub dirty_bytes: u64,
    /// Flushes.
    pub syncs: u64,
    /// What consumers' reads found in memory.
    pub cache: CacheCounts,
    /// What compaction has done.
    pub compaction: CompactionCounts,
}

/// A partition that is online.
#[derive(Clone, Debug)]
pub struct PartitionMeasures {
    /// Its topic's name.
    pub topic: String,
    /// Its number.
    pub index: i32,
    /// Its first offset.
    pub log_start_offset: Offset,
    /// The one after its last.
    pub log_end_offset: Offset,
    /// Bytes of its segments.
    pub log_bytes: u64,
}

/// What compaction has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CompactionCounts {
    /// Rounds.
    pub rounds: u64,
    /// Bytes read for rewriting.
    pub read_bytes: u64,
    /// Bytes that were left of them.
    pub written_bytes: u64,
    /// The longest round.
    pub longest_ms: u64,
    /// The dirtiest log there was when one was last looked for, 0 to 1.
    pub dirtiest: f64,
    /// Logs that cannot be compacted.
    pub uncleanable: usize,
}

impl CompactionCounts {
    pub(super) fn note_round(&mut self, done: &Compacted, took_ms: u64) {
        self.rounds += 1;
        self.read_bytes += done.read_bytes;
        self.written_bytes += done.written_bytes;
        self.longest_ms = self.longest_ms.max(took_ms);
    }

    pub(super) fn note_dirt(&mut self, dirt: &Dirt) {
        self.dirtiest = self.dirtiest.max(dirt.ratio());
    }

    /// Adds those of another shard.
    pub fn add(&mut self, other: &CompactionCounts) {
        self.rounds += other.rounds;
        self.read_bytes += other.read_bytes;
        self.written_bytes += other.written_bytes;
        self.longest_ms = self.longest_ms.max(other.longest_ms);
        self.dirtiest = self.dirtiest.max(other.dirtiest);
        self.uncleanable += other.uncleanable;
    }
}

impl PartitionMeasures {
    fn of(partition: &Partition) -> Self {
        let ends = partition.log.ends();
        Self {
            topic: partition.topic_name.to_string(),
            index: partition.index,
            log_start_offset: ends.log_start_offset,
            log_end_offset: ends.log_end_offset,
            log_bytes: partition.log.size_bytes(),
        }
    }
}

impl Broker {
    pub(super) fn measure(&self) -> Measures {
        let limits = &self.settings.requests;
        let frame_bytes = limits.frame_bytes - self.frame_budget.free();
        let large_frame_bytes = limits.large_frame_bytes - self.large_frame_budget.free();
        let mut all = Measures {
            done: self.counters.borrow().clone(),
            partitions: Vec::new(),
            offline_partitions: 0,
            connections: self.served.borrow().len(),
            requests_in_work: limits.count - self.request_budget.free(),
            request_bytes: frame_bytes + large_frame_bytes,
            calls_waiting: self.calls_waiting(),
            dirty_bytes: self.committers.iter().map(|committer| committer.dirty_bytes()).sum(),
            syncs: self.committers.iter().map(|committer| committer.sync_count()).sum(),
            cache: self.past_cache_counts.get(),
            compaction: self.compaction_counts.get(),
        };
        for partition in self.partitions.borrow().values() {
            let partition = partition.as_ref().ok();
            match partition.filter(|partition| partition.log.failure().is_none()) {
                None => all.offline_partitions += 1,
                Some(partition) => {
                    all.partitions.push(PartitionMeasures::of(partition));
                    let counts = partition.log.cache_counts();
                    all.cache.hit_bytes += counts.hit_bytes;
                    all.cache.miss_bytes += counts.miss_bytes;
                }
            }
        }
        all
    }

    /// Keeps what a log has counted that is deleted.
    pub(super) fn keep_counts(&self, counts: CacheCounts) {
        let mut past = self.past_cache_counts.get();
        past.hit_bytes += counts.hit_bytes;
        past.miss_bytes += counts.miss_bytes;
        self.past_cache_counts.set(past);
    }
}

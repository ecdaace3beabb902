//! What a shard has counted.

use ringlog_engine::log::{CacheCounts, Compacted, Dirt};

use super::shard_broker::Broker;

/// Counts of one shard, or of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures {
    /// Partitions that are online.
    pub partitions: usize,
    /// Those that are not.
    pub offline_partitions: usize,
    /// Bytes of all segments.
    pub log_bytes: u64,
    /// What consumers' reads found in memory.
    pub cache: CacheCounts,
    /// What compaction has done.
    pub compaction: CompactionCounts,
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
}

impl Measures {
    /// Adds those of another shard.
    pub fn add(&mut self, other: &Measures) {
        self.partitions += other.partitions;
        self.offline_partitions += other.offline_partitions;
        self.log_bytes += other.log_bytes;
        self.cache.hit_bytes += other.cache.hit_bytes;
        self.cache.miss_bytes += other.cache.miss_bytes;
        let (mine, theirs) = (&mut self.compaction, &other.compaction);
        mine.rounds += theirs.rounds;
        mine.read_bytes += theirs.read_bytes;
        mine.written_bytes += theirs.written_bytes;
        mine.longest_ms = mine.longest_ms.max(theirs.longest_ms);
        mine.dirtiest = mine.dirtiest.max(theirs.dirtiest);
        mine.uncleanable += theirs.uncleanable;
    }
}

impl Broker {
    pub(super) fn measure(&self) -> Measures {
        let mut all = Measures {
            cache: self.past_cache_counts.get(),
            compaction: self.compaction_counts.get(),
            ..Measures::default()
        };
        for partition in self.partitions.borrow().values() {
            let log = partition.as_ref().ok().map(|partition| &partition.log);
            match log.filter(|log| log.failure().is_none()) {
                None => all.offline_partitions += 1,
                Some(log) => {
                    all.partitions += 1;
                    all.log_bytes += log.size_bytes();
                    let counts = log.cache_counts();
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

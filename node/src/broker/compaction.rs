//! Compaction on a shard: which log is next, and the memory and the rate it gets
//! (Kafka's `LogCleaner`).

use std::collections::BTreeSet;
use std::rc::Rc;

use ringlog_engine::dirs::OffsetCheckpoint;
use ringlog_engine::io::Errno;
use ringlog_engine::log::{CompactError, CompactionLimits, Dirt, ReadError, Throttle};
use ringlog_wire::Uuid;

use super::calls::Call;
use super::measures::CompactionCounts;
use super::partition::Partition;
use super::shard_broker::Broker;

/// Partitions that cannot be compacted until the next start, and have said why.
type Uncleanable = BTreeSet<(Uuid, i32)>;

impl Broker {
    /// Compacts the dirtiest log of this shard, then the next, and rests for
    /// log.cleaner.backoff.ms when none is due.
    pub(super) async fn run_compaction(self: Rc<Self>) {
        let throttle = Throttle::new(&self.shard);
        let mut uncleanable = Uncleanable::new();
        if !self.config().current().boolean("log.cleaner.enable") {
            return;
        }
        while !self.stopping.get() {
            let found = self.find_dirtiest(&mut uncleanable).await;
            let moved = match found {
                Some((partition, dirt)) => {
                    self.compact(&partition, &dirt, &throttle, &mut uncleanable).await
                }
                None => false,
            };
            if !moved {
                let backoff = self.config().current().long("log.cleaner.backoff.ms");
                self.shard.sleep_ms(backoff.max(1) as u64).await;
            }
        }
    }

    async fn find_dirtiest(&self, uncleanable: &mut Uncleanable) -> Option<(Rc<Partition>, Dirt)> {
        let mut dirtiest: Option<(Rc<Partition>, Dirt)> = None;
        let mut counts = CompactionCounts { dirtiest: 0.0, ..self.compaction_counts.get() };
        for partition in self.online_partitions() {
            let key = (partition.topic, partition.index);
            let log = &partition.log;
            if !log.config().compacted || uncleanable.contains(&key) || log.failure().is_some() {
                continue;
            }
            let stable = partition.last_stable_offset();
            let dirt = log.dirt(self.shard.unix_ms(), stable).await;
            dirt.iter().for_each(|dirt| counts.note_dirt(dirt));
            match dirt {
                Ok(dirt) if dirt.is_due() => {
                    let more = |(_, other): &(_, Dirt)| dirt.ratio() > other.ratio();
                    if dirtiest.as_ref().is_none_or(more) {
                        dirtiest = Some((partition, dirt));
                    }
                }
                Ok(_) => {}
                // A segment that retention took away meanwhile; or the log fails, and says so.
                Err(ReadError::Io(_) | ReadError::Log(_)) => {}
                Err(error) => {
                    tracing::error!(topic = %partition.topic_name, partition = partition.index,
                        %error, "not_compactable");
                    uncleanable.insert(key);
                }
            }
        }
        counts.uncleanable = uncleanable.len();
        self.compaction_counts.set(counts);
        dirtiest
    }

    /// One round; true if it has brought the log further.
    async fn compact(
        self: &Rc<Self>,
        partition: &Partition,
        dirt: &Dirt,
        throttle: &Throttle,
        uncleanable: &mut Uncleanable,
    ) -> bool {
        let (topic, index) = (&partition.topic_name, partition.index);
        let limits = {
            let config = self.config();
            let (config, shards) = (config.current(), self.settings.shards);
            let rate = config.double("log.cleaner.io.max.bytes.per.second");
            throttle.set_rate(rate / shards as f64);
            let map_bytes = config.long("log.cleaner.dedupe.buffer.size").max(0) as usize;
            CompactionLimits {
                map_bytes: map_bytes / shards,
                map_load_factor: config.double("log.cleaner.io.buffer.load.factor"),
                throttle,
            }
        };
        let started = self.shard.clock();
        match partition.log.compact(dirt, limits).await {
            Ok(done) => {
                let took_ms = self.shard.clock().ms_since(started);
                tracing::info!(topic = %topic, partition = index, first_dirty = done.first_dirty.0,
                    keys = done.keys, read_bytes = done.read_bytes,
                    written_bytes = done.written_bytes, segments_before = done.segments.0,
                    segments_after = done.segments.1, took_ms, "compacted");
                let mut counts = self.compaction_counts.get();
                counts.note_round(&done, took_ms);
                self.compaction_counts.set(counts);
                let call = Call::WriteCheckpoint(OffsetCheckpoint::Cleaner);
                // A checkpoint that is not written costs another round after the next start.
                self.call(self.settings.control_shard(), call).await.await;
                done.first_dirty > dirt.first_dirty
            }
            Err(CompactError::Stopped) => false,
            // Room may come: retention goes on.
            Err(CompactError::Read(ReadError::Io(error))) if error.errno == Errno::ENOSPC => {
                tracing::warn!(topic = %topic, partition = index, %error, "not_compacted");
                false
            }
            Err(error) => {
                tracing::error!(topic = %topic, partition = index, %error, "not_compactable");
                uncleanable.insert((partition.topic, index));
                false
            }
        }
    }
}

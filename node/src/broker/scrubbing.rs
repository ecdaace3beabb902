//! Scrubbing on a shard: all sealed segments, one after the other, at a set rate, for ever.

use std::collections::BTreeSet;
use std::rc::Rc;

use ringlog_engine::log::{ReadError, Throttle};
use ringlog_engine::types::Offset;

use super::partition::Partition;
use super::shard_broker::Broker;

/// Pause between two rounds at most, and before the first.
const ROUND_MS: u64 = 60_000;

impl Broker {
    /// Checks what is stored at ringlog.scrub.bytes.per.second.
    pub(super) async fn run_scrubbing(self: Rc<Self>) {
        let rate = self.config().current().long("ringlog.scrub.bytes.per.second");
        if rate <= 0 {
            return;
        }
        let throttle = Throttle::new(&self.shard);
        throttle.set_rate(rate as f64 / self.settings.shards as f64);
        let pause = self.config().current().long("log.initial.task.delay.ms").max(0) as u64;
        // The first round begins when other chores do; an eager setting makes all rounds eager.
        let pause = pause.clamp(1, ROUND_MS);
        // Damage that has been reported: once is enough.
        let mut known = BTreeSet::new();
        loop {
            self.shard.sleep_ms(pause).await;
            for partition in self.online_partitions() {
                self.scrub_partition(&partition, &throttle, &mut known).await;
            }
        }
    }

    async fn scrub_partition(
        &self,
        partition: &Partition,
        throttle: &Throttle,
        known: &mut BTreeSet<String>,
    ) {
        let mut from = Some(Offset::ZERO);
        while let Some(at) = from {
            match partition.log.scrub(at, throttle).await {
                Ok(scrubbed) => from = scrubbed.next,
                Err(ReadError::Corrupt(what)) => {
                    if known.insert(what.clone()) {
                        tracing::error!(topic = %partition.topic_name,
                            partition = partition.index, what, "damage_found");
                    }
                    // Segments behind the damaged one are looked at, too.
                    from = partition.log.segment_after(at);
                }
                Err(_) => return,
            }
        }
    }
}

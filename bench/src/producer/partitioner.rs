//! [`StickyPartitioner`]: where records without a key go.
//!
//! As Java's `BuiltInPartitioner` (KIP-794): stay with a partition until `batch.size` bytes went
//! there and its batch is complete, or twice that many in any case; then pick another at random, so
//! that partitions with longer queues are picked less often.

use ringlog_engine::stdx::prng::Prng;

/// Picks partitions for records without a key.
#[derive(Debug)]
pub struct StickyPartitioner {
    prng: Prng,
    batch_size: usize,
    partitions: usize,
    current: usize,
    produced_bytes: usize,
}

/// Whether the batch that the last record went to can take another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// It is full, or there is none.
    Complete,
    /// It has room.
    Filling,
}

impl StickyPartitioner {
    /// A partitioner for a topic of so many partitions.
    pub fn new(seed: u64, partitions: usize, batch_size: usize) -> StickyPartitioner {
        assert!(partitions > 0, "a topic has at least one partition");
        let mut prng = Prng::new(seed);
        let current = prng.index(partitions);
        Self { prng, batch_size: batch_size.max(1), partitions, current, produced_bytes: 0 }
    }

    /// The partition of the next record.
    pub fn current(&self) -> usize {
        self.current
    }

    /// Counts bytes appended to the current partition. True if it is time to pick another.
    #[inline]
    pub fn produced(&mut self, bytes: usize, batch: BatchState) -> bool {
        self.produced_bytes += bytes;
        let enough = self.produced_bytes >= self.batch_size;
        enough
            && (batch == BatchState::Complete
                || self.produced_bytes >= self.batch_size.saturating_mul(2))
    }

    /// Picks the next partition, given how many batches wait for each (`None`: it has no leader).
    pub fn switch(&mut self, queue_lengths: impl Iterator<Item = Option<usize>> + Clone) {
        self.produced_bytes = 0;
        let known = || queue_lengths.clone().enumerate().filter_map(|(i, n)| Some((i, n?)));
        let longest = known().map(|(_, length)| length).max();
        let Some(longest) = longest else {
            self.current = self.prng.index(self.partitions);
            return;
        };
        // The weight of a partition is how much shorter its queue is than the longest, plus one.
        let weight = |length: usize| (longest - length + 1) as u64;
        let mut pick = self.prng.below(known().map(|(_, length)| weight(length)).sum());
        for (index, length) in known() {
            if pick < weight(length) {
                self.current = index;
                return;
            }
            pick -= weight(length);
        }
        unreachable!("the pick is below the sum of the weights");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_for_a_batch_and_leaves_when_that_is_complete() {
        let mut sticky = StickyPartitioner::new(1, 6, 1000);
        assert!(!sticky.produced(600, BatchState::Filling));
        assert!(!sticky.produced(399, BatchState::Complete), "not enough bytes yet");
        assert!(!sticky.produced(1, BatchState::Filling), "its batch would go out half full");
        assert!(sticky.produced(0, BatchState::Complete));
        sticky.switch([Some(0); 6].into_iter());
        assert!(!sticky.produced(1999, BatchState::Filling));
        assert!(sticky.produced(1, BatchState::Filling), "twice as much is enough in any case");
    }

    #[test]
    fn equal_queues_are_picked_equally_often() {
        let mut sticky = StickyPartitioner::new(2, 6, 1);
        let mut counts = [0; 6];
        for _ in 0..60_000 {
            sticky.switch([Some(3); 6].into_iter());
            counts[sticky.current()] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    #[test]
    fn longer_queues_are_picked_less_often_and_dead_partitions_never() {
        // Kafka's own example: queues 0, 3 and 1 have the weights 4, 1 and 3.
        let queues = [Some(0), None, Some(3), Some(1)];
        let mut sticky = StickyPartitioner::new(3, 4, 1);
        let mut counts = [0; 4];
        for _ in 0..80_000 {
            sticky.switch(queues.into_iter());
            counts[sticky.current()] += 1;
        }
        assert_eq!(counts[1], 0);
        for (index, expected) in [(0, 40_000), (2, 10_000), (3, 30_000)] {
            let off = i32::abs(counts[index] - expected);
            assert!(off < 1_000, "partition {index}: {counts:?}");
        }
    }

    #[test]
    fn without_any_leader_it_still_picks_one() {
        let mut sticky = StickyPartitioner::new(4, 3, 1);
        sticky.switch([None; 3].into_iter());
        assert!(sticky.current() < 3);
    }
}

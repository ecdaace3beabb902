//! Where each leader's reign began (Kafka's `LeaderEpochFileCache`, KIP-101 and KIP-320).
//!
//! Kept in the partition's `leader-epoch-checkpoint`, one `epoch startOffset` line per epoch.

use super::checkpoint::{CheckpointError, parse_entries, render_entries};
use crate::types::{LeaderEpoch, Offset};

/// The first offset of each leader epoch. Both grow strictly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    entries: Vec<(LeaderEpoch, Offset)>,
}

/// The answer to "where did epoch E end?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The greatest epoch known that is not above the one asked for.
    pub epoch: LeaderEpoch,
    /// The offset after its last record.
    pub end_offset: Offset,
}

impl LeaderEpochs {
    /// Reads a checkpoint. Entries that do not grow are an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut epochs = Self::default();
        for (i, entry) in parse_entries(bytes, 2)?.into_iter().enumerate() {
            let error = |what| CheckpointError { line: i + 3, what };
            let (Ok(epoch), Ok(start)) = (entry[0].parse(), entry[1].parse()) else {
                return Err(error("an epoch or offset is not a number"));
            };
            if !epochs.assign(LeaderEpoch(epoch), Offset(start)) {
                return Err(error("epochs and offsets must grow"));
            }
        }
        Ok(epochs)
    }

    /// The checkpoint's text.
    pub fn render(&self) -> String {
        render_entries(self.entries.iter().map(|(epoch, start)| format!("{epoch} {start}")))
    }

    /// Notes that `epoch` appends from `start` on. False if that changes nothing: the epoch is
    /// known, or older than the latest.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch.0 < 0 || start.0 < 0 || self.latest().is_some_and(|latest| epoch <= latest) {
            return false;
        }
        // An epoch that appended nothing leaves no trace.
        self.entries.retain(|(_, other)| *other < start);
        self.entries.push((epoch, start));
        true
    }

    /// The newest epoch.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|(epoch, _)| *epoch)
    }

    /// The epoch of the record at `offset`, if known.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let at = self.entries.partition_point(|(_, start)| *start <= offset);
        Some(self.entries[at.checked_sub(1)?].0)
    }

    /// Where `epoch` ended: `None` if it is newer than all that are known.
    pub fn end_of(&self, epoch: LeaderEpoch, log_end_offset: Offset) -> Option<EpochEnd> {
        let latest = self.latest()?;
        if epoch == latest {
            return Some(EpochEnd { epoch, end_offset: log_end_offset });
        }
        if epoch > latest {
            return None;
        }
        let next = self.entries.partition_point(|(e, _)| *e <= epoch);
        let end_offset = self.entries[next].1;
        match next.checked_sub(1) {
            Some(at) => Some(EpochEnd { epoch: self.entries[at].0, end_offset }),
            // Older than all that are known: it ended where the oldest known began.
            None => Some(EpochEnd { epoch, end_offset }),
        }
    }

    /// Forgets epochs that began at `end` or later. True if there were any.
    pub fn truncate_from_end(&mut self, end: Offset) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(_, start)| *start < end);
        self.entries.len() < before
    }

    /// Forgets what was before `start`; the epoch in force there begins there. True if anything
    /// changed.
    pub fn truncate_from_start(&mut self, start: Offset) -> bool {
        let covered = self.entries.partition_point(|(_, s)| *s <= start);
        let Some(last) = covered.checked_sub(1) else { return false };
        let changed = last > 0 || self.entries[last].1 < start;
        self.entries.drain(..last);
        self.entries[0].1 = start;
        changed
    }

    /// Epochs and their first offsets, oldest first.
    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for &(epoch, start) in entries {
            assert!(epochs.assign(LeaderEpoch(epoch), Offset(start)));
        }
        epochs
    }

    #[test]
    fn ends_are_where_the_next_epoch_began() {
        let epochs = epochs(&[(2, 10), (5, 20)]);
        let end = |epoch| {
            epochs.end_of(LeaderEpoch(epoch), Offset(33)).map(|e| (e.epoch.0, e.end_offset.0))
        };
        assert_eq!(end(1), Some((1, 10)));
        assert_eq!(end(2), Some((2, 20)));
        assert_eq!(end(3), Some((2, 20)));
        assert_eq!(end(5), Some((5, 33)));
        assert_eq!(end(6), None);
        assert_eq!(LeaderEpochs::default().end_of(LeaderEpoch(0), Offset(0)), None);
    }

    #[test]
    fn an_epoch_without_records_is_replaced() {
        assert_eq!(epochs(&[(1, 0), (2, 8), (3, 8)]), epochs(&[(1, 0), (3, 8)]));
        let mut old = epochs(&[(4, 9)]);
        assert!(!old.assign(LeaderEpoch(4), Offset(12)) && !old.assign(LeaderEpoch(3), Offset(12)));
    }

    #[test]
    fn truncation_keeps_the_epoch_in_force() {
        let mut both = epochs(&[(1, 0), (2, 8), (3, 20)]);
        assert!(both.truncate_from_end(Offset(20)));
        assert!(both.truncate_from_start(Offset(9)));
        assert_eq!(both.entries(), [(LeaderEpoch(2), Offset(9))]);
        assert!(!both.truncate_from_start(Offset(9)));
    }

    #[test]
    fn checkpoints_round_trip_and_garbage_is_refused() {
        let both = epochs(&[(0, 0), (7, 100)]);
        assert_eq!(both.render(), "0\n2\n0 0\n7 100\n");
        assert_eq!(LeaderEpochs::parse(both.render().as_bytes()), Ok(both));
        assert!(LeaderEpochs::parse(b"0\n2\n5 0\n4 9\n").is_err());
        assert!(LeaderEpochs::parse(b"0\n1\nx 0\n").is_err());
    }
}

//! What a partition knows of its idempotent producers (Kafka's `ProducerStateManager`).
//!
//! A producer's last five batches are remembered, so that a retry is answered with the offset it
//! got the first time, and a gap is refused. `.snapshot` files keep the last batch of each.

use std::collections::{BTreeMap, VecDeque};

use thiserror::Error;

use crate::batch::{BatchHeader, ControlType, EndTxnMarker, crc32c};
use crate::types::{Offset, ProducerEpoch, ProducerId};

/// Batches remembered per producer: as many as a client may have in flight.
const BATCHES_REMEMBERED: usize = 5;
const SNAPSHOT_VERSION: i16 = 1;
const SNAPSHOT_HEADER_BYTES: usize = 10;
const SNAPSHOT_ENTRY_BYTES: usize = 46;

/// Why a producer's batch is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ProducerError {
    /// A newer incarnation of the producer id has written.
    #[error("epoch {got} of producer {producer} is older than {current}")]
    InvalidEpoch {
        /// The producer.
        producer: ProducerId,
        /// In the batch.
        got: ProducerEpoch,
        /// Known here.
        current: ProducerEpoch,
    },
    /// A batch is missing before this one.
    #[error("sequence {got} of producer {producer} does not follow {last}")]
    OutOfOrderSequence {
        /// The producer.
        producer: ProducerId,
        /// In the batch.
        got: i32,
        /// The last one appended, -1 if none.
        last: i32,
    },
    /// A batch outside of the transaction that its producer has open.
    #[error("producer {producer} has a transaction open, and the batch is not part of one")]
    InvalidTxnState {
        /// The producer.
        producer: ProducerId,
    },
    /// A marker of a transaction coordinator that has been replaced.
    #[error("coordinator epoch {got} for producer {producer} is older than {current}")]
    CoordinatorFenced {
        /// The producer.
        producer: ProducerId,
        /// In the marker.
        got: i32,
        /// Known here.
        current: i32,
    },
}

/// A transaction that its marker has just ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTxn {
    /// Who had begun it.
    pub producer_id: ProducerId,
    /// Its first record.
    pub first_offset: Offset,
    /// Its marker.
    pub last_offset: Offset,
    /// Up to here everything is decided now.
    pub last_stable_offset: Offset,
    /// Its records do not count.
    pub aborted: bool,
}

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSeen {
    /// Sequence number of its last record.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Last offset less first offset.
    pub offset_delta: i32,
    /// Its greatest timestamp.
    pub timestamp: i64,
}

impl BatchSeen {
    /// Offset of its first record.
    pub fn first_offset(&self) -> Offset {
        self.last_offset.plus(-i64::from(self.offset_delta))
    }

    /// Sequence number of its first record.
    pub fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        if first < 0 { (first + (1 << 31)) as i32 } else { first as i32 }
    }
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its incarnation.
    pub epoch: ProducerEpoch,
    /// Its last batches, oldest first.
    pub batches: VecDeque<BatchSeen>,
    /// When it last wrote, by the records' clock.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that wrote its last marker, or -1.
    pub coordinator_epoch: i32,
    /// Where its open transaction began here.
    pub txn_first_offset: Option<Offset>,
}

impl Producer {
    fn new(epoch: ProducerEpoch) -> Self {
        Self {
            epoch,
            batches: VecDeque::new(),
            last_timestamp: -1,
            coordinator_epoch: -1,
            txn_first_offset: None,
        }
    }

    fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }
}

/// All producers of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    // Ordered: ids come from clients.
    producers: BTreeMap<ProducerId, Producer>,
    /// Who has a transaction open, by its first offset.
    open: BTreeMap<Offset, ProducerId>,
    /// Transactions whose marker may not be replicated yet: first offset and marker's.
    decided: BTreeMap<Offset, Offset>,
}

impl Producers {
    /// Judges a batch before it is appended: the batch it repeats, or `None` if it is new.
    pub fn check(&self, header: &BatchHeader) -> Result<Option<BatchSeen>, ProducerError> {
        let producer = header.producer_id;
        if producer.0 < 0 || header.is_control() {
            return Ok(None);
        }
        let Some(known) = self.producers.get(&producer) else { return Ok(None) };
        let (got, current) = (header.producer_epoch, known.epoch);
        if got < current {
            return Err(ProducerError::InvalidEpoch { producer, got, current });
        }
        if got == current {
            let repeated = known.batches.iter().find(|batch| {
                batch.first_sequence() == header.base_sequence
                    && batch.last_sequence == header.last_sequence()
            });
            if repeated.is_some() {
                return Ok(repeated.copied());
            }
        }
        let (got, last) = (header.base_sequence, known.last_sequence());
        let follows = if header.producer_epoch > current {
            got == 0
        } else {
            i64::from(got) == i64::from(last) + 1 || (got == 0 && last == i32::MAX)
        };
        if !follows {
            return Err(ProducerError::OutOfOrderSequence { producer, got, last });
        }
        match known.txn_first_offset.is_some() && !header.is_transactional() {
            true => Err(ProducerError::InvalidTxnState { producer }),
            false => Ok(None),
        }
    }

    /// Judges a transaction marker before it is appended.
    pub fn check_marker(
        &self,
        header: &BatchHeader,
        marker: EndTxnMarker,
    ) -> Result<(), ProducerError> {
        let producer = header.producer_id;
        let Some(known) = self.producers.get(&producer) else { return Ok(()) };
        let (got, current) = (header.producer_epoch, known.epoch);
        // FENCE: a transaction that was ended for a newer incarnation of the producer.
        if got < current {
            return Err(ProducerError::InvalidEpoch { producer, got, current });
        }
        let (got, current) = (marker.coordinator_epoch, known.coordinator_epoch);
        // FENCE: KIP-98: a coordinator that was replaced decides nothing.
        if got < current {
            return Err(ProducerError::CoordinatorFenced { producer, got, current });
        }
        Ok(())
    }

    /// Notes an appended batch, whoever appended it. `header` has its final offsets.
    pub fn apply(&mut self, header: &BatchHeader) {
        if header.producer_id.0 < 0 || header.is_control() {
            return;
        }
        let producer = self
            .producers
            .entry(header.producer_id)
            .or_insert_with(|| Producer::new(header.producer_epoch));
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        producer.batches.push_back(BatchSeen {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        if producer.batches.len() > BATCHES_REMEMBERED {
            producer.batches.pop_front();
        }
        producer.last_timestamp = header.max_timestamp;
        if header.is_transactional() && producer.txn_first_offset.is_none() {
            producer.txn_first_offset = Some(header.base_offset);
            self.open.insert(header.base_offset, header.producer_id);
        }
    }

    /// Notes a transaction marker; returns the transaction it ends, if one was open.
    pub fn apply_marker(
        &mut self,
        header: &BatchHeader,
        control: ControlType,
        marker: EndTxnMarker,
    ) -> Option<CompletedTxn> {
        debug_assert!(matches!(control, ControlType::Abort | ControlType::Commit));
        let producer = self
            .producers
            .entry(header.producer_id)
            .or_insert_with(|| Producer::new(header.producer_epoch));
        if header.producer_epoch > producer.epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        producer.coordinator_epoch = marker.coordinator_epoch;
        producer.last_timestamp = header.max_timestamp;
        let first_offset = producer.txn_first_offset.take()?;
        self.open.remove(&first_offset);
        let last_offset = header.last_offset();
        self.decided.insert(first_offset, last_offset);
        let next_open = self.open.first_key_value().map(|(first, _)| *first);
        Some(CompletedTxn {
            producer_id: header.producer_id,
            first_offset,
            last_offset,
            last_stable_offset: next_open.unwrap_or(last_offset.plus(1)),
            aborted: control == ControlType::Abort,
        })
    }

    /// The first offset of the oldest transaction that is not decided: it is open, or its marker
    /// is not below the high watermark.
    pub fn first_unstable_offset(&mut self, high_watermark: Offset) -> Option<Offset> {
        while let Some(oldest) = self.decided.first_entry()
            && *oldest.get() < high_watermark
        {
            oldest.remove();
        }
        let decided = self.decided.iter().find(|(_, last)| **last >= high_watermark);
        let decided = decided.map(|(first, _)| *first);
        let open = self.open.first_key_value().map(|(first, _)| *first);
        decided.into_iter().chain(open).min()
    }

    /// Where each producer's last sequence is, if any of its batches is known, and its epoch.
    pub fn last_records(&self) -> BTreeMap<ProducerId, (Option<Offset>, ProducerEpoch)> {
        let last = |producer: &Producer| producer.batches.back().map(|batch| batch.last_offset);
        self.iter().map(|(id, producer)| (id, (last(producer), producer.epoch))).collect()
    }

    /// Forgets producers that have not written for `expiration_ms` and have no open transaction.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers.retain(|_, producer| {
            producer.txn_first_offset.is_some()
                || now_ms.saturating_sub(producer.last_timestamp) < expiration_ms
        });
    }

    /// How many producers are known.
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// The producers by id.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &Producer)> {
        self.producers.iter().map(|(id, producer)| (*id, producer))
    }

    /// The bytes of a `.snapshot` file.
    pub fn encode_snapshot(&self) -> Vec<u8> {
        let mut out = SNAPSHOT_VERSION.to_be_bytes().to_vec();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.producers.len() as i32).to_be_bytes());
        for (id, producer) in &self.producers {
            let last = producer.batches.back();
            out.extend_from_slice(&id.0.to_be_bytes());
            out.extend_from_slice(&producer.epoch.0.to_be_bytes());
            out.extend_from_slice(&last.map_or(-1, |b| b.last_sequence).to_be_bytes());
            out.extend_from_slice(&last.map_or(-1, |b| b.last_offset.0).to_be_bytes());
            out.extend_from_slice(&last.map_or(0, |b| b.offset_delta).to_be_bytes());
            out.extend_from_slice(&producer.last_timestamp.to_be_bytes());
            out.extend_from_slice(&producer.coordinator_epoch.to_be_bytes());
            out.extend_from_slice(&producer.txn_first_offset.map_or(-1, |o| o.0).to_be_bytes());
        }
        let crc = crc32c(&out[6..]);
        out[2..6].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads a `.snapshot` file; `None` if it is not one, or not whole.
    pub fn decode_snapshot(bytes: &[u8]) -> Option<Producers> {
        let (header, entries) = bytes.split_at_checked(SNAPSHOT_HEADER_BYTES)?;
        let crc = u32::from_be_bytes(header[2..6].try_into().ok()?);
        let count = i32::from_be_bytes(header[6..10].try_into().ok()?);
        if header[..2] != SNAPSHOT_VERSION.to_be_bytes()
            || crc32c(&bytes[6..]) != crc
            || entries.len() != usize::try_from(count).ok()?.checked_mul(SNAPSHOT_ENTRY_BYTES)?
        {
            return None;
        }
        let (mut producers, mut open) = (BTreeMap::new(), BTreeMap::new());
        for entry in entries.chunks_exact(SNAPSHOT_ENTRY_BYTES) {
            let i64_at =
                |at: usize| i64::from_be_bytes(entry[at..at + 8].try_into().expect("eight"));
            let i32_at =
                |at: usize| i32::from_be_bytes(entry[at..at + 4].try_into().expect("four"));
            let epoch = i16::from_be_bytes(entry[8..10].try_into().expect("two"));
            let mut producer = Producer::new(ProducerEpoch(epoch));
            producer.last_timestamp = i64_at(26);
            producer.coordinator_epoch = i32_at(34);
            producer.txn_first_offset = Some(Offset(i64_at(38))).filter(|offset| offset.0 >= 0);
            if i64_at(14) >= 0 {
                producer.batches.push_back(BatchSeen {
                    last_sequence: i32_at(10),
                    last_offset: Offset(i64_at(14)),
                    offset_delta: i32_at(22),
                    timestamp: i64_at(26),
                });
            }
            let id = ProducerId(i64_at(0));
            open.extend(producer.txn_first_offset.map(|first| (first, id)));
            producers.insert(id, producer);
        }
        Some(Producers { producers, open, decided: BTreeMap::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, RecordFields, stamp};
    use crate::types::LeaderEpoch;

    fn header(epoch: i16, sequence: i32, count: usize, at: i64) -> BatchHeader {
        let mut builder = BatchBuilder::default();
        builder.producer = Some((ProducerId(9), ProducerEpoch(epoch), sequence));
        for _ in 0..count {
            builder.append(50, &RecordFields::default());
        }
        let mut bytes = builder.build().expect("builds");
        stamp(&mut bytes, Offset(at), LeaderEpoch(0));
        BatchHeader::parse(&bytes).expect("a header")
    }

    #[test]
    fn t01_repeats_are_found_and_gaps_refused() {
        let mut producers = Producers::default();
        for i in 0..7 {
            let batch = header(0, i * 10, 10, i64::from(i) * 10);
            assert_eq!(producers.check(&batch), Ok(None));
            producers.apply(&batch);
        }
        let repeated = |sequence| producers.check(&header(0, sequence, 10, 0));
        assert_eq!(repeated(60).map(|b| b.map(|b| b.first_offset())), Ok(Some(Offset(60))));
        assert_eq!(repeated(20).map(|b| b.map(|b| b.last_offset)), Ok(Some(Offset(29))));
        let (producer, last) = (ProducerId(9), 69);
        for got in [10, 75] {
            let error = ProducerError::OutOfOrderSequence { producer, got, last };
            assert_eq!(repeated(got), Err(error));
        }
    }

    #[test]
    fn epochs_fence_and_restart_at_zero() {
        let mut producers = Producers::default();
        producers.apply(&header(3, 0, 5, 0));
        assert!(matches!(
            producers.check(&header(2, 5, 1, 0)),
            Err(ProducerError::InvalidEpoch { .. })
        ));
        assert!(producers.check(&header(4, 5, 1, 0)).is_err());
        let next = header(4, 0, 1, 5);
        assert_eq!(producers.check(&next), Ok(None));
        producers.apply(&next);
        assert_eq!(producers.check(&header(4, 1, 1, 6)), Ok(None));
    }

    #[test]
    fn t03_sequences_wrap() {
        let mut producers = Producers::default();
        let batch = header(0, i32::MAX - 1, 4, 0);
        assert_eq!(batch.last_sequence(), 1);
        producers.apply(&batch);
        assert_eq!(producers.check(&batch).map(|b| b.is_some()), Ok(true));
        assert_eq!(producers.check(&header(0, 2, 1, 4)), Ok(None));
        producers.apply(&header(0, i32::MAX, 1, 4));
        assert_eq!(producers.check(&header(0, 0, 1, 5)), Ok(None));
    }

    #[test]
    fn snapshots_round_trip_and_garbage_is_refused() {
        let mut producers = Producers::default();
        producers.apply(&header(0, 0, 5, 0));
        producers.apply(&header(0, 5, 5, 5));
        let bytes = producers.encode_snapshot();
        let read = Producers::decode_snapshot(&bytes).expect("whole");
        assert_eq!(read.check(&header(0, 5, 5, 0)).map(|b| b.is_some()), Ok(true));
        assert_eq!(read.check(&header(0, 10, 5, 0)), Ok(None));
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            assert_eq!(Producers::decode_snapshot(&broken), None, "byte {at}");
            assert_eq!(Producers::decode_snapshot(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn t11_expired_producers_are_forgotten_unless_a_transaction_is_open() {
        let mut producers = Producers::default();
        producers.apply(&header(0, 0, 1, 0));
        producers.expire(149, 100);
        assert_eq!(producers.len(), 1);
        producers.expire(150, 100);
        assert!(producers.is_empty());
        let mut transactional = header(0, 0, 1, 7);
        transactional.attributes |= 0x10;
        producers.apply(&transactional);
        producers.expire(1_000_000, 100);
        assert_eq!(producers.first_unstable_offset(Offset(8)), Some(Offset(7)));
    }

    fn transactional(id: i64, sequence: i32, at: i64) -> BatchHeader {
        let mut header = header(0, sequence, 5, at);
        header.producer_id = ProducerId(id);
        header.attributes |= 0x10;
        header
    }

    fn marker(id: i64, epoch: i16, at: i64) -> BatchHeader {
        let mut header = header(epoch, -1, 1, at);
        header.producer_id = ProducerId(id);
        header.attributes |= 0x30;
        header
    }

    #[test]
    fn what_is_stable_ends_at_the_oldest_transaction_that_is_not_decided() {
        let mut producers = Producers::default();
        producers.apply(&transactional(1, 0, 0));
        producers.apply(&transactional(2, 0, 5));
        assert_eq!(producers.first_unstable_offset(Offset(10)), Some(Offset(0)));
        let end = EndTxnMarker { coordinator_epoch: 3 };
        let done = producers.apply_marker(&marker(1, 0, 10), ControlType::Abort, end);
        let done = done.expect("it was open");
        assert_eq!((done.first_offset, done.last_offset), (Offset(0), Offset(10)));
        assert!(done.aborted && done.last_stable_offset == Offset(5));
        // The marker is not replicated yet: nobody may read past what it decides.
        assert_eq!(producers.first_unstable_offset(Offset(10)), Some(Offset(0)));
        assert_eq!(producers.first_unstable_offset(Offset(11)), Some(Offset(5)));
        let done = producers.apply_marker(&marker(2, 0, 11), ControlType::Commit, end);
        assert_eq!(done.map(|done| done.last_stable_offset), Some(Offset(12)));
        assert_eq!(producers.first_unstable_offset(Offset(12)), None);
        assert_eq!(producers.apply_marker(&marker(2, 0, 12), ControlType::Abort, end), None);
    }

    #[test]
    fn t05_t07_markers_and_batches_of_the_wrong_time_are_refused() {
        let mut producers = Producers::default();
        producers.apply(&transactional(1, 0, 0));
        let mut outside = transactional(1, 5, 5);
        outside.attributes &= !0x10;
        let producer = ProducerId(1);
        let error = ProducerError::InvalidTxnState { producer };
        assert_eq!(producers.check(&outside), Err(error));
        let end = |coordinator_epoch| EndTxnMarker { coordinator_epoch };
        assert_eq!(producers.check_marker(&marker(1, 1, 5), end(4)), Ok(()));
        producers.apply_marker(&marker(1, 1, 5), ControlType::Abort, end(4));
        let fenced = ProducerError::CoordinatorFenced { producer, got: 3, current: 4 };
        assert_eq!(producers.check_marker(&marker(1, 1, 6), end(3)), Err(fenced));
        let (got, current) = (ProducerEpoch(0), ProducerEpoch(1));
        let late = ProducerError::InvalidEpoch { producer, got, current };
        assert_eq!(producers.check_marker(&marker(1, 0, 6), end(5)), Err(late));
        // The epoch of the marker counts for batches, too.
        assert_eq!(producers.check(&transactional(1, 5, 6)), Err(late));
    }

    #[test]
    fn snapshots_carry_open_transactions() {
        let mut producers = Producers::default();
        producers.apply(&transactional(1, 0, 7));
        let mut read = Producers::decode_snapshot(&producers.encode_snapshot()).expect("whole");
        assert_eq!(read.first_unstable_offset(Offset(100)), Some(Offset(7)));
    }
}

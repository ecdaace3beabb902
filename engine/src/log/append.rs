//! Appending: from received bytes to a place in the log.

use std::rc::Rc;

use thiserror::Error;

use super::partition_log::{BatchPlace, Log, LogError, State, Work};
use super::producers::{CompletedTxn, ProducerError, Producers};
use super::segment::Segment;
use super::txn_index::AbortedTxn;
use crate::batch::{
    AppendRules, BatchError, BatchHeader, CodecError, ControlType, EndTxnMarker, TimestampType,
    records, repack, stamp, validate_for_append, validate_stored,
};
use crate::io::Buf;
use crate::types::{LeaderEpoch, Offset};

/// Who wrote a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client: nothing is taken on trust.
    Client,
    /// A coordinator or the controller of this node: control records are allowed.
    Internal,
}

/// Where a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub first_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// The time stamped on it, under LogAppendTime.
    pub log_append_time_ms: Option<i64>,
    /// First offset of the log.
    pub log_start_offset: Offset,
    /// It had been appended before; these are the offsets it got then.
    pub duplicate: bool,
}

/// Why a batch was not appended. The log is as it was.
#[derive(Debug, Error)]
pub enum AppendError {
    /// The batch is not acceptable.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Its producer is not allowed to write it now.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// Larger than a whole segment.
    #[error("the batch has {size} bytes, a segment {segment_bytes}")]
    LargerThanSegment {
        /// Of the batch.
        size: usize,
        /// segment.bytes
        segment_bytes: u32,
    },
    /// A batch of another leader that cannot be the next one here.
    #[error(
        "a batch of leader epoch {epoch} at offsets {base_offset} to {last_offset} does not go on \
         from {end} of leader epoch {latest_epoch}"
    )]
    OutOfPlace {
        /// Its first offset.
        base_offset: Offset,
        /// Its last offset.
        last_offset: Offset,
        /// Its leader epoch.
        epoch: LeaderEpoch,
        /// Where the log ends.
        end: Offset,
        /// The leader epoch of the log's last batch.
        latest_epoch: LeaderEpoch,
    },
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Log {
    /// Appends one batch as the leader: validates it, gives it offsets and epoch, and queues it.
    /// It is written and made durable by the committer; wait for the ends to pass
    /// `last_offset`.
    pub fn append(
        self: &Rc<Self>,
        mut bytes: Buf,
        origin: Origin,
        epoch: LeaderEpoch,
    ) -> Result<Appended, AppendError> {
        let now_ms = self.shard.unix_ms();
        let (rules, segment_bytes, packing) = {
            if let Some(error) = self.refusal() {
                return Err(error.into());
            }
            let state = self.state.borrow();
            let config = &state.config;
            (rules_of(&state, origin), config.segment_bytes, config.packing)
        };
        let mut header = validate_for_append(&mut bytes, &rules, now_ms)?.header;
        if let Some(packing) = packing.filter(|_| !header.is_control()) {
            // Checked above: it unpacks.
            let packed = repack(&bytes, &header, packing).map_err(unpackable)?;
            if let Some(packed) = packed {
                let (size, max) = (packed.len() as u64, rules.batch_bytes_max as u64);
                if size > max {
                    return Err(BatchError::TooLarge { size, max }.into());
                }
                bytes = Buf::copy_of(&packed);
                header = validate_stored(&bytes)?;
            }
        }
        if header.size as u64 > u64::from(segment_bytes) {
            return Err(AppendError::LargerThanSegment { size: header.size, segment_bytes });
        }
        let mut state = self.state.borrow_mut();
        let log_start_offset = state.ends.log_start_offset;
        if let Some((_, marker)) = marker_of(&header, &bytes) {
            state.producers.check_marker(&header, marker)?;
        }
        if let Some(seen) = state.producers.check(&header)? {
            return Ok(Appended {
                first_offset: seen.first_offset(),
                last_offset: seen.last_offset,
                // Kafka answers a repeated batch with its time, whosever clock that is of.
                log_append_time_ms: Some(seen.timestamp),
                log_start_offset,
                duplicate: true,
            });
        }
        let first_offset = state.ends.log_end_offset;
        stamp(&mut bytes, first_offset, epoch);
        let placed = BatchHeader { base_offset: first_offset, leader_epoch: epoch, ..header };
        if bytes.len() > header.size {
            bytes = bytes.split_to(header.size);
        }
        self.push(&mut state, placed, bytes, now_ms);
        drop(state);
        self.committer.touch(self);
        Ok(Appended {
            first_offset,
            last_offset: placed.last_offset(),
            log_append_time_ms: append_time(&header),
            log_start_offset,
            duplicate: false,
        })
    }

    /// Appends the first batch of `bytes` as another leader placed it. What follows it is left out.
    ///
    /// # Errors
    /// What a peer can get wrong is an error, and the log is as it was: a batch that is not whole,
    /// that lies below the log's end, or that is of an older leader.
    pub fn append_placed(self: &Rc<Self>, mut bytes: Buf) -> Result<Appended, AppendError> {
        let header = validate_stored(&bytes)?;
        if let Some(error) = self.refusal() {
            return Err(error.into());
        }
        let mut state = self.state.borrow_mut();
        let segment_bytes = state.config.segment_bytes;
        if header.size as u64 > u64::from(segment_bytes) {
            return Err(AppendError::LargerThanSegment { size: header.size, segment_bytes });
        }
        let end = state.ends.log_end_offset;
        let latest_epoch = state.epochs.latest().unwrap_or(LeaderEpoch::NONE);
        let (base_offset, last_offset) = (header.base_offset, header.last_offset());
        let epoch = header.leader_epoch;
        if base_offset < end || last_offset >= Offset::LIMIT || epoch < latest_epoch {
            return Err(AppendError::OutOfPlace {
                base_offset,
                last_offset,
                epoch,
                end,
                latest_epoch,
            });
        }
        if bytes.len() > header.size {
            bytes = bytes.split_to(header.size);
        }
        let log_start_offset = state.ends.log_start_offset;
        self.push(&mut state, header, bytes, self.shard.unix_ms());
        drop(state);
        self.committer.touch(self);
        Ok(Appended {
            first_offset: base_offset,
            last_offset,
            log_append_time_ms: append_time(&header),
            log_start_offset,
            duplicate: false,
        })
    }

    fn push(&self, state: &mut State, header: BatchHeader, bytes: Buf, now_ms: i64) {
        let (size, last) = (header.size as u32, header.last_offset());
        let active = state.active();
        let config = Rc::clone(&state.config);
        if active.should_roll(size, header.max_timestamp, last, now_ms, &config) {
            self.roll(state, header.base_offset, now_ms);
        }
        // FENCE: the epoch is written down before the first batch that carries it.
        if state.epochs.assign(header.leader_epoch, header.base_offset) {
            state.queue.push_back(Work::Epochs);
        }
        let segment = state.active();
        let position = segment.note_batch(&header, config.index_interval_bytes);
        state.producers.apply(&header);
        let completed = apply_control(&mut state.producers, &header, &bytes);
        if let Some(txn) = completed.filter(|txn| txn.aborted) {
            segment.txns.push(AbortedTxn::from(txn));
        }
        state.remember(BatchPlace {
            base_offset: header.base_offset,
            last_offset: last,
            segment: Rc::clone(&segment),
            position,
            size,
        });
        let end = header.next_offset();
        assert!(end > state.ends.log_end_offset, "the end moves forward");
        state.ends.log_end_offset = end;
        state.queue.push_back(Work::Bytes { segment, position, bytes, end });
    }

    /// Seals the active segment in memory and starts a new one at `base_offset`; the committer
    /// follows with the files. An empty active segment that starts there already stays.
    pub(super) fn roll(&self, state: &mut State, base_offset: Offset, now_ms: i64) {
        let old = state.active();
        if old.base_offset == base_offset {
            assert_eq!(old.size.get(), 0, "segment {base_offset} would be made twice");
            return;
        }
        old.push_last_time();
        let jitter_max = state.config.segment_jitter_ms.min(state.config.segment_ms_max());
        let jitter_ms = match jitter_max {
            0 => 0,
            max => self.shard.random() % (max + 1),
        };
        let new = Rc::new(Segment::new(&self.dir.borrow(), base_offset, now_ms, jitter_ms));
        let snapshot = state.producers.encode_snapshot();
        state.segments.push(Rc::clone(&new));
        state.queue.push_back(Work::Roll { old, new, snapshot });
    }
}

fn rules_of(state: &State, origin: Origin) -> AppendRules {
    let config = &state.config;
    let client = origin == Origin::Client;
    AppendRules {
        batch_bytes_max: if client { config.max_message_bytes } else { usize::MAX },
        compacted: config.compacted && client,
        timestamp_type: if client { config.timestamp_type } else { TimestampType::CreateTime },
        timestamp_before_max_ms: if client { config.timestamp_before_max_ms } else { i64::MAX },
        timestamp_after_max_ms: if client { config.timestamp_after_max_ms } else { i64::MAX },
        allow_control: !client,
    }
}

fn unpackable(error: CodecError) -> AppendError {
    AppendError::Batch(BatchError::Corrupt(error.to_string()))
}

fn append_time(header: &BatchHeader) -> Option<i64> {
    (header.timestamp_type() == TimestampType::LogAppendTime).then_some(header.max_timestamp)
}

/// What a transaction marker says, if the batch is one.
fn marker_of(header: &BatchHeader, batch: &[u8]) -> Option<(ControlType, EndTxnMarker)> {
    if !header.is_control() {
        return None;
    }
    let unpacked = &batch[crate::batch::BATCH_HEADER_BYTES..header.size];
    let record = records(header, unpacked).next()?.ok()?;
    let control = record.key.and_then(ControlType::from_key)?;
    matches!(control, ControlType::Abort | ControlType::Commit)
        .then(|| Some((control, record.value.and_then(EndTxnMarker::from_value)?)))
        .flatten()
}

/// Transaction markers end what the producer had open.
pub(super) fn apply_control(
    producers: &mut Producers,
    header: &BatchHeader,
    batch: &[u8],
) -> Option<CompletedTxn> {
    let (control, marker) = marker_of(header, batch)?;
    producers.apply_marker(header, control, marker)
}

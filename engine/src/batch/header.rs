//! The 61-byte batch header.

use crc_fast::{CrcAlgorithm, checksum};
use thiserror::Error;

use super::codec::Codec;
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// Bytes before the records.
pub const BATCH_HEADER_BYTES: usize = 61;
/// Base offset and length: what the length field does not count.
pub const BATCH_OVERHEAD_BYTES: usize = 12;
/// Where the length field is.
pub const BATCH_LENGTH_AT: usize = 8;
const EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;
const MAGIC: u8 = 2;

const CODEC_MASK: u16 = 0x07;
const TIMESTAMP_TYPE_BIT: u16 = 0x08;
const TRANSACTIONAL_BIT: u16 = 0x10;
const CONTROL_BIT: u16 = 0x20;
const DELETE_HORIZON_BIT: u16 = 0x40;

/// CRC-32C, as every CRC in Kafka's files.
pub fn crc32c(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// Whose clock a batch's timestamps are from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The leader's: every record reads as the batch's max timestamp.
    LogAppendTime,
}

/// Why bytes are not a batch header.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HeaderError {
    /// Fewer bytes than a header, or than the header says the batch has.
    #[error("the batch is cut off: {have} bytes of {need}")]
    Truncated {
        /// Bytes there are.
        have: usize,
        /// Bytes there should be.
        need: usize,
    },
    /// A length no batch can have.
    #[error("batch length {0} is less than a header")]
    Length(i32),
    /// Not magic 2.
    #[error("magic {0} is not supported")]
    Magic(i8),
}

/// A batch's header, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record (of the batch as it was appended; compaction keeps it).
    pub base_offset: Offset,
    /// Whole batch in bytes, header included.
    pub size: usize,
    /// Epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C over everything from the attributes on.
    pub crc: u32,
    /// The raw attribute bits.
    pub attributes: u16,
    /// Last offset minus base offset.
    pub last_offset_delta: i32,
    /// First record's timestamp, or the delete horizon.
    pub base_timestamp: i64,
    /// Greatest timestamp.
    pub max_timestamp: i64,
    /// The idempotent producer, or -1.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// How many records there are.
    pub records_count: i32,
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

impl BatchHeader {
    /// Decodes the header at the start of `bytes`, which need not hold the whole batch.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, HeaderError> {
        let truncated = HeaderError::Truncated { have: bytes.len(), need: BATCH_HEADER_BYTES };
        if bytes.len() <= MAGIC_AT {
            return Err(truncated);
        }
        let length = i32_at(bytes, BATCH_LENGTH_AT);
        let magic = bytes[MAGIC_AT];
        if magic != MAGIC {
            return Err(HeaderError::Magic(magic as i8));
        }
        if length < (BATCH_HEADER_BYTES - BATCH_OVERHEAD_BYTES) as i32 {
            return Err(HeaderError::Length(length));
        }
        if bytes.len() < BATCH_HEADER_BYTES {
            return Err(truncated);
        }
        Ok(BatchHeader {
            base_offset: Offset(i64_at(bytes, 0)),
            size: length as usize + BATCH_OVERHEAD_BYTES,
            leader_epoch: LeaderEpoch(i32_at(bytes, EPOCH_AT)),
            crc: i32_at(bytes, CRC_AT) as u32,
            attributes: i16_at(bytes, ATTRIBUTES_AT) as u16,
            last_offset_delta: i32_at(bytes, 23),
            base_timestamp: i64_at(bytes, 27),
            max_timestamp: i64_at(bytes, MAX_TIMESTAMP_AT),
            producer_id: ProducerId(i64_at(bytes, 43)),
            producer_epoch: ProducerEpoch(i16_at(bytes, 51)),
            base_sequence: i32_at(bytes, 53),
            records_count: i32_at(bytes, 57),
        })
    }

    /// Decodes the header of a batch that `bytes` must hold whole; returns its bytes too.
    pub fn parse_whole(bytes: &[u8]) -> Result<(BatchHeader, &[u8]), HeaderError> {
        let header = Self::parse(bytes)?;
        match bytes.get(..header.size) {
            Some(batch) => Ok((header, batch)),
            None => Err(HeaderError::Truncated { have: bytes.len(), need: header.size }),
        }
    }

    /// Encodes the header, with its CRC as it stands.
    pub fn encode(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut out = [0; BATCH_HEADER_BYTES];
        let length = (self.size - BATCH_OVERHEAD_BYTES) as i32;
        out[..8].copy_from_slice(&self.base_offset.0.to_be_bytes());
        out[8..12].copy_from_slice(&length.to_be_bytes());
        out[12..16].copy_from_slice(&self.leader_epoch.0.to_be_bytes());
        out[16] = MAGIC;
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.0.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.0.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.records_count.to_be_bytes());
        out
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The offset after the last record.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    /// Whether its offsets can follow those below `expected` in a segment that starts at
    /// `segment_base`. Nothing else may be asked of offsets that were not checked: the CRC does not
    /// cover the base offset.
    pub fn is_in_order(&self, expected: Offset, segment_base: Offset) -> bool {
        let reach = self.base_offset.0.checked_sub(segment_base.0);
        let reach = reach.and_then(|reach| reach.checked_add(self.last_offset_delta.into()));
        self.base_offset >= expected
            && self.last_offset_delta >= 0
            && reach.is_some_and(|reach| reach <= i64::from(i32::MAX))
    }

    /// Sequence number of the last record; sequences wrap after 2^31 - 1.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        add_sequence(self.base_sequence, self.last_offset_delta)
    }

    /// Sequence number of the record at `offset`, -1 without a producer.
    pub fn sequence_at(&self, offset: Offset) -> i32 {
        match self.base_sequence {
            ..0 => -1,
            base => add_sequence(base, (offset.0 - self.base_offset.0) as i32),
        }
    }

    /// The compression codec, if the bits name one.
    pub fn codec(&self) -> Option<Codec> {
        Codec::from_bits(self.attributes & CODEC_MASK)
    }

    /// Whose clock the timestamps are from.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & TIMESTAMP_TYPE_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Holds a control record instead of data.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// The greatest time of its records, or -1: one that compaction has emptied has none, whatever
    /// its header says.
    pub fn latest_record_ms(&self) -> i64 {
        if self.records_count == 0 { -1 } else { self.max_timestamp }
    }

    /// The time from which tombstones in it may go, if the cleaner has set one.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON_BIT != 0).then_some(self.base_timestamp)
    }

    /// Whether `batch`, the whole batch, has the CRC its header says.
    pub fn crc_is_valid(&self, batch: &[u8]) -> bool {
        crc32c(&batch[ATTRIBUTES_AT..]) == self.crc
    }

    /// Attribute bits from their parts.
    pub fn attribute_bits(
        codec: Codec,
        timestamp_type: TimestampType,
        transactional: bool,
        control: bool,
    ) -> u16 {
        let bit = |set: bool, bit: u16| if set { bit } else { 0 };
        codec.bits()
            | bit(timestamp_type == TimestampType::LogAppendTime, TIMESTAMP_TYPE_BIT)
            | bit(transactional, TRANSACTIONAL_BIT)
            | bit(control, CONTROL_BIT)
    }
}

/// Attributes with another codec.
pub(super) fn with_codec(attributes: u16, codec: Codec) -> u16 {
    (attributes & !CODEC_MASK) | codec.bits()
}

/// Attributes with or without a delete horizon.
pub(super) fn with_delete_horizon(attributes: u16, set: bool) -> u16 {
    match set {
        true => attributes | DELETE_HORIZON_BIT,
        false => attributes & !DELETE_HORIZON_BIT,
    }
}

/// The sequence number `count` after `sequence`.
pub(crate) fn add_sequence(sequence: i32, count: i32) -> i32 {
    ((i64::from(sequence) + i64::from(count)) % (1 << 31)) as i32
}

/// Gives a received batch its place in the log: base offset and leader epoch, which its CRC does
/// not cover.
pub fn stamp(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    batch[..8].copy_from_slice(&base_offset.0.to_be_bytes());
    batch[EPOCH_AT..EPOCH_AT + 4].copy_from_slice(&leader_epoch.0.to_be_bytes());
}

/// Sets timestamp type and max timestamp, which the CRC covers, and the CRC.
pub(super) fn restamp_time(batch: &mut [u8], timestamp_type: TimestampType, max_timestamp: i64) {
    let mut attributes = i16_at(batch, ATTRIBUTES_AT) as u16 & !TIMESTAMP_TYPE_BIT;
    if timestamp_type == TimestampType::LogAppendTime {
        attributes |= TIMESTAMP_TYPE_BIT;
    }
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&max_timestamp.to_be_bytes());
    write_crc(batch);
}

/// Computes and sets the CRC.
pub(super) fn write_crc(batch: &mut [u8]) {
    let crc = crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}

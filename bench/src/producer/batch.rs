//! [`BatchWriter`]: records appended straight into the bytes that go on the wire.
//!
//! The hot path of the load generator. A record is encoded once, at its final place in a pooled
//! buffer; sealing the batch fills in the header and the CRC. `engine::batch::BatchBuilder` writes
//! the same bytes (the tests compare them) but moves them through a vector.
//!
//! A batch is full by Kafka's own rule (`MemoryRecordsBuilder.hasRoomFor`): a record fits if the
//! batch with its header stays within `batch.size`, and the first record always fits.

use ringlog_engine::batch::{
    BATCH_HEADER_BYTES, BatchHeader, Codec, TimestampType, compress, crc32c,
};
use ringlog_engine::io::Buf;
use ringlog_engine::stdx::varint::{varint_len, varlong_len};
use ringlog_engine::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// Where the CRC is, and where the bytes that it covers begin.
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
/// The most that a record's own fields take besides key, value and their lengths: its length, its
/// attributes, its two deltas and the number of its headers.
const RECORD_FIELDS_BYTES_MAX: usize = 5 + 1 + 10 + 5 + 5;

/// Who produces, and which sequence number a batch's first record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The idempotent producer's id.
    pub producer_id: i64,
    /// And epoch.
    pub producer_epoch: i16,
    /// Of the first record.
    pub base_sequence: i32,
}

impl Sequence {
    /// What a batch of a producer without an identity carries.
    pub const NONE: Sequence = Sequence { producer_id: -1, producer_epoch: -1, base_sequence: -1 };
}

/// A record batch that is being filled.
#[derive(Debug)]
pub struct BatchWriter {
    /// Its length is the whole capacity; `at` says how much of it is written.
    buf: Buf,
    at: usize,
    limit: usize,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

/// The most bytes that a batch with this one record can have.
pub fn size_with_one_record(key: Option<&[u8]>, value: &[u8]) -> usize {
    let key_bytes = 5 + key.map_or(0, <[u8]>::len);
    BATCH_HEADER_BYTES + RECORD_FIELDS_BYTES_MAX + key_bytes + 5 + value.len()
}

impl BatchWriter {
    /// An empty batch of at most `batch_size` bytes, or of `first_record_max` if that is more.
    pub fn new(batch_size: usize, first_record_max: usize) -> BatchWriter {
        let limit = batch_size.max(first_record_max);
        let mut buf = Buf::with_capacity(limit);
        buf.set_len(limit);
        Self { buf, at: BATCH_HEADER_BYTES, limit, count: 0, base_timestamp: 0, max_timestamp: 0 }
    }

    /// Records so far.
    pub fn records(&self) -> u32 {
        self.count as u32
    }

    /// Bytes so far, the header included.
    pub fn size(&self) -> usize {
        self.at
    }

    /// Whether not even a byte more would fit.
    pub fn is_full(&self) -> bool {
        self.count > 0 && self.at >= self.limit
    }

    /// Appends a record; false if the batch has no room for it.
    #[inline]
    pub fn append(&mut self, timestamp: i64, key: Option<&[u8]>, value: &[u8]) -> bool {
        if self.count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        let timestamp_delta = timestamp - self.base_timestamp;
        let key_bytes = key.map_or(1, |key| varint_len(key.len() as i32) + key.len());
        let value_bytes = varint_len(value.len() as i32) + value.len();
        let body =
            1 + varlong_len(timestamp_delta) + varint_len(self.count) + key_bytes + value_bytes + 1;
        let end = self.at + varint_len(body as i32) + body;
        // The buffer holds the first record whatever `batch.size` says: see `new`.
        if end > self.limit {
            assert!(self.count > 0, "a batch of {} bytes holds its first record", self.limit);
            return false;
        }
        let mut out = Cursor { bytes: &mut self.buf[self.at..end], at: 0 };
        out.varint(body as i32);
        out.byte(0);
        out.varlong(timestamp_delta);
        out.varint(self.count);
        match key {
            Some(key) => {
                out.varint(key.len() as i32);
                out.slice(key);
            }
            None => out.varint(-1),
        }
        out.varint(value.len() as i32);
        out.slice(value);
        out.byte(0);
        debug_assert_eq!(out.at, end - self.at, "the record has the length it was given");
        self.at = end;
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        true
    }

    /// The finished batch, its records packed by the codec.
    pub fn seal(mut self, sequence: Sequence, codec: Codec) -> Buf {
        assert!(self.count > 0, "an empty batch is never sent");
        self.buf.set_len(self.at);
        if codec != Codec::None {
            let packed = compress(codec, &self.buf[BATCH_HEADER_BYTES..self.at], None)
                .expect("packing what is in memory does not fail");
            self.at = BATCH_HEADER_BYTES + packed.len();
            self.buf = Buf::with_capacity(self.at);
            self.buf.extend_from_slice(&[0; BATCH_HEADER_BYTES]);
            self.buf.extend_from_slice(&packed);
        }
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            size: self.at,
            leader_epoch: LeaderEpoch::NONE,
            crc: 0,
            attributes: BatchHeader::attribute_bits(codec, TimestampType::CreateTime, false, false),
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: ProducerId(sequence.producer_id),
            producer_epoch: ProducerEpoch(sequence.producer_epoch),
            base_sequence: sequence.base_sequence,
            records_count: self.count,
        };
        write_header(&mut self.buf, &header);
        self.buf
    }
}

/// Gives a sealed batch another producer or sequence.
pub fn restamp(batch: &mut [u8], sequence: Sequence) {
    let mut header = BatchHeader::parse(batch).expect("a batch that this module sealed");
    header.producer_id = ProducerId(sequence.producer_id);
    header.producer_epoch = ProducerEpoch(sequence.producer_epoch);
    header.base_sequence = sequence.base_sequence;
    write_header(batch, &header);
}

fn write_header(batch: &mut [u8], header: &BatchHeader) {
    batch[..BATCH_HEADER_BYTES].copy_from_slice(&header.encode());
    let crc = crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}

/// Writes into bytes whose length is right.
struct Cursor<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.at] = byte;
        self.at += 1;
    }

    #[inline(always)]
    fn slice(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    #[inline(always)]
    fn varint(&mut self, value: i32) {
        self.raw(u64::from(((value << 1) ^ (value >> 31)) as u32));
    }

    #[inline(always)]
    fn varlong(&mut self, value: i64) {
        self.raw(((value << 1) ^ (value >> 63)) as u64);
    }

    #[inline(always)]
    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringlog_engine::batch::{AppendRules, BatchBuilder, RecordFields, validate_for_append};
    use ringlog_engine::stdx::prng::Prng;

    const RULES: AppendRules = AppendRules {
        batch_bytes_max: 64 << 20,
        compacted: false,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: i64::MAX,
        allow_control: false,
    };
    const SEQUENCE: Sequence =
        Sequence { producer_id: 4711, producer_epoch: 3, base_sequence: 1_000_000 };

    #[test]
    fn the_bytes_are_those_of_the_engines_builder_and_valid() {
        for seed in 0..200 {
            let mut prng = Prng::new(seed);
            let mut writer = BatchWriter::new(prng.between(70, 40_000) as usize, 0);
            let mut builder = BatchBuilder::default();
            builder.producer = Some((ProducerId(4711), ProducerEpoch(3), 1_000_000));
            let mut timestamp = 1_700_000_000_000;
            loop {
                let mut value = vec![0; prng.below(300) as usize];
                prng.fill(&mut value);
                let key = prng.chance(1, 2).then(|| value[..value.len() / 3].to_vec());
                timestamp += prng.below(200) as i64 - 60;
                if writer.records() == 0 {
                    let first = size_with_one_record(key.as_deref(), &value);
                    writer = BatchWriter::new(writer.limit, first);
                }
                if !writer.append(timestamp, key.as_deref(), &value) || prng.chance(1, 400) {
                    break;
                }
                let fields =
                    RecordFields { key: key.as_deref(), value: Some(&value), headers: &[] };
                builder.append(timestamp, &fields);
                assert_eq!(writer.size(), builder.size());
            }
            if writer.records() as usize != builder.len() {
                continue;
            }
            let mut sealed = writer.seal(SEQUENCE, Codec::None);
            let built = builder.build().expect("uncompressed");
            assert_eq!(sealed[..], built[..], "seed {seed}");
            validate_for_append(&mut sealed, &RULES, timestamp).expect("valid");
        }
    }

    #[test]
    fn a_batch_is_as_full_as_kafkas() {
        let value = [b'x'; 100];
        let mut writer = BatchWriter::new(16_384, size_with_one_record(None, &value));
        while writer.append(5, None, &value) {}
        // 109 bytes a record up to offset delta 63, 110 from there.
        assert_eq!((writer.records(), writer.size()), (148, 61 + 64 * 109 + 84 * 110));
        assert!(!writer.is_full());
        let huge = vec![b'y'; 20_000];
        let mut writer = BatchWriter::new(16_384, size_with_one_record(None, &huge));
        assert!(writer.append(5, None, &huge), "the first record always fits");
        assert!(!writer.append(5, None, &huge));
        assert_eq!(writer.seal(Sequence::NONE, Codec::None).len(), 61 + 20_000 + 11);
    }

    #[test]
    fn a_batch_can_change_its_producer() {
        let mut writer = BatchWriter::new(1000, 0);
        assert!(writer.append(5, Some(b"k"), b"v"));
        let mut batch = writer.seal(SEQUENCE, Codec::None);
        restamp(&mut batch, Sequence { base_sequence: 7, producer_epoch: 4, ..SEQUENCE });
        let validated = validate_for_append(&mut batch, &RULES, 5).expect("valid").header;
        assert_eq!((validated.base_sequence, validated.producer_epoch.0), (7, 4));
    }
}

//! Building batches: control records, metadata records, load generators, tests.

use super::codec::{Codec, CodecError, compress};
use super::header::{BATCH_HEADER_BYTES, BatchHeader, TimestampType, write_crc};
use crate::stdx::varint::{varint_len, varlong_len, write_varint, write_varlong};
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// What a record to be appended holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordFields<'a> {
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// The value, if any.
    pub value: Option<&'a [u8]>,
    /// Name and content of the headers.
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

/// Collects records into one batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    bytes: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Epoch of the leader.
    pub leader_epoch: LeaderEpoch,
    /// Compression of the records.
    pub codec: Codec,
    /// The idempotent producer: id, epoch and first sequence.
    pub producer: Option<(ProducerId, ProducerEpoch, i32)>,
    /// Part of a transaction.
    pub transactional: bool,
    /// Holds control records.
    pub control: bool,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::with_buffer(Vec::new())
    }
}

impl BatchBuilder {
    /// A builder that reuses the memory of `bytes`.
    pub fn with_buffer(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.resize(BATCH_HEADER_BYTES, 0);
        Self {
            bytes,
            count: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            codec: Codec::None,
            producer: None,
            transactional: false,
            control: false,
        }
    }

    /// Records so far.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Size of the batch so far, before compression.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// What a record would add at most.
    pub fn record_size_max(fields: &RecordFields<'_>) -> usize {
        let part = |bytes: Option<&[u8]>| 5 + bytes.map_or(0, <[u8]>::len);
        let headers: usize = fields.headers.iter().map(|(k, v)| part(Some(k)) + part(*v)).sum();
        5 + 1 + 10 + 5 + part(fields.key) + part(fields.value) + 5 + headers
    }

    /// Appends a record.
    pub fn append(&mut self, timestamp: i64, fields: &RecordFields<'_>) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let timestamp_delta = timestamp - self.base_timestamp;
        let part = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => varint_len(bytes.len() as i32) + bytes.len(),
            None => 1,
        };
        let headers: usize = fields.headers.iter().map(|(k, v)| part(Some(k)) + part(*v)).sum();
        let length = 1
            + varlong_len(timestamp_delta)
            + varint_len(self.count)
            + part(fields.key)
            + part(fields.value)
            + varint_len(fields.headers.len() as i32)
            + headers;
        let out = &mut self.bytes;
        write_varint(out, length as i32);
        out.push(0);
        write_varlong(out, timestamp_delta);
        write_varint(out, self.count);
        write_part(out, fields.key);
        write_part(out, fields.value);
        write_varint(out, fields.headers.len() as i32);
        for (key, value) in fields.headers {
            write_part(out, Some(key));
            write_part(out, *value);
        }
        self.count += 1;
    }

    /// The finished batch.
    pub fn build(mut self) -> Result<Vec<u8>, CodecError> {
        if self.codec != Codec::None {
            let packed = compress(self.codec, &self.bytes[BATCH_HEADER_BYTES..], None)?;
            self.bytes.truncate(BATCH_HEADER_BYTES);
            self.bytes.extend_from_slice(&packed);
        }
        let (producer_id, producer_epoch, base_sequence) =
            self.producer.unwrap_or((ProducerId::NONE, ProducerEpoch(-1), -1));
        let create_time = TimestampType::CreateTime;
        let header = BatchHeader {
            base_offset: self.base_offset,
            size: self.bytes.len(),
            leader_epoch: self.leader_epoch,
            crc: 0,
            attributes: BatchHeader::attribute_bits(
                self.codec,
                create_time,
                self.transactional,
                self.control,
            ),
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            records_count: self.count,
        };
        self.bytes[..BATCH_HEADER_BYTES].copy_from_slice(&header.encode());
        write_crc(&mut self.bytes);
        Ok(self.bytes)
    }
}

fn write_part(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            write_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
        None => write_varint(out, -1),
    }
}

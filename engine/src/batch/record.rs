//! Records inside a batch.

use std::borrow::Cow;

use thiserror::Error;

use super::codec::{Codec, CodecError, decompress};
use super::header::{BATCH_HEADER_BYTES, BatchHeader};
use crate::stdx::varint::{read_varint, read_varlong};
use crate::types::Offset;

/// A record's structure is broken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("record {index}: {fault}")]
pub struct RecordError {
    /// Position in the batch.
    pub index: i32,
    /// What is wrong with it.
    pub fault: &'static str,
}

/// A record header (KIP-82). Keys may repeat, and their order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Name.
    pub key: &'a [u8],
    /// Content.
    pub value: Option<&'a [u8]>,
}

/// A record, borrowed from its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Position in the partition.
    pub offset: Offset,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    headers: &'a [u8],
    headers_count: i32,
    /// Everything from the key's length on, as it is stored.
    fields: &'a [u8],
}

impl<'a> Record<'a> {
    /// Key, value and headers as they are stored.
    pub(super) fn raw_fields(&self) -> &'a [u8] {
        self.fields
    }

    /// The record's headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> {
        let (bytes, mut at) = (self.headers, 0);
        (0..self.headers_count).map(move |_| {
            // Walked once already, when the record was made.
            let key = take(bytes, &mut at).ok().flatten().unwrap_or_default();
            Header { key, value: take(bytes, &mut at).ok().flatten() }
        })
    }
}

/// Bytes with a varint length before them; -1 is none.
fn take<'a>(bytes: &'a [u8], at: &mut usize) -> Result<Option<&'a [u8]>, &'static str> {
    let length = read_varint(bytes, at).map_err(|_| "its bytes end inside a length")?;
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| "a length is negative")?;
    let found = bytes.get(*at..*at + length).ok_or("its bytes end inside a field")?;
    *at += length;
    Ok(Some(found))
}

/// What [`records`] reads of a whole batch: its records, unpacked to at most `bytes_max` bytes.
pub fn unpack<'a>(
    header: &BatchHeader,
    batch: &'a [u8],
    bytes_max: u64,
) -> Result<Cow<'a, [u8]>, CodecError> {
    let packed = &batch[BATCH_HEADER_BYTES..header.size];
    let codec = header.codec().ok_or(CodecError::Unknown(header.attributes))?;
    // A batch that was emptied has nothing to unpack, whatever its bits say.
    if codec == Codec::None || header.records_count == 0 {
        return Ok(Cow::Borrowed(packed));
    }
    decompress(codec, packed, bytes_max).map(Cow::Owned)
}

/// The records of a batch whose records are `unpacked`.
pub fn records<'a>(header: &BatchHeader, unpacked: &'a [u8]) -> RecordIter<'a> {
    RecordIter { header: *header, bytes: unpacked, at: 0, index: 0 }
}

/// Iterates over a batch's records; ends after the first error.
pub struct RecordIter<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
    at: usize,
    index: i32,
}

impl<'a> RecordIter<'a> {
    fn parse(&mut self) -> Result<Record<'a>, &'static str> {
        let cut = "its bytes end inside a number";
        let length = read_varint(self.bytes, &mut self.at).map_err(|_| cut)?;
        let length = usize::try_from(length).map_err(|_| "its length is negative")?;
        let body = self.bytes.get(self.at..self.at + length).ok_or("it is cut off")?;
        self.at += length;
        let mut at = 1; // the attributes, unused
        let timestamp_delta = read_varlong(body, &mut at).map_err(|_| cut)?;
        let offset_delta = read_varint(body, &mut at).map_err(|_| cut)?;
        let fields = body.get(at..).unwrap_or_default();
        let key = take(body, &mut at)?;
        let value = take(body, &mut at)?;
        let headers_count = read_varint(body, &mut at).map_err(|_| cut)?;
        if headers_count < 0 {
            return Err("its header count is negative");
        }
        let headers = &body[at..];
        for _ in 0..headers_count {
            take(body, &mut at)?.ok_or("a header has no key")?;
            take(body, &mut at)?;
        }
        if at != body.len() {
            return Err("its length is not that of its fields");
        }
        let timestamp = match self.header.timestamp_type() {
            super::TimestampType::LogAppendTime => self.header.max_timestamp,
            super::TimestampType::CreateTime => {
                self.header.base_timestamp.wrapping_add(timestamp_delta)
            }
        };
        let offset = self.header.base_offset.plus(i64::from(offset_delta));
        Ok(Record { offset, timestamp, key, value, headers, headers_count, fields })
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.header.records_count {
            return None;
        }
        let index = self.index;
        self.index += 1;
        let record = self.parse().map_err(|fault| RecordError { index, fault });
        if record.is_err() {
            self.index = i32::MAX;
        }
        Some(record)
    }
}

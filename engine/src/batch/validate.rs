//! Validation: everything a leader checks before it appends a batch, in one pass over its bytes
//! (Kafka's `ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords` and
//! `LogValidator`), and what is checked before stored bytes are trusted again.

use std::io::Read;

use thiserror::Error;

use super::codec::{Codec, UNCOMPRESSED_BATCH_BYTES_MAX, decompressor};
use super::header::{BATCH_HEADER_BYTES, BatchHeader, HeaderError, TimestampType, restamp_time};
use crate::stdx::varint::{VarintError, read_varint, read_varlong, short_varint};
use crate::types::Offset;

/// Faulty records that an answer names; the rest of a bad batch is not looked at.
pub const RECORD_ERRORS_MAX: usize = 1000;

/// What a topic demands of its batches.
#[derive(Clone, Copy, Debug)]
pub struct AppendRules {
    /// Largest batch, in bytes.
    pub batch_bytes_max: usize,
    /// Every record needs a key.
    pub compacted: bool,
    /// Whose clock stamps the records.
    pub timestamp_type: TimestampType,
    /// How far in the past a record's timestamp may lie.
    pub timestamp_before_max_ms: i64,
    /// How far in the future.
    pub timestamp_after_max_ms: i64,
    /// Control batches are refused from clients.
    pub allow_control: bool,
}

/// A record that is well formed and still not acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// A compacted topic needs a key.
    NoKey,
    /// Outside the allowed time.
    Timestamp(i64),
    /// A client may not claim the leader's clock.
    LogAppendTimeClaimed,
}

/// Why a batch is refused. Nothing of it is stored.
#[derive(Debug, Error)]
pub enum BatchError {
    /// No batch, or half of one.
    #[error("there is no whole record batch")]
    Missing,
    /// Not a batch at all.
    #[error("the batch's header is corrupt: {0}")]
    CorruptHeader(HeaderError),
    /// An older format.
    #[error("record batches with magic {0} are not allowed")]
    Magic(i8),
    /// More than one.
    #[error("more than one record batch")]
    Several,
    /// The bytes are not those the producer sent.
    #[error("CRC is {computed:#010x}, the batch says {stored:#010x}")]
    Crc {
        /// In the header.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// Too large for the topic.
    #[error("the batch has {size} bytes, {max} are allowed")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The bound.
        max: u64,
    },
    /// A field that contradicts another, or the records.
    #[error("{0}")]
    Invalid(String),
    /// A codec number that names none.
    #[error("unknown compression codec {0}")]
    UnknownCodec(u16),
    /// The compressed records do not unpack.
    #[error("{0}")]
    Corrupt(String),
    /// Records that break the topic's rules, by their index; `time` if any breaks a time bound.
    #[error("{} records are not acceptable", .faults.len())]
    Records {
        /// Index and fault.
        faults: Vec<(i32, RecordFault)>,
    },
}

/// What validation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// The header, as the batch will be stored but for its place in the log.
    pub header: BatchHeader,
}

fn invalid(what: impl Into<String>) -> BatchError {
    BatchError::Invalid(what.into())
}

/// Checks the one batch that `bytes` holds, and sets timestamp type and max timestamp as the rules
/// say. `now_ms` is the leader's clock. Bytes after the batch that are too few for another are
/// ignored, as Kafka does; the header's `size` says where the batch ends.
pub fn validate_for_append(
    bytes: &mut [u8],
    rules: &AppendRules,
    now_ms: i64,
) -> Result<Validated, BatchError> {
    let (mut header, _) = BatchHeader::parse_whole(bytes).map_err(header_error)?;
    check_size(&header, bytes.len(), rules)?;
    let batch = &mut bytes[..header.size];
    check_header(&header, rules)?;
    if !header.crc_is_valid(batch) {
        let computed = super::header::crc32c(&batch[21..]);
        return Err(BatchError::Crc { stored: header.crc, computed });
    }
    let codec = header.codec().ok_or(BatchError::UnknownCodec(header.attributes & 7))?;
    let packed = &batch[BATCH_HEADER_BYTES..];
    let mut checker = RecordChecker::new(&header, rules, now_ms);
    if codec == Codec::None {
        checker.check_slice(packed)?;
    } else {
        checker.check_stream(codec, packed)?;
    }
    let max_timestamp = checker.finish()?;
    let wanted_max = match rules.timestamp_type {
        TimestampType::CreateTime => max_timestamp,
        TimestampType::LogAppendTime => now_ms,
    };
    if header.timestamp_type() != rules.timestamp_type || header.max_timestamp != wanted_max {
        restamp_time(batch, rules.timestamp_type, wanted_max);
        header = BatchHeader::parse(batch).map_err(header_error)?;
    }
    Ok(Validated { header })
}

fn header_error(error: HeaderError) -> BatchError {
    match error {
        HeaderError::Truncated { .. } => BatchError::Missing,
        HeaderError::Magic(magic @ (0 | 1)) => BatchError::Magic(magic),
        HeaderError::Magic(_) | HeaderError::Length(_) => BatchError::CorruptHeader(error),
    }
}

fn check_size(header: &BatchHeader, given: usize, rules: &AppendRules) -> Result<(), BatchError> {
    if given - header.size >= BATCH_HEADER_BYTES {
        return Err(BatchError::Several);
    }
    if header.size > rules.batch_bytes_max {
        let (size, max) = (header.size as u64, rules.batch_bytes_max as u64);
        return Err(BatchError::TooLarge { size, max });
    }
    Ok(())
}

fn check_header(header: &BatchHeader, rules: &AppendRules) -> Result<(), BatchError> {
    if header.base_offset.0 != 0 {
        return Err(invalid(format!("the base offset is {}, not 0", header.base_offset)));
    }
    if header.records_count <= 0 {
        return Err(invalid(format!("the record count is {}", header.records_count)));
    }
    if header.last_offset_delta != header.records_count - 1 {
        return Err(invalid(format!(
            "{} records do not end at offset delta {}",
            header.records_count, header.last_offset_delta
        )));
    }
    if header.is_control() && !rules.allow_control {
        return Err(invalid("clients are not allowed to write control records"));
    }
    if header.producer_id.0 >= 0 && header.base_sequence < 0 && !header.is_control() {
        let (sequence, producer) = (header.base_sequence, header.producer_id);
        return Err(invalid(format!("sequence {sequence} of producer {producer}")));
    }
    Ok(())
}

/// Walks records, collecting what breaks the rules.
struct RecordChecker<'r> {
    header: &'r BatchHeader,
    rules: &'r AppendRules,
    /// Bounds outside which a timestamp is refused.
    timestamp_min: i64,
    timestamp_max: i64,
    max_timestamp: i64,
    faults: Vec<(i32, RecordFault)>,
}

/// The fields of a record that the rules look at.
struct Walked {
    timestamp_delta: i64,
    has_key: bool,
}

impl<'r> RecordChecker<'r> {
    fn new(header: &'r BatchHeader, rules: &'r AppendRules, now_ms: i64) -> Self {
        Self {
            header,
            rules,
            timestamp_min: now_ms.saturating_sub(rules.timestamp_before_max_ms),
            timestamp_max: now_ms.saturating_add(rules.timestamp_after_max_ms),
            max_timestamp: -1,
            faults: Vec::new(),
        }
    }

    fn check_slice(&mut self, bytes: &[u8]) -> Result<(), BatchError> {
        let mut at = 0;
        for index in 0..self.header.records_count {
            let walked = match walk_plain(bytes, &mut at, index) {
                Some(walked) => walked,
                None => walk_record(bytes, &mut at, index)
                    .map_err(|fault| invalid(format!("record {index}: {fault}")))?,
            };
            self.judge(index, &walked);
        }
        if at != bytes.len() {
            return Err(invalid("bytes remain after the last record"));
        }
        Ok(())
    }

    fn check_stream(&mut self, codec: Codec, packed: &[u8]) -> Result<(), BatchError> {
        let corrupt = |e: String| BatchError::Corrupt(e);
        let reader = decompressor(codec, packed).map_err(|e| corrupt(e.to_string()))?;
        let mut records = RecordStream::new(reader);
        for index in 0..self.header.records_count {
            let walked = records.walk(index).map_err(|e| stream_error(index, e))?;
            self.judge(index, &walked);
        }
        match records.is_at_end() {
            Ok(true) => Ok(()),
            Ok(false) => Err(invalid("bytes remain after the last record")),
            Err(e) => Err(stream_error(self.header.records_count, e)),
        }
    }

    #[inline]
    fn judge(&mut self, index: i32, walked: &Walked) {
        let timestamp = self.header.base_timestamp.wrapping_add(walked.timestamp_delta);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        if self.rules.compacted && !walked.has_key {
            self.fault(index, RecordFault::NoKey);
        } else if self.rules.timestamp_type == TimestampType::CreateTime && timestamp != -1 {
            // One that does not fit 64 bits is outside of any bounds, whatever it wraps to.
            let exact = self.header.base_timestamp.checked_add(walked.timestamp_delta);
            if !exact.is_some_and(|at| (self.timestamp_min..=self.timestamp_max).contains(&at)) {
                self.fault(index, RecordFault::Timestamp(timestamp));
            }
        } else if self.header.timestamp_type() == TimestampType::LogAppendTime {
            self.fault(index, RecordFault::LogAppendTimeClaimed);
        }
    }

    #[cold]
    fn fault(&mut self, index: i32, fault: RecordFault) {
        if self.faults.len() < RECORD_ERRORS_MAX {
            self.faults.push((index, fault));
        }
    }

    fn finish(self) -> Result<i64, BatchError> {
        if self.faults.is_empty() {
            return Ok(self.max_timestamp);
        }
        Err(BatchError::Records { faults: self.faults })
    }
}

fn bad_number(error: VarintError) -> &'static str {
    match error {
        VarintError::Truncated => "its bytes end inside a number",
        VarintError::TooLong => "a number does not end",
    }
}

/// Walks the record at `*at` if it is as nearly all are: sound, numbers of three bytes at most, no
/// headers, and not the last few bytes of the batch. Whatever it declines is [`walk_record`]'s.
#[inline(always)]
fn walk_plain(bytes: &[u8], at: &mut usize, index: i32) -> Option<Walked> {
    let (length, _, after) = plain_varint(bytes, *at)?;
    let end = after + usize::try_from(length).ok()?;
    let (timestamp_delta, _, after) = plain_varint(bytes, after + 1)?;
    let (offset_delta, rest, after) = plain_varint(bytes, after)?;
    let (key, after) = short_varint(rest, after)?;
    let (value, _, after) = plain_varint(bytes, after + usize::try_from(key.max(0)).ok()?)?;
    let headers = after + usize::try_from(value.max(0)).ok()?;
    let sound = offset_delta == index && key >= -1 && value >= -1 && headers + 1 == end;
    if !sound || *bytes.get(headers)? != 0 {
        return None;
    }
    *at = end;
    Some(Walked { timestamp_delta: i64::from(timestamp_delta), has_key: key >= 0 })
}

/// The number at `at`, the bytes behind it, and where they are.
#[inline(always)]
fn plain_varint(bytes: &[u8], at: usize) -> Option<(i32, u64, usize)> {
    let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    let (value, after) = short_varint(word, at)?;
    Some((value, word >> (8 * (after - at)), after))
}

/// Walks the record at `*at`, the `index`th of its batch.
#[inline]
fn walk_record(bytes: &[u8], at: &mut usize, index: i32) -> Result<Walked, &'static str> {
    let length = read_varint(bytes, at).map_err(bad_number)?;
    let length = usize::try_from(length).map_err(|_| "its length is negative")?;
    let start = *at;
    let body = bytes.get(start..start + length).ok_or("it is cut off")?;
    *at = start + length;
    walk_body(body, index)
}

#[inline]
fn walk_body(body: &[u8], index: i32) -> Result<Walked, &'static str> {
    if body.is_empty() {
        return Err("it has no attributes");
    }
    let mut at = 1;
    let timestamp_delta = read_varlong(body, &mut at).map_err(bad_number)?;
    let offset_delta = read_varint(body, &mut at).map_err(bad_number)?;
    if offset_delta != index {
        return Err("its offset delta is not its index");
    }
    let key = read_varint(body, &mut at).map_err(bad_number)?;
    skip(body, &mut at, key)?;
    let value = read_varint(body, &mut at).map_err(bad_number)?;
    skip(body, &mut at, value)?;
    // No headers, as nearly always: the last byte, too close to the end for the quick reads.
    if body.get(at..) != Some(&[0]) {
        let headers = read_varint(body, &mut at).map_err(bad_number)?;
        walk_headers(body, &mut at, headers)?;
        if at != body.len() {
            return Err("its length is not that of its fields");
        }
    }
    Ok(Walked { timestamp_delta, has_key: key >= 0 })
}

fn walk_headers(body: &[u8], at: &mut usize, count: i32) -> Result<(), &'static str> {
    // Each header takes two bytes at least, so a huge count fails at the end of the bytes.
    if count < 0 {
        return Err("its header count is negative");
    }
    for _ in 0..count {
        let key = read_varint(body, at).map_err(bad_number)?;
        if key < 0 {
            return Err("a header has no key");
        }
        skip(body, at, key)?;
        let value = read_varint(body, at).map_err(bad_number)?;
        skip(body, at, value)?;
    }
    Ok(())
}

#[inline]
fn skip(body: &[u8], at: &mut usize, length: i32) -> Result<(), &'static str> {
    if length > 0 {
        *at += length as usize;
        if *at > body.len() {
            return Err("its bytes end inside a field");
        }
    } else if length < -1 {
        return Err("a length is negative");
    }
    Ok(())
}

enum StreamError {
    Codec(std::io::Error),
    TooLarge,
    Fault(&'static str),
}

fn stream_error(index: i32, error: StreamError) -> BatchError {
    match error {
        StreamError::Codec(error) => BatchError::Corrupt(format!("record {index}: {error}")),
        StreamError::TooLarge => {
            let max = UNCOMPRESSED_BATCH_BYTES_MAX;
            BatchError::TooLarge { size: max + 1, max }
        }
        StreamError::Fault(fault) => invalid(format!("record {index}: {fault}")),
    }
}

/// Walks records as they are unpacked, holding one window of bytes and never a whole bomb.
struct RecordStream<'a> {
    reader: Box<dyn Read + 'a>,
    window: Vec<u8>,
    start: usize,
    end: usize,
    total: u64,
    finished: bool,
}

const WINDOW_BYTES: usize = 64 << 10;
const VARINT_BYTES_MAX: usize = 10;

impl<'a> RecordStream<'a> {
    fn new(reader: Box<dyn Read + 'a>) -> Self {
        let window = vec![0; WINDOW_BYTES];
        Self { reader, window, start: 0, end: 0, total: 0, finished: false }
    }

    /// Makes at least `want` bytes available, at most a window of them, if there are so many.
    fn fill(&mut self, want: usize) -> Result<usize, StreamError> {
        debug_assert!(want <= WINDOW_BYTES, "a window of {want} bytes");
        if self.end - self.start >= want {
            return Ok(self.end - self.start);
        }
        self.window.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < want && !self.finished {
            let end = self.window.len();
            let count =
                self.reader.read(&mut self.window[self.end..end]).map_err(StreamError::Codec)?;
            self.finished = count == 0;
            self.end += count;
            self.total += count as u64;
            if self.total > UNCOMPRESSED_BATCH_BYTES_MAX {
                return Err(StreamError::TooLarge);
            }
        }
        Ok(self.end - self.start)
    }

    fn walk(&mut self, index: i32) -> Result<Walked, StreamError> {
        self.fill(5)?;
        let mut at = 0;
        let length = read_varint(&self.window[self.start..self.end], &mut at)
            .map_err(|e| StreamError::Fault(bad_number(e)))?;
        let length =
            usize::try_from(length).map_err(|_| StreamError::Fault("its length is negative"))?;
        if at + length > WINDOW_BYTES {
            self.start += at;
            return self.walk_large(length, index);
        }
        if self.fill(at + length)? < at + length {
            return Err(StreamError::Fault("it is cut off"));
        }
        let from = self.start + at;
        let walked = walk_body(&self.window[from..from + length], index);
        self.start = from + length;
        walked.map_err(StreamError::Fault)
    }

    /// Walks a record that is larger than the window, in pieces: a small batch may unpack to one
    /// record of all that is allowed.
    fn walk_large(&mut self, length: usize, index: i32) -> Result<Walked, StreamError> {
        let mut left = length;
        self.skip(&mut left, 1)?;
        let timestamp_delta = self.number(&mut left, read_varlong)?;
        if self.number(&mut left, read_varint)? != index {
            return Err(StreamError::Fault("its offset delta is not its index"));
        }
        let key = self.number(&mut left, read_varint)?;
        self.skip(&mut left, key)?;
        let value = self.number(&mut left, read_varint)?;
        self.skip(&mut left, value)?;
        let headers = self.number(&mut left, read_varint)?;
        if headers < 0 {
            return Err(StreamError::Fault("its header count is negative"));
        }
        for _ in 0..headers {
            let key = self.number(&mut left, read_varint)?;
            if key < 0 {
                return Err(StreamError::Fault("a header has no key"));
            }
            self.skip(&mut left, key)?;
            let value = self.number(&mut left, read_varint)?;
            self.skip(&mut left, value)?;
        }
        match left {
            0 => Ok(Walked { timestamp_delta, has_key: key >= 0 }),
            _ => Err(StreamError::Fault("its length is not that of its fields")),
        }
    }

    fn number<T>(
        &mut self,
        left: &mut usize,
        read: fn(&[u8], &mut usize) -> Result<T, VarintError>,
    ) -> Result<T, StreamError> {
        let there = self.fill(VARINT_BYTES_MAX.min(*left))?.min(*left);
        let mut at = 0;
        let number = read(&self.window[self.start..self.start + there], &mut at)
            .map_err(|e| StreamError::Fault(bad_number(e)))?;
        self.start += at;
        *left -= at;
        Ok(number)
    }

    fn skip(&mut self, left: &mut usize, length: i32) -> Result<(), StreamError> {
        if length < -1 {
            return Err(StreamError::Fault("a length is negative"));
        }
        let mut length = length.max(0) as usize;
        *left =
            left.checked_sub(length).ok_or(StreamError::Fault("its bytes end inside a field"))?;
        while length > 0 {
            let part = self.fill(length.min(WINDOW_BYTES))?.min(length);
            if part == 0 {
                return Err(StreamError::Fault("it is cut off"));
            }
            self.start += part;
            length -= part;
        }
        Ok(())
    }

    fn is_at_end(&mut self) -> Result<bool, StreamError> {
        Ok(self.fill(1)? == 0)
    }
}

/// Checks a batch that a log holds or a leader sent: whole, intact, and its header in itself
/// consistent. Its records are trusted to the CRC.
pub fn validate_stored(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let (header, batch) = BatchHeader::parse_whole(bytes).map_err(header_error)?;
    if !header.crc_is_valid(batch) {
        let computed = super::header::crc32c(&batch[21..]);
        return Err(BatchError::Crc { stored: header.crc, computed });
    }
    let counts = header.last_offset_delta < 0 || header.records_count < 0;
    if counts || !(Offset::ZERO..Offset::LIMIT).contains(&header.base_offset) {
        return Err(invalid(format!("header {header:?}")));
    }
    Ok(header)
}

#[cfg(test)]
mod tests;

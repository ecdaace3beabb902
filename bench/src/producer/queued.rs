//! [`Batch`]: a record batch on its way, and when its records were meant to be sent.
//!
//! Latency is counted per record without a clock reading per record: records that follow each
//! other at a fixed step share one [`Mark`]. In a closed loop the step is 0 (a small group of
//! records shares one reading of the clock); in an open loop it is the interval of the schedule, so
//! that every record has its own intended time.

use std::sync::Arc;

use ringlog_engine::batch::Codec;
use ringlog_engine::io::{Buf, Mono};

use super::batch::{BatchWriter, Sequence, restamp};

/// How far a record's time may lie from where its mark puts it.
const MARK_TOLERANCE_NS: u64 = 16;

/// When a record counts as sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// On the monotonic clock, in nanoseconds: the intended time in an open loop.
    pub at_ns: u64,
    /// Nanoseconds to the next record's time.
    pub step_ns: u64,
    /// The record's timestamp, in milliseconds since 1970.
    pub unix_ms: i64,
}

/// Consecutive records at a fixed step in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Time of the first.
    pub at_ns: u64,
    /// From each to the next.
    pub step_ns: u64,
    /// How many.
    pub count: u32,
}

#[derive(Debug)]
enum Bytes {
    Open(BatchWriter),
    Sealed(Arc<Buf>),
    Gone,
}

/// A record batch between its first record and its acknowledgement.
#[derive(Debug)]
pub struct Batch {
    /// The partition's index.
    pub partition: usize,
    /// When its first record was appended.
    pub created: Mono,
    /// When it was created, or failed last.
    pub last_attempt: Mono,
    /// When it was taken out to be sent.
    pub drained: Mono,
    /// How often it failed.
    pub attempts: u32,
    /// Bytes of `buffer.memory` it holds.
    pub memory: usize,
    /// Assigned when it is first sent.
    pub sequence: Option<Sequence>,
    /// What the sealed bytes say.
    stamped: Option<Sequence>,
    bytes: Bytes,
    records: u32,
    marks: Vec<Mark>,
}

impl Batch {
    /// An empty batch; `spare` is one whose memory can be used again.
    pub fn new(
        partition: usize,
        now: Mono,
        batch_size: usize,
        first_record_max: usize,
        spare: Option<Batch>,
    ) -> Batch {
        let writer = BatchWriter::new(batch_size, first_record_max);
        Batch {
            partition,
            created: now,
            last_attempt: now,
            drained: now,
            attempts: 0,
            memory: batch_size.max(first_record_max),
            sequence: None,
            stamped: None,
            bytes: Bytes::Open(writer),
            records: 0,
            marks: spare.map(|batch| batch.marks).unwrap_or_default(),
        }
    }

    /// Appends a record; the bytes it took (with the header, for the first), or `None` if there is
    /// no room.
    #[inline]
    pub fn append(&mut self, stamp: &Stamp, key: Option<&[u8]>, value: &[u8]) -> Option<usize> {
        let Bytes::Open(writer) = &mut self.bytes else { return None };
        let before = if writer.records() == 0 { 0 } else { writer.size() };
        if !writer.append(stamp.unix_ms, key, value) {
            return None;
        }
        let bytes = writer.size() - before;
        self.records += 1;
        self.mark(stamp);
        Some(bytes)
    }

    #[inline]
    fn mark(&mut self, stamp: &Stamp) {
        if let Some(last) = self.marks.last_mut() {
            let expected = last.at_ns + last.step_ns * u64::from(last.count);
            let fits = last.step_ns == stamp.step_ns
                && expected.abs_diff(stamp.at_ns) <= MARK_TOLERANCE_NS;
            if fits {
                last.count += 1;
                return;
            }
        }
        self.marks.push(Mark { at_ns: stamp.at_ns, step_ns: stamp.step_ns, count: 1 });
    }

    /// Records in it.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Its bytes on the wire, or those so far.
    pub fn size(&self) -> usize {
        match &self.bytes {
            Bytes::Open(writer) => writer.size(),
            Bytes::Sealed(buf) => buf.len(),
            Bytes::Gone => 0,
        }
    }

    /// Whether it takes no more, by its size or because it was sealed.
    pub fn is_full(&self) -> bool {
        match &self.bytes {
            Bytes::Open(writer) => writer.is_full(),
            Bytes::Sealed(_) | Bytes::Gone => true,
        }
    }

    /// When its records were meant to be sent.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Finishes the bytes for the sequence it has.
    pub fn seal(&mut self, codec: Codec) {
        let sequence = self.sequence.unwrap_or(Sequence::NONE);
        match std::mem::replace(&mut self.bytes, Bytes::Gone) {
            Bytes::Open(writer) => {
                self.bytes = Bytes::Sealed(Arc::new(writer.seal(sequence, codec)))
            }
            Bytes::Sealed(buf) if self.stamped == Some(sequence) => {
                self.bytes = Bytes::Sealed(buf);
            }
            Bytes::Sealed(buf) => {
                // A send that was given up may still hold the old bytes.
                let mut buf = Arc::try_unwrap(buf).unwrap_or_else(|buf| Buf::copy_of(&buf));
                restamp(&mut buf, sequence);
                self.bytes = Bytes::Sealed(Arc::new(buf));
            }
            Bytes::Gone => unreachable!("a batch that was released is not sent"),
        }
        self.stamped = Some(sequence);
    }

    /// The sealed bytes.
    pub fn sealed(&self) -> &Arc<Buf> {
        match &self.bytes {
            Bytes::Sealed(buf) => buf,
            _ => unreachable!("a batch is sealed before it is sent"),
        }
    }

    /// Gives the bytes back and forgets the records; what memory remains serves the next batch.
    pub fn clear(&mut self) {
        self.bytes = Bytes::Gone;
        self.marks.clear();
        self.records = 0;
    }
}

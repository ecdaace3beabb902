//! Produce, versions 3 to 13.

use ringlog_wire::{DecodeError, Layout, Reader, Uuid, Writer};

use crate::error_code::ErrorCode;

const FLEXIBLE_FROM: i16 = 9;
/// From here on topics go by id.
const TOPIC_IDS_FROM: i16 = 13;

/// A topic as the request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRef {
    /// Up to version 12.
    Name(String),
    /// From version 13 on.
    Id(Uuid),
}

/// One partition's records in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionRecords {
    /// Which topic of [`ProduceRequest::topics`].
    pub topic: usize,
    /// The partition.
    pub index: i32,
    /// Where the record bytes start, from the body's start.
    pub start: usize,
    /// How many; `None` for null.
    pub len: Option<usize>,
}

/// A Produce request: where in the frame everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceRequest {
    /// The transaction it belongs to.
    pub transactional_id: Option<String>,
    /// 0, 1 or -1.
    pub acks: i16,
    /// How long to wait for replicas.
    pub timeout_ms: i32,
    /// Topics in order.
    pub topics: Vec<TopicRef>,
    /// Partitions in order, all topics.
    pub partitions: Vec<PartitionRecords>,
}

fn count(r: &mut Reader<'_>, flexible: bool, min_bytes: usize) -> Result<usize, DecodeError> {
    let count = if flexible {
        match r.uvarint()? {
            0 => return Ok(0),
            n => n as usize - 1,
        }
    } else {
        usize::try_from(r.i32()?).unwrap_or(0)
    };
    if count > r.remaining() / min_bytes {
        return Err(DecodeError::Count { count, remaining_bytes: r.remaining() });
    }
    Ok(count)
}

impl ProduceRequest {
    /// Reads a request's body.
    pub fn parse(body: &[u8], version: i16) -> Result<ProduceRequest, DecodeError> {
        let flexible = version >= FLEXIBLE_FROM;
        let at = Layout { version, flexible };
        let mut r = Reader::new(body, body.len());
        let mut request = ProduceRequest {
            transactional_id: r.nullable_string(at)?,
            acks: r.i16()?,
            timeout_ms: r.i32()?,
            ..ProduceRequest::default()
        };
        for topic in 0..count(&mut r, flexible, 2)? {
            request.topics.push(if version >= TOPIC_IDS_FROM {
                TopicRef::Id(r.uuid()?)
            } else {
                TopicRef::Name(r.string(at)?)
            });
            for _ in 0..count(&mut r, flexible, 5)? {
                let index = r.i32()?;
                let length = if flexible {
                    r.uvarint()?.checked_sub(1).map(|n| n as usize)
                } else {
                    usize::try_from(r.i32()?).ok()
                };
                let start = r.position();
                r.skip(length.unwrap_or(0))?;
                request.partitions.push(PartitionRecords { topic, index, start, len: length });
                if flexible {
                    r.skip_tags()?;
                }
            }
            if flexible {
                r.skip_tags()?;
            }
        }
        if flexible {
            r.skip_tags()?;
        }
        Ok(request)
    }
}

/// What became of one partition's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOutcome {
    /// No error, or why not.
    pub error: ErrorCode,
    /// Offset of the first record, or -1.
    pub base_offset: i64,
    /// The time stamped on it, or -1.
    pub log_append_time_ms: i64,
    /// First offset of the log, or -1.
    pub log_start_offset: i64,
    /// Faulty records and what is wrong with them.
    pub record_errors: Vec<(i32, Option<String>)>,
    /// What is wrong, in words.
    pub message: Option<String>,
}

impl PartitionOutcome {
    /// A refusal.
    pub fn refused(error: ErrorCode, message: Option<String>) -> Self {
        Self {
            error,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: Vec::new(),
            message,
        }
    }
}

fn write_count(w: &mut Writer<'_>, flexible: bool, count: usize) {
    if flexible {
        w.uvarint(count as u32 + 1);
    } else {
        w.i32(count as i32);
    }
}

/// Appends the response's body: an outcome per partition of the request, in its order.
///
/// # Errors
/// If a name or message is longer than the wire allows.
pub fn write_response(
    out: &mut Vec<u8>,
    version: i16,
    request: &ProduceRequest,
    outcomes: &[PartitionOutcome],
) -> Result<(), ringlog_wire::EncodeError> {
    assert_eq!(outcomes.len(), request.partitions.len(), "an outcome per partition");
    let flexible = version >= FLEXIBLE_FROM;
    let at = Layout { version, flexible };
    let mut w = Writer::new(out);
    write_count(&mut w, flexible, request.topics.len());
    let mut next = 0;
    for (topic, reference) in request.topics.iter().enumerate() {
        match reference {
            TopicRef::Name(name) => w.string(at, name)?,
            TopicRef::Id(id) => w.uuid(*id),
        }
        let of_topic = request.partitions[next..].iter().take_while(|p| p.topic == topic).count();
        write_count(&mut w, flexible, of_topic);
        let range = next..next + of_topic;
        for (partition, outcome) in request.partitions[range.clone()].iter().zip(&outcomes[range]) {
            write_partition(&mut w, at, partition.index, outcome)?;
        }
        next += of_topic;
        if flexible {
            w.uvarint(0);
        }
    }
    w.i32(0);
    if flexible {
        w.uvarint(0);
    }
    Ok(())
}

fn write_partition(
    w: &mut Writer<'_>,
    at: Layout,
    index: i32,
    outcome: &PartitionOutcome,
) -> Result<(), ringlog_wire::EncodeError> {
    w.i32(index);
    w.i16(outcome.error.code());
    w.i64(outcome.base_offset);
    w.i64(outcome.log_append_time_ms);
    if at.version >= 5 {
        w.i64(outcome.log_start_offset);
    }
    if at.version >= 8 {
        write_count(w, at.flexible, outcome.record_errors.len());
        for (index, message) in &outcome.record_errors {
            w.i32(*index);
            w.nullable_string(at, message.as_deref())?;
            if at.flexible {
                w.uvarint(0);
            }
        }
        w.nullable_string(at, outcome.message.as_deref())?;
    }
    if at.flexible {
        w.uvarint(0);
    }
    Ok(())
}

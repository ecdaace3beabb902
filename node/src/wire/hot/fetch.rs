//! The response of Fetch, versions 4 to 18: its head in memory, record bytes by reference.

use ringlog_wire::{EncodeError, Layout, Uuid, Writer};

use crate::error_code::ErrorCode;

const FLEXIBLE_FROM: i16 = 12;
const TOPIC_IDS_FROM: i16 = 13;

/// One partition's answer but for its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionHead {
    /// The partition.
    pub index: i32,
    /// No error, or why not.
    pub error: ErrorCode,
    /// Up to here consumers may read, or -1.
    pub high_watermark: i64,
    /// Up to here read_committed consumers may read, or -1.
    pub last_stable_offset: i64,
    /// First offset of the log, or -1.
    pub log_start_offset: i64,
    /// Aborted transactions (producer id, first offset), for read_committed.
    pub aborted: Option<Vec<(i64, i64)>>,
    /// How many record bytes follow.
    pub records_len: usize,
}

/// Writes a Fetch response piece by piece; between the pieces the caller puts the records.
pub struct FetchWriter {
    at: Layout,
}

fn write_count(w: &mut Writer<'_>, flexible: bool, count: usize) {
    if flexible {
        w.uvarint(count as u32 + 1);
    } else {
        w.i32(count as i32);
    }
}

impl FetchWriter {
    /// A writer for a version.
    pub fn new(version: i16) -> Self {
        Self { at: Layout { version, flexible: version >= FLEXIBLE_FROM } }
    }

    /// Everything before the first topic.
    pub fn head(&self, out: &mut Vec<u8>, error: ErrorCode, session_id: i32, topics: usize) {
        let mut w = Writer::new(out);
        w.i32(0);
        if self.at.version >= 7 {
            w.i16(error.code());
            w.i32(session_id);
        }
        write_count(&mut w, self.at.flexible, topics);
    }

    /// A topic's head.
    ///
    /// # Errors
    /// If the name is longer than the wire allows.
    pub fn topic(
        &self,
        out: &mut Vec<u8>,
        name: &str,
        id: Uuid,
        partitions: usize,
    ) -> Result<(), EncodeError> {
        let mut w = Writer::new(out);
        if self.at.version >= TOPIC_IDS_FROM {
            w.uuid(id);
        } else {
            w.string(self.at, name)?;
        }
        write_count(&mut w, self.at.flexible, partitions);
        Ok(())
    }

    /// A partition up to its records, of which `head.records_len` bytes must follow.
    pub fn partition(&self, out: &mut Vec<u8>, head: &PartitionHead) {
        let Layout { version, flexible } = self.at;
        let mut w = Writer::new(out);
        w.i32(head.index);
        w.i16(head.error.code());
        w.i64(head.high_watermark);
        w.i64(head.last_stable_offset);
        if version >= 5 {
            w.i64(head.log_start_offset);
        }
        match &head.aborted {
            Some(aborted) => {
                write_count(&mut w, flexible, aborted.len());
                for (producer, first_offset) in aborted {
                    w.i64(*producer);
                    w.i64(*first_offset);
                    if flexible {
                        w.uvarint(0);
                    }
                }
            }
            None if flexible => w.uvarint(0),
            None => w.i32(-1),
        }
        if version >= 11 {
            // No preferred read replica.
            w.i32(-1);
        }
        if flexible {
            w.uvarint(head.records_len as u32 + 1);
        } else {
            w.i32(head.records_len as i32);
        }
    }

    /// After a partition's records: where the log of the leader and the reader's part ways, as
    /// epoch and end offset, if they do.
    pub fn partition_end(&self, out: &mut Vec<u8>, diverging: Option<(i32, i64)>) {
        let Some((epoch, end_offset)) = diverging.filter(|_| self.at.flexible) else {
            return self.end(out);
        };
        let mut w = Writer::new(out);
        // One tagged field, number 0, of so many bytes.
        w.uvarint(1);
        w.uvarint(0);
        w.uvarint(4 + 8 + 1);
        w.i32(epoch);
        w.i64(end_offset);
        w.uvarint(0);
    }

    /// After a topic's partitions, and at the very end.
    pub fn end(&self, out: &mut Vec<u8>) {
        if self.at.flexible {
            out.push(0);
        }
    }
}

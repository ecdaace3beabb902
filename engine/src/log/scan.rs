//! Reading a segment batch by batch, trusting nothing.

use crate::batch::{BATCH_HEADER_BYTES, BatchHeader, validate_stored};
use crate::io::Buf;
use crate::shard::{File, IoError};
use crate::types::Offset;

/// How much of a segment is read at once; larger batches are read on their own.
const SCAN_BYTES: usize = 1 << 20;

/// What a scan came upon.
pub(super) enum Scanned {
    /// A sound batch in its place.
    Batch(BatchHeader),
    /// The end of the segment.
    End,
    /// What is wrong where the next batch should be.
    Bad(String),
}

/// Reads a segment batch by batch, whole, and takes each only if it is sound and in its place.
pub(super) struct BatchScan {
    file: File,
    size: u64,
    pub(super) position: u64,
    window: Buf,
    window_at: u64,
    base_offset: Offset,
    pub(super) next_base: Option<Offset>,
    /// The offset after the last batch, or the segment's base.
    pub(super) expected: Offset,
    /// What was expected before the last batch.
    due: Offset,
}

impl BatchScan {
    pub(super) fn new(
        file: File,
        base_offset: Offset,
        next_base: Option<Offset>,
        position: u64,
        size: u64,
    ) -> Self {
        let window = Buf::with_capacity(0);
        let (expected, due) = (base_offset, base_offset);
        Self { file, size, position, window, window_at: 0, base_offset, next_base, expected, due }
    }

    async fn available(&mut self, len: usize) -> Result<usize, IoError> {
        let at = self.position - self.window_at;
        let have = (self.window.len() as u64).saturating_sub(at) as usize;
        let left = (self.size - self.position) as usize;
        if have >= len.min(left) {
            return Ok(have);
        }
        let want = len.max(SCAN_BYTES).min(left);
        self.window = self.file.read_at(Buf::with_capacity(want), self.position, want).await?;
        self.window_at = self.position;
        Ok(self.window.len())
    }

    /// The next batch, or what is wrong where it should be; stays there then.
    pub(super) async fn next(&mut self) -> Result<Scanned, IoError> {
        let bad = |what: String| Ok(Scanned::Bad(what));
        let left = self.size - self.position;
        if left == 0 {
            return Ok(Scanned::End);
        }
        if left < BATCH_HEADER_BYTES as u64 {
            return bad(format!("{left} bytes are no batch"));
        }
        self.available(BATCH_HEADER_BYTES).await?;
        let at = (self.position - self.window_at) as usize;
        let header = match BatchHeader::parse(&self.window[at..]) {
            Ok(header) => header,
            Err(error) => return bad(error.to_string()),
        };
        if header.size as u64 > left {
            return bad(format!("a batch of {} bytes is cut off", header.size));
        }
        if self.available(header.size).await? < header.size {
            return bad("the file ends early".to_owned());
        }
        let at = (self.position - self.window_at) as usize;
        if let Err(error) = validate_stored(&self.window[at..at + header.size]) {
            return bad(error.to_string());
        }
        let past_next = |next: Offset| header.next_offset() > next;
        if !header.is_in_order(self.expected, self.base_offset)
            || self.next_base.is_some_and(past_next)
        {
            return bad(format!("offset {} where {} was due", header.base_offset, self.expected));
        }
        self.due = std::mem::replace(&mut self.expected, header.next_offset());
        self.position += header.size as u64;
        Ok(Scanned::Batch(header))
    }

    /// The bytes of the last batch taken, of this size.
    pub(super) fn batch(&self, size: usize) -> &[u8] {
        let end = (self.position - self.window_at) as usize;
        &self.window[end - size..end]
    }

    /// Whether a sound batch that begins below `limit` starts at the fault, where the scan stands,
    /// or anywhere behind it. The last batch taken may have claimed too high an offset, which its
    /// CRC does not cover, so what counts is where that was due; and a torn write may have lost the
    /// sector with its own offset, which then reads 0.
    pub(super) async fn finds_another(&mut self, limit: Offset) -> Result<bool, IoError> {
        while self.size - self.position >= BATCH_HEADER_BYTES as u64 {
            if self.available(BATCH_HEADER_BYTES).await? < BATCH_HEADER_BYTES {
                break;
            }
            let at = (self.position - self.window_at) as usize;
            let found = BatchHeader::parse(&self.window[at..]).ok();
            let left = self.size - self.position;
            if let Some(header) = found.filter(|header| header.size as u64 <= left)
                && (self.due < header.base_offset && header.base_offset < limit)
                && self.available(header.size).await? >= header.size
            {
                let at = (self.position - self.window_at) as usize;
                if validate_stored(&self.window[at..at + header.size]).is_ok() {
                    return Ok(true);
                }
            }
            self.position += 1;
        }
        Ok(false)
    }
}

//! Aborted transactions by the segment that holds their markers, in memory and as Kafka's
//! `.txnindex` files. A segment without any has no such file.

use std::cell::{Cell, RefCell};
use std::path::Path;

use super::partition_log::Log;
use super::producers::CompletedTxn;
use super::reader::ReadError;
use super::segment::READ_WRITE;
use crate::io::{Buf, WritePath};
use crate::shard::{File, IoError, Shard};
use crate::types::{Offset, ProducerId};

const ENTRY_VERSION: i16 = 0;
const ENTRY_BYTES: usize = 34;
const FILE_BYTES_MAX: u64 = i32::MAX as u64;

/// A transaction that was aborted: consumers that read committed records skip it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Who had begun it.
    pub producer_id: ProducerId,
    /// Its first record in this partition.
    pub first_offset: Offset,
    /// Its marker.
    pub last_offset: Offset,
    /// Up to here everything was decided once the marker was written.
    pub last_stable_offset: Offset,
}

impl From<CompletedTxn> for AbortedTxn {
    fn from(txn: CompletedTxn) -> AbortedTxn {
        let CompletedTxn { producer_id, first_offset, last_offset, last_stable_offset, .. } = txn;
        AbortedTxn { producer_id, first_offset, last_offset, last_stable_offset }
    }
}

impl AbortedTxn {
    fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut out = [0; ENTRY_BYTES];
        out[..2].copy_from_slice(&ENTRY_VERSION.to_be_bytes());
        out[2..10].copy_from_slice(&self.producer_id.0.to_be_bytes());
        out[10..18].copy_from_slice(&self.first_offset.0.to_be_bytes());
        out[18..26].copy_from_slice(&self.last_offset.0.to_be_bytes());
        out[26..34].copy_from_slice(&self.last_stable_offset.0.to_be_bytes());
        out
    }

    /// All entries of a file; `None` if it is none.
    pub fn parse_all(bytes: &[u8]) -> Option<Vec<AbortedTxn>> {
        parse(bytes, Offset::ZERO, None)
    }

    fn decode(entry: &[u8]) -> Option<AbortedTxn> {
        let number = |at: usize| Some(i64::from_be_bytes(entry.get(at..at + 8)?.try_into().ok()?));
        if entry.get(..2)? != ENTRY_VERSION.to_be_bytes() {
            return None;
        }
        Some(AbortedTxn {
            producer_id: ProducerId(number(2)?),
            first_offset: Offset(number(10)?),
            last_offset: Offset(number(18)?),
            last_stable_offset: Offset(number(26)?),
        })
    }
}

/// Reads a `.txnindex`; `None` if it cannot be that of a segment at `base` that ends below `end`.
pub(super) fn parse(bytes: &[u8], base: Offset, end: Option<Offset>) -> Option<Vec<AbortedTxn>> {
    if !bytes.len().is_multiple_of(ENTRY_BYTES) {
        return None;
    }
    let entries: Option<Vec<AbortedTxn>> =
        bytes.chunks_exact(ENTRY_BYTES).map(AbortedTxn::decode).collect();
    let sound = |txn: &AbortedTxn| {
        txn.first_offset >= Offset::ZERO
            && txn.first_offset <= txn.last_offset
            && txn.last_offset >= base
            && end.is_none_or(|end| txn.last_offset < end)
    };
    entries.filter(|entries| {
        entries.iter().all(sound) && entries.is_sorted_by(|a, b| a.last_offset < b.last_offset)
    })
}

/// A segment's aborted transactions, by their markers.
pub(super) struct TxnIndex {
    /// `None`: in the file, and not read yet.
    entries: RefCell<Option<Vec<AbortedTxn>>>,
    /// How many of them are in the file.
    stored: Cell<usize>,
}

impl TxnIndex {
    /// That of a segment which has no file for it.
    pub(super) fn empty() -> TxnIndex {
        TxnIndex { entries: RefCell::new(Some(Vec::new())), stored: Cell::new(0) }
    }

    /// Replaces what is in memory; `None` is read from the file when it is asked for.
    pub(super) fn set(&self, entries: Option<Vec<AbortedTxn>>) {
        self.stored.set(entries.as_ref().map_or(0, Vec::len));
        *self.entries.borrow_mut() = entries;
    }

    /// Adds a transaction, whose marker comes after those of all others.
    pub(super) fn push(&self, txn: AbortedTxn) {
        let mut entries = self.entries.borrow_mut();
        let entries = entries.as_mut().expect("an active segment's transactions are in memory");
        let ascending = entries.last().is_none_or(|last| last.last_offset < txn.last_offset);
        assert!(ascending, "{txn:?} after {:?}", entries.last());
        entries.push(txn);
    }

    /// Whether some wait to be written to the file.
    pub(super) fn has_unstored(&self) -> bool {
        self.entries.borrow().as_ref().is_some_and(|entries| entries.len() > self.stored.get())
    }

    /// Whether there are none, for all that is known.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.borrow().as_ref().is_some_and(Vec::is_empty)
    }

    /// Writes new entries behind those that are in the file.
    pub(super) async fn write_new(&self, shard: &Shard, path: &Path) -> Result<(), IoError> {
        if !self.has_unstored() {
            return Ok(());
        }
        let stored = self.stored.get();
        let (bytes, count) = {
            let entries = self.entries.borrow();
            let entries = entries.as_ref().expect("some wait");
            let bytes: Vec<u8> = entries[stored..].iter().flat_map(AbortedTxn::encode).collect();
            (bytes, entries.len())
        };
        // Set first: a second call while this one writes must not write the same entries.
        self.stored.set(count);
        let file = File::open(shard, path, READ_WRITE).await?;
        let chunk = vec![Buf::copy_of(&bytes).into()];
        file.write_at(chunk, (stored * ENTRY_BYTES) as u64, WritePath::Blocking).await
    }

    /// Makes the file durable, if there is one.
    pub(super) async fn seal(&self, shard: &Shard, path: &Path) -> Result<(), IoError> {
        self.write_new(shard, path).await?;
        if self.stored.get() > 0 {
            File::open(shard, path, READ_WRITE).await?.fdatasync().await?;
        }
        Ok(())
    }

    /// Writes the file anew; without entries there is none.
    pub(super) async fn rewrite(&self, shard: &Shard, path: &Path) -> Result<(), IoError> {
        let (bytes, count) = {
            let entries = self.entries.borrow();
            let entries = entries.as_deref().unwrap_or_default();
            let bytes: Vec<u8> = entries.iter().flat_map(AbortedTxn::encode).collect();
            (bytes, entries.len())
        };
        // ORDER: an old file is there until the new one is. The segment's other indexes may be
        // mended already, and a start after a crash in between would take a segment without this
        // file for one in which nothing was aborted.
        match count {
            0 => drop(shard.unlink(path).await?),
            _ => shard.replace_file(path, bytes).await?,
        }
        self.stored.set(count);
        Ok(())
    }

    /// Runs `look` on the entries, which are read from the file if they are not in memory. A file
    /// that is missing or not whole has none to tell of; starting mends it.
    pub(super) async fn with<T>(
        &self,
        shard: &Shard,
        path: &Path,
        base: Offset,
        look: impl FnOnce(&[AbortedTxn]) -> T,
    ) -> Result<T, IoError> {
        if let Some(entries) = &*self.entries.borrow() {
            return Ok(look(entries));
        }
        let bytes = shard.read_file(path, FILE_BYTES_MAX).await?;
        let entries = bytes.and_then(|bytes| parse(&bytes, base, None)).unwrap_or_default();
        let answer = look(&entries);
        if self.entries.borrow().is_none() {
            self.set(Some(entries));
        }
        Ok(answer)
    }
}

/// Reads a segment's file; `None` if it is damaged, no entries if it is missing.
pub(super) async fn read(
    shard: &Shard,
    path: &Path,
    base: Offset,
    end: Option<Offset>,
) -> Result<Option<Vec<AbortedTxn>>, IoError> {
    let bytes = shard.read_file(path, FILE_BYTES_MAX).await?;
    Ok(bytes.map_or(Some(Vec::new()), |bytes| parse(&bytes, base, end)))
}

impl Log {
    /// The aborted transactions with records in `from..upper`.
    ///
    /// # Errors
    /// If an index cannot be read.
    pub async fn collect_aborted(
        &self,
        from: Offset,
        upper: Offset,
    ) -> Result<Vec<AbortedTxn>, ReadError> {
        loop {
            let layout = self.layout();
            let found = self.collect_aborted_once(from, upper).await?;
            if self.layout() == layout {
                return Ok(found);
            }
        }
    }

    async fn collect_aborted_once(
        &self,
        from: Offset,
        upper: Offset,
    ) -> Result<Vec<AbortedTxn>, ReadError> {
        let segments = {
            let state = self.state.borrow();
            let next = state.segments.partition_point(|segment| segment.base_offset <= from);
            state.segments[next.saturating_sub(1)..].to_vec()
        };
        let mut found = Vec::new();
        for segment in segments {
            let look = |txns: &[AbortedTxn]| {
                let in_range =
                    |txn: &&AbortedTxn| txn.last_offset >= from && txn.first_offset < upper;
                found.extend(txns.iter().filter(in_range));
                // Whatever is decided later began later.
                txns.iter().any(|txn| txn.last_stable_offset >= upper)
            };
            let _names = segment.hold_names().await;
            let path = segment.path("txnindex");
            if segment.txns.with(&self.shard, &path, segment.base_offset, look).await? {
                break;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txn(first: i64, last: i64) -> AbortedTxn {
        AbortedTxn {
            producer_id: ProducerId(7),
            first_offset: Offset(first),
            last_offset: Offset(last),
            last_stable_offset: Offset(last + 1),
        }
    }

    #[test]
    fn files_round_trip_and_d13_garbage_is_refused() {
        let entries = [txn(10, 19), txn(12, 25)];
        let bytes: Vec<u8> = entries.iter().flat_map(AbortedTxn::encode).collect();
        let parse = |bytes: &[u8]| parse(bytes, Offset(15), Some(Offset(26)));
        assert_eq!(parse(&bytes).as_deref(), Some(&entries[..]));
        assert_eq!(parse(b""), Some(Vec::new()));
        assert_eq!(parse(&bytes[1..]), None);
        assert_eq!(parse(&[&bytes[ENTRY_BYTES..], &bytes[..ENTRY_BYTES]].concat()), None);
        assert_eq!(parse(&[0xff; ENTRY_BYTES]), None);
        assert_eq!(super::parse(&bytes, Offset(20), None), None);
        assert_eq!(super::parse(&bytes, Offset(15), Some(Offset(25))), None);
    }
}

//! Where reading begins after a crash, in a segment of which a part is known to be sound.
//!
//! A producer snapshot whose offset is no segment's start says that everything below was durable
//! before it was written: batches, indexes and aborted transactions. A stop leaves one, Kafka's
//! too, and [`Log::note_recovery_point`] while records come in. So a start after a crash takes what
//! lies below as it would after a clean stop, and reads no more than what lies behind the last
//! index entry there.

use std::rc::Rc;

use super::{LoadError, Loader, SMALL_FILE_BYTES_MAX};
use crate::log::index::Indexes;
use crate::log::lookup::{HeaderWalk, time_entry_is_true};
use crate::log::partition_log::{Log, LogError};
use crate::log::producers::Producers;
use crate::log::reader::ReadError;
use crate::log::segment::{Segment, file_name, parse_file_name};
use crate::log::txn_index;
use crate::shard::{File, IoError};
use crate::types::Offset;

const INDEX_BYTES_MAX: u64 = i32::MAX as u64;

impl Loader<'_> {
    /// The greatest offset inside a segment that a snapshot which can be read was written for, if
    /// there is one.
    pub(super) async fn noted_point(
        &self,
        names: &[String],
        bases: &[Offset],
    ) -> Result<Option<Offset>, LoadError> {
        let snapshots = names.iter().filter_map(|name| parse_file_name(name, "snapshot"));
        let noted = snapshots.filter(|offset| bases.binary_search(offset).is_err()).max();
        let Some(offset) = noted else { return Ok(None) };
        let path = self.dir.join(file_name(offset, "snapshot"));
        let bytes = self.shard.read_file(&path, SMALL_FILE_BYTES_MAX).await?;
        let whole = bytes.is_some_and(|bytes| Producers::decode_snapshot(&bytes).is_some());
        Ok(whole.then_some(offset))
    }

    /// Readies a segment for being read; returns where from.
    pub(super) async fn start_recovery(
        &mut self,
        segment: &Rc<Segment>,
        file: &File,
    ) -> Result<u64, LoadError> {
        let size = u64::from(segment.size.get());
        let noted = self.noted.filter(|noted| {
            // Without the epochs of what is not read there is no telling where they began.
            *noted > segment.base_offset && !self.epochs_changed && self.epochs.latest().is_some()
        });
        let sound = match noted {
            Some(noted) => self.sound_part(segment, file, noted).await?,
            None => None,
        };
        let Some((indexes, start)) = sound else {
            file.distrust_cache(0).await?;
            segment.set_indexes(Some(Indexes::default()), false);
            segment.txns.set(Some(Vec::new()));
            segment.size.set(0);
            segment.max_timestamp.set(-1);
            self.recovered.push((Rc::clone(segment), segment.base_offset));
            return Ok(0);
        };
        file.distrust_cache(start).await?;
        self.note_first_timestamp(segment, file, size).await?;
        if let Some(time) = indexes.times.last() {
            segment.max_timestamp.set(time.timestamp);
            segment.max_timestamp_offset.set(segment.base_offset.plus(i64::from(time.offset)));
        }
        segment.set_indexes(Some(indexes), true);
        segment.size.set(start as u32);
        self.recovered.push((Rc::clone(segment), noted.unwrap_or(segment.base_offset)));
        Ok(start)
    }

    /// The index entries of a segment that hold below `noted`, and the place of the batch that the
    /// last of them names. `None`: all of it must be read.
    async fn sound_part(
        &self,
        segment: &Rc<Segment>,
        file: &File,
        noted: Offset,
    ) -> Result<Option<(Indexes, u64)>, LoadError> {
        let (shard, size) = (self.shard, segment.size.get());
        let Some(offsets) = shard.read_file(&segment.path("index"), INDEX_BYTES_MAX).await? else {
            return Ok(None);
        };
        let Some(times) = shard.read_file(&segment.path("timeindex"), INDEX_BYTES_MAX).await?
        else {
            return Ok(None);
        };
        let below = u32::try_from(noted.0 - segment.base_offset.0).unwrap_or(u32::MAX);
        let mut indexes = Indexes::parse_below(&offsets, &times, size, below);
        // A time index may be short of entries. From the last one on all timestamps are seen.
        let Some(time) = indexes.times.last().copied() else { return Ok(None) };
        let Some(entry) = indexes.entry_for(time.offset) else { return Ok(None) };
        indexes.offsets.retain(|other| other.position <= entry.position);
        match names_truly(segment, file, &indexes).await {
            Ok(true) => {}
            Ok(false) | Err(ReadError::Corrupt(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if !segment.txns.is_empty() {
            let (path, base) = (segment.path("txnindex"), segment.base_offset);
            let Some(mut txns) = txn_index::read(shard, &path, base, None).await? else {
                return Ok(None);
            };
            txns.retain(|txn| txn.last_offset < noted);
            segment.txns.set(Some(txns));
        }
        Ok(Some((indexes, u64::from(entry.position))))
    }
}

/// Whether the last entries of both indexes are true.
async fn names_truly(segment: &Segment, file: &File, indexes: &Indexes) -> Result<bool, ReadError> {
    let (Some(entry), Some(time)) = (indexes.offsets.last(), indexes.times.last()) else {
        return Ok(false);
    };
    let (base, size) = (segment.base_offset, u64::from(segment.size.get()));
    let mut walk = HeaderWalk::new(file.clone(), base, u64::from(entry.position), size);
    let named = base.plus(i64::from(entry.offset));
    let found = walk.next().await?.is_some_and(|(header, _)| header.last_offset() == named);
    Ok(found && time_entry_is_true(file, base, size, indexes, *time).await?)
}

impl Log {
    /// Bytes at the end of the log that a start after a crash would have to read.
    pub fn bytes_to_recover(&self) -> u64 {
        let active = self.state.borrow().active();
        let noted = active.noted.get().map_or(0, |(_, size)| size);
        u64::from(active.size.get().saturating_sub(noted))
    }

    /// Sees to it that a start after a crash reads the log from here on: makes durable what has
    /// been appended, its indexes, and the producers as they are. Does nothing where records are
    /// not synced as they come, nor where the segment is sealed meanwhile, which does the same.
    pub async fn note_recovery_point(self: &Rc<Self>) -> Result<(), LogError> {
        if self.closing.get() || !self.committer.syncs_always() {
            return Ok(());
        }
        let (segment, end) = {
            let state = self.state.borrow();
            (state.active(), state.ends.log_end_offset)
        };
        let noted = || segment.noted.get().map(|(offset, _)| offset);
        if end == segment.base_offset || noted() == Some(end) {
            return Ok(());
        }
        let size = segment.size.get();
        let snapshot = self.with_producers(Producers::encode_snapshot);
        self.flush().await?;
        let _sealing = self.sealing.take(1).await;
        let over = self.closing.get() || !Rc::ptr_eq(&segment, &self.state.borrow().active());
        if over || noted() >= Some(end) {
            return Ok(());
        }
        let before = noted();
        let noting = async {
            // ORDER: batches and indexes are durable before the snapshot that says so.
            segment.seal_indexes(&self.shard).await?;
            let path = self.dir().join(file_name(end, "snapshot"));
            self.shard.replace_file(&path, snapshot).await?;
            segment.noted.set(Some((end, size)));
            self.forget_noted(before, end).await
        };
        noting.await.map_err(|error| self.failed_with(error))
    }

    /// Removes the snapshot of a point that was noted before, unless it is that of `kept` too.
    pub(in crate::log) async fn forget_noted(
        &self,
        noted: Option<Offset>,
        kept: Offset,
    ) -> Result<(), IoError> {
        if let Some(offset) = noted.filter(|offset| *offset != kept) {
            self.shard.unlink(&self.dir().join(file_name(offset, "snapshot"))).await?;
        }
        Ok(())
    }
}

//! A round of compaction: the map, and the rewriting of segments (Kafka's `Cleaner`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use thiserror::Error;

use super::offset_map::OffsetMap;
use super::plan::Dirt;
use super::throttle::Throttle;
use super::transactions::{CleanedTxns, MarkerFate};
use crate::batch::{
    BATCH_HEADER_BYTES, BatchHeader, ControlType, Record, Remains, UNCOMPRESSED_BATCH_BYTES_MAX,
    emptied, records, retain_records, unpack,
};
use crate::io::{Buf, WritePath};
use crate::log::partition_log::{Log, LogError};
use crate::log::reader::ReadError;
use crate::log::scan::{BatchScan, Scanned};
use crate::log::segment::{CLEANED, Segment};
use crate::shard::{File, IoError};
use crate::types::{Offset, ProducerEpoch, ProducerId};

/// Bytes of batches that are worked on before other tasks of the shard have their turn.
const SLICE_BYTES: usize = 64 << 10;
/// Bytes that are collected before they are written.
const WRITE_BYTES: usize = 512 << 10;

/// Why a round ended early. The log is as it was, but for the groups of segments that were done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CompactError {
    /// A segment cannot be read, or holds what is no batch.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log is closing, deleted or failed.
    #[error("the log is no longer there to be compacted")]
    Stopped,
    /// The keys of one batch do not fit the map.
    #[error("{path}: the keys of the batch at offset {offset} do not fit the map of keys: \
             log.cleaner.dedupe.buffer.size is too small", path = path.display())]
    MapTooSmall {
        /// The segment.
        path: std::path::PathBuf,
        /// The batch.
        offset: Offset,
    },
}

impl From<IoError> for CompactError {
    fn from(error: IoError) -> CompactError {
        CompactError::Read(ReadError::Io(error))
    }
}

/// What a round may take.
#[derive(Clone, Copy)]
pub struct CompactionLimits<'a> {
    /// Bytes of the map of keys.
    pub map_bytes: usize,
    /// How full it may get.
    pub map_load_factor: f64,
    /// The rate of reading and writing.
    pub throttle: &'a Throttle,
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Everything below is clean now.
    pub first_dirty: Offset,
    /// Keys in the map.
    pub keys: usize,
    /// Bytes read for rewriting.
    pub read_bytes: u64,
    /// Bytes that were left of them.
    pub written_bytes: u64,
    /// Segments before and after.
    pub segments: (usize, usize),
}

/// One round on one log.
pub(super) struct Round<'a> {
    pub(super) log: &'a Rc<Log>,
    limits: CompactionLimits<'a>,
    map: OffsetMap,
    txns: CleanedTxns,
    /// The batch that keeps each producer's last sequence.
    last_records: BTreeMap<ProducerId, (Option<Offset>, ProducerEpoch)>,
    uncleanable: Offset,
    now_ms: i64,
    /// From when on tombstones that are found now may go.
    horizon_ms: i64,
    since_yield: usize,
    done: Compacted,
}

impl Log {
    /// Compacts what `dirt` says is due.
    ///
    /// # Errors
    /// If a segment cannot be read, or the log is no longer there. A failure to write fails the
    /// log.
    pub async fn compact(
        self: &Rc<Self>,
        dirt: &Dirt,
        limits: CompactionLimits<'_>,
    ) -> Result<Compacted, CompactError> {
        let _turn = self.maintenance.take(1).await;
        let now_ms = self.shard.unix_ms();
        let retention = i64::try_from(self.config().delete_retention_ms).unwrap_or(i64::MAX);
        let seed = [self.shard.random(), self.shard.random()];
        // No more keys than offsets.
        let keys_max = (dirt.uncleanable.0 - dirt.first_dirty.0).max(0) as u64;
        let mut round = Round {
            log: self,
            limits,
            map: OffsetMap::new(keys_max, limits.map_bytes, limits.map_load_factor, seed),
            txns: CleanedTxns::default(),
            last_records: self.with_producers(|producers| producers.last_records()),
            uncleanable: dirt.uncleanable,
            now_ms,
            horizon_ms: now_ms.saturating_add(retention),
            since_yield: 0,
            done: Compacted::default(),
        };
        let compacted = round.run(dirt.first_dirty).await?;
        self.first_dirty.set(Some(compacted.first_dirty));
        Ok(compacted)
    }
}

impl Round<'_> {
    async fn run(&mut self, first_dirty: Offset) -> Result<Compacted, CompactError> {
        self.map_keys(first_dirty).await?;
        let end = self.map.latest().map_or(first_dirty, |latest| latest.plus(1));
        self.done.keys = self.map.len();
        for group in self.groups(end).await? {
            self.clean_group(&group).await?;
        }
        self.done.first_dirty = end.max(first_dirty);
        Ok(self.done)
    }

    /// Keeps to the rate, lets others have the shard now and then, and ends the round if the log is
    /// closing.
    async fn pause(&mut self, bytes: usize) -> Result<(), CompactError> {
        let stopped = || self.log.failure().is_some() || self.log.closing.get();
        self.limits.throttle.spend(bytes, stopped).await;
        self.since_yield += bytes;
        if self.since_yield >= SLICE_BYTES {
            self.since_yield = 0;
            self.log.shard.yield_now().await;
        }
        match self.log.failure().is_some() || self.log.closing.get() {
            true => Err(CompactError::Stopped),
            false => Ok(()),
        }
    }

    /// Puts the keys of the dirty part into the map, as far as they fit.
    async fn map_keys(&mut self, first_dirty: Offset) -> Result<(), CompactError> {
        let segments = self.segments_within(first_dirty, self.uncleanable);
        let mut txns = CleanedTxns::default();
        txns.add(self.log.collect_aborted(first_dirty, self.uncleanable).await?);
        for (segment, next_base) in segments {
            let mut scan = self.scan(&segment, next_base, first_dirty).await?;
            while let Some(header) = next_batch(&mut scan, &segment).await? {
                self.pause(header.size).await?;
                let batch = scan.batch(header.size);
                if header.is_control() {
                    txns.on_marker(&header, control_type(&header, batch));
                } else if !txns.on_batch(&header) && !self.map_batch(&header, batch, first_dirty)? {
                    return match self.map.latest() {
                        Some(_) => Ok(()),
                        None => Err(CompactError::MapTooSmall {
                            path: segment.path("log"),
                            offset: header.base_offset,
                        }),
                    };
                }
                if header.last_offset() >= first_dirty {
                    self.map.reach(header.last_offset());
                }
            }
            segment.close_file();
            // Where compaction left a gap at the segment's end, there is nothing to map.
            self.map.reach(next_base.plus(-1));
        }
        Ok(())
    }

    /// False once the map is full.
    fn map_batch(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        first_dirty: Offset,
    ) -> Result<bool, CompactError> {
        let unpacked = unpacked(header, batch)?;
        for record in records(header, &unpacked) {
            let record = record.map_err(|error| corrupt(&error))?;
            if let Some(key) = record.key.filter(|_| record.offset >= first_dirty)
                && !self.map.put(key, record.offset)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Segments that reach into `start..end`, each with the base of the next.
    fn segments_within(&self, start: Offset, end: Offset) -> Vec<(Rc<Segment>, Offset)> {
        let state = self.log.state.borrow();
        let segments = &state.segments;
        let next = |i: usize| segments[i + 1].base_offset;
        (0..state.sealed_count())
            .filter(|&i| next(i) > start && segments[i].base_offset < end)
            .map(|i| (Rc::clone(&segments[i]), next(i)))
            .collect()
    }

    async fn scan(
        &self,
        segment: &Rc<Segment>,
        next_base: Offset,
        from: Offset,
    ) -> Result<BatchScan, CompactError> {
        let relative = (from.0 - segment.base_offset.0).clamp(0, i64::from(u32::MAX)) as u32;
        let entry = self
            .log
            .with_indexes(segment, Some(next_base), |indexes| indexes.entry_for(relative))
            .await?;
        let file = segment.file(&self.log.shard).await?;
        let start = entry.map_or(0, |entry| u64::from(entry.position));
        let size = u64::from(segment.size.get());
        Ok(BatchScan::new(file, segment.base_offset, Some(next_base), start, size))
    }

    /// Neighbouring segments below `end` that fit into one.
    async fn groups(&self, end: Offset) -> Result<Vec<Group>, CompactError> {
        let config = self.log.config();
        let index_max = u64::from(config.segment_index_bytes);
        let mut groups: Vec<Group> = Vec::new();
        for (segment, next_base) in self.segments_within(Offset::ZERO, end) {
            let size = u64::from(segment.size.get());
            let index = self
                .log
                .with_indexes(&segment, Some(next_base), |indexes| indexes.file_bytes())
                .await?;
            segment.unload_indexes();
            let joins = groups.last().is_some_and(|group| {
                let reach = next_base.0 - 1 - group.base().0;
                group.size + size <= u64::from(config.segment_bytes)
                    && group.index.0 + index.0 <= index_max
                    && group.index.1 + index.1 <= index_max
                    && reach <= i64::from(i32::MAX)
            });
            if !joins {
                groups.push(Group::default());
            }
            let group = groups.last_mut().expect("there is one");
            group.size += size;
            group.index = (group.index.0 + index.0, group.index.1 + index.1);
            group.segments.push((segment, next_base));
        }
        Ok(groups)
    }

    async fn clean_group(&mut self, group: &Group) -> Result<(), CompactError> {
        let shard = self.log.shard.clone();
        let dir = self.log.dir();
        let made = Segment::marked(&dir, group.base(), self.now_ms, CLEANED);
        let made = Rc::new(made);
        let filled = self.fill(&made, group).await;
        if let Err(error) = filled {
            // What is left of it is deleted at the next start at the latest.
            let _ = made.delete_files(&shard).await;
            return Err(error);
        }
        self.done.segments.0 += group.segments.len();
        self.done.segments.1 += 1;
        let old: Vec<Rc<Segment>> =
            group.segments.iter().map(|(segment, _)| Rc::clone(segment)).collect();
        self.log.swap_segments(made, old).await.map_err(|error| match error {
            LogError::Closed => CompactError::Stopped,
            error => CompactError::Read(ReadError::Log(error)),
        })
    }

    async fn fill(&mut self, made: &Rc<Segment>, group: &Group) -> Result<(), CompactError> {
        let shard = self.log.shard.clone();
        made.create_files(&shard).await?;
        let mut out = Output::new(made.file(&shard).await?);
        for (segment, next_base) in &group.segments {
            let aborted = self.log.collect_aborted(segment.base_offset, *next_base).await?;
            self.txns.add(aborted);
            let mut scan = self.scan(segment, *next_base, segment.base_offset).await?;
            while let Some(header) = next_batch(&mut scan, segment).await? {
                self.done.read_bytes += header.size as u64;
                self.pause(header.size).await?;
                let left = self.left_of(&header, scan.batch(header.size), made)?;
                if let Some(bytes) = left {
                    self.add_batch(made, &bytes, &mut out).await?;
                }
            }
            segment.close_file();
        }
        self.done.written_bytes += out.position + out.pending.len() as u64;
        out.flush().await?;
        let modified = group.segments.last().expect("not empty").0.modified_ms(&shard).await?;
        made.finish_cleaned(&shard, modified).await?;
        Ok(shard.sync_dir(&self.log.dir()).await?)
    }

    async fn add_batch(
        &mut self,
        made: &Rc<Segment>,
        bytes: &[u8],
        out: &mut Output,
    ) -> Result<(), CompactError> {
        let header = BatchHeader::parse(bytes).map_err(|error| corrupt(&error))?;
        made.note_batch(&header, self.log.config().index_interval_bytes);
        out.pending.extend_from_slice(bytes);
        if out.pending.len() >= WRITE_BYTES {
            out.flush().await?;
            self.pause(WRITE_BYTES).await?;
        }
        Ok(())
    }

    /// What stays of a batch, if anything does.
    fn left_of(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        made: &Segment,
    ) -> Result<Option<Vec<u8>>, CompactError> {
        let of_empty_txn = header.is_control() && {
            match self.txns.on_marker(header, control_type(header, batch)) {
                MarkerFate::OfEmptyTxn => true,
                MarkerFate::Needed(aborted) => {
                    aborted.into_iter().for_each(|txn| made.txns.push(txn));
                    false
                }
            }
        };
        let discard = match header.is_control() {
            // A marker stays until readers had the time to see it.
            true => of_empty_txn && header.delete_horizon_ms().is_some_and(|at| at <= self.now_ms),
            false => self.txns.on_batch(header),
        };
        let must_stay = self.keeps_producer(header) || header.next_offset() == self.uncleanable;
        if discard && !must_stay {
            return Ok(None);
        }
        let unpacked = unpacked(header, batch)?;
        let keep = |record: &Record<'_>| {
            !discard && (header.is_control() || self.keeps_record(header, record))
        };
        let remains = retain_records(header, &unpacked, self.horizon_ms, of_empty_txn, keep);
        Ok(match remains.map_err(|error| corrupt(&error))? {
            Remains::All => Some(batch.to_vec()),
            Remains::Some(bytes) => Some(bytes),
            Remains::None if must_stay => Some(emptied(header)),
            Remains::None => None,
        })
    }

    /// Whether the batch holds an active producer's last sequence, or its last epoch.
    fn keeps_producer(&self, header: &BatchHeader) -> bool {
        let Some((last, epoch)) = self.last_records.get(&header.producer_id) else { return false };
        match last {
            Some(offset) => header.last_offset() == *offset,
            None => header.is_control() && header.producer_epoch == *epoch,
        }
    }

    fn keeps_record(&self, header: &BatchHeader, record: &Record<'_>) -> bool {
        if self.map.latest().is_none_or(|latest| record.offset > latest) {
            return true;
        }
        let Some(key) = record.key else { return false };
        let newest = self.map.get(key).is_none_or(|newest| record.offset >= newest);
        let stays =
            record.value.is_some() || header.delete_horizon_ms().is_none_or(|at| self.now_ms < at);
        newest && stays
    }
}

/// Segments that become one.
#[derive(Default)]
struct Group {
    segments: Vec<(Rc<Segment>, Offset)>,
    size: u64,
    index: (u64, u64),
}

impl Group {
    fn base(&self) -> Offset {
        self.segments[0].0.base_offset
    }
}

/// What waits to be written to a new segment.
struct Output {
    file: File,
    position: u64,
    pending: Vec<u8>,
}

impl Output {
    fn new(file: File) -> Output {
        Output { file, position: 0, pending: Vec::new() }
    }

    async fn flush(&mut self) -> Result<(), IoError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let chunk = vec![Buf::copy_of(&self.pending).into()];
        self.file.write_at(chunk, self.position, WritePath::Ring).await?;
        self.position += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

fn corrupt(what: &dyn std::fmt::Display) -> CompactError {
    CompactError::Read(ReadError::Corrupt(what.to_string()))
}

async fn next_batch(
    scan: &mut BatchScan,
    segment: &Segment,
) -> Result<Option<BatchHeader>, CompactError> {
    match scan.next().await? {
        Scanned::Batch(header) => Ok(Some(header)),
        Scanned::End => Ok(None),
        Scanned::Bad(what) => {
            let (path, at) = (segment.path("log"), scan.position);
            Err(corrupt(&format!("{}: byte {at}: {what}", path.display())))
        }
    }
}

fn unpacked<'a>(header: &BatchHeader, batch: &'a [u8]) -> Result<Cow<'a, [u8]>, CompactError> {
    unpack(header, batch, UNCOMPRESSED_BATCH_BYTES_MAX).map_err(|error| corrupt(&error))
}

fn control_type(header: &BatchHeader, batch: &[u8]) -> Option<ControlType> {
    let record = records(header, &batch[BATCH_HEADER_BYTES..]).next()?.ok()?;
    record.key.and_then(ControlType::from_key)
}

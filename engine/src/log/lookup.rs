//! Finding batches: by offset, by timestamp.

use std::rc::Rc;

use super::index::{Indexes, OffsetEntry, TimeEntry};
use super::partition_log::{BatchPlace, Log, Work};
use super::reader::ReadError;
use super::segment::Segment;
use crate::batch::{
    BATCH_HEADER_BYTES, BatchHeader, UNCOMPRESSED_BATCH_BYTES_MAX, records, unpack, validate_stored,
};
use crate::io::{Buf, Errno};
use crate::shard::File;
use crate::types::{LeaderEpoch, Offset};

/// How much of a file is read at once while walking batch headers.
const WALK_BYTES: usize = 16 << 10;

/// What a search for an offset found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetLookup {
    /// First offset of the batch.
    pub base_offset: Offset,
    /// Last offset of the batch.
    pub last_offset: Offset,
}

/// The first record at or after a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampAnswer {
    /// The record's timestamp.
    pub timestamp: i64,
    /// Its offset.
    pub offset: Offset,
    /// The epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
}

/// Walks the batch headers of a segment's file from a position on.
pub(super) struct HeaderWalk {
    file: File,
    position: u64,
    end: u64,
    window: Buf,
    window_at: u64,
    base_offset: Offset,
    /// The least offset that the next batch may start at.
    expected: Offset,
    /// The offset that no batch reaches, if it is known.
    limit: Option<Offset>,
}

impl HeaderWalk {
    /// A walk over `position..end` of the segment that starts at `base_offset`.
    pub(super) fn new(file: File, base_offset: Offset, position: u64, end: u64) -> Self {
        let window = Buf::with_capacity(WALK_BYTES);
        let (window_at, expected, limit) = (position, base_offset, None);
        Self { file, position, end, window, window_at, base_offset, expected, limit }
    }

    /// Refuses batches that reach `limit`: the next segment's base, or the log's end.
    pub(super) fn below(mut self, limit: Option<Offset>) -> Self {
        self.limit = limit;
        self
    }

    /// The next header and where its batch starts; `None` at the end. Bytes that are no batch, or
    /// one that cannot follow the one before, are an error: to take them for the end would pass
    /// over records in silence.
    pub(super) async fn next(&mut self) -> Result<Option<(BatchHeader, u64)>, ReadError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let window_end = self.window_at + self.window.len() as u64;
        let inside = self.position >= self.window_at
            && self.position + BATCH_HEADER_BYTES as u64 <= window_end;
        if !inside {
            let len = (self.end - self.position).min(WALK_BYTES as u64) as usize;
            let buf = Buf::with_capacity(WALK_BYTES);
            self.window = match self.file.read_cached_at(buf, self.position, len).await? {
                Some(buf) => buf,
                None => {
                    let buf = Buf::with_capacity(WALK_BYTES);
                    self.file.read_at(buf, self.position, len).await?
                }
            };
            self.window_at = self.position;
        }
        let at = (self.position - self.window_at) as usize;
        let bytes = self.window.get(at..).unwrap_or_default();
        let start = self.position;
        let header = BatchHeader::parse(bytes).map_err(|error| self.corrupt(&error))?;
        if start + header.size as u64 > self.end {
            return Err(self.corrupt(&"its batch is cut off"));
        }
        if !header.is_in_order(self.expected, self.base_offset)
            || self.limit.is_some_and(|limit| header.last_offset() >= limit)
        {
            return Err(self.corrupt(&"its offsets do not follow those before"));
        }
        self.position = start + header.size as u64;
        self.expected = header.next_offset();
        Ok(Some((header, start)))
    }

    /// Whether the batch that an entry of the time index names is ahead, and has that timestamp.
    async fn finds_time(mut self, base: Offset, time: TimeEntry) -> Result<bool, ReadError> {
        let named = base.plus(i64::from(time.offset));
        while let Some((header, _)) = self.next().await? {
            if header.last_offset() >= named {
                return Ok(header.base_offset <= named && header.max_timestamp == time.timestamp);
            }
        }
        Ok(false)
    }

    fn corrupt(&self, what: &dyn std::fmt::Display) -> ReadError {
        let (path, at) = (self.file.path().display(), self.position);
        ReadError::Corrupt(format!("{path}: byte {at}: {what}"))
    }
}

/// Whether an entry of the time index says what the segment's batches say.
pub(super) async fn time_entry_is_true(
    file: &File,
    base: Offset,
    size: u64,
    indexes: &Indexes,
    time: TimeEntry,
) -> Result<bool, ReadError> {
    let from = indexes.entry_for(time.offset).map_or(0, |entry| u64::from(entry.position));
    HeaderWalk::new(file.clone(), base, from, size).finds_time(base, time).await
}

impl Log {
    /// The first batch whose last offset is at least `target`, among those written.
    pub(super) async fn find_batch(&self, target: Offset) -> Result<Option<BatchPlace>, ReadError> {
        if let Some(place) = self.recent_batch(target) {
            return Ok(Some(place));
        }
        let mut from = target;
        loop {
            let Some((segment, next_base)) = self.state.borrow().segment_for(from) else {
                return Ok(None);
            };
            if let Some(place) = self.find_in_segment(&segment, next_base, target).await? {
                return Ok(Some(place));
            }
            // Compaction may have taken the end of this segment: look in the next.
            match next_base {
                Some(next) => from = next,
                None => return Ok(None),
            }
        }
    }

    fn recent_batch(&self, target: Offset) -> Option<BatchPlace> {
        let state = self.state.borrow();
        let at = state.recent.partition_point(|place| place.last_offset < target);
        let place = state.recent.get(at)?;
        // The first one remembered may have a forgotten neighbour that holds the target.
        (at > 0 || place.base_offset <= target).then(|| place.clone())
    }

    async fn find_in_segment(
        &self,
        segment: &Rc<Segment>,
        next_base: Option<Offset>,
        target: Offset,
    ) -> Result<Option<BatchPlace>, ReadError> {
        let relative = (target.0 - segment.base_offset.0).clamp(0, i64::from(u32::MAX)) as u32;
        let entry =
            self.with_indexes(segment, next_base, |indexes| indexes.entry_for(relative)).await?;
        let mut walk = self.walk_from(segment, next_base, entry).await?;
        while let Some((header, position)) = walk.next().await? {
            if header.last_offset() >= target {
                return Ok(Some(BatchPlace {
                    base_offset: header.base_offset,
                    last_offset: header.last_offset(),
                    segment: Rc::clone(segment),
                    position: position as u32,
                    size: header.size as u32,
                }));
            }
        }
        Ok(None)
    }

    /// A walk over the written batches of a segment from an index entry on; from the start of the
    /// file if there is none, or if what lies there is not the batch the entry names.
    async fn walk_from(
        &self,
        segment: &Rc<Segment>,
        next_base: Option<Offset>,
        entry: Option<OffsetEntry>,
    ) -> Result<HeaderWalk, ReadError> {
        let limit = Some(next_base.unwrap_or_else(|| self.ends().log_end_offset));
        let file = segment.file(&self.shard).await?;
        let end = u64::from(self.written_size(segment));
        if let Some(entry) = entry {
            let position = u64::from(entry.position);
            let named = segment.base_offset.plus(i64::from(entry.offset));
            let walk =
                |file| HeaderWalk::new(file, segment.base_offset, position, end).below(limit);
            match walk(file.clone()).next().await {
                Ok(Some((header, _))) if header.last_offset() == named => return Ok(walk(file)),
                Ok(_) | Err(ReadError::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
            tracing::warn!(path = %segment.path("index").display(), position, "index_entry_wrong");
        }
        Ok(HeaderWalk::new(file, segment.base_offset, 0, end).below(limit))
    }

    /// Bytes of a segment that are in its file: all of a sealed one, and of the active one what
    /// the committer has written.
    pub(super) fn written_size(&self, segment: &Segment) -> u32 {
        let state = self.state.borrow();
        let queued = state.queue.iter().find_map(|work| match work {
            Work::Bytes { segment, position, .. } => Some((segment.base_offset, *position)),
            _ => None,
        });
        match state.write_under_way.or(queued) {
            Some((base, position)) if base == segment.base_offset => position,
            Some((base, _)) if base < segment.base_offset => 0,
            _ => segment.size.get(),
        }
    }

    /// The first record with a timestamp of at least `target`, between the log's start and `end`.
    pub async fn find_timestamp(
        &self,
        target: i64,
        end: Offset,
    ) -> Result<Option<TimestampAnswer>, ReadError> {
        loop {
            let layout = self.layout();
            match self.find_timestamp_once(target, end).await {
                Err(ReadError::Io(error))
                    if error.errno == Errno::ENOENT && self.layout() != layout => {}
                found => return found,
            }
        }
    }

    async fn find_timestamp_once(
        &self,
        target: i64,
        end: Offset,
    ) -> Result<Option<TimestampAnswer>, ReadError> {
        let start = self.ends().log_start_offset;
        let segments = self.state.borrow().segments.clone();
        for (i, segment) in segments.iter().enumerate() {
            let next_base = segments.get(i + 1).map(|next| next.base_offset);
            let before_start = next_base.is_some_and(|next| next <= start);
            if before_start || segment.max_timestamp.get() < target {
                continue;
            }
            let found = self
                .first_record_where(segment, next_base, target, end, |timestamp, offset| {
                    timestamp >= target && offset >= start
                })
                .await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The record with the greatest timestamp below `end`, the first of several.
    pub async fn find_max_timestamp(
        &self,
        end: Offset,
    ) -> Result<Option<TimestampAnswer>, ReadError> {
        loop {
            let layout = self.layout();
            match self.find_max_timestamp_once(end).await {
                Err(ReadError::Io(error))
                    if error.errno == Errno::ENOENT && self.layout() != layout => {}
                found => return found,
            }
        }
    }

    async fn find_max_timestamp_once(
        &self,
        end: Offset,
    ) -> Result<Option<TimestampAnswer>, ReadError> {
        let segments = self.state.borrow().segments.clone();
        let mut latest: Option<(i64, usize)> = None;
        for (i, segment) in segments.iter().enumerate() {
            let timestamp = segment.max_timestamp.get();
            if timestamp >= 0 && latest.is_none_or(|(best, _)| timestamp > best) {
                latest = Some((timestamp, i));
            }
        }
        let Some((timestamp, i)) = latest else { return Ok(None) };
        let next_base = segments.get(i + 1).map(|next| next.base_offset);
        self.first_record_where(&segments[i], next_base, timestamp, end, |t, _| t == timestamp)
            .await
    }

    async fn first_record_where(
        &self,
        segment: &Rc<Segment>,
        next_base: Option<Offset>,
        timestamp: i64,
        end: Offset,
        matches: impl Fn(i64, Offset) -> bool,
    ) -> Result<Option<TimestampAnswer>, ReadError> {
        let before = self
            .with_indexes(segment, next_base, |indexes| {
                let before = indexes.entry_before_time(timestamp)?;
                Some((before, indexes.entry_for(before.offset)))
            })
            .await?;
        let file = segment.file(&self.shard).await?;
        let entry = match before {
            Some((time, entry)) => {
                let walk = self.walk_from(segment, next_base, entry).await?;
                match walk.finds_time(segment.base_offset, time).await? {
                    true => entry,
                    false => {
                        let path = segment.path("timeindex");
                        tracing::warn!(path = %path.display(), "index_entry_wrong");
                        None
                    }
                }
            }
            None => None,
        };
        let mut walk = self.walk_from(segment, next_base, entry).await?;
        while let Some((header, at)) = walk.next().await? {
            if header.base_offset >= end {
                return Ok(None);
            }
            if header.max_timestamp < timestamp || header.is_control() {
                continue;
            }
            let batch = file.read_at(Buf::with_capacity(header.size), at, header.size).await?;
            if let Some(found) = first_in_batch(&batch, &matches)? {
                return Ok((found.offset < end).then_some(found));
            }
        }
        Ok(None)
    }
}

fn first_in_batch(
    batch: &[u8],
    matches: impl Fn(i64, Offset) -> bool,
) -> Result<Option<TimestampAnswer>, ReadError> {
    let header = validate_stored(batch).map_err(|e| ReadError::Corrupt(e.to_string()))?;
    let corrupt = |what: &dyn std::fmt::Display| ReadError::Corrupt(what.to_string());
    let unpacked = unpack(&header, batch, UNCOMPRESSED_BATCH_BYTES_MAX).map_err(|e| corrupt(&e))?;
    for record in records(&header, &unpacked) {
        let record = record.map_err(|e| corrupt(&e))?;
        if matches(record.timestamp, record.offset) {
            return Ok(Some(TimestampAnswer {
                timestamp: record.timestamp,
                offset: record.offset,
                leader_epoch: header.leader_epoch,
            }));
        }
    }
    Ok(None)
}

//! What of a log is due for compaction (Kafka's `LogCleanerManager` and `LogToClean`).

use std::rc::Rc;

use crate::log::lookup::HeaderWalk;
use crate::log::partition_log::Log;
use crate::log::reader::ReadError;
use crate::log::segment::Segment;
use crate::types::Offset;

/// How much of a log there is to compact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dirt {
    /// Everything below was compacted before.
    pub first_dirty: Offset,
    /// From here on nothing may be compacted yet.
    pub uncleanable: Offset,
    /// Bytes that were compacted before.
    pub clean_bytes: u64,
    /// Bytes that would be compacted for the first time.
    pub dirty_bytes: u64,
    /// Some of them have waited for max.compaction.lag.ms.
    pub overdue: bool,
    /// min.cleanable.dirty.ratio
    pub ratio_min: f64,
}

impl Dirt {
    /// The share of bytes that were not compacted yet.
    pub fn ratio(&self) -> f64 {
        match self.clean_bytes + self.dirty_bytes {
            0 => 0.0,
            all => self.dirty_bytes as f64 / all as f64,
        }
    }

    /// Whether that is enough to begin.
    pub fn is_due(&self) -> bool {
        self.ratio() > self.ratio_min || (self.overdue && self.dirty_bytes > 0)
    }
}

impl Log {
    /// Up to where the log was compacted, as the cleaner-offset-checkpoint says.
    pub fn set_first_dirty_offset(&self, offset: Offset) {
        self.first_dirty.set(Some(offset));
    }

    /// Up to where the log was compacted, if it ever was.
    pub fn first_dirty_offset(&self) -> Option<Offset> {
        self.first_dirty.get()
    }

    /// What there is to compact below `last_stable_offset`.
    ///
    /// # Errors
    /// If a segment cannot be read.
    pub async fn dirt(&self, now_ms: i64, last_stable_offset: Offset) -> Result<Dirt, ReadError> {
        let (config, segments, sealed_count, ends) = {
            let state = self.state.borrow();
            let sealed_count = state.sealed_count();
            (Rc::clone(&state.config), state.segments.clone(), sealed_count, state.ends)
        };
        let known = self
            .first_dirty
            .get()
            .filter(|offset| (ends.log_start_offset..=ends.log_end_offset).contains(offset));
        let first_dirty = known.unwrap_or(ends.log_start_offset);
        let (sealed, active) = (&segments[..sealed_count], &segments[sealed_count]);
        // Kafka counts the segment that holds an offset as from that offset on.
        let floor = sealed.partition_point(|s| s.base_offset <= first_dirty).saturating_sub(1);
        let dirty = match first_dirty >= active.base_offset {
            true => &[],
            false => &sealed[floor..],
        };
        let mut uncleanable = last_stable_offset.min(active.base_offset);
        let mut oldest = i64::MAX;
        for segment in dirty {
            if config.min_compaction_lag_ms > 0 {
                let latest = match segment.max_timestamp.get() {
                    -1 => segment.modified_ms(&self.shard).await?,
                    timestamp => timestamp,
                };
                if latest > now_ms.saturating_sub_unsigned(config.min_compaction_lag_ms) {
                    uncleanable = uncleanable.min(segment.base_offset);
                    break;
                }
            }
            if config.max_compaction_lag_ms < i64::MAX as u64 {
                oldest = oldest.min(self.first_time(segment).await?);
            }
        }
        let uncleanable = uncleanable.max(first_dirty);
        // Segments are compacted whole or not at all.
        let whole = segments.partition_point(|segment| segment.base_offset < uncleanable);
        let end = segments.get(whole).map_or(active.base_offset, |segment| segment.base_offset);
        let uncleanable = match end > uncleanable {
            true => segments[..whole].last().map_or(uncleanable, |s| s.base_offset),
            false => uncleanable,
        };
        let bytes = |segments: &[Rc<Segment>]| {
            segments.iter().map(|segment| u64::from(segment.size.get())).sum::<u64>()
        };
        let clean = segments.partition_point(|segment| segment.base_offset < first_dirty);
        let cleanable = segments.partition_point(|segment| segment.base_offset < uncleanable);
        Ok(Dirt {
            first_dirty,
            uncleanable: uncleanable.max(first_dirty),
            clean_bytes: bytes(&segments[..clean]),
            dirty_bytes: match first_dirty < uncleanable {
                true => bytes(&segments[floor..cleanable]),
                false => 0,
            },
            overdue: oldest < now_ms.saturating_sub_unsigned(config.max_compaction_lag_ms),
            ratio_min: config.min_cleanable_dirty_ratio,
        })
    }

    /// The time of a segment's first batch, if it has one.
    async fn first_time(&self, segment: &Segment) -> Result<i64, ReadError> {
        if segment.first_timestamp.get().is_none() && segment.size.get() > 0 {
            let file = segment.file(&self.shard).await?;
            let size = u64::from(segment.size.get());
            let first = HeaderWalk::new(file, segment.base_offset, 0, size).next().await?;
            let time = first.map(|(header, _)| header.max_timestamp).filter(|time| *time > 0);
            segment.first_timestamp.set(time);
        }
        Ok(segment.first_timestamp.get().unwrap_or(i64::MAX))
    }
}

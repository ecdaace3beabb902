//! The offset index and the time index of a segment, in memory and as Kafka's files.
//!
//! `.index`: 8-byte entries, relative offset of a batch's *last* record and the batch's position.
//! `.timeindex`: 12-byte entries, greatest timestamp so far and the relative last offset of the
//! batch that brought it. Files hold exactly their entries: a reader takes a zero-filled tail for
//! entries of offset 0.

/// Bytes of an offset index entry.
pub(super) const OFFSET_ENTRY_BYTES: usize = 8;
/// Bytes of a time index entry.
pub(super) const TIME_ENTRY_BYTES: usize = 12;

/// Where a batch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetEntry {
    /// The batch's last offset, less the segment's base offset.
    pub(super) offset: u32,
    /// Where the batch starts in the file.
    pub(super) position: u32,
}

/// The greatest timestamp up to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeEntry {
    pub(super) timestamp: i64,
    /// The last offset of the batch that has it, less the segment's base offset.
    pub(super) offset: u32,
}

/// Both indexes of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes {
    pub(super) offsets: Vec<OffsetEntry>,
    pub(super) times: Vec<TimeEntry>,
}

impl Indexes {
    /// Reads both files. `None` if they cannot be the indexes of a segment of `size` bytes whose
    /// last offset is `last` relative to its base (-1: it is empty).
    pub(super) fn parse(offsets: &[u8], times: &[u8], size: u32, last: i64) -> Option<Indexes> {
        // A stock broker that died leaves its files preallocated, with zeros after the entries.
        let offsets = trim_zeros(offsets, OFFSET_ENTRY_BYTES)?;
        let times = trim_zeros(times, TIME_ENTRY_BYTES)?;
        let u32_at =
            |b: &[u8], at: usize| Some(u32::from_be_bytes(b.get(at..at + 4)?.try_into().ok()?));
        let mut parsed = Indexes::default();
        for entry in offsets.chunks_exact(OFFSET_ENTRY_BYTES) {
            parsed
                .offsets
                .push(OffsetEntry { offset: u32_at(entry, 0)?, position: u32_at(entry, 4)? });
        }
        for entry in times.chunks_exact(TIME_ENTRY_BYTES) {
            let timestamp = i64::from_be_bytes(entry.get(..8)?.try_into().ok()?);
            parsed.times.push(TimeEntry { timestamp, offset: u32_at(entry, 8)? });
        }
        let grows = parsed
            .offsets
            .is_sorted_by(|a, b| a.offset < b.offset && a.position < b.position)
            && parsed.times.is_sorted_by(|a, b| a.timestamp < b.timestamp && a.offset <= b.offset);
        let fits =
            parsed.offsets.last().is_none_or(|e| e.position < size && i64::from(e.offset) <= last)
                && parsed.times.last().is_none_or(|e| i64::from(e.offset) <= last);
        (grows && fits).then_some(parsed)
    }

    /// The entries below relative offset `end` of files whose ends may be anything: what was
    /// written last when the power failed. As far as they rise, and lie in a segment of `size`
    /// bytes.
    pub(super) fn parse_below(offsets: &[u8], times: &[u8], size: u32, end: u32) -> Indexes {
        let mut parsed = Indexes::default();
        for entry in offsets.chunks_exact(OFFSET_ENTRY_BYTES) {
            let (offset, position) = entry.split_at(4);
            let number =
                |bytes: &[u8]| bytes.try_into().map(u32::from_be_bytes).unwrap_or(u32::MAX);
            let next = OffsetEntry { offset: number(offset), position: number(position) };
            let rises = parsed
                .offsets
                .last()
                .is_none_or(|last| last.offset < next.offset && last.position < next.position);
            if !rises || next.offset >= end || next.position >= size {
                break;
            }
            parsed.offsets.push(next);
        }
        for entry in times.chunks_exact(TIME_ENTRY_BYTES) {
            let (timestamp, offset) = entry.split_at(8);
            let timestamp = timestamp.try_into().map_or(-1, i64::from_be_bytes);
            let offset = offset.try_into().map_or(u32::MAX, u32::from_be_bytes);
            let rises = parsed
                .times
                .last()
                .is_none_or(|last| last.timestamp < timestamp && last.offset <= offset);
            if !rises || timestamp < 0 || offset >= end {
                break;
            }
            parsed.times.push(TimeEntry { timestamp, offset });
        }
        parsed
    }

    /// Bytes they take in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.offsets.capacity() * size_of::<OffsetEntry>()
            + self.times.capacity() * size_of::<TimeEntry>()
    }

    /// Bytes of both files.
    pub(super) fn file_bytes(&self) -> (u64, u64) {
        let bytes = |entries: usize, size: usize| (entries * size) as u64;
        let (offsets, times) = (self.offsets.len(), self.times.len());
        (bytes(offsets, OFFSET_ENTRY_BYTES), bytes(times, TIME_ENTRY_BYTES))
    }

    /// The first offset that no batch before `position` reaches, as far as entries tell.
    pub(super) fn offset_at(&self, position: u64) -> Option<u32> {
        let at = self.offsets.partition_point(|entry| u64::from(entry.position) < position);
        self.offsets.get(at).map(|entry| entry.offset)
    }

    /// The bytes of offset entries from the `from`th on.
    pub(super) fn offset_bytes(&self, from: usize) -> Vec<u8> {
        let entries = self.offsets.get(from..).unwrap_or_default();
        entries
            .iter()
            .flat_map(|e| [e.offset.to_be_bytes(), e.position.to_be_bytes()])
            .flatten()
            .collect()
    }

    /// The bytes of time entries from the `from`th on.
    pub(super) fn time_bytes(&self, from: usize) -> Vec<u8> {
        let entries = self.times.get(from..).unwrap_or_default();
        let mut out = Vec::with_capacity(entries.len() * TIME_ENTRY_BYTES);
        for entry in entries {
            out.extend_from_slice(&entry.timestamp.to_be_bytes());
            out.extend_from_slice(&entry.offset.to_be_bytes());
        }
        out
    }

    /// Appends a time entry if it is later than the last. True if it was appended.
    pub(super) fn push_time(&mut self, timestamp: i64, offset: u32) -> bool {
        let later = self.times.last().is_none_or(|last| timestamp > last.timestamp);
        if later && timestamp >= 0 {
            self.times.push(TimeEntry { timestamp, offset });
        }
        later && timestamp >= 0
    }

    /// The entry from which to look for relative offset `target`: the greatest that is not above
    /// it. `None`: from the start of the file.
    pub(super) fn entry_for(&self, target: u32) -> Option<OffsetEntry> {
        let at = self.offsets.partition_point(|entry| entry.offset <= target);
        Some(self.offsets[at.checked_sub(1)?])
    }

    /// The last entry with a timestamp below `target`: what comes before it is earlier too.
    pub(super) fn entry_before_time(&self, target: i64) -> Option<TimeEntry> {
        let at = self.times.partition_point(|entry| entry.timestamp < target);
        Some(self.times[at.checked_sub(1)?])
    }

    /// Drops entries of batches at `position` or later, and times of offsets at `offset` or later.
    pub(super) fn truncate(&mut self, position: u32, offset: u32) {
        self.offsets.retain(|entry| entry.position < position);
        self.times.retain(|entry| entry.offset < offset);
    }
}

/// Cuts the zero entries that preallocation leaves after the real ones. `None` if the length is
/// not a whole number of entries.
fn trim_zeros(bytes: &[u8], entry: usize) -> Option<&[u8]> {
    if !bytes.len().is_multiple_of(entry) {
        return None;
    }
    let mut end = bytes.len();
    while end > 0 && bytes[end - entry..end].iter().all(|&b| b == 0) {
        end -= entry;
    }
    Some(&bytes[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes() -> Indexes {
        let mut indexes = Indexes::default();
        for i in 1..=10u32 {
            indexes.offsets.push(OffsetEntry { offset: i * 10 + 9, position: i * 5000 });
            indexes.push_time(1000 + i64::from(i), i * 10 + 9);
        }
        indexes
    }

    #[test]
    fn bytes_round_trip_with_or_without_preallocation() {
        let indexes = indexes();
        let (mut offsets, mut times) = (indexes.offset_bytes(0), indexes.time_bytes(0));
        assert_eq!(Indexes::parse(&offsets, &times, 60_000, 109), Some(indexes.clone()));
        offsets.resize(800, 0);
        times.resize(1200, 0);
        assert_eq!(Indexes::parse(&offsets, &times, 60_000, 109), Some(indexes));
    }

    #[test]
    fn d13_garbage_is_not_an_index() {
        let good = indexes();
        let (offsets, times) = (good.offset_bytes(0), good.time_bytes(0));
        assert_eq!(Indexes::parse(&offsets[1..], &times, 60_000, 109), None);
        assert_eq!(Indexes::parse(&offsets, &times[..13], 60_000, 109), None);
        assert_eq!(Indexes::parse(&offsets, &times, 50_000, 109), None);
        assert_eq!(Indexes::parse(&offsets, &times, 60_000, 108), None);
        let mut swapped = offsets.clone();
        swapped.rotate_left(8);
        assert_eq!(Indexes::parse(&swapped, &times, 60_000, 109), None);
        assert_eq!(Indexes::parse(b"", b"", 0, -1), Some(Indexes::default()));
    }

    #[test]
    fn d13_what_rises_below_an_offset_is_taken_whatever_comes_after() {
        let good = indexes();
        let (mut offsets, mut times) = (good.offset_bytes(0), good.time_bytes(0));
        offsets.truncate(6 * 8 + 3);
        offsets.extend([0xff; 40]);
        times.truncate(7 * 12);
        times.extend([0; 40]);
        let found = Indexes::parse_below(&offsets, &times, 60_000, 50);
        assert_eq!(
            (found.offsets, found.times),
            (good.offsets[..4].into(), good.times[..4].into())
        );
        let found = Indexes::parse_below(&offsets, &times, 60_000, 1000);
        assert_eq!(
            (found.offsets, found.times),
            (good.offsets[..6].into(), good.times[..7].into())
        );
        assert_eq!(Indexes::parse_below(&offsets, &times, 5001, 1000).offsets, good.offsets[..1]);
    }

    #[test]
    fn lookups_take_the_entry_below() {
        let indexes = indexes();
        let position = |target| indexes.entry_for(target).map(|entry| entry.position);
        assert_eq!([0, 18].map(position), [None; 2]);
        assert_eq!([19, 28, 1000].map(position), [Some(5000), Some(5000), Some(50_000)]);
        let before = |target| indexes.entry_before_time(target).map(|entry| entry.offset);
        assert_eq!([1001, 1003, 9999].map(before), [None, Some(29), Some(109)]);
    }
}

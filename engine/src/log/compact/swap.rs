//! The swap of segments, so that a crash leaves the old ones or the new one
//! (Kafka's `LocalLog.replaceSegments` and `LogLoader`).
//!
//! 1. The new segment is written as `.cleaned` and made durable. A start deletes it.
//! 2. Its files are renamed to `.swap`. Once all are, a start completes the swap; before, it finds
//!    a `.cleaned` and deletes both.
//! 3. The old segments are renamed to `.deleted`, then `.swap` is taken off the new one's names.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use crate::log::lookup::HeaderWalk;
use crate::log::partition_log::{Log, LogError};
use crate::log::reader::ReadError;
use crate::log::segment::{CLEANED, READ_ONLY, SWAP, Segment, file_name, parse_file_name};
use crate::shard::{File, IoError, Shard};
use crate::types::Offset;

/// What a segment's files end with, but for the mark of what becomes of them.
const SEGMENT_FILES: [&str; 4] = ["log", "index", "timeindex", "txnindex"];

impl Log {
    /// Puts `made`, which is durable as `.cleaned`, in the place of `old`.
    pub(super) async fn swap_segments(
        self: &Rc<Self>,
        made: Rc<Segment>,
        old: Vec<Rc<Segment>>,
    ) -> Result<(), LogError> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let swapped = self.swap_files(&made, old).await;
        swapped.map_err(|error| self.failed_with(error))
    }

    async fn swap_files(
        self: &Rc<Self>,
        made: &Rc<Segment>,
        old: Vec<Rc<Segment>>,
    ) -> Result<(), IoError> {
        made.remark(&self.shard, SWAP).await?;
        // ORDER: the new files are there for good as what they are before an old one goes.
        self.shard.sync_dir(&self.dir()).await?;
        {
            let mut state = self.state.borrow_mut();
            let at = state.segments.iter().position(|s| Rc::ptr_eq(s, &old[0]));
            let at = at.expect("nobody else takes segments away meanwhile");
            let range = at..at + old.len();
            let same = state.segments[range.clone()].iter().zip(&old);
            assert!(same.into_iter().all(|(a, b)| Rc::ptr_eq(a, b)), "other segments");
            state.segments.splice(range, [Rc::clone(made)]);
            state.note_new_layout();
            state.invariants();
        }
        self.retire_replaced(old).await?;
        made.remark(&self.shard, "").await?;
        self.shard.sync_dir(&self.dir()).await
    }
}

/// Brings interrupted swaps to an end, one way or the other: whether there were any. `names` are
/// those in the directory.
pub(in crate::log) async fn settle_swaps(
    shard: &Shard,
    dir: &Path,
    names: &[String],
) -> Result<bool, ReadError> {
    let of = |name: &str, mark: &str| {
        let plain = name.strip_suffix(mark)?;
        SEGMENT_FILES.iter().find_map(|suffix| parse_file_name(plain, suffix))
    };
    let cleaned: BTreeSet<Offset> = names.iter().filter_map(|name| of(name, CLEANED)).collect();
    let undone = |base: Offset| cleaned.first().is_some_and(|first| base >= *first);
    let (mut gone, mut swaps) = (Vec::new(), Vec::new());
    for name in names {
        if of(name, CLEANED).is_some() || of(name, SWAP).is_some_and(undone) {
            gone.push(name);
        } else if of(name, SWAP).is_some() {
            swaps.push(name);
        }
    }
    // ORDER: a `.swap` that is undone goes before the `.cleaned` that says so.
    gone.sort_by_key(|name| name.ends_with(CLEANED));
    for name in &gone {
        shard.unlink(&dir.join(name)).await?;
        shard.sync_dir(dir).await?;
    }
    if swaps.is_empty() {
        return Ok(!gone.is_empty());
    }
    for base in swaps.iter().filter_map(|name| parse_file_name(name.strip_suffix(SWAP)?, "log")) {
        let end = end_of(shard, dir, base).await?;
        let replaced = names.iter().filter(|name| {
            let of_segment = SEGMENT_FILES.iter().find_map(|suffix| parse_file_name(name, suffix));
            of_segment.is_some_and(|other| base <= other && other < end)
        });
        for name in replaced {
            tracing::info!(path = %dir.join(name).display(), "replaced_segment_deleted");
            shard.unlink(&dir.join(name)).await?;
        }
    }
    // ORDER: what is replaced is gone for good before the new one looks like any other.
    shard.sync_dir(dir).await?;
    for name in swaps {
        let to = name.strip_suffix(SWAP).expect("it has it");
        shard.rename(&dir.join(name), &dir.join(to)).await?;
    }
    shard.sync_dir(dir).await?;
    Ok(true)
}

/// The offset after the last batch of a segment that is to be swapped in.
async fn end_of(shard: &Shard, dir: &Path, base: Offset) -> Result<Offset, ReadError> {
    let path = dir.join(file_name(base, "log") + SWAP);
    let size = shard.stat(&path).await?.map_or(0, |stat| stat.len);
    let file = File::open(shard, &path, READ_ONLY).await?;
    let mut walk = HeaderWalk::new(file, base, 0, size);
    let mut end = base;
    while let Some((header, _)) = walk.next().await? {
        end = header.next_offset();
    }
    // An empty one replaces at least the segment whose name it takes.
    Ok(end.max(base.plus(1)))
}

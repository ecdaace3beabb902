//! Taking the end off a log: what a replica does whose last records its leader does not have
//! (Kafka's `UnifiedLog.truncateTo`, KIP-101).
//!
//! It is done to the files of a log that is closed. The next opening finds an end that moved, and
//! makes indexes, leader epochs and producers fit it, as after a crash: that is done in one way.

use std::path::Path;

use super::partition_log::Log;
use super::recovery::LoadError;
use super::scan::{BatchScan, Scanned};
use super::segment::{READ_WRITE, file_name, parse_file_name};
use crate::io::OpenOptions;
use crate::shard::{File, Shard};
use crate::types::Offset;

impl Log {
    /// Cuts the files of the log in `dir` so that it ends at `to`, or where the batch that holds
    /// `to` begins; a log that ends before keeps its end. The first segment stays, if only empty.
    ///
    /// The recovery point must be on the disk as `to` or less by then, and the log be opened as one
    /// that was not closed properly: a start would miss what is cut off here.
    ///
    /// # Errors
    /// If a file cannot be read or cut. Opening the log finds it in order all the same.
    pub async fn truncate(shard: &Shard, dir: &Path, to: Offset) -> Result<(), LoadError> {
        let names = shard.list_dir(dir).await?;
        // ORDER: no snapshot says of what is cut off that it is durable.
        for name in &names {
            if parse_file_name(name, "snapshot").is_some_and(|offset| offset > to) {
                shard.unlink(&dir.join(name)).await?;
            }
        }
        shard.sync_dir(dir).await?;
        let mut bases: Vec<Offset> =
            names.iter().filter_map(|name| parse_file_name(name, "log")).collect();
        bases.sort_unstable();
        while bases.len() > 1 && bases.last().is_some_and(|base| *base >= to) {
            let base = bases.pop().expect("there are several");
            for suffix in ["log", "index", "timeindex", "txnindex"] {
                shard.unlink(&dir.join(file_name(base, suffix))).await?;
            }
            // ORDER: each is gone for good before the one below it, so that what a crash leaves has
            // no hole: one in the middle would be taken for compaction's work.
            shard.sync_dir(dir).await?;
        }
        match bases.last() {
            Some(base) => cut(shard, dir, *base, to).await,
            None => Ok(()),
        }
    }
}

/// Cuts a segment before the batch that holds `to`.
async fn cut(shard: &Shard, dir: &Path, base: Offset, to: Offset) -> Result<(), LoadError> {
    let path = dir.join(file_name(base, "log"));
    let size = shard.stat(&path).await?.map_or(0, |stat| stat.len);
    let file = File::open(shard, &path, OpenOptions { create: false, ..READ_WRITE }).await?;
    let mut scan = BatchScan::new(file.clone(), base, None, 0, size);
    let keep = loop {
        let at = scan.position;
        match scan.next().await? {
            Scanned::Batch(header) if header.last_offset() >= to => break at,
            Scanned::Batch(_) => {}
            // What is damaged is for the opening to judge.
            Scanned::End | Scanned::Bad(_) => return Ok(()),
        }
    };
    file.set_len(keep).await?;
    Ok(file.fdatasync().await?)
}

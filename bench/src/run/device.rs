//! Floors of the device: what a write that is durable takes on the file system of the data, without
//! any broker. No broker that flushes before it acknowledges can be quicker.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::OFlags;

use crate::load::new_histogram;
use crate::results::DeviceFloor;

/// What a small batch comes to: a block of most devices.
const BLOCK_BYTES: usize = 4096;
/// The file that is overwritten: the writes go round in it.
const LAID_OUT_BYTES: u64 = 16 << 20;
/// Longer than this the floors are not measured.
const SECONDS_MAX: f64 = 10.0;

/// A buffer as O_DIRECT wants it.
#[repr(align(4096))]
struct Block([u8; BLOCK_BYTES]);

/// Measures both for so many seconds; of what the file system does not support there is none.
pub fn device_floors(data_dir: &Path, seconds: f64) -> Result<Vec<DeviceFloor>> {
    let seconds = seconds.min(SECONDS_MAX);
    let appended = append(data_dir, seconds).context("the floor of the device")?;
    // tmpfs, among others, has no O_DIRECT.
    Ok(overwrite(data_dir, seconds).into_iter().chain([appended]).collect())
}

fn open(dir: &Path, flags: OFlags) -> std::io::Result<(tempfile::NamedTempFile, File)> {
    let named = tempfile::Builder::new().prefix("ringlog-bench-").tempfile_in(dir)?;
    let flags = flags.bits() as i32;
    let file = OpenOptions::new().write(true).custom_flags(flags).open(named.path())?;
    Ok((named, file))
}

/// Blocks that are laid out already are written again, past the page cache.
fn overwrite(dir: &Path, seconds: f64) -> Option<DeviceFloor> {
    let (named, file) = open(dir, OFlags::DIRECT | OFlags::DSYNC).ok()?;
    let laid_out = vec![0x5a; LAID_OUT_BYTES as usize];
    named.as_file().write_all_at(&laid_out, 0).ok()?;
    named.as_file().sync_all().ok()?;
    let block = Block([0xa5; BLOCK_BYTES]);
    let mut at = 0;
    let mut write = || {
        file.write_all_at(&block.0, at)?;
        at = (at + BLOCK_BYTES as u64) % LAID_OUT_BYTES;
        Ok(())
    };
    // The first write tells whether there is O_DIRECT here.
    write().ok()?;
    measure("overwrite, O_DIRECT and O_DSYNC", seconds, write).ok()
}

/// A file grows through the page cache, with a sync after every block.
fn append(dir: &Path, seconds: f64) -> Result<DeviceFloor> {
    let (_named, file) = open(dir, OFlags::empty())?;
    let block = Block([0xa5; BLOCK_BYTES]);
    let mut at = 0;
    measure("append, then fdatasync", seconds, || {
        file.write_all_at(&block.0, at)?;
        at += BLOCK_BYTES as u64;
        file.sync_data()
    })
}

fn measure(
    what: &str,
    seconds: f64,
    mut write: impl FnMut() -> std::io::Result<()>,
) -> Result<DeviceFloor> {
    let mut latency = new_histogram();
    let (began, length) = (Instant::now(), Duration::from_secs_f64(seconds));
    while began.elapsed() < length {
        let before = Instant::now();
        write()?;
        latency.saturating_record(before.elapsed().as_nanos() as u64);
    }
    let ms = |quantile| latency.value_at_quantile(quantile) as f64 / 1e6;
    let seconds = began.elapsed().as_secs_f64();
    Ok(DeviceFloor {
        what: what.to_owned(),
        bytes: BLOCK_BYTES as u64,
        seconds,
        writes_per_second: latency.len() as f64 / seconds,
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        p999_ms: ms(0.999),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_durable_write_takes_its_time_and_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let floors = device_floors(dir.path(), 0.1).expect("measured");
        assert!(!floors.is_empty());
        for floor in floors {
            assert!(floor.writes_per_second > 0.0 && floor.p50_ms > 0.0, "{floor:?}");
            assert!(floor.p50_ms <= floor.p99_ms && floor.p99_ms <= floor.p999_ms, "{floor:?}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
    }
}

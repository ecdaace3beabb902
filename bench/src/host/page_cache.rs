//! [`PageCache`]: how full memory was, and what a page of the page cache costs on this machine.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::kernel_text::bytes_after;

/// What is written to see what a page costs.
const TRIED_BYTES: usize = 64 << 20;
const PAGE_BYTES: usize = 4096;

/// The state of memory when a run began.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PageCache {
    /// Memory that nobody uses: pages from it must be cleared, and on a virtual machine may have to
    /// be fetched from the host first.
    pub free_bytes: Option<u64>,
    /// Pages of files.
    pub cached_bytes: Option<u64>,
    /// Whether a balloon gives free pages back to the host, so that each costs the more when it is
    /// used again.
    pub free_page_reporting: Option<bool>,
    /// What writing a page of a new file takes, and writing it again: with a cache that is full of
    /// old pages, and on bare metal, the first is nearer to the second.
    pub new_page_us: Option<f64>,
    /// As above.
    pub used_page_us: Option<f64>,
}

impl PageCache {
    /// Looks at it, and writes to a file in that folder, which is removed again.
    pub fn read(data_dir: &Path) -> PageCache {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let (new_page_us, used_page_us) = page_us(data_dir).unzip();
        PageCache {
            free_bytes: bytes_after(&meminfo, "MemFree:"),
            cached_bytes: bytes_after(&meminfo, "Cached:"),
            free_page_reporting: Some(has_balloon()),
            new_page_us,
            used_page_us,
        }
    }
}

/// Whether the kernel can report free pages, and there is a balloon to report them to.
fn has_balloon() -> bool {
    let devices = fs::read_dir("/sys/bus/virtio/drivers/virtio_balloon");
    let mut names = devices.into_iter().flatten().flatten().map(|entry| entry.file_name());
    let bound = names.any(|name| name.as_encoded_bytes().starts_with(b"virtio"));
    bound && Path::new("/sys/module/page_reporting").exists()
}

/// Microseconds for a page of a new file, and for the same page again.
fn page_us(dir: &Path) -> Option<(f64, f64)> {
    let file = tempfile::Builder::new().prefix("ringlog-bench-").tempfile_in(dir).ok()?;
    let file = OpenOptions::new().write(true).open(file.path()).ok()?;
    let block = vec![0x5a; 1 << 20];
    let write = || {
        let began = Instant::now();
        for at in (0..TRIED_BYTES).step_by(block.len()) {
            file.write_all_at(&block, at as u64).ok()?;
        }
        Some(began.elapsed().as_secs_f64() * 1e6 / (TRIED_BYTES / PAGE_BYTES) as f64)
    };
    write().zip(write())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_costs_something() {
        let dir = tempfile::tempdir().expect("a folder");
        let found = PageCache::read(dir.path());
        assert!(found.free_bytes.is_some_and(|bytes| bytes > 0));
        assert!(found.new_page_us.is_some_and(|us| us > 0.0), "{found:?}");
        assert!(found.used_page_us.is_some_and(|us| us > 0.0), "{found:?}");
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 0, "the file is gone");
    }
}

//! [`Prepared`]: a file in the state that a case asks for.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use anyhow::{Context, Result};
use ringlog_engine::io::Buf;
use rustix::fs::{Advice, FallocateFlags, OFlags, fadvise, fallocate};

use super::case::{Case, FileState};

const STEP_BYTES: usize = 1 << 20;

/// A file that is removed when it is dropped.
pub struct Prepared {
    /// Opened as the case asks.
    pub file: File,
    /// Where it is.
    pub path: PathBuf,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // The folder is somebody's: what cannot be removed is theirs to see.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes a file of so many bytes.
pub fn prepare(case: &Case, bytes: u64) -> Result<Prepared> {
    let path = case.dir.join(format!("ringlog-bench-io-{}", std::process::id()));
    let context = || format!("{}", path.display());
    let open = |flags: OFlags| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).custom_flags(flags.bits() as i32).open(&path)
    };
    let mut made =
        Prepared { file: open(OFlags::empty()).with_context(context)?, path: path.clone() };
    made.file.set_len(0).with_context(context)?;
    match case.file {
        FileState::New => {}
        FileState::Fallocated => {
            fallocate(&made.file, FallocateFlags::empty(), 0, bytes).with_context(context)?;
        }
        FileState::Zeroed => {
            fill(&made.file, bytes, 0).with_context(context)?;
            // Clean pages only are let go of.
            made.file.sync_all().with_context(context)?;
            fadvise(&made.file, 0, None, Advice::DontNeed).with_context(context)?;
        }
        FileState::Recycled => fill(&made.file, bytes, 7).with_context(context)?,
    }
    // Nothing of the preparation is to be written while the case runs.
    made.file.sync_all().with_context(context)?;
    if case.mode.is_direct() {
        made.file = open(OFlags::DIRECT).with_context(context)?;
    }
    Ok(made)
}

fn fill(file: &File, bytes: u64, byte: u8) -> std::io::Result<()> {
    let step = vec![byte; STEP_BYTES];
    let mut at = 0;
    while at < bytes {
        let length = (bytes - at).min(STEP_BYTES as u64) as usize;
        file.write_all_at(&step[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

/// A block on a page's boundary, with something in it.
pub fn block(bytes: u64) -> Buf {
    let bytes = bytes as usize;
    let mut buf = Buf::with_capacity(bytes);
    buf.set_len(bytes);
    for (index, byte) in buf.iter_mut().enumerate() {
        *byte = index as u8;
    }
    buf
}

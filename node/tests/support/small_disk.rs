//! [`SmallDisk`]: a file system that is soon full.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::run;

/// A file system in memory; unmounted at the end.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// One of so many MiB; `None` for whoever may not mount.
    pub fn mount(at: &Path, mib: u32) -> Option<SmallDisk> {
        std::fs::create_dir_all(at).expect("made");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(at);
        if !mount.output().is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: a small file system cannot be mounted (not root?)");
            return None;
        }
        Some(SmallDisk(at.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it another size.
    pub fn resize(&self, mib: u32) {
        let size = format!("remount,size={mib}m");
        run(Command::new("mount").args(["-o", &size]).arg(&self.0));
    }

    /// Leaves so many bytes.
    pub fn fill(&self, left: usize) {
        let mut ballast = std::fs::File::create(self.ballast()).expect("made");
        let block = [1; 4096];
        let mut written: u64 = 0;
        while ballast.write_all(&block).is_ok() {
            written += 4096;
        }
        ballast.set_len(written.saturating_sub(left as u64)).expect("cut");
    }

    /// Takes away what filled it.
    pub fn empty(&self) {
        std::fs::remove_file(self.ballast()).expect("there");
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Nothing more can be done about a failure.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

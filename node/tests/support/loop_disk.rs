//! [`LoopDisk`]: a file system of our own on a loop device, whose power can be cut.

use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{PATIENCE, run, text};

/// mkfs.xfs makes none below 300.
const IMAGE_MIB: u64 = 320;
/// `_IOR('X', 125, u32)`, and its flag for: without flushing the journal. xfs had it first.
const FS_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
const NO_LOG_FLUSH: u32 = 2;
/// Which word of a block device's `stat` counts its flushes.
const FLUSHES_AT: usize = 15;

/// What a loop device can be formatted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4 as mkfs makes it: with a journal.
    Ext4,
    Xfs,
}

impl FileSystem {
    pub const ALL: [FileSystem; 2] = [FileSystem::Ext4, FileSystem::Xfs];

    fn name(self) -> &'static str {
        match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
        }
    }

    fn mkfs(self) -> Command {
        let mut mkfs = Command::new(format!("mkfs.{}", self.name()));
        match self {
            FileSystem::Ext4 => mkfs.args(["-q", "-F"]),
            FileSystem::Xfs => mkfs.args(["-q", "-f"]),
        };
        mkfs
    }
}

/// A mounted file system; gone at the end.
pub struct LoopDisk {
    file_system: FileSystem,
    device: String,
    at: PathBuf,
}

impl LoopDisk {
    /// One whose image is in `folder`; `None`, said aloud, for whoever cannot have it. Where
    /// RINGLOG_REQUIRE_INTEROP says that nothing is skipped, root must be able to.
    pub fn make(file_system: FileSystem, folder: &Path, at: PathBuf) -> Option<LoopDisk> {
        let image = folder.join(format!("image-{}", file_system.name()));
        let file = std::fs::File::create(&image).expect("a file");
        file.set_len(IMAGE_MIB << 20).expect("grown");
        let mkfs = file_system.mkfs().arg(&image).output();
        let device = Command::new("losetup").args(["-f", "--show"]).arg(&image).output();
        let worked = |output: &std::io::Result<std::process::Output>| {
            output.as_ref().is_ok_and(|output| output.status.success())
        };
        if !worked(&mkfs) || !worked(&device) {
            let root = std::fs::metadata("/proc/self").expect("there").uid() == 0;
            let required = std::env::var("RINGLOG_REQUIRE_INTEROP").is_ok_and(|set| set == "1");
            assert!(!(root && required), "no {file_system:?}: {mkfs:?}, {device:?}");
            eprintln!("SKIPPED: no loop device with {file_system:?} can be had (not root?)");
            return None;
        }
        let device = String::from_utf8_lossy(&device.expect("it worked").stdout).trim().to_owned();
        std::fs::create_dir_all(&at).expect("made");
        let disk = LoopDisk { file_system, device, at };
        disk.mount();
        Some(disk)
    }

    fn mount(&self) {
        let name = self.file_system.name();
        run(Command::new("mount").args(["-t", name, &self.device]).arg(&self.at));
    }

    /// How often the device was flushed.
    pub fn flushes(&self) -> u64 {
        let name = Path::new(&self.device).file_name().expect("a device").to_string_lossy();
        let stat = std::fs::read_to_string(format!("/sys/block/{name}/stat")).expect("there");
        let words: Vec<&str> = stat.split_whitespace().collect();
        words[FLUSHES_AT].parse().expect("a number")
    }

    /// From now on nothing reaches the device, not even what the journal holds.
    pub fn cut_power(&self) {
        let dir = std::fs::File::open(&self.at).expect("mounted");
        // SAFETY: the kernel reads four bytes from a number that outlives the call.
        let done = unsafe { libc::ioctl(dir.as_raw_fd(), FS_IOC_SHUTDOWN, &NO_LOG_FLUSH) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }

    /// Has every write wait for as long as the answer is kept.
    pub fn freeze(&self) -> Frozen {
        run(Command::new("fsfreeze").arg("-f").arg(&self.at));
        Frozen(self.at.clone())
    }

    /// Mounts it as the next boot does.
    pub fn mount_again(&self) {
        // What the process had in flight lets go of its files a little after it is gone.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = Command::new("umount").arg(&self.at).output().expect("it runs");
            if output.status.success() {
                break;
            }
            assert!(Instant::now() < deadline, "{}", text(&output));
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self.mount();
    }
}

/// A file system that stands still.
pub struct Frozen(PathBuf);

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = Command::new("fsfreeze").arg("-u").arg(&self.0).output();
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
        let _ = Command::new("losetup").args(["-d", &self.device]).output();
    }
}

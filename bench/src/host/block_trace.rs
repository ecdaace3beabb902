//! [`BlockTrace`]: what a device is asked to write, from the kernel's tracepoint block_rq_issue
//! (Documentation/trace/events.rst): how large the requests are, and how many of them go on where
//! another has ended.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const TRACING: &str = "/sys/kernel/tracing/instances";
const PREFIX: &str = "ringlog-bench-";
const EVENT: &str = "events/block/block_rq_issue";
/// How the kernel numbers devices (linux/kdev_t.h).
const MINOR_BITS: u32 = 20;
/// Ends of requests that are remembered: a request that begins at one of them is sequential.
const ENDS_MAX: usize = 1024;
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Requests to write.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BlockWrites {
    /// How many.
    pub requests: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that begin where another one has ended.
    pub sequential: u64,
}

/// A trace under way.
pub struct BlockTrace {
    instance: PathBuf,
    stop: Arc<AtomicBool>,
    reading: Option<JoinHandle<Counting>>,
}

impl BlockTrace {
    /// Begins to watch the device that a folder is on. Needs root, and tracefs mounted.
    pub fn start(folder: &Path) -> Result<BlockTrace> {
        let device = device_of(folder)?;
        remove_stale();
        let instance = Path::new(TRACING).join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&instance).with_context(|| {
            format!("{} (root? mount -t tracefs nodev /sys/kernel/tracing)", instance.display())
        })?;
        let mut trace = BlockTrace { instance, stop: Arc::default(), reading: None };
        // Writes to this device, not discards and not flushes without data.
        let (major, minor) = device;
        let number = u64::from(major) << MINOR_BITS | u64::from(minor);
        let filter = format!("dev == {number} && bytes > 0 && rwbs ~ \"W*\"");
        fs::write(trace.event("filter"), filter)?;
        fs::write(trace.event("enable"), "1")?;
        let pipe = File::open(trace.instance.join("trace_pipe"))?;
        let stop = Arc::clone(&trace.stop);
        let read = move || follow(pipe, &stop);
        trace.reading =
            Some(std::thread::Builder::new().name("block-trace".to_owned()).spawn(read)?);
        Ok(trace)
    }

    fn event(&self, file: &str) -> PathBuf {
        self.instance.join(EVENT).join(file)
    }

    /// Stops the kernel's events, so that the reader finds an end, and waits for that.
    fn end(&mut self) -> Result<Counting> {
        let disabled = fs::write(self.event("enable"), "0");
        self.stop.store(true, Ordering::Relaxed);
        let reading = self.reading.take().context("the trace has ended before")?;
        let seen = reading.join().map_err(|_| anyhow!("the reader of the trace panicked"))?;
        disabled?;
        Ok(seen)
    }

    /// Ends, with what was seen.
    pub fn finish(mut self) -> Result<BlockWrites> {
        let seen = self.end()?;
        ensure!(seen.lost == 0, "the kernel's buffer of events was too small");
        ensure!(
            seen.writes.requests > 0,
            "no request to write was seen: is the device made of others (dm, md)?"
        );
        Ok(seen.writes)
    }
}

/// Removes what harnesses that were killed have left.
fn remove_stale() {
    let Ok(instances) = fs::read_dir(TRACING) else { return };
    for entry in instances.flatten() {
        let name = entry.file_name();
        let pid = name.to_string_lossy().strip_prefix(PREFIX).map(str::to_owned);
        let dead = pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if dead {
            // One that is in use stays.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

impl Drop for BlockTrace {
    fn drop(&mut self) {
        // After `finish` there is nothing to end; before it, the run has failed for another reason.
        let _ = self.end();
        // What is left here goes at the next start of a trace.
        let _ = fs::remove_dir(&self.instance);
    }
}

/// Major and minor number of the disk that a folder's file system is on.
fn device_of(folder: &Path) -> Result<(u32, u32)> {
    let device = fs::metadata(folder)?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let entry = format!("/sys/dev/block/{major}:{minor}");
    let entry = fs::canonicalize(&entry)
        .with_context(|| format!("{} is on no block device", folder.display()))?;
    // Requests are those of the disk, not of its partition.
    let disk = if entry.join("partition").exists() { entry.parent() } else { None };
    let text = fs::read_to_string(disk.unwrap_or(&entry).join("dev"))?;
    let numbers = text.trim().split_once(':').context("a device without numbers")?;
    Ok((numbers.0.parse()?, numbers.1.parse()?))
}

/// Reads until it is told to stop and there is nothing left.
fn follow(pipe: File, stop: &AtomicBool) -> Counting {
    let mut counting = Counting::default();
    let mut lines = BufReader::new(pipe);
    let mut line = String::new();
    loop {
        if lines.buffer().is_empty() {
            let mut ready = [PollFd::new(lines.get_ref(), PollFlags::IN)];
            match poll(&mut ready, Some(&LOOK)) {
                Ok(0) if stop.load(Ordering::Relaxed) => return counting,
                Ok(0) => continue,
                Ok(_) => {}
                Err(_) => return counting,
            }
        }
        line.clear();
        match lines.read_line(&mut line) {
            Ok(0) | Err(_) => return counting,
            Ok(_) => counting.take(&line),
        }
    }
}

#[derive(Debug, Default)]
struct Counting {
    writes: BlockWrites,
    /// Events that the kernel had no room for.
    lost: u64,
    ends: VecDeque<u64>,
}

impl Counting {
    /// `.. block_rq_issue: 254,0 WS 4096 () 12345 + 8 none,0,0 [name]`
    fn take(&mut self, line: &str) {
        if line.contains("[LOST") {
            self.lost += 1;
        }
        let Some((_, event)) = line.split_once("block_rq_issue: ") else { return };
        let fields: Vec<&str> = event.split_ascii_whitespace().collect();
        let Some(plus) = fields.iter().position(|field| *field == "+") else { return };
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let places = (number(2), number(plus.wrapping_sub(1)), number(plus + 1));
        let (Some(bytes), Some(start), Some(sectors)) = places else { return };
        self.writes.requests += 1;
        self.writes.bytes += bytes;
        match self.ends.iter().position(|end| *end == start) {
            Some(at) => {
                self.writes.sequential += 1;
                self.ends.remove(at);
            }
            None if self.ends.len() == ENDS_MAX => {
                self.ends.pop_front();
            }
            None => {}
        }
        self.ends.push_back(start + sectors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_go_on_where_another_has_ended_are_sequential() {
        let mut counting = Counting::default();
        for (start, sectors) in [(100, 8), (500, 16), (108, 8)] {
            let bytes = sectors * 512;
            let line = format!(
                " ringlog-7 [001] d..1. 1.5: block_rq_issue: 254,0 WS {bytes} () {start} + \
                 {sectors} none,0,0 [ringlog]\n"
            );
            counting.take(&line);
        }
        counting.take("CPU:1 [LOST 5 EVENTS]\n");
        let seen = BlockWrites { requests: 3, bytes: 32 * 512, sequential: 1 };
        assert_eq!((counting.writes, counting.lost), (seen, 1));
    }
}

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

use anyhow::{Context, Result, anyhow};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const TRACING: &str = "/sys/kernel/tracing/instances";
const EVENT: &str = "events/block/block_rq_issue";
/// Writes, not discards and not flushes without data.
const FILTER: &str = "bytes > 0 && rwbs ~ \"W*\"";
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
    reading: Option<JoinHandle<BlockWrites>>,
}

impl BlockTrace {
    /// Begins to watch the device that a folder is on. Needs root, and tracefs mounted.
    pub fn start(folder: &Path) -> Result<BlockTrace> {
        let device = device_of(folder)?;
        let instance = Path::new(TRACING).join(format!("ringlog-bench-{}", std::process::id()));
        fs::create_dir(&instance).with_context(|| {
            format!("{} (root? mount -t tracefs nodev /sys/kernel/tracing)", instance.display())
        })?;
        let mut trace = BlockTrace { instance, stop: Arc::default(), reading: None };
        let event = trace.instance.join(EVENT);
        fs::write(event.join("filter"), FILTER)?;
        fs::write(event.join("enable"), "1")?;
        let pipe = File::open(trace.instance.join("trace_pipe"))?;
        let stop = Arc::clone(&trace.stop);
        let read = move || follow(pipe, &device, &stop);
        trace.reading =
            Some(std::thread::Builder::new().name("block-trace".to_owned()).spawn(read)?);
        Ok(trace)
    }

    /// Ends, with what was seen.
    pub fn finish(mut self) -> Result<BlockWrites> {
        self.stop.store(true, Ordering::Relaxed);
        let reading = self.reading.take().context("it was started")?;
        reading.join().map_err(|_| anyhow!("reading the kernel's trace"))
    }
}

impl Drop for BlockTrace {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reading) = self.reading.take() {
            // It does not panic; an error of reading has ended it.
            let _ = reading.join();
        }
        // What the kernel keeps of it is small, and gone with the next boot.
        let _ = fs::remove_dir(&self.instance);
    }
}

/// `MAJOR,MINOR` of the disk that a folder's file system is on.
fn device_of(folder: &Path) -> Result<String> {
    let device = fs::metadata(folder)?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let entry = format!("/sys/dev/block/{major}:{minor}");
    let entry = fs::canonicalize(&entry)
        .with_context(|| format!("{} is on no block device", folder.display()))?;
    // Requests are those of the disk, not of its partition.
    let disk = if entry.join("partition").exists() { entry.parent() } else { None };
    let numbers = fs::read_to_string(disk.unwrap_or(&entry).join("dev"))?;
    Ok(numbers.trim().replace(':', ","))
}

/// Reads until it is told to stop and there is nothing left.
fn follow(pipe: File, device: &str, stop: &AtomicBool) -> BlockWrites {
    let mut counting = Counting::default();
    let mut lines = BufReader::new(pipe);
    let mut line = String::new();
    loop {
        if lines.buffer().is_empty() {
            let mut ready = [PollFd::new(lines.get_ref(), PollFlags::IN)];
            match poll(&mut ready, Some(&LOOK)) {
                Ok(0) if stop.load(Ordering::Relaxed) => return counting.writes,
                Ok(0) => continue,
                Ok(_) => {}
                Err(_) => return counting.writes,
            }
        }
        line.clear();
        match lines.read_line(&mut line) {
            Ok(0) | Err(_) => return counting.writes,
            Ok(_) => counting.take(&line, device),
        }
    }
}

#[derive(Default)]
struct Counting {
    writes: BlockWrites,
    ends: VecDeque<u64>,
}

impl Counting {
    /// `.. block_rq_issue: 254,0 WS 4096 () 12345 + 8 none,0,0 [name]`
    fn take(&mut self, line: &str, device: &str) {
        let Some((_, event)) = line.split_once("block_rq_issue: ") else { return };
        let fields: Vec<&str> = event.split_ascii_whitespace().collect();
        let Some(plus) = fields.iter().position(|field| *field == "+") else { return };
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let places = (number(2), number(plus.wrapping_sub(1)), number(plus + 1));
        let (Some(bytes), Some(start), Some(sectors)) = places else { return };
        if fields.first() != Some(&device) {
            return;
        }
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
        for (device, start, sectors) in
            [("254,0", 100, 8), ("254,0", 500, 16), ("254,0", 108, 8), ("8,0", 516, 8)]
        {
            let bytes = sectors * 512;
            let line = format!(
                " ringlog-7 [001] d..1. 1.5: block_rq_issue: {device} WS {bytes} () {start} + \
                 {sectors} none,0,0 [ringlog]\n"
            );
            counting.take(&line, "254,0");
        }
        counting.take("CPU:1 [LOST 5 EVENTS]\n", "254,0");
        let seen = BlockWrites { requests: 3, bytes: 32 * 512, sequential: 1 };
        assert_eq!(counting.writes, seen);
    }
}

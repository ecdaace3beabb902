//! [`ProcessWatch`]: a process's CPU time and memory, from /proc.

use std::fs;

use anyhow::{Context, Result, anyhow};

use crate::figures::{BrokerUse, GeneratorUse};
use crate::host::{bytes_after, number_after};

/// Writing this to /proc/PID/clear_refs forgets the peak of the resident memory.
const CLEAR_PEAK: &str = "5";

/// Processes to look at, as one: the nodes of a cluster.
#[derive(Clone, Debug)]
pub struct ProcessWatch {
    pids: Vec<u32>,
    ticks_per_second: u64,
}

/// A look at a process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessSample {
    /// User and system time of all its threads, those that ended and kernel workers among them.
    pub cpu_seconds: f64,
    /// The system time among it.
    pub system_seconds: f64,
    /// User and system time, and system time alone, of the processes that it has started and that
    /// have ended.
    pub children_seconds: (f64, f64),
    /// The most memory that was resident.
    pub peak_rss_bytes: u64,
    /// Memory that is resident now.
    pub rss_bytes: u64,
    /// That part of it which is in no file: of a JVM without its mapped indexes.
    pub anonymous_bytes: u64,
    /// Bytes that it has caused to be written to storage, as far as it was let know.
    pub written_bytes: Option<u64>,
    /// Switches of the threads that it has now.
    pub context_switches: u64,
}

impl ProcessSample {
    /// What was used since an earlier look.
    pub fn since(&self, before: &ProcessSample) -> BrokerUse {
        let written = self.written_bytes.zip(before.written_bytes);
        BrokerUse {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            system_seconds: Some(self.system_seconds - before.system_seconds),
            peak_rss_bytes: self.peak_rss_bytes,
            written_bytes: written.map(|(after, before)| after.saturating_sub(before)),
            // A thread that has ended takes its count along.
            context_switches: self.context_switches.saturating_sub(before.context_switches),
        }
    }

    /// Both processes as one.
    fn and(&self, other: &ProcessSample) -> ProcessSample {
        let written = self.written_bytes.zip(other.written_bytes);
        ProcessSample {
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
            system_seconds: self.system_seconds + other.system_seconds,
            children_seconds: (
                self.children_seconds.0 + other.children_seconds.0,
                self.children_seconds.1 + other.children_seconds.1,
            ),
            peak_rss_bytes: self.peak_rss_bytes + other.peak_rss_bytes,
            rss_bytes: self.rss_bytes + other.rss_bytes,
            anonymous_bytes: self.anonymous_bytes + other.anonymous_bytes,
            written_bytes: written.map(|(one, other)| one + other),
            context_switches: self.context_switches + other.context_switches,
        }
    }

    /// What this process and tools that have ended meanwhile have used, so many seconds after an
    /// earlier look.
    pub fn generator_since(&self, before: &ProcessSample, seconds: f64) -> GeneratorUse {
        let cpu = |sample: &ProcessSample| sample.cpu_seconds + sample.children_seconds.0;
        let system = |sample: &ProcessSample| sample.system_seconds + sample.children_seconds.1;
        let cpu_seconds = cpu(self) - cpu(before);
        let system_seconds = system(self) - system(before);
        GeneratorUse { cpu_seconds, system_seconds, busy: cpu_seconds / seconds }
    }
}

impl ProcessWatch {
    /// Watches a process that exists.
    pub fn new(pid: u32) -> Result<ProcessWatch> {
        Self::of_all(vec![pid])
    }

    /// Watches processes that exist, as one.
    pub fn of_all(pids: Vec<u32>) -> Result<ProcessWatch> {
        let watch =
            ProcessWatch { pids, ticks_per_second: rustix::param::clock_ticks_per_second() };
        watch.sample()?;
        Ok(watch)
    }

    /// Watches this process; `None` where the kernel does not let it.
    pub fn own() -> Option<ProcessWatch> {
        Self::new(std::process::id()).ok()
    }

    /// Looks.
    pub fn sample(&self) -> Result<ProcessSample> {
        let all = self.pids.iter().map(|pid| self.sample_one(*pid));
        all.reduce(|sum, one| Ok(sum?.and(&one?))).unwrap_or_else(|| Ok(ProcessSample::default()))
    }

    fn sample_one(&self, pid: u32) -> Result<ProcessSample> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).with_context(|| format!("{path}: is there such a process?"))
        };
        let ticks = cpu_ticks(&read("stat")?)
            .ok_or_else(|| anyhow!("/proc/{pid}/stat is not as expected"))?;
        let [user, system, children_user, children_system] =
            ticks.map(|ticks| ticks as f64 / self.ticks_per_second as f64);
        let status = read("status")?;
        let bytes = |key: &str| bytes_after(&status, key).unwrap_or(0);
        Ok(ProcessSample {
            cpu_seconds: user + system,
            system_seconds: system,
            children_seconds: (children_user + children_system, children_system),
            peak_rss_bytes: bytes("VmHWM:"),
            rss_bytes: bytes("VmRSS:"),
            anonymous_bytes: bytes("RssAnon:"),
            // Of another user's process it is not to be read.
            written_bytes: read("io").ok().and_then(|io| number_after(&io, "write_bytes:")),
            context_switches: context_switches(pid),
        })
    }

    /// Descriptors that are open; `None` of another user's process.
    pub fn descriptors(&self) -> Option<usize> {
        let count = |pid: &u32| Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count());
        self.pids.iter().map(count).sum()
    }

    /// Makes the peak begin anew, where that is allowed.
    pub fn reset_peak(&self) {
        // Of another user's process it is not; the peak is then that of its whole life.
        for pid in &self.pids {
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), CLEAR_PEAK);
        }
    }
}

fn context_switches(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).ok();
    let keys = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
    tasks
        .flatten()
        .filter_map(status)
        .map(|status| keys.iter().filter_map(|key| number_after(&status, key)).sum::<u64>())
        .sum()
}

/// utime, stime, cutime, cstime. The command before them may hold anything, parentheses too.
fn cpu_ticks(stat: &str) -> Option<[u64; 4]> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse().ok();
    Some([next()?, next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    use super::*;

    /// Of a process of its own: the threads of this one come and go with its tests, and take what
    /// they count with them.
    #[test]
    fn a_process_has_used_time_and_memory() {
        let script = "while read -r line; do echo \"$line\"; done";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let watch = ProcessWatch::new(child.id()).expect("the child exists");
        let before = watch.sample().expect("readable");
        let mut to_child = child.stdin.take().expect("piped");
        let mut from_child = BufReader::new(child.stdout.take().expect("piped")).lines();
        let used = loop {
            for _ in 0..100 {
                to_child.write_all(b"line\n").expect("the child reads");
                assert_eq!(from_child.next().expect("the child answers").expect("text"), "line");
            }
            let used = watch.sample().expect("readable").since(&before);
            if used.cpu_seconds > 0.0 && used.context_switches > 0 {
                break used;
            }
        };
        drop(to_child);
        child.wait().expect("its input has ended");
        assert!(used.peak_rss_bytes > 1 << 16 && used.written_bytes.is_some(), "{used:?}");
        let system = used.system_seconds.expect("told apart");
        assert!((0.0..=used.cpu_seconds).contains(&system), "{used:?}");
        assert!(ProcessWatch::new(u32::MAX).is_err());
    }

    #[test]
    fn odd_command_names_do_not_confuse() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 2 3 4 150 25 3 4 20 0 1 0 5";
        assert_eq!(cpu_ticks(stat), Some([150, 25, 3, 4]));
        assert_eq!(cpu_ticks("nonsense"), None);
    }
}

//! [`ProcessWatch`]: a process's CPU time and memory, from /proc.

use std::fs;

use anyhow::{Context, Result, anyhow};

/// Writing this to /proc/PID/clear_refs forgets the peak of the resident memory.
const CLEAR_PEAK: &str = "5";

/// A process to look at.
#[derive(Clone, Debug)]
pub struct ProcessWatch {
    pid: u32,
    ticks_per_second: u64,
}

/// A look at a process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessSample {
    /// User and system time of all its threads, those that ended and kernel workers among them.
    pub cpu_seconds: f64,
    /// The most memory that was resident.
    pub peak_rss_bytes: u64,
}

impl ProcessWatch {
    /// Watches a process that exists.
    pub fn new(pid: u32) -> Result<ProcessWatch> {
        let watch = ProcessWatch { pid, ticks_per_second: rustix::param::clock_ticks_per_second() };
        watch.sample()?;
        Ok(watch)
    }

    /// Looks.
    pub fn sample(&self) -> Result<ProcessSample> {
        let read = |name: &str| {
            let path = format!("/proc/{}/{name}", self.pid);
            fs::read_to_string(&path).with_context(|| format!("{path}: is there such a process?"))
        };
        let ticks = cpu_ticks(&read("stat")?)
            .ok_or_else(|| anyhow!("/proc/{}/stat is not as expected", self.pid))?;
        let peak = peak_rss_kib(&read("status")?).unwrap_or(0);
        Ok(ProcessSample {
            cpu_seconds: ticks as f64 / self.ticks_per_second as f64,
            peak_rss_bytes: peak * 1024,
        })
    }

    /// Makes the peak begin anew, where that is allowed.
    pub fn reset_peak(&self) {
        // Of another user's process it is not; the peak is then that of its whole life.
        let _ = fs::write(format!("/proc/{}/clear_refs", self.pid), CLEAR_PEAK);
    }
}

/// utime + stime. The command before them may hold anything, parentheses too.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn peak_rss_kib(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_used_time_and_memory() {
        let watch = ProcessWatch::new(std::process::id()).expect("this process exists");
        let before = watch.sample().expect("readable");
        assert!(before.peak_rss_bytes > 1 << 20);
        let mut sum = 0u64;
        while watch.sample().expect("readable").cpu_seconds < before.cpu_seconds + 0.02 {
            sum = (0..100_000u64).fold(sum, |sum, i| sum.wrapping_mul(31).wrapping_add(i));
        }
        assert!(watch.sample().expect("readable").cpu_seconds > before.cpu_seconds, "{sum}");
        assert!(ProcessWatch::new(u32::MAX).is_err());
    }

    #[test]
    fn odd_command_names_do_not_confuse() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 2 3 4 150 25 0 0 20 0 1 0 5";
        assert_eq!(cpu_ticks(stat), Some(175));
        assert_eq!(cpu_ticks("nonsense"), None);
    }
}

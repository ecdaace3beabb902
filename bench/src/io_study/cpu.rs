//! [`Meter`]: processor time of this process, and of the kernel's own threads.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

use super::Used;

/// PF_KTHREAD of a process's flags.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// Started before a case and stopped after it.
pub struct Meter {
    began: Instant,
    process: f64,
    /// Ticks of each kernel thread.
    kernel: BTreeMap<u64, u64>,
}

impl Meter {
    /// Begins.
    pub fn start() -> Meter {
        let kernel = kernel_threads();
        Meter { began: Instant::now(), process: cpu(ClockId::ProcessCPUTime), kernel }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What was used since.
    pub fn stop(self) -> Used {
        let process = cpu(ClockId::ProcessCPUTime) - self.process;
        let wall = self.began.elapsed();
        Used { wall, process, kernel: seconds_between(&self.kernel, &kernel_threads()) }
    }
}

/// Seconds that a clock of processor time shows. The process's counts its io_uring workers: they
/// are its threads.
pub fn cpu(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.max(0) as u32).as_secs_f64()
}

/// Seconds that kernel threads have used meanwhile. One that has ended takes its count along.
fn seconds_between(before: &BTreeMap<u64, u64>, after: &BTreeMap<u64, u64>) -> f64 {
    let at_first = |id: &u64| before.get(id).copied().unwrap_or(0);
    let used = after.iter().map(|(id, ticks)| ticks.saturating_sub(at_first(id)));
    used.sum::<u64>() as f64 / clock_ticks_per_second() as f64
}

/// Ticks that each kernel thread has used: writeback, journals, interrupts in threads.
fn kernel_threads() -> BTreeMap<u64, u64> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let thread = |entry: fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((id, kernel_ticks(&stat)?))
    };
    entries.filter_map(thread).collect()
}

/// User and system time of a kernel thread; `None` of a process.
fn kernel_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    (number(6)? & KERNEL_THREAD != 0).then_some(number(11)? + number(12)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_threads_are_told_from_processes() {
        let kernel = "12 (kworker/0:1) I 2 0 0 0 -1 69238880 0 0 0 0 3 40 0 0 20 0 1 0";
        assert_eq!(kernel_ticks(kernel), Some(43));
        let process = "12 (a) b) S 2 0 0 0 -1 4194304 0 0 0 0 3 40 0 0 20 0 1 0";
        assert_eq!(kernel_ticks(process), None);
        // A thread that has ended took its ticks along; that is no time given back.
        let before = BTreeMap::from([(1, 50), (2, 900)]);
        let after = BTreeMap::from([(1, 53), (3, 7)]);
        let ticks = seconds_between(&before, &after) * clock_ticks_per_second() as f64;
        assert_eq!(ticks.round(), 10.0);
        let meter = Meter::start();
        let sum = (0..20_000_000u64).fold(0u64, |sum, i| sum.wrapping_mul(31).wrapping_add(i));
        let used = meter.stop();
        assert!(used.process > 0.0 && used.wall > Duration::ZERO && used.kernel >= 0.0, "{sum}");
    }
}

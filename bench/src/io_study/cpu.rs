//! [`Meter`]: processor time of this process, and of the kernel's own threads.

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
    kernel: f64,
}

impl Meter {
    /// Begins.
    pub fn start() -> Meter {
        let kernel = kernel_threads();
        Meter { began: Instant::now(), process: cpu(ClockId::ProcessCPUTime), kernel }
    }

    /// What was used since.
    pub fn stop(self) -> Used {
        let process = cpu(ClockId::ProcessCPUTime) - self.process;
        let wall = self.began.elapsed();
        Used { wall, process, kernel: kernel_threads() - self.kernel }
    }
}

/// Seconds that a clock of processor time shows. The process's counts its io_uring workers: they
/// are its threads.
pub fn cpu(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.max(0) as u32).as_secs_f64()
}

/// Seconds that all kernel threads have used: writeback, journals, interrupts in threads.
fn kernel_threads() -> f64 {
    let Ok(processes) = fs::read_dir("/proc") else { return 0.0 };
    let stat = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("stat")).ok();
    let numbered =
        |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let ticks: u64 = processes
        .flatten()
        .filter(numbered)
        .filter_map(stat)
        .filter_map(|s| kernel_ticks(&s))
        .sum();
    ticks as f64 / clock_ticks_per_second() as f64
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
        let meter = Meter::start();
        let sum = (0..20_000_000u64).fold(0u64, |sum, i| sum.wrapping_mul(31).wrapping_add(i));
        let used = meter.stop();
        assert!(used.process > 0.0 && used.wall > Duration::ZERO && used.kernel >= 0.0, "{sum}");
    }
}

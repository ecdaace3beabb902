//! [`MachineSample`]: what the whole machine has done, from /proc. A broker's own processor time is
//! not all that it costs: the kernel writes back and receives for it, and a hypervisor takes time
//! that no process is charged for.

use std::fs;

use super::kernel_text::{bytes_after, number_after};
use crate::figures::MachineUse;

/// Kernel threads that write back, by the beginnings of their names; and those of the file
/// systems' journals and of memory.
const WRITEBACK_THREADS: [&str; 6] = ["kworker", "jbd2", "xfs", "kswapd", "kcompactd", "btrfs"];

/// The flag of a thread of the kernel in /proc/PID/stat (PF_KTHREAD).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// A look at the machine's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MachineSample {
    steal_seconds: f64,
    softirq_seconds: f64,
    iowait_seconds: f64,
    writeback_seconds: f64,
    written_bytes: u64,
}

impl MachineSample {
    /// Looks.
    pub fn take() -> MachineSample {
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        let seconds = |ticks: u64| ticks as f64 / ticks_per_second;
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let vmstat = fs::read_to_string("/proc/vmstat").unwrap_or_default();
        let [iowait, softirq, steal] = cpu_ticks(&stat).unwrap_or_default();
        let page = rustix::param::page_size() as u64;
        MachineSample {
            steal_seconds: seconds(steal),
            softirq_seconds: seconds(softirq),
            iowait_seconds: seconds(iowait),
            writeback_seconds: seconds(writeback_ticks()),
            written_bytes: number_after(&vmstat, "nr_written ").unwrap_or(0) * page,
        }
    }

    /// What has happened since an earlier look.
    pub fn since(&self, before: &MachineSample) -> MachineUse {
        MachineUse {
            steal_seconds: (self.steal_seconds - before.steal_seconds).max(0.0),
            softirq_seconds: (self.softirq_seconds - before.softirq_seconds).max(0.0),
            iowait_seconds: (self.iowait_seconds - before.iowait_seconds).max(0.0),
            writeback_seconds: (self.writeback_seconds - before.writeback_seconds).max(0.0),
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
            ..MachineUse::default()
        }
    }
}

/// Bytes that wait to be written to a device, or are on their way: Dirty and Writeback.
pub fn unwritten_bytes() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bytes = |key: &str| bytes_after(&meminfo, key).unwrap_or(0);
    bytes("Dirty:") + bytes("Writeback:")
}

/// iowait, softirq, steal of all processors.
fn cpu_ticks(stat: &str) -> Option<[u64; 3]> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let all: Vec<u64> = line.split_ascii_whitespace().flat_map(str::parse).collect();
    Some([*all.get(4)?, *all.get(6)?, *all.get(7)?])
}

/// Processor time of the kernel's threads that write back. One that has ended since takes its time
/// along; they live for minutes.
fn writeback_ticks() -> u64 {
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let pids = entries.flatten().filter(|entry| {
        entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit)
    });
    let stats = pids.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter_map(|stat| kernel_thread_ticks(&stat)).sum()
}

fn kernel_thread_ticks(stat: &str) -> Option<u64> {
    let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let ours = WRITEBACK_THREADS.iter().any(|known| name.starts_with(known));
    (ours && number(6)? & KERNEL_THREAD != 0).then_some(number(11)? + number(12)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_where_the_kernel_has_them() {
        let stat = "cpu  10 20 30 40 50 60 70 80 90 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
        assert_eq!(cpu_ticks(stat), Some([50, 70, 80]));
        assert_eq!(cpu_ticks("intr 1 2\n"), None);
        let kworker = "9 (kworker/u8:0-fl) I 2 0 0 0 -1 2129984 0 0 0 0 150 25 0 0 20 0 1 0 5";
        assert_eq!(kernel_thread_ticks(kworker), Some(175));
        let named_so = kworker.replace("2129984", "4194304");
        assert_eq!(kernel_thread_ticks(&named_so), None, "a program may have any name");
        let (before, after) = (MachineSample::take(), MachineSample::take());
        let used = after.since(&before);
        assert!(used.steal_seconds >= 0.0 && used.writeback_seconds >= 0.0);
        assert!(unwritten_bytes() < 1 << 50);
    }
}

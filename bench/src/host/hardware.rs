//! What the machine is made of beyond its processors' name: memory nodes, idle states, mitigations,
//! network interfaces, and what a control group leaves of all that.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::kernel_text::{line, number};

/// Entries of a folder of the kernel that are looked at.
const ENTRIES_MAX: usize = 1_024;

/// How processors sleep.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct CpuIdle {
    /// Who decides; `null` where nobody does.
    pub driver: Option<String>,
    /// States of the first processor, with the microseconds that waking up takes.
    pub states: BTreeMap<String, u64>,
}

/// What the control group of this process allows; `null` is no limit.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct Cgroup {
    /// Microseconds of processor time, and of how many.
    pub cpu_max: Option<String>,
    /// Bytes of memory.
    pub memory_max_bytes: Option<u64>,
}

/// A network interface.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// Of its device; `null` of one that is none.
    pub driver: Option<String>,
    /// What it says that it carries.
    pub mbit_per_second: Option<u64>,
    /// Bytes of a packet.
    pub mtu: Option<u64>,
    /// Queues of what it receives.
    pub rx_queues: usize,
    /// Queues of what it sends.
    pub tx_queues: usize,
}

/// How many nodes the memory has.
pub fn numa_nodes() -> usize {
    let nodes = names("/sys/devices/system/node");
    nodes.iter().filter(|name| name.strip_prefix("node").is_some_and(is_number)).count()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// How processors sleep.
pub fn cpu_idle() -> CpuIdle {
    let dir = "/sys/devices/system/cpu/cpu0/cpuidle";
    let state = |name: String| {
        let latency = number(&format!("{dir}/{name}/latency"))?;
        Some((line(&format!("{dir}/{name}/name"))?, latency))
    };
    CpuIdle {
        driver: line("/sys/devices/system/cpu/cpuidle/current_driver"),
        states: names(dir).into_iter().filter_map(state).collect(),
    }
}

/// Faults of the processors, and what is done about each.
pub fn mitigations() -> BTreeMap<String, String> {
    let dir = "/sys/devices/system/cpu/vulnerabilities";
    let one = |name: String| Some((name.clone(), line(&format!("{dir}/{name}"))?));
    names(dir).into_iter().filter_map(one).collect()
}

/// Limits of the control group, by cgroup v2.
pub fn cgroup() -> Cgroup {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let read = |name: &str| line(&format!("/sys/fs/cgroup{own}/{name}"));
    Cgroup {
        cpu_max: read("cpu.max").filter(|text| !text.starts_with("max")),
        memory_max_bytes: read("memory.max").and_then(|text| text.parse().ok()),
    }
}

/// Interfaces besides the loopback.
pub fn nics() -> Vec<Nic> {
    let nic = |name: String| {
        let dir = format!("/sys/class/net/{name}");
        let queues = names(&format!("{dir}/queues"));
        let count = |kind: &str| queues.iter().filter(|queue| queue.starts_with(kind)).count();
        let driver = fs::read_link(Path::new(&dir).join("device/driver")).ok();
        Nic {
            driver: driver.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())),
            mbit_per_second: number(&format!("{dir}/speed")),
            mtu: number(&format!("{dir}/mtu")),
            rx_queues: count("rx-"),
            tx_queues: count("tx-"),
            name,
        }
    };
    names("/sys/class/net").into_iter().filter(|name| name != "lo").map(nic).collect()
}

fn names(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().take(ENTRIES_MAX);
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_linux_says_is_there() {
        assert!(!mitigations().is_empty(), "every kernel since 4.15 lists them");
        assert!(nics().iter().all(|nic| nic.name != "lo" && nic.mtu.is_some()));
        assert!(is_number("12") && !is_number("") && !is_number("1a"));
        let text = serde_json::to_string(&(cpu_idle(), cgroup(), nics())).expect("JSON");
        assert!(!text.contains("NaN"));
    }
}

//! The host, as a list.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::page::escape;
use crate::host::{Host, Nic, Versions};
use crate::results::Env;

/// The machine in a line.
pub fn in_a_line(env: &Env) -> String {
    let host = &env.host;
    let mut parts = Vec::new();
    parts.extend(host.cpu_model.clone());
    parts.push(format!("{} processors", host.cpus_allowed));
    parts.extend(host.memory_bytes.map(|bytes| format!("{} GiB", bytes >> 30)));
    parts.extend(host.kernel.as_ref().map(|kernel| format!("Linux {kernel}")));
    if let Some(data) = &host.data {
        let journal = match data.journal {
            Some(true) => " with a journal",
            Some(false) => " without a journal",
            None => "",
        };
        let device = data.device.as_ref().map_or(String::new(), |device| format!(" on {device}"));
        parts.push(format!("{}{journal}{device}", data.kind));
    }
    if host.virtualised == Some(true) {
        parts.push("a virtual machine".to_owned());
    }
    parts.join(", ")
}

/// What is known of the machine.
pub fn render(host: &Host, versions: &Versions) -> String {
    let mut list = List(String::from("<dl>\n"));
    let yes = |flag: Option<bool>| flag.map(|flag| if flag { "yes" } else { "no" }.to_owned());
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let cpus = format!("{} ({} may be used)", host.cpus, host.cpus_allowed);
    list.add("Processor", host.cpu_model.clone());
    list.add("Processors", Some(cpus));
    list.add("Simultaneous multithreading", yes(host.smt));
    list.add("Frequency governor", host.governor.clone());
    let idle = host.cpu_idle.as_ref().map(|idle| {
        let driver = idle.driver.as_deref().unwrap_or("no driver");
        let state = |(name, us): (&String, &u64)| format!("{name} ({us} µs)");
        format!("{driver}: {}", idle.states.iter().map(state).collect::<Vec<_>>().join(", "))
    });
    list.add("Idle states", idle);
    list.add("Memory nodes", host.numa_nodes.map(|nodes| nodes.to_string()));
    let affected = |all: &BTreeMap<String, String>| {
        let mine = all.iter().filter(|(_, state)| *state != "Not affected");
        mine.map(|(name, state)| format!("{name}: {state}")).collect::<Vec<_>>().join("; ")
    };
    list.add("Mitigations", host.mitigations.as_ref().map(affected));
    let nic = |nic: &Nic| {
        let speed =
            nic.mbit_per_second.map_or("speed unknown".to_owned(), |s| format!("{s} Mbit/s"));
        let driver = nic.driver.as_deref().unwrap_or("no driver");
        format!("{} ({driver}, {speed}, {} + {} queues)", nic.name, nic.rx_queues, nic.tx_queues)
    };
    let nics = host.nics.as_ref();
    list.add("Network", nics.map(|n| n.iter().map(nic).collect::<Vec<_>>().join(", ")));
    let cgroup = host.cgroup.as_ref().map(|group| {
        let cpu = group.cpu_max.as_deref().unwrap_or("no limit");
        format!(
            "processors {cpu}, memory {}",
            group.memory_max_bytes.map_or("no limit".to_owned(), gib)
        )
    });
    list.add("Control group", cgroup);
    list.add("vm.swappiness", host.swappiness.map(|value| value.to_string()));
    list.add("Virtual machine", yes(host.virtualised));
    list.add("Memory", host.memory_bytes.map(gib));
    list.add("Transparent huge pages", host.transparent_hugepages.clone());
    list.add("System", host.os.clone());
    list.add("Kernel", host.kernel.clone());
    list.add("Kernel parameters", host.kernel_cmdline.clone());
    list.add("Clock", host.clock_source.clone());
    match &host.data {
        None => list.add("Data", None),
        Some(data) => {
            list.add("File system of the data", Some(data.kind.clone()));
            list.add("Mount options", Some(data.mount_options.clone()));
            list.add("Block device", data.device.clone());
            list.add("I/O scheduler", data.scheduler.clone());
            list.add("Write cache", data.write_cache.clone());
            list.add("Journal", yes(data.journal));
        }
    }
    let dirty = &host.dirty;
    let percent = |value: Option<u64>| value.map(|value| format!("{value} %"));
    list.add("vm.dirty_ratio", percent(dirty.dirty_ratio));
    list.add("vm.dirty_background_ratio", percent(dirty.dirty_background_ratio));
    let limit = |value: Option<u64>| Some(value.map_or("unlimited".to_owned(), |v| v.to_string()));
    list.add("TCP congestion control", host.tcp_congestion_control.clone());
    list.add("Locked memory, bytes", limit(host.limits.memlock_bytes));
    list.add("Open files", limit(host.limits.nofile));
    list.add("Compiler", Some(versions.rustc.clone()));
    list.0.push_str("</dl>\n");
    list.0
}

struct List(String);

impl List {
    fn add(&mut self, name: &str, value: Option<String>) {
        let value = value.unwrap_or_else(|| "not known".to_owned());
        let _ = writeln!(self.0, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(&value));
    }
}

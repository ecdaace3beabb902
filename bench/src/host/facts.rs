//! [`facts`]: a host in words, for a report's page and for a page of its own.

use std::collections::BTreeMap;

use super::{Host, Nic};

/// What is known of a host: names and values; `None` is what it does not say.
pub fn facts(host: &Host) -> Vec<(&'static str, Option<String>)> {
    let mut all = Vec::new();
    let mut add = |name, value| all.push((name, value));
    let yes = |flag: Option<bool>| flag.map(|flag| if flag { "yes" } else { "no" }.to_owned());
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let cpus = format!("{} ({} may be used)", host.cpus, host.cpus_allowed);
    add("Processor", host.cpu_model.clone());
    add("Processors", Some(cpus));
    add("Simultaneous multithreading", yes(host.smt));
    add("Frequency governor", host.governor.clone());
    let idle = host.cpu_idle.as_ref().map(|idle| {
        let driver = idle.driver.as_deref().unwrap_or("no driver");
        let state = |(name, us): (&String, &u64)| format!("{name} ({us} µs)");
        format!("{driver}: {}", idle.states.iter().map(state).collect::<Vec<_>>().join(", "))
    });
    add("Idle states", idle);
    add("Memory nodes", host.numa_nodes.map(|nodes| nodes.to_string()));
    let affected = |all: &BTreeMap<String, String>| {
        let mine = all.iter().filter(|(_, state)| *state != "Not affected");
        mine.map(|(name, state)| format!("{name}: {state}")).collect::<Vec<_>>().join("; ")
    };
    add("Mitigations", host.mitigations.as_ref().map(affected));
    let nic = |nic: &Nic| {
        let speed =
            nic.mbit_per_second.map_or("speed unknown".to_owned(), |s| format!("{s} Mbit/s"));
        let driver = nic.driver.as_deref().unwrap_or("no driver");
        format!("{} ({driver}, {speed}, {} + {} queues)", nic.name, nic.rx_queues, nic.tx_queues)
    };
    let nics = host.nics.as_ref();
    add("Network", nics.map(|n| n.iter().map(nic).collect::<Vec<_>>().join(", ")));
    let cgroup = host.cgroup.as_ref().map(|group| {
        let cpu = group.cpu_max.as_deref().unwrap_or("no limit");
        format!(
            "processors {cpu}, memory {}",
            group.memory_max_bytes.map_or("no limit".to_owned(), gib)
        )
    });
    add("Control group", cgroup);
    add("vm.swappiness", host.swappiness.map(|value| value.to_string()));
    add("Virtual machine", yes(host.virtualised));
    add("Memory", host.memory_bytes.map(gib));
    add("Transparent huge pages", host.transparent_hugepages.clone());
    add("System", host.os.clone());
    add("Kernel", host.kernel.clone());
    add("Kernel parameters", host.kernel_cmdline.clone());
    add("Clock", host.clock_source.clone());
    match &host.data {
        None => add("Data", None),
        Some(data) => {
            add("File system of the data", Some(data.kind.clone()));
            add("Mount options", Some(data.mount_options.clone()));
            add("Block device", data.device.clone());
            add("I/O scheduler", data.scheduler.clone());
            add("Write cache", data.write_cache.clone());
            add("Journal", yes(data.journal));
        }
    }
    let dirty = &host.dirty;
    let percent = |value: Option<u64>| value.map(|value| format!("{value} %"));
    add("vm.dirty_ratio", percent(dirty.dirty_ratio));
    add("vm.dirty_background_ratio", percent(dirty.dirty_background_ratio));
    let limit = |value: Option<u64>| Some(value.map_or("unlimited".to_owned(), |v| v.to_string()));
    add("TCP congestion control", host.tcp_congestion_control.clone());
    add("Locked memory, bytes", limit(host.limits.memlock_bytes));
    add("Open files", limit(host.limits.nofile));
    all
}

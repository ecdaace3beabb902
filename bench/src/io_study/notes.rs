//! [`notes`]: what a reader of the study must know of this machine before he believes a row:
//! whether its device can be polled, what a polling thread costs here, where memory and device are.

use std::fs;
use std::path::Path;

use super::IoRow;
use super::case::RingSetup;
use crate::host::{FileSystem, Host};

/// Where the kernel tells of block devices.
const BLOCK_DEVICES: &str = "/sys/class/block";
/// A polling thread has a processor to itself from this many on.
const CPUS_FOR_SQPOLL: usize = 4;

/// Notes for this host and these file systems.
pub fn notes(host: &Host, file_systems: &[FileSystem], rows: &[IoRow]) -> Vec<String> {
    let mut notes: Vec<String> =
        file_systems.iter().map(|found| polling(found, Path::new(BLOCK_DEVICES))).collect();
    notes.push(sqpoll(host.cpus_allowed));
    notes.push(numa(host.numa_nodes, file_systems, Path::new(BLOCK_DEVICES)));
    let failed = |setup: RingSetup| {
        let mut all = rows.iter().filter(|row| row.case.ring == Some(setup)).peekable();
        all.peek().is_some() && all.all(|row| row.outcome.is_err())
    };
    for (setup, name) in [(RingSetup::Iopoll, "IOPOLL"), (RingSetup::Sqpoll, "SQPOLL")] {
        if failed(setup) {
            notes.push(format!("{name}: every case of it failed here; its rows say why."));
        }
    }
    notes
}

/// Of IOPOLL: whether completions are polled for, or come by interrupts all the same.
fn polling(found: &FileSystem, devices: &Path) -> String {
    let Some(device) = &found.device else {
        return format!("IOPOLL: {} is on no block device: there is nothing to poll.", found.kind);
    };
    match attribute(devices, device, "queue/io_poll").as_deref() {
        Some("1") => format!("IOPOLL: {device} has queues to poll; its rows are of polling."),
        Some(_) => format!(
            "IOPOLL: {device} has no queues to poll (queue/io_poll is 0; nvme.poll_queues=N makes \
             some, a virtual disk has none): its rows fail, or are of interrupts."
        ),
        None => format!("IOPOLL: {device} does not say whether it can be polled."),
    }
}

/// Of SQPOLL: a kernel thread spins while there is work, and somewhat longer.
fn sqpoll(cpus: usize) -> String {
    let advice = match cpus {
        cpus if cpus >= CPUS_FOR_SQPOLL => "give each shard's thread a processor of its own",
        _ => "here it takes them from the shards: leave ringlog.io.sqpoll off",
    };
    format!(
        "SQPOLL: each ring has a kernel thread that takes a processor whole while there is work; \
         it is in cpu-s/GiB. Of {cpus} processors, {advice}."
    )
}

fn numa(nodes: Option<usize>, file_systems: &[FileSystem], devices: &Path) -> String {
    match nodes {
        Some(0 | 1) => "NUMA: one node: all memory is as far as all other.".to_owned(),
        None => "NUMA: the kernel does not say how many nodes there are.".to_owned(),
        Some(nodes) => {
            let near = |found: &FileSystem| {
                let device = found.device.as_deref()?;
                let node = attribute(devices, device, "device/numa_node")
                    .or_else(|| attribute(devices, device, "device/device/numa_node"))?;
                Some(format!("{device} at node {node}"))
            };
            let near: Vec<String> = file_systems.iter().filter_map(near).collect();
            let near = if near.is_empty() { "unknown".to_owned() } else { near.join(", ") };
            format!(
                "NUMA: {nodes} nodes; devices: {near}. Nothing here was bound to a node: repeat \
                 the study under numactl --cpunodebind, and set ringlog.cpu.affinity to that \
                 node's processors."
            )
        }
    }
}

fn attribute(devices: &Path, device: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(devices.join(device).join(name)).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(device: Option<&str>) -> FileSystem {
        FileSystem {
            kind: "ext4".to_owned(),
            mount_options: String::new(),
            device: device.map(str::to_owned),
            scheduler: None,
            write_cache: None,
            rotational: None,
            journal: None,
        }
    }

    #[test]
    fn a_device_is_said_to_be_polled_where_it_is() {
        let dir = tempfile::tempdir().expect("a folder");
        for (device, polls) in [("nvme0n1", "1\n"), ("vda", "0\n")] {
            fs::create_dir_all(dir.path().join(device).join("queue")).expect("made");
            fs::write(dir.path().join(device).join("queue/io_poll"), polls).expect("written");
        }
        assert!(polling(&on(Some("nvme0n1")), dir.path()).contains("are of polling"));
        assert!(polling(&on(Some("vda")), dir.path()).contains("vda has no queues to poll"));
        assert!(polling(&on(Some("sdz")), dir.path()).contains("does not say"));
        assert!(polling(&on(None), dir.path()).contains("on no block device"));
        assert!(sqpoll(2).contains("off") && sqpoll(8).contains("of its own"));
    }

    #[test]
    fn a_device_is_said_to_be_near_its_node() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(dir.path().join("nvme0n1/device")).expect("made");
        fs::write(dir.path().join("nvme0n1/device/numa_node"), "1\n").expect("written");
        assert!(numa(Some(2), &[on(Some("nvme0n1"))], dir.path()).contains("nvme0n1 at node 1"));
        assert!(numa(Some(1), &[], dir.path()).contains("one node"));
        assert!(numa(Some(2), &[on(None)], dir.path()).contains("devices: unknown"));
    }
}

//! [`Host`]: what machine it was, as far as it says. What cannot be read is left out, never
//! guessed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};

use super::hardware::{self, Cgroup, CpuIdle, Nic};
use super::kernel_text::{bytes_after, line, number};

/// Where the kernel tells of itself.
const DIRTY_LIMITS: &str = "/proc/sys/vm";

/// The machine that a run was made on: `host` of summary.json and env.json.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Host {
    /// As the processor names itself.
    pub cpu_model: Option<String>,
    /// Processors of the machine.
    pub cpus: usize,
    /// Those that this process may use.
    pub cpus_allowed: usize,
    /// Whether processors share cores.
    pub smt: Option<bool>,
    /// How the clock of the processors is governed.
    pub governor: Option<String>,
    /// How they sleep.
    #[serde(default)]
    pub cpu_idle: Option<CpuIdle>,
    /// Their faults, and what is done about each.
    #[serde(default)]
    pub mitigations: Option<BTreeMap<String, String>>,
    /// Nodes of the memory.
    #[serde(default)]
    pub numa_nodes: Option<usize>,
    /// What the control group allows.
    #[serde(default)]
    pub cgroup: Option<Cgroup>,
    /// Network interfaces.
    #[serde(default)]
    pub nics: Option<Vec<Nic>>,
    /// net.ipv4.tcp_congestion_control: bbr holds back what it sends, by a timer.
    #[serde(default)]
    pub tcp_congestion_control: Option<String>,
    /// vm.swappiness
    #[serde(default)]
    pub swappiness: Option<u64>,
    /// Whether a hypervisor shows itself.
    pub virtualised: Option<bool>,
    /// Main memory.
    pub memory_bytes: Option<u64>,
    /// When memory comes in large pages.
    pub transparent_hugepages: Option<String>,
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// Its parameters, without what only says which program is started first.
    pub kernel_cmdline: Option<String>,
    /// Distribution.
    pub os: Option<String>,
    /// What time is read from.
    pub clock_source: Option<String>,
    /// When written pages go to the device.
    pub dirty: Dirty,
    /// Limits of the process.
    pub limits: Limits,
    /// Where the target keeps its data; `null` where that is not known.
    pub data: Option<FileSystem>,
}

/// When the kernel writes back (vm.dirty_*).
#[allow(missing_docs, reason = "the names are the kernel's")]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Dirty {
    pub dirty_ratio: Option<u64>,
    pub dirty_background_ratio: Option<u64>,
    pub dirty_bytes: Option<u64>,
    pub dirty_background_bytes: Option<u64>,
    pub dirty_expire_centisecs: Option<u64>,
    pub dirty_writeback_centisecs: Option<u64>,
}

/// Soft limits of the process; `null` is unlimited.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Limits {
    /// Bytes that may be locked in memory.
    pub memlock_bytes: Option<u64>,
    /// Files that may be open.
    pub nofile: Option<u64>,
}

/// A file system and the device below it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct FileSystem {
    /// `ext4`.
    pub kind: String,
    /// Options of the mount and of the file system.
    pub mount_options: String,
    /// The block device, if there is one.
    pub device: Option<String>,
    /// Its I/O scheduler.
    pub scheduler: Option<String>,
    /// `write back` or `write through`.
    pub write_cache: Option<String>,
    /// Whether it turns.
    pub rotational: Option<bool>,
    /// Whether the file system has a journal: without one a sync writes less than most have to.
    #[serde(default)]
    pub journal: Option<bool>,
}

impl Host {
    /// Looks at this machine, and at the file system that holds `data_dir`.
    pub fn read(data_dir: Option<&Path>) -> Host {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let cpu = |key: &str| field(&cpuinfo, key);
        let flags = cpu("flags").or_else(|| cpu("Features"));
        let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let os = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        let virtualised = flags.map(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
        let cmdline = line("/proc/cmdline");
        Host {
            cpu_model: cpu("model name").or_else(|| cpu("Hardware")),
            cpus: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            cpus_allowed: std::thread::available_parallelism().map_or(0, usize::from),
            smt: flag("/sys/devices/system/cpu/smt/active"),
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            cpu_idle: Some(hardware::cpu_idle()),
            mitigations: Some(hardware::mitigations()),
            numa_nodes: Some(hardware::numa_nodes()),
            cgroup: Some(hardware::cgroup()),
            nics: Some(hardware::nics()),
            tcp_congestion_control: line("/proc/sys/net/ipv4/tcp_congestion_control"),
            swappiness: number(&format!("{DIRTY_LIMITS}/swappiness")),
            virtualised,
            memory_bytes: bytes_after(&meminfo, "MemTotal:"),
            transparent_hugepages: line("/sys/kernel/mm/transparent_hugepage/enabled")
                .map(|text| chosen(&text)),
            kernel: line("/proc/sys/kernel/osrelease"),
            kernel_cmdline: cmdline.map(|text| kernel_parameters(&text)),
            os: os.map(|name| name.trim_matches('"').to_owned()),
            clock_source: line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            dirty: Dirty::read(),
            limits: Limits {
                memlock_bytes: getrlimit(Resource::Memlock).current,
                nofile: getrlimit(Resource::Nofile).current,
            },
            data: data_dir.and_then(FileSystem::of),
        }
    }
}

impl Dirty {
    fn read() -> Dirty {
        let read = |name: &str| number(&format!("{DIRTY_LIMITS}/{name}"));
        Dirty {
            dirty_ratio: read("dirty_ratio"),
            dirty_background_ratio: read("dirty_background_ratio"),
            dirty_bytes: read("dirty_bytes"),
            dirty_background_bytes: read("dirty_background_bytes"),
            dirty_expire_centisecs: read("dirty_expire_centisecs"),
            dirty_writeback_centisecs: read("dirty_writeback_centisecs"),
        }
    }
}

impl FileSystem {
    /// The one that holds a path that exists.
    pub fn of(path: &Path) -> Option<FileSystem> {
        let path = path.canonicalize().ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let mount = find_mount(&mounts, &path)?;
        let queue = mount.block_device();
        let read = |name: &str| queue.as_ref().and_then(|dir| line(&format!("{dir}/queue/{name}")));
        Some(FileSystem {
            mount_options: merge_options(&mount.options, &mount.super_options),
            device: queue.as_ref().and_then(|dir| Some(dir.rsplit_once('/')?.1.to_owned())),
            scheduler: read("scheduler").map(|text| chosen(&text)),
            write_cache: read("write_cache"),
            rotational: read("rotational").map(|text| text == "1"),
            journal: has_journal(&mount.kind, mount.source.rsplit('/').next().unwrap_or_default()),
            kind: mount.kind,
        })
    }
}

/// Of a file system of that kind on that device; `None` of kinds that are not known here.
fn has_journal(kind: &str, device: &str) -> Option<bool> {
    match kind {
        // The journal's own statistics are there while it is mounted.
        "ext3" | "ext4" => {
            let journals = fs::read_dir("/proc/fs/jbd2").into_iter().flatten().flatten();
            let mut names = journals.map(|entry| entry.file_name().to_string_lossy().into_owned());
            Some(names.any(|name| name.rsplit_once('-').is_some_and(|(of, _)| of == device)))
        }
        "xfs" | "btrfs" | "f2fs" | "zfs" => Some(true),
        "tmpfs" | "ext2" => Some(false),
        _ => None,
    }
}

/// A line of /proc/self/mountinfo.
struct Mount {
    number: String,
    options: String,
    kind: String,
    source: String,
    super_options: String,
}

impl Mount {
    /// The folder of the whole device below /sys, if there is a device.
    fn block_device(&self) -> Option<String> {
        let by_number = PathBuf::from(format!("/sys/dev/block/{}", self.number));
        // btrfs has a number of its own, which is no device's.
        let by_name = Path::new("/sys/class/block").join(Path::new(&self.source).file_name()?);
        let dir = by_number.canonicalize().or_else(|_| by_name.canonicalize()).ok()?;
        let whole = if dir.join("partition").exists() { dir.parent()? } else { &dir };
        whole.to_str().map(str::to_owned)
    }
}

/// The mount that `path` is on: the longest mount point above it, of equal ones the last.
fn find_mount(mounts: &str, path: &Path) -> Option<Mount> {
    let mut best: Option<(usize, Mount)> = None;
    for line in mounts.lines() {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let [_, _, number, _, point, options, ..] = left.as_slice() else { continue };
        let [kind, source, super_options] = right.as_slice() else { continue };
        let point = unescape(point);
        let longest = best.as_ref().map_or(0, |(length, _)| *length);
        if path.starts_with(&point) && point.len() >= longest {
            let mount = Mount {
                number: (*number).to_owned(),
                options: (*options).to_owned(),
                kind: (*kind).to_owned(),
                source: (*source).to_owned(),
                super_options: (*super_options).to_owned(),
            };
            best = Some((point.len(), mount));
        }
    }
    best.map(|(_, mount)| mount)
}

/// Options of the mount and of the file system, each once.
fn merge_options(options: &str, super_options: &str) -> String {
    let mut all: Vec<&str> = options.split(',').collect();
    all.extend(super_options.split(',').filter(|option| !options.split(',').any(|o| o == *option)));
    all.join(",")
}

/// Blanks, tabs, line ends and backslashes are octal in mountinfo.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// What follows `key :` in a file of such lines.
fn field(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}

fn flag(path: &str) -> Option<bool> {
    line(path).map(|text| text == "1")
}

/// The word in brackets of a choice like `none [mq-deadline]`.
fn chosen(text: &str) -> String {
    let inner = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inner.map_or(text, |(inner, _)| inner).to_owned()
}

/// The kernel's own parameters: what is behind `--` is the first program's, and which that is says
/// nothing about speed.
fn kernel_parameters(cmdline: &str) -> String {
    let words = cmdline.split_ascii_whitespace().take_while(|word| *word != "--");
    let started = |word: &&str| word.starts_with("init=") || word.starts_with("rdinit=");
    words.filter(|word| !started(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 0:40 / /data\\040disk rw,noatime shared:5 - xfs /dev/vdb1 rw,attr2
31 27 0:41 / /data rw - tmpfs none rw,size=1k
32 27 0:42 / /data rw - btrfs /dev/vdc rw,ssd
";

    #[test]
    fn a_path_is_on_the_mount_that_is_nearest_above_it() {
        let kind = |path: &str| find_mount(MOUNTS, Path::new(path)).expect("a mount").kind;
        assert_eq!(kind("/tmp"), "ext4");
        assert_eq!(kind("/data disk/x"), "xfs");
        assert_eq!(kind("/data/x"), "btrfs", "a later mount hides an earlier one");
        assert_eq!(kind("/database"), "ext4");
    }

    #[test]
    fn this_host_has_processors_memory_and_a_kernel() {
        let dir = tempfile::tempdir().expect("a folder");
        let host = Host::read(Some(dir.path()));
        assert!(host.cpus_allowed > 0 && host.cpus >= host.cpus_allowed);
        assert!(host.memory_bytes.expect("linux says it") > 1 << 20);
        assert!(host.kernel.is_some() && host.limits.nofile.is_some_and(|files| files > 0));
        assert!(!host.data.expect("the folder is on something").kind.is_empty());
        assert!(host.dirty.dirty_ratio.is_some());
        assert!(host.tcp_congestion_control.is_some());
    }

    #[test]
    fn choices_and_parameters() {
        assert_eq!(chosen("none [mq-deadline] kyber"), "mq-deadline");
        assert_eq!(chosen("none"), "none");
        assert_eq!(merge_options("rw,noatime", "rw,discard"), "rw,noatime,discard");
        let cmdline = "quiet init=/sbin/x mitigations=auto rdinit=/y -- --port 1";
        assert_eq!(kernel_parameters(cmdline), "quiet mitigations=auto");
    }
}

//! [`check`]: every wish held against the host.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::settings::{SETTINGS, Setting, chosen};
use super::{Finding, Remedy, State, Tune};

/// Each segment keeps up to three files open, each connection one.
const OPEN_FILES_MIN: u64 = 100_000;
/// For rings, where their memory counts, and for buffers that a study registers.
const LOCKED_BYTES_MIN: u64 = 64 << 20;
/// What a broker's network should carry, in Mbit/s.
const LINK_MBIT_MIN: u64 = 1_000;
/// Names of one folder that are looked at at most: processors, interfaces.
const NAMES_MAX: usize = 4_096;

/// What is to be said of this host.
pub fn check(tune: &Tune) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        SETTINGS.iter().flat_map(|setting| kernel_setting(tune, setting)).collect();
    findings.extend(scheduler(tune));
    findings.push(mount_options(tune));
    findings.push(limit(
        "open files",
        getrlimit(Resource::Nofile).current,
        OPEN_FILES_MIN,
        "a node holds a descriptor for every connection and up to three for a segment in use; at \
         the limit it sheds connections",
        "LimitNOFILE=1048576 in the service's unit, or ulimit -n",
    ));
    findings.push(limit(
        "locked memory, bytes",
        getrlimit(Resource::Memlock).current,
        LOCKED_BYTES_MIN,
        "kernels before 5.12 count the memory of rings within it, and every kernel the buffers \
         that ringlog-bench io registers",
        "LimitMEMLOCK=infinity in the service's unit, or ulimit -l",
    ));
    findings.push(clock(tune));
    findings.extend(links(tune));
    findings
}

/// The files that a path with `*` in it stands for.
fn matching(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    for part in pattern.split('/') {
        found = match part {
            "*" => found.iter().flat_map(|dir| names(dir)).collect(),
            part => found.iter().map(|dir| dir.join(part)).collect(),
        };
    }
    found.retain(|path| path.exists());
    found
}

fn names(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().take(NAMES_MAX);
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    names.sort();
    names
}

/// One finding for all files of a setting that are good, and one for each that is off.
fn kernel_setting(tune: &Tune, setting: &Setting) -> Vec<Finding> {
    let files = matching(&tune.root, setting.path);
    let finding = |state, found: String, path: &Path| Finding {
        name: setting.name.to_owned(),
        state,
        found,
        wanted: setting.wish.words(),
        why: setting.why,
        remedy: Remedy::Write { path: path.to_owned(), value: setting.wish.value() },
    };
    let Some(first) = files.first() else {
        return vec![finding(State::Unknown, "not here".to_owned(), Path::new(setting.path))];
    };
    let mut off = Vec::new();
    let mut good = String::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap_or_default();
        let value = chosen(&text).to_owned();
        match setting.wish.holds(&value) {
            Some(true) => good = value,
            Some(false) => off.push(finding(State::Off, value, file)),
            None => off.push(finding(State::Unknown, format!("{value:?}"), file)),
        }
    }
    if off.is_empty() {
        off.push(finding(State::Good, good, first));
    }
    off
}

/// The I/O scheduler of the device below the logs.
fn scheduler(tune: &Tune) -> Option<Finding> {
    let device = fs::metadata(&tune.data_dir).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let link = tune.root.join(format!("sys/dev/block/{major}:{minor}"));
    let dir = link.canonicalize().ok()?;
    let whole = if dir.join("partition").exists() { dir.parent()?.to_owned() } else { dir };
    let path = whole.join("queue/scheduler");
    let text = fs::read_to_string(&path).ok()?;
    let turns = fs::read_to_string(whole.join("queue/rotational")).is_ok_and(|t| t.trim() == "1");
    let wanted = if turns { "mq-deadline" } else { "none" };
    let found = chosen(&text).to_owned();
    Some(Finding {
        name: "I/O scheduler of the data".to_owned(),
        state: if found == wanted { State::Good } else { State::Off },
        found,
        wanted: wanted.to_owned(),
        why: "a node writes in order and in large pieces: on a device without a head there is \
              nothing to reorder, and a scheduler only costs time",
        remedy: Remedy::Write { path, value: wanted.to_owned() },
    })
}

fn mount_options(tune: &Tune) -> Finding {
    let mounts = fs::read_to_string(tune.root.join("proc/self/mounts")).unwrap_or_default();
    let dir = tune.data_dir.canonicalize().unwrap_or_else(|_| tune.data_dir.clone());
    let mount = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (point, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
            dir.starts_with(point).then(|| (point.len(), kind.to_owned(), options.to_owned()))
        })
        .max_by_key(|(length, ..)| *length);
    let (state, found) = match mount {
        None => (State::Unknown, "no mount point".to_owned()),
        Some((_, kind, options)) => {
            let all: Vec<&str> = options.split(',').collect();
            let quiet = all.contains(&"noatime") || all.contains(&"relatime");
            (if quiet { State::Good } else { State::Off }, format!("{kind}, {options}"))
        }
    };
    Finding {
        name: "mount options of the data".to_owned(),
        state,
        found,
        wanted: "noatime, or relatime".to_owned(),
        why: "without it every fetch that reads a segment also writes its inode",
        remedy: Remedy::Explain("noatime for the file system in /etc/fstab"),
    }
}

fn limit(
    name: &str,
    found: Option<u64>,
    wanted: u64,
    why: &'static str,
    how: &'static str,
) -> Finding {
    Finding {
        name: name.to_owned(),
        state: if found.is_none_or(|found| found >= wanted) { State::Good } else { State::Off },
        found: found.map_or("unlimited".to_owned(), |found| found.to_string()),
        wanted: format!("at least {wanted}"),
        why,
        remedy: Remedy::Explain(how),
    }
}

fn clock(tune: &Tune) -> Finding {
    let path = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    let found = fs::read_to_string(tune.root.join(path)).ok();
    let found = found.map(|text| text.trim().to_owned());
    let fast = ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"];
    let state = match &found {
        None => State::Unknown,
        Some(found) if fast.contains(&found.as_str()) => State::Good,
        Some(_) => State::Off,
    };
    Finding {
        name: "clock".to_owned(),
        state,
        found: found.unwrap_or_else(|| "not here".to_owned()),
        wanted: "tsc, or one that a hypervisor offers instead".to_owned(),
        why: "a node reads the clock for every request; hpet and acpi_pm take a microsecond each",
        remedy: Remedy::Explain("clocksource=tsc on the kernel's command line, if it is reliable"),
    }
}

/// The speed of every network interface that is up and says it.
fn links(tune: &Tune) -> Vec<Finding> {
    let of = |dir: &PathBuf| {
        let read = |name: &str| fs::read_to_string(dir.join(name)).ok();
        let up = read("operstate")?.trim() == "up";
        let mbit: u64 = read("speed")?.trim().parse().ok()?;
        let name = dir.file_name()?.to_string_lossy().into_owned();
        up.then(|| Finding {
            name: format!("network interface {name}"),
            state: if mbit >= LINK_MBIT_MIN { State::Good } else { State::Off },
            found: format!("{mbit} Mbit/s"),
            wanted: format!("at least {LINK_MBIT_MIN} Mbit/s"),
            why: "every record crosses the network once for its producer, once for each follower \
                  and once for each consumer",
            remedy: Remedy::Explain("a faster link; replication may have one of its own"),
        })
    };
    names(&tune.root.join("sys/class/net")).iter().filter_map(of).collect()
}

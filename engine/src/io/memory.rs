//! How much memory this process may use: the machine's, or less where a control group says so.
//! A container that takes the machine's memory for its own is killed by the kernel.

#![allow(clippy::disallowed_methods, reason = "asked once, before there is a driver")]

use std::path::Path;

use super::sys::machine_memory_bytes;

const CGROUP_ROOT: &str = "/sys/fs/cgroup";
const OWN_CGROUPS: &str = "/proc/self/cgroup";

/// Memory that this process may use, in bytes.
pub fn memory_bytes() -> u64 {
    let own = std::fs::read_to_string(OWN_CGROUPS).unwrap_or_default();
    let limit = cgroup_limit(Path::new(CGROUP_ROOT), &own);
    limit.map_or(machine_memory_bytes(), |limit| limit.min(machine_memory_bytes()))
}

/// The least limit of the groups that `own` (the text of /proc/self/cgroup) names, and of those
/// above them. `None`: no group has any.
fn cgroup_limit(root: &Path, own: &str) -> Option<u64> {
    let mut least = None;
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (base, file) = match controllers {
            // Version 2 has one tree for everything.
            "" => (root.to_owned(), "memory.max"),
            list if list.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // Inside a container the own group may be mounted as the root: its path does not exist
        // then, and the root has its limit.
        let group = base.join(path.trim_start_matches('/'));
        for group in group.ancestors().take_while(|group| group.starts_with(&base)) {
            let text = std::fs::read_to_string(group.join(file)).unwrap_or_default();
            // "max" is no number: no limit. Version 1 says so by a very large one.
            if let Ok(limit) = text.trim().parse::<u64>() {
                least = Some(least.map_or(limit, |least: u64| least.min(limit)));
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("below the root")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        root
    }

    #[test]
    fn the_least_limit_of_the_groups_above_counts() {
        let root = tree(&[
            ("a/memory.max", "500000\n"),
            ("a/b/memory.max", "max\n"),
            ("a/b/c/memory.max", "700000\n"),
            ("other/memory.max", "1\n"),
        ]);
        assert_eq!(cgroup_limit(root.path(), "0::/a/b/c\n"), Some(500_000));
        assert_eq!(cgroup_limit(root.path(), "0::/a/b/c/gone\n"), Some(500_000));
        assert_eq!(cgroup_limit(root.path(), "0::/\n"), None);
        assert_eq!(cgroup_limit(root.path(), "garbage\n\n1:\n"), None);
    }

    #[test]
    fn both_versions_of_control_groups_are_understood() {
        let root = tree(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/docker/memory.limit_in_bytes", "300000\n"),
        ]);
        let own = "9:name=systemd:/\n4:cpu,memory:/docker/4711\n0::/docker\n";
        assert_eq!(cgroup_limit(root.path(), own), Some(300_000));
        // A container whose own group is mounted as the root.
        let root = tree(&[("memory.max", "123456\n")]);
        assert_eq!(cgroup_limit(root.path(), "0::/../../kubepods/pod1\n"), Some(123_456));
    }

    #[test]
    fn this_process_may_use_some() {
        assert!((1 << 20..=machine_memory_bytes()).contains(&memory_bytes()));
    }
}

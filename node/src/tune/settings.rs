//! The kernel's settings that a broker has a wish about: a table.

/// How a value is held against the wish.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    /// A number of at most so much.
    AtMost(u64),
    /// A number of at least so much.
    AtLeast(u64),
    /// One of these words; the first is written. A choice like `always [madvise] never` stands for
    /// the word in brackets.
    OneOf(&'static [&'static str]),
}

/// A setting.
pub(super) struct Setting {
    pub(super) name: &'static str,
    /// Below the root; `*` stands for any one name.
    pub(super) path: &'static str,
    pub(super) wish: Wish,
    pub(super) why: &'static str,
}

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "io_uring",
        path: "proc/sys/kernel/io_uring_disabled",
        wish: Wish::AtMost(0),
        why: "a node's I/O goes through io_uring; 1 keeps it from all but a group, 2 from all",
    },
    Setting {
        name: "frequency governor",
        path: "sys/devices/system/cpu/*/cpufreq/scaling_governor",
        wish: Wish::OneOf(&["performance"]),
        why: "a processor that has to speed up first answers late, which shows in the tail",
    },
    Setting {
        name: "vm.swappiness",
        path: "proc/sys/vm/swappiness",
        wish: Wish::AtMost(1),
        why: "a node's memory is in use; swapping it out for page cache stalls a whole shard",
    },
    Setting {
        name: "vm.dirty_background_ratio",
        path: "proc/sys/vm/dirty_background_ratio",
        wish: Wish::AtMost(5),
        why: "under ringlog.durability=replicated written pages go to the device when the kernel \
              says; the earlier it begins, the smaller the burst. Under sync every flush does it",
    },
    Setting {
        name: "vm.dirty_ratio",
        path: "proc/sys/vm/dirty_ratio",
        wish: Wish::AtLeast(20),
        why: "above this share of memory the kernel makes whoever writes wait for the device, \
              and that is a shard",
    },
    Setting {
        name: "transparent huge pages",
        path: "sys/kernel/mm/transparent_hugepage/enabled",
        wish: Wish::OneOf(&["madvise", "never"]),
        why: "with always the kernel compacts memory when a node takes some; the tail shows it",
    },
    Setting {
        name: "vm.zone_reclaim_mode",
        path: "proc/sys/vm/zone_reclaim_mode",
        wish: Wish::AtMost(0),
        why: "with several memory nodes the kernel would rather drop page cache that consumers \
              read than use memory of another node",
    },
    Setting {
        name: "net.core.somaxconn",
        path: "proc/sys/net/core/somaxconn",
        wish: Wish::AtLeast(1024),
        why: "when all clients reconnect at once, those beyond the queue are refused",
    },
    Setting {
        name: "net.core.rmem_max",
        path: "proc/sys/net/core/rmem_max",
        wish: Wish::AtLeast(2 << 20),
        why: "socket.receive.buffer.bytes is cut to it; over a long line the buffer must hold what \
              the line does",
    },
    Setting {
        name: "net.core.wmem_max",
        path: "proc/sys/net/core/wmem_max",
        wish: Wish::AtLeast(2 << 20),
        why: "socket.send.buffer.bytes is cut to it",
    },
    Setting {
        name: "net.ipv4.tcp_slow_start_after_idle",
        path: "proc/sys/net/ipv4/tcp_slow_start_after_idle",
        wish: Wish::AtMost(0),
        why: "a follower or consumer that was idle would begin anew with a small window",
    },
];

impl Wish {
    /// Whether a value is as wished; `None` if it cannot be read as such a value.
    pub(super) fn holds(&self, value: &str) -> Option<bool> {
        match self {
            Wish::AtMost(most) => value.parse::<u64>().ok().map(|value| value <= *most),
            Wish::AtLeast(least) => value.parse::<u64>().ok().map(|value| value >= *least),
            Wish::OneOf(words) => Some(words.contains(&value)),
        }
    }

    /// What is written where it is not.
    pub(super) fn value(&self) -> String {
        match self {
            Wish::AtMost(value) | Wish::AtLeast(value) => value.to_string(),
            Wish::OneOf(words) => words.first().map_or_else(String::new, |w| (*w).to_owned()),
        }
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        match self {
            Wish::AtMost(0) => "0".to_owned(),
            Wish::AtMost(value) => format!("at most {value}"),
            Wish::AtLeast(value) => format!("at least {value}"),
            Wish::OneOf(words) => words.join(" or "),
        }
    }
}

/// The word in brackets of a choice, or all of it.
pub(super) fn chosen(text: &str) -> &str {
    let inner = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inner.map_or(text, |(inner, _)| inner).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_held_against_values_and_their_own_values_fulfil_them() {
        for setting in SETTINGS {
            assert_eq!(setting.wish.holds(&setting.wish.value()), Some(true), "{}", setting.name);
            assert!(!setting.why.is_empty() && !setting.path.starts_with('/'));
        }
        assert_eq!(Wish::AtMost(1).holds("60"), Some(false));
        assert_eq!(Wish::AtLeast(1).holds("many"), None);
        assert_eq!(chosen("always [madvise] never\n"), "madvise");
        assert_eq!(chosen("10\n"), "10");
    }
}

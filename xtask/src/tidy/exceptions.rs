//! Who may break a rule, and why. An exception that nothing needs is itself a problem.

use super::{Problem, Rule};

/// Leave to break a rule.
pub(super) struct Exception {
    pub(super) rule: Rule,
    /// A file, or a folder with a slash at its end.
    pub(super) path: &'static str,
    /// The function, word or module that is meant; empty for all.
    pub(super) item: &'static str,
    pub(super) reason: &'static str,
}

/// All exceptions.
pub(super) const EXCEPTIONS: &[Exception] = &[
    Exception {
        rule: Rule::ModuleName,
        path: "engine/src/io/helper.rs",
        item: "helper",
        reason: "helper threads are what the file holds, and what io_uring's driver calls them",
    },
    Exception {
        rule: Rule::Layers,
        path: "engine/src/io/sim/driver.rs",
        item: "engine::shard",
        reason: "the simulated world runs whole shards: it is the driver and what drives it",
    },
    Exception {
        rule: Rule::Layers,
        path: "engine/src/io/sim/driver.rs",
        item: "engine::types",
        reason: "ShardId, to name the shards it runs",
    },
    Exception {
        rule: Rule::Unsafe,
        path: "wire/tests/codec/hostile.rs",
        item: "",
        reason: "an allocator that counts: decoding must not allocate beyond its budget",
    },
    Exception {
        rule: Rule::Unsafe,
        path: "node/tests/limits.rs",
        item: "",
        reason: "ptrace: nothing else stops one thread of another process",
    },
    Exception {
        rule: Rule::Unsafe,
        path: "node/tests/support/loop_disk.rs",
        item: "",
        reason: "FS_IOC_SHUTDOWN: nothing else cuts the power of a file system",
    },
];

impl Exception {
    pub(super) fn covers(&self, problem: &Problem) -> bool {
        let path = if self.path.ends_with('/') {
            problem.path.starts_with(self.path)
        } else {
            problem.path == self.path
        };
        path && self.rule == problem.rule && (self.item.is_empty() || self.item == problem.item)
    }

    /// The problem that an exception is which covers nothing.
    pub(super) fn unused(&self) -> Problem {
        let Exception { rule, item, reason, .. } = self;
        Problem {
            path: self.path.to_owned(),
            line: 0,
            rule: Rule::Exception,
            item: (*item).to_owned(),
            what: format!("no longer needed: {rule:?} {item} ({reason})"),
        }
    }
}

//! One word per concept: the table of words that mean something else here.
//!
//! Words are whole identifiers, in the modules where the concept is at home. What a word means in
//! another module, or inside a longer name, is not looked at, and neither are comments. Methods
//! that are called (`flag.store(..)`) are the standard library's and pass, as do modules in paths.

use super::source::words;
use super::tree::Tree;
use super::{Problem, Rule};

struct Row {
    banned: &'static [&'static str],
    instead: &'static str,
    scopes: &'static [&'static str],
}

const LOG: &[&str] = &["engine::log", "engine::dirs", "node::partition", "node::replication"];
const EVERYWHERE: &[&str] = &["engine", "wire", "node", "bench", "xtask"];

const ROWS: &[Row] = &[
    Row {
        banned: &["message", "messages", "Message", "msg", "msgs"],
        instead: "record: one event; batch: what is appended at once",
        scopes: &["engine::batch", "engine::log", "node::partition"],
    },
    Row {
        banned: &["block", "blocks", "Block"],
        instead: "segment: a .log file and its indexes; batch",
        scopes: LOG,
    },
    Row {
        banned: &["entry", "entries", "Entry", "LogEntry"],
        instead: "record or batch: a log's entries are those of its indexes",
        scopes: &["engine::batch", "node::quorum", "node::partition", "node::replication"],
    },
    Row {
        banned: &["tail", "head", "lsn", "leo", "hw", "hwm", "lso"],
        instead: "log_start_offset, log_end_offset, written_end_offset, durable_end_offset, \
                  high_watermark, last_stable_offset",
        scopes: &["engine::log", "node::partition", "node::replication", "node::quorum"],
    },
    Row {
        banned: &["commit_index", "commit_offset", "committed_offset"],
        instead: "high_watermark: a committed offset is a group's",
        scopes: &["engine::log", "node::partition", "node::replication", "node::quorum"],
    },
    Row {
        banned: &["term", "current_term", "generation", "Term", "Generation"],
        instead: "leader_epoch, broker_epoch, partition_epoch, coordinator_epoch, producer_epoch",
        scopes: &[
            "engine::log",
            "node::partition",
            "node::replication",
            "node::quorum",
            "node::controller",
            "node::metadata",
        ],
    },
    Row {
        banned: &["primary", "backup", "master", "slave", "Primary", "Backup", "Master"],
        instead: "leader, follower",
        scopes: EVERYWHERE,
    },
    Row {
        banned: &["purgatory", "Purgatory", "delayed_op", "DelayedProduce", "DelayedFetch"],
        instead: "waiter: a produce or fetch that is parked",
        scopes: EVERYWHERE,
    },
    Row {
        banned: &["worker", "workers", "Worker", "reactor", "Reactor", "core_id"],
        instead: "shard: a pinned thread and all it owns; helper: a driver's blocking thread",
        scopes: &["engine", "node"],
    },
    Row {
        banned: &["platform", "Platform", "backend", "Backend", "Env"],
        instead: "driver: what carries out a shard's operations",
        scopes: &["engine", "node"],
    },
    Row {
        banned: &["metadata_cache", "MetadataCache", "cache", "Cache"],
        instead: "image: the metadata; delta: its change",
        scopes: &["node::metadata", "node::controller"],
    },
    Row {
        banned: &["disk", "disks", "Disk", "store", "stores", "Store"],
        instead: "dir: a log directory with its health",
        scopes: &["engine::log", "engine::dirs", "node::partition", "node::controller"],
    },
];

pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for source in tree.sources.iter().filter(|source| !source.is_generated) {
        let module = source.module_at(0).join("::");
        if module.is_empty() {
            continue;
        }
        for (at, word) in words(&source.code) {
            let Some(row) = ROWS.iter().find(|row| row.bans(word, &module)) else { continue };
            let (before, after) = (&source.code[..at], &source.code[at + word.len()..]);
            let called = before.ends_with('.') && after.starts_with('(');
            if called || after.starts_with("::") {
                continue;
            }
            problems.push(Problem {
                path: source.path.clone(),
                line: source.line(at),
                rule: Rule::Words,
                item: word.to_owned(),
                what: format!("`{word}` in {module}; say {}", row.instead),
            });
        }
    }
}

impl Row {
    fn bans(&self, word: &str, module: &str) -> bool {
        let inside = |scope: &&str| {
            module.strip_prefix(scope).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        self.banned.contains(&word) && self.scopes.iter().any(inside)
    }
}

//! Which module may use which. docs/ARCHITECTURE.md says why.
//!
//! A row stands for a module and everything below it; the row with the longest name counts. A
//! module may use itself, what its row lists, and crates from outside of the workspace. Tests may
//! use anything. A new module of `engine`, `node` or `bench` needs a row of its own: that is the
//! moment to think about what it may know.

use std::collections::BTreeSet;

use super::dependencies::dependencies;
use super::paths::{Reference, references};
use super::source::Source;
use super::tree::Tree;
use super::{Problem, Rule};

/// What one module may use.
struct Row {
    module: &'static str,
    /// Modules of the workspace.
    may: &'static [&'static str],
    /// Exceptions from `may`, and modules of other crates. These win.
    never: &'static [&'static str],
}

const ALL: &[&str] = &["engine", "wire", "node"];

/// What a pure core must not know: time, files, sockets and threads are the shell's.
const OUTSIDE_WORLD: &[&str] =
    &["wire::messages", "std::time", "std::fs", "std::net", "std::thread"];

/// Only boot names a driver: everything else gets a shard and does not ask what carries it.
const SHELL_NEVER: &[&str] =
    &["node::boot", "engine::io::uring", "engine::io::epoll", "engine::io::sim"];

/// The shell of the cores knows neither connections nor the messages that come by them.
const BROKER_NEVER: &[&str] = &[
    "node::api",
    "node::conn",
    "node::boot",
    "engine::io::uring",
    "engine::io::epoll",
    "engine::io::sim",
];

/// An API does not know the connection that its request came by.
const API_NEVER: &[&str] =
    &["node::conn", "node::boot", "engine::io::uring", "engine::io::epoll", "engine::io::sim"];

const fn row(
    module: &'static str,
    may: &'static [&'static str],
    never: &'static [&'static str],
) -> Row {
    Row { module, may, never }
}

const fn core(module: &'static str, may: &'static [&'static str]) -> Row {
    row(module, may, OUTSIDE_WORLD)
}

/// What every core may use.
macro_rules! core_may {
    ($($more:literal),*) => {
        &[
            "engine::types", "engine::batch", "engine::stdx", "wire", "node::metadata",
            "node::config", "node::error_code", "node::features", $($more),*
        ]
    };
}

/// What the harness is made of. It speaks to a node as any client does.
const HARNESS: &[&str] = &["wire", "engine", "bench", "node::boot", "node::config"];
const HARNESS_NEVER: &[&str] = &["engine::log", "engine::dirs"];

const ROWS: &[Row] = &[
    row("engine", &["engine"], &[]),
    row("engine::stdx", &[], &[]),
    row("engine::types", &["engine::stdx"], &[]),
    row("engine::batch", &["engine::types", "engine::stdx"], &[]),
    row("engine::io", &["engine::stdx"], &[]),
    row("engine::shard", &["engine::io", "engine::stdx", "engine::types"], &[]),
    row(
        "engine::log",
        &["engine::batch", "engine::types", "engine::io", "engine::shard", "engine::stdx"],
        &[],
    ),
    row(
        "engine::dirs",
        &["engine::log", "engine::types", "engine::io", "engine::shard", "engine::stdx"],
        &[],
    ),
    row("wire", &["engine::types"], &[]),
    row("node", ALL, &[]),
    row("node::main", ALL, &[]),
    row("node::boot", ALL, &[]),
    row("node::cli", ALL, &[]),
    row("node::error_code", &[], &[]),
    row("node::features", &[], &[]),
    row("node::loggers", &[], &[]),
    row("node::config", &["engine::types", "engine::stdx", "wire"], &["dependency"]),
    core("node::partition", core_may!()),
    core("node::quorum", core_may!()),
    core("node::controller", core_may!("node::quorum")),
    core("node::metadata", core_may!()),
    core("node::group", core_may!()),
    core("node::txn", core_may!()),
    core("node::acl", core_may!()),
    core("node::quota", core_may!()),
    // Codec structs do not leak past api; a response may hold what a shard lends.
    row(
        "node::wire",
        &[
            "engine::io",
            "engine::shard",
            "engine::types",
            "wire",
            "node::broker",
            "node::error_code",
        ],
        &[],
    ),
    row("node::broker", ALL, BROKER_NEVER),
    row("node::cached", &["engine::io", "engine::shard"], &[]),
    row("node::notify", &[], &[]),
    row("node::dump_log", &["engine::log", "engine::batch", "wire"], &[]),
    row("node::format", ALL, SHELL_NEVER),
    row("node::top", &[], &[]),
    row("node::tune", &[], &[]),
    row("node::api", ALL, API_NEVER),
    row("node::conn", ALL, SHELL_NEVER),
    row("node::replication", ALL, SHELL_NEVER),
    row("node::coordinator", ALL, SHELL_NEVER),
    row("node::telemetry", ALL, SHELL_NEVER),
    row("node::watchdog", &["engine::io", "engine::shard"], &[]),
    // The harness, from below to above: what a line may use is in the lines before it.
    row("bench", HARNESS, HARNESS_NEVER),
    row("bench::main", HARNESS, HARNESS_NEVER),
    row("bench::stats", &["engine::stdx"], &[]),
    row("bench::client", &["wire", "engine"], HARNESS_NEVER),
    row("bench::producer", &["wire", "engine", "bench::client"], HARNESS_NEVER),
    row("bench::load", &["engine", "bench::producer"], HARNESS_NEVER),
    row("bench::figures", &["bench::client", "bench::load"], &[]),
    row("bench::host", &["engine::io", "bench::figures"], &[]),
    row("bench::progress", &["bench::figures"], &[]),
    row(
        "bench::profile",
        &["bench::client", "bench::load", "bench::producer", "bench::figures"],
        HARNESS_NEVER,
    ),
    row(
        "bench::target",
        &["engine", "bench::client", "bench::figures", "bench::host", "node::boot"],
        HARNESS_NEVER,
    ),
    row(
        "bench::experiment",
        &[
            "wire",
            "engine",
            "bench::uring_shard",
            "bench::stats",
            "bench::client",
            "bench::producer",
            "bench::load",
            "bench::figures",
            "bench::host",
            "bench::profile",
            "bench::target",
        ],
        HARNESS_NEVER,
    ),
    row(
        "bench::agent",
        &[
            "engine",
            "bench::uring_shard",
            "bench::client",
            "bench::load",
            "bench::figures",
            "bench::host",
            "bench::profile",
            "bench::target",
            "bench::experiment",
        ],
        HARNESS_NEVER,
    ),
    row(
        "bench::results",
        &[
            "bench::stats",
            "bench::client",
            "bench::load",
            "bench::figures",
            "bench::host",
            "bench::profile",
        ],
        HARNESS_NEVER,
    ),
    row(
        "bench::compare",
        &[
            "bench::stats",
            "bench::client",
            "bench::figures",
            "bench::host",
            "bench::profile",
            "bench::results",
        ],
        HARNESS_NEVER,
    ),
    row(
        "bench::table",
        &["bench::figures", "bench::profile", "bench::results", "bench::compare"],
        HARNESS_NEVER,
    ),
    row(
        "bench::export",
        &["bench::load", "bench::figures", "bench::profile", "bench::results"],
        HARNESS_NEVER,
    ),
    row(
        "bench::report",
        &[
            "bench::stats",
            "bench::client",
            "bench::load",
            "bench::figures",
            "bench::host",
            "bench::profile",
            "bench::results",
            "bench::compare",
        ],
        HARNESS_NEVER,
    ),
    row("bench::index", &["bench::host", "bench::results"], &[]),
    row("bench::run", HARNESS, HARNESS_NEVER),
    row("bench::study", HARNESS, HARNESS_NEVER),
    row("bench::io_study", HARNESS, HARNESS_NEVER),
    row("bench::librdkafka", &["bench::figures", "bench::target"], &[]),
    row("bench::lines", HARNESS, HARNESS_NEVER),
    row(
        "bench::null_broker",
        &["wire", "engine", "bench::client", "bench::uring_shard"],
        HARNESS_NEVER,
    ),
    row("xtask", &["node::config"], &[]),
];

/// Crates of which every module needs a row.
const DIVIDED: [&str; 3] = ["engine", "node", "bench"];

pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    let manifests = dependencies(tree);
    let apis = apis(tree);
    for source in &tree.sources {
        let module = source.module_at(0);
        let Some(krate) = module.first() else { continue };
        if source.is_test {
            continue;
        }
        let Some(row) = row_of(&module) else {
            let what = format!("{} has no row in {}", module.join("::"), file!());
            problems.push(problem(source, 0, module.join("::"), what));
            continue;
        };
        let manifest = manifests.iter().find(|manifest| manifest.folder == *krate);
        let names: Vec<String> = manifest.map(|m| m.names_in_code().collect()).unwrap_or_default();
        for reference in references(source, &names) {
            if source.is_test_at(reference.at) {
                continue;
            }
            if let Some((item, why)) = refused(row, &reference.path) {
                let used = reference.path.join("::");
                let what = format!("{} must not use {used}: {why}", row.module);
                problems.push(problem(source, source.line(reference.at), item, what));
            }
            check_siblings(source, &module, &reference, &apis, problems);
        }
    }
}

fn problem(source: &Source, line: usize, item: String, what: String) -> Problem {
    Problem { path: source.path.clone(), line, rule: Rule::Layers, item, what }
}

fn row_of(module: &[String]) -> Option<&'static Row> {
    let row = ROWS
        .iter()
        .filter(|row| is_below(module, row.module))
        .max_by_key(|row| row.module.len())?;
    let covers = module.len() == 1 || !DIVIDED.contains(&row.module);
    covers.then_some(row)
}

/// Whether `path` is the module, or in it.
fn is_below(path: &[String], module: &str) -> bool {
    let mut words = path.iter();
    module.split("::").all(|word| words.next().is_some_and(|other| other == word))
}

/// The module that must not be used and the reason, if a path leads to one.
fn refused(row: &Row, path: &[String]) -> Option<(String, String)> {
    let lists = |modules: &[&'static str]| {
        modules.iter().copied().filter(|module| is_below(path, module)).max_by_key(|m| m.len())
    };
    if let Some(never) = lists(row.never) {
        return Some((never.to_owned(), format!("{never} is out of its reach")));
    }
    let first = path.first()?.as_str();
    let ours = ROWS.iter().any(|row| row.module == first);
    if !ours || is_below(path, row.module) || lists(row.may).is_some() {
        return None;
    }
    let item = path[..path.len().min(2)].join("::");
    let may = if row.may.is_empty() { "nothing".to_owned() } else { row.may.join(", ") };
    Some((item, format!("it may use {may}")))
}

/// The file of one API does not use the file of another: what two share has a place of its own.
fn check_siblings(
    source: &Source,
    module: &[String],
    reference: &Reference,
    apis: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) {
    let [krate, api, own, ..] = module else { return };
    let [other_krate, other_api, other, ..] = reference.path.as_slice() else { return };
    let both_in_api = krate == "node" && api == "api" && other_krate == krate && other_api == api;
    if both_in_api && own != other && apis.contains(other) {
        let item = format!("node::api::{other}");
        let what = format!("node::api::{own} must not use {item}: APIs do not know each other");
        problems.push(problem(source, source.line(reference.at), item, what));
    }
}

/// The APIs, as their files are named: those that have a request in the schema.
fn apis(tree: &Tree) -> BTreeSet<String> {
    let requests = tree.sources.iter().filter_map(|source| {
        source.path.strip_prefix("wire/src/messages/")?.strip_suffix("_request.rs")
    });
    requests.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module of the harness that may use one listed after it could use itself round a circle.
    #[test]
    fn the_harness_has_no_circle() {
        let rows: Vec<&Row> = ROWS.iter().filter(|row| row.module.starts_with("bench::")).collect();
        for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.may != HARNESS) {
            let after = |name: &&str| rows[index..].iter().any(|later| later.module == *name);
            assert_eq!(row.may.iter().find(|name| after(name)), None, "{}", row.module);
        }
    }
}

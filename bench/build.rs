//! Tells the program what it was built from: compiler, commit and packages, for env.json.

#![allow(clippy::disallowed_methods, reason = "a build script has no driver")]

use std::collections::BTreeMap;
use std::process::Command;

/// What cargo has settled on.
const LOCK: &str = "../Cargo.lock";

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = output(&rustc, &["--version"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=RINGLOG_RUSTC={version}");
    if let Some(commit) = commit() {
        println!("cargo:rustc-env=RINGLOG_COMMIT={commit}");
    }
    println!("cargo:rustc-env=RINGLOG_PACKAGES={}", packages().unwrap_or_default());
    println!("cargo:rerun-if-changed={LOCK}");
    for source in ["build.rs", "src", "../engine/src", "../wire/src", "../node/src"] {
        println!("cargo:rerun-if-changed={source}");
    }
}

/// What the workspace's packages depend on themselves, as `name=version,name=version`.
fn packages() -> Option<String> {
    let lock = std::fs::read_to_string(LOCK).ok()?;
    let mut versions: BTreeMap<&str, &str> = BTreeMap::new();
    let mut wanted = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let field = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.trim_start_matches(" = ").trim_matches('"'))
        };
        let (name, version) = (field("name")?, field("version")?);
        versions.insert(name, version);
        if name.starts_with("ringlog-") {
            let listed = package.lines().filter_map(|line| line.strip_prefix(" \""));
            wanted.extend(listed.filter_map(|line| line.split('"').next()));
        }
    }
    wanted.sort_unstable();
    wanted.dedup();
    // Where there are two of a name, the list says which: `io-uring 0.7.15`.
    let known = wanted.into_iter().filter(|name| !name.starts_with("ringlog-")).map(|name| {
        match name.split_once(' ') {
            Some((name, version)) => Some(format!("{name}={version}")),
            None => Some(format!("{name}={}", versions.get(name)?)),
        }
    });
    Some(known.flatten().collect::<Vec<_>>().join(","))
}

/// The commit, if this is a checkout, and whether what is built differs from it.
fn commit() -> Option<String> {
    let log = output("git", &["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo:rerun-if-changed={log}");
    let commit = output("git", &["rev-parse", "HEAD"])?;
    let changes = output("git", &["status", "--porcelain", "--", "..", ":!../results"])?;
    Some(if changes.is_empty() { commit } else { format!("{commit}-dirty") })
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

//! Tells the program what it was built from: compiler and commit, for env.json.

use std::process::Command;

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = output(&rustc, &["--version"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=RINGLOG_RUSTC={version}");
    if let Some(commit) = commit() {
        println!("cargo:rustc-env=RINGLOG_COMMIT={commit}");
    }
    for source in ["build.rs", "src", "../engine/src", "../wire/src", "../node/src"] {
        println!("cargo:rerun-if-changed={source}");
    }
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

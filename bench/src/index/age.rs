//! How old results are: commits since theirs to what they measured.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Entry;

/// What a broker is made of. Changes elsewhere do not change its figures.
const MEASURED: [&str; 3] = ["engine", "wire", "node"];

/// An error that names every result which is older.
pub fn check(root: &Path, entries: &[Entry], commits_max: u32) -> Result<()> {
    let mut old = Vec::new();
    for entry in entries {
        let Some(commit) = entry.card.commit.as_deref() else {
            old.push(format!("{}: an unknown commit", entry.name));
            continue;
        };
        if commit.ends_with("-dirty") {
            old.push(format!("{}: a tree with changes", entry.name));
            continue;
        }
        let commits = since(root, commit)?;
        if commits > commits_max {
            old.push(format!("{}: {commits} commits", entry.name));
        }
    }
    let count = old.len();
    ensure!(
        old.is_empty(),
        "{count} results are older than {commits_max} commits to {}:\n  {}",
        MEASURED.join(", "),
        old.join("\n  ")
    );
    Ok(())
}

/// Commits from one to the newest.
fn since(root: &Path, commit: &str) -> Result<u32> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["rev-list", "--count", &format!("{commit}..HEAD"), "--"])
        .args(MEASURED)
        .output()
        .context("git cannot be executed")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git rev-list {commit}: {}", said.trim());
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("git rev-list said {text:?}"))
}

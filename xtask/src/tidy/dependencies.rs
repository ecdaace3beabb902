//! The crates from outside of the workspace: each has a line that says why it is there.

use super::tree::Tree;
use super::{Problem, Rule};

/// Where the reasons are.
const REASONS: &str = "docs/decisions/0003-dependencies.md";

/// What a Cargo.toml lists as dependencies, of whatever kind.
pub(super) struct Manifest {
    /// The crate's folder; empty for the workspace.
    pub(super) folder: String,
    path: String,
    /// Line and name of each.
    entries: Vec<(usize, String)>,
}

impl Manifest {
    /// The names by which code refers to them.
    pub(super) fn names_in_code(&self) -> impl Iterator<Item = String> {
        self.entries.iter().map(|(_, name)| name.replace('-', "_"))
    }
}

/// The manifests of the tree.
pub(super) fn dependencies(tree: &Tree) -> Vec<Manifest> {
    let mut manifests = Vec::new();
    for (path, text) in tree.texts() {
        let Some(folder) = path.strip_suffix("Cargo.toml") else { continue };
        let mut entries = Vec::new();
        let mut listing = false;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(section) = line.strip_prefix('[') {
                let section = section.trim_end_matches(']');
                listing = section.ends_with("dependencies");
                // [dependencies.name]
                if let Some((_, name)) = section.split_once("dependencies.") {
                    entries.push((number + 1, name.to_owned()));
                }
            } else if listing && let Some((key, _)) = line.split_once('=') {
                let name = key.split('.').next().unwrap_or_default().trim();
                if !name.is_empty() && !name.starts_with('#') {
                    entries.push((number + 1, name.to_owned()));
                }
            }
        }
        let folder = folder.trim_end_matches('/').to_owned();
        manifests.push(Manifest { folder, path: path.to_owned(), entries });
    }
    manifests
}

pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    let reasons = tree.texts().find(|(path, _)| *path == REASONS).map_or("", |(_, text)| text);
    for manifest in dependencies(tree) {
        for (line, name) in manifest.entries {
            let ours = name.starts_with("ringlog-");
            if ours || reasons.lines().any(|line| line.starts_with(&format!("| {name} |"))) {
                continue;
            }
            let what = format!("{name} has no line in {REASONS}");
            let path = manifest.path.clone();
            problems.push(Problem { path, line, rule: Rule::Dependency, item: name, what });
        }
    }
}

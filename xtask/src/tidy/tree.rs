//! The files that the rules run over.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::source::Source;
use crate::Result;

/// A file of the repository.
pub(super) struct File {
    /// Below the repository's root, with slashes.
    pub(super) path: String,
    pub(super) size: u64,
    /// `None` if it is not text.
    pub(super) text: Option<String>,
}

/// All files of the repository.
pub(super) struct Tree {
    pub(super) files: Vec<File>,
    /// The Rust files among them, scanned.
    pub(super) sources: Vec<Source>,
}

impl Tree {
    /// Reads what git tracks at `root`, and what it would track if it were added.
    pub(super) fn read(root: &Path) -> Result<Tree> {
        let mut files = Vec::new();
        for path in list(root)? {
            let full = root.join(&path);
            // Listed and yet deleted, or a link: nothing to read.
            if !full.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
                continue;
            }
            let bytes = fs::read(&full).map_err(|e| format!("{path}: {e}"))?;
            let size = bytes.len() as u64;
            files.push(File { path, size, text: String::from_utf8(bytes).ok() });
        }
        Ok(Tree::new(files))
    }

    pub(super) fn new(files: Vec<File>) -> Tree {
        let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
        let mut sources: Vec<Source> =
            rust.filter_map(|file| Some(Source::new(&file.path, file.text.as_deref()?))).collect();
        let declared: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
        for source in &mut sources {
            let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
            let stem = stem.to_owned() + "/";
            source.is_test |= declared.iter().any(|module| stem.starts_with(module.as_str()));
        }
        Tree { files, sources }
    }

    /// The files that are text.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
    }
}

/// The paths, from git; outside of a git checkout, everything but what cargo and runs leave behind.
fn list(root: &Path) -> Result<Vec<String>> {
    let git = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output();
    let mut paths = match git {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8(output.stdout).map_err(|e| format!("git: {e}"))?;
            text.split_terminator('\0').map(str::to_owned).collect()
        }
        _ => {
            let mut paths = Vec::new();
            walk(root, "", &mut paths)?;
            paths
        }
    };
    paths.sort();
    paths.dedup();
    Ok(paths)
}

const NOT_OURS: [&str; 5] = [".git", "target", "fuzz/target", "results/local", "ringlog-data"];

fn walk(root: &Path, below: &str, paths: &mut Vec<String>) -> Result<()> {
    let named = |e: std::io::Error| format!("{}: {e}", root.join(below).display());
    for entry in fs::read_dir(root.join(below)).map_err(named)? {
        let entry = entry.map_err(named)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type().map_err(named)?;
        if kind.is_file() {
            paths.push(path);
        } else if kind.is_dir() && !NOT_OURS.contains(&path.as_str()) {
            walk(root, &path, paths)?;
        }
    }
    Ok(())
}

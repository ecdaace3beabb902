//! `cargo xtask codegen`: the Rust of the schema.
//!
//! Everything is generated in memory, formatted by rustfmt in a scratch folder, and then either
//! written or, with `--check`, compared with what is committed. The generated folders hold nothing
//! else, so that a file nobody generates any more is found as well.

mod arbitrary;
mod json;
mod modules;
mod resolve;
mod structs;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::schema;

/// Path below the workspace's folder, and text.
type Files = BTreeMap<PathBuf, String>;

/// The folders that hold generated files only.
const FOLDERS: [&str; 3] = ["wire/src/messages", "wire/src/records", "wire/tests/codec/generated"];

/// The roots from which rustfmt reaches every generated file.
const ROOTS: [&str; 3] =
    ["wire/src/messages/mod.rs", "wire/src/records/mod.rs", "wire/tests/codec/generated/mod.rs"];

/// Writes the generated files and removes those that are generated no more.
pub fn write(root: &Path) -> Result<()> {
    let files = generate(root)?;
    let stale = stale(root, &files)?;
    for path in &stale {
        let target = root.join(path);
        match files.get(path) {
            Some(text) => write_file(&target, text)?,
            None => fs::remove_file(&target).map_err(|e| named(&target, &e))?,
        }
    }
    println!("{} generated files, {} changed", files.len(), stale.len());
    Ok(())
}

/// Fails if a generated file differs from what would be written.
pub fn check(root: &Path) -> Result<()> {
    let files = generate(root)?;
    let stale = stale(root, &files)?;
    let Some(first) = stale.first() else { return Ok(()) };
    let (count, first) = (stale.len(), first.display());
    Err(format!("{count} generated files are stale, {first} first: run cargo xtask codegen"))
}

fn named(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| named(folder, &e))?;
    }
    fs::write(path, text).map_err(|e| named(path, &e))
}

/// The generated files whose committed text differs, or that are there and should not be.
fn stale(root: &Path, files: &Files) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for (path, text) in files {
        if fs::read_to_string(root.join(path)).ok().as_ref() != Some(text) {
            paths.push(path.clone());
        }
    }
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(PathBuf::from).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(root.join(&folder)) else { continue };
        for entry in entries {
            let entry = entry.map_err(|e| named(&folder, &e))?;
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else if !files.contains_key(&path) {
                paths.push(path);
            }
        }
    }
    paths.sort();
    Ok(paths)
}

fn generate(root: &Path) -> Result<Files> {
    let path = root.join(schema::PATH);
    let text = fs::read_to_string(&path).map_err(|e| named(&path, &e))?;
    let messages = resolve::resolve(schema::parse(&text)?)?;
    let mut files = Files::new();
    modules::add(&mut files, &messages);
    arbitrary::add(&mut files, &messages);
    format(root, files)
}

/// Runs rustfmt over the files, in a folder of their own.
fn format(root: &Path, files: Files) -> Result<Files> {
    let scratch = std::env::temp_dir().join(format!("ringlog-codegen-{}", std::process::id()));
    let formatted = format_in(&scratch, root, files);
    // The folder is scratch: what is left of it does no harm.
    let _ = fs::remove_dir_all(&scratch);
    formatted
}

fn format_in(scratch: &Path, root: &Path, files: Files) -> Result<Files> {
    for (path, text) in &files {
        write_file(&scratch.join(path), text)?;
    }
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024", "--config-path"]).arg(root.join("rustfmt.toml"));
    let status = rustfmt.args(ROOTS).current_dir(scratch).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("rustfmt on the generated code: {status}")),
        Err(error) => return Err(format!("rustfmt does not start: {error}")),
    }
    let mut formatted = Files::new();
    for path in files.into_keys() {
        let target = scratch.join(&path);
        let text = fs::read_to_string(&target).map_err(|e| named(&target, &e))?;
        formatted.insert(path, text);
    }
    Ok(formatted)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_code_is_generated_from_the_committed_schema() {
        if let Err(reason) = super::check(&crate::root()) {
            panic!("{reason}");
        }
    }
}

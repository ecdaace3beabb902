//! [`ResultFolder`]: a folder that says so as long as it is not complete.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Lies in the folder until everything else does, and says what is wrong.
pub const INCOMPLETE: &str = "INCOMPLETE";
/// What a complete result has.
pub const SUMMARY: &str = "summary.json";
/// Where and how it was measured.
pub const ENV: &str = "env.json";
/// The profile, as it was given.
pub const PROFILE: &str = "profile.toml";
/// What was found, in words and a table.
pub const VERDICT: &str = "verdict.md";
/// The same as a page.
pub const REPORT: &str = "report.html";

/// Where a run leaves what it found. Every file appears whole: it is written under another name,
/// and renamed.
pub struct ResultFolder {
    path: PathBuf,
}

impl ResultFolder {
    /// Makes the folder, or takes one that holds no complete result, and marks it.
    pub fn create(path: &Path) -> Result<ResultFolder> {
        let shown = path.display();
        fs::create_dir_all(path)
            .with_context(|| format!("the result folder {shown} cannot be made"))?;
        let folder = ResultFolder { path: path.to_owned() };
        let has = |name: &str| path.join(name).exists();
        ensure!(
            !has(SUMMARY) || has(INCOMPLETE),
            "{shown} holds a result already: remove it, or name another folder"
        );
        folder.write(INCOMPLETE, b"The run has not ended.\n")?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let unnamed = self.path.join(format!(".{name}.part"));
        let written = (|| {
            let mut file = File::create(&unnamed)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unnamed, &path)
        })();
        if written.is_err() {
            // What could not be written is of no use; that it cannot be removed either is not news.
            let _ = fs::remove_file(&unnamed);
        }
        written.with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        removed.with_context(|| format!("{} cannot be removed", path.display()))
    }

    /// Leaves the folder as it is, and in its mark the reason.
    pub fn fail(&self, why: &anyhow::Error) {
        // The run has failed for a reason that is worth more than this one.
        let _ = self.write(INCOMPLETE, format!("The run failed: {why:#}\n").as_bytes());
    }

    /// Takes the mark away: everything is there.
    pub fn complete(&self) -> Result<()> {
        let sync = |path: &Path| File::open(path)?.sync_all();
        let removed = sync(&self.path)
            .and_then(|()| fs::remove_file(self.path.join(INCOMPLETE)))
            .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) });
        removed.with_context(|| format!("{}: its mark cannot be removed", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_marked_until_it_is_complete() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a/b");
        let mark = path.join(INCOMPLETE);
        let folder = ResultFolder::create(&path).expect("made");
        folder.write(SUMMARY, b"{}").expect("written");
        folder.fail(&anyhow::anyhow!("the disk is full"));
        let said = fs::read_to_string(&mark).expect("marked");
        assert!(said.contains("the disk is full"), "{said}");
        // A run that failed may be run again.
        let folder = ResultFolder::create(&path).expect("it holds no complete result");
        assert!(!fs::read_to_string(&mark).expect("marked").contains("full"));
        folder.complete().expect("completed");
        let names: Vec<_> = fs::read_dir(&path).expect("there").collect();
        assert_eq!(names.len(), 1, "{names:?}");
        let error = ResultFolder::create(&path).err().expect("it is a result").to_string();
        assert!(error.contains("holds a result already"), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_or_written_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        fs::write(&file, b"").expect("written");
        let error = format!("{:#}", ResultFolder::create(&file.join("x")).err().expect("a file"));
        assert!(error.contains("file/x"), "{error}");
        let folder = ResultFolder::create(&dir.path().join("gone")).expect("made");
        fs::remove_dir_all(folder.path()).expect("removed");
        let error = format!("{:#}", folder.write("env.json", b"").expect_err("no folder"));
        assert!(error.contains("gone/env.json"), "{error}");
    }
}

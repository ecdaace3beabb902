//! Runs of `ringlog-bench run`, looked at from outside.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::PROGRAM;

/// A finished run and its folder.
pub struct Run {
    pub dir: TempDir,
    pub output: Output,
}

/// Runs a profile.
pub fn run(profile: &str, args: &[&str]) -> Run {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("p.toml"), profile).expect("a profile");
    fs::create_dir(dir.path().join("data")).expect("a folder");
    let mut command = Command::new(PROGRAM);
    command.current_dir(dir.path()).args(["run", "p.toml", "--data-dir", "data", "--out", "out"]);
    let output = command.args(args).stdin(Stdio::null()).output().expect("it runs");
    Run { dir, output }
}

impl Run {
    /// It has succeeded, and removed what its targets stored.
    pub fn ok(self) -> Run {
        assert!(self.output.status.success(), "{}", self.stderr());
        let left: Vec<_> = fs::read_dir(self.dir.path().join("data")).expect("there").collect();
        assert!(left.is_empty(), "{left:?}");
        self
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// What one folder of its result says; `""` is the only one of a run with one target.
    pub fn experiments(&self, folder: &str) -> Vec<Value> {
        let path = self.dir.path().join("out").join(folder).join("summary.json");
        let text = fs::read_to_string(&path).expect("a summary");
        let summary: Value = serde_json::from_str(&text).expect("JSON");
        summary["experiments"].as_array().expect("an array").clone()
    }
}

/// A number of an experiment, by its JSON pointer.
pub fn number(experiment: &Value, key: &str) -> f64 {
    experiment.pointer(key).and_then(Value::as_f64).unwrap_or_else(|| panic!("{key}: {experiment}"))
}

//! `ringlog-bench study` from outside.

#![allow(clippy::disallowed_methods, reason = "tests start processes and read files")]
#![allow(dead_code, reason = "the shared module is used in part")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use support::PROGRAM;

const PROFILE: &str = "title = \"t\"\n[topic]\npartitions = 3\n[records]\nvalue_bytes = 100\n\
    [measure]\nwarmup_seconds = 0\nseconds = 0.25\nrounds = 4\n[[load]]\nmode = \"closed\"\n\
    [[experiment]]\nproducer = { \"linger.ms\" = 5 }\n";

fn bench(dir: &Path, args: &[&str]) -> Output {
    Command::new(PROGRAM).current_dir(dir).args(args).output().expect("it runs")
}

#[test]
fn the_same_target_twice_is_counted_and_another_run_is_predicted() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("p.toml"), PROFILE).expect("a profile");
    let twice = ["--target", "null", "--target", "null", "--out", "study"];
    let output = bench(dir.path(), &[&["study", "p.toml", "--runs", "3"], &twice[..]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let text = fs::read_to_string(dir.path().join("study/study.json")).expect("a study");
    let study: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!([&study["runs"], &study["same"]], [&3.into(), &Value::Bool(true)]);
    let rows = study["rows"].as_array().expect("an array");
    assert!(rows.iter().any(|row| row["title"].as_str().is_some_and(|t| t.contains("records/s"))));
    for row in rows {
        for key in ["ratios", "told_from"] {
            assert_eq!(row[key].as_array().map(Vec::len), Some(3), "{row}");
        }
        let bounds: Vec<f64> = row["prediction"]
            .as_array()
            .expect("bounds")
            .iter()
            .filter_map(Value::as_f64)
            .collect();
        assert!(bounds.len() == 2 && bounds[0] <= bounds[1], "{row}");
    }
    let verdict = fs::read_to_string(dir.path().join("study/verdict.md")).expect("a verdict");
    assert!(verdict.contains("Both sides are the same:"), "{verdict}");
    // What another run comes to is chance; that it is held against the study is not.
    let again = bench(dir.path(), &["study", "p.toml", "--check", "--out", "study"]);
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(said.contains("predicted)"), "{said}");
    let last = said.lines().find(|line| line.contains("chance allows")).expect("a sum");
    let numbers: Vec<usize> = last.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [beyond, compared, allowed] = numbers.as_slice() else { panic!("{last}") };
    assert!(*compared > 0 && beyond == &said.matches("BEYOND").count(), "{said}");
    assert_eq!(again.status.success(), beyond <= allowed, "{said}");
    let alone = bench(dir.path(), &["study", "p.toml", "--target", "null", "--out", "x"]);
    let said = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(!alone.status.success() && said.contains("two targets"), "{said}");
}

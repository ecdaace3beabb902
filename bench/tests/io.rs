//! `ringlog-bench io` from outside: its engines, its result, and settings that a node takes.

#![allow(clippy::disallowed_methods, reason = "tests start processes and read files")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ringlog_node::boot::DEFAULT_PROPERTIES;
use ringlog_node::config::RawConfig;
use serde_json::Value;
use support::PROGRAM;

fn io(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.current_dir(dir).args(["io", "--dir", "data", "--out", "out"]).args(args);
    command.output().expect("it runs")
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("data")).expect("a folder");
    dir
}

#[test]
fn the_help_lists_every_engine_and_says_which_is_not_built_in() {
    let output = Command::new(PROGRAM).args(["io", "--help"]).output().expect("it runs");
    let help = String::from_utf8_lossy(&output.stdout);
    for engine in ["io_uring", "tokio-uring", "glommio", "pwrite", "epoll"] {
        assert!(help.contains(&format!("- {engine}: ")), "{engine}: {help}");
    }
    for (feature, built_in) in
        [("glommio", cfg!(feature = "glommio")), ("tokio-uring", cfg!(feature = "tokio-uring"))]
    {
        let missing = help.contains(&format!("not in this build: --features {feature}"));
        assert_eq!(missing, !built_in, "{help}");
    }
}

#[test]
fn a_study_measures_every_engine_and_a_node_takes_what_it_recommends() {
    let dir = folder();
    let output = io(dir.path(), &["--block", "16k", "--mib", "1", "--seconds", "0.1"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(dir.path().join("out/io.json")).expect("a result");
    let study: Value = serde_json::from_str(&text).expect("JSON");
    let rows = study["rows"].as_array().expect("an array");
    let well = |engine: &str, path: &str| {
        rows.iter().any(|row| {
            row["engine"] == engine
                && row["path"] == path
                && row["outcome"]["Ok"]["mib_per_second"].as_f64().is_some_and(|rate| rate > 0.0)
        })
    };
    for engine in ["io_uring", "pwrite", "epoll"] {
        assert!(well(engine, "append") && well(engine, "read"), "{engine}: {stdout}");
    }
    for send in ["send", "read-send", "sendfile", "splice", "ring-send"] {
        let row = rows.iter().find(|row| row["send"] == send).expect(send);
        let cpu = row["outcome"]["Ok"]["cpu_seconds_per_gib"].as_f64();
        assert!(cpu.is_some_and(|cpu| cpu > 0.0), "{row}");
    }
    // A write and its flush take longer than the write alone.
    let p50 = |mode: &str| {
        let row = rows
            .iter()
            .find(|row| row["engine"] == "pwrite" && row["mode"] == mode && row["file"] == "new");
        row.expect(mode)["outcome"]["Ok"]["latency_ms"]["p50"].as_f64().expect(mode)
    };
    assert!(p50("fdatasync") > p50("buffered"), "{stdout}");
    assert!(study["host"]["kernel"].is_string() && study["file_systems"][0][1]["kind"].is_string());
    assert_eq!(fs::read_dir(dir.path().join("data")).expect("there").count(), 0, "it cleans up");
    assert!(!dir.path().join("out/INCOMPLETE").exists());
    let verdict = fs::read_to_string(dir.path().join("out/verdict.md")).expect("a verdict");
    for word in ["ringlog start", "IOPOLL: ", "SQPOLL: ", "NUMA: ", "sendfile"] {
        assert!(verdict.contains(word), "{word}: {verdict}");
    }
    assert_eq!(study["notes"].as_array().map(Vec::len), Some(3), "{}", study["notes"]);
    let recommendations = study["recommendations"].as_array().expect("an array");
    assert!(recommendations.len() == 3, "{stdout}");
    for recommendation in recommendations {
        assert_node_takes(recommendation, &stdout);
    }
}

fn assert_node_takes(recommendation: &Value, stdout: &str) {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let pairs = recommendation["settings"].as_array().expect("an array");
    let settings: Vec<(String, String)> =
        pairs.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
    // A key that the node does not know it would ignore, as Kafka does.
    let config = RawConfig::load(DEFAULT_PROPERTIES.as_bytes(), &settings);
    let warnings = config.map_err(|error| error.message().to_owned()).expect("valid").warnings();
    for (key, value) in &settings {
        let unknown = warnings.iter().find(|warning| warning.contains(key.as_str()));
        assert!(unknown.is_none(), "{unknown:?}");
        assert!(stdout.contains(&format!(" --override {key}={value}")), "{stdout}");
    }
    let dir = tempfile::tempdir().expect("a folder");
    support::on_shard(async move |shard: ringlog_engine::shard::Shard| {
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut target = support::node(&shard, dir.path(), &settings).await;
        support::topic(&shard, &target.bootstrap, "t", 1).await;
        target.stop().expect("a clean stop");
    });
}

#[test]
fn what_cannot_be_studied_is_named() {
    let dir = folder();
    let cases: [(&[&str], &str); 6] = [
        (&["--dir", "none"], "none is no folder"),
        (&["--block", "5000"], "multiples of 4k"),
        (&["--depth", "1000"], "--depth 1000: expected 1 to 256"),
        (&["--engine", "aio"], "aio"),
        (&["--path", "read", "--file", "new"], "leave no case"),
        (&["--seconds", "0"], "--seconds"),
    ];
    for (args, expected) in cases {
        let output = io(dir.path(), args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(expected), "{args:?}: {stderr}");
        assert!(!dir.path().join("out").exists(), "{args:?} leaves nothing");
    }
    if !cfg!(feature = "glommio") {
        let output = io(dir.path(), &["--engine", "glommio"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("--engine glommio: not in this build"), "{stderr}");
    }
}

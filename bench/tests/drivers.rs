//! Clients that nobody here wrote as drivers: Kafka's consumer tools, and librdkafka.

#![allow(clippy::disallowed_methods, reason = "tests start processes and read files")]

mod support;

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::PROGRAM;

const BASE: &str = "title = \"t\"\n[topic]\npartitions = 3\n[records]\nvalue_bytes = 100\n\
                    [measure]\nseconds = 1\nrecords = 5000\n[[load]]\nmode = \"closed\"\n";

/// The experiments of a profile, run against a node.
fn run(experiments: &str) -> Vec<Value> {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("p.toml"), format!("{BASE}{experiments}")).expect("a profile");
    fs::create_dir(dir.path().join("data")).expect("a folder");
    let mut command = Command::new(PROGRAM);
    command.current_dir(dir.path()).args(["run", "p.toml", "--data-dir", "data", "--out", "out"]);
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(dir.path().join("out/summary.json")).expect("a summary");
    let summary: Value = serde_json::from_str(&text).expect("JSON");
    let experiments = summary["experiments"].as_array().expect("an array").clone();
    for experiment in &experiments {
        assert_eq!(experiment["errors"], 0, "{experiment}");
        assert!(number(experiment, "/records_per_second") > 0.0);
        assert!(number(experiment, "/broker_cpu_seconds_per_gib") >= 0.0);
        // The tool's processor time, not this program's, which waits.
        assert!(number(experiment, "/generator_cpu_seconds_per_gib") > 0.0, "{experiment}");
    }
    experiments
}

fn number(experiment: &Value, key: &str) -> f64 {
    experiment.pointer(key).and_then(Value::as_f64).unwrap_or_else(|| panic!("{key}: {experiment}"))
}

#[test]
fn kafkas_consumer_and_end_to_end_tools_are_drivers() {
    if !support::have_kafka() {
        return;
    }
    let experiments = run("[consumer]\nfill_records = 5000\n\
         [[experiment]]\nname = \"read\"\nkind = \"catch-up\"\ndriver = \"java\"\n\
         [[experiment]]\nname = \"e2e\"\nkind = \"tail\"\ndriver = \"java\"\n");
    let [read, e2e] = experiments.as_slice() else { panic!("{experiments:?}") };
    assert!(number(read, "/client_metrics/fetch-time-ms") > 0.0, "{read}");
    // The tool prints whole milliseconds for percentiles, and a mean with four digits.
    let latency = &e2e["latency_ms"];
    assert!(number(latency, "/mean") > 0.0, "{e2e}");
    assert!(number(latency, "/p99") >= number(latency, "/p50"), "{e2e}");
}

#[cfg(feature = "librdkafka")]
#[test]
fn librdkafka_is_a_driver() {
    let experiments = run("[[experiment]]\nname = \"c\"\ndriver = \"librdkafka\"\n");
    let [found] = experiments.as_slice() else { panic!("{experiments:?}") };
    assert_eq!(found["driver"], "librdkafka");
    // Its floor too is its own.
    assert!(number(found, "/generator_ceiling_records_per_second") > 0.0, "{found}");
}

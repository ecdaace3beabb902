//! Kinds of load, sweeps, and several targets in one run.

#![allow(clippy::disallowed_methods, reason = "tests start processes and read files")]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;
use support::runs::{number, run};

const HEAD: &str = "title = \"t\"\n";
const TOPIC: &str = "[topic]\npartitions = 3\n[records]\nvalue_bytes = 100\n\
                     [measure]\nwarmup_seconds = 0.25\nseconds = 0.5\nrecords = 20000\n";

#[test]
fn consumers_at_the_tail_are_timed_however_many_they_are() {
    let profile = format!(
        "{HEAD}kind = \"tail\"\n{TOPIC}[producer]\n\"linger.ms\" = 0\n\
         [[load]]\nmode = \"open\"\nrate = 1000\n[sweep.consumer]\nconsumers = [1, 3]\n"
    );
    let run = run(&profile, &[]).ok();
    let found = run.experiments("");
    assert_eq!(found.len(), 2);
    for experiment in &found {
        assert_eq!((&experiment["kind"], &experiment["errors"]), (&"tail".into(), &0.into()));
        assert!(number(experiment, "/records_per_second") > 0.0, "{experiment}");
        assert!(number(experiment, "/latency_ms/p50") > 0.0, "{experiment}");
        assert!(number(experiment, "/client_metrics/fetch-rate") > 0.0);
    }
}

#[test]
fn consumers_catch_up_with_what_was_stored() {
    let profile = format!(
        "{HEAD}kind = \"catch-up\"\n{TOPIC}[producer]\n\"compression.type\" = \"lz4\"\n\
         [consumer]\nfill_records = 20000\n[[load]]\nmode = \"closed\"\n\
         [sweep.consumer]\n\"max.partition.fetch.bytes\" = [10000, 1000000]\n"
    );
    let run = run(&profile, &[]).ok();
    let found = run.experiments("");
    let [small, large] = found.as_slice() else { panic!("{found:?}") };
    for experiment in [small, large] {
        assert_eq!(experiment["errors"], 0);
        assert!(number(experiment, "/records_per_second") > 0.0, "{experiment}");
    }
    let size = |experiment| number(experiment, "/client_metrics/fetch-size-avg");
    assert!(size(large) > 2.0 * size(small), "{} and {}", size(large), size(small));
}

#[test]
fn targets_take_turns_and_brokers_are_started_anew_for_what_a_sweep_asks() {
    let profile = format!(
        "{HEAD}{TOPIC}[[load]]\nmode = \"closed\"\n\
         [sweep.broker]\n\"ringlog.shards\" = [1, 2]\n"
    );
    let profile = format!("durability = [\"sync\", \"replicated\"]\n{profile}");
    let args = ["--target", "node", "--target", "null", "--rounds", "2", "--seconds", "0.25"];
    let run = run(&profile, &args).ok();
    let found = run.experiments("1-ringlog");
    let durabilities: Vec<&Value> = found.iter().map(|e| &e["durability"]).collect();
    assert_eq!(durabilities, ["sync", "sync", "replicated", "replicated"]);
    assert_eq!(found[1]["axes"], serde_json::json!([{"key": "shards", "value": "2"}]));
    for experiment in &found {
        assert_eq!(experiment["rounds"].as_array().map(Vec::len), Some(2));
        let ceiling = number(experiment, "/generator_ceiling_records_per_second");
        let near = number(experiment, "/records_per_second") > 0.8 * ceiling;
        let busy = number(experiment, "/generator_busy") > 0.95;
        assert_eq!(experiment["limited_by_generator"], near || busy, "{experiment}");
    }
    let null = run.experiments("2-null");
    assert!(null.iter().all(|e| e["durability"] == "none"), "{null:?}");
    let out = run.dir.path().join("out");
    let verdict = fs::read_to_string(out.join("verdict.md")).expect("a verdict");
    assert!(
        verdict.contains("A: durability replicated and sync; ringlog")
            && verdict.contains("too few rounds")
    );
    for folder in ["", "1-ringlog", "2-null"] {
        assert!(!out.join(folder).join("INCOMPLETE").exists(), "{folder}");
    }
    assert!(out.join("report.html").exists() && out.join("card.json").exists());
    assert!(out.join("2-null/env.json").exists() && !out.join("2-null/report.html").exists());
}

#[test]
fn the_highest_rate_within_a_bound_is_searched_for() {
    let profile = format!(
        "{HEAD}{TOPIC}[[load]]\nmode = \"sustain\"\np99_ms_max = 1000\n\
         [[experiment]]\nproducer = {{ \"linger.ms\" = 1 }}\n"
    );
    let run = run(&profile, &["--target", "null", "--seconds", "0.25"]).ok();
    let found = run.experiments("");
    let experiment = &found[0];
    let rate = number(experiment, "/target_rate");
    let tried = experiment["tried"].as_array().expect("an array");
    let sustained = tried.iter().filter(|one| one["sustained"] == true);
    let within = sustained.clone().all(|one| number(one, "/p99_ms") <= 1000.0);
    let highest = sustained.map(|one| number(one, "/rate")).fold(0.0, f64::max);
    assert!(within && rate == highest && rate > 0.0, "{experiment}");
    let failed = tried.iter().filter(|one| one["sustained"] == false);
    let lowest = failed.map(|one| number(one, "/rate")).fold(f64::MAX, f64::min);
    let found = number(experiment, "/records_per_second");
    // The last digit is the logarithm's.
    let bounds = highest * 0.999_999..=lowest * 1.000_001;
    assert!(bounds.contains(&found), "between both: {experiment}");
}

#[test]
fn a_broker_of_ones_own_is_not_told_what_to_be() {
    let profile = format!(
        "{HEAD}{TOPIC}[[load]]\nmode = \"closed\"\n[sweep.broker]\n\"num.io.threads\" = [1, 2]\n"
    );
    let run = run(&profile, &["--bootstrap", "127.0.0.1:1"]);
    assert_eq!(run.output.status.code(), Some(1));
    let said = run.stderr();
    assert!(said.contains("num.io.threads=1 sets num.io.threads, which cannot be set"), "{said}");
    assert!(run.dir.path().join("out/INCOMPLETE").exists());
}

#[test]
fn what_kafka_has_no_word_for_cannot_be_measured_of_it() {
    let profile = format!(
        "{HEAD}{TOPIC}[[load]]\nmode = \"closed\"\n[sweep.broker]\n\"ringlog.shards\" = [1, 2]\n"
    );
    let run = run(&profile, &["--target", "kafka"]);
    let said = run.stderr();
    assert!(said.contains("ringlog.shards, which is no property of Apache Kafka"), "{said}");
    let both = "durability = [\"sync\"]\n".to_owned()
        + &profile.replace("ringlog.shards", "ringlog.durability");
    let said = support::runs::run(&both, &[]).stderr();
    assert!(said.contains("broker.ringlog.durability: durability says that already"), "{said}");
}

/// Each target promises the same by its own means, which is read of the topic; and Kafka's tools
/// are drivers.
#[test]
fn kafka_is_a_target_and_its_tools_are_drivers() {
    if !support::have_kafka() {
        return;
    }
    let profile = format!(
        "durability = [\"replicated\", \"sync\"]\n{HEAD}{TOPIC}\
         [producer]\n\"linger.ms\" = 5\n[[load]]\nmode = \"closed\"\n\
         [[load]]\nmode = \"open\"\nrate = 1000\n\
         [[experiment]]\nname = \"native\"\n\
         [[experiment]]\nname = \"java\"\ndriver = \"java\"\n"
    );
    let run = run(&profile, &["--target", "kafka", "--target", "node"]).ok();
    for folder in ["1-kafka", "2-ringlog"] {
        let found = run.experiments(folder);
        assert_eq!(found.len(), 8, "{found:?}");
        for (index, experiment) in found.iter().enumerate() {
            let promise = if index < 4 { "replicated" } else { "sync" };
            assert_eq!(
                (&experiment["errors"], &experiment["durability"]),
                (&0.into(), &promise.into())
            );
            let by_tool = experiment["driver"] == "java";
            let load = match (experiment["mode"].as_str(), by_tool) {
                (Some("open"), true) => "throttled",
                (mode, _) => mode.expect("text"),
            };
            assert_eq!(experiment["load"], load, "a tool that waits is no open loop");
            assert!(number(experiment, "/records_per_second") > 0.0, "{experiment}");
            assert!(number(experiment, "/broker_cpu_seconds_per_gib") >= 0.0);
            assert!(number(experiment, "/latency_ms/p99") > 0.0, "{experiment}");
            if by_tool {
                let size = number(experiment, "/client_metrics/batch-size-avg");
                assert!(size > 100.0, "{experiment}");
            }
        }
    }
    let env = fs::read_to_string(run.dir.path().join("out/1-kafka/env.json")).expect("env.json");
    for words in ["Apache Kafka 4.", "-Xmx1G", "-XX:MaxGCPauseMillis=20", "as shipped"] {
        assert!(env.contains(words), "{words}: {env}");
    }
    let verdict = fs::read_to_string(run.dir.path().join("out/verdict.md")).expect("a verdict");
    assert!(verdict.contains("A: durability replicated and sync; kafka"), "{verdict}");
    assert!(verdict.contains("replicated against sync"), "our sync, its page cache: {verdict}");
}

/// Three nodes of Kafka are one target: their processor time is added up.
#[test]
fn a_cluster_is_a_target() {
    if !support::have_kafka() {
        return;
    }
    let profile = format!(
        "{HEAD}{TOPIC}[producer]\n\"linger.ms\" = 5\n[[load]]\nmode = \"closed\"\n[[experiment]]\n"
    );
    let three = run(&profile, &["--target", "kafka", "--nodes", "3"]).ok();
    let found = three.experiments("");
    assert!(number(&found[0], "/records_per_second") > 0.0 && found[0]["errors"] == 0);
    let env = fs::read_to_string(three.dir.path().join("out/env.json")).expect("env.json");
    assert!(env.contains("\"nodes\": 3"), "{env}");
    let said = run(&profile, &["--nodes", "3"]).stderr();
    assert!(said.contains("ringlog is one node: it makes no cluster of 3"), "{said}");
}

#[test]
fn requests_to_the_device_are_traced_where_that_is_allowed() {
    let traceable = fs::metadata("/sys/kernel/tracing/instances").is_ok();
    // A folder in memory has no device.
    let device = fs::metadata(std::env::temp_dir()).expect("a folder").dev();
    let root = rustix::process::geteuid().is_root();
    if !(root && traceable && rustix::fs::major(device) != 0) {
        eprintln!("SKIPPED: it needs root, tracefs, and a folder for temporary files on a disk");
        return;
    }
    let topic = TOPIC.replace("records = 20000", "block_trace = true");
    let profile = format!(
        "{HEAD}{topic}[[load]]\nmode = \"open\"\nrate = 1000\n[[experiment]]\nname = \"x\"\n"
    );
    let run = run(&profile, &["--durability", "sync"]).ok();
    let found = run.experiments("");
    assert!(number(&found[0], "/client_metrics/device-writes") >= 1.0, "{}", found[0]);
    assert!(number(&found[0], "/client_metrics/device-write-kib-avg") >= 0.5);
}

//! Clients that nobody here wrote as drivers: Kafka's consumer tools, and librdkafka.

#![allow(clippy::disallowed_methods, reason = "tests start processes and read files")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use support::runs::{number, run};

const BASE: &str = "title = \"t\"\n[topic]\npartitions = 3\n[records]\nvalue_bytes = 100\n\
                    [measure]\nseconds = 1\nrecords = 5000\n[[load]]\nmode = \"closed\"\n";

/// The experiments of a profile, run against a node.
fn measured(experiments: &str) -> Vec<Value> {
    let experiments = run(&format!("{BASE}{experiments}"), &[]).ok().experiments("");
    for experiment in &experiments {
        assert_eq!(experiment["errors"], 0, "{experiment}");
        assert!(number(experiment, "/records_per_second") > 0.0);
        assert!(number(experiment, "/broker_cpu_seconds_per_gib") >= 0.0);
        // The tool's processor time, not this program's, which waits.
        assert!(number(experiment, "/generator_cpu_seconds_per_gib") > 0.0, "{experiment}");
    }
    experiments
}

#[test]
fn kafkas_consumer_and_end_to_end_tools_are_drivers() {
    if !support::have_kafka() {
        return;
    }
    let experiments = measured(
        "[consumer]\nfill_records = 5000\n\
         [[experiment]]\nname = \"read\"\nkind = \"catch-up\"\ndriver = \"java\"\n\
         [[experiment]]\nname = \"e2e\"\nkind = \"tail\"\ndriver = \"java\"\n",
    );
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
    let experiments = measured("[[experiment]]\nname = \"c\"\ndriver = \"librdkafka\"\n");
    let [found] = experiments.as_slice() else { panic!("{experiments:?}") };
    assert_eq!(found["driver"], "librdkafka");
    // Its floor too is its own.
    assert!(number(found, "/generator_ceiling_records_per_second") > 0.0, "{found}");
}

/// In place of Apache Iggy's programs: a server that accepts connections, and a load generator
/// that leaves a report as iggy-bench 0.9 does, and what it was told.
const IGGY_SERVER: &str = "#!/usr/bin/env python3
import os, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
host, port = os.environ['IGGY_TCP_ADDRESS'].rsplit(':', 1)
listener = socket.create_server((host, int(port)))
while True:
    listener.accept()
";
const IGGY_BENCH: &str = r#"#!/bin/sh
echo "$@" >>"$(dirname "$0")/told"
for out; do :; done
mkdir "$out/run"
echo '{"uuid": "x", "group_metrics": [{"summary": {"kind": "producers",
  "total_throughput_messages_per_second": 2000.0, "average_latency_ms": 1.5,
  "average_p50_latency_ms": 1.0, "average_p95_latency_ms": 2.0, "average_p99_latency_ms": 3.0,
  "average_p999_latency_ms": 4.0, "max_latency_ms": 5.0}}]}' >"$out/run/report.json"
"#;

#[test]
fn iggy_is_measured_by_its_own_load_generator() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, script) in [("iggy-server", IGGY_SERVER), ("iggy-bench", IGGY_BENCH)] {
        let path = dir.path().join(name);
        fs::write(&path, script).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its own file");
    }
    let profile = format!(
        "{BASE}[[load]]\nmode = \"open\"\nrate = 500\n[[experiment]]\nname = \"x\"\n\
         producer = {{ \"batch.size\" = 10000 }}\n"
    );
    let target = format!("iggy@{}", dir.path().display());
    let found = run(&profile, &["--target", &target, "--durability", "sync"]).ok().experiments("");
    let [closed, paced] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&closed["load"], &paced["load"]), (&"closed".into(), &"throttled".into()));
    for one in [closed, paced] {
        assert_eq!(
            (&one["driver"], &one["durability"]),
            (&"iggy".into(), &"unknown".into()),
            "{one}"
        );
        assert_eq!(number(one, "/records_per_second"), 2000.0);
        assert_eq!((number(one, "/latency_ms/p99"), number(one, "/latency_ms/max")), (3.0, 5.0));
        assert!(
            number(one, "/rounds/0/broker_rss_bytes") > 0.0 && one["generator_floor"].is_null()
        );
    }
    let told = fs::read_to_string(dir.path().join("told")).expect("it was run");
    let told: Vec<&str> = told.lines().collect();
    // Each load after a quarter of it as a warm-up: 5000 records in batches of 100 by three
    // producers, then 500 a second of 100 bytes.
    let [warm_up, closed, _, paced] = told.as_slice() else { panic!("{told:?}") };
    assert!(warm_up.contains("--message-batches 5 "), "{warm_up}");
    for words in [
        "--message-size 100 --messages-per-batch 100 --message-batches 17 --enforce-fsync ",
        "pinned-producer --producers 3 tcp --server-address 127.0.0.1:",
    ] {
        assert!(closed.contains(words), "{closed}");
    }
    assert!(!closed.contains("--rate-limit") && paced.contains("--rate-limit 50000B"), "{told:?}");

    let missing = run(&profile, &["--target", "iggy@/nowhere"]);
    assert!(missing.stderr().contains("/nowhere/iggy-server is not there"), "{}", missing.stderr());
    let tail = format!("{BASE}[[experiment]]\nname = \"x\"\nkind = \"catch-up\"\n");
    let refused = run(&tail, &["--target", &target]);
    assert!(refused.stderr().contains("iggy-bench has no kind"), "{}", refused.stderr());
}

//! Clients that nobody here wrote as drivers: Kafka's consumer tools, and librdkafka.

mod support;

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

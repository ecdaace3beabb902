//! What happens once in a round, in miniature: a node that is stopped or killed and starts again,
//! and consumer groups whose members join or rebalance at once.

#![allow(clippy::disallowed_methods, reason = "tests start processes and read files")]

mod support;

use serde_json::Value;
use support::runs::{number, run};

const TOPIC: &str = "[topic]\npartitions = 6\n[records]\nvalue_bytes = 100\n\
                     [measure]\nseconds = 0.1\n[[load]]\nmode = \"closed\"\n";

fn check(experiment: &Value, kind: &str) {
    assert_eq!((&experiment["kind"], &experiment["load"]), (&kind.into(), &kind.into()));
    assert_eq!(experiment["errors"], 0, "{experiment}");
    for figure in ["/records_per_second", "/latency_ms/p50", "/latency_ms/max"] {
        assert!(number(experiment, figure) > 0.0, "{experiment}");
    }
    let memory = experiment["rounds"][0]["broker_rss_bytes"].as_u64();
    assert!(memory.is_some_and(|bytes| bytes > 1 << 20), "{experiment}");
    assert!(experiment["generator_floor"].is_null(), "there is no floor: {experiment}");
}

#[test]
fn a_node_starts_again_after_a_stop_and_after_a_kill() {
    let profile = format!(
        "title = \"t\"\ndurability = [\"sync\"]\n{TOPIC}[consumer]\nfill_records = 20000\n\
         [[experiment]]\nname = \"stopped\"\nkind = \"restart\"\n\
         [[experiment]]\nname = \"killed\"\nkind = \"kill\"\n"
    );
    let run = run(&profile, &["--rounds", "2"]).ok();
    let found = run.experiments("");
    let [stopped, killed] = found.as_slice() else { panic!("{found:?}") };
    for (experiment, kind) in [(stopped, "restart"), (killed, "kill")] {
        check(experiment, kind);
        assert_eq!(experiment["rounds"].as_array().map(Vec::len), Some(2));
        assert!(number(experiment, "/client_metrics/broker-descriptors") > 6.0, "{experiment}");
    }
}

#[test]
fn groups_settle_and_a_producer_is_heard() {
    let profile = format!(
        "title = \"t\"\n{TOPIC}[groups]\ngroups = 4\nmembers = 12\n\
         \"heartbeat.interval.ms\" = 50\n\
         [broker]\n\"group.initial.rebalance.delay.ms\" = 100\n\
         \"group.consumer.heartbeat.interval.ms\" = 200\n\
         \"group.consumer.min.heartbeat.interval.ms\" = 200\n\
         [sweep]\nkind = [\"join\", \"rebalance\"]\n\
         [sweep.groups]\n\"group.protocol\" = [\"classic\", \"consumer\"]\n"
    );
    let run = run(&profile, &[]).ok();
    let found = run.experiments("");
    let generations = |experiment: &Value| number(experiment, "/client_metrics/generations");
    for protocol in ["classic", "consumer"] {
        let of = |kind: &str| {
            let is = |axis: &Value| axis["value"] == protocol;
            let mut of_kind = found.iter().filter(|one| one["kind"] == kind);
            of_kind.find(|one| one["axes"].as_array().is_some_and(|axes| axes.iter().any(is)))
        };
        let (join, rebalance) = (of("join").expect("one"), of("rebalance").expect("one"));
        check(join, "join");
        check(rebalance, "rebalance");
        assert!(generations(join) >= 1.0 && generations(rebalance) > generations(join));
        let requests = |experiment| number(experiment, "/client_metrics/member-requests");
        assert!(requests(join) >= 12.0 && requests(rebalance) >= 16.0, "{join} {rebalance}");
    }
}

#[test]
fn what_cannot_be_restarted_is_refused() {
    let profile =
        format!("title = \"t\"\nkind = \"kill\"\n{TOPIC}[[experiment]]\nname = \"killed\"\n");
    for (target, said) in [
        (["--bootstrap", "127.0.0.1:1"], "cannot be stopped and started"),
        (["--target", "null"], "cannot be stopped and started"),
    ] {
        let run = run(&profile, &target);
        assert_eq!(run.output.status.code(), Some(1));
        assert!(run.stderr().contains(said), "{}", run.stderr());
    }
    let profile = format!("title = \"t\"\nkind = \"join\"\ndriver = \"java\"\n{TOPIC}");
    let refused = run(&format!("{profile}[[experiment]]\nname = \"x\"\n"), &[]);
    let said = refused.stderr();
    assert!(said.contains("driver = \"java\" is not for kind"), "{said}");
}

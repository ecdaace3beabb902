//! A node under the highest load that the generator gives: it outlives what its logs do by
//! themselves. FULL_LOAD_SECONDS says for how long in each mode.

#![allow(clippy::disallowed_methods, reason = "tests start processes and read files")]

mod support;

use support::runs::{number, run};

/// Logs that roll often, most of them with the batch after which a recovery point is due: the two
/// met within a minute where nothing kept them apart. Their orders are tried one by one in
/// engine/tests/crash_model/actors.rs; this is for what nobody thought of.
#[test]
fn e02_e03_logs_that_roll_at_full_load_go_on_in_both_modes() {
    let seconds = std::env::var("FULL_LOAD_SECONDS").ok().and_then(|s| s.parse().ok());
    let seconds: u64 = seconds.unwrap_or(6);
    let profile = format!(
        "title = \"Rolls\"\n\
         [topic]\npartitions = 6\n\
         configs = {{ \"segment.bytes\" = 34000000, \"retention.bytes\" = 100000000 }}\n\
         [broker]\n\"log.retention.check.interval.ms\" = 50\n\
         [records]\nvalue_bytes = 100\n\
         [producer]\nacks = \"all\"\n\"batch.size\" = 1000000\n\"linger.ms\" = 5\n\
         [measure]\nwarmup_seconds = 0.25\nseconds = {seconds}\n\
         [[load]]\nmode = \"closed\"\n\
         [sweep.broker]\n\"ringlog.io.mode\" = [\"buffered\", \"direct\"]\n"
    );
    let run = run(&profile, &[]).ok();
    let found = run.experiments("");
    assert_eq!(found.len(), 2);
    for experiment in &found {
        assert_eq!(experiment["errors"], 0, "{experiment}");
        assert!(number(experiment, "/records_per_second") > 0.0, "{experiment}");
    }
}

//! `ringlog-bench compare` from outside: its verdicts, and when it gives none.

#![allow(clippy::disallowed_methods, reason = "tests start processes and write files")]
#![allow(dead_code, reason = "the shared module is used in part")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::PROGRAM;
use tempfile::TempDir;

const PROFILE: &str = "title = \"t\"\n[topic]\npartitions = 6\n[measure]\nseconds = 5\n";
const RATES: [f64; 5] = [100e3, 101e3, 99e3, 100.5e3, 99.5e3];

/// A result as `run` leaves it.
struct Made {
    dir: TempDir,
    summary: Value,
    profile: String,
}

impl Made {
    fn new(target: &str, durability: &str, speed: f64) -> Made {
        let round = |rate: &f64| {
            let latency = |ms: f64| ms / speed * (rate / 100e3);
            json!({"warmup_seconds": 1.0, "steady": true, "records_per_second": rate * speed,
                "errors": 0, "broker_cpu_seconds_per_gib": 2.0 / speed,
                "broker_cpu_us_per_record": 5.0 / speed,
                "latency_ms": {"mean": latency(2.0), "p50": latency(1.0), "p95": latency(3.0),
                    "p99": latency(5.0), "p999": latency(9.0), "max": latency(20.0)}})
        };
        let experiment = |mode: &str, rate: Option<f64>| {
            let rounds: Vec<Value> = RATES.iter().map(round).collect();
            let mut whole = rounds[0].clone();
            whole["name"] = json!("16384/0");
            whole["mode"] = json!(mode);
            whole["target_rate"] = json!(rate);
            whole["rounds"] = json!(rounds);
            whole
        };
        let summary = json!({
            "profile": "test", "target": target, "durability": durability,
            "host": {"kernel": "6.1", "cpus": 2, "data": null},
            "experiments": [experiment("closed", None), experiment("open", Some(5000.0))],
        });
        let dir = tempfile::tempdir().expect("a folder");
        Made { dir, summary, profile: PROFILE.to_owned() }
    }

    fn write(self) -> TempDir {
        self.write_to(self.dir.path());
        self.dir
    }

    fn write_to(&self, path: &Path) {
        fs::create_dir_all(path).expect("a folder");
        let write = |name: &str, text: String| fs::write(path.join(name), text).expect("written");
        write("summary.json", self.summary.to_string());
        write("env.json", json!({"seconds": 5.0}).to_string());
        write("profile.toml", self.profile.clone());
    }
}

fn compare(paths: &[&dyn AsRef<Path>], args: &[&str]) -> (bool, String, String) {
    let paths = paths.iter().map(|path| path.as_ref().as_os_str());
    let output =
        Command::new(PROGRAM).arg("compare").args(paths).args(args).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// The verdict in a table's line for this experiment and figure.
fn verdict<'a>(text: &'a str, start: &str, figure: &str) -> &'a str {
    let line = text.lines().find(|line| line.starts_with(start) && line.contains(figure));
    line.unwrap_or_else(|| panic!("{start}, {figure}: {text}"))
}

#[test]
fn a_result_is_not_distinguishable_from_itself_and_durability_comes_first() {
    let a = Made::new("ringlog", "sync", 1.0).write();
    let (well, text, _) = compare(&[&a, &a], &[]);
    assert!(well && text.starts_with("A: durability sync; ringlog"), "{text}");
    let rows = text.lines().filter(|line| line.starts_with("16384/0"));
    assert_eq!(rows.filter(|row| row.contains("not distinguishable")).count(), 5, "{text}");
    assert!(
        text.contains(
            "At the same durability (sync), closed loop: the rate of ringlog and ringlog is not"
        ),
        "{text}"
    );
    assert!(text.contains("host: the same\nload: the same"), "{text}");
}

#[test]
fn what_is_faster_is_faster_in_both_directions() {
    let (a, b) =
        (Made::new("kafka", "sync", 1.0).write(), Made::new("ringlog", "sync", 1.2).write());
    let (well, text, _) = compare(&[&a, &b], &[]);
    assert!(well, "{text}");
    assert!(verdict(&text, "16384/0 closed", "records/s").ends_with("  faster"), "{text}");
    assert!(verdict(&text, "16384/0 open, 5,000/s", "p99").ends_with("  faster"), "{text}");
    assert!(
        verdict(&text, "16384/0 open, 5,000/s", "cpu-us/record").ends_with("  less CPU"),
        "{text}"
    );
    let (_, text, _) = compare(&[&b, &a], &[]);
    assert!(verdict(&text, "16384/0 closed", "records/s").ends_with("  slower"), "{text}");
    // Two percent are no difference, however certain.
    let near = Made::new("ringlog", "sync", 1.02).write();
    let (_, text, _) = compare(&[&a, &near], &[]);
    assert!(
        verdict(&text, "16384/0 closed", "records/s").contains("not distinguishable"),
        "{text}"
    );
}

#[test]
fn a_faster_side_that_promises_less_is_said_to() {
    let (a, b) =
        (Made::new("ringlog", "sync", 1.0).write(), Made::new("kafka", "replicated", 2.0).write());
    let (well, text, said) = compare(&[&a, &b], &[]);
    let row = verdict(&text, "16384/0 closed", "records/s");
    assert!(well && row.ends_with("  faster, and promises less"), "{text}{said}");
    assert!(row.contains("sync against replicated"), "{row}");
    let sentence = "Where kafka promises less (replicated against sync), closed loop: kafka 2.00 \
                    times the rate of ringlog (1.97 to 2.03), 0.500 times its processor time";
    assert!(text.contains(sentence), "{text}");
    // The other way round it is the more.
    let slow = Made::new("kafka", "replicated", 0.5).write();
    let (well, text, _) = compare(&[&slow, &a], &[]);
    let row = verdict(&text, "16384/0 closed", "records/s");
    assert!(well && row.ends_with("  faster, and promises more"), "{text}");
    assert!(text.contains("Where ringlog promises more (sync against replicated)"), "{text}");
}

/// Both sides have both promises: like is held against like, and a sync against none beside it.
#[test]
fn each_promise_is_held_against_its_own() {
    let both = |target: &str, speeds: [f64; 2]| {
        let [mut made, other] = ["replicated", "sync"].map(|d| Made::new(target, d, 1.0));
        let mut all = Vec::new();
        for (durability, speed) in ["replicated", "sync"].into_iter().zip(speeds) {
            let of = Made::new(target, durability, speed).summary["experiments"].take();
            for experiment in of.as_array().expect("an array") {
                let mut experiment = experiment.clone();
                experiment["durability"] = json!(durability);
                all.push(experiment);
            }
        }
        drop(other);
        made.summary["experiments"] = json!(all);
        made.write()
    };
    let (ringlog, kafka) = (both("ringlog", [6.0, 3.0]), both("kafka", [2.0, 0.5]));
    let (well, text, said) = compare(&[&ringlog, &kafka], &[]);
    assert!(well, "{said}");
    let closed: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("16384/0 closed") && line.contains("records/s"))
        .collect();
    let promises = ["replicated  ", "sync  ", "sync against replicated  "];
    assert_eq!(closed.len(), promises.len(), "{text}");
    for (line, promise) in closed.iter().zip(promises) {
        assert!(line.contains(promise), "{line}");
    }
    for sentence in [
        "At the same durability (replicated), closed loop: ringlog 3.00 times the rate of kafka \
         (2.96 to 3.04), 0.333 times its processor time",
        "At the same durability (sync), closed loop: ringlog 6.00 times the rate of kafka (5.92 to \
         6.08), 0.167 times",
        "Where ringlog promises more (sync against replicated), closed loop: ringlog 1.50 times \
         the rate of kafka (1.48 to 1.52), 0.667 times",
        "At the same durability (sync), open, 5,000/s: ringlog 0.167 times the 99th percentile of \
         latency of kafka",
    ] {
        assert!(text.contains(sentence), "{sentence}\n{text}");
    }
}

#[test]
fn lost_records_forbid_a_verdict_and_cold_rounds_do_not_count() {
    let a = Made::new("ringlog", "sync", 1.0).write();
    let mut lossy = Made::new("kafka", "sync", 2.0);
    lossy.summary["experiments"][0]["rounds"][2]["errors"] = json!(7);
    let (well, text, said) = compare(&[&a, &lossy.write()], &[]);
    assert!(!well && said.contains("7 records of B were lost"), "{said}");
    assert!(verdict(&text, "16384/0 closed", "records/s").ends_with("refused"), "{text}");
    assert!(verdict(&text, "16384/0 open, 5,000/s", "p99").ends_with("faster"), "{text}");
    // The first round was of a cold JVM: half as fast, and left out.
    let mut cold = Made::new("kafka", "sync", 1.0);
    cold.summary["experiments"][0]["rounds"][0]["records_per_second"] = json!(1.0);
    cold.summary["experiments"][0]["rounds"][0]["counted"] = json!(false);
    let (well, text, _) = compare(&[&a, &cold.write()], &[]);
    let row = verdict(&text, "16384/0 closed", "records/s");
    assert!(well && row.contains("not distinguishable"), "{text}");
}

#[test]
fn no_verdict_where_host_or_load_differ() {
    let a = Made::new("ringlog", "sync", 1.0).write();
    let mut other = Made::new("ringlog", "sync", 2.0);
    other.summary["host"]["kernel"] = json!("6.2");
    let b = other.write();
    let (well, text, said) = compare(&[&a, &b], &[]);
    assert!(!well && said.contains("the host differs: kernel is \"6.1\" and \"6.2\""), "{said}");
    assert!(!text.contains("faster\n"), "{text}");
    let mut other = Made::new("ringlog", "sync", 2.0);
    other.profile = PROFILE.replace("partitions = 6", "partitions = 1") + "[broker]\nx = 1\n";
    let b = other.write();
    let (well, _, said) = compare(&[&a, &b], &[]);
    assert!(!well && said.contains("the load differs: topic.partitions is 6 and 1"), "{said}");
    assert!(!said.contains("broker"), "a broker's settings are what is compared: {said}");
    // A share of one's own closed loop: the faster one had less to do.
    let mut other = Made::new("ringlog", "sync", 2.0);
    other.summary["experiments"][1]["target_rate"] = json!(2500.0);
    let b = other.write();
    let (well, _, said) = compare(&[&a, &b], &[]);
    assert!(!well && said.contains("16384/0 open, sync: the faster side had less to do"), "{said}");
}

#[test]
fn too_few_rounds_tell_nothing() {
    let (mut a, mut b) = (Made::new("x", "sync", 1.0), Made::new("y", "sync", 3.0));
    for made in [&mut a, &mut b] {
        for experiment in made.summary["experiments"].as_array_mut().expect("an array") {
            experiment["rounds"].as_array_mut().expect("an array").truncate(3);
        }
    }
    let (well, text, _) = compare(&[&a.write(), &b.write()], &[]);
    assert!(well && text.contains("not distinguishable (too few rounds)"), "{text}");
    assert!(!text.contains("faster"), "{text}");
}

#[test]
fn the_targets_of_one_result_are_compared() {
    let dir = tempfile::tempdir().expect("a folder");
    Made::new("ringlog", "sync", 1.3).write_to(&dir.path().join("1-ringlog"));
    Made::new("kafka", "sync", 1.0).write_to(&dir.path().join("2-kafka"));
    let (well, text, _) = compare(&[&dir], &[]);
    assert!(well && verdict(&text, "16384/0 closed", "records/s").ends_with("slower"), "{text}");
    // Both folders hold both: like is compared with like.
    let (well, text, _) = compare(&[&dir, &dir], &[]);
    let rows = text.lines().filter(|line| line.starts_with("16384/0"));
    let alike = rows.filter(|row| row.contains("not distinguishable")).count();
    assert!(well && alike == 10, "{text}");
}

#[test]
fn what_is_no_result_is_named() {
    let made = Made::new("x", "sync", 1.0);
    let a = made.write();
    let empty = tempfile::tempdir().expect("a folder");
    let cases: [(&dyn AsRef<Path>, &str); 2] = [
        (&"/no/such", "/no/such is no folder"),
        (&empty, "holds no result: there is no summary.json"),
    ];
    for (path, expected) in cases {
        let (well, _, said) = compare(&[&a, path], &[]);
        assert!(!well && said.contains(expected), "{said}");
    }
    let (well, _, said) = compare(&[&a], &[]);
    assert!(!well && said.contains("holds 1 targets: name another result"), "{said}");
    fs::write(a.path().join("INCOMPLETE"), "").expect("written");
    let (well, _, said) = compare(&[&a, &a], &[]);
    assert!(!well && said.contains("is incomplete"), "{said}");
    fs::remove_file(a.path().join("INCOMPLETE")).expect("removed");
    fs::write(a.path().join("summary.json"), "{\"target\": 1}").expect("written");
    let (well, _, said) = compare(&[&a, &a], &[]);
    assert!(!well && said.contains("summary.json"), "{said}");
}

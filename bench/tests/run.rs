//! `ringlog-bench run` from outside: what it prints, leaves and says when something is wrong.

#![allow(clippy::disallowed_methods, reason = "tests start processes and read files")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::PROGRAM;

const PATIENCE: Duration = Duration::from_secs(20);
/// What the seed notes report of the producer's own metrics.
const SEED_METRICS: [&str; 5] = [
    "batch-size-avg",
    "bufferpool-wait-ratio",
    "outgoing-byte-rate",
    "record-queue-time-avg",
    "request-latency-avg",
];
const PROFILE: &str = r#"
title = "Small"
[topic]
partitions = 3
[records]
value_bytes = 100
[measure]
warmup_seconds = 0.25
seconds = 0.5
[[load]]
mode = "closed"
[[load]]
mode = "open"
share_of_closed = 0.25
[[experiment]]
producer = { "batch.size" = 100000, "linger.ms" = 5 }
[experiment.reference]
records_per_second = 12345
mb_per_second = 1.2
latency_ms = { mean = 1, p50 = 1, p95 = 1, p99 = 1, p999 = 1, max = 1 }
[[experiment]]
producer = { "batch.size" = 16384, "linger.ms" = 0 }
[reference]
label = "Seed notes"
"#;

/// A folder with a profile, a place for data and one for the result.
struct Setting {
    dir: tempfile::TempDir,
}

impl Setting {
    fn new(profile: &str) -> Setting {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("small.toml"), profile).expect("a profile");
        fs::create_dir(dir.path().join("data")).expect("a folder");
        Setting { dir }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.dir.path()).args(["run", "small.toml", "--data-dir", "data"]);
        command.args(["--out", "out"]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("it runs")
    }

    /// Starts it and waits until its target answers.
    fn start(&self, args: &[&str]) -> Child {
        let child = self.command(args).spawn().expect("it runs");
        let env = self.out().join("env.json");
        let since = Instant::now();
        while !env.exists() {
            assert!(since.elapsed() < PATIENCE, "no {}", env.display());
            std::thread::yield_now();
        }
        child
    }

    fn json(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.out().join(name)).expect(name);
        serde_json::from_str(&text).expect("JSON")
    }

    /// The run failed, said so, marked its folder, and left neither a summary nor data.
    fn assert_failed(&self, output: &Output, expected: &str) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
        if self.out().exists() {
            let mark = fs::read_to_string(self.out().join("INCOMPLETE")).expect("a mark");
            assert!(mark.contains(expected), "{mark}");
            assert!(!self.out().join("summary.json").exists());
        }
        self.assert_no_data();
    }

    fn assert_no_data(&self) {
        let data: Vec<_> = fs::read_dir(self.dir.path().join("data")).expect("there").collect();
        assert!(data.is_empty(), "{data:?}");
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn a_run_leaves_a_whole_result() {
    let setting = Setting::new(PROFILE);
    let output = setting.run(&[]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "no bar where there is no terminal");
    assert!(stdout.contains("Seed notes") && stdout.contains("12,345"), "{stdout}");
    assert!(stdout.contains("durability sync"), "{stdout}");

    let summary = setting.json("summary.json");
    assert_eq!(
        keys(&summary),
        ["durability", "experiments", "host", "partial", "profile", "target"]
    );
    assert_eq!([&summary["profile"], &summary["target"]], ["small", "ringlog"]);
    assert_eq!(summary["durability"], "sync");
    let experiments = summary["experiments"].as_array().expect("an array");
    let loads: Vec<(&str, &str)> = experiments
        .iter()
        .map(|e| (e["name"].as_str().expect("text"), e["mode"].as_str().expect("text")))
        .collect();
    let (big, small) = ("100000/5", "16384/0");
    assert_eq!(loads, [(big, "closed"), (big, "open"), (small, "closed"), (small, "open")]);
    experiments.iter().for_each(check_experiment);
    let rate = |index: usize, key: &str| experiments[index][key].as_f64().expect("a number");
    assert!((rate(1, "target_rate") / (0.25 * rate(0, "records_per_second")) - 1.0).abs() < 1e-6);
    // How much of it is reached depends on what else this machine does.
    assert!(rate(1, "records_per_second") > 0.0);

    let env = setting.json("env.json");
    assert_eq!(env["host"], summary["host"]);
    for (path, text) in [
        ("/durability", "sync"),
        ("/versions/ringlog", env!("CARGO_PKG_VERSION")),
        ("/versions/rustc", "rustc 1."),
    ] {
        let found = env.pointer(path).and_then(Value::as_str);
        assert!(found.is_some_and(|found| found.starts_with(text)), "{path}: {found:?}");
    }
    let floors = env["device_floors"].as_array().expect("an array");
    assert!(floors.iter().any(|floor| floor["what"] == "append, then fdatasync"), "{env}");
    for path in ["/kernel", "/cpus", "/data/kind", "/data/mount_options", "/limits/nofile"] {
        assert!(env["host"].pointer(path).is_some_and(|value| !value.is_null()), "{path}");
    }
    assert_eq!(fs::read_to_string(setting.out().join("profile.toml")).expect("a copy"), PROFILE);
    check_report(&setting.out(), &summary);
    check_interval_logs(&setting.out());
    assert!(!setting.out().join("INCOMPLETE").exists());
    setting.assert_no_data();
    let again = setting.run(&[]);
    let stderr = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && stderr.contains("holds a result already"), "{stderr}");
}

#[test]
fn rounds_are_samples_and_a_warm_up_goes_on_while_it_must() {
    let measure = "warmup_seconds_max = 2.5\nwarmup_seconds = 0.25";
    let closed = PROFILE.replace("[[load]]\nmode = \"open\"\nshare_of_closed = 0.25\n", "");
    let (one, _) = closed.split_once("[experiment.reference]").expect("a reference");
    let setting = Setting::new(&one.replace("warmup_seconds = 0.25", measure));
    let output = setting.run(&["--rounds", "2"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = setting.json("summary.json");
    for experiment in summary["experiments"].as_array().expect("an array") {
        let rounds = experiment["rounds"].as_array().expect("an array");
        let rates = rounds.iter().map(|round| round["records_per_second"].as_f64().expect("one"));
        let mean = rates.sum::<f64>() / 2.0;
        let whole = experiment["records_per_second"].as_f64().expect("a number");
        assert!(rounds.len() == 2 && (whole / mean - 1.0).abs() < 1e-6, "{experiment}");
        for round in rounds {
            let warmup = round["warmup_seconds"].as_f64().expect("a number");
            assert!((2.0..=2.5).contains(&warmup), "a trend takes two seconds to see: {round}");
            assert!(round["steady"].is_boolean(), "{round}");
        }
    }
    let log = fs::read(setting.out().join("01-100000-5-sync-closed.hlog")).expect("a log");
    let entries = IntervalLogIterator::new(&log).map(|entry| entry.expect("valid"));
    let rounds = entries.filter(|entry| matches!(entry, LogEntry::Interval(_))).count();
    assert_eq!(rounds, 1, "a histogram of both rounds");
}

/// The issue's schema, and what must hold of any experiment.
fn check_experiment(experiment: &Value) {
    let mut expected = [
        "name",
        "axes",
        "mode",
        "load",
        "trend",
        "machine",
        "broker_cpu_us_per_record",
        "target_rate",
        "records_per_second",
        "mb_per_second",
        "latency_ms",
        "errors",
        "error_reasons",
        "broker_cpu_seconds_per_gib",
        "broker_rss_bytes",
        "broker_switches_per_1000_records",
        "broker_written_per_byte",
        "driver",
        "durability",
        "broker_system_seconds_per_gib",
        "generator_busy",
        "generator_ceiling_records_per_second",
        "generator_cpu_seconds_per_gib",
        "generator_floor",
        "generator_system_seconds_per_gib",
        "kind",
        "limited_by_generator",
        "tried",
        "client_metrics",
        "rounds",
    ];
    expected.sort_unstable();
    assert_eq!(keys(experiment), expected);
    let open = experiment["mode"] == "open";
    assert_eq!(experiment["target_rate"].is_number(), open, "{experiment}");
    assert_eq!(experiment["errors"], 0);
    let rate = experiment["records_per_second"].as_f64().expect("a number");
    assert_eq!(experiment["rounds"][0]["records_per_second"], rate, "of one round it is the whole");
    assert!(experiment["broker_switches_per_1000_records"].as_f64().is_some_and(|n| n > 0.0));
    let mb = experiment["mb_per_second"].as_f64().expect("a number");
    assert!(rate > 0.0 && (mb * f64::from(1 << 20) / 100.0 / rate - 1.0).abs() < 1e-9);
    let latency = &experiment["latency_ms"];
    let at = |key: &str| latency[key].as_f64().expect(key);
    let rising = ["p50", "p95", "p99", "p999", "max"].map(at);
    assert!(rising.is_sorted() && rising[0] > 0.0, "{latency}");
    assert!((0.0..=at("max")).contains(&at("mean")), "{latency}");
    assert_eq!(keys(latency).len(), 6);
    assert!(experiment["broker_cpu_seconds_per_gib"].as_f64().is_some_and(|cpu| cpu >= 0.0));
    assert!(experiment["broker_rss_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
    check_generator(experiment, open);
    for metric in SEED_METRICS {
        let value = experiment["client_metrics"][metric].as_f64();
        assert!(value.is_some_and(|value| value >= 0.0), "{metric}: {value:?}");
    }
}

/// What part of it was the generator's own.
fn check_generator(experiment: &Value, open: bool) {
    let number = |path: &str| experiment.pointer(path).and_then(Value::as_f64).expect(path);
    for side in ["broker", "generator"] {
        let all = number(&format!("/{side}_cpu_seconds_per_gib"));
        let system = number(&format!("/{side}_system_seconds_per_gib"));
        assert!((0.0..=all + 1e-9).contains(&system), "{side}: {system} of {all}");
    }
    // Time is counted in hundredths of a second: a load that sends little may show none.
    assert!(open || number("/generator_busy") > 0.0, "{experiment}");
    assert_eq!(experiment["generator_ceiling_records_per_second"].is_null(), open);
    let floor = number("/generator_floor/records_per_second");
    assert!(floor > 0.0 && number("/generator_floor/p50_ms") <= number("/generator_floor/p99_ms"));
    if open {
        let asked = number("/target_rate");
        assert!((0.1..2.0).contains(&(floor / asked)), "as fast as it can is 4: {floor}, {asked}");
    }
}

fn check_report(out: &Path, summary: &Value) {
    let html = fs::read_to_string(out.join("report.html")).expect("a report");
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
    assert!(!html.contains("http") && !html.contains("src=") && html.contains("<svg"));
    for experiment in summary["experiments"].as_array().expect("an array") {
        assert!(html.contains(experiment["name"].as_str().expect("text")));
    }
    for title in ["At a glance", "Records a second", "Percentiles to the right", "Rate over time"] {
        assert!(html.contains(title), "{title}");
    }
}

/// Every log can be read by HdrHistogram's own reader, and holds what the summary was made of.
fn check_interval_logs(out: &Path) {
    let mut deserializer = Deserializer::new();
    for name in [
        "01-100000-5-sync-closed.hlog",
        "02-100000-5-sync-open.hlog",
        "03-16384-0-sync-closed.hlog",
        "04-16384-0-sync-open.hlog",
    ] {
        let log = fs::read(out.join(name)).expect(name);
        let mut records = 0;
        for entry in IntervalLogIterator::new(&log) {
            let LogEntry::Interval(interval) = entry.expect("valid") else { continue };
            let bytes = base64(interval.encoded_histogram());
            let histogram = deserializer.deserialize::<u64, _>(&mut bytes.as_slice());
            records += histogram.expect("a histogram").len();
        }
        assert!(records > 0, "{name}");
    }
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => u32::from(c - b'A'),
        b'a'..=b'z' => u32::from(c - b'a') + 26,
        b'0'..=b'9' => u32::from(c - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{} is not base64", char::from(other)),
    };
    let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').collect();
    let mut bytes = Vec::new();
    for four in digits.chunks(4) {
        let bits = four.iter().fold(0, |bits, c| bits << 6 | digit(*c)) << (6 * (4 - four.len()));
        bytes.extend(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}

#[test]
fn the_null_broker_and_a_broker_of_ones_own_are_targets() {
    let setting = Setting::new(PROFILE);
    let output = setting.run(&["--target", "null", "--seconds", "0.25"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = setting.json("summary.json");
    assert_eq!([&summary["target"], &summary["durability"]], ["null", "none"]);
    assert_eq!(setting.json("env.json")["seconds"], 0.25);

    let remote = Setting::new(PROFILE);
    let dir = tempfile::tempdir().expect("a folder");
    support::on_shard(async move |shard: ringlog_engine::shard::Shard| {
        let mut target = support::node(&shard, dir.path(), &[]).await;
        let address = target.bootstrap.to_string();
        let output = remote.run(&["--bootstrap", &address, "--seconds", "0.25"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary = remote.json("summary.json");
        assert_eq!([&summary["target"], &summary["durability"]], [&address, "sync"]);
        let first = &summary["experiments"][0];
        assert!(first["broker_cpu_seconds_per_gib"].is_null());
        assert!(first["broker_rss_bytes"].is_null());
        assert!(summary["host"]["data"].is_null());
        target.stop().expect("a clean stop");
    });
}

#[test]
fn a_target_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let setting = Setting::new(PROFILE);
    let output = setting.run(&["--bootstrap", &address]);
    setting.assert_failed(&output, &format!("the target does not answer: {address}"));
}

#[test]
fn a_target_that_dies_midway_ends_the_run() {
    let setting = Setting::new(PROFILE);
    let child = setting.start(&["--seconds", "60"]);
    let node = only_child(child.id());
    let since = Instant::now();
    kill_process(node, Signal::KILL).expect("killed");
    let output = child.wait_with_output().expect("it ends");
    assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
    setting.assert_failed(&output, "the ringlog target ended by itself (signal: 9");
}

/// The one process that a process has started.
fn only_child(pid: u32) -> Pid {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("there");
    let one: Vec<i32> = children.split(' ').filter_map(|pid| pid.trim().parse().ok()).collect();
    let [one] = one[..] else { panic!("children: {one:?}") };
    Pid::from_raw(one).expect("a process")
}

#[test]
fn an_interrupted_run_cleans_up_and_marks_its_result() {
    let setting = Setting::new(PROFILE);
    let child = setting.start(&["--seconds", "60"]);
    let pid = Pid::from_raw(child.id() as i32).expect("a process");
    kill_process(pid, Signal::INT).expect("told");
    let output = child.wait_with_output().expect("it ends");
    setting.assert_failed(&output, "interrupted");
}

/// Connections that a node serves, by its own metrics; none if it does not answer yet.
fn connections(http: u16) -> u64 {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", http)) else { return 0 };
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let (mut page, request) = (String::new(), b"GET /metrics HTTP/1.1\r\n\r\n");
    if stream.write_all(request).and_then(|()| stream.read_to_string(&mut page)).is_err() {
        return 0;
    }
    let of = |line: &str| -> Option<u64> {
        line.strip_prefix("ringlog_shard_connections{")?.rsplit_once(' ')?.1.parse().ok()
    };
    page.lines().filter_map(of).sum()
}

#[test]
fn hundreds_of_producers_have_connections_of_their_own() {
    let http = ringlog_bench::target::free_port().expect("a port");
    let (head, _) = PROFILE.split_once("[[load]]").expect("a load");
    let profile = format!(
        "{head}[[load]]\nmode = \"open\"\nrate = 3000\nproducers = 300\n[[experiment]]\n\
         [broker]\n\"ringlog.http.listener\" = \"127.0.0.1:{http}\"\n"
    );
    let setting = Setting::new(&profile);
    let child = setting.start(&["--seconds", "60"]);
    let since = Instant::now();
    while connections(http) < 300 {
        assert!(since.elapsed() < PATIENCE, "{} connections", connections(http));
        // Those who connect need the processor more.
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let pid = Pid::from_raw(child.id() as i32).expect("a process");
    kill_process(pid, Signal::INT).expect("told");
    let output = child.wait_with_output().expect("it ends");
    setting.assert_failed(&output, "interrupted");
}

#[test]
fn an_interrupted_run_keeps_what_it_had_and_goes_on_where_it_was() {
    let profile = PROFILE.replace("seconds = 0.5", "seconds = 0.25");
    let setting = Setting::new(&profile);
    let child = setting.start(&[]);
    let first = setting.out().join("finished.jsonl");
    let since = Instant::now();
    while !fs::read(&first).is_ok_and(|bytes| bytes.ends_with(b"\n")) {
        assert!(since.elapsed() < PATIENCE, "no {}", first.display());
        std::thread::yield_now();
    }
    let pid = Pid::from_raw(child.id() as i32).expect("a process");
    kill_process(pid, Signal::INT).expect("told");
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && stderr.contains("interrupted"), "{stderr}");
    assert!(stderr.contains("run --resume out"), "{stderr}");
    let summary = setting.json("summary.json");
    assert!(summary["partial"].as_str().is_some_and(|why| why.contains("interrupted")));
    let measured = summary["experiments"].as_array().map(Vec::len);
    assert!(measured.is_some_and(|count| (2..4).contains(&count)), "{measured:?}");
    assert!(setting.out().join("INCOMPLETE").exists());
    let html = fs::read_to_string(setting.out().join("report.html")).expect("a report");
    assert!(html.contains("Not whole:"), "the page says so too");
    setting.assert_no_data();

    let kept = summary["experiments"][0]["rounds"].clone();
    let resumed = Command::new(PROGRAM)
        .current_dir(setting.dir.path())
        .args(["run", "--resume", "out"])
        .output()
        .expect("it runs");
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    let said = String::from_utf8_lossy(&resumed.stdout).into_owned();
    assert!(said.contains("1 of 2 experiments have ended"), "{said}");
    let summary = setting.json("summary.json");
    assert_eq!(summary["experiments"].as_array().map(Vec::len), Some(4));
    assert!(summary["partial"].is_null() && !setting.out().join("INCOMPLETE").exists());
    let (one, other) = (&summary["experiments"][0]["rounds"][0], &kept[0]);
    assert_eq!(one["records_per_second"], other["records_per_second"], "it was not run again");
    assert_eq!(one["latency_ms"], other["latency_ms"]);
    let env = setting.json("env.json");
    assert_eq!(env["resumed"].as_array().map(Vec::len), Some(1), "{env}");
    assert!(!first.exists());
    setting.assert_no_data();
}

/// A file that may not grow stands for a disk that is full: both are errors of the write.
#[test]
fn a_disk_without_room_ends_the_run_and_what_is_there_is_marked() {
    let setting = Setting::new(PROFILE);
    // Files of 2 KiB at most: the mark and the profile have room, env.json has not.
    let limited = "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .current_dir(setting.dir.path())
        .args(["-c", limited, PROGRAM, "run", "small.toml", "--data-dir", "data"])
        .args(["--out", "out", "--target", "null"])
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    setting.assert_failed(&output, "env.json cannot be written: File too large");
    assert!(!setting.out().join("env.json").exists(), "no file is there in part");
    let names = fs::read_dir(setting.out()).expect("there").flatten();
    let parts: Vec<_> = names.filter(|n| n.file_name().as_encoded_bytes()[0] == b'.').collect();
    assert!(parts.is_empty(), "{parts:?}");
}

#[test]
fn what_a_profile_says_wrong_is_named() {
    let setting = Setting::new(&PROFILE.replace("partitions = 3", "partitions = 3\npartition = 4"));
    let output = setting.run(&[]);
    setting.assert_failed(&output, "unknown field `partition`");
    let setting = Setting::new(&format!("{PROFILE}[broker]\n\"num.partitions\" = \"many\"\n"));
    let output = setting.run(&[]);
    setting.assert_failed(&output, "num.partitions");
}

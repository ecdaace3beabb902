//! Load from several hosts: two agents on loopback, and what goes wrong with them.

#![allow(clippy::disallowed_methods, reason = "tests start processes and read files")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ringlog_bench::results::read_latency_log;
use serde_json::Value;
use support::PROGRAM;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "what nobody else knows";
const BASE: &str = "title = \"t\"\n[topic]\npartitions = 3\n[records]\nvalue_bytes = 100\n\
                    [measure]\nwarmup_seconds = 0.25\nseconds = 0.5\n";

/// A folder with a secret, and agents that know it.
struct Hosts {
    dir: TempDir,
    agents: Vec<Agent>,
}

/// Killed when it is dropped.
struct Agent {
    child: Child,
    address: String,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agent {
    fn start(dir: &Path) -> Agent {
        let mut child = Command::new(PROGRAM)
            .current_dir(dir)
            .args(["agent", "--listen", "127.0.0.1:0", "--secret-file", "secret"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it says where it listens");
        let address = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        // What it says later is nothing to the tests; a closed pipe would be an error to it.
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
        Agent { child, address }
    }
}

impl Hosts {
    fn new(count: usize) -> Hosts {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("secret"), SECRET).expect("a secret");
        fs::write(dir.path().join("wrong"), "what somebody else thinks").expect("a secret");
        fs::create_dir(dir.path().join("data")).expect("a folder");
        let agents = (0..count).map(|_| Agent::start(dir.path())).collect();
        Hosts { dir, agents }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn run(&self, loads: &str, args: &[&str]) -> Command {
        let list = |agent: &Agent| format!("[[agent]]\naddress = \"{}\"\n", agent.address);
        let agents: String = self.agents.iter().map(list).collect();
        let profile = format!("{BASE}{loads}{agents}");
        fs::write(self.dir.path().join("p.toml"), profile).expect("a profile");
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.dir.path()).args(["run", "p.toml", "--data-dir", "data"]);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Records that were meant to be sent in the window, by their latencies.
    fn sent_in_window(&self, log: &str) -> u64 {
        let bytes = fs::read(self.out().join(log)).expect(log);
        read_latency_log(&bytes).expect("a log").len()
    }

    fn json(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.out().join(name)).expect(name);
        serde_json::from_str(&text).expect("JSON")
    }
}

const KNOWN: [&str; 4] = ["--out", "out", "--secret-file", "secret"];

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn wait_for(path: &Path) {
    let since = Instant::now();
    while !path.exists() {
        assert!(since.elapsed() < PATIENCE, "no {}", path.display());
        std::thread::yield_now();
    }
}

#[test]
fn two_hosts_load_one_broker_and_are_counted_as_one() {
    let hosts = Hosts::new(2);
    let loads = "[[load]]\nmode = \"closed\"\n[[load]]\nmode = \"open\"\nrate = 2000\n\
                 [[experiment]]\nproducer = { \"linger.ms\" = 5 }\n";
    let output = hosts.run(loads, &KNOWN).output().expect("it runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let summary = hosts.json("summary.json");
    let number = |load: usize, path: &str| {
        let experiment = &summary["experiments"][load];
        let found = experiment.pointer(path).and_then(Value::as_f64);
        found.unwrap_or_else(|| panic!("{path}: {experiment}"))
    };
    for load in [0, 1] {
        assert_eq!(number(load, "/errors"), 0.0);
        assert!(number(load, "/latency_ms/p50") > 0.0);
        assert!(number(load, "/generator_floor/records_per_second") > 0.0);
        assert!(number(load, "/broker_cpu_seconds_per_gib") >= 0.0);
    }
    // Half of the rate from each, whenever it was acknowledged: 500 records in half a second.
    assert!(hosts.sent_in_window("02-16384-5-sync-open.hlog").abs_diff(1000) <= 4);
    assert_eq!(number(1, "/target_rate"), 2000.0);
    let env = hosts.json("env.json");
    let agents = env["agents"].as_array().expect("agents");
    let addresses: Vec<&Value> = agents.iter().map(|agent| &agent["address"]).collect();
    assert_eq!(addresses, [&hosts.agents[0].address, &hosts.agents[1].address]);
    assert!(agents.iter().all(|agent| agent["host"]["kernel"].is_string()), "{agents:?}");
    assert!(!hosts.out().join("INCOMPLETE").exists());
}

#[test]
fn both_ends_of_a_record_are_on_one_host() {
    let hosts = Hosts::new(2);
    let loads = "[consumer]\nconsumers = 2\n[[load]]\nmode = \"open\"\nrate = 1000\n\
                 [[experiment]]\nkind = \"tail\"\n";
    let output = hosts.run(loads, &KNOWN).output().expect("it runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let experiment = &hosts.json("summary.json")["experiments"][0];
    let number = |path: &str| experiment.pointer(path).and_then(Value::as_f64).expect(path);
    // Two consumers of each host get that host's half; with the other's it were twice as many.
    assert!(hosts.sent_in_window("01-16384-5-sync-open.hlog").abs_diff(1000) <= 8);
    assert!(number("/latency_ms/p50") > 0.0 && number("/errors") == 0.0, "{experiment}");
}

#[test]
fn strangers_are_turned_away() {
    let hosts = Hosts::new(1);
    let loads = "[[load]]\nmode = \"open\"\nrate = 100\n[[experiment]]\n";
    let refused = |args: &[&str], expected: &str| {
        let output = hosts.run(loads, args).output().expect("it runs");
        let said = stderr(&output);
        assert!(output.status.code() == Some(1) && said.contains(expected), "{said}");
    };
    refused(&["--out", "a", "--secret-file", "wrong"], "it has another secret");
    refused(&["--out", "b"], "--secret-file");
    // Neither bytes of another protocol nor a proof that is none get further; both are closed.
    let mut hello = b"RLBENCH1".to_vec();
    hello.extend([7; 32]);
    for (first, second) in [(vec![b'G'; 4096], Vec::new()), (hello, vec![0; 32])] {
        let mut stranger = TcpStream::connect(&hosts.agents[0].address).expect("it listens");
        stranger.set_read_timeout(Some(PATIENCE)).expect("set");
        stranger.write_all(&first).expect("sent");
        stranger.write_all(&second).expect("sent");
        let mut answer = Vec::new();
        // Closed with bytes unread, the connection may end in a reset.
        let _ = stranger.read_to_end(&mut answer);
        assert!(answer.is_empty() || (answer.len() == 33 && answer[32] == 1), "{answer:?}");
    }
    // It works on for who knows the secret.
    let output = hosts.run(loads, &KNOWN).output().expect("it runs");
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn an_agent_that_dies_ends_the_run_and_what_was_measured_is_marked() {
    let mut hosts = Hosts::new(2);
    let load = "[[load]]\nmode = \"open\"\nrate = 100\n[sweep.producer]\n\"linger.ms\" = \
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n";
    let run = hosts.run(load, &KNOWN).spawn().expect("it runs");
    wait_for(&hosts.out().join("01-linger.ms-0-sync-open.hlog"));
    // Meanwhile nobody else has it.
    let other = hosts.run(load, &["--out", "b", "--secret-file", "secret"]).output();
    let said = stderr(&other.expect("it runs"));
    assert!(said.contains("it works for somebody else"), "{said}");
    let since = Instant::now();
    hosts.agents[1].child.kill().expect("killed");
    let output = run.wait_with_output().expect("it ends");
    assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
    let expected = format!("agent {} is gone", hosts.agents[1].address);
    let said = stderr(&output);
    assert!(output.status.code() == Some(1) && said.contains(&expected), "{said}");
    let mark = fs::read_to_string(hosts.out().join("INCOMPLETE")).expect("a mark");
    assert!(mark.contains(&expected), "{mark}");
    let summary = hosts.json("summary.json");
    assert!(summary["partial"].as_str().is_some_and(|why| why.contains(&expected)), "{summary}");
    let measured = summary["experiments"].as_array().map(Vec::len);
    assert!(measured.is_some_and(|count| (1..10).contains(&count)), "{measured:?}");
    // The other agent has noticed, and is free again.
    hosts.agents.pop();
    let since = Instant::now();
    loop {
        let loads = "[[load]]\nmode = \"open\"\nrate = 100\n[[experiment]]\n";
        let args = ["--out", "c", "--secret-file", "secret"];
        let output = hosts.run(loads, &args).output().expect("it runs");
        if output.status.success() {
            break;
        }
        let said = stderr(&output);
        assert!(said.contains("somebody else") && since.elapsed() < PATIENCE, "{said}");
    }
}

#[test]
fn agents_elsewhere_cannot_load_what_listens_here_only() {
    let hosts = Hosts::new(0);
    let loads =
        "[[load]]\nmode = \"closed\"\n[[experiment]]\n[[agent]]\naddress = \"192.0.2.1:1\"\n";
    let output = hosts.run(loads, &KNOWN).output().expect("it runs");
    let said = stderr(&output);
    assert!(said.contains("agent 192.0.2.1:1 cannot reach"), "{said}");
}

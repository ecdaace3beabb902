//! The short set of scripts/conformance: suites whose peers every run of the tests has.

#![allow(clippy::disallowed_methods, reason = "tests start processes")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Node, have, have_kafka, kafka, kafka_script, run};

/// Rebalances come quickly.
const QUICK: [&str; 3] = [
    "group.initial.rebalance.delay.ms=200",
    "group.consumer.heartbeat.interval.ms=1000",
    "group.consumer.min.heartbeat.interval.ms=1000",
];

fn conformance(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance").join(path)
}

fn script(name: &str) -> Command {
    Command::new(kafka_script().with_file_name(name))
}

/// Runs a client's program, which says `done` at its end.
fn client(command: &mut Command) -> String {
    let said = run(command);
    assert_eq!(said.trim().lines().last(), Some("done"), "{said}");
    said
}

#[test]
fn a_script_of_the_notes_runs_as_it_was_written_down() {
    if !have("confluent-kafka for Python", script("python").arg("install")) {
        return;
    }
    let node = Node::start(&[]);
    let mut seed = script("python");
    seed.arg(conformance("python/seeds.py")).arg(node.bootstrap());
    let said = client(seed.arg(conformance("python/seeds/delivery_report.txt")));
    assert!(said.contains("successfully produced to products.prices.changelog"), "{said}");
}

#[test]
fn java_consumers_share_partitions_under_every_assignor() {
    if !have_kafka() {
        return;
    }
    let node = Node::start(&QUICK);
    let program = conformance("java/Assignors.java");
    let said = client(kafka("class").arg(program).arg(node.bootstrap()));
    for assignor in ["range", "roundrobin", "sticky", "cooperative-sticky", "uniform"] {
        assert!(said.lines().any(|line| line.ends_with(&format!(": {assignor}"))), "{said}");
    }
}

#[test]
fn the_parallel_consumer_commits_with_gaps() {
    let pom = conformance("java/parallel-consumer-pom.xml");
    if !have("Confluent's Parallel Consumer (java and mvn)", script("jars").arg(&pom)) {
        return;
    }
    let jars = run(script("jars").arg(&pom));
    let node = Node::start(&QUICK);
    let mut java = Command::new("java");
    java.args(["-Xmx256m", "-cp", &format!("{}/*", jars.trim())]);
    client(java.arg(conformance("java/Parallel.java")).arg(node.bootstrap()));
}

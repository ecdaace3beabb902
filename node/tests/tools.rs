//! Kafka's command line tools against Apache Kafka and against a node: what they print must be the
//! same. The lines are in tools/*.lines; docs/tools.md says what is explained.
//!
//! One test, so that one stock broker and one JVM serve all lines (java/ToolLines.java).
//! TOOL_LINES=whole runs all of them (scripts/conformance tools), TOOL_LINES=quick all but the slow
//! ones, that are marked `$$`; without it they are skipped. TOOL_SHOW=FILE writes down what was
//! printed.

#![allow(clippy::disallowed_methods, reason = "tests read files and start processes")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use ringlog_wire::messages::MetadataRequest;
use support::stock::Stock;
use support::{Node, have_kafka, kafka_script, run, text};

/// In the order in which they run: later ones see what earlier ones have left.
const FILES: &[&str] = &["seeds", "groups", "admin"];

/// Features of the stock cluster, so that both finalize the same.
const FEATURES: &[&str] =
    &["--feature", "transaction.version=0", "--feature", "eligible.leader.replicas.version=0"];

/// So that there are some to look into.
const SNAPSHOTS: &str = "metadata.log.max.snapshot.interval.ms=2000";

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

fn side(name: &str, node: &Node) -> String {
    let meta = std::fs::read_to_string(node.data().join("meta.properties")).expect("readable");
    let id = |key: &str| {
        let found = meta.lines().find_map(|line| line.strip_prefix(key));
        found.expect("it is there").to_owned()
    };
    format!(
        "{name}|B=localhost:{}|C=localhost:{}|PORT={}|CPORT={}|DATA={}|DIR={}|CLUSTER={}|\
         DIRECTORY={}",
        node.port,
        node.controller_port,
        node.port,
        node.controller_port,
        node.data().display(),
        node.dir.path().display(),
        id("cluster.id="),
        id("directory.id=")
    )
}

fn start() -> (Node, Stock, Node) {
    let lines = &["num.partitions=1", "group.initial.rebalance.delay.ms=0", SNAPSHOTS];
    let stock = Node::prepare(lines);
    Stock::format(&stock, FEATURES);
    let broker = Stock::start(&stock, |client| {
        let request = MetadataRequest { topics: None, ..Default::default() };
        client.try_request(&request, 12).is_some_and(|response| !response.brokers.is_empty())
    });
    (stock, broker, Node::start(lines))
}

#[test]
fn tools_print_what_they_print_of_kafka() {
    if !have_kafka() {
        return;
    }
    let Ok(lines) = std::env::var("TOOL_LINES") else {
        eprintln!("SKIPPED: TOOL_LINES is not set");
        return;
    };
    let classes = run(Command::new(kafka_script()).arg("tools"));
    let (stock, _broker, ours) = start();
    let output = Command::new(kafka_script())
        .arg("class")
        .arg(here("java/ToolLines.java"))
        .arg(classes.trim().replace('\n', ","))
        .args([side("Kafka", &stock), side("Ringlog", &ours)])
        .arg(lines)
        .args(FILES.iter().map(|name| here(&format!("tools/{name}.lines"))))
        .env("KAFKA_OPTS", "-Xmx512m -XX:TieredStopAtLevel=1 -Djava.security.manager=allow")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", text(&output));
    println!("{}", String::from_utf8_lossy(&output.stdout));
}

/// Every line that may differ, and why: what docs/tools.md ends with.
fn explained() -> String {
    let mut out = String::new();
    for name in FILES {
        let text = std::fs::read_to_string(here(&format!("tools/{name}.lines"))).expect("readable");
        let mut tool = "";
        for line in text.lines() {
            if let Some(line) = line.strip_prefix("$ ").or_else(|| line.strip_prefix("$$ ")) {
                tool = line;
            } else if let Some(difference) =
                line.strip_prefix("? ").or_else(|| line.strip_prefix("! "))
            {
                let (_, reason) = difference.split_once(": ").expect("a reason");
                let tool = tool.replace(" --bootstrap-server $B", "");
                out.push_str(&format!("- `{tool}`: {reason}\n"));
            }
        }
    }
    out
}

/// UPDATE=1 writes it.
#[test]
fn what_differs_is_written_down() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tools.md");
    let text = std::fs::read_to_string(&path).expect("readable");
    let (head, _) = text.split_once("\n## What differs\n").expect("the heading");
    let whole = format!("{head}\n## What differs\n\n{}", explained());
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(&path, whole).expect("writable");
    } else {
        assert_eq!(text, whole, "UPDATE=1 cargo test -p ringlog-node --test tools written");
    }
}

//! Unmodified Apache Kafka tools against a node, and files of a node in Kafka's tools.

#![allow(clippy::disallowed_methods, reason = "tests read files and start processes")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use support::{Node, have_kafka, kafka, ringlog, run, text};

/// Runs a tool that must succeed and say nothing on standard error.
fn quiet(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.is_empty(), "{command:?}: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn topics(node: &Node, args: &[&str]) -> String {
    run(kafka("kafka-topics").args(["--bootstrap-server", &node.bootstrap()]).args(args))
}

fn dump(path: &Path, args: &[&str]) -> String {
    let out = quiet(kafka("kafka-dump-log").args(args).arg("--files").arg(path));
    assert!(!out.contains("Mismatches") && !out.contains("invalid bytes"), "{path:?}: {out}");
    out
}

#[test]
fn topics_are_made_grown_described_and_deleted() {
    if !have_kafka() {
        return;
    }
    let node = Node::start(&[]);
    // The tool itself refuses segments below 1 MiB (KIP-1030); the node takes what others send.
    topics(&node, &["--create", "--topic", "a", "--partitions", "3", "--config", "flush.ms=70000"]);
    let described = topics(&node, &["--describe", "--topic", "a"]);
    assert!(described.contains("PartitionCount: 3") && described.contains("flush.ms=70000"));
    node.client().create_topic("small", 1, &[("segment.bytes", "50000")]);
    assert!(topics(&node, &["--describe", "--topic", "small"]).contains("segment.bytes=50000"));
    topics(&node, &["--delete", "--topic", "small"]);
    topics(&node, &["--alter", "--topic", "a", "--partitions", "5"]);
    assert!(topics(&node, &["--describe", "--topic", "a"]).contains("Partition: 4"));
    let shrink = kafka("kafka-topics")
        .args(["--bootstrap-server", &node.bootstrap()])
        .args(["--alter", "--topic", "a", "--partitions", "2"])
        .output()
        .expect("it runs");
    assert!(!shrink.status.success());
    assert!(text(&shrink).contains("would not be an increase"), "{}", text(&shrink));
    assert_eq!(topics(&node, &["--list"]).trim(), "a");
    topics(&node, &["--delete", "--topic", "a"]);
    assert_eq!(topics(&node, &["--list"]).trim(), "");
    let cluster = run(kafka("kafka-cluster")
        .args(["cluster-id", "--bootstrap-server"])
        .arg(node.bootstrap()));
    let meta = std::fs::read_to_string(node.data().join("meta.properties")).expect("readable");
    let id = meta.lines().find_map(|l| l.strip_prefix("cluster.id=")).expect("an id");
    assert!(cluster.contains(id), "{cluster}");
}

#[test]
fn the_quorum_and_the_cluster_are_described_by_brokers_and_controllers() {
    if !have_kafka() {
        return;
    }
    let node = Node::start(&[]);
    let controller = format!("localhost:{}", node.controller_port);
    let meta = std::fs::read_to_string(node.data().join("meta.properties")).expect("readable");
    let id = meta.lines().find_map(|l| l.strip_prefix("cluster.id=")).expect("an id");
    for at in [["--bootstrap-server", &node.bootstrap()], ["--bootstrap-controller", &controller]] {
        let quorum = |args: &[&str]| run(kafka("kafka-metadata-quorum").args(at).args(args));
        let status = quorum(&["describe", "--status"]);
        for line in ["LeaderId:               1", "MaxFollowerLag:         0", id] {
            assert!(status.contains(line), "{at:?}: {line}: {status}");
        }
        let voter = format!(r#""endpoints": ["CONTROLLER://localhost:{}"]"#, node.controller_port);
        assert!(status.contains(&voter), "{at:?}: {voter}: {status}");
        let replication = quorum(&["describe", "--replication"]);
        assert!(replication.contains("Leader"), "{at:?}: {replication}");
        let cluster = run(kafka("kafka-cluster").arg("cluster-id").args(at));
        assert!(cluster.contains(id), "{at:?}: {cluster}");
    }
}

#[test]
fn what_tools_produce_tools_consume_and_dump() {
    if !have_kafka() {
        return;
    }
    let mut node = Node::start(&[]);
    let bootstrap = node.bootstrap();
    topics(&node, &["--create", "--topic", "p", "--partitions", "1"]);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let props = format!("compression.type={codec}");
        let sent = run(kafka("kafka-producer-perf-test")
            .args(["--topic", "p", "--num-records", "20000", "--record-size", "100"])
            .args(["--throughput", "-1", "--producer-props"])
            .args([format!("bootstrap.servers={bootstrap}"), "acks=all".into(), props]));
        assert!(sent.contains("20000 records sent"), "{sent}");
    }
    let offsets = quiet(kafka("kafka-get-offsets").args(["--bootstrap-server", &bootstrap]));
    assert_eq!(offsets.trim(), "p:0:100000");
    let consumed = kafka("kafka-console-consumer")
        .args(["--bootstrap-server", &bootstrap, "--topic", "p", "--partition", "0"])
        .args(["--offset", "0", "--max-messages", "100000", "--timeout-ms", "20000"])
        .output()
        .expect("it runs");
    let lines = consumed.stdout.iter().filter(|&&b| b == b'\n').count();
    assert_eq!(lines, 100_000, "{}", String::from_utf8_lossy(&consumed.stderr));
    assert_eq!(node.stop(), 0);
    let dir = node.data().join("p-0");
    let log = dump(&dir.join("00000000000000000000.log"), &["--print-data-log"]);
    assert_eq!(log.matches("| offset: ").count(), 100_000);
    assert!(log.contains("compresscodec: zstd") && !log.contains("isvalid: false"));
    let index = dump(&dir.join("00000000000000000000.index"), &[]);
    assert!(index.matches("offset: ").count() > 10, "{index}");
    dump(&dir.join("00000000000000000000.timeindex"), &[]);
    let snapshot = dump(&dir.join("00000000000000100000.snapshot"), &[]);
    assert_eq!(snapshot.matches("producerId: ").count(), 5, "{snapshot}");
    let metadata = node.data().join("__cluster_metadata-0/00000000000000000000.log");
    let metadata = dump(&metadata, &["--cluster-metadata-decoder"]);
    assert!(metadata.contains("\"name\":\"p\""), "{metadata}");
}

#[test]
fn console_tools_carry_keys_and_lines() {
    if !have_kafka() {
        return;
    }
    let node = Node::start(&[]);
    let bootstrap = node.bootstrap();
    // The topic is made on the way.
    let mut producer = kafka("kafka-console-producer")
        .args(["--bootstrap-server", &bootstrap, "--topic", "lines"])
        .args(["--property", "parse.key=true", "--property", "key.separator=:"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let mut stdin = producer.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, b"k1:coffee\nk2:tea\n").expect("writes");
    drop(stdin);
    assert!(producer.wait().expect("it ends").success());
    let consumed = run(kafka("kafka-console-consumer")
        .args(["--bootstrap-server", &bootstrap, "--topic", "lines", "--partition", "0"])
        .args(["--offset", "earliest", "--max-messages", "2", "--timeout-ms", "20000"])
        .args(["--property", "print.key=true", "--property", "key.separator=-"]));
    assert_eq!(consumed, "k1-coffee\nk2-tea\n");
}

/// What a verifiable producer says was acknowledged: value and offset of each record.
fn acknowledged(said: &str) -> Vec<(String, usize)> {
    let field = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
        Some(rest.split([',', '}']).next()?.trim_matches('"').to_owned())
    };
    let sent = said.lines().filter(|line| line.contains("producer_send_success"));
    let sent = sent.filter_map(|l| Some((field(l, "value")?, field(l, "offset")?.parse().ok()?)));
    sent.collect()
}

#[test]
fn p01_what_a_verifiable_producer_is_told_is_stored_survives_a_kill() {
    if !have_kafka() {
        return;
    }
    let mut node = Node::start(&[]);
    node.client().create_topic("v", 1, &[]);
    let path = node.dir.path().join("verifiable");
    let mut producer = kafka("kafka-verifiable-producer")
        .args(["--bootstrap-server", &node.bootstrap(), "--topic", "v"])
        .args(["--max-messages", "3000", "--throughput", "1500", "--acks", "-1"])
        .stdout(std::fs::File::create(&path).expect("a file"))
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    let said = || std::fs::read_to_string(&path).expect("readable");
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while acknowledged(&said()).len() < 500 {
        assert!(std::time::Instant::now() < deadline, "{}", said());
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    node.kill();
    node.restart();
    producer.wait().expect("it ends");
    let acknowledged = acknowledged(&said());
    let (stored, error) = support::read_values(&mut node.client(), "v", 0);
    assert_eq!(error, 0);
    for (value, offset) in &acknowledged {
        assert_eq!(stored.get(*offset).map(Vec::as_slice), Some(value.as_bytes()), "at {offset}");
    }
    // It went on after the kill.
    let last = acknowledged.iter().filter_map(|(value, _)| value.parse::<usize>().ok()).max();
    assert_eq!(last, Some(2999), "{} are acknowledged", acknowledged.len());
}

#[test]
fn directories_that_kafka_storage_formats_are_taken() {
    if !have_kafka() {
        return;
    }
    for standalone in [false, true] {
        let mut node = Node::prepare(&[]);
        if standalone {
            let text = std::fs::read_to_string(&node.properties).expect("readable");
            let voters = |line: &&str| !line.starts_with("controller.quorum.voters");
            let mut text: String = text.lines().filter(voters).collect::<Vec<_>>().join("\n");
            text.push_str("\ncontroller.quorum.bootstrap.servers=localhost:1\n");
            std::fs::write(&node.properties, text).expect("writable");
        }
        let mut format = kafka("kafka-storage");
        format.args(["format", "-t", "Nk018hRAQFytWskYqtQduw", "-c"]).arg(&node.properties);
        if standalone {
            format.arg("--standalone");
        }
        run(&mut format);
        node.restart();
        node.client().create_topic("t", 1, &[]);
        assert_eq!(node.stop(), 0);
        node.restart();
        assert_eq!(topics(&node, &["--list"]).trim(), "t");
        // Another cluster's id, another node's id: refused in Kafka's words.
        node.stop();
        let text = std::fs::read_to_string(&node.properties).expect("readable");
        let other = text.replace("node.id=1", "node.id=7").replace("=1@localhost", "=7@localhost");
        let file = node.dir.path().join("other.properties");
        std::fs::write(&file, other).expect("writable");
        let refused = ringlog().arg("start").arg(&file).output().expect("it runs");
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("doesn't match previous node id 7"), "{said}");
    }
}

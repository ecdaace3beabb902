//! Nodes that are killed, and directories that change hands between Ringlog and Apache Kafka.

#![allow(clippy::disallowed_methods, reason = "tests start processes and threads")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ringlog_engine::batch::{BATCH_HEADER_BYTES, BatchHeader, decompress, records};
use support::stock::Stock;
use support::{Client, Node, PATIENCE, batch, have_kafka, kafka, ringlog, run, text};

/// Every value of a partition, by offset.
fn read_all(client: &mut Client, topic: &str, partition: i32) -> Vec<Vec<u8>> {
    let end = client.latest_offset(topic, partition);
    let mut values = Vec::new();
    while (values.len() as i64) < end {
        let (error, bytes) = client.fetch(topic, partition, values.len() as i64);
        assert_eq!(error, 0);
        let mut rest = &bytes[..];
        let before = values.len();
        while let Ok((header, batch)) = BatchHeader::parse_whole(rest) {
            let codec = header.codec().expect("a codec");
            let unpacked = decompress(codec, &batch[BATCH_HEADER_BYTES..], 1 << 30);
            for record in records(&header, &unpacked.expect("unpacks")) {
                let record = record.expect("whole");
                if record.offset.0 == values.len() as i64 {
                    values.push(record.value.unwrap_or_default().to_vec());
                }
            }
            rest = &rest[header.size..];
        }
        assert!(values.len() > before, "no progress at {before}");
    }
    values
}

/// Produces numbered values until told to stop or cut off; what was acknowledged, with its offset.
fn produce_until(port: u16, stop: &AtomicBool, name: &str) -> Vec<(i64, Vec<u8>)> {
    let mut acknowledged = Vec::new();
    let Some(mut client) = Client::try_connect(port) else { return acknowledged };
    let mut number = 0u64;
    while !stop.load(Ordering::Relaxed) {
        let values: Vec<Vec<u8>> =
            (0..10).map(|i| format!("{name}-{}", number + i).into_bytes()).collect();
        number += 10;
        let slices: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let request = support::produce_request("t", 0, -1, batch(&slices, None));
        let Some(response) = client.try_request(&request, 9) else { break };
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, 0);
        let offsets = partition.base_offset..;
        acknowledged.extend(offsets.zip(values));
    }
    acknowledged
}

#[test]
fn p01_kill_9_under_load_loses_nothing_that_was_acknowledged() {
    for durability in ["sync", "replicated"] {
        let mut node = Node::start(&[&format!("ringlog.durability={durability}")]);
        node.client().create_topic("t", 1, &[("segment.bytes", "100000")]);
        let mut acknowledged = Vec::new();
        for round in 0..4 {
            let stop = Arc::new(AtomicBool::new(false));
            let (port, flag) = (node.port, Arc::clone(&stop));
            let name = format!("{durability}-{round}");
            let load = std::thread::spawn(move || produce_until(port, &flag, &name));
            let before = node.client().latest_offset("t", 0);
            let deadline = Instant::now() + PATIENCE;
            while node.client().latest_offset("t", 0) < before + 3000 {
                assert!(Instant::now() < deadline, "the load does not move");
            }
            node.kill();
            stop.store(true, Ordering::Relaxed);
            acknowledged.extend(load.join().expect("the load does not panic"));
            node.restart();
        }
        let values = read_all(&mut node.client(), "t", 0);
        for (offset, value) in &acknowledged {
            assert_eq!(values.get(*offset as usize), Some(value), "at {offset}");
        }
        assert!(acknowledged.len() >= 12_000);
    }
}

#[test]
fn p04_sigterm_flushes_marks_and_needs_no_recovery() {
    let mut node = Node::start(&[]);
    node.client().create_topic("t", 2, &[]);
    for i in 0..20 {
        assert_eq!(node.client().produce("t", i % 2, -1, batch(&[&b"v"[..]; 5], None)).error, 0);
    }
    assert_eq!(node.stop(), 0);
    let marker = node.data().join(".kafka_cleanshutdown");
    let marker_text = std::fs::read_to_string(&marker).expect("the marker");
    assert!(marker_text.starts_with("{\"version\":0,\"brokerEpoch\":"), "{marker_text}");
    let checkpoint = std::fs::read_to_string(node.data().join("recovery-point-offset-checkpoint"));
    assert_eq!(checkpoint.expect("written"), "0\n2\nt 0 50\nt 1 50\n");
    node.restart();
    assert!(!marker.exists(), "taken away first thing");
    assert!(!node.log().contains("log_recovered"), "{}", node.log());
    assert_eq!(read_all(&mut node.client(), "t", 1).len(), 50);
    node.kill();
    node.restart();
    assert!(node.log().contains("log_recovered"), "after a kill the end is read");
}

#[test]
fn d24_a_second_process_is_kept_out() {
    let node = Node::start(&[]);
    let second = ringlog().arg("start").arg(&node.properties).output().expect("it runs");
    assert!(!second.status.success());
    assert!(text(&second).contains("Failed to acquire lock on file .lock"), "{}", text(&second));
}

#[test]
fn directories_that_are_not_ours_are_refused_with_a_clear_message() {
    let node = Node::prepare(&[]);
    let refused = |what: &str| {
        let output = ringlog().arg("start").arg(&node.properties).output().expect("it runs");
        assert!(!output.status.success(), "{what}");
        text(&output)
    };
    assert!(refused("unformatted").contains("No `meta.properties` found"));
    std::fs::create_dir_all(node.data()).expect("made");
    std::fs::write(node.data().join("meta.properties"), "garbage").expect("written");
    assert!(refused("garbage").contains("'version' was not found"));
    let meta = "version=1\nnode.id=1\ncluster.id=Nk018hRAQFytWskYqtQduw\n\
                directory.id=aolgbwjBT9KQJILXeDPIGg\n";
    std::fs::write(node.data().join("meta.properties"), meta).expect("written");
    std::fs::create_dir(node.data().join("holiday photos")).expect("made");
    assert!(refused("foreign").contains("is not in the form of topic-partition"));
}

/// A stock broker on the node's directory that leads all of `t`.
fn start_kafka(node: &Node) -> Stock {
    Stock::start(node, |client| {
        let request =
            ringlog_wire::messages::MetadataRequest { topics: None, ..Default::default() };
        let Some(response) = client.try_request(&request, 9) else { return false };
        let topic = response.topics.iter().find(|t| t.name.as_deref() == Some("t"));
        topic.is_some_and(|topic| topic.partitions.iter().all(|p| p.error_code == 0))
    })
}

#[test]
fn kafka_serves_our_directory_and_we_serve_kafkas() {
    if !have_kafka() {
        return;
    }
    let mut node = Node::start(&[]);
    node.client().create_topic("t", 2, &[("segment.bytes", "1048576")]);
    let bootstrap = node.bootstrap();
    let produce = |codec: &str| {
        let bootstrap = format!("bootstrap.servers={bootstrap}");
        run(kafka("kafka-producer-perf-test")
            .args(["--topic", "t", "--num-records", "20000", "--record-size", "200"])
            .args(["--throughput", "-1", "--producer-props", "acks=all", &bootstrap])
            .arg(format!("compression.type={codec}")));
    };
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        produce(codec);
    }
    let all =
        |node: &Node| (0..2).map(|p| read_all(&mut node.client(), "t", p)).collect::<Vec<_>>();
    let ours = all(&node);
    assert_eq!(ours.iter().map(Vec::len).sum::<usize>(), 100_000);
    node.kill();
    let broker = start_kafka(&node);
    assert_eq!(all(&node), ours, "Kafka serves what we stored");
    produce("lz4");
    let theirs = all(&node);
    assert_eq!(theirs.iter().map(Vec::len).sum::<usize>(), 120_000);
    // The lock, the other way round.
    let second = ringlog().arg("start").arg(&node.properties).output().expect("it runs");
    assert!(text(&second).contains("Failed to acquire lock"), "{}", text(&second));
    broker.stop();
    node.restart();
    assert_eq!(all(&node), theirs, "we serve what Kafka stored");
    produce("zstd");
    assert_eq!(node.stop(), 0);
    // And once more after a clean stop of ours.
    let broker = start_kafka(&node);
    assert_eq!(all(&node).iter().map(Vec::len).sum::<usize>(), 140_000);
    broker.stop();
}

//! Directories that change hands: what Ringlog wrote is loaded, served and dumped by Apache Kafka,
//! what Kafka wrote by Ringlog, after clean stops and kills of either. Every record that a consumer
//! gets is the same before and after.

#![allow(clippy::disallowed_methods, reason = "tests read files and start processes")]

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ringlog_engine::batch::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, Codec, RecordFields, crc32c, decompress, records,
};
use ringlog_engine::stdx::prng::Prng;
use ringlog_wire::messages::{FetchRequest, FetchResponse, MetadataRequest};
use support::stock::Stock;
use support::txn::{batch_of, end_txn, produce_in_txn};
use support::{Client, Node, PATIENCE, fetch_request_of, have_kafka, kafka, text, unix_ms};

/// Topics and their partitions: all codecs, one that is compacted, one with transactions.
const PARTITIONS: [(&str, i32); 5] =
    [("codecs", 0), ("codecs", 1), ("codecs", 2), ("keys", 0), ("txns", 0)];
/// Below what Apache Kafka 4 takes from a client (KIP-1030).
const SMALL: (&str, &str) = ("segment.bytes", "50000");

/// What consumers get of a partition: up to where, which transactions they are told to skip, and
/// the checksum of every record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct View {
    end: i64,
    stable: i64,
    aborted: Vec<(i64, i64)>,
    records: usize,
    checksum: u32,
}

fn view(client: &mut Client, topic: &str, partition: i32) -> View {
    let end = client.latest_offset(topic, partition);
    let mut view = View { end, stable: 0, aborted: Vec::new(), records: 0, checksum: 0 };
    let mut at = 0;
    while at < end {
        let request = fetch_request_of(topic, partition, at);
        let request = FetchRequest { isolation_level: 1, max_wait_ms: 0, ..request };
        let response: FetchResponse = client.request(&request, 11);
        let answer = &response.responses[0].partitions[0];
        assert_eq!(answer.error_code, 0, "{topic}-{partition} at {at}");
        view.stable = answer.last_stable_offset;
        let aborted = answer.aborted_transactions.iter().flatten();
        view.aborted.extend(aborted.map(|txn| (txn.producer_id, txn.first_offset)));
        let before = at;
        let mut rest = answer.records.as_deref().unwrap_or_default();
        while let Ok((header, batch)) = BatchHeader::parse_whole(rest) {
            assert!(header.crc_is_valid(batch));
            view.add(&header, batch);
            at = header.next_offset().0;
            rest = &rest[header.size..];
        }
        if at == before {
            break;
        }
    }
    view.aborted.sort_unstable();
    view.aborted.dedup();
    view
}

impl View {
    fn add(&mut self, header: &BatchHeader, batch: &[u8]) {
        if header.is_control() || header.records_count == 0 {
            return;
        }
        let codec = header.codec().expect("a codec");
        let unpacked = decompress(codec, &batch[BATCH_HEADER_BYTES..], 1 << 24).expect("unpacks");
        for record in records(header, &unpacked) {
            let record = record.expect("whole");
            let headers: Vec<_> = record.headers().map(|h| (h.key, h.value)).collect();
            let (key, value) = (record.key, record.value);
            let all = (record.offset.0, record.timestamp, key, value, headers);
            let line = format!("{}{all:?}", self.checksum);
            self.checksum = crc32c(line.as_bytes());
            self.records += 1;
        }
    }
}

fn views(node: &Node) -> Vec<View> {
    let mut client = node.client();
    PARTITIONS.iter().map(|(topic, partition)| view(&mut client, topic, *partition)).collect()
}

/// Batches of every codec to every partition of a topic, with keys, headers, nulls.
fn produce_codecs(client: &mut Client, tag: &str) {
    for round in 0..25u8 {
        for partition in 0..3 {
            let mut builder = BatchBuilder::default();
            builder.codec = Codec::ALL[usize::from(round) % 5];
            for i in 0..8u8 {
                // What does not shrink.
                let mut value = [0; 800];
                Prng::new(u64::from(round) << 8 | u64::from(i)).fill(&mut value);
                value[..tag.len()].copy_from_slice(tag.as_bytes());
                let value = (i != 3).then_some(&value[..]);
                let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", Some(b"x")), (b"n", None)];
                let key = (i % 2 == 0).then_some(&b"key"[..]);
                builder.append(unix_ms() + i64::from(i), &RecordFields { key, value, headers });
            }
            let batch = builder.build().expect("packs");
            assert_eq!(client.produce("codecs", partition, -1, batch).error, 0);
        }
    }
}

/// Records of few keys, which compaction has something to do with.
fn produce_keys(client: &mut Client) {
    for i in 0..400u32 {
        let (key, value) = (format!("{}", i % 10), [b'v'; 700]);
        let batch = batch_of(-1, -1, false, &[(key.as_bytes(), Some(&value))]);
        assert_eq!(client.produce("keys", 0, -1, batch).error, 0);
    }
}

/// Transactions of two producers: committed, aborted, and one that stays open.
fn produce_txns(client: &mut Client) {
    let value = [b't'; 900];
    for i in 0..90 {
        for producer in [71, 72] {
            let batch = batch_of(producer, i, true, &[(b"k", Some(&value))]);
            produce_in_txn(client, "txns", batch);
            if i < 89 || producer == 71 {
                end_txn(client, "txns", producer, (i + producer as i32) % 3 != 0);
            }
        }
    }
}

fn dirs(node: &Node) -> [PathBuf; 2] {
    ["data", "more"].map(|name| node.dir.path().join(name))
}

/// A node with two directories, in which nothing changes by itself.
fn prepared() -> Node {
    let settings = [
        "transaction.partition.verification.enable=false",
        "log.cleaner.backoff.ms=50",
        "log.initial.task.delay.ms=0",
        "log.retention.check.interval.ms=600000",
        "transaction.remove.expired.transaction.cleanup.interval.ms=3600000",
    ];
    let node = Node::prepare(&settings);
    let text = std::fs::read_to_string(&node.properties).expect("readable");
    let list = dirs(&node).map(|dir| dir.display().to_string()).join(",");
    let line = |line: &str| match line.starts_with("log.dirs=") {
        true => format!("log.dirs={list}\n"),
        false => format!("{line}\n"),
    };
    let text: String = text.lines().map(line).collect();
    std::fs::write(&node.properties, text).expect("writable");
    node
}

fn start_kafka(node: &Node) -> Stock {
    Stock::start(node, |client| {
        let request = MetadataRequest { topics: None, ..Default::default() };
        let Some(response) = client.try_request(&request, 12) else { return false };
        let led = |name: &str| {
            let topic = response.topics.iter().find(|t| t.name.as_deref() == Some(name));
            topic
                .is_some_and(|t| t.partitions.iter().all(|p| p.error_code == 0 && p.leader_id == 1))
        };
        ["codecs", "keys", "txns"].into_iter().all(led)
    })
}

/// Every file of a log in a directory, by partition.
fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for partition in std::fs::read_dir(dir).expect("readable") {
        let partition = partition.expect("readable").path();
        let Ok(entries) = std::fs::read_dir(&partition) else { continue };
        for file in entries.map(|entry| entry.expect("readable").path()) {
            let suffix = file.extension().and_then(|s| s.to_str()).unwrap_or_default();
            if ["log", "index", "timeindex", "snapshot", "txnindex"].contains(&suffix) {
                found.push(file.display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// kafka-dump-log finds nothing to say about any file of a node that is up.
fn dump_all(node: &Node) {
    let files: Vec<String> = dirs(node).iter().flat_map(|dir| files(dir)).collect();
    assert!(files.len() > 40, "{files:?}");
    let output = kafka("kafka-dump-log").args(["--files", &files.join(",")]).output();
    let output = output.expect("it runs");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(!said.contains("Mismatches") && !said.contains("isvalid: false"), "{said}");
    assert!(!said.contains("invalid bytes"), "{said}");
}

fn segments(node: &Node, partition: &str) -> usize {
    let of = |dir: &PathBuf| files(dir);
    let all: Vec<String> = dirs(node).iter().flat_map(of).collect();
    all.iter().filter(|f| f.contains(&format!("/{partition}/")) && f.ends_with(".log")).count()
}

/// Whether everything of `keys-0` is clean that is not in its active segment.
fn is_compacted(node: &Node) -> bool {
    let cleaned = |dir: &PathBuf| {
        let text = std::fs::read_to_string(dir.join("cleaner-offset-checkpoint")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("keys 0 ")?.parse::<i64>().ok())
    };
    let all: Vec<String> = dirs(node).iter().flat_map(|dir| files(dir)).collect();
    let logs = all.iter().filter(|f| f.contains("/keys-0/") && f.ends_with(".log"));
    let base = |file: &String| Path::new(file).file_stem()?.to_str()?.parse::<i64>().ok();
    let active = logs.filter_map(base).max();
    active > Some(300) && dirs(node).iter().find_map(cleaned) == active
}

#[test]
fn every_record_is_the_same_before_and_after_a_directory_changes_hands() {
    if !have_kafka() {
        return;
    }
    let mut node = prepared();
    node.format();
    node.restart();
    let mut client = node.client();
    client.create_topic("codecs", 3, &[SMALL]);
    let compacted = [
        SMALL,
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.01"),
        // What is compacted by now stays as it is.
        ("min.compaction.lag.ms", "0"),
    ];
    client.create_topic("keys", 1, &compacted);
    client.create_topic("txns", 1, &[SMALL]);
    produce_keys(&mut client);
    let deadline = Instant::now() + PATIENCE;
    while !is_compacted(&node) {
        assert!(Instant::now() < deadline, "not compacted: {}", node.log());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    support::alter_topic(&mut client, "keys", &[("min.compaction.lag.ms", "86400000")]);
    produce_codecs(&mut client, "ours");
    produce_txns(&mut client);
    dump_all(&node);
    let ours = views(&node);
    assert!(ours[0].records >= 200 && ours[3].records >= 10, "{ours:?}");
    assert!(ours[4].aborted.len() > 20 && ours[4].stable < ours[4].end, "{:?}", ours[4]);
    let count = segments(&node, "codecs-0");

    // After a kill of ours; Kafka is killed in turn.
    node.kill();
    let stock = start_kafka(&node);
    assert_eq!(views(&node), ours, "Kafka serves what we stored");
    produce_codecs(&mut node.client(), "theirs");
    assert!(segments(&node, "codecs-0") >= count, "Kafka rolls");
    let theirs = views(&node);
    drop(stock);
    node.restart();
    assert_eq!(views(&node), theirs, "we serve what Kafka stored");

    // After a clean stop of both.
    produce_codecs(&mut node.client(), "ours again");
    let ours = views(&node);
    assert_eq!(node.stop(), 0);
    let stock = start_kafka(&node);
    assert_eq!(views(&node), ours, "Kafka serves what we stored");
    produce_codecs(&mut node.client(), "theirs again");
    let theirs = views(&node);
    stock.stop();
    node.restart();
    assert_eq!(views(&node), theirs, "we serve what Kafka stored");
    // The small segments have come through all of that.
    let before = segments(&node, "codecs-0");
    produce_codecs(&mut node.client(), "at last");
    assert!(segments(&node, "codecs-0") > before);
    assert_eq!(node.stop(), 0);
}

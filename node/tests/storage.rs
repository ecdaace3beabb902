//! What topic and broker keys do to the files, seen through the protocol and in the files.

#![allow(clippy::disallowed_methods, reason = "tests read files and look at the clock")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use ringlog_engine::batch::{BatchBuilder, BatchHeader, RecordFields};
use support::{Client, Node, PATIENCE, batch, have_kafka, kafka, read_values, text};

/// The recovery points of topics of one partition, as the node has last written them down.
fn recovery_points(node: &Node) -> BTreeMap<String, i64> {
    let file = node.data().join("recovery-point-offset-checkpoint");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let entry = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.nth(1)?.parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
}

/// Waits until the file says that `topic` is flushed up to `offset`; gives all of it.
fn until_flushed(node: &Node, topic: &str, offset: i64) -> BTreeMap<String, i64> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let points = recovery_points(node);
        if points.get(topic) == Some(&offset) {
            return points;
        }
        assert!(Instant::now() < deadline, "{topic} is not flushed: {points:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

const REPLICATED: &str = "ringlog.durability=replicated";
const CHECKPOINTS: &str = "log.flush.offset.checkpoint.interval.ms=20";

#[test]
fn flush_messages_flushes_a_topic_after_so_many_records() {
    let node = Node::start(&[REPLICATED, CHECKPOINTS]);
    let mut client = node.client();
    client.create_topic("never", 1, &[]);
    client.create_topic("third", 1, &[("flush.messages", "3")]);
    client.create_topic("each", 1, &[("flush.messages", "1")]);
    let mut produce = |topic: &str| {
        assert_eq!(client.produce(topic, 0, -1, batch(&[b"v"], None)).error, 0);
    };
    for (count, third) in [(1, 0), (2, 0), (3, 3), (4, 3), (5, 3), (6, 6)] {
        ["never", "third", "each"].into_iter().for_each(&mut produce);
        // What the file says of one topic is as old as what it says of the others.
        let points = until_flushed(&node, "each", count);
        assert_eq!((points["never"], points["third"]), (0, third), "after {count}");
    }
}

#[test]
fn log_flush_interval_messages_is_every_topics_default() {
    let node = Node::start(&[REPLICATED, CHECKPOINTS, "log.flush.interval.messages=2"]);
    let mut client = node.client();
    client.create_topic("second", 1, &[]);
    client.create_topic("own", 1, &[("flush.messages", "1000")]);
    for count in 1..=4 {
        for topic in ["own", "second"] {
            assert_eq!(client.produce(topic, 0, 1, batch(&[b"v"], None)).error, 0);
        }
        if count % 2 == 0 {
            assert_eq!(until_flushed(&node, "second", count)["own"], 0);
        }
    }
}

#[test]
fn flush_ms_flushes_what_is_old_enough() {
    let scheduler = "log.flush.scheduler.interval.ms=10";
    let node = Node::start(&[REPLICATED, CHECKPOINTS, scheduler, "log.flush.interval.ms=3600000"]);
    let mut client = node.client();
    client.create_topic("hourly", 1, &[]);
    client.create_topic("soon", 1, &[("flush.ms", "1")]);
    for topic in ["hourly", "soon"] {
        assert_eq!(client.produce(topic, 0, -1, batch(&[b"v"], None)).error, 0);
    }
    assert_eq!(until_flushed(&node, "soon", 1)["hourly"], 0);
    // Where log.flush.interval.ms is not set, the scheduler's interval counts.
    let node = Node::start(&[REPLICATED, CHECKPOINTS, scheduler]);
    let mut client = node.client();
    client.create_topic("all", 1, &[]);
    assert_eq!(client.produce("all", 0, -1, batch(&[b"v"], None)).error, 0);
    until_flushed(&node, "all", 1);
}

/// Base offsets of a partition's segments.
fn segments(dir: &Path) -> Vec<i64> {
    let names = std::fs::read_dir(dir).expect("readable");
    let names = names.map(|entry| entry.expect("readable").file_name().into_string());
    let mut bases: Vec<i64> =
        names.filter_map(|name| name.expect("a name").strip_suffix(".log")?.parse().ok()).collect();
    bases.sort_unstable();
    bases
}

/// A batch of one record of this size, at this time.
fn batch_at(time: i64, size: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.append(time, &RecordFields { value: Some(&vec![7; size]), ..Default::default() });
    builder.build().expect("uncompressed")
}

/// Waits until the segments are there: the committer makes them behind the append.
fn until_rolled(node: &Node, topic: &str, expected: &[i64]) {
    let dir = node.data().join(format!("{topic}-0"));
    let deadline = Instant::now() + PATIENCE;
    while segments(&dir) != expected {
        assert!(Instant::now() < deadline, "{topic}: {:?}, not {expected:?}", segments(&dir));
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

const TIME: i64 = 1_700_000_000_000;

#[test]
fn segments_roll_by_size_by_time_and_when_an_index_is_full() {
    let mut node = Node::start(&[]);
    let mut client = node.client();
    client.create_topic("size", 1, &[("segment.bytes", "20000")]);
    client.create_topic("time", 1, &[("segment.ms", "10000")]);
    client.create_topic(
        "index",
        1,
        &[("segment.index.bytes", "36"), ("index.interval.bytes", "0")],
    );
    let mut produce = |topic: &str, batch: Vec<u8>| {
        assert_eq!(client.produce(topic, 0, -1, batch).error, 0);
    };
    // 6069 bytes each: three fit.
    (0..7).for_each(|_| produce("size", batch_at(TIME, 6000)));
    // By the time of records: 10 s after the first of the segment.
    for after in [0, 9_000, 10_000, 10_001, 15_000, 20_001, 20_002, 3_000_000] {
        produce("time", batch_at(TIME + after, 10));
    }
    (0..20).for_each(|i| produce("index", batch_at(TIME + i, 10)));
    until_rolled(&node, "size", &[0, 3, 6]);
    until_rolled(&node, "time", &[0, 3, 6, 7]);
    let by_index = segments(&node.data().join("index-0"));
    assert!(by_index.len() > 2, "{by_index:?}");
    for (topic, count) in [("size", 7), ("time", 8), ("index", 20)] {
        let mut next = 0;
        while next < count {
            let (error, bytes) = node.client().fetch(topic, 0, next);
            assert_eq!(error, 0);
            let mut rest = &bytes[..];
            while let Ok((header, _)) = BatchHeader::parse_whole(rest) {
                assert_eq!(header.base_offset.0, next, "{topic}");
                next += 1;
                rest = &rest[header.size..];
            }
        }
    }
    assert_eq!(node.stop(), 0);
    if !have_kafka() {
        return;
    }
    for topic in ["size", "time", "index"] {
        let dir = node.data().join(format!("{topic}-0"));
        for base in segments(&dir) {
            let name = |suffix: &str| dir.join(format!("{base:020}.{suffix}"));
            let files =
                ["log", "index", "timeindex"].map(|suffix| name(suffix).display().to_string());
            let output = kafka("kafka-dump-log")
                .args(["--print-data-log", "--files", &files.join(",")])
                .output()
                .expect("it runs");
            let said = text(&output);
            assert!(output.status.success() && output.stderr.is_empty(), "{said}");
            assert!(!said.contains("Mismatches") && !said.contains("isvalid: false"), "{said}");
            assert!(!said.contains("Found timestamp mismatch"), "{said}");
        }
    }
}

/// The length of a log's first file, and of the batches in it.
fn lengths(node: &Node) -> (u64, u64) {
    let bytes = std::fs::read(node.data().join("t-0/00000000000000000000.log")).expect("readable");
    let mut at = 0;
    while let Ok((header, _)) = BatchHeader::parse_whole(&bytes[at..]) {
        at += header.size;
    }
    (bytes.len() as u64, at as u64)
}

#[test]
fn d06_direct_writes_leave_no_zeros_once_a_log_is_idle_or_closed() {
    let mut node = Node::start(&["ringlog.io.mode=direct"]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    let value = vec![7; 50_000];
    let mut sent = 0;
    for _ in 0..40 {
        assert_eq!(client.produce("t", 0, -1, batch(&[&value], None)).error, 0);
        sent += 1;
        let (error, _) = client.fetch("t", 0, sent - 1);
        assert_eq!(error, 0, "what is acknowledged can be read");
    }
    // 2 MB in: laid out ahead, until nothing comes for a second.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (file, batches) = lengths(&node);
        if file == batches {
            break;
        }
        assert!(Instant::now() < deadline, "{file} bytes, {batches} of them batches");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    // A kill leaves zeros, and what was acknowledged before them.
    assert_eq!(client.produce("t", 0, -1, batch(&[&value], None)).error, 0);
    node.kill();
    let (file, batches) = lengths(&node);
    assert!(file > batches, "{file} bytes, {batches} of them batches");
    node.restart();
    assert_eq!(node.client().latest_offset("t", 0), 41);
    assert_eq!(node.client().produce("t", 0, -1, batch(&[b"v"], None)).offset, 41);
    assert_eq!(node.stop(), 0);
    let (file, batches) = lengths(&node);
    assert_eq!(file, batches, "closed");
    node.restart();
    let (values, error) = read_values(&mut node.client(), "t", 0);
    assert_eq!((values.len(), error), (42, 0));
}

/// A log is being rolled, synced and written down while its topic goes: what those leave behind
/// goes too, and nothing of it keeps the directory.
#[test]
fn a_topic_that_is_deleted_while_it_is_written_leaves_nothing() {
    let mut node = Node::start(&[
        "log.segment.delete.delay.ms=0",
        "log.flush.offset.checkpoint.interval.ms=1",
        "log.segment.bytes=1048576",
    ]);
    let value = vec![b'x'; 100_000];
    let port = node.port;
    for round in 0..60 {
        let name = format!("t{round}");
        node.client().create_topic(&name, 3, &[]);
        let writers: Vec<_> = (0..3)
            .map(|partition| {
                let records = batch(&[&value], Some((1000 + i64::from(partition), 0, 0)));
                let (name, value) = (name.clone(), value.clone());
                std::thread::spawn(move || {
                    let mut client = Client::try_connect(port).expect("the node listens");
                    let mut next = records;
                    for sequence in 1..1000 {
                        if client.produce(&name, partition, -1, next).error != 0 {
                            return;
                        }
                        let producer = 1000 + i64::from(partition);
                        next = batch(&[&value], Some((producer, 0, sequence)));
                    }
                })
            })
            .collect();
        let mut client = node.client();
        while client.latest_offset(&name, 0) < 1 + round % 12 {
            assert!(node.is_alive(), "{}", node.log());
        }
        client.delete_topic(&name);
        writers.into_iter().for_each(|writer| writer.join().expect("writes until it is refused"));
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let names = std::fs::read_dir(node.data()).expect("there").flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let left: Vec<String> = names.filter(|name| name.ends_with("-delete")).collect();
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{left:?}: {}", node.log());
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(!node.log().contains("delete_failed"), "{}", node.log());
}

//! Records leave the start of a log: retention, DeleteRecords, deleted topics.

#![allow(clippy::disallowed_methods, reason = "tests read files and look at the clock")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use ringlog_engine::batch::{BatchBuilder, RecordFields};
use ringlog_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ringlog_wire::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse, ListOffsetsRequest, ListOffsetsResponse,
    MetadataRequest, list_offsets_request,
};
use support::{Client, Node, PATIENCE, batch, have_kafka, kafka, read_values, run, unix_ms};

const SOON: [&str; 2] = ["log.initial.task.delay.ms=0", "log.retention.check.interval.ms=10"];
const HOUR_MS: i64 = 3_600_000;
const OUT_OF_RANGE: i16 = 1;

fn names(dir: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(dir).into_iter().flatten();
    names.map(|entry| entry.expect("readable").file_name().into_string().expect("text")).collect()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn start_of(client: &mut Client, topic: &str) -> i64 {
    let partition = list_offsets_request::ListOffsetsPartition {
        partition_index: 0,
        timestamp: -2,
        ..Default::default()
    };
    let topics = vec![list_offsets_request::ListOffsetsTopic {
        name: topic.to_owned(),
        partitions: vec![partition],
    }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    let response: ListOffsetsResponse = client.request(&request, 7);
    response.topics[0].partitions[0].offset
}

fn delete(client: &mut Client, topic: &str, offset: i64) -> (i16, i64) {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.to_owned(), partitions }];
    let request = DeleteRecordsRequest { topics, timeout_ms: 10_000 };
    let response: DeleteRecordsResponse = client.request(&request, 2);
    let answer = &response.topics[0].partitions[0];
    (answer.error_code, answer.low_watermark)
}

/// A batch of one record of this size, at this time.
fn batch_at(time: i64, size: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    let value = vec![7; size];
    builder.append(time, &RecordFields { key: Some(b"k"), value: Some(&value), headers: &[] });
    builder.build().expect("uncompressed")
}

#[test]
fn retention_deletes_by_size_and_by_time_and_keeps_what_is_of_the_future() {
    let settings = [SOON[0], SOON[1], "log.segment.delete.delay.ms=0", "log.cleaner.enable=false"];
    let mut node = Node::start(&settings);
    let mut client = node.client();
    let small = ("segment.bytes", "1000");
    client.create_topic("size", 1, &[small, ("retention.bytes", "2000"), ("retention.ms", "-1")]);
    client.create_topic("time", 1, &[small, ("retention.ms", "9000000")]);
    client.create_topic("kept", 1, &[small, ("retention.ms", "-1")]);
    client.create_topic("young", 1, &[small, ("retention.ms", "7200000")]);
    let policy = |name| ("cleanup.policy", name);
    let old = ("retention.ms", "9000000");
    client.create_topic("both", 1, &[small, old, policy("compact,delete")]);
    client.create_topic("compacted", 1, &[small, old, policy("compact")]);
    let now = unix_ms();
    let mut produce = |topic: &str, time: i64| {
        assert_eq!(client.produce(topic, 0, -1, batch_at(time, 700)).error, 0);
    };
    for _ in 0..10 {
        produce("size", now);
        produce("kept", now - 10 * HOUR_MS);
    }
    for i in 0..10 {
        for topic in ["time", "both", "compacted"] {
            produce(topic, now - (10 - i) * HOUR_MS);
        }
        // The first is of the future: it keeps its segment, and so all that follow.
        produce("young", if i == 0 { now + HOUR_MS / 2 } else { now - 10 * HOUR_MS });
    }
    // Batches of 770 bytes, one per segment: as many as do not push the size below the bound stay.
    until("size", || start_of(&mut client, "size") == 7);
    until("time", || start_of(&mut client, "time") == 8);
    until("both", || start_of(&mut client, "both") == 8);
    assert_eq!(start_of(&mut client, "compacted"), 0);
    assert_eq!(client.fetch("size", 0, 6).0, OUT_OF_RANGE);
    assert_eq!(client.fetch("size", 0, 7).0, 0);
    assert_eq!(start_of(&mut client, "kept"), 0);
    assert_eq!(start_of(&mut client, "young"), 0);
    let dir = node.data().join("size-0");
    until("files", || names(&dir).iter().filter(|name| name.contains(".log")).count() == 3);
    assert!(!names(&dir).iter().any(|name| name.ends_with(".deleted")), "{:?}", names(&dir));
    // Everything is too old: the log goes on in a new segment, at the same offset.
    client.create_topic("all", 1, &[small, ("retention.ms", "1000")]);
    for _ in 0..3 {
        assert_eq!(client.produce("all", 0, -1, batch_at(now - HOUR_MS, 700)).error, 0);
    }
    until("all", || start_of(&mut client, "all") == 3);
    assert_eq!(client.produce("all", 0, -1, batch_at(now, 700)).offset, 3);
    // After a kill, nothing of it is back.
    node.kill();
    node.restart();
    let mut client = node.client();
    assert_eq!((start_of(&mut client, "size"), start_of(&mut client, "time")), (7, 8));
    assert_eq!(client.latest_offset("all", 0), 4);
}

#[test]
fn deleted_segments_wait_for_their_readers() {
    let mut node = Node::start(&SOON);
    let mut client = node.client();
    client.create_topic("t", 1, &[("segment.bytes", "1000"), ("retention.bytes", "0")]);
    for _ in 0..3 {
        assert_eq!(client.produce("t", 0, -1, batch_at(unix_ms(), 700)).error, 0);
    }
    let dir = node.data().join("t-0");
    let marked = |name: &str| format!("{name}.deleted");
    until("renamed", || start_of(&mut client, "t") == 3);
    until("renamed", || names(&dir).contains(&marked("00000000000000000002.log")));
    for base in 0..3 {
        for suffix in ["log", "index", "timeindex"] {
            let name = format!("{base:020}.{suffix}");
            assert!(names(&dir).contains(&marked(&name)), "{:?}", names(&dir));
            assert!(!names(&dir).contains(&name), "{:?}", names(&dir));
        }
    }
    // A start does not take them for the log's, and deletes them.
    node.kill();
    node.restart();
    assert!(!names(&dir).iter().any(|name| name.ends_with(".deleted")), "{:?}", names(&dir));
    assert_eq!(node.client().latest_offset("t", 0), 3);
}

#[test]
fn deleted_records_stay_deleted_after_a_kill() {
    let mut node = Node::start(&SOON);
    let mut client = node.client();
    client.create_topic("t", 1, &[("segment.bytes", "1000")]);
    for _ in 0..10 {
        assert_eq!(client.produce("t", 0, -1, batch_at(unix_ms(), 300)).error, 0);
    }
    // In the middle of a segment.
    assert_eq!(delete(&mut client, "t", 5), (0, 5));
    node.kill();
    node.restart();
    let mut client = node.client();
    assert_eq!(start_of(&mut client, "t"), 5);
    assert_eq!(client.fetch("t", 0, 4).0, OUT_OF_RANGE);
    let dir = node.data().join("t-0");
    until("segments below the start go", || {
        !names(&dir).contains("00000000000000000000.log")
            && names(&dir).contains("00000000000000000004.log")
    });
    assert_eq!(delete(&mut client, "t", -1), (0, 10));
    assert_eq!(client.latest_offset("t", 0), 10);
    assert_eq!(delete(&mut client, "t", 3), (0, 10));
    assert_eq!(delete(&mut client, "t", 11).0, OUT_OF_RANGE);
    assert_eq!(client.produce("t", 0, -1, batch(&[b"v"], None)).offset, 10);
}

#[test]
fn kafka_delete_records_moves_the_start() {
    if !have_kafka() {
        return;
    }
    let node = Node::start(&[]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    for _ in 0..4 {
        assert_eq!(client.produce("t", 0, -1, batch(&[b"v"], None)).error, 0);
    }
    let file = node.dir.path().join("offsets.json");
    let json = r#"{"partitions":[{"topic":"t","partition":0,"offset":3}],"version":1}"#;
    std::fs::write(&file, json).expect("writable");
    let said = run(kafka("kafka-delete-records")
        .args(["--bootstrap-server", &node.bootstrap(), "--offset-json-file"])
        .arg(&file));
    assert!(said.contains("low_watermark: 3"), "{said}");
    assert_eq!(start_of(&mut client, "t"), 3);
}

/// A topic is made again under its name at once, as another one.
#[test]
fn a_topic_is_deleted_and_made_again_a_hundred_times() {
    let mut node = Node::start(&[]);
    let mut client = node.client();
    let mut ids = BTreeSet::new();
    for round in 0..100 {
        client.create_topic("again", 2, &[]);
        let request = MetadataRequest { topics: None, ..Default::default() };
        let topics = client.request(&request, 12).topics;
        let topic = topics.iter().find(|topic| topic.name.as_deref() == Some("again"));
        assert!(ids.insert(topic.expect("it is there").topic_id), "round {round}");
        for partition in 0..2 {
            let value = format!("{round}");
            let produced = client.produce("again", partition, -1, batch(&[value.as_bytes()], None));
            assert_eq!((produced.error, produced.offset), (0, 0), "round {round}");
            let (values, error) = read_values(&mut client, "again", partition);
            assert_eq!((values, error), (vec![value.into_bytes()], 0));
        }
        client.delete_topic("again");
    }
    // None of them comes back.
    node.kill();
    node.restart();
    let request = MetadataRequest { topics: None, ..Default::default() };
    assert_eq!(node.client().request(&request, 12).topics.len(), 0);
    let data = node.data();
    until("their files are gone", || !names(&data).iter().any(|name| name.contains("again")));
}

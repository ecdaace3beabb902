//! What topic and broker keys do to the files, seen through the protocol and in the files.

#![allow(clippy::disallowed_methods, reason = "tests read files and look at the clock")]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::{Node, PATIENCE, batch};

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

//! Faults of the coordinator's log: it cannot be written any more, or is compacted under it.

#![allow(clippy::disallowed_methods, reason = "tests look at files")]

mod support;

use ringlog_node::group::partition_of;
use support::Node;
use support::groups::{QUICK, commit, fetch, find, until};

/// A partition of `__consumer_offsets` for every group in this file.
const ONE: &str = "offsets.topic.num.partitions=1";
const NOT_COORDINATOR: i16 = 16;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const LOADING: i16 = 14;

#[test]
fn g01_a_commit_that_cannot_be_written_is_not_answered_as_if_it_were() {
    let mut node = Node::start(&[QUICK, "offsets.topic.num.partitions=2"]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    find(&mut client);
    assert_eq!(node.stop(), 0);
    let other = (0..).map(|i| format!("other{i}"));
    let other = other.into_iter().find(|id| partition_of(id, 2) != partition_of("g", 2));
    let other = other.expect("there is one");
    // No file may grow beyond some hundred kilobytes: the log of the group cannot, at some time.
    node.limits = "ulimit -f 500;".to_owned();
    node.restart();
    let mut client = node.client();
    until("loaded", || (fetch(&mut client, "g", "t").0 != LOADING).then_some(()));
    let refused = (0..100_000).find_map(|offset| match commit(&mut client, "g", "t", offset) {
        0 => None,
        error => Some((offset, error)),
    });
    let (failed, error) = refused.expect("its file is full");
    assert!(failed > 100, "{failed}");
    assert!(matches!(error, NOT_COORDINATOR | COORDINATOR_NOT_AVAILABLE), "{error}");
    // It does not come back by itself, and says nothing of offsets; others are well.
    assert_eq!(fetch(&mut client, "g", "t").0, NOT_COORDINATOR);
    assert_eq!(commit(&mut client, "g", "t", 1), NOT_COORDINATOR);
    assert_eq!(commit(&mut client, &other, "t", 1), 0);
    node.kill();
    node.limits.clear();
    node.restart();
    let mut client = node.client();
    until("loaded", || (fetch(&mut client, "g", "t").0 != LOADING).then_some(()));
    let (error, offset) = fetch(&mut client, "g", "t");
    // The old value, or the new one.
    assert!(error == 0 && (offset == failed - 1 || offset == failed), "{offset}, not {failed}");
    assert_eq!(commit(&mut client, "g", "t", failed + 1), 0);
}

#[test]
fn g06_offsets_outlive_the_compaction_of_their_topic() {
    let settings = [
        QUICK,
        ONE,
        "offsets.topic.segment.bytes=4000",
        "log.cleaner.backoff.ms=20",
        "log.cleaner.min.cleanable.ratio=0.01",
    ];
    let mut node = Node::start(&settings);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    find(&mut client);
    assert_eq!(commit(&mut client, "once", "t", 77), 0);
    for offset in 0..1000 {
        assert_eq!(commit(&mut client, "g", "t", offset), 0);
    }
    let dir = node.data().join("__consumer_offsets-0");
    let size = || {
        let files =
            std::fs::read_dir(&dir).expect("readable").map(|entry| entry.expect("readable"));
        let logs = files.filter(|file| file.file_name().to_string_lossy().ends_with(".log"));
        logs.map(|log| log.metadata().map_or(0, |found| found.len())).sum::<u64>()
    };
    // Each commit is a batch of its own, of more than a hundred bytes.
    until("most of it is compacted away", || (size() < 20_000).then_some(()));
    for _ in 0..2 {
        let mut client = node.client();
        until("loaded", || (fetch(&mut client, "g", "t").0 != LOADING).then_some(()));
        assert_eq!(fetch(&mut client, "g", "t"), (0, 999));
        assert_eq!(fetch(&mut client, "once", "t"), (0, 77));
        node.kill();
        node.restart();
    }
}

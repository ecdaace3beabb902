//! The metadata log and its snapshots as a running node keeps them, and nodes of several log
//! directories.

#![allow(clippy::disallowed_methods, reason = "tests read files and look at the clock")]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ringlog_wire::messages::MetadataRequest;
use support::stock::Stock;
use support::{Client, Node, PATIENCE, batch, have_kafka, kafka, ringlog, run, text};

fn metadata_dir(node: &Node) -> PathBuf {
    node.data().join("__cluster_metadata-0")
}

/// Names in a directory that end so, sorted.
fn files(dir: &Path, suffix: &str) -> Vec<String> {
    let names = std::fs::read_dir(dir).expect("readable");
    let names = names.map(|entry| entry.expect("readable").file_name().into_string());
    let mut names: Vec<String> = names.map(|name| name.expect("a name")).collect();
    names.retain(|name| name.ends_with(suffix));
    names.sort();
    names
}

fn topics(client: &mut Client) -> BTreeSet<String> {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let response = client.request(&request, 12);
    response.topics.into_iter().filter_map(|topic| topic.name).collect()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not so: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

const SMALL: &[&str] = &[
    "metadata.log.max.record.bytes.between.snapshots=30000",
    "internal.metadata.log.segment.bytes=40000",
    "metadata.max.retention.bytes=150000",
    "metadata.max.idle.interval.ms=20",
];

/// Makes topics until the start of the log is gone.
fn outgrow(node: &Node) -> BTreeSet<String> {
    let mut client = node.client();
    let mut made = BTreeSet::new();
    let first = "00000000000000000000.log";
    until("the first segment is deleted", || {
        let name = format!("topic-{}", made.len());
        client.create_topic(&name, 10, &[("flush.ms", "1234")]);
        made.insert(name);
        !files(&metadata_dir(node), ".log").contains(&first.to_owned())
    });
    made
}

/// Snapshots that are kept, and the segments: none of them is without the other.
fn assert_whole(node: &Node) {
    let (snapshots, logs) =
        (files(&metadata_dir(node), ".checkpoint"), files(&metadata_dir(node), ".log"));
    let base = |name: &String| name[..20].parse::<u64>().expect("an offset");
    assert!(base(&logs[0]) <= base(&snapshots[0]), "{snapshots:?} {logs:?}");
    for suffix in [".index", ".timeindex"] {
        assert_eq!(files(&metadata_dir(node), suffix).len(), logs.len());
    }
}

#[test]
fn snapshots_are_written_and_what_is_below_them_is_deleted() {
    let mut node = Node::start(SMALL);
    let made = outgrow(&node);
    // Snapshots hold everything, so they grow; two of them and a segment or two are kept.
    assert!(files(&metadata_dir(&node), ".checkpoint").len() <= 3);
    assert_whole(&node);
    node.kill();
    node.restart();
    assert_eq!(topics(&mut node.client()), made, "after a kill");
    assert_eq!(node.stop(), 0);
    node.restart();
    assert_eq!(topics(&mut node.client()), made, "after a stop");
    node.client().create_topic("one-more", 1, &[]);
    // The snapshot alone will not do: what came after it is in the log.
    node.kill();
    let log = metadata_dir(&node).join(files(&metadata_dir(&node), ".log").remove(0));
    assert!(log.exists());
    node.restart();
    assert!(topics(&mut node.client()).contains("one-more"));
}

#[test]
fn snapshots_are_written_by_time_and_old_ones_go() {
    let node = Node::start(&[
        "metadata.log.max.snapshot.interval.ms=100",
        "metadata.max.retention.ms=1000",
        "metadata.max.idle.interval.ms=20",
    ]);
    let mut first = Vec::new();
    until("there are two snapshots", || {
        first = files(&metadata_dir(&node), ".checkpoint");
        first.len() >= 2
    });
    until("the first is gone", || !files(&metadata_dir(&node), ".checkpoint").contains(&first[0]));
    let kept = Node::start(&[
        "metadata.log.max.snapshot.interval.ms=100",
        "metadata.max.retention.ms=-1",
        "metadata.max.retention.bytes=-1",
        "metadata.max.idle.interval.ms=20",
    ]);
    until("there are many", || files(&metadata_dir(&kept), ".checkpoint").len() >= 5);
}

#[test]
fn kafka_reads_what_is_left_and_starts_on_it() {
    if !have_kafka() {
        return;
    }
    let mut node = Node::start(SMALL);
    let made = outgrow(&node);
    node.client().create_topic("t", 1, &[]);
    assert_eq!(node.client().produce("t", 0, -1, batch(&[b"v"], None)).error, 0);
    node.kill();
    let dir = metadata_dir(&node);
    let dump = |name: &String| {
        let output = kafka("kafka-dump-log")
            .args(["--cluster-metadata-decoder", "--files"])
            .arg(dir.join(name))
            .output()
            .expect("it runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let snapshot = dump(files(&dir, ".checkpoint").last().expect("a snapshot"));
    for what in ["SnapshotHeader", "SnapshotFooter", "TOPIC_RECORD", "\"name\":\"topic-0\""] {
        assert!(snapshot.contains(what), "{what}: {snapshot}");
    }
    for log in files(&dir, ".log") {
        assert!(dump(&log).contains("isvalid: true"), "{log}");
    }
    let broker = Stock::start(&node, |client| {
        let request = MetadataRequest { topics: None, ..Default::default() };
        client.try_request(&request, 12).is_some_and(|response| {
            let up = |t: &ringlog_wire::messages::metadata_response::MetadataResponseTopic| {
                t.partitions.iter().all(|partition| partition.error_code == 0)
            };
            response.topics.len() > made.len() && response.topics.iter().all(up)
        })
    });
    assert!(topics(&mut node.client()).is_superset(&made));
    until("Kafka leads it", || node.client().latest_offset("t", 0) == 1);
    broker.stop();
    node.restart();
    assert!(topics(&mut node.client()).is_superset(&made));
    assert_eq!(node.client().latest_offset("t", 0), 1);
}

/// A node with two directories for topics, and if wanted one for the metadata.
fn with_dirs(metadata: Option<&str>) -> Node {
    let node = Node::prepare(&[]);
    let at = |name: &str| node.dir.path().join(name).display().to_string();
    let mut lines = format!("log.dirs={},{}\n", at("one"), at("two"));
    if let Some(metadata) = metadata {
        lines.push_str(&format!("metadata.log.dir={}\n", at(metadata)));
    }
    node.edit_properties(|line| !line.starts_with("log.dirs"));
    let text = std::fs::read_to_string(&node.properties).expect("readable");
    std::fs::write(&node.properties, text + &lines).expect("writable");
    node
}

fn property(dir: &Path, key: &str) -> String {
    let meta = std::fs::read_to_string(dir.join("meta.properties")).expect("readable");
    let prefix = format!("{key}=");
    let line = meta.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("no {key} in {meta}")).to_owned()
}

fn partitions_in(dir: &Path) -> usize {
    files(dir, "").iter().filter(|name| name.starts_with("t-") || name.starts_with("s")).count()
}

#[test]
fn partitions_spread_over_the_log_directories() {
    for metadata in [None, Some("two"), Some("three")] {
        let mut node = with_dirs(metadata);
        node.format();
        node.restart();
        let mut client = node.client();
        client.create_topic("t", 8, &[]);
        for i in 0..24 {
            client.create_topic(&format!("s{i}"), 1, &[]);
        }
        let [one, two, three] = ["one", "two", "three"].map(|name| node.dir.path().join(name));
        for dir in [&one, &two] {
            let of_t = files(dir, "").iter().filter(|name| name.starts_with("t-")).count();
            assert_eq!(of_t, 4, "{metadata:?}");
            // Of 24 topics of one partition each, one directory gets all once in 8 million times.
            assert!(partitions_in(dir) > 4, "{metadata:?}");
        }
        assert_eq!(partitions_in(&one) + partitions_in(&two), 8 + 24);
        let home = node.dir.path().join(metadata.unwrap_or("one"));
        assert!(home.join("__cluster_metadata-0").exists(), "{metadata:?}");
        let dirs: Vec<&PathBuf> = match metadata {
            Some("three") => vec![&one, &two, &three],
            _ => vec![&one, &two],
        };
        let ids: BTreeSet<String> = dirs.iter().map(|dir| property(dir, "directory.id")).collect();
        assert_eq!(ids.len(), dirs.len(), "each has an id of its own");
        let clusters: BTreeSet<String> =
            dirs.iter().map(|dir| property(dir, "cluster.id")).collect();
        assert_eq!(clusters.len(), 1);
        if metadata == Some("three") {
            assert_eq!(partitions_in(&three), 0, "no topics beside the metadata");
        }
        for partition in 0..8 {
            let produced = client.produce("t", partition, -1, batch(&[b"v"], None));
            assert_eq!(produced.error, 0);
        }
        node.kill();
        node.restart();
        for partition in 0..8 {
            assert_eq!(node.client().latest_offset("t", partition), 1, "{metadata:?}");
        }
    }
}

#[test]
fn directories_of_another_cluster_or_node_are_refused_in_kafkas_words() {
    let node = with_dirs(None);
    node.format();
    let two = node.dir.path().join("two/meta.properties");
    let good = std::fs::read_to_string(&two).expect("readable");
    let own = property(&node.dir.path().join("one"), "cluster.id");
    let (id, other_id) = (
        property(&node.dir.path().join("two"), "directory.id"),
        property(&node.dir.path().join("one"), "directory.id"),
    );
    let two_dir = node.dir.path().join("two").display().to_string();
    let cases = [
        (
            good.replace(&own, "Nk018hRAQFytWskYqtQduw"),
            format!(
                "Invalid cluster.id in: {two_dir}/meta.properties. Expected {own}, but read \
                 Nk018hRAQFytWskYqtQduw"
            ),
        ),
        (
            good.replace("node.id=1", "node.id=9"),
            "Stored node id 9 doesn't match previous node id 1 in".to_owned(),
        ),
        (good.replace(&id, &other_id), format!("Duplicate directory ID {other_id} found.")),
    ];
    for (meta, sentence) in cases {
        std::fs::write(&two, meta).expect("writable");
        let output = ringlog().arg("start").arg(&node.properties).output().expect("it runs");
        assert!(!output.status.success());
        assert!(text(&output).contains(&sentence), "{sentence}: {}", text(&output));
    }
}

#[test]
fn directories_that_kafka_storage_formats_with_several_dirs_are_taken() {
    if !have_kafka() {
        return;
    }
    let mut node = with_dirs(Some("three"));
    run(kafka("kafka-storage")
        .args(["format", "-t", "Nk018hRAQFytWskYqtQduw", "-c"])
        .arg(&node.properties));
    node.restart();
    node.client().create_topic("t", 4, &[]);
    for partition in 0..4 {
        let produced = node.client().produce("t", partition, -1, batch(&[b"v"], None));
        assert_eq!(produced.error, 0);
    }
    assert_eq!(node.stop(), 0);
    let broker = Stock::start(&node, |client| {
        let request = MetadataRequest { topics: None, ..Default::default() };
        client.try_request(&request, 12).is_some_and(|response| {
            let whole = |t: &ringlog_wire::messages::metadata_response::MetadataResponseTopic| {
                t.partitions.len() == 4 && t.partitions.iter().all(|p| p.error_code == 0)
            };
            response.topics.iter().any(whole)
        })
    });
    for partition in 0..4 {
        until("Kafka leads it", || node.client().latest_offset("t", partition) == 1);
    }
    broker.stop();
}

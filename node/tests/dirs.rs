//! Log directories that fail, fill up, or are not what they should be.

#![allow(clippy::disallowed_methods, reason = "tests read files and look at the clock")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ringlog_engine::batch::{BatchBuilder, Codec, RecordFields};
use ringlog_wire::messages::MetadataRequest;
use support::small_disk::SmallDisk;
use support::stock::Stock;
use support::{Node, PATIENCE, batch, have_kafka, read_values, run, unix_ms};

const STORAGE_ERROR: i16 = 56;

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A node with several log directories.
fn with_dirs(count: usize) -> (Node, Vec<PathBuf>) {
    let node = Node::prepare(&[]);
    let dirs: Vec<PathBuf> = (0..count).map(|i| node.dir.path().join(format!("data{i}"))).collect();
    let list = dirs.iter().map(|d| d.display().to_string()).collect::<Vec<_>>().join(",");
    let text = std::fs::read_to_string(&node.properties).expect("readable");
    let other = |line: &&str| !line.starts_with("log.dirs=") && !line.starts_with("log.dir=");
    let mut text: String = text.lines().filter(other).collect::<Vec<_>>().join("\n");
    text.push_str(&format!("\nlog.dirs={list}\nringlog.shards=2\n"));
    std::fs::write(&node.properties, text).expect("writable");
    (node, dirs)
}

fn dir_of(dirs: &[PathBuf], partition: &str) -> usize {
    dirs.iter().position(|dir| dir.join(partition).is_dir()).expect("it is somewhere")
}

/// Nothing can be opened or made in it any more.
fn break_dir(dir: &Path) {
    let away = dir.with_extension("away");
    std::fs::rename(dir, away).expect("renamed");
    std::fs::write(dir, b"no directory").expect("written");
}

#[test]
fn d07_a_failed_directory_takes_only_its_own_partitions_offline() {
    let (mut node, dirs) = with_dirs(3);
    node.format();
    node.restart();
    let mut client = node.client();
    client.create_topic("t", 9, &[("segment.bytes", "1000")]);
    let place = |partition: i32| dir_of(&dirs, &format!("t-{partition}"));
    let places: Vec<usize> = (0..9).map(place).collect();
    for dir in 0..3 {
        let count = places.iter().filter(|place| **place == dir).count();
        assert!((2..=4).contains(&count), "{places:?}");
    }
    for partition in 0..9 {
        assert_eq!(client.produce("t", partition, -1, batch(&[&[1; 400]], None)).error, 0);
    }
    // The first holds the metadata log.
    let broken = places.iter().copied().find(|dir| *dir != 0).expect("another");
    break_dir(&dirs[broken]);
    // The next segment cannot be made there.
    let hit = places.iter().position(|dir| *dir == broken).expect("one") as i32;
    until("the failure is seen", || {
        client.produce("t", hit, -1, batch(&[&[2; 400]], None)).error == STORAGE_ERROR
    });
    for (partition, place) in (0..).zip(&places) {
        let expected = if *place == broken { STORAGE_ERROR } else { 0 };
        let offline = || {
            let produced = client.produce("t", partition, -1, batch(&[&[3; 400]], None));
            produced.error == expected
        };
        until("all of them, and no other", offline);
    }
    assert!(node.is_alive() && node.log().contains("log_dir_failed"), "{}", node.log());
    // New topics go elsewhere.
    client.create_topic("new", 6, &[]);
    for partition in 0..6 {
        assert_eq!(client.produce("new", partition, -1, batch(&[b"v"], None)).error, 0);
        assert_ne!(dir_of(&dirs, &format!("new-{partition}")), broken);
    }
    // Mended, everything is there again.
    node.stop();
    std::fs::remove_file(&dirs[broken]).expect("a file");
    std::fs::rename(dirs[broken].with_extension("away"), &dirs[broken]).expect("renamed");
    node.restart();
    let mut client = node.client();
    for partition in 0..9 {
        let (values, error) = read_values(&mut client, "t", partition);
        assert!(error == 0 && values[0] == [1; 400], "{partition}: {error}");
    }
}

#[test]
fn d07_without_its_last_directory_the_node_ends() {
    let mut node = Node::start(&[]);
    let mut client = node.client();
    client.create_topic("t", 1, &[("segment.bytes", "1000")]);
    assert_eq!(client.produce("t", 0, -1, batch(&[&[1; 600]], None)).error, 0);
    break_dir(&node.data());
    let request = support::produce_request("t", 0, -1, batch(&[&[1; 600]], None));
    client.send(&request, 9);
    let status = node.wait();
    assert!(!status.success(), "{status:?}");
    assert!(node.log().contains("it cannot go on without it"), "{}", node.log());
}

#[test]
fn d19_a_directory_that_is_nearly_full_refuses_records_and_recovers_by_itself() {
    let mut node = Node::prepare(&["log.segment.delete.delay.ms=0"]);
    let Some(disk) = SmallDisk::mount(&node.data(), 32) else { return };
    node.format();
    node.restart();
    let mut client = node.client();
    for topic in ["t", "other"] {
        client.create_topic(topic, 1, &[]);
    }
    let ballast = node.data().join("ballast");
    run(Command::new("fallocate").args(["-l", "31000K"]).arg(&ballast));
    until("refused", || client.produce("t", 0, -1, batch(&[b"v"], None)).error == STORAGE_ERROR);
    // What there is can still be read and deleted; metadata can still be written.
    assert_eq!(read_values(&mut client, "other", 0), (Vec::new(), 0));
    client.delete_topic("other");
    client.create_topic("late", 1, &[]);
    std::fs::remove_file(&ballast).expect("there");
    until("taken again", || client.produce("t", 0, -1, batch(&[b"w"], None)).error == 0);
    assert_eq!(client.produce("late", 0, -1, batch(&[b"x"], None)).error, 0);
    assert_eq!(node.stop(), 0);
    drop(node);
    drop(disk);
}

#[test]
fn d11_damage_at_rest_is_found_without_a_reader() {
    let node =
        Node::start(&["ringlog.scrub.bytes.per.second=100000000", "log.initial.task.delay.ms=10"]);
    let mut client = node.client();
    client.create_topic("t", 1, &[("segment.bytes", "1000")]);
    for _ in 0..9 {
        assert_eq!(client.produce("t", 0, -1, batch(&[&[1; 300]], None)).error, 0);
    }
    let segment = node.data().join("t-0/00000000000000000002.log");
    until("sealed", || node.data().join("t-0/00000000000000000004.log").exists());
    let mut bytes = std::fs::read(&segment).expect("readable");
    bytes[200] ^= 1;
    std::fs::write(&segment, bytes).expect("writable");
    until("found", || node.log().contains("damage_found"));
    let log = node.log();
    let line = log.lines().find(|line| line.contains("damage_found")).expect("seen");
    assert!(line.contains(&segment.display().to_string()), "{line}");
    assert!(line.contains("byte 0, offset 2"), "{line}");
    assert_eq!(client.produce("t", 0, -1, batch(&[b"v"], None)).error, 0);
}

#[test]
fn p06_files_that_nobody_uses_are_closed() {
    let node = Node::start(&[]);
    let mut client = node.client();
    client.create_topic("t", 20, &[("segment.bytes", "1000")]);
    for round in 0..5 {
        for partition in 0..20 {
            let produced = client.produce("t", partition, -1, batch(&[&[round; 600]], None));
            assert_eq!(produced.error, 0);
        }
    }
    for partition in 0..20 {
        assert_eq!(read_values(&mut client, "t", partition).0.len(), 5);
    }
    let open = || {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", node.pid())).expect("running");
        let paths = fds.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        paths.filter(|path| path.to_string_lossy().contains("/t-")).count()
    };
    until("closed", || open() == 0);
    // And opened again for who comes back.
    assert_eq!(client.produce("t", 3, -1, batch(&[b"v"], None)).offset, 5);
    assert_eq!(read_values(&mut client, "t", 3).0.len(), 6);
}

#[test]
fn d25_d26_a_directory_of_another_node_a_copy_and_a_missing_mount_stop_the_start() {
    let (mut node, dirs) = with_dirs(2);
    node.format();
    node.restart();
    node.client().create_topic("t", 4, &[]);
    assert_eq!(node.stop(), 0);
    let mut refused = |what: &str| {
        let log_before = node.log().len();
        let ended = node.try_restart();
        assert!(ended.is_some_and(|status| !status.success()), "{what}: it started");
        let told = node.log()[log_before..].to_owned();
        assert!(told.contains(what), "{what}: {told}");
    };
    let meta = |dir: usize| dirs[dir].join("meta.properties");
    let (first, second) =
        [meta(0), meta(1)].map(|path| std::fs::read_to_string(path).expect("there")).into();
    // Another node's.
    std::fs::write(meta(1), second.replace("node.id=1", "node.id=2")).expect("writable");
    refused("Stored node id 2 doesn't match");
    // Another cluster's.
    let other: Vec<&str> = second.lines().filter(|l| !l.starts_with("cluster.id=")).collect();
    std::fs::write(meta(1), format!("{}\ncluster.id=another\n", other.join("\n")))
        .expect("writable");
    refused("Invalid cluster.id");
    // A copy of the first.
    std::fs::write(meta(1), &first).expect("writable");
    refused("Duplicate directory ID");
    // A mount that is not there: an empty directory in its place.
    let away = dirs[1].with_extension("away");
    std::fs::rename(&dirs[1], &away).expect("renamed");
    std::fs::create_dir(&dirs[1]).expect("made");
    refused("No `meta.properties` found");
    assert_eq!(std::fs::read_dir(&dirs[1]).expect("readable").count(), 0, "nothing was made there");
    std::fs::remove_dir(&dirs[1]).expect("empty");
    std::fs::rename(&away, &dirs[1]).expect("renamed");
    std::fs::write(meta(1), second).expect("writable");
    node.restart();
    for partition in 0..4 {
        assert_eq!(node.client().produce("t", partition, -1, batch(&[b"v"], None)).error, 0);
    }
}

#[test]
fn kafka_serves_several_of_our_directories_after_a_kill_and_we_serve_them_again() {
    if !have_kafka() {
        return;
    }
    let (mut node, dirs) = with_dirs(3);
    node.format();
    node.restart();
    let mut client = node.client();
    client.create_topic("t", 6, &[("segment.bytes", "3000")]);
    let filler = [7; 250];
    let produce = |client: &mut support::Client, tag: &str| {
        for round in 0..5 {
            for partition in 0..6 {
                let value = format!("{tag} {round} {partition}");
                let mut builder = BatchBuilder::default();
                builder.codec = Codec::ALL[(round + partition) as usize % 5];
                for value in [value.as_bytes(), &filler] {
                    let fields = RecordFields { value: Some(value), ..Default::default() };
                    builder.append(unix_ms(), &fields);
                }
                let batch = builder.build().expect("packs");
                assert_eq!(client.produce("t", partition, -1, batch).error, 0);
            }
        }
    };
    let read = |client: &mut support::Client| -> Vec<Vec<Vec<u8>>> {
        let of = |partition| {
            let (values, error) = read_values(client, "t", partition);
            assert_eq!(error, 0, "partition {partition}");
            values
        };
        (0..6).map(of).collect()
    };
    produce(&mut client, "ours");
    let written = read(&mut client);
    node.kill();
    let stock = Stock::start(&node, |client| {
        let request = MetadataRequest { topics: None, ..Default::default() };
        let response = client.try_request(&request, 12);
        response.is_some_and(|r| {
            r.topics.iter().any(|t| t.partitions.len() == 6)
                && r.topics.iter().all(|t| t.partitions.iter().all(|p| p.leader_id == 1))
        })
    });
    let mut client = node.client();
    assert_eq!(read(&mut client), written);
    produce(&mut client, "theirs");
    let written = read(&mut client);
    assert_eq!(written[5].len(), 20);
    stock.stop();
    node.restart();
    assert_eq!(read(&mut node.client()), written);
    for dir in &dirs {
        let holds = |partition: &i32| dir.join(format!("t-{partition}")).is_dir();
        assert_eq!((0..6).filter(holds).count(), 2, "{dir:?}");
    }
    assert_eq!(node.stop(), 0);
}

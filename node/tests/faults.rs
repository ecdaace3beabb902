//! Faults of disks and files, one by one, on a node: what clients see, and what is there
//! afterwards. Named by the ids of docs/TESTING.md.

#![allow(clippy::disallowed_methods, reason = "tests edit files and start processes")]

mod support;

use std::collections::BTreeMap;

use ringlog_engine::batch::{BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, RecordFields, crc32c};
use ringlog_wire::messages::{CreateTopicsRequest, create_topics_request};
use support::small_disk::SmallDisk;
use support::{Client, Node, batch, read_values};

const NONE: i16 = 0;
const CORRUPT_MESSAGE: i16 = 2;
const STORAGE_ERROR: i16 = 56;
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// The error of making a topic; `None` if the node is gone.
fn try_create(client: &mut Client, name: &str) -> Option<i16> {
    let topic = create_topics_request::CreatableTopic {
        name: name.to_owned(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, validate_only: false };
    Some(client.try_request(&request, 7)?.topics[0].error_code)
}

/// The space ends in the metadata log, in a checkpoint, in a snapshot: wherever it does, what was
/// answered is there once there is space again, and no half file is taken for a whole one.
#[test]
fn d20_a_disk_that_is_full_ends_the_controller_and_not_what_it_has_answered() {
    let often = "metadata.log.max.record.bytes.between.snapshots=2000";
    let mut node = Node::prepare(&[
        often,
        "ringlog.log.dir.reserve.bytes=0",
        "log.flush.offset.checkpoint.interval.ms=20",
        "log.segment.delete.delay.ms=0",
    ]);
    // The metadata's disk is the one that fills up.
    let Some(disk) = SmallDisk::mount(&node.dir.path().join("meta"), 16) else { return };
    let text = std::fs::read_to_string(&node.properties).expect("readable");
    let text = format!("{text}metadata.log.dir={}\n", disk.path().display());
    std::fs::write(&node.properties, text).expect("writable");
    node.format();
    node.restart();
    let mut made: BTreeMap<String, i64> = BTreeMap::new();
    for (round, left) in [0, 4096, 8192, 20_480, 65_536].into_iter().enumerate() {
        let mut client = node.client();
        disk.fill(left);
        let mut refused = false;
        for i in 0..2000 {
            let name = format!("t{round}-{i}");
            match try_create(&mut client, &name) {
                Some(NONE) => {
                    made.insert(name, 0);
                }
                Some(_) | None => {
                    refused = true;
                    break;
                }
            }
        }
        assert!(refused, "{left} bytes were enough");
        // It has ended, and said why; or it answers, and says no.
        match node.is_alive() {
            true => node.kill(),
            false => {
                let log = node.log();
                assert!(log.contains("No space left") || log.contains("ENOSPC"), "{log}");
            }
        }
        disk.empty();
        node.restart();
        let mut client = node.client();
        for (name, count) in &mut made {
            assert_eq!(try_create(&mut client, name), Some(TOPIC_ALREADY_EXISTS), "{name}");
            if *count == 0 {
                assert_eq!(client.produce(name, 0, -1, batch(&[b"v"], None)).error, NONE);
                *count = 1;
            }
        }
    }
    for (name, count) in made.iter().step_by(7) {
        assert_eq!(read_values(&mut node.client(), name, 0).0.len() as i64, *count, "{name}");
    }
    assert_eq!(node.stop(), 0);
    drop(node);
    drop(disk);
}

/// What a batch may claim, its CRC being right: where it is written, and what.
const POISONS: [(&str, usize, &[u8]); 10] = [
    ("an unknown codec", 21, &[0, 7]),
    ("no compression though it says zstd", 21, &[0, 4]),
    ("a negative delta", 23, &[0xff; 4]),
    ("a delta past all offsets", 23, &[0x7f, 0xff, 0xff, 0xff]),
    ("a count below zero", 57, &[0xff; 4]),
    ("a count of two thousand millions", 57, &[0x7f, 0xff, 0xff, 0xff]),
    ("a time before all times", 35, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
    ("a producer of epoch -5", 51, &[0xff, 0xfb]),
    ("a control batch without a type", 21, &[0, 0x20]),
    ("a record that is longer than its batch", BATCH_HEADER_BYTES, &[0xfe, 0xff, 0x7f]),
];

/// A batch of this value that claims it.
fn poisoned(base_offset: u8, (_, at, bytes): (&str, usize, &[u8])) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.append(1000, &RecordFields { value: Some(&[9; 300]), ..Default::default() });
    let mut batch = builder.build().expect("packs");
    batch[7] = base_offset;
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// P08: no batch keeps a node from starting. Its partition alone is offline, with file and place in
/// the log, or serves what was stored before it.
#[test]
fn p08_a_poisoned_batch_fails_its_own_partition_only() {
    let mut node = Node::start(&[]);
    let mut client = node.client();
    client.create_topic("t", POISONS.len() as i32 + 1, &[]);
    let all = POISONS.len() as i32;
    for partition in 0..=all {
        for value in [b"first", b"secnd", b"third"] {
            let produced = client.produce("t", partition, -1, batch(&[value], None));
            assert_eq!(produced.error, NONE);
        }
    }
    assert_eq!(node.stop(), 0);
    let data = node.data();
    let segment = |partition: i32| data.join(format!("t-{partition}/00000000000000000000.log"));
    // The second of three, all of them below the recovery point.
    for (partition, poison) in (0..).zip(POISONS) {
        let bytes = std::fs::read(segment(partition)).expect("there");
        let (first, _) = BatchHeader::parse_whole(&bytes).expect("a batch");
        let rest = &bytes[first.size..];
        let (second, _) = BatchHeader::parse_whole(rest).expect("a batch");
        let bad = poisoned(1, poison);
        let parts = [&bytes[..first.size], &bad, &rest[second.size..]];
        std::fs::write(segment(partition), parts.concat()).expect("writable");
    }
    // A clean start trusts the files; the one after a kill reads them all.
    for _ in 0..2 {
        let log_before = node.log().len();
        node.restart();
        let log = node.log()[log_before..].to_owned();
        let mut client = node.client();
        assert_eq!(read_values(&mut client, "t", all).0.len(), 3);
        for (partition, (what, ..)) in (0..).zip(POISONS) {
            let (error, bytes) = client.fetch("t", partition, 0);
            assert!([NONE, CORRUPT_MESSAGE, STORAGE_ERROR].contains(&error), "{what}: {error}");
            if error == NONE {
                let (first, first_bytes) = BatchHeader::parse_whole(&bytes).expect("a batch");
                assert!(first.base_offset.0 == 0 && first.crc_is_valid(first_bytes), "{what}");
                continue;
            }
            let path = segment(partition).display().to_string();
            let says = |line: &&str| {
                line.contains(&path) && (line.contains("offset") || line.contains("byte"))
            };
            assert!(log.lines().any(|line| says(&line)), "{what}: {log}");
        }
        assert!(node.is_alive(), "{}", node.log());
        node.kill();
    }
}

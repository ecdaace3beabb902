//! Compaction by a node, and by Apache Kafka on a copy of the same data: what is left is the same,
//! batch by batch.

#![allow(clippy::disallowed_methods, reason = "tests read files and look at the clock")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use ringlog_engine::batch::{
    BATCH_HEADER_BYTES, BatchHeader, Codec, decompress, records, validate_stored,
};
use ringlog_engine::stdx::prng::Prng;
use ringlog_wire::messages::MetadataRequest;
use support::stock::Stock;
use support::txn::{batch_of, end_txn, produce_in_txn};
use support::{Client, Node, PATIENCE, have_kafka, kafka, text};

const OFF: &str = "log.cleaner.enable=false";
const ON: &str = "log.cleaner.enable=true";
const SETTINGS: [&str; 3] =
    [OFF, "log.cleaner.backoff.ms=10", "transaction.partition.verification.enable=false"];
const CONFIGS: [(&str, &str); 5] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "4000"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "1"),
    ("file.delete.delay.ms", "0"),
];
const KEYS: u64 = 25;

/// Random records with few keys: tombstones, transactions of either end, one that stays open.
fn write(client: &mut Client, seed: u64, sequences: &mut BTreeMap<i64, i32>) {
    let mut prng = Prng::new(seed);
    let mut open = BTreeMap::new();
    for _ in 0..300 {
        let producer = prng.below(4) as i64;
        if open.contains_key(&producer) && prng.chance(1, 2) {
            open.remove(&producer);
            end_txn(client, "c", producer, prng.chance(1, 2));
            continue;
        }
        let transactional = open.contains_key(&producer) || prng.chance(1, 2);
        let pairs: Vec<(Vec<u8>, Option<Vec<u8>>)> = (0..prng.between(1, 4))
            .map(|_| {
                let value = vec![prng.below(256) as u8; prng.index(120)];
                let key = prng.below(KEYS).to_string().into_bytes();
                (key, (!prng.chance(1, 5)).then_some(value))
            })
            .collect();
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| (&k[..], v.as_deref())).collect();
        let sequence = sequences.entry(producer).or_default();
        let batch = batch_of(producer, *sequence, transactional, &pairs);
        *sequence += pairs.len() as i32;
        if transactional {
            open.insert(producer, ());
            produce_in_txn(client, "c", batch);
        } else {
            assert_eq!(client.produce("c", 0, -1, batch).error, 0);
        }
    }
    for producer in open.into_keys() {
        end_txn(client, "c", producer, false);
    }
}

fn switch(node: &Node, from: &str, to: &str) {
    let text = std::fs::read_to_string(&node.properties).expect("readable");
    std::fs::write(&node.properties, text.replace(from, to)).expect("writable");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).expect("copied")),
        }
    }
}

fn bases(dir: &Path) -> Vec<i64> {
    let names = std::fs::read_dir(dir).expect("readable");
    let names = names.map(|entry| entry.expect("readable").file_name().into_string());
    let mut bases: Vec<i64> =
        names.filter_map(|name| name.expect("text").strip_suffix(".log")?.parse().ok()).collect();
    bases.sort_unstable();
    bases
}

fn until_clean(node: &Node, end: i64) {
    let file = node.data().join("cleaner-offset-checkpoint");
    let line = format!("c 0 {end}");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if text.lines().any(|l| l == line) {
            return;
        }
        assert!(Instant::now() < deadline, "not {line:?}: {text:?} {}", node.log());
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A batch as it matters: what its header says, but for times that are the cleaner's, and its
/// records.
type Left = (i64, i64, u16, (i64, i16, i32), Vec<(i64, i64, Option<Vec<u8>>, Option<Vec<u8>>)>);

fn left_in(dir: &Path) -> Vec<Left> {
    let mut left = Vec::new();
    for base in bases(dir) {
        let bytes = std::fs::read(dir.join(format!("{base:020}.log"))).expect("readable");
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = validate_stored(rest).expect("sound");
            left.push(batch_left(&header, &rest[..header.size]));
            rest = &rest[header.size..];
        }
    }
    left
}

fn batch_left(header: &BatchHeader, batch: &[u8]) -> Left {
    let codec = if header.records_count == 0 { Codec::None } else { header.codec().expect("one") };
    let unpacked = decompress(codec, &batch[BATCH_HEADER_BYTES..], 1 << 20).expect("unpacks");
    let records = records(header, &unpacked).map(|record| {
        let r = record.expect("whole");
        (r.offset.0, r.timestamp, r.key.map(<[u8]>::to_vec), r.value.map(<[u8]>::to_vec))
    });
    let producer = (header.producer_id.0, header.producer_epoch.0, header.base_sequence);
    let bounds = (header.base_offset.0, header.last_offset().0);
    (bounds.0, bounds.1, header.attributes, producer, records.collect())
}

fn txn_indexes(dir: &Path) -> Vec<(i64, Vec<u8>)> {
    let read = |base: i64| std::fs::read(dir.join(format!("{base:020}.txnindex"))).ok();
    let found = bases(dir).into_iter().filter_map(|base| Some((base, read(base)?)));
    found.filter(|(_, bytes)| !bytes.is_empty()).collect()
}

fn serves(client: &mut Client) -> bool {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let response = client.try_request(&request, 12);
    response.is_some_and(|r| r.topics.iter().any(|t| t.partitions.iter().all(|p| p.leader_id == 1)))
}

#[test]
fn what_is_left_is_what_kafka_leaves() {
    if !have_kafka() {
        return;
    }
    let mut ours = Node::start(&SETTINGS);
    let mut theirs = Node::prepare(&SETTINGS);
    ours.client().create_topic("c", 1, &CONFIGS);
    let mut sequences = BTreeMap::new();
    write(&mut ours.client(), 1, &mut sequences);
    assert_eq!(ours.stop(), 0);
    copy(&ours.data(), &theirs.data());
    let dirs = [ours.data().join("c-0"), theirs.data().join("c-0")];
    let mut before = left_in(&dirs[0]);
    let shared_end = before.last().expect("batches").1 + 1;
    for pass in 0..2 {
        let active = *bases(&dirs[0]).last().expect("a segment");
        switch(&ours, OFF, ON);
        switch(&theirs, OFF, ON);
        let stock = Stock::start(&theirs, serves);
        ours.restart();
        until_clean(&ours, active);
        until_clean(&theirs, active);
        assert_eq!(ours.stop(), 0);
        stock.stop();
        let (left, expected) = (left_in(&dirs[0]), left_in(&dirs[1]));
        assert!(left.len() < before.len(), "nothing was compacted");
        for (mut ours, mut theirs) in left.iter().cloned().zip(expected.iter().cloned()) {
            // What was written to each of them apart has times of its own.
            let written_apart = |batch: &Left| batch.0 >= shared_end;
            for batch in [&mut ours, &mut theirs].into_iter().filter(|b| written_apart(b)) {
                batch.4.iter_mut().for_each(|record| record.1 = 0);
            }
            assert_eq!(ours, theirs, "pass {pass}");
        }
        assert_eq!(left.len(), expected.len(), "pass {pass}");
        assert_eq!(bases(&dirs[0]), bases(&dirs[1]), "pass {pass}");
        assert_eq!(txn_indexes(&dirs[0]), txn_indexes(&dirs[1]), "pass {pass}");
        if pass == 1 {
            break;
        }
        // The same again on top, written by us on what Kafka has left, too.
        for node in [&mut ours, &mut theirs] {
            switch(node, ON, OFF);
            let mut sequences = sequences.clone();
            node.restart();
            write(&mut node.client(), 2 + pass, &mut sequences);
            assert_eq!(node.stop(), 0);
        }
        before = left_in(&dirs[0]);
    }
    let suffixes = ["log", "index", "timeindex", "txnindex"];
    let of_segment = |base: i64| suffixes.map(|s| dirs[0].join(format!("{base:020}.{s}")));
    let files = bases(&dirs[0]).into_iter().flat_map(of_segment).filter(|file| file.exists());
    let files: Vec<String> = files.map(|file| file.display().to_string()).collect();
    let output = kafka("kafka-dump-log")
        .args(["--print-data-log", "--files", &files.join(",")])
        .output()
        .expect("it runs");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    // Gaps are what compaction leaves.
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        assert!(line.contains("Non-consecutive") || line.contains("is followed by"), "{line}");
    }
    assert!(!said.contains("Mismatches") && !said.contains("isvalid: false"), "{said}");
}

#[test]
fn a_node_compacts_while_it_serves() {
    let mut settings = SETTINGS.to_vec();
    settings[0] = ON;
    settings.push("log.cleaner.io.max.bytes.per.second=3000000");
    let mut node = Node::start(&settings);
    let mut client = node.client();
    client.create_topic("c", 1, &CONFIGS);
    let mut last = BTreeMap::new();
    for i in 0..2000i64 {
        let (key, value) = ((i % 7).to_string().into_bytes(), vec![i as u8; 60]);
        let batch = batch_of(1, i as i32, false, &[(&key, Some(&value))]);
        assert_eq!(client.produce("c", 0, -1, batch).offset, i);
        last.insert(key, i);
    }
    let dir = node.data().join("c-0");
    let deadline = Instant::now() + PATIENCE;
    // Of 67; the last few may wait for company.
    while bases(&dir).len() > 6 {
        assert!(Instant::now() < deadline, "{:?} {}", bases(&dir), node.log());
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let mut seen = BTreeMap::new();
    let mut at = 0;
    while at < 2000 {
        let (error, bytes) = client.fetch("c", 0, at);
        assert_eq!(error, 0);
        let mut rest = &bytes[..];
        while let Ok((header, batch)) = BatchHeader::parse_whole(rest) {
            for (offset, _, key, _) in batch_left(&header, batch).4 {
                seen.insert(key.expect("a key"), offset);
            }
            at = header.next_offset().0;
            rest = &rest[header.size..];
        }
    }
    assert_eq!(seen, last);
    assert_eq!(node.stop(), 0);
}

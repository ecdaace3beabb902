//! W07: a node on a data directory of which one file was changed at random while it was stopped.
//!
//! It either ends with a message that names what is wrong, and leaves every segment as it is; or it
//! serves, and then only what was stored. Seeds are printed; `NODE_DAMAGE_SEED=n` repeats one,
//! `NODE_DAMAGE_RUNS=n` sets how many are run.

#![allow(clippy::disallowed_methods, reason = "tests start processes and edit files")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ringlog_engine::stdx::prng::Prng;
use support::{Client, Node, batch, read_values};

const NONE: i16 = 0;
const CORRUPT_MESSAGE: i16 = 2;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const STORAGE_ERROR: i16 = 56;
const PARTITIONS: [(&str, i32); 3] = [("a", 0), ("a", 1), ("b", 0)];

type Values = BTreeMap<(String, i32), Vec<Vec<u8>>>;
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A directory with every kind of file, and what is in its partitions.
fn template(clean: bool) -> (Node, Values) {
    let checkpoints = "log.flush.offset.checkpoint.interval.ms=20";
    let often = "replica.high.watermark.checkpoint.interval.ms=10";
    let snapshots = "metadata.log.max.record.bytes.between.snapshots=100";
    let mut node = Node::start(&[checkpoints, often, snapshots]);
    let mut client = node.client();
    client.create_topic("gone", 1, &[]);
    client.create_topic("a", 2, &[("segment.bytes", "20000"), ("index.interval.bytes", "500")]);
    client.create_topic("b", 1, &[]);
    let mut values = Values::new();
    for (topic, partition) in PARTITIONS {
        let stored = values.entry((topic.to_owned(), partition)).or_default();
        for i in 0..40i32 {
            let new: Vec<Vec<u8>> = (0..5)
                .map(|k| format!("{topic}-{partition}-{i}-{k}").repeat(20).into_bytes())
                .collect();
            let slices: Vec<&[u8]> = new.iter().map(Vec::as_slice).collect();
            let producer = Some((7000, 0, i * 5));
            let produced = client.produce(topic, partition, -1, batch(&slices, producer));
            assert_eq!(produced.error, NONE);
            stored.extend(new);
        }
    }
    let data = node.data();
    let there = |name: &str| data.join(name).exists();
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while !there("recovery-point-offset-checkpoint")
        || !there("replication-offset-checkpoint")
        || !has_snapshot(&data)
    {
        assert!(std::time::Instant::now() < deadline, "no checkpoint, no snapshot");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    match clean {
        true => assert_eq!(node.stop(), 0),
        false => node.kill(),
    }
    (node, values)
}

fn has_snapshot(data: &Path) -> bool {
    let names = std::fs::read_dir(data.join("__cluster_metadata-0")).expect("a directory");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    names.map(name).any(|name| name.to_string_lossy().ends_with(".checkpoint"))
}

/// Every file below `dir`, by its path there.
fn files_of(dir: &Path) -> Files {
    let mut found = Files::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = PathBuf::from(path.file_name().expect("a name"));
        if path.is_dir() {
            let below = files_of(&path);
            found.extend(below.into_iter().map(|(rest, bytes)| (name.join(rest), bytes)));
        } else {
            found.insert(name, std::fs::read(&path).expect("readable"));
        }
    }
    found
}

fn write_files(dir: &Path, files: &Files) {
    for (name, bytes) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
}

/// Damages one file; which, and how.
fn damage(files: &mut Files, prng: &mut Prng) -> (PathBuf, String) {
    // Each kind of file as often as the others, however many there are of it.
    let kind = |path: &Path| match path.extension() {
        Some(suffix) if path.components().count() > 1 => suffix.to_string_lossy().into_owned(),
        _ => path.to_string_lossy().into_owned(),
    };
    let mut kinds: Vec<String> = files.keys().map(|path| kind(path)).collect();
    kinds.sort();
    kinds.dedup();
    kinds.retain(|name| name != ".lock");
    let wanted = kinds[prng.index(kinds.len())].clone();
    let of_kind: Vec<PathBuf> = files.keys().filter(|path| kind(path) == wanted).cloned().collect();
    let path = of_kind[prng.index(of_kind.len())].clone();
    let mut other = of_kind[prng.index(of_kind.len())].clone();
    if wanted == "log" && other.parent() != path.parent() {
        // Nothing in Kafka's format says which partition a batch belongs to.
        other.clone_from(&path);
    }
    let mut bytes = files[&path].clone();
    let len = bytes.len();
    let what = match prng.below(if len == 0 { 2 } else { 7 }) {
        0 => {
            files.remove(&path);
            return (path, "removed".to_owned());
        }
        1 => {
            let mut tail = vec![0; 1 + prng.index(300)];
            prng.fill(&mut tail);
            bytes.extend_from_slice(&tail);
            format!("extended by {}", tail.len())
        }
        2 => {
            bytes.truncate(prng.index(len));
            format!("cut to {}", bytes.len())
        }
        3 => {
            let at = prng.index(len);
            bytes[at] ^= 1 << prng.below(8);
            format!("a bit flipped at {at}")
        }
        4 => {
            let at = prng.index(len);
            let end = (at + 1 + prng.index(40)).min(len);
            bytes[at..end].fill(0);
            format!("zeros at {at}..{end}")
        }
        5 => {
            let at = prng.index(len);
            bytes[at] = b"0123456789-:= \n"[prng.index(15)];
            format!("another character at {at}")
        }
        _ => {
            bytes = files[&other].clone();
            format!("replaced by {}", other.display())
        }
    };
    files.insert(path.clone(), bytes);
    (path, what)
}

/// Whether what is wrong with `path` may be seen at this partition.
fn concerns(path: &Path, topic: &str, partition: i32) -> bool {
    let first = path.components().next().expect("not empty");
    let dir = first.as_os_str().to_string_lossy().into_owned();
    let of_all = path.components().count() == 1 || dir == "__cluster_metadata-0";
    of_all || dir == format!("{topic}-{partition}")
}

fn check_served(node: &mut Node, values: &Values, path: &Path, what: &str) {
    let mut client: Client = node.client();
    for ((topic, partition), stored) in values {
        let (read, error) = read_values(&mut client, topic, *partition);
        assert!(read.len() <= stored.len(), "records out of nowhere in {topic}-{partition}");
        assert!(read == stored[..read.len()], "other records in {topic}-{partition}");
        if concerns(path, topic, *partition) {
            let known = [NONE, 1, CORRUPT_MESSAGE, UNKNOWN_TOPIC_OR_PARTITION, STORAGE_ERROR];
            assert!(known.contains(&error), "{topic}-{partition}: error {error}");
        } else {
            assert_eq!((read.len(), error), (stored.len(), NONE), "{topic}-{partition} {what}");
        }
    }
    // A new topic is served whatever became of the old ones.
    client.create_topic("new", 1, &[]);
    assert_eq!(client.produce("new", 0, -1, batch(&[b"decent"], None)).error, NONE);
    assert!(node.is_alive(), "{}", node.log());
}

fn one_run(template: &(Node, Values), seed: u64) {
    let mut prng = Prng::new(seed);
    let mut node = Node::prepare(&[]);
    let mut files = files_of(&template.0.data());
    let before = files.clone();
    let (path, what) = damage(&mut files, &mut prng);
    eprintln!("NODE_DAMAGE_SEED={seed}: {} {what}", path.display());
    write_files(&node.data(), &files);
    let ended = node.try_restart();
    let log = node.log();
    assert!(!log.contains("panicked"), "{log}");
    match ended {
        Some(status) => {
            assert_eq!(status.code(), Some(1), "{log}");
            let last = log.lines().last().unwrap_or_default();
            assert!(last.starts_with("ringlog: ") && last.len() > 30, "no clear message: {log}");
        }
        None => {
            check_served(&mut node, &template.1, &path, &what);
            node.kill();
        }
    }
    // Whatever happened, segments that were not damaged are there, if only under another name.
    let after = files_of(&node.data());
    for (name, bytes) in before.iter().filter(|(name, _)| **name != path) {
        let partition = !name.starts_with("__cluster_metadata-0");
        if !partition || name.extension().is_none_or(|suffix| suffix != "log") || bytes.is_empty() {
            continue;
        }
        let kept = after.iter().any(|(_, now)| now.starts_with(bytes));
        assert!(kept, "{} is gone", name.display());
    }
}

#[test]
fn w07_a_node_with_a_damaged_file_says_so_or_serves_what_was_stored() {
    let env = |name: &str| -> Option<u64> { std::env::var(name).ok()?.parse().ok() };
    let templates = [template(true), template(false)];
    if let Some(seed) = env("NODE_DAMAGE_SEED") {
        return one_run(&templates[seed as usize % 2], seed);
    }
    for seed in 0..env("NODE_DAMAGE_RUNS").unwrap_or(60) {
        let run = || one_run(&templates[seed as usize % 2], seed);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        assert!(result.is_ok(), "failed: NODE_DAMAGE_SEED={seed}");
    }
}

#[test]
fn d14_a_partition_that_does_not_say_whose_it_is_stays_and_is_reported() {
    let (mut node, values) = template(false);
    let file = node.data().join("a-0/partition.metadata");
    let good = std::fs::read(&file).expect("there");
    std::fs::write(&file, "version: 0\ntopic_id: garbage").expect("written");
    for _ in 0..2 {
        node.restart();
        let mut client = node.client();
        assert_eq!(client.produce("a", 0, -1, batch(&[b"v"], None)).error, STORAGE_ERROR);
        assert_eq!(read_values(&mut client, "a", 1).0, values[&("a".to_owned(), 1)]);
        assert!(node.log().contains("partition.metadata is missing or damaged"), "{}", node.log());
        // Neither after a crash nor after a stop is it forgotten.
        node.stop();
    }
    std::fs::write(&file, good).expect("written");
    node.restart();
    assert_eq!(read_values(&mut node.client(), "a", 0).0, values[&("a".to_owned(), 0)]);
}

#[test]
fn d12_a_partition_that_is_offline_stays_so_until_someone_decides() {
    let (mut node, values) = template(false);
    let segment = node.data().join("b-0/00000000000000000000.log");
    let good = std::fs::read(&segment).expect("there");
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(&segment, &bad).expect("written");
    for round in 0..3 {
        node.restart();
        let mut client = node.client();
        assert_eq!(client.produce("b", 0, -1, batch(&[b"v"], None)).error, STORAGE_ERROR);
        assert_eq!(read_values(&mut client, "a", 1).0, values[&("a".to_owned(), 1)]);
        assert!(node.log().contains("below the recovery point 200"), "{}", node.log());
        match round {
            0 => node.kill(),
            _ => assert_eq!(node.stop(), 0),
        }
        assert_eq!(std::fs::read(&segment).expect("there"), bad, "nothing was cut off");
    }
    std::fs::write(&segment, good).expect("written");
    node.restart();
    assert_eq!(read_values(&mut node.client(), "b", 0).0, values[&("b".to_owned(), 0)]);
}

#[test]
fn d12_a_segment_that_was_cut_at_a_batch_is_missed() {
    let (mut node, _) = template(true);
    let segment = node.data().join("b-0/00000000000000000000.log");
    let bytes = std::fs::read(&segment).expect("there");
    let (first, _) = ringlog_engine::batch::BatchHeader::parse_whole(&bytes).expect("a batch");
    std::fs::write(&segment, &bytes[..first.size]).expect("written");
    node.restart();
    assert_eq!(node.client().produce("b", 0, -1, batch(&[b"v"], None)).error, STORAGE_ERROR);
    assert!(
        node.log().contains("the log ends at 5, below the recovery point 200"),
        "{}",
        node.log()
    );
    node.kill();
    // The operator's decision.
    let checkpoint = node.data().join("recovery-point-offset-checkpoint");
    let text = std::fs::read_to_string(&checkpoint).expect("there");
    let lines: Vec<&str> = text.lines().skip(2).filter(|line| !line.starts_with("b ")).collect();
    let text = format!("0\n{}\n{}\n", lines.len(), lines.join("\n"));
    std::fs::write(&checkpoint, text).expect("written");
    node.restart();
    assert_eq!(node.client().produce("b", 0, -1, batch(&[b"v"], None)).offset, 5);
}

#[test]
fn a_topic_made_again_is_not_held_to_the_recovery_point_of_its_namesake() {
    let fast = "log.flush.offset.checkpoint.interval.ms=20";
    let often = "replica.high.watermark.checkpoint.interval.ms=10";
    let mut node = Node::start(&[fast, often]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    for _ in 0..50 {
        assert_eq!(client.produce("t", 0, -1, batch(&[b"old"], None)).error, NONE);
    }
    let checkpoint = node.data().join("recovery-point-offset-checkpoint");
    let said = || std::fs::read_to_string(&checkpoint).unwrap_or_default();
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while !said().contains("t 0 50") {
        assert!(std::time::Instant::now() < deadline, "{}", said());
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    let slow = std::fs::read_to_string(&node.properties).expect("there").replace("=20", "=60000");
    std::fs::write(&node.properties, slow).expect("written");
    node.kill();
    node.restart();
    let mut client = node.client();
    client.delete_topic("t");
    client.create_topic("t", 1, &[]);
    assert_eq!(client.produce("t", 0, -1, batch(&[b"new"], None)).error, NONE);
    node.kill();
    node.restart();
    assert_eq!(read_values(&mut node.client(), "t", 0), (vec![b"new".to_vec()], NONE));
}

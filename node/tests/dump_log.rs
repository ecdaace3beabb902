//! `ringlog dump-log` and kafka-dump-log on the same files: the same words.

#![allow(clippy::disallowed_methods, reason = "tests read files and start processes")]

#[path = "support/internal.rs"]
mod internal;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use internal::{
    group_records, keyless_record, metadata_records, remote_records, share_records,
    transaction_records,
};
use ringlog_engine::batch::{BatchBuilder, Codec, RecordFields};
use support::txn::{batch_of, end_txn, produce_in_txn};
use support::{Node, have_kafka, kafka, ringlog, run, text, unix_ms};

fn ours(args: &[&str], files: &str) -> Output {
    ringlog().arg("dump-log").args(args).args(["--files", files]).output().expect("it runs")
}

fn files(dir: &Path, suffixes: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("readable");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    let wanted = |path: &PathBuf| {
        let suffix = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        suffixes.contains(&suffix)
    };
    files.retain(wanted);
    files.sort();
    files
}

fn joined(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(",")
}

/// Lines in an order of their own: standard error comes out of a hash map in Kafka.
fn sorted(bytes: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> =
        String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn filled() -> (Node, PathBuf) {
    let mut node = Node::start(&["transaction.partition.verification.enable=false"]);
    let mut client = node.client();
    let configs = [("segment.bytes", "4000"), ("index.interval.bytes", "300")];
    client.create_topic("t", 1, &configs);
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::default();
        builder.codec = codec;
        for i in 0..7u8 {
            let value = [b'a' + i; 90];
            let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h1", Some(b"x")), (b"h2", None)];
            let key = (i % 2 == 0).then_some(&b"key"[..]);
            let value = (i != 3).then_some(&value[..]);
            builder.append(unix_ms() + i64::from(i), &RecordFields { key, value, headers });
        }
        let batch = builder.build().expect("packs");
        assert_eq!(client.produce("t", 0, -1, batch).error, 0);
    }
    for i in 0..12 {
        let value = [b'v'; 150];
        produce_in_txn(&mut client, "t", batch_of(7, i, true, &[(b"k", Some(&value))]));
        end_txn(&mut client, "t", 7, i % 3 == 0);
    }
    produce_in_txn(&mut client, "t", batch_of(7, 12, true, &[(b"k", None)]));
    assert_eq!(node.stop(), 0);
    let dir = node.data().join("t-0");
    (node, dir)
}

/// A case: options, and files separated by commas.
type Case = (&'static [&'static str], String);

/// Runs both tools on each case, Kafka's in one JVM, and holds ours to what that says.
fn compare(scratch: &Path, cases: &[Case]) {
    let results = scratch.join("dumps");
    std::fs::create_dir_all(&results).expect("made");
    let words = |(args, files): &Case| [*args, &["--files", files]].concat().join("\t");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java/DumpLogs.java");
    run(kafka("class").arg(source).arg(&results).args(cases.iter().map(words)));
    let theirs = |i: usize, suffix: &str| std::fs::read(results.join(format!("{i}.{suffix}")));
    for (i, (args, files)) in cases.iter().enumerate() {
        let ours = ours(args, files);
        let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mine = lines(&ours.stdout);
        let expected = lines(&theirs(i, "out").expect("written"));
        for (mine, expected) in mine.lines().zip(expected.lines()) {
            assert_eq!(mine, expected, "{args:?}");
        }
        assert_eq!(mine.lines().count(), expected.lines().count(), "{args:?} {}", text(&ours));
        assert!(mine.lines().count() > 2, "{args:?}: nothing to compare");
        assert_eq!(sorted(&ours.stderr), sorted(&theirs(i, "err").expect("written")), "{args:?}");
        assert_eq!(ours.status.success(), theirs(i, "failed").is_err(), "{args:?}");
    }
}

#[test]
fn dump_log_says_what_kafkas_says() {
    if !have_kafka() {
        return;
    }
    let (node, dir) = filled();
    let all = files(&dir, &["log", "index", "timeindex", "snapshot", "txnindex"]);
    // An index whose entries are another's.
    let indexes = files(&dir, &["index"]);
    let wrong = indexes.iter().find(|f| f.metadata().is_ok_and(|m| m.len() > 16)).expect("one");
    let mut bytes = std::fs::read(wrong).expect("readable");
    bytes[3] ^= 1;
    std::fs::write(wrong, bytes).expect("writable");
    let logs = joined(&files(&dir, &["log"]));
    let indexes = joined(&files(&dir, &["index", "timeindex"]));
    let metadata_dir = node.data().join("__cluster_metadata-0");
    let metadata = joined(&files(&metadata_dir, &["log", "checkpoint"]));
    let scratch = node.dir.path();
    let made = |make: fn(&Path) -> PathBuf| make(scratch).display().to_string();
    let cases: [Case; 17] = [
        (&[], joined(&all)),
        (&["--print-data-log"], joined(&all)),
        (&["--print-data-log", "--skip-record-metadata"], logs.clone()),
        (&["--deep-iteration", "--skip-record-metadata"], logs.clone()),
        (&["--deep-iteration", "--max-bytes", "500"], logs.clone()),
        (&["--verify-index-only"], indexes.clone()),
        (&["--index-sanity-check"], indexes),
        (&["--value-decoder-class", "org.apache.kafka.tools.api.StringDecoder"], logs),
        (&[], metadata.clone()),
        (&["--deep-iteration"], metadata.clone()),
        (&["--cluster-metadata-decoder"], metadata.clone()),
        (&["--cluster-metadata-decoder", "--skip-record-metadata"], metadata),
        (&["--cluster-metadata-decoder"], made(metadata_records)),
        (&["--offsets-decoder"], made(group_records)),
        (&["--transaction-log-decoder"], made(transaction_records)),
        (&["--share-group-state-decoder"], made(share_records)),
        (&["--remote-log-metadata-decoder"], made(remote_records)),
    ];
    compare(scratch, &cases);
    let keyless = made(keyless_record);
    let refused = ours(&["--offsets-decoder"], &keyless);
    assert!(!refused.status.success() && text(&refused).contains("had a missing key"));
    let refused = ours(&["--value-decoder-class", "com.example.Own"], &keyless);
    assert!(!refused.status.success());
    assert!(text(&refused).contains("com.example.Own is a Java class"), "{}", text(&refused));
}

#[test]
fn dump_log_names_the_end_of_a_preallocated_segment() {
    let (_node, dir) = filled();
    let log = files(&dir, &["log"]).pop().expect("one");
    let len = std::fs::metadata(&log).expect("there").len();
    let grown = std::fs::OpenOptions::new().write(true).open(&log).expect("writable");
    grown.set_len(len + 5000).expect("grown");
    let output = ours(&[], &log.display().to_string());
    assert!(output.status.success(), "{}", text(&output));
    let said = format!("Data ends at position {len}, 5000 zeros follow");
    assert!(text(&output).contains(&said), "{}", text(&output));
    // Anything else there is damage.
    run_dd(&log, len);
    assert!(!ours(&[], &log.display().to_string()).status.success());
    assert!(!ours(&[], "nowhere/00000000000000000000.log").status.success());
}

fn run_dd(log: &Path, at: u64) {
    let command =
        format!("printf 'xxxx' | dd of={} bs=1 seek={} conv=notrunc", log.display(), at + 8);
    assert!(Command::new("sh").args(["-c", &command]).output().expect("runs").status.success());
}

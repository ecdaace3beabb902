//! Transactions in the files: open and aborted ones, read by Apache Kafka and the other way round.

#![allow(clippy::disallowed_methods, reason = "tests read files and look at the clock")]

mod support;

use std::path::Path;

use ringlog_wire::messages::{
    FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
    list_offsets_request,
};
use support::stock::Stock;
use support::txn::{batch_of, end_txn, produce_in_txn};
use support::{Client, Node, fetch_request_of, have_kafka, kafka, text};

const UNVERIFIED: &str = "transaction.partition.verification.enable=false";

/// The bytes of a fetch, and the transactions to be skipped.
type ReadAt = (Vec<u8>, Vec<(i64, i64)>);

/// What readers of committed records are told.
#[derive(Debug)]
struct View {
    end: i64,
    stable: i64,
    /// From each offset on.
    reads: Vec<ReadAt>,
}

impl View {
    /// Panics at the first thing that differs.
    fn must_be(&self, other: &View) {
        assert_eq!((self.stable, self.end), (other.stable, other.end));
        for (offset, (mine, theirs)) in self.reads.iter().zip(&other.reads).enumerate() {
            assert_eq!(mine.1, theirs.1, "aborted transactions from {offset} on");
            assert!(mine.0 == theirs.0, "other bytes from {offset} on");
        }
    }
}

fn view(client: &mut Client) -> View {
    let partition =
        list_offsets_request::ListOffsetsPartition { timestamp: -1, ..Default::default() };
    let topics = vec![list_offsets_request::ListOffsetsTopic {
        name: "t".to_owned(),
        partitions: vec![partition],
    }];
    let request =
        ListOffsetsRequest { replica_id: -1, isolation_level: 1, topics, ..Default::default() };
    let response: ListOffsetsResponse = client.request(&request, 2);
    let stable = response.topics[0].partitions[0].offset;
    let end = client.latest_offset("t", 0);
    let mut reads = Vec::new();
    for offset in 0..=stable {
        let request =
            FetchRequest { isolation_level: 1, max_wait_ms: 0, ..fetch_request_of("t", 0, offset) };
        let response: FetchResponse = client.request(&request, 11);
        let partition = &response.responses[0].partitions[0];
        assert_eq!((partition.error_code, partition.last_stable_offset), (0, stable));
        let aborted = partition.aborted_transactions.iter().flatten();
        let mut aborted: Vec<_> = aborted.map(|t| (t.producer_id, t.first_offset)).collect();
        aborted.sort_unstable();
        reads.push((partition.records.clone().unwrap_or_default(), aborted));
    }
    View { end, stable, reads }
}

fn one(client: &mut Client, producer: i64, sequence: i32) -> i64 {
    let value = [b'v'; 200];
    let batch = batch_of(producer, sequence, true, &[(b"k", Some(&value)), (b"l", Some(b"w"))]);
    produce_in_txn(client, "t", batch)
}

fn dump(path: &Path) -> String {
    let output = kafka("kafka-dump-log").arg("--files").arg(path).output().expect("it runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output));
    text(&output)
}

fn files(dir: &Path, suffix: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).expect("readable");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|e| e == suffix)).collect();
    paths.sort();
    paths
}

#[test]
fn t10_aborted_and_open_transactions_survive_kills_and_the_loss_of_their_indexes() {
    let mut node = Node::start(&[UNVERIFIED]);
    let mut client = node.client();
    client.create_topic("t", 1, &[("segment.bytes", "1500")]);
    for i in 0..6 {
        one(&mut client, 1, i * 2);
        one(&mut client, 2, i * 2);
        end_txn(&mut client, "t", 1, false);
        end_txn(&mut client, "t", 2, i % 2 == 0);
    }
    let open_at = one(&mut client, 3, 0);
    one(&mut client, 1, 12);
    end_txn(&mut client, "t", 1, false);
    let before = view(&mut client);
    assert_eq!((before.stable, before.end), (open_at, open_at + 5));
    assert!(before.reads[0].1.len() > 1, "{before:?}");
    node.kill();
    node.restart();
    view(&mut node.client()).must_be(&before);
    // Everything that only the log itself can tell is gone.
    node.kill();
    let dir = node.data().join("t-0");
    for suffix in ["txnindex", "snapshot", "index"] {
        assert!(!files(&dir, suffix).is_empty(), "{suffix}");
        for path in files(&dir, suffix) {
            std::fs::remove_file(path).expect("removed");
        }
    }
    node.restart();
    view(&mut node.client()).must_be(&before);
    // What was open goes on, and ends.
    one(&mut node.client(), 3, 2);
    end_txn(&mut node.client(), "t", 3, true);
    let after = view(&mut node.client());
    assert_eq!(after.stable, after.end);
    assert_eq!(node.stop(), 0);
    node.restart();
    view(&mut node.client()).must_be(&after);
}

#[test]
fn kafka_serves_our_transactions_and_we_serve_its() {
    if !have_kafka() {
        return;
    }
    let mut node = Node::start(&[UNVERIFIED]);
    let mut client = node.client();
    client.create_topic("t", 1, &[("segment.bytes", "1500")]);
    for i in 0..6 {
        one(&mut client, 1, i * 2);
        one(&mut client, 2, i * 2);
        end_txn(&mut client, "t", 2, i % 2 == 0);
        end_txn(&mut client, "t", 1, false);
    }
    one(&mut client, 3, 0);
    one(&mut client, 1, 12);
    end_txn(&mut client, "t", 1, false);
    let ours = view(&mut client);
    assert_eq!(node.stop(), 0);
    let dir = node.data().join("t-0");
    let dumped: String = files(&dir, "txnindex").iter().map(|path| dump(path)).collect();
    assert!(dumped.matches("producerId: 1").count() == 7, "{dumped}");
    let snapshot = dump(files(&dir, "snapshot").last().expect("one"));
    let open = ours.stable.to_string();
    assert!(
        snapshot.contains(&format!("currentTxnFirstOffset: OptionalLong[{open}]")),
        "{snapshot}"
    );
    let stock = Stock::start(&node, |client| {
        let request = MetadataRequest { topics: None, ..Default::default() };
        let response = client.try_request(&request, 12);
        response.is_some_and(|r| r.topics.iter().any(|t| t.partitions[0].leader_id == 1))
    });
    let mut client = node.client();
    view(&mut client).must_be(&ours);
    // Kafka goes on where we stopped, and we where it does.
    end_txn(&mut client, "t", 3, false);
    one(&mut client, 2, 12);
    one(&mut client, 1, 14);
    end_txn(&mut client, "t", 1, false);
    let theirs = view(&mut client);
    assert!(theirs.stable > ours.stable && theirs.stable < theirs.end);
    stock.stop();
    node.restart();
    let mut client = node.client();
    view(&mut client).must_be(&theirs);
    end_txn(&mut client, "t", 2, true);
    let last = view(&mut client);
    assert_eq!(last.stable, last.end);
    assert_eq!(node.stop(), 0);
}

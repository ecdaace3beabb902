//! Metadata logs of clusters that a single node without an authorizer cannot serve, and records
//! that only other controllers write. Named by the ids of docs/TESTING.md.

#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use std::path::PathBuf;

use ringlog_engine::batch::{BatchBuilder, BatchHeader, RecordFields};
use ringlog_engine::types::LeaderEpoch;
use ringlog_wire::messages::{MetadataRequest, MetadataResponse};
use ringlog_wire::records::metadata::{
    AccessControlEntryRecord, ClearElrRecord, MetadataRecord, PartitionChangeRecord,
    RegisterBrokerRecord, RemoveAccessControlEntryRecord,
};
use ringlog_wire::{Message, Uuid};
use support::groups::until;
use support::stock::Stock;
use support::{Node, have_kafka, ringlog, run};

fn metadata_log(node: &Node) -> PathBuf {
    node.data().join("__cluster_metadata-0/00000000000000000000.log")
}

/// Writes records behind those of a stopped node's metadata log, as another controller would have.
fn append_metadata(node: &Node, records: &[MetadataRecord]) {
    let mut bytes = std::fs::read(metadata_log(node)).expect("readable");
    let (mut next, mut epoch, mut at) = (0, LeaderEpoch(0), 0);
    while at < bytes.len() {
        let header = BatchHeader::parse(&bytes[at..]).expect("a batch");
        next = header.base_offset.0 + i64::from(header.last_offset_delta) + 1;
        (epoch, at) = (header.leader_epoch, at + header.size);
    }
    let mut batch = BatchBuilder::default();
    (batch.base_offset.0, batch.leader_epoch) = (next, epoch);
    for record in records {
        let mut value = Vec::new();
        record.encode_frame(newest(record), &mut value).expect("encodes");
        let fields = RecordFields { value: Some(&value), ..RecordFields::default() };
        batch.append(support::unix_ms(), &fields);
    }
    bytes.extend(batch.build().expect("uncompressed"));
    std::fs::write(metadata_log(node), bytes).expect("writable");
}

fn newest(record: &MetadataRecord) -> i16 {
    match record {
        MetadataRecord::RegisterBroker(_) => RegisterBrokerRecord::MAX_VERSION,
        MetadataRecord::PartitionChange(_) => PartitionChangeRecord::MAX_VERSION,
        _ => 0,
    }
}

/// The node does not start, and says why.
fn assert_refused(node: &mut Node, sentences: &[&str]) {
    let status = node.try_restart().expect("it does not start");
    assert!(!status.success());
    let log = node.log();
    for sentence in sentences {
        assert!(log.contains(sentence), "{sentence}: {log}");
    }
}

#[test]
fn rn05_a_cluster_of_several_brokers_is_not_opened_by_one() {
    let mut node = Node::start(&[]);
    node.client().create_topic("t", 1, &[]);
    assert_eq!(node.stop(), 0);
    let other = RegisterBrokerRecord { broker_id: 2, broker_epoch: 5, ..Default::default() };
    append_metadata(&node, &[other.into()]);
    let before = std::fs::read(metadata_log(&node)).expect("readable");
    assert_refused(&mut node, &["names other brokers, [2]", "this version runs as a single node"]);
    assert!(std::fs::read(metadata_log(&node)).expect("readable") == before, "nothing is written");
}

#[test]
fn rn14_a_secured_directory_is_not_opened_without_an_authorizer() {
    let mut node = Node::start(&[]);
    assert_eq!(node.stop(), 0);
    let id = Uuid([7; 16]);
    let entry = AccessControlEntryRecord {
        id,
        resource_type: 2,
        resource_name: "t".to_owned(),
        pattern_type: 3,
        principal: "User:alice".to_owned(),
        host: "*".to_owned(),
        operation: 3,
        permission_type: 3,
    };
    append_metadata(&node, &[entry.into()]);
    assert_refused(&mut node, &["has 1 access control entries", "authorizer.class.name"]);
    append_metadata(&node, &[RemoveAccessControlEntryRecord { id }.into()]);
    node.restart();
    assert_eq!(node.stop(), 0);
    let class = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    let mut node = Node::prepare(&[&format!("authorizer.class.name={class}")]);
    node.format();
    assert_refused(&mut node, &["authorizer.class.name is org.apache.kafka", "has no authorizer"]);
}

/// The record is an order, not a state: in a snapshot it would come before the topic it names, and
/// Apache Kafka could not load it.
#[test]
fn rn06_eligible_leaders_are_cleared_and_the_order_is_in_no_snapshot() {
    let small = [
        "metadata.log.max.record.bytes.between.snapshots=1000",
        "metadata.max.idle.interval.ms=20",
    ];
    let mut node = Node::start(&small);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    let request = MetadataRequest { topics: None, ..Default::default() };
    let response: MetadataResponse = client.request(&request, 12);
    let topic_id = response.topics[0].topic_id;
    assert_eq!(node.stop(), 0);
    let elr = PartitionChangeRecord {
        partition_id: 0,
        topic_id,
        eligible_leader_replicas: Some(vec![1]),
        last_known_elr: Some(vec![1]),
        leader: -2,
        leader_recovery_state: -1,
        ..Default::default()
    };
    let clear = |name: &str| ClearElrRecord { topic_name: name.to_owned() }.into();
    append_metadata(&node, &[elr.into(), clear("t"), clear("")]);
    let before = snapshots(&node);
    node.restart();
    node.client().create_topic("u", 50, &[]);
    until("a snapshot", || (snapshots(&node) > before).then_some(()));
    assert_eq!(node.stop(), 0);
    let newest = snapshots(&node).pop().expect("a snapshot");
    let dump =
        run(ringlog().args(["dump-log", "--cluster-metadata-decoder", "--files"]).arg(newest));
    assert!(dump.contains("PARTITION_RECORD"), "{dump}");
    assert!(
        !dump.contains("CLEAR_ELR_RECORD") && !dump.contains("eligibleLeaderReplicas\":[1"),
        "{dump}"
    );
    if have_kafka() {
        let stock = Stock::start(&node, |client| {
            let response = client.try_request(&request, 12);
            response.is_some_and(|response: MetadataResponse| response.topics.len() == 2)
        });
        stock.stop();
    }
}

fn snapshots(node: &Node) -> Vec<PathBuf> {
    let dir = std::fs::read_dir(node.data().join("__cluster_metadata-0")).expect("readable");
    let mut paths: Vec<PathBuf> = dir.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|suffix| suffix == "checkpoint"));
    paths.sort();
    paths
}

//! Transactional records, their markers, and what readers of committed records are told.

use ringlog_engine::batch::{BatchBuilder, RecordFields};
use ringlog_engine::types::{ProducerEpoch, ProducerId};
use ringlog_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use ringlog_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ringlog_wire::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use ringlog_wire::messages::{FetchRequest, ListOffsetsRequest, WriteTxnMarkersRequest};

use crate::pair::Pair;
use crate::produce::TIMES;
use crate::support::produce_request;

/// A batch of four records of a producer.
fn batch(producer: i64, epoch: i16, sequence: i32, transactional: bool) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.producer = Some((ProducerId(producer), ProducerEpoch(epoch), sequence));
    builder.transactional = transactional;
    for time in TIMES {
        builder.append(time, &RecordFields { value: Some(b"v"), ..Default::default() });
    }
    builder.build().expect("uncompressed")
}

fn produce(pair: &mut Pair, what: &str, transactional_id: Option<&str>, batch: &[u8]) {
    pair.same(what, 9, |_| {
        let mut request = produce_request("decided", 0, -1, batch.to_vec());
        request.transactional_id = transactional_id.map(str::to_owned);
        request
    });
}

fn mark(pair: &mut Pair, what: &str, markers: &[WritableTxnMarker]) {
    let request = WriteTxnMarkersRequest { markers: markers.to_vec() };
    pair.same_but(
        what,
        1,
        |_| request.clone(),
        |response| {
            // Kafka's order is that of a hash map.
            response.markers.sort_by_key(|marker| marker.producer_id);
            for marker in &mut response.markers {
                marker.topics.sort_by(|a, b| a.name.cmp(&b.name));
                for topic in &mut marker.topics {
                    topic.partitions.sort_by_key(|partition| partition.partition_index);
                }
            }
        },
    );
}

fn marker(producer_id: i64, epoch: i16, coordinator_epoch: i32, commit: bool) -> WritableTxnMarker {
    WritableTxnMarker {
        producer_id,
        producer_epoch: epoch,
        transaction_result: commit,
        topics: vec![WritableTxnMarkerTopic {
            name: "decided".to_owned(),
            partition_indexes: vec![0],
        }],
        coordinator_epoch,
    }
}

/// What consumers are told now.
fn look(pair: &mut Pair, what: &str) {
    for isolation_level in [0, 1] {
        for offset in [0, 1, 4, 6, 10, 13] {
            for partition_max_bytes in [1 << 20, 200] {
                let what = format!("{what}: {offset} at {isolation_level}, {partition_max_bytes}");
                pair.same_but(
                    &what,
                    11,
                    |_| FetchRequest {
                        max_wait_ms: 0,
                        min_bytes: 0,
                        max_bytes: 50 << 20,
                        session_epoch: -1,
                        isolation_level,
                        topics: vec![FetchTopic {
                            topic: "decided".to_owned(),
                            partitions: vec![FetchPartition {
                                partition: 0,
                                fetch_offset: offset,
                                partition_max_bytes,
                                ..Default::default()
                            }],
                            ..Default::default()
                        }],
                        ..Default::default()
                    },
                    |response| {
                        for topic in &mut response.responses {
                            for partition in &mut topic.partitions {
                                // Markers are stamped by each side's own clock.
                                partition.records = partition
                                    .records
                                    .take()
                                    .map(|bytes| (bytes.len() as u32).to_be_bytes().to_vec());
                                if let Some(aborted) = &mut partition.aborted_transactions {
                                    aborted.sort_by_key(|txn| (txn.first_offset, txn.producer_id));
                                }
                            }
                        }
                    },
                );
            }
        }
        pair.same(&format!("{what}: end at {isolation_level}"), 7, |_| ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: vec![ListOffsetsTopic {
                name: "decided".to_owned(),
                partitions: vec![ListOffsetsPartition {
                    partition_index: 0,
                    timestamp: -1,
                    current_leader_epoch: -1,
                }],
            }],
            ..Default::default()
        });
    }
}

pub fn compare(pair: &mut Pair) {
    pair.create_topic("decided", 1, &[]);
    let id = Some("txn");
    produce(pair, "first of 1", id, &batch(1, 0, 0, true));
    produce(pair, "first of 2", id, &batch(2, 5, 0, true));
    produce(pair, "plain", None, &batch(3, 0, 0, false));
    look(pair, "two open");
    produce(pair, "not of the transaction", None, &batch(1, 0, 4, false));
    produce(pair, "transactional without an id", None, &batch(4, 0, 0, true));
    produce(pair, "not in order", id, &batch(1, 0, 9, true));
    mark(pair, "abort 2", &[marker(2, 5, 0, false)]);
    look(pair, "one open, one aborted");
    mark(pair, "commit 1", &[marker(1, 0, 0, true)]);
    look(pair, "both decided");
    produce(pair, "again 1", id, &batch(1, 0, 4, true));
    produce(pair, "again 2", id, &batch(2, 5, 4, true));
    mark(pair, "an older producer", &[marker(2, 4, 0, false)]);
    mark(pair, "a newer coordinator, a newer producer", &[marker(2, 6, 7, false)]);
    mark(pair, "an older coordinator", &[marker(2, 6, 6, false)]);
    mark(pair, "nothing open", &[marker(2, 6, 7, true)]);
    mark(pair, "nobody knows it", &[marker(77, 0, 0, true)]);
    produce(pair, "fenced", id, &batch(2, 5, 8, true));
    produce(pair, "newer", id, &batch(2, 6, 0, true));
    let elsewhere = |name: &str, partitions: &[i32]| WritableTxnMarkerTopic {
        name: name.to_owned(),
        partition_indexes: partitions.to_vec(),
    };
    let mut wide = marker(1, 0, 0, false);
    wide.topics = vec![elsewhere("decided", &[0, 9]), elsewhere("nope", &[0])];
    mark(pair, "where there is nothing", &[wide, marker(2, 6, 7, false)]);
    mark(pair, "no marker", &[]);
    look(pair, "all decided");
}

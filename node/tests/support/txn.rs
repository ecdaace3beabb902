//! Transactions written by hand: batches and markers, without a coordinator.

use ringlog_engine::batch::{BatchBuilder, RecordFields};
use ringlog_engine::types::{Offset, ProducerEpoch, ProducerId};
use ringlog_wire::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use ringlog_wire::messages::{ProduceResponse, WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use super::{Client, produce_request, unix_ms};

/// A record to be written: its key and its value.
pub type KeyValue<'a> = (&'a [u8], Option<&'a [u8]>);

/// A batch of a producer, epoch 0, of a transaction or not.
pub fn batch_of(
    producer: i64,
    sequence: i32,
    transactional: bool,
    records: &[KeyValue<'_>],
) -> Vec<u8> {
    batch_at(0, producer, sequence, transactional, records)
}

/// The same, with the offset that it has in a log.
pub fn batch_at(
    base_offset: i64,
    producer: i64,
    sequence: i32,
    transactional: bool,
    records: &[KeyValue<'_>],
) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.base_offset = Offset(base_offset);
    builder.producer = Some((ProducerId(producer), ProducerEpoch(0), sequence));
    builder.transactional = transactional;
    for (key, value) in records {
        builder.append(unix_ms(), &RecordFields { key: Some(key), value: *value, headers: &[] });
    }
    builder.build().expect("uncompressed")
}

/// Writes a batch of a transaction to partition 0; gives its offset.
pub fn produce_in_txn(client: &mut Client, topic: &str, batch: Vec<u8>) -> i64 {
    let mut request = produce_request(topic, 0, -1, batch);
    request.transactional_id = Some("by hand".to_owned());
    let response: ProduceResponse = client.request(&request, 9);
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, 0, "{response:?}");
    partition.base_offset
}

/// Ends a producer's transaction in partition 0.
pub fn end_txn(client: &mut Client, topic: &str, producer: i64, commit: bool) {
    end_txn_in(client, (topic, 0), producer, commit);
}

/// Ends a producer's transaction in a partition.
pub fn end_txn_in(client: &mut Client, partition: (&str, i32), producer: i64, commit: bool) {
    let topic = WritableTxnMarkerTopic {
        name: partition.0.to_owned(),
        partition_indexes: vec![partition.1],
    };
    let marker = WritableTxnMarker {
        producer_id: producer,
        producer_epoch: 0,
        transaction_result: commit,
        topics: vec![topic],
        coordinator_epoch: 0,
    };
    let request = WriteTxnMarkersRequest { markers: vec![marker] };
    let response: WriteTxnMarkersResponse = client.request(&request, 1);
    let error = response.markers[0].topics[0].partitions[0].error_code;
    assert_eq!(error, 0, "{response:?}");
}

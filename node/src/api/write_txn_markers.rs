//! WriteTxnMarkers: a transaction coordinator ends transactions in their partitions.

use std::collections::BTreeMap;
use std::rc::Rc;

use ringlog_engine::batch::{BatchBuilder, ControlType, EndTxnMarker, RecordFields};
use ringlog_engine::io::Buf;
use ringlog_engine::types::{ProducerEpoch, ProducerId, ShardId};
use ringlog_wire::Uuid;
use ringlog_wire::messages::write_txn_markers_request::WritableTxnMarker;
use ringlog_wire::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use ringlog_wire::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use super::{Incoming, Outcome};
use crate::broker::{
    Acks, AppendBatch, AppendOutcome, Broker, CALL_PARTITIONS_MAX, Call, Reply, TxnMarker,
};
use crate::error_code::ErrorCode;

/// A marker's partition by its topic's name, after its place in the request.
type Slot = (usize, String, i32);

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: WriteTxnMarkersRequest = incoming.decode()?;
    let image = broker.image();
    let mut errors: BTreeMap<Slot, ErrorCode> = BTreeMap::new();
    let mut by_shard: BTreeMap<ShardId, Vec<(Uuid, Slot)>> = BTreeMap::new();
    for (m, marker) in request.markers.iter().enumerate() {
        for topic in &marker.topics {
            let known = image.topic_by_name(&topic.name);
            for &partition in &topic.partition_indexes {
                let slot = (m, topic.name.clone(), partition);
                match known.filter(|topic| topic.partitions.contains_key(&partition)) {
                    Some(topic) => {
                        let shard = broker.owner_of(topic.id, partition);
                        by_shard.entry(shard).or_default().push((topic.id, slot));
                    }
                    None => {
                        errors.insert(slot, ErrorCode::UnknownTopicOrPartition);
                    }
                }
            }
        }
    }
    let timeout_ms = broker.config().current().int("request.timeout.ms").max(0) as u64;
    let deadline = broker.shard.now().plus_ms(timeout_ms);
    let calls = by_shard.values().map(|slots| slots.len().div_ceil(CALL_PARTITIONS_MAX)).max();
    // One call of each shard at a time: batches take far more memory than their request.
    for round in 0..calls.unwrap_or(0) {
        let mut waits = Vec::new();
        for (shard, slots) in &by_shard {
            let Some(slots) = slots.chunks(CALL_PARTITIONS_MAX).nth(round) else { continue };
            let batch = |(topic, (m, _, partition)): &(Uuid, Slot)| {
                let marker = &request.markers[*m];
                AppendBatch {
                    topic: *topic,
                    partition: *partition,
                    bytes: Buf::copy_of(&batch_of(marker, broker.shard.unix_ms())),
                    marker: Some(TxnMarker {
                        producer: marker.producer_id,
                        committed: marker.transaction_result,
                    }),
                }
            };
            let batches = slots.iter().map(batch).collect();
            let call = Call::Append { batches, acks: Acks::All, deadline };
            waits.push((slots, broker.call(*shard, call).await));
        }
        for (slots, answer) in waits {
            let Reply::Append(outcomes) = answer.await else {
                unreachable!("an append has an append's reply")
            };
            let outcomes = outcomes.into_iter().map(|outcome| match outcome {
                AppendOutcome::Done { .. } => ErrorCode::None,
                AppendOutcome::Refused { error, .. } => error,
            });
            errors.extend(slots.iter().map(|(_, slot)| slot.clone()).zip(outcomes));
        }
    }
    let markers = respond(&request, errors);
    Some(incoming.respond(&WriteTxnMarkersResponse { markers }))
}

fn batch_of(marker: &WritableTxnMarker, now_ms: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    let producer = (ProducerId(marker.producer_id), ProducerEpoch(marker.producer_epoch), -1);
    builder.producer = Some(producer);
    builder.transactional = true;
    builder.control = true;
    let control = match marker.transaction_result {
        true => ControlType::Commit,
        false => ControlType::Abort,
    };
    let key = control.key();
    let value = EndTxnMarker { coordinator_epoch: marker.coordinator_epoch }.value();
    let fields = RecordFields { key: Some(&key), value: Some(&value), headers: &[] };
    builder.append(now_ms, &fields);
    builder.build().expect("nothing to compress")
}

/// One result per producer, as Kafka has them.
fn respond(
    request: &WriteTxnMarkersRequest,
    errors: BTreeMap<Slot, ErrorCode>,
) -> Vec<WritableTxnMarkerResult> {
    let mut by_producer: BTreeMap<i64, BTreeMap<(String, i32), ErrorCode>> = BTreeMap::new();
    for marker in &request.markers {
        by_producer.entry(marker.producer_id).or_default();
    }
    for ((m, topic, partition), error) in errors {
        let producer = request.markers[m].producer_id;
        by_producer.entry(producer).or_default().insert((topic, partition), error);
    }
    let results = by_producer.into_iter().map(|(producer_id, partitions)| {
        let mut topics: Vec<WritableTxnMarkerTopicResult> = Vec::new();
        for ((name, partition_index), error) in partitions {
            let result =
                WritableTxnMarkerPartitionResult { partition_index, error_code: error.code() };
            match topics.last_mut().filter(|topic| topic.name == name) {
                Some(topic) => topic.partitions.push(result),
                None => {
                    let partitions = vec![result];
                    topics.push(WritableTxnMarkerTopicResult { name, partitions });
                }
            }
        }
        WritableTxnMarkerResult { producer_id, topics }
    });
    results.collect()
}

//! Records of the remote log metadata topic as Kafka's classes print themselves.

use std::fmt::Display;

use ringlog_wire::records::remote::{
    RemoteLogSegmentMetadataRecord, RemoteLogSegmentMetadataSnapshotRecord,
    RemoteLogSegmentMetadataUpdateRecord, RemotePartitionDeleteMetadataRecord, RemoteRecord,
};
use ringlog_wire::{DecodeError, Uuid};

const SEGMENT_STATES: [&str; 4] = [
    "COPY_SEGMENT_STARTED",
    "COPY_SEGMENT_FINISHED",
    "DELETE_SEGMENT_STARTED",
    "DELETE_SEGMENT_FINISHED",
];
const PARTITION_STATES: [&str; 3] =
    ["DELETE_PARTITION_MARKED", "DELETE_PARTITION_STARTED", "DELETE_PARTITION_FINISHED"];

/// What a record's value says.
pub(super) fn text(value: &[u8]) -> Result<String, DecodeError> {
    Ok(match RemoteRecord::decode_frame(value)?.0 {
        RemoteRecord::RemoteLogSegmentMetadata(record) => segment(&record),
        RemoteRecord::RemoteLogSegmentMetadataUpdate(record) => update(&record),
        RemoteRecord::RemotePartitionDeleteMetadata(record) => deletion(&record),
        RemoteRecord::RemoteLogSegmentMetadataSnapshot(record) => snapshot(&record),
    })
}

fn state(names: &[&'static str], number: i8) -> &'static str {
    usize::try_from(number).ok().and_then(|at| names.get(at)).copied().unwrap_or("null")
}

fn partition(id: Uuid, name: &str, partition: i32) -> String {
    format!("{id}:{name}-{partition}")
}

fn segment_id(topic_partition: &str, id: Uuid) -> String {
    format!("RemoteLogSegmentId{{topicIdPartition={topic_partition}, id={id}}}")
}

fn custom(metadata: Option<&[u8]>) -> String {
    metadata.map_or("Optional.empty".to_owned(), |bytes| {
        format!("Optional[CustomMetadata{{{} bytes}}]", bytes.len())
    })
}

/// A Java map of a few small numbers: they come in their order.
fn epochs<E: Display, O: Display>(entries: impl Iterator<Item = (E, O)>) -> String {
    let entries: Vec<String> = entries.map(|(epoch, offset)| format!("{epoch}={offset}")).collect();
    format!("{{{}}}", entries.join(", "))
}

fn segment(record: &RemoteLogSegmentMetadataRecord) -> String {
    let id = &record.remote_log_segment_id;
    let topic = &id.topic_id_partition;
    format!(
        "RemoteLogSegmentMetadata{{remoteLogSegmentId={}, startOffset={}, endOffset={}, \
         brokerId={}, maxTimestampMs={}, eventTimestampMs={}, segmentLeaderEpochs={}, \
         segmentSizeInBytes={}, customMetadata={}, state={}, txnIdxEmpty={}}}",
        segment_id(&partition(topic.id, &topic.name, topic.partition), id.id),
        record.start_offset,
        record.end_offset,
        record.broker_id,
        record.max_timestamp_ms,
        record.event_timestamp_ms,
        epochs(record.segment_leader_epochs.iter().map(|entry| (entry.leader_epoch, entry.offset))),
        record.segment_size_in_bytes,
        custom(record.custom_metadata.as_deref()),
        state(&SEGMENT_STATES, record.remote_log_segment_state),
        record.txn_index_empty
    )
}

fn update(record: &RemoteLogSegmentMetadataUpdateRecord) -> String {
    let id = &record.remote_log_segment_id;
    let topic = &id.topic_id_partition;
    format!(
        "RemoteLogSegmentMetadataUpdate{{remoteLogSegmentId={}, customMetadata={}, state={}, \
         eventTimestampMs={}, brokerId={}}}",
        segment_id(&partition(topic.id, &topic.name, topic.partition), id.id),
        custom(record.custom_metadata.as_deref()),
        state(&SEGMENT_STATES, record.remote_log_segment_state),
        record.event_timestamp_ms,
        record.broker_id
    )
}

fn deletion(record: &RemotePartitionDeleteMetadataRecord) -> String {
    let topic = &record.topic_id_partition;
    format!(
        "RemotePartitionDeleteMetadata{{topicPartition={}, state={}, eventTimestampMs={}, \
         brokerId={}}}",
        partition(topic.id, &topic.name, topic.partition),
        state(&PARTITION_STATES, record.remote_partition_delete_state),
        record.event_timestamp_ms,
        record.broker_id
    )
}

fn snapshot(record: &RemoteLogSegmentMetadataSnapshotRecord) -> String {
    format!(
        "RemoteLogSegmentMetadataSnapshot{{segmentId={}, startOffset={}, endOffset={}, \
         maxTimestampMs={}, segmentLeaderEpochs={}, segmentSizeInBytes={}, customMetadata={}, \
         state={}, txnIdxEmpty={}}}",
        record.segment_id,
        record.start_offset,
        record.end_offset,
        record.max_timestamp_ms,
        epochs(record.segment_leader_epochs.iter().map(|entry| (entry.leader_epoch, entry.offset))),
        record.segment_size_in_bytes,
        custom(record.custom_metadata.as_deref()),
        state(&SEGMENT_STATES, record.remote_log_segment_state),
        record.txn_index_empty
    )
}

//! One record to each of some partitions, in one request.

use anyhow::{Result, anyhow};
use ringlog_engine::batch::{BatchBuilder, RecordFields};
use ringlog_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ringlog_wire::messages::{ProduceRequest, ProduceResponse};

/// The newest version of Produce that names topics.
pub const PRODUCE_BY_NAME: i16 = 9;
const VALUE: [u8; 100] = [b'x'; 100];
/// A record is acknowledged after this time, or never.
const TIMEOUT_MS: i32 = 120_000;

/// A request with a record of 100 bytes for each partition, acks=all, without a producer id.
pub fn one_record_each(
    unix_ms: i64,
    topic: &str,
    partitions: impl IntoIterator<Item = i32>,
) -> Result<ProduceRequest> {
    let mut batch = BatchBuilder::default();
    batch.append(unix_ms, &RecordFields { value: Some(&VALUE), ..RecordFields::default() });
    let records = batch.build().map_err(|error| anyhow!("{error}"))?;
    let data = |index| PartitionProduceData { index, records: Some(records.clone()) };
    let topic = TopicProduceData {
        name: topic.to_owned(),
        partition_data: partitions.into_iter().map(data).collect(),
        ..Default::default()
    };
    let topic_data = vec![topic];
    Ok(ProduceRequest { acks: -1, timeout_ms: TIMEOUT_MS, topic_data, ..Default::default() })
}

/// Each partition of an answer with its error code.
pub fn produce_errors(response: &ProduceResponse) -> impl Iterator<Item = (i32, i16)> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    partitions.map(|partition| (partition.index, partition.error_code))
}

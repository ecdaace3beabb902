//! The hand-written codecs against the generated ones, at every version.

use ringlog_engine::stdx::prng::Prng;
use ringlog_node::error_code::ErrorCode;
use ringlog_node::wire::hot::fetch::{FetchWriter, PartitionHead};
use ringlog_node::wire::hot::produce::{self, PartitionOutcome, TopicRef};
use ringlog_wire::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, PartitionData,
};
use ringlog_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ringlog_wire::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use ringlog_wire::messages::{FetchResponse, ProduceRequest, ProduceResponse};
use ringlog_wire::{Message, Uuid, Writer};

fn text(prng: &mut Prng) -> String {
    (0..prng.below(12)).map(|_| char::from(b'a' + prng.below(26) as u8)).collect()
}

fn bytes(prng: &mut Prng) -> Vec<u8> {
    let mut bytes = vec![0; prng.index(300)];
    prng.fill(&mut bytes);
    bytes
}

fn uuid(prng: &mut Prng) -> Uuid {
    let mut id = [0; 16];
    prng.fill(&mut id);
    Uuid(id)
}

fn request(prng: &mut Prng, version: i16) -> ProduceRequest {
    let by_id = version >= 13;
    let topics = (0..prng.below(4)).map(|_| TopicProduceData {
        name: if by_id { String::new() } else { text(prng) },
        topic_id: if by_id { uuid(prng) } else { Uuid::ZERO },
        partition_data: (0..prng.below(4))
            .map(|index| PartitionProduceData {
                index: index as i32,
                records: prng.chance(9, 10).then(|| bytes(prng)),
            })
            .collect(),
    });
    let topic_data = topics.collect();
    ProduceRequest {
        transactional_id: prng.chance(1, 3).then(|| text(prng)),
        acks: prng.below(3) as i16 - 1,
        timeout_ms: prng.next_u64() as i32,
        topic_data,
    }
}

#[test]
fn produce_requests_are_read_as_the_generated_codec_reads_them() {
    let mut prng = Prng::new(1);
    for version in 3..=13 {
        for _ in 0..300 {
            let request = request(&mut prng, version);
            let body = request.to_vec(version).expect("encodes");
            let read = produce::ProduceRequest::parse(&body, version).expect("parses");
            assert_eq!(read.transactional_id, request.transactional_id);
            assert_eq!((read.acks, read.timeout_ms), (request.acks, request.timeout_ms));
            let mut partitions = read.partitions.iter();
            for (t, topic) in request.topic_data.iter().enumerate() {
                match &read.topics[t] {
                    TopicRef::Name(name) => assert_eq!(*name, topic.name),
                    TopicRef::Id(id) => assert_eq!(*id, topic.topic_id),
                }
                for partition in &topic.partition_data {
                    let found = partitions.next().expect("as many partitions");
                    assert_eq!((found.topic, found.index), (t, partition.index));
                    let records = found.len.map(|len| &body[found.start..found.start + len]);
                    assert_eq!(records, partition.records.as_deref());
                }
            }
            assert!(partitions.next().is_none());
            // And cut off anywhere it is an error, not a panic.
            for _ in 0..10 {
                let cut = prng.index(body.len());
                assert!(produce::ProduceRequest::parse(&body[..cut], version).is_err());
            }
        }
    }
}

#[test]
fn produce_responses_are_written_as_the_generated_codec_writes_them() {
    let mut prng = Prng::new(2);
    let errors = [ErrorCode::None, ErrorCode::InvalidRecord, ErrorCode::KafkaStorageError];
    for version in 3..=13i16 {
        for _ in 0..300 {
            let body = request(&mut prng, version).to_vec(version).expect("encodes");
            let read = produce::ProduceRequest::parse(&body, version).expect("parses");
            let outcomes: Vec<PartitionOutcome> = read
                .partitions
                .iter()
                .map(|_| PartitionOutcome {
                    error: errors[prng.index(3)],
                    base_offset: prng.next_u64() as i64,
                    log_append_time_ms: prng.next_u64() as i64,
                    log_start_offset: if version >= 5 { prng.next_u64() as i64 } else { -1 },
                    record_errors: match version >= 8 {
                        true => (0..prng.below(3))
                            .map(|i| (i as i32, prng.chance(1, 2).then(|| text(&mut prng))))
                            .collect(),
                        false => Vec::new(),
                    },
                    message: (version >= 8 && prng.chance(1, 2)).then(|| text(&mut prng)),
                })
                .collect();
            let responses = read.topics.iter().enumerate().map(|(t, topic)| {
                let (name, topic_id) = match topic {
                    TopicRef::Name(name) => (name.clone(), Uuid::ZERO),
                    TopicRef::Id(id) => (String::new(), *id),
                };
                let partitions =
                    read.partitions.iter().zip(&outcomes).filter(|(p, _)| p.topic == t);
                let partition_responses = partitions.map(|(p, o)| PartitionProduceResponse {
                    index: p.index,
                    error_code: o.error.code(),
                    base_offset: o.base_offset,
                    log_append_time_ms: o.log_append_time_ms,
                    log_start_offset: o.log_start_offset,
                    record_errors: o
                        .record_errors
                        .iter()
                        .map(|(batch_index, message)| BatchIndexAndErrorMessage {
                            batch_index: *batch_index,
                            batch_index_error_message: message.clone(),
                        })
                        .collect(),
                    error_message: o.message.clone(),
                    ..Default::default()
                });
                let partition_responses = partition_responses.collect();
                TopicProduceResponse { name, topic_id, partition_responses }
            });
            let responses = responses.collect();
            let generated = ProduceResponse { responses, ..Default::default() };
            let mut out = Vec::new();
            produce::write_response(&mut out, version, &read, &outcomes).expect("encodes");
            assert_eq!(out, generated.to_vec(version).expect("encodes"), "version {version}");
        }
    }
}

#[test]
fn fetch_responses_are_written_as_the_generated_codec_writes_them() {
    let mut prng = Prng::new(3);
    for version in 4..=18i16 {
        for _ in 0..300 {
            let session_id = if version >= 7 { prng.next_u64() as i32 } else { 0 };
            let mut generated = FetchResponse { session_id, ..Default::default() };
            let writer = FetchWriter::new(version);
            let mut out = Vec::new();
            let topics = prng.index(3);
            writer.head(&mut out, ErrorCode::None, session_id, topics);
            for _ in 0..topics {
                let (name, id) = match version >= 13 {
                    true => (String::new(), uuid(&mut prng)),
                    false => (text(&mut prng), Uuid::ZERO),
                };
                let partitions = prng.index(3);
                writer.topic(&mut out, &name, id, partitions).expect("encodes");
                let mut topic =
                    FetchableTopicResponse { topic: name, topic_id: id, ..Default::default() };
                for index in 0..partitions as i32 {
                    let records = bytes(&mut prng);
                    let aborted: Option<Vec<(i64, i64)>> =
                        prng.chance(1, 2).then(|| vec![(index.into(), 7); prng.index(3)]);
                    let head = PartitionHead {
                        index,
                        error: ErrorCode::OffsetOutOfRange,
                        high_watermark: prng.next_u64() as i64,
                        last_stable_offset: prng.next_u64() as i64,
                        log_start_offset: if version >= 5 { 5 } else { -1 },
                        aborted: aborted.clone(),
                        records_len: records.len(),
                    };
                    writer.partition(&mut out, &head);
                    Writer::new(&mut out).raw(&records);
                    writer.end(&mut out);
                    topic.partitions.push(PartitionData {
                        partition_index: index,
                        error_code: head.error.code(),
                        high_watermark: head.high_watermark,
                        last_stable_offset: head.last_stable_offset,
                        log_start_offset: head.log_start_offset,
                        aborted_transactions: aborted.map(|list| {
                            list.into_iter()
                                .map(|(producer_id, first_offset)| AbortedTransaction {
                                    producer_id,
                                    first_offset,
                                })
                                .collect()
                        }),
                        records: Some(records),
                        ..Default::default()
                    });
                }
                writer.end(&mut out);
                generated.responses.push(topic);
            }
            writer.end(&mut out);
            assert_eq!(out, generated.to_vec(version).expect("encodes"), "version {version}");
        }
    }
}

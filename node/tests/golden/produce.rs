//! Produce: what is taken, and how what is not is refused.

use std::time::Instant;

use ringlog_engine::batch::{BatchBuilder, RecordFields};
use ringlog_engine::types::{ProducerEpoch, ProducerId};
use ringlog_wire::messages::ProduceRequest;
use ringlog_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};

use crate::pair::{Pair, Side};
use crate::support::{PATIENCE, produce_request};

/// Times that lie in the past for good.
pub const TIMES: [i64; 4] =
    [1_700_000_000_000, 1_700_000_001_000, 1_700_000_005_000, 1_700_000_003_000];

/// A batch of one record per time.
pub fn batch_at(times: &[i64]) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    for time in times {
        builder.append(*time, &RecordFields { value: Some(b"value"), ..Default::default() });
    }
    builder.build().expect("uncompressed")
}

fn idempotent(id: i64, epoch: i16, sequence: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.producer = Some((ProducerId(id), ProducerEpoch(epoch), sequence));
    builder.append(TIMES[0], &RecordFields { value: Some(b"v"), ..Default::default() });
    builder.build().expect("uncompressed")
}

/// Appends the same bytes on both sides.
pub fn produce_both(pair: &mut Pair, topic: &str, batch: Vec<u8>) {
    for side in [&mut pair.stock, &mut pair.ours] {
        assert_eq!(side.client.produce(topic, 0, -1, batch.clone()).error, 0);
    }
}

fn changed(mut batch: Vec<u8>, at: usize, to: u8) -> Vec<u8> {
    batch[at] = to;
    batch
}

/// The same with a checksum that fits.
fn resealed(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = ringlog_engine::batch::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn ask(
    side: &Side,
    version: i16,
    topic: &str,
    index: i32,
    acks: i16,
    records: Option<Vec<u8>>,
) -> ProduceRequest {
    let known = !topic.is_empty() && topic != "nope";
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 5000,
        topic_data: vec![TopicProduceData {
            name: if version < 13 { topic.to_owned() } else { String::new() },
            topic_id: match (version >= 13, known) {
                (true, true) => side.id(topic),
                (true, false) => "AAAAAAAAAAAAAAAAAAAABQ".parse().expect("an id"),
                _ => Default::default(),
            },
            partition_data: vec![PartitionProduceData { index, records }],
        }],
    }
}

pub fn compare(pair: &mut Pair) {
    pair.create_topic("taken", 2, &[]);
    pair.create_topic("compacted", 1, &[("cleanup.policy", "compact")]);
    pair.create_topic("short", 1, &[("max.message.bytes", "100")]);
    pair.create_topic("strict", 1, &[("message.timestamp.before.max.ms", "1000")]);
    pair.create_topic("two", 1, &[("min.insync.replicas", "2")]);
    for version in 3..=13 {
        for acks in [-1, 1] {
            for (topic, index) in [("taken", 0), ("taken", 9), ("nope", 0), ("", 0), ("two", 0)] {
                pair.same(&format!("{topic}-{index} acks {acks}"), version, |side| {
                    ask(side, version, topic, index, acks, Some(batch_at(&TIMES[..2])))
                });
            }
        }
        bad_batches(pair, version);
        sequences(pair, version);
        for acks in [-2, 2, 100] {
            pair.same(&format!("acks {acks}"), version, |side| {
                ask(side, version, "taken", 0, acks, Some(batch_at(&TIMES[..1])))
            });
        }
    }
    let quiet = |side: &mut Side| {
        // acks=0 has no answer; what comes next answers what is asked next.
        side.client.send(&produce_request("taken", 1, 0, batch_at(&TIMES)), 9);
        let deadline = Instant::now() + PATIENCE;
        while side.client.latest_offset("taken", 1) < 4 && Instant::now() < deadline {}
        format!("{}", side.client.latest_offset("taken", 1))
    };
    let (stock, ours) = (quiet(&mut pair.stock), quiet(&mut pair.ours));
    pair.compare("acks=0", &stock, &ours);
    let failing = |side: &mut Side| {
        side.client.send(&produce_request("nope", 1, 0, batch_at(&TIMES)), 9);
        let closed = side.client.read_frame().is_none();
        side.client = side.node.client();
        format!("closed: {closed}")
    };
    let (stock, ours) = (failing(&mut pair.stock), failing(&mut pair.ours));
    pair.compare("acks=0 that fails", &stock, &ours);
}

fn bad_batches(pair: &mut Pair, version: i16) {
    let good = || batch_at(&TIMES[..2]);
    let cases: Vec<(&str, &str, Option<Vec<u8>>)> = vec![
        ("empty records", "taken", Some(Vec::new())),
        ("wrong checksum", "taken", Some(changed(good(), 17, 0xff))),
        ("magic 1", "taken", Some(changed(good(), 16, 1))),
        ("magic 9", "taken", Some(changed(good(), 16, 9))),
        ("control batch", "taken", Some(resealed(changed(good(), 22, 0x20)))),
        ("a count too many", "taken", Some(resealed(changed(good(), 60, 3)))),
        ("a last offset too large", "taken", Some(resealed(changed(good(), 26, 3)))),
        ("claims log append time", "taken", Some(resealed(changed(good(), 22, 8)))),
        ("two batches", "taken", Some([good(), good()].concat())),
        ("cut off", "taken", Some(good()[..70].to_vec())),
        ("no key", "compacted", Some(good())),
        ("too large", "short", Some(batch_at(&TIMES))),
        ("too old", "strict", Some(good())),
        ("too new", "taken", Some(batch_at(&[4_000_000_000_000]))),
    ];
    for (what, topic, records) in cases {
        pair.same_but(
            what,
            version,
            |side| ask(side, version, topic, 0, -1, records.clone()),
            |response| {
                for partition in
                    response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses)
                {
                    // Sentences with times, sizes or checksums of the moment.
                    let told = partition.error_message.take();
                    partition.error_message = told.map(|_| "words".to_owned());
                    for record in &mut partition.record_errors {
                        let told = record.batch_index_error_message.take();
                        record.batch_index_error_message = told.map(|_| "words".to_owned());
                    }
                }
            },
        );
    }
}

/// One producer per version: its sequence begins anew.
fn sequences(pair: &mut Pair, version: i16) {
    let id = 1000 + i64::from(version);
    for (what, epoch, sequence) in [
        ("first", 0, 0),
        ("next", 0, 1),
        ("again", 0, 1),
        ("gap", 0, 7),
        ("new epoch in the middle", 1, 5),
        ("new epoch", 1, 0),
        ("old epoch", 0, 2),
    ] {
        pair.same_but(
            what,
            version,
            |side| ask(side, version, "taken", 0, -1, Some(idempotent(id, epoch, sequence))),
            |response| {
                let told = &mut response.responses[0].partition_responses[0].error_message;
                *told = told.take().map(|_| "words".to_owned());
            },
        );
    }
}

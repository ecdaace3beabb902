//! W04: batches that lie, and what Apache Kafka says of each. The codes below are its answers but
//! where `KAFKA_OTHERWISE` says so; `w04_kafka_itself_answers_so` asks it again.

#![allow(clippy::disallowed_methods, reason = "tests start processes")]

mod support;

use ringlog_engine::batch::{BatchBuilder, Codec, RecordFields, compress, crc32c};
use ringlog_engine::stdx::varint::{write_varint, write_varlong};
use ringlog_wire::messages::{MetadataRequest, ProduceResponse};
use support::stock::Stock;
use support::{Client, Node, batch, have_kafka, produce_request, unix_ms};

const UNKNOWN_SERVER_ERROR: i16 = -1;
const CORRUPT: i16 = 2;
/// No answer: the connection is closed.
const CLOSED: i16 = -99;
const TOO_LARGE: i16 = 10;
const INVALID_TIMESTAMP: i16 = 32;
const INVALID_RECORD: i16 = 87;
const UNSUPPORTED_COMPRESSION: i16 = 76;
const MIB: u64 = 1 << 20;

/// What is sent, where to, and what comes back.
struct Case {
    what: String,
    topic: &'static str,
    version: i16,
    records: Option<Vec<u8>>,
    error: i16,
}

fn reseal(batch: &mut [u8]) {
    let crc = crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// Two records with keys, then changed; the CRC is made to fit.
fn edited(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = keyed(Codec::None);
    edit(&mut bytes);
    reseal(&mut bytes);
    bytes
}

fn keyed(codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.codec = codec;
    for value in [b"one", b"two"] {
        let fields = RecordFields { key: Some(b"key"), value: Some(value), ..Default::default() };
        builder.append(unix_ms(), &fields);
    }
    builder.build().expect("packs")
}

fn put(at: usize, bytes: &[u8]) -> impl FnOnce(&mut Vec<u8>) {
    let bytes = bytes.to_vec();
    move |batch: &mut Vec<u8>| batch[at..at + bytes.len()].copy_from_slice(&bytes)
}

/// A batch of these record bytes, as its header claims `count` of them.
fn of_records(codec: Codec, count: i32, packed: &[u8]) -> Vec<u8> {
    let mut bytes = keyed(Codec::None)[..61].to_vec();
    bytes.extend_from_slice(packed);
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[22] = codec.bits() as u8;
    bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    bytes[57..61].copy_from_slice(&count.to_be_bytes());
    reseal(&mut bytes);
    bytes
}

/// A record whose fields are these, and whose length is `longer` than they are.
fn record(offset_delta: i32, key_len: i32, value_len: i32, headers: i32, longer: i32) -> Vec<u8> {
    let mut body = vec![0];
    write_varlong(&mut body, 0);
    write_varint(&mut body, offset_delta);
    write_varint(&mut body, key_len);
    body.extend(std::iter::repeat_n(b'k', key_len.clamp(0, 9) as usize));
    write_varint(&mut body, value_len);
    body.extend(std::iter::repeat_n(b'v', value_len.clamp(0, 9) as usize));
    write_varint(&mut body, headers);
    let mut out = Vec::new();
    write_varint(&mut out, body.len() as i32 + longer);
    out.extend(body);
    out
}

fn stamped(timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.append(timestamp, &RecordFields { value: Some(b"v"), ..Default::default() });
    builder.build().expect("packs")
}

fn header_cases() -> Vec<(&'static str, Vec<u8>, i16)> {
    let crc = {
        let mut bytes = keyed(Codec::None);
        *bytes.last_mut().expect("not empty") ^= 1;
        bytes
    };
    let magic = |magic: u8| {
        let mut bytes = keyed(Codec::None);
        bytes[16] = magic;
        bytes
    };
    vec![
        ("a wrong CRC", crc, CORRUPT),
        ("magic 0", magic(0), INVALID_RECORD),
        ("magic 1", magic(1), INVALID_RECORD),
        ("magic 3", magic(3), CORRUPT),
        ("magic 255", magic(255), CORRUPT),
        ("length 0", edited(put(8, &0i32.to_be_bytes())), CORRUPT),
        ("length -1", edited(put(8, &(-1i32).to_be_bytes())), CORRUPT),
        ("length 13", edited(put(8, &13i32.to_be_bytes())), CORRUPT),
        ("a length beyond the bytes", edited(put(8, &9999i32.to_be_bytes())), INVALID_RECORD),
        ("half a batch", keyed(Codec::None)[..40].to_vec(), INVALID_RECORD),
        ("ten bytes", keyed(Codec::None)[..10].to_vec(), INVALID_RECORD),
        ("no batch", Vec::new(), INVALID_RECORD),
        ("two batches", [keyed(Codec::None), keyed(Codec::None)].concat(), INVALID_RECORD),
        ("some bytes behind", [keyed(Codec::None), vec![0; 9]].concat(), 0),
        ("base offset 1", edited(put(7, &[1])), INVALID_RECORD),
        ("base offset -1", edited(put(0, &(-1i64).to_be_bytes())), INVALID_RECORD),
        ("any leader epoch", edited(put(12, &[9, 9, 9, 9])), 0),
        ("record count 0", edited(put(57, &0i32.to_be_bytes())), INVALID_RECORD),
        ("record count -1", edited(put(57, &(-1i32).to_be_bytes())), INVALID_RECORD),
        ("record count too high", edited(put(57, &3i32.to_be_bytes())), INVALID_RECORD),
        ("record count too low", edited(put(57, &1i32.to_be_bytes())), INVALID_RECORD),
        ("last offset delta 0", edited(put(23, &0i32.to_be_bytes())), INVALID_RECORD),
        ("last offset delta 7", edited(put(23, &7i32.to_be_bytes())), INVALID_RECORD),
        ("last offset delta -1", edited(put(23, &(-1i32).to_be_bytes())), INVALID_RECORD),
        ("the control bit", edited(put(22, &[0x20])), INVALID_RECORD),
        ("timestamp type of the leader", edited(put(22, &[0x08])), 0),
        ("codec 5", edited(put(22, &[5])), UNKNOWN_SERVER_ERROR),
        ("codec 7", edited(put(22, &[7])), UNKNOWN_SERVER_ERROR),
        ("unused attributes", edited(put(21, &[0xff])), 0),
        ("the delete horizon bit", edited(put(22, &[0x40])), 0),
        ("a producer without a sequence", edited(put(43, &5i64.to_be_bytes())), INVALID_RECORD),
        ("a max timestamp that no record has", edited(put(35, &7i64.to_be_bytes())), 0),
    ]
}

fn record_cases() -> Vec<(&'static str, Vec<u8>, i16)> {
    let one = |record: Vec<u8>| of_records(Codec::None, 1, &record);
    let gz = |records: &[u8]| compress(Codec::Gzip, records, None).expect("packs");
    vec![
        ("a good record", one(record(0, 3, 3, 0, 0)), 0),
        ("an offset delta that is not the index", one(record(5, 3, 3, 0, 0)), INVALID_RECORD),
        ("a record longer than the batch", one(record(0, 3, 3, 0, 99)), INVALID_RECORD),
        ("a record shorter than its fields", one(record(0, 3, 3, 0, -1)), INVALID_RECORD),
        ("a negative record length", one(vec![1, 0, 0]), INVALID_RECORD),
        ("a key longer than the record", one(record(0, 99, 3, 0, 0)), INVALID_RECORD),
        ("a value longer than the record", one(record(0, 3, 9999, 0, 0)), INVALID_RECORD),
        ("key length -2", one(record(0, -2, 3, 0, 0)), INVALID_RECORD),
        ("header count -1", one(record(0, 3, 3, -1, 0)), INVALID_RECORD),
        ("more headers than bytes", one(record(0, 3, 3, 1_000_000, 0)), INVALID_RECORD),
        ("a number that does not end", one(vec![0xff; 30]), INVALID_RECORD),
        ("records and no bytes", one(Vec::new()), INVALID_RECORD),
        (
            "compressed, and the count is too high",
            { of_records(Codec::Gzip, 3, &gz(&record(0, 3, 3, 0, 0))) },
            INVALID_RECORD,
        ),
        (
            "compressed, and the count is too low",
            {
                let two = [record(0, 3, 3, 0, 0), record(1, 3, 3, 0, 0)].concat();
                of_records(Codec::Gzip, 1, &gz(&two))
            },
            INVALID_RECORD,
        ),
        (
            "compressed, and a record is too long",
            { of_records(Codec::Gzip, 1, &gz(&record(0, 3, 3, 0, 99))) },
            INVALID_RECORD,
        ),
        ("timestamp in two hours", stamped(unix_ms() + 7_200_000), INVALID_TIMESTAMP),
        ("timestamp at the end of time", stamped(i64::MAX), INVALID_TIMESTAMP),
        ("no timestamp", stamped(-1), 0),
        ("a negative timestamp", stamped(-2), 0),
        ("timestamp 0", stamped(0), 0),
    ]
}

fn cases() -> Vec<Case> {
    let case = |what: &str, topic, records, error| Case {
        what: what.to_owned(),
        topic,
        version: 9,
        records: Some(records),
        error,
    };
    let mut all: Vec<Case> = header_cases()
        .into_iter()
        .chain(record_cases())
        .map(|(what, records, error)| case(what, "t", records, error))
        .collect();
    all.push(Case { records: None, ..case("null records", "t", Vec::new(), INVALID_RECORD) });
    let huge = vec![b'x'; 1 << 20];
    all.push(case("larger than max.message.bytes", "t", batch(&[&huge], None), TOO_LARGE));
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let name = codec.name();
        let garbage = of_records(codec, 1, b"these bytes are not compressed by anything");
        all.push(case(&format!("{name} garbage"), "t", garbage, UNKNOWN_SERVER_ERROR));
        let empty = of_records(codec, 1, &[]);
        let of_nothing = match codec {
            Codec::Gzip | Codec::Zstd => UNKNOWN_SERVER_ERROR,
            _ => INVALID_RECORD,
        };
        all.push(case(&format!("{name} of no bytes"), "t", empty, of_nothing));
        let whole = compress(codec, &record(0, 3, 3, 0, 0).repeat(50), None).expect("packs");
        let cut = of_records(codec, 50, &whole[..whole.len() / 2]);
        all.push(case(&format!("{name} cut off"), "t", cut, UNKNOWN_SERVER_ERROR));
        all.push(case(&format!("{name} and good"), "t", keyed(codec), 0));
    }
    let zstd = case("zstd before version 7", "t", keyed(Codec::Zstd), UNSUPPORTED_COMPRESSION);
    all.push(Case { version: 6, ..zstd });
    all.push(case(
        "no key for a compacted topic",
        "compacted",
        batch(&[b"v"], None),
        INVALID_RECORD,
    ));
    all.push(case("a key for a compacted topic", "compacted", keyed(Codec::None), 0));
    all.push(case("any timestamp if the leader stamps", "stamped", stamped(i64::MAX), 0));
    let claims = edited(put(22, &[0x08]));
    all.push(case("the leader's type if the leader stamps", "stamped", claims, INVALID_TIMESTAMP));
    all
}

fn create_topics(client: &mut Client) {
    client.create_topic("t", 1, &[]);
    client.create_topic("compacted", 1, &[("cleanup.policy", "compact")]);
    client.create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
}

fn send(client: &mut Client, port: u16, case: &Case) -> i16 {
    let mut request = produce_request(case.topic, 0, -1, Vec::new());
    request.topic_data[0].partition_data[0].records.clone_from(&case.records);
    let response: Option<ProduceResponse> = client.try_request(&request, case.version);
    match response {
        Some(response) => response.responses[0].partition_responses[0].error_code,
        None => {
            *client = Client::try_connect(port).expect("the node listens");
            CLOSED
        }
    }
}

/// Where we differ from Kafka, which stores what no consumer can read, or fails without a code.
const KAFKA_OTHERWISE: [(&str, i16); 8] = [
    ("an offset delta that is not the index", 0),
    ("compressed, and a record is too long", 0),
    ("key length -2", 0),
    ("a number that does not end", UNKNOWN_SERVER_ERROR),
    ("null records", CLOSED),
    ("snappy of no bytes", UNKNOWN_SERVER_ERROR),
    ("lz4 of no bytes", UNKNOWN_SERVER_ERROR),
    ("zstd of no bytes", INVALID_RECORD),
];

/// Sends every case; those that are answered otherwise than they should be.
fn differences(node: &Node, otherwise: &[(&str, i16)]) -> Vec<String> {
    let client = &mut node.client();
    create_topics(client);
    let mut wrong = Vec::new();
    for case in cases() {
        let before = client.latest_offset(case.topic, 0);
        let error = send(client, node.port, &case);
        let stored = client.latest_offset(case.topic, 0) > before;
        let other = otherwise.iter().find(|(what, _)| *what == case.what);
        let (what, expected) = (&case.what, other.map_or(case.error, |(_, error)| *error));
        if error != expected || stored != (expected == 0) {
            wrong.push(format!("{what}: {error} instead of {expected}, stored {stored}"));
        }
    }
    wrong
}

#[test]
fn w04_every_lie_gets_kafkas_answer_and_changes_nothing() {
    let node = Node::start(&[]);
    let wrong = differences(&node, &[]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn w04_kafka_itself_answers_so() {
    if !have_kafka() {
        return;
    }
    let node = Node::prepare(&[]);
    node.format();
    let broker = Stock::start(&node, |client| {
        let request = MetadataRequest { topics: None, ..Default::default() };
        client.try_request(&request, 9).is_some_and(|response| !response.brokers.is_empty())
    });
    let wrong = differences(&node, &KAFKA_OTHERWISE);
    broker.stop();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One record of `len` zeros, packed. The value is made in pieces: it never exists whole.
fn bomb(codec: Codec, len: usize) -> Vec<u8> {
    let mut head = vec![0];
    write_varlong(&mut head, 0);
    write_varint(&mut head, 0);
    write_varint(&mut head, -1);
    write_varint(&mut head, len as i32);
    let mut records = Vec::new();
    write_varint(&mut records, (head.len() + len + 1) as i32);
    records.extend(head);
    records.resize(records.len() + len + 1, 0);
    of_records(codec, 1, &compress(codec, &records, None).expect("packs"))
}

#[test]
fn w04_bombs_of_every_codec_are_measured_without_being_held() {
    let node = Node::start(&["message.max.bytes=40000000"]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    let before = node.memory("VmRSS:");
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        // More than a batch may unpack to; and what is allowed, as one record.
        for (len, error) in [(300 << 20, TOO_LARGE), (200 << 20, 0)] {
            let packed = bomb(codec, len);
            let produced = client.produce("t", 0, -1, packed);
            assert_eq!(produced.error, error, "{codec:?} {len}");
        }
    }
    // A block that claims what its bytes cannot make.
    let lie = of_records(Codec::Snappy, 1, b"\x80\x80\x80\x40\0\0\0\0");
    assert_eq!(client.produce("t", 0, -1, lie).error, UNKNOWN_SERVER_ERROR);
    // The packed batches themselves are up to 15 MB, here and in the pool of buffers.
    let grown = node.peak_memory() - before;
    assert!(grown < 120 * MIB, "{grown} bytes");
}

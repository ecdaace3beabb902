//! Hostile and broken input on a client's connection, named by the ids of docs/TESTING.md. Whatever
//! comes, the node lives, its memory stays bounded, and a decent client is served.

#![allow(clippy::disallowed_methods, reason = "tests open sockets and look at the clock")]

mod support;

use std::io::{Read, Write};
use std::time::Duration;

use ringlog_wire::messages::{
    ApiVersionsRequest, FetchRequest, FetchResponse, MetadataRequest, MetadataResponse,
    ProduceRequest, ProduceResponse,
};
use ringlog_wire::{ApiKey, Message, Reader};
use support::txn::batch_of;
use support::{Client, Node, batch, fetch_request_of, produce_request};

const CORRUPT_MESSAGE: i16 = 2;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_REQUIRED_ACKS: i16 = 21;
const OUT_OF_ORDER_SEQUENCE: i16 = 45;
const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;
const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
const INVALID_FETCH_SESSION_EPOCH: i16 = 71;
const INVALID_RECORD: i16 = 87;
const OFFSET_OUT_OF_RANGE: i16 = 1;
const UNKNOWN_TOPIC_ID: i16 = 100;
const MEMORY_BOUND: u64 = 200 << 20;

/// The node still serves, and what was stored is still there.
fn assert_well(node: &mut Node) {
    assert!(node.is_alive(), "the node died: {}", node.log());
    let mut client = node.client();
    let produced = client.produce("t", 0, -1, batch(&[b"decent"], None));
    assert_eq!(produced.error, 0, "{produced:?}");
    let (error, records) = client.fetch("t", 0, produced.offset);
    assert_eq!((error, records.is_empty()), (0, false));
    assert!(node.peak_memory() < MEMORY_BOUND, "{} bytes", node.peak_memory());
}

fn node() -> Node {
    let node = Node::start(&[]);
    node.client().create_topic("t", 2, &[]);
    node
}

/// Sends raw bytes on a connection of its own; gives what comes back until it is closed.
fn throw(node: &Node, bytes: &[u8]) -> Vec<u8> {
    let mut client = node.client();
    client.socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    // The node may close before everything is sent.
    let _ = client.socket.write_all(bytes);
    let _ = client.socket.shutdown(std::net::Shutdown::Write);
    let mut back = Vec::new();
    let _ = client.socket.read_to_end(&mut back);
    back
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes()[..], body].concat()
}

fn header(key: i16, version: i16) -> Vec<u8> {
    let mut out = key.to_be_bytes().to_vec();
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    out.extend_from_slice(&1i16.to_be_bytes());
    out.push(b'x');
    out
}

#[test]
fn w01_array_and_string_length_bombs_cost_nothing() {
    let mut node = node();
    for served in ringlog_node::wire::versions::BROKER_APIS {
        for version in served.min..=served.max {
            for body in [[0xff; 24], [0x7f; 24], [0x80; 24]] {
                for start in [0, 1, 4, 8] {
                    let mut bytes = header(served.key as i16, version);
                    if served.key.request_header_version(version) >= 2 {
                        bytes.push(0);
                    }
                    bytes.extend(std::iter::repeat_n(0, start));
                    bytes.extend_from_slice(&body);
                    throw(&node, &framed(&bytes));
                }
            }
        }
    }
    assert_well(&mut node);
}

#[test]
fn w02_frame_lengths_that_no_request_has_close_the_connection() {
    let mut node = node();
    for length in [-1, i32::MIN, i32::MAX, 104_857_601] {
        let back = throw(&node, &[&length.to_be_bytes()[..], b"abc"].concat());
        assert!(back.is_empty(), "{length}: {back:?}");
    }
    for length in [0, 1, 3, 7] {
        assert!(throw(&node, &framed(&vec![0; length])).is_empty());
    }
    // A frame that is never finished holds nothing that others need.
    let mut stuck: Vec<Client> = (0..50).map(|_| node.client()).collect();
    for client in &mut stuck {
        client.socket.write_all(&100_000_000i32.to_be_bytes()).expect("sends");
        client.socket.write_all(b"some").expect("sends");
    }
    assert_well(&mut node);
}

#[test]
fn w02_a_request_that_trickles_in_is_served() {
    let node = node();
    let mut client = node.client();
    let frame = client.frame(&MetadataRequest { topics: None, ..Default::default() }, 9);
    for byte in &frame {
        client.socket.write_all(&[*byte]).expect("sends");
        client.socket.flush().expect("sends");
    }
    let response: MetadataResponse = client.receive::<MetadataRequest>(9, 1).expect("an answer");
    assert_eq!(response.topics.len(), 1);
}

#[test]
fn w03_unknown_keys_and_versions_close_and_api_versions_answers() {
    let mut node = node();
    for (key, version) in [(500, 0), (-1, 0), (4, 0), (3, 99), (0, 2), (1, 3), (11, 0), (22, 6)] {
        let back = throw(&node, &framed(&header(key, version)));
        assert!(back.is_empty(), "key {key} version {version}: {back:?}");
    }
    let back = throw(&node, &framed(&header(ApiKey::ApiVersions as i16, 99)));
    // Version 0 of the response: the error, and the range that is served.
    assert_eq!(&back[8..10], &35i16.to_be_bytes());
    assert_eq!(&back[10..14], &1i32.to_be_bytes());
    assert_eq!(&back[14..20], &[0, 18, 0, 0, 0, 4]);
    assert_well(&mut node);
}

#[test]
fn w03_a_body_cut_off_or_garbled_anywhere_closes_or_answers() {
    let mut node = node();
    let mut client = node.client();
    let good = client.frame(&produce_request("t", 0, 1, batch(&[b"v"], None)), 9);
    for cut in 4..good.len() {
        let mut bytes = good[..cut].to_vec();
        bytes[..4].copy_from_slice(&((cut - 4) as i32).to_be_bytes());
        throw(&node, &bytes);
    }
    for at in 4..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0xa5;
        throw(&node, &bytes);
    }
    assert_well(&mut node);
}

#[test]
fn w04_batches_that_lie_are_refused_and_not_stored() {
    let mut node = node();
    let mut client = node.client();
    let good = || batch(&[b"one", b"two"], None);
    let mut refuse = |what: &str, records: Vec<u8>, error: i16| {
        let before = client.latest_offset("t", 1);
        let produced = client.produce("t", 1, -1, records);
        assert_eq!(produced.error, error, "{what}");
        assert_eq!(client.latest_offset("t", 1), before, "{what}: the log is as it was");
    };
    let mut bytes = good();
    *bytes.last_mut().expect("not empty") ^= 1;
    refuse("crc", bytes, CORRUPT_MESSAGE);
    let mut bytes = good();
    bytes[16] = 1;
    refuse("magic 1", bytes, INVALID_RECORD);
    let mut bytes = good();
    bytes[16] = 9;
    refuse("magic 9", bytes, CORRUPT_MESSAGE);
    refuse("nothing", Vec::new(), INVALID_RECORD);
    refuse("half a batch", good()[..40].to_vec(), INVALID_RECORD);
    refuse("two batches", [good(), good()].concat(), INVALID_RECORD);
    let huge = vec![b'x'; 1 << 20];
    refuse("too large", batch(&[&huge], None), MESSAGE_TOO_LARGE);
    let mut bytes = good();
    bytes[7] = 1;
    refuse("base offset", bytes, INVALID_RECORD);
    assert_well(&mut node);
}

#[test]
fn unknown_partitions_bad_acks_and_transactions_get_their_codes() {
    let node = node();
    let mut client = node.client();
    for (topic, partition) in [("t", 9), ("t", -1), ("nope", 0)] {
        let produced = client.produce(topic, partition, -1, batch(&[b"v"], None));
        assert_eq!(produced.error, UNKNOWN_TOPIC_OR_PARTITION);
    }
    assert_eq!(client.produce("t", 0, 2, batch(&[b"v"], None)).error, INVALID_REQUIRED_ACKS);
    // Of a transaction that the request does not name.
    let request = produce_request("t", 0, -1, batch_of(7, 0, true, &[(b"k", Some(b"v"))]));
    let response: ProduceResponse = client.request(&request, 9);
    let error = response.responses[0].partition_responses[0].error_code;
    assert_eq!(error, TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_eq!(client.fetch("t", 0, 77).0, OFFSET_OUT_OF_RANGE);
    assert_eq!(client.fetch("t", 9, 0).0, UNKNOWN_TOPIC_OR_PARTITION);
    let mut by_id = fetch_request_of("", 0, 0);
    by_id.topics[0].topic_id = ringlog_wire::Uuid([7; 16]);
    let response: FetchResponse = client.request(&by_id, 13);
    assert_eq!(response.responses[0].partitions[0].error_code, UNKNOWN_TOPIC_ID);
}

#[test]
fn w05_forged_fetch_sessions_get_their_codes() {
    let node = node();
    let mut client = node.client();
    let mut forged = fetch_request_of("t", 0, 0);
    (forged.session_id, forged.session_epoch) = (12345, 3);
    let response: FetchResponse = client.request(&forged, 12);
    assert_eq!(response.error_code, FETCH_SESSION_ID_NOT_FOUND);
    let mut full = fetch_request_of("t", 0, 0);
    full.session_epoch = 0;
    let response: FetchResponse = client.request(&full, 12);
    assert_eq!(response.error_code, 0);
    let next = FetchRequest {
        session_id: response.session_id,
        session_epoch: 7,
        topics: Vec::new(),
        ..fetch_request_of("t", 0, 0)
    };
    let response: FetchResponse = client.request(&next, 12);
    assert_eq!(response.error_code, INVALID_FETCH_SESSION_EPOCH);
}

#[test]
fn responses_come_in_the_order_of_pipelined_requests() {
    let node = node();
    let mut client = node.client();
    let mut sent = Vec::new();
    for i in 0..40 {
        let value = format!("{i}");
        let request = produce_request("t", i % 2, -1, batch(&[value.as_bytes()], None));
        sent.push((client.send(&request, 9), true));
        sent.push((client.send(&ApiVersionsRequest::default(), 2), false));
    }
    for (correlation, produced) in sent {
        if produced {
            let response = client.receive::<ProduceRequest>(9, correlation).expect("an answer");
            assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
        } else {
            client.receive::<ApiVersionsRequest>(2, correlation).expect("an answer");
        }
    }
    let (_, records) = client.fetch("t", 0, 0);
    let values: Vec<String> = values_of(&records);
    assert_eq!(values, (0..40).step_by(2).map(|i| i.to_string()).collect::<Vec<_>>());
}

fn values_of(mut records: &[u8]) -> Vec<String> {
    let mut values = Vec::new();
    while let Ok((header, batch)) = ringlog_engine::batch::BatchHeader::parse_whole(records) {
        for record in ringlog_engine::batch::records(&header, &batch[61..]) {
            let value = record.expect("whole").value.expect("a value");
            values.push(String::from_utf8_lossy(value).into_owned());
        }
        records = &records[header.size..];
    }
    values
}

#[test]
fn acks_0_is_silent_and_a_failure_closes_the_connection() {
    let node = node();
    let mut client = node.client();
    client.send(&produce_request("t", 0, 0, batch(&[b"quiet"], None)), 9);
    // The next response on the connection is the next request's.
    assert_eq!(client.latest_offset("t", 1), 0);
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while client.latest_offset("t", 0) < 1 {
        assert!(std::time::Instant::now() < deadline, "never stored");
    }
    client.send(&produce_request("nope", 0, 0, batch(&[b"quiet"], None)), 9);
    assert!(client.read_frame().is_none(), "the connection is closed instead of an answer");
}

#[test]
fn t01_repeated_batches_get_their_offset_and_gaps_an_error() {
    let mut node = node();
    let mut client = node.client();
    let produce = |client: &mut Client, sequence| {
        client.produce("t", 0, -1, batch(&[b"a", b"b"], Some((4000, 0, sequence))))
    };
    let first = produce(&mut client, 0);
    let second = produce(&mut client, 2);
    assert_eq!((first.offset, second.offset), (0, 2));
    assert_eq!(produce(&mut client, 2), second);
    assert_eq!(produce(&mut client, 0), first);
    assert_eq!(produce(&mut client, 9).error, OUT_OF_ORDER_SEQUENCE);
    // The same after a crash, and after a clean stop.
    for crash in [true, false] {
        if crash {
            node.kill()
        } else {
            assert_eq!(node.stop(), 0)
        };
        node.restart();
        let mut client = node.client();
        assert_eq!(produce(&mut client, 2), second);
        assert_eq!(produce(&mut client, 9).error, OUT_OF_ORDER_SEQUENCE);
        assert_eq!(client.latest_offset("t", 0), 4);
    }
}

#[test]
fn x02_a_thousand_connections_are_served_in_bounded_memory() {
    let mut node = node();
    let mut clients: Vec<Client> = (0..1000).map(|_| node.client()).collect();
    for client in &mut clients {
        client.send(&ApiVersionsRequest::default(), 2);
    }
    for client in &mut clients {
        let frame = client.read_frame().expect("an answer");
        let mut r = Reader::new(&frame[4..], 1 << 20);
        ringlog_wire::messages::ApiVersionsResponse::decode(&mut r, 2).expect("decodes");
    }
    assert_well(&mut node);
}

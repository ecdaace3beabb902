//! What one connection may do to a node: send slowly, send nothing, read slowly, read nothing,
//! speak something else. Named by the ids of docs/TESTING.md.

#![allow(clippy::disallowed_methods, reason = "tests open sockets and pace what they send")]

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use ringlog_wire::messages::{FetchRequest, MetadataRequest, fetch_request};
use support::groups::until;
use support::txn::batch_of;
use support::{Client, Node, batch, fetch_request_of, produce_request, read_values};

/// How long a connection may be idle in these tests.
const IDLE: Duration = Duration::from_secs(1);
const IDLE_SETTING: &str = "connections.max.idle.ms=1000";

/// The pace of a slow peer: time is what the node is given here, and nothing is waited for.
fn pause(time: Duration) {
    std::thread::park_timeout(time);
}

/// Reads until the node ends the connection; how many bytes came.
fn read_to_end(client: &mut Client) -> u64 {
    let mut count = 0;
    let mut buf = vec![0; 1 << 20];
    loop {
        match client.socket.read(&mut buf) {
            Ok(0) => return count,
            Ok(read) => count += read as u64,
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return count,
            Err(e) => panic!("the connection is neither served nor closed: {e}"),
        }
    }
}

fn large_frame(client: &mut Client) -> Vec<u8> {
    let value = vec![b'x'; 200_000];
    client.frame(&produce_request("t", 0, -1, batch(&[&value], None)), 9)
}

#[test]
fn rn02_a_frame_that_comes_slowly_but_steadily_is_served() {
    for driver in ["io_uring", "epoll"] {
        let node = Node::start(&[IDLE_SETTING, &format!("ringlog.io.driver={driver}")]);
        let mut client = node.client();
        client.create_topic("t", 1, &[]);
        let frame = large_frame(&mut client);
        let began = Instant::now();
        for piece in frame.chunks(frame.len() / 12) {
            client.socket.write_all(piece).expect("the node takes it");
            pause(IDLE / 4);
        }
        assert!(began.elapsed() > 2 * IDLE, "it took longer than nothing may come");
        assert!(client.read_frame().is_some(), "{driver}: {}", node.log());
    }
}

#[test]
fn rn02_a_frame_of_which_next_to_nothing_comes_is_given_up() {
    for len in [8_000, 200_000] {
        let node = Node::start(&[IDLE_SETTING]);
        let mut client = node.client();
        client.create_topic("t", 1, &[]);
        let value = vec![b'x'; len];
        let frame = client.frame(&produce_request("t", 0, -1, batch(&[&value], None)), 9);
        client.socket.write_all(&frame[..2_000]).expect("the node takes it");
        let closed = until("the connection is closed", || {
            pause(IDLE / 10);
            client.socket.write_all(&[0]).err()
        });
        assert!(closed.kind() != std::io::ErrorKind::WouldBlock, "{closed}");
    }
}

/// After a large frame the node receives differently, and must let go all the same.
#[test]
fn rn03_a_connection_that_went_idle_is_really_closed() {
    for driver in ["io_uring", "epoll"] {
        let node = Node::start(&[IDLE_SETTING, &format!("ringlog.io.driver={driver}")]);
        node.client().create_topic("t", 1, &[]);
        let sockets = || {
            let dir = format!("/proc/{}/fd", node.pid());
            let of = |entry: std::io::Result<std::fs::DirEntry>| {
                std::fs::read_link(entry.ok()?.path()).ok()
            };
            let files = std::fs::read_dir(dir).expect("the node runs").filter_map(of);
            files.filter(|file| file.to_string_lossy().starts_with("socket:")).count()
        };
        let before = until("other connections are closed", || (sockets() <= 2).then(sockets));
        let mut client = node.client();
        let frame = large_frame(&mut client);
        client.socket.write_all(&frame).expect("sends");
        assert!(client.read_frame().is_some());
        assert_eq!(read_to_end(&mut client), 0, "{driver}: the node ends it");
        until("its descriptor is free", || (sockets() == before).then_some(()));
    }
}

/// Fills a topic with more than a socket's buffers hold; a request for all of it.
fn much_to_read(node: &Node) -> (FetchRequest, u64) {
    let mut client = node.client();
    client.create_topic("t", 8, &[]);
    let value = vec![b'x'; 900_000];
    for partition in 0..8 {
        for _ in 0..4 {
            let produced = client.produce("t", partition, -1, batch(&[&value], None));
            assert_eq!(produced.error, 0);
        }
    }
    let mut request: FetchRequest = fetch_request_of("t", 0, 0);
    let one = request.topics[0].partitions[0].clone();
    let of = |partition| fetch_request::FetchPartition {
        partition,
        partition_max_bytes: 8 << 20,
        ..one.clone()
    };
    request.topics[0].partitions = (0..8).map(of).collect();
    (request, 8 * 4 * 900_000)
}

#[test]
fn rn04_a_peer_that_stops_reading_is_closed_when_it_has_been_idle() {
    let node = Node::start(&[IDLE_SETTING]);
    let (request, bytes) = much_to_read(&node);
    let mut client = node.client();
    client.send(&request, 11);
    until("the node gives it up", || node.log().contains("peer_does_not_read").then_some(()));
    let read = read_to_end(&mut client);
    assert!(read < bytes, "{read} bytes were there to be read");
}

#[test]
fn rn04_a_peer_that_reads_slowly_gets_everything() {
    let node = Node::start(&[IDLE_SETTING]);
    let (request, bytes) = much_to_read(&node);
    let mut client = node.client();
    client.send(&request, 11);
    let began = Instant::now();
    let mut read = 0;
    let mut buf = vec![0; 1 << 20];
    while read < bytes {
        let count = client.socket.read(&mut buf).expect("the node sends");
        assert!(count > 0, "cut off after {read} bytes: {}", node.log());
        read += count as u64;
        pause(IDLE / 10);
    }
    assert!(began.elapsed() > 2 * IDLE, "it took longer than a peer may be idle");
}

/// Peers that never read hold all the memory there is for responses. They may be idle for ten
/// minutes, but not while others wait for it.
#[test]
fn rn04_peers_that_never_read_do_not_starve_those_that_do() {
    let node = Node::start(&["ringlog.shards=1", "ringlog.memory.limit.bytes=50331648"]);
    let mut client = node.client();
    client.create_topic("t", 64, &[]);
    let value = vec![b'x'; 30_000];
    for partition in 0..64 {
        let produced = client.produce("t", partition, -1, batch(&[&value], None));
        assert_eq!(produced.error, 0);
    }
    let mut request: FetchRequest = fetch_request_of("t", 0, 0);
    let one = request.topics[0].partitions[0].clone();
    let of = |partition| fetch_request::FetchPartition { partition, ..one.clone() };
    request.topics[0].partitions = (0..64).map(of).collect();
    let mut greedy: Vec<Client> = (0..30).map(|_| node.client()).collect();
    for client in &mut greedy {
        for _ in 0..8 {
            client.send(&request, 11);
        }
    }
    let (values, error) = read_values(&mut node.client(), "t", 5);
    assert_eq!((values.len(), error), (1, 0), "{}", node.log());
}

/// Kafka closes the connection: a producer that wants no answer has no other way to hear of it.
#[test]
fn rn13_a_request_without_an_answer_that_is_refused_as_a_whole_ends_its_connection() {
    let node = Node::start(&[]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    // Part of a transaction that the request does not name.
    let refused = produce_request("t", 0, 0, batch_of(1, 0, true, &[(b"k", Some(b"v"))]));
    client.send(&refused, 9);
    let request = MetadataRequest { topics: None, ..Default::default() };
    assert!(client.try_request(&request, 12).is_none(), "the connection is closed");
}

#[test]
fn rn15_what_is_no_kafka_request_is_named_for_what_it_is() {
    let node = Node::start(&[]);
    let tls = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    for (bytes, hint) in [(&b"GET / HTTP/1.1\r\n\r\n"[..], "HTTP"), (&tls[..], "TLS")] {
        let mut client = Client::try_connect(node.port).expect("it listens");
        client.socket.write_all(bytes).expect("sends");
        assert_eq!(read_to_end(&mut client), 0);
        until("the log says so", || {
            let log = node.log();
            log.lines()
                .any(|line| line.contains("bad_frame_length") && line.contains(hint))
                .then_some(())
        });
    }
}

#[test]
fn rn15_a_stop_under_consumers_logs_no_error() {
    let mut node = Node::start(&[]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    assert_eq!(client.produce("t", 0, -1, batch(&[b"v"], None)).error, 0);
    for _ in 0..5 {
        let port = node.port;
        let readers: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    let mut client = Client::try_connect(port).expect("it listens");
                    let request = FetchRequest { max_wait_ms: 0, ..fetch_request_of("t", 0, 0) };
                    while client.try_request(&request, 11).is_some() {}
                })
            })
            .collect();
        pause(IDLE / 5);
        assert_eq!(node.stop(), 0);
        readers.into_iter().for_each(|reader| reader.join().expect("it reads"));
        assert!(!node.log().contains("ERROR"), "{}", node.log());
        node.restart();
    }
}

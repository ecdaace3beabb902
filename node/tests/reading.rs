//! Fetch over time: long polls, sessions, topics that go and come back, and answers that are sent
//! from files.

#![allow(clippy::disallowed_methods, reason = "tests open sockets and look at the clock")]

mod support;

use std::io::Read;
use std::time::{Duration, Instant};

use ringlog_wire::messages::{
    DeleteTopicsRequest, FetchRequest, FetchResponse, MetadataRequest, MetadataResponse,
    delete_topics_request, fetch_request, fetch_response, metadata_request,
};
use ringlog_wire::{Message, Reader, Uuid};
use support::{Client, Node, batch, evict, fetch_request_of};

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const UNKNOWN_TOPIC_ID: i16 = 100;
const LONG: Duration = Duration::from_secs(20);

fn waiting(min_bytes: i32, max_wait: Duration, offset: i64) -> FetchRequest {
    FetchRequest {
        min_bytes,
        max_wait_ms: max_wait.as_millis() as i32,
        ..fetch_request_of("t", 0, offset)
    }
}

fn records(response: &FetchResponse) -> usize {
    let partition = &response.responses[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    partition.records.as_ref().map_or(0, Vec::len)
}

#[test]
fn a_fetch_waits_for_its_bytes_and_no_longer() {
    let node = Node::start(&[]);
    let mut writer = node.client();
    writer.create_topic("t", 1, &[]);
    let one = batch(&[b"value"], None);
    for version in [4, 12] {
        let start = writer.latest_offset("t", 0);
        let mut reader = node.client();
        let began = Instant::now();
        let correlation = reader.send(&waiting(one.len() as i32 * 2, LONG, start), version);
        assert_eq!(writer.produce("t", 0, -1, one.clone()).error, 0);
        // One batch is too little: nothing comes until there are two.
        reader.socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        assert!(reader.socket.peek(&mut [0; 1]).is_err(), "answered too early");
        assert_eq!(writer.produce("t", 0, -1, one.clone()).error, 0);
        reader.socket.set_read_timeout(Some(LONG)).expect("a timeout");
        let response = reader.receive::<FetchRequest>(version, correlation).expect("an answer");
        assert_eq!(records(&response), one.len() * 2);
        assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    }
}

#[test]
fn a_fetch_gives_up_after_its_time() {
    let node = Node::start(&[]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    assert_eq!(client.produce("t", 0, -1, batch(&[b"value"], None)).error, 0);
    let wait = Duration::from_millis(300);
    let began = Instant::now();
    // Too few bytes are still given when the time is up.
    let response = client.request(&waiting(1 << 20, wait, 0), 11);
    assert!(began.elapsed() >= wait, "{:?}", began.elapsed());
    assert!(records(&response) > 0);
    let began = Instant::now();
    assert_eq!(records(&client.request(&waiting(1, wait, 1), 11)), 0);
    assert!(began.elapsed() >= wait && began.elapsed() < LONG);
    // Errors wait for nothing; nor does what cannot come.
    let began = Instant::now();
    let response = client.request(&waiting(1, LONG, 99), 11);
    assert_eq!(response.responses[0].partitions[0].error_code, 1);
    let none = FetchRequest { topics: Vec::new(), ..waiting(1, LONG, 0) };
    assert!(client.request(&none, 11).responses.is_empty());
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
}

#[test]
fn fetch_max_bytes_limits_what_a_client_may_ask_for() {
    let node = Node::start(&["fetch.max.bytes=2000"]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    let large = batch(&[&[7; 900]], None);
    for _ in 0..5 {
        assert_eq!(client.produce("t", 0, -1, large.clone()).error, 0);
    }
    let response = client.request(&waiting(1 << 20, LONG, 0), 11);
    assert_eq!(records(&response), 2000, "and it does not wait for more than it may give");
    let huge = batch(&[&[7; 5000]], None);
    let offset = client.produce("t", 0, -1, huge.clone()).offset;
    let response = client.request(&waiting(1, LONG, offset), 11);
    assert_eq!(records(&response), huge.len(), "a first batch comes whole");
}

/// Partitions lie on several shards, and the limit is dealt out in the order of the request.
#[test]
fn the_first_partition_that_has_anything_gives_a_whole_batch_and_the_others_what_fits() {
    let node = Node::start(&["ringlog.shards=2"]);
    let mut client = node.client();
    client.create_topic("t", 4, &[]);
    let (large, small) = (batch(&[&[7; 5000]], None), batch(&[&[7; 100]], None));
    for (index, bytes) in [(1, &large), (2, &small), (3, &large)] {
        assert_eq!(client.produce("t", index, -1, bytes.clone()).error, 0);
    }
    let mut read = |order: &[i32], partition_max_bytes: i32, max_bytes: usize| {
        let mut request = fetch_request_of("t", 0, 0);
        request.max_bytes = max_bytes as i32;
        let asked = request.topics[0].partitions.remove(0);
        request.topics[0].partitions = order
            .iter()
            .map(|&partition| fetch_request::FetchPartition {
                partition,
                partition_max_bytes,
                ..asked.clone()
            })
            .collect();
        let response = client.request(&request, 11);
        let partitions = response.responses[0].partitions.iter();
        let len = |p: &fetch_response::PartitionData| {
            assert_eq!(p.error_code, 0);
            (p.partition_index, p.records.as_ref().map_or(0, Vec::len))
        };
        partitions.map(len).collect::<Vec<_>>()
    };
    let (l, s) = (large.len(), small.len());
    assert_eq!(read(&[0, 1, 2, 3], 1000, 1 << 20), [(0, 0), (1, l), (2, s), (3, 0)]);
    assert_eq!(read(&[3, 2, 1, 0], 1000, 1 << 20), [(3, l), (2, s), (1, 0), (0, 0)]);
    assert_eq!(read(&[2, 3, 1, 0], 1000, 1 << 20), [(2, s), (3, 0), (1, 0), (0, 0)]);
    assert_eq!(read(&[0, 1, 2, 3], 1 << 20, l + s), [(0, 0), (1, l), (2, s), (3, 0)]);
    assert_eq!(read(&[0, 2, 1, 3], 1 << 20, s), [(0, 0), (2, s), (1, 0), (3, 0)]);
    assert_eq!(read(&[0, 1, 2, 3], 1 << 20, 0), [(0, 0), (1, l), (2, 0), (3, 0)]);
}

fn session_epochs(client: &mut Client) -> (i32, i32) {
    let full = FetchRequest { session_epoch: 0, ..waiting(0, Duration::ZERO, 0) };
    let id = client.request(&full, 11).session_id;
    let next = FetchRequest { session_id: id, session_epoch: 1, topics: Vec::new(), ..full };
    (id, i32::from(client.request(&next, 11).error_code))
}

#[test]
fn sessions_are_as_many_as_there_are_slots() {
    let node = Node::start(&["ringlog.shards=1", "max.incremental.fetch.session.cache.slots=2"]);
    node.client().create_topic("t", 1, &[]);
    let mut clients: Vec<Client> = (0..3).map(|_| node.client()).collect();
    let found: Vec<(bool, i32)> = clients
        .iter_mut()
        .map(|client| {
            let (id, error) = session_epochs(client);
            (id > 0, error)
        })
        .collect();
    // The third is answered all the same, without a session; the id 0 names none.
    assert_eq!(found, [(true, 0), (true, 0), (false, 70)]);
    let none = Node::start(&["max.incremental.fetch.session.cache.slots=0"]);
    none.client().create_topic("t", 1, &[]);
    assert_eq!(session_epochs(&mut none.client()).0, 0);
}

fn topic_id(client: &mut Client, name: &str) -> Uuid {
    let topic = metadata_request::MetadataRequestTopic {
        name: Some(name.to_owned()),
        ..Default::default()
    };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let response: MetadataResponse = client.request(&request, 12);
    assert_eq!(response.topics[0].error_code, 0);
    response.topics[0].topic_id
}

fn fetch_by_id(client: &mut Client, topic_id: Uuid) -> (i16, usize) {
    let mut request = fetch_request_of("", 0, 0);
    request.topics[0] = fetch_request::FetchTopic { topic_id, ..request.topics[0].clone() };
    let response = client.request(&request, 13);
    let partition = &response.responses[0].partitions[0];
    (partition.error_code, partition.records.as_ref().map_or(0, Vec::len))
}

/// Connections are of different shards: what one shows, each of the others has to know.
#[test]
fn a_topic_that_is_shown_takes_records_on_every_connection() {
    let node = Node::start(&["ringlog.shards=2", "auto.create.topics.enable=false"]);
    let mut maker = node.client();
    let mut clients = [node.client(), node.client(), node.client(), node.client()];
    for round in 0..20 {
        let name = format!("t{round}");
        std::thread::scope(|scope| {
            scope.spawn(|| maker.create_topic(&name, 12, &[]));
            let asked = metadata_request::MetadataRequestTopic {
                name: Some(name.clone()),
                ..Default::default()
            };
            let request = MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
            let began = Instant::now();
            while clients[round % 4].request(&request, 9).topics[0].error_code != 0 {
                assert!(began.elapsed() < LONG, "the topic is not shown");
            }
            for partition in 0..12 {
                let client = &mut clients[(round + partition as usize) % 4];
                let produced = client.produce(&name, partition, -1, batch(&[b"v"], None));
                assert_eq!(produced.error, 0, "round {round}, partition {partition}");
            }
        });
    }
}

#[test]
fn a_topic_made_again_has_nothing_of_the_old_one() {
    let mut node = Node::start(&["log.segment.delete.delay.ms=60000"]);
    let mut client = node.client();
    let mut old: Vec<Uuid> = Vec::new();
    for round in 0..3 {
        client.create_topic("t", 2, &[]);
        let id = topic_id(&mut client, "t");
        assert!(!old.contains(&id), "a new id");
        assert_eq!(client.latest_offset("t", 0), 0, "round {round}");
        assert_eq!(client.produce("t", 0, -1, batch(&[b"value"], None)).offset, 0);
        assert_eq!(fetch_by_id(&mut client, id).0, 0);
        for id in &old {
            assert_eq!(fetch_by_id(&mut client, *id), (UNKNOWN_TOPIC_ID, 0));
        }
        if round == 1 {
            node.kill();
            node.restart();
            client = node.client();
            assert_eq!(topic_id(&mut client, "t"), id);
            assert_eq!(client.latest_offset("t", 0), 1);
        }
        old.push(id);
        let topic = delete_topics_request::DeleteTopicState { name: None, topic_id: id };
        let request =
            DeleteTopicsRequest { topics: vec![topic], timeout_ms: 5000, ..Default::default() };
        assert_eq!(client.request(&request, 6).responses[0].error_code, 0);
        assert_eq!(
            client.produce("t", 0, -1, batch(&[b"v"], None)).error,
            UNKNOWN_TOPIC_OR_PARTITION
        );
    }
}

#[test]
fn auto_create_topics_enable_decides_whether_metadata_makes_topics() {
    for (enable, expected) in [(true, 0), (false, UNKNOWN_TOPIC_OR_PARTITION)] {
        let line = format!("auto.create.topics.enable={enable}");
        let node = Node::start(&[&line, "num.partitions=3"]);
        let mut client = node.client();
        let ask = |client: &mut Client, allow| {
            let topic = metadata_request::MetadataRequestTopic {
                name: Some("made".to_owned()),
                ..Default::default()
            };
            let request = MetadataRequest {
                topics: Some(vec![topic]),
                allow_auto_topic_creation: allow,
                ..Default::default()
            };
            let topic = client.request(&request, 9).topics.remove(0);
            (topic.error_code, topic.partitions.len())
        };
        assert_eq!(ask(&mut client, false).0, UNKNOWN_TOPIC_OR_PARTITION);
        let partitions = if enable { 3 } else { 0 };
        assert_eq!(ask(&mut client, true), (expected, partitions));
    }
}

#[test]
fn a_large_answer_is_whole_for_a_slow_reader_even_if_its_topic_goes() {
    for path in ["auto", "sendfile", "splice", "copy"] {
        read_slowly(path);
    }
}

fn read_slowly(path: &str) {
    let path = format!("ringlog.fetch.path={path}");
    let mut node =
        Node::start(&["socket.send.buffer.bytes=20000", "log.segment.delete.delay.ms=0", &path]);
    let mut writer = node.client();
    writer.create_topic("t", 1, &[("segment.bytes", "1048576")]);
    let mut stored = Vec::new();
    for i in 0..12u8 {
        let bytes = batch(&[&vec![i; 400_000]], None);
        assert_eq!(writer.produce("t", 0, -1, bytes).error, 0);
    }
    let segments: Vec<_> = std::fs::read_dir(node.data().join("t-0"))
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    let first = segments.iter().min().expect("a segment");
    stored.extend(std::fs::read(first).expect("readable"));
    assert!(segments.len() > 2 && stored.len() > 500_000);
    let mut reader = node.client();
    let mut request = fetch_request_of("t", 0, 0);
    request.topics[0].partitions[0].partition_max_bytes = 50 << 20;
    reader.send(&request, 11);
    // The head of the answer has come: what follows is on its way from the file.
    let mut head = [0; 4];
    reader.socket.read_exact(&mut head).expect("a length");
    let topic = delete_topics_request::DeleteTopicState {
        name: Some("t".to_owned()),
        topic_id: Uuid::ZERO,
    };
    let delete =
        DeleteTopicsRequest { topics: vec![topic], timeout_ms: 5000, ..Default::default() };
    assert_eq!(writer.request(&delete, 6).responses[0].error_code, 0);
    let mut body = vec![0; i32::from_be_bytes(head) as usize];
    let mut at = 0;
    while at < body.len() {
        // In small pieces, so that the node's buffer is full again and again.
        let end = (at + 3000).min(body.len());
        reader.socket.read_exact(&mut body[at..end]).expect("the rest of the answer");
        at = end;
    }
    let mut r = Reader::new(&body[4..], 1 << 30);
    let response = FetchResponse::decode(&mut r, 11).expect("decodes");
    let partition = &response.responses[0].partitions[0];
    assert!(partition.records.as_ref().expect("records") == &stored, "the first segment, whole");
    assert!(node.is_alive());
}

#[test]
fn d11_what_has_rotted_on_the_disk_is_refused_on_every_path() {
    for path in ["auto", "sendfile", "splice", "copy"] {
        let mut node = Node::start(&[&format!("ringlog.fetch.path={path}")]);
        let mut client = node.client();
        client.create_topic("t", 1, &[]);
        let small = batch(&[&[7; 1000]], None);
        let large = batch(&[&[8; 200_000]], None);
        for bytes in [&small, &large, &small] {
            assert_eq!(client.produce("t", 0, -1, bytes.clone()).error, 0);
        }
        assert_eq!(node.stop(), 0);
        let log = node.data().join("t-0/00000000000000000000.log");
        let sound = std::fs::read(&log).expect("readable");
        // In the middle of the large batch.
        let mut rotten = sound.clone();
        rotten[small.len() + 100_000] ^= 1;
        std::fs::write(&log, &rotten).expect("writable");
        evict(&log);
        node.restart();
        let mut client = node.client();
        let (error, bytes) = client.fetch("t", 0, 1);
        assert_eq!((error, bytes.len()), (2, 0), "{path}");
        assert!(node.log().contains("has another CRC"), "{path}: {}", node.log());
        // Others are read as before, off the disk and out of memory.
        assert_eq!(node.stop(), 0);
        std::fs::write(&log, &sound).expect("writable");
        evict(&log);
        node.restart();
        for _ in 0..2 {
            let (error, bytes) = node.client().fetch("t", 0, 0);
            assert!(error == 0 && bytes == sound, "{path}: {error} {}", bytes.len());
        }
    }
}

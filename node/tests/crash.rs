//! Nodes that are killed, and directories that change hands between Ringlog and Apache Kafka.

#![allow(clippy::disallowed_methods, reason = "tests start processes and threads")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringlog_engine::stdx::prng::Prng;
use ringlog_wire::Request;
use ringlog_wire::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest, MetadataResponse,
    create_topics_request,
};
use support::stock::Stock;
use support::{
    Client, Node, PATIENCE, batch, free_ports, have_kafka, kafka, properties, read_values, ringlog,
    run, text,
};

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// Produces numbered values until told to stop or cut off; what was acknowledged, with its offset.
fn produce_until(port: u16, stop: &AtomicBool, name: &str) -> Vec<(i64, Vec<u8>)> {
    let mut acknowledged = Vec::new();
    let Some(mut client) = Client::try_connect(port) else { return acknowledged };
    let mut number = 0u64;
    while !stop.load(Ordering::Relaxed) {
        let values: Vec<Vec<u8>> =
            (0..10).map(|i| format!("{name}-{}", number + i).into_bytes()).collect();
        number += 10;
        let slices: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let request = support::produce_request("t", 0, -1, batch(&slices, None));
        let Some(response) = client.try_request(&request, 9) else { break };
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, 0);
        let offsets = partition.base_offset..;
        acknowledged.extend(offsets.zip(values));
    }
    acknowledged
}

#[test]
fn p01_kill_9_under_load_loses_nothing_that_was_acknowledged() {
    for durability in ["sync", "replicated"] {
        let mut node = Node::start(&[&format!("ringlog.durability={durability}")]);
        node.client().create_topic("t", 1, &[("segment.bytes", "100000")]);
        let mut acknowledged = Vec::new();
        for round in 0..4 {
            let stop = Arc::new(AtomicBool::new(false));
            let (port, flag) = (node.port, Arc::clone(&stop));
            let name = format!("{durability}-{round}");
            let load = std::thread::spawn(move || produce_until(port, &flag, &name));
            let before = node.client().latest_offset("t", 0);
            let deadline = Instant::now() + PATIENCE;
            while node.client().latest_offset("t", 0) < before + 3000 {
                assert!(Instant::now() < deadline, "the load does not move");
            }
            node.kill();
            stop.store(true, Ordering::Relaxed);
            acknowledged.extend(load.join().expect("the load does not panic"));
            node.restart();
        }
        let values = read_values(&mut node.client(), "t", 0).0;
        for (offset, value) in &acknowledged {
            assert_eq!(values.get(*offset as usize), Some(value), "at {offset}");
        }
        // Each kill may have come between a batch's end and its answer.
        assert!(acknowledged.len() >= 4 * (3000 - 10), "{}", acknowledged.len());
    }
}

/// A connection to a node that is killed and started again meanwhile.
struct Persistent {
    port: u16,
    client: Option<Client>,
}

impl Persistent {
    /// Asks until there is an answer, over as many connections as it takes. How often it asked.
    fn ask<R: Request>(&mut self, request: &R, version: i16) -> (R::Response, u32) {
        let deadline = Instant::now() + PATIENCE;
        let mut asked = 0;
        loop {
            assert!(Instant::now() < deadline, "no answer");
            if self.client.is_none() {
                self.client = Client::try_connect(self.port);
            }
            let Some(client) = &mut self.client else { continue };
            asked += 1;
            match client.try_request(request, version) {
                Some(response) => return (response, asked),
                None => self.client = None,
            }
        }
    }
}

/// An idempotent producer that repeats what was not acknowledged; how many values it got stored.
fn produce_idempotently(port: u16, stop: &AtomicBool, id: i64, partition: i32) -> u32 {
    let mut node = Persistent { port, client: None };
    let mut next = 0u32;
    while !stop.load(Ordering::Relaxed) {
        let values: Vec<Vec<u8>> =
            (next..next + 7).map(|n| format!("{id}:{n}:{:0>200}", "").into_bytes()).collect();
        let slices: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let records = batch(&slices, Some((id, 0, next as i32)));
        let (response, _) = node.ask(&support::produce_request("t", partition, -1, records), 9);
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, 0, "producer {id} at {next}");
        next += 7;
    }
    next
}

/// Makes and deletes topics, one after the other. Which should be there, as far as was answered.
fn churn_topics(port: u16, stop: &AtomicBool) -> BTreeMap<String, bool> {
    let mut node = Persistent { port, client: None };
    let mut topics = BTreeMap::new();
    for i in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("churn-{}", i % 40);
        let exists = topics.get(&name) == Some(&true);
        let (error, asked) = if exists {
            let request = DeleteTopicsRequest {
                topic_names: vec![name.clone()],
                timeout_ms: 10_000,
                ..Default::default()
            };
            let (response, asked) = node.ask(&request, 5);
            (response.responses[0].error_code, asked)
        } else {
            let topic = create_topics_request::CreatableTopic {
                name: name.clone(),
                num_partitions: 2,
                replication_factor: 1,
                ..Default::default()
            };
            let request = CreateTopicsRequest {
                topics: vec![topic],
                timeout_ms: 10_000,
                validate_only: false,
            };
            let (response, asked) = node.ask(&request, 7);
            (response.topics[0].error_code, asked)
        };
        // Asked again after a crash, it may have been done the first time.
        let repeated = if exists { UNKNOWN_TOPIC_OR_PARTITION } else { TOPIC_ALREADY_EXISTS };
        assert!(error == 0 || (asked > 1 && error == repeated), "{name}: {error}, asked {asked}");
        topics.insert(name, !exists);
    }
    topics
}

fn assert_topics(client: &mut Client, topics: &BTreeMap<String, bool>) {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let response: MetadataResponse = client.request(&request, 9);
    for (name, exists) in topics {
        let found = response.topics.iter().find(|t| t.name.as_deref() == Some(name.as_str()));
        assert_eq!(found.is_some(), *exists, "{name}");
        if let Some(topic) = found {
            assert!(topic.partitions.iter().all(|p| p.error_code == 0), "{topic:?}");
        }
    }
}

#[test]
fn p01_p02_t02_kills_under_load_lose_nothing_double_nothing_and_bring_nothing_back() {
    let env = std::env::var("NODE_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = env.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("NODE_CRASH_SEED={seed}");
    let mut prng = Prng::new(seed);
    let mut node = Node::start(&[
        "log.flush.offset.checkpoint.interval.ms=20",
        "replica.high.watermark.checkpoint.interval.ms=10",
        "metadata.log.max.record.bytes.between.snapshots=2000",
        "log.segment.delete.delay.ms=10",
    ]);
    node.client().create_topic("t", 2, &[("segment.bytes", "60000")]);
    let stop = Arc::new(AtomicBool::new(false));
    let port = node.port;
    let producers: Vec<_> = (0..4)
        .map(|i| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || produce_idempotently(port, &stop, 9000 + i, i as i32 % 2))
        })
        .collect();
    let flag = Arc::clone(&stop);
    let churn = std::thread::spawn(move || churn_topics(port, &flag));
    for _ in 0..8 {
        let before = node.client().latest_offset("t", 0);
        let more = prng.below(1500) as i64;
        let deadline = Instant::now() + PATIENCE;
        while node.client().latest_offset("t", 0) < before + more {
            assert!(Instant::now() < deadline, "the load does not move");
        }
        node.kill();
        // And again while it starts.
        for _ in 0..prng.below(4) {
            node.spawn();
            std::thread::park_timeout(Duration::from_micros(prng.below(40_000)));
            node.kill();
        }
        node.restart();
    }
    stop.store(true, Ordering::Relaxed);
    let counts: Vec<u32> = producers.into_iter().map(|p| p.join().expect("acknowledged")).collect();
    let topics = churn.join().expect("answered");
    assert!(counts.iter().all(|count| *count > 100) && topics.len() > 3, "{counts:?} {topics:?}");
    for last in [false, true] {
        assert_topics(&mut node.client(), &topics);
        let mut next = BTreeMap::from([(9000, 0), (9001, 0), (9002, 0), (9003, 0)]);
        for partition in 0..2 {
            let (values, error) = read_values(&mut node.client(), "t", partition);
            assert_eq!(error, 0);
            for value in values {
                let text = String::from_utf8(value).expect("as it was sent");
                let mut parts = text.split(':').map(str::parse::<u32>);
                let (Some(Ok(id)), Some(Ok(n))) = (parts.next(), parts.next()) else { panic!() };
                let due = next.get_mut(&id).expect("one of them");
                assert_eq!(n, *due, "producer {id}: once, and in order");
                *due += 1;
            }
        }
        assert_eq!(next.into_values().collect::<Vec<_>>(), counts);
        if !last {
            node.kill();
            node.restart();
        }
    }
    assert_eq!(node.stop(), 0);
    node.restart();
    assert_topics(&mut node.client(), &topics);
}

#[test]
fn p04_sigterm_flushes_marks_and_needs_no_recovery() {
    let mut node = Node::start(&[]);
    node.client().create_topic("t", 2, &[]);
    for i in 0..20 {
        assert_eq!(node.client().produce("t", i % 2, -1, batch(&[&b"v"[..]; 5], None)).error, 0);
    }
    assert_eq!(node.stop(), 0);
    let marker = node.data().join(".kafka_cleanshutdown");
    let marker_text = std::fs::read_to_string(&marker).expect("the marker");
    assert!(marker_text.starts_with("{\"version\":0,\"brokerEpoch\":"), "{marker_text}");
    let checkpoint = std::fs::read_to_string(node.data().join("recovery-point-offset-checkpoint"));
    assert_eq!(checkpoint.expect("written"), "0\n2\nt 0 50\nt 1 50\n");
    node.restart();
    assert!(!marker.exists(), "taken away first thing");
    assert!(!node.log().contains("log_recovered"), "{}", node.log());
    assert_eq!(read_values(&mut node.client(), "t", 1).0.len(), 50);
    node.kill();
    node.restart();
    assert!(node.log().contains("log_recovered"), "after a kill the end is read");
}

#[test]
fn d24_a_second_process_is_kept_out() {
    let node = Node::start(&[]);
    let second = ringlog().arg("start").arg(&node.properties).output().expect("it runs");
    assert!(!second.status.success());
    assert!(text(&second).contains("Failed to acquire lock on file .lock"), "{}", text(&second));
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_with_a_clear_message() {
    let mut node = Node::start(&[]);
    assert_eq!(node.stop(), 0);
    let refused = |command: &mut Command, why: &str| {
        let output = command.arg("start").arg(&node.properties).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        let said = text(&output);
        let line = said.lines().last().unwrap_or_default();
        assert!(line.starts_with("ringlog: ") && line.contains(why), "{said}");
        assert!(line.contains(&node.data().display().to_string()), "it says where: {said}");
    };
    // Root may write everywhere; so the node is started as nobody.
    let root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let mut command = if root {
        let binary = node.dir.path().join("ringlog");
        std::fs::copy(env!("CARGO_BIN_EXE_ringlog"), &binary).expect("copied");
        run(Command::new("chmod").args(["-R", "a+rX"]).arg(node.dir.path()));
        let mut command = Command::new(binary);
        command.uid(65534);
        command
    } else {
        ringlog()
    };
    run(Command::new("chmod").arg("-R").arg("a-w").arg(node.data()));
    refused(&mut command, "Permission denied");
    run(Command::new("chmod").arg("-R").arg("u+w").arg(node.data()));
    // Something else is where the directory should be.
    let aside = node.dir.path().join("aside");
    std::fs::rename(node.data(), &aside).expect("renamed");
    std::fs::write(node.data(), "a file").expect("written");
    refused(&mut ringlog(), "Not a directory");
    std::fs::remove_file(node.data()).expect("removed");
    std::fs::rename(&aside, node.data()).expect("renamed");
    node.restart();
}

#[test]
fn directories_that_are_not_ours_are_refused_with_a_clear_message() {
    let node = Node::prepare(&[]);
    let refused = |what: &str| {
        let output = ringlog().arg("start").arg(&node.properties).output().expect("it runs");
        assert!(!output.status.success(), "{what}");
        text(&output)
    };
    assert!(refused("unformatted").contains("No `meta.properties` found"));
    std::fs::create_dir_all(node.data()).expect("made");
    std::fs::write(node.data().join("meta.properties"), "garbage").expect("written");
    assert!(refused("garbage").contains("'version' was not found"));
    let meta = "version=1\nnode.id=1\ncluster.id=Nk018hRAQFytWskYqtQduw\n\
                directory.id=aolgbwjBT9KQJILXeDPIGg\n";
    std::fs::write(node.data().join("meta.properties"), meta).expect("written");
    std::fs::create_dir(node.data().join("holiday photos")).expect("made");
    assert!(refused("foreign").contains("is not in the form of topic-partition"));
}

/// A stock broker on the node's directory that leads all of `t`.
fn start_kafka(node: &Node) -> Stock {
    Stock::start(node, |client| {
        let request =
            ringlog_wire::messages::MetadataRequest { topics: None, ..Default::default() };
        let Some(response) = client.try_request(&request, 9) else { return false };
        let topic = response.topics.iter().find(|t| t.name.as_deref() == Some("t"));
        topic.is_some_and(|topic| topic.partitions.iter().all(|p| p.error_code == 0))
    })
}

#[test]
fn kafka_serves_our_directory_and_we_serve_kafkas() {
    if !have_kafka() {
        return;
    }
    let mut node = Node::start(&[]);
    node.client().create_topic("t", 2, &[("segment.bytes", "1048576")]);
    // The lock keeps a stock broker out, and us out of a stock broker's directory (below).
    let [port, controller_port] = free_ports();
    let elsewhere = node.dir.path().join("second.properties");
    std::fs::write(&elsewhere, properties(&node.data(), port, controller_port, &[]))
        .expect("written");
    let second = kafka("broker").arg(&elsewhere).output().expect("it runs");
    assert!(!second.status.success());
    let locked = "Failed to acquire lock on file .lock in";
    assert!(text(&second).contains(locked), "{}", text(&second));
    let bootstrap = node.bootstrap();
    let produce = |codec: &str| {
        let bootstrap = format!("bootstrap.servers={bootstrap}");
        run(kafka("kafka-producer-perf-test")
            .args(["--topic", "t", "--num-records", "20000", "--record-size", "200"])
            .args(["--throughput", "-1", "--producer-props", "acks=all", &bootstrap])
            .arg(format!("compression.type={codec}")));
    };
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        produce(codec);
    }
    let all =
        |node: &Node| (0..2).map(|p| read_values(&mut node.client(), "t", p).0).collect::<Vec<_>>();
    let ours = all(&node);
    assert_eq!(ours.iter().map(Vec::len).sum::<usize>(), 100_000);
    node.kill();
    let broker = start_kafka(&node);
    assert_eq!(all(&node), ours, "Kafka serves what we stored");
    produce("lz4");
    let theirs = all(&node);
    assert_eq!(theirs.iter().map(Vec::len).sum::<usize>(), 120_000);
    // The lock, the other way round.
    let second = ringlog().arg("start").arg(&node.properties).output().expect("it runs");
    assert!(text(&second).contains("Failed to acquire lock"), "{}", text(&second));
    broker.stop();
    node.restart();
    assert_eq!(all(&node), theirs, "we serve what Kafka stored");
    produce("zstd");
    assert_eq!(node.stop(), 0);
    // And once more after a clean stop of ours.
    let broker = start_kafka(&node);
    assert_eq!(all(&node).iter().map(Vec::len).sum::<usize>(), 140_000);
    broker.stop();
}

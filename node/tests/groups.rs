//! Groups on a running node: Kafka's own consumers and tools, clients on librdkafka, kills, and
//! what is in the files.

#![allow(clippy::disallowed_methods, reason = "tests start processes and look at the clock")]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ringlog_engine::batch::BatchHeader;
use ringlog_wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DeleteTopicsRequest,
    DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, MetadataRequest,
    OffsetCommitRequest, consumer_group_describe_response, join_group_request,
};
use ringlog_wire::records::group::{Key, OffsetCommitKey, OffsetCommitValue, Value};
use support::groups::{QUICK, commit, commit_request, fetch, find, join, until};
use support::stock::Stock;
use support::txn::{batch_at, end_txn_in};
use support::{Client, Node, batch, have, have_kafka, kafka, kafka_script, run, text};

#[test]
fn g04_groups_are_loaded_before_the_first_answer() {
    let mut node = Node::start(&[QUICK, "offsets.load.buffer.size=1"]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    find(&mut client);
    // So many that loading, batch by batch, takes a while.
    for offset in 0..2000 {
        assert_eq!(commit(&mut client, "g", "t", offset), 0);
    }
    let mut loading = 0;
    for _ in 0..3 {
        node.kill();
        node.restart();
        let mut client = node.client();
        // Never "there is no offset", never an older one.
        until("the coordinator answers", || match fetch(&mut client, "g", "t") {
            (14, _) => {
                loading += 1;
                None
            }
            answer => {
                assert_eq!(answer, (0, 1999));
                Some(())
            }
        });
    }
    eprintln!("{loading} answers while loading");
    // A log that cannot be read is no empty group.
    assert_eq!(node.stop(), 0);
    let partition = ringlog_node::group::partition_of("g", 50);
    let log = node.data().join(format!("__consumer_offsets-{partition}/00000000000000000000.log"));
    let mut bytes = std::fs::read(&log).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40].fill(0xee);
    std::fs::write(&log, bytes).expect("writable");
    node.restart();
    let answer = until("loading has ended", || {
        let answer = fetch(&mut node.client(), "g", "t");
        (answer.0 != 14).then_some(answer)
    });
    assert_eq!(answer.0, 16, "{}", node.log());
    assert_eq!(commit(&mut node.client(), "g", "t", 1), 16);
    assert_eq!(commit(&mut node.client(), "another", "t", 1), 0, "others are well");
}

#[test]
fn g01_g05_a_commit_that_was_answered_survives_kills() {
    let mut node = Node::start(&[QUICK]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    find(&mut client);
    let mut acknowledged = 0;
    for round in 1..=5 {
        let mut client = node.client();
        until("the coordinator answers", || {
            let (error, offset) = fetch(&mut client, "g", "t");
            if error == 14 {
                return None;
            }
            assert!(error == 0 && offset + 1 >= acknowledged, "{offset} after {acknowledged}");
            Some(())
        });
        // Commits are on their way, one after the other, when the node dies.
        let pid = node.pid();
        let killer = std::thread::spawn(move || {
            std::thread::park_timeout(Duration::from_millis(30 * round));
            run(Command::new("kill").args(["-9", &pid.to_string()]));
        });
        for offset in acknowledged.. {
            let request = commit_request("g", "t", offset, -1);
            match client.try_request(&request, 8) {
                Some(response) if response.topics[0].partitions[0].error_code == 0 => {
                    acknowledged = offset + 1;
                }
                _ => break,
            }
        }
        killer.join().expect("it kills");
        node.wait();
        node.restart();
    }
    assert!(acknowledged > 5, "only {acknowledged} commits");
}

#[test]
fn g03_members_outlive_a_restart_and_zombies_do_not() {
    let mut node = Node::start(&[QUICK]);
    let mut client = node.client();
    find(&mut client);
    let (member, generation) = join(&mut client, "g");
    let sync = ringlog_wire::messages::SyncGroupRequest {
        group_id: "g".to_owned(),
        generation_id: generation,
        member_id: member.clone(),
        ..Default::default()
    };
    assert_eq!(client.request(&sync, 3).error_code, 0);
    node.kill();
    node.restart();
    let mut client = node.client();
    let beat = |client: &mut Client, generation_id| {
        let (group_id, member_id) = ("g".to_owned(), member.clone());
        let request = HeartbeatRequest { group_id, generation_id, member_id, ..Default::default() };
        client.request(&request, 3).error_code
    };
    // While loading, a heartbeat is answered as if all were well; after it, so it is.
    until("loaded", || (fetch(&mut client, "g", "t").0 != 14).then_some(()));
    assert_eq!(beat(&mut client, generation), 0);
    assert_eq!(beat(&mut client, generation - 1), 22);
    let state = |client: &mut Client| {
        let request = DescribeGroupsRequest { groups: vec!["g".to_owned()], ..Default::default() };
        client.request(&request, 4).groups[0].group_state.clone()
    };
    assert_eq!(state(&mut client), "Stable");
    // Silence for a session's length.
    until("the silent member is gone", || (state(&mut client) == "Empty").then_some(()));
    assert_eq!(beat(&mut client, generation), 25);
    let commit = OffsetCommitRequest {
        member_id: member.clone(),
        ..commit_request("g", "t", 5, generation)
    };
    client.create_topic("t", 1, &[]);
    assert_eq!(client.request(&commit, 8).topics[0].partitions[0].error_code, 25);
}

#[test]
fn g06_offsets_go_with_their_topic_or_their_time() {
    let mut node = Node::start(&[QUICK, "offsets.retention.check.interval.ms=100"]);
    let mut client = node.client();
    find(&mut client);
    for topic in ["gone", "kept"] {
        client.create_topic(topic, 1, &[]);
        assert_eq!(commit(&mut client, "g", topic, 7), 0);
    }
    // Version 4 can say how long to keep an offset.
    let brief =
        OffsetCommitRequest { retention_time_ms: 1, ..commit_request("brief", "kept", 3, -1) };
    assert_eq!(client.request(&brief, 4).topics[0].partitions[0].error_code, 0);
    let delete = DeleteTopicsRequest { topic_names: vec!["gone".to_owned()], ..Default::default() };
    assert_eq!(client.request(&delete, 5).responses[0].error_code, 0);
    until("a brief offset expires", || (fetch(&mut client, "brief", "kept").1 == -1).then_some(()));
    client.create_topic("gone", 1, &[]);
    for _ in 0..2 {
        let mut client = node.client();
        until("loaded", || (fetch(&mut client, "g", "t").0 != 14).then_some(()));
        assert_eq!(fetch(&mut client, "g", "gone"), (0, -1));
        assert_eq!(fetch(&mut client, "g", "kept"), (0, 7));
        assert_eq!(fetch(&mut client, "brief", "kept"), (0, -1));
        node.kill();
        node.restart();
    }
}

#[test]
fn g07_many_members_join_at_once_and_others_are_served() {
    const MEMBERS: usize = 600;
    let node = Node::start(&["group.initial.rebalance.delay.ms=1500", "queued.max.requests=20"]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    find(&mut client);
    // More members wait for their rebalance than requests may be worked on.
    let mut members: Vec<Client> = (0..MEMBERS).map(|_| node.client()).collect();
    let mut ids = Vec::new();
    let request = |member_id: String| JoinGroupRequest {
        group_id: "storm".to_owned(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        member_id,
        protocol_type: "test".to_owned(),
        protocols: vec![join_group_request::JoinGroupRequestProtocol {
            name: "p".to_owned(),
            metadata: vec![7],
        }],
        ..Default::default()
    };
    for member in &mut members {
        ids.push(member.request(&request(String::new()), 5).member_id);
    }
    let sent: Vec<i32> =
        members.iter_mut().zip(&ids).map(|(m, id)| m.send(&request(id.clone()), 5)).collect();
    for _ in 0..50 {
        assert_eq!(client.produce("t", 0, -1, batch(&[b"x"], None)).error, 0);
        assert_eq!(commit(&mut client, "other", "t", 5), 0);
    }
    let mut leaders = 0;
    for (member, sent) in members.iter_mut().zip(sent) {
        let joined = member.receive::<JoinGroupRequest>(5, sent).expect("an answer");
        assert_eq!((joined.error_code, joined.generation_id), (0, 1));
        leaders += usize::from(joined.members.len() == MEMBERS);
    }
    assert_eq!(leaders, 1);
    for id in &ids {
        let leave = LeaveGroupRequest {
            group_id: "storm".to_owned(),
            member_id: id.clone(),
            ..Default::default()
        };
        assert_eq!(client.request(&leave, 2).error_code, 0);
    }
    assert!(node.peak_memory() < 500 << 20, "{}", node.peak_memory());
}

/// Runs a tool to its end; its output, both kinds.
fn tool(node: &Node, name: &str, args: &[&str]) -> String {
    let bootstrap = node.bootstrap();
    let output = kafka(name).args(["--bootstrap-server", &bootstrap]).args(args).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{name} {args:?}: {}", text(&output));
    text(&output)
}

fn groups(node: &Node, args: &[&str]) -> String {
    tool(node, "kafka-consumer-groups", args)
}

/// The line of `text` that has all these words.
fn line<'a>(text: &'a str, words: &[&str]) -> Vec<&'a str> {
    let found = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found = found.filter(|line| words.iter().all(|word| line.contains(word)));
    found.next().unwrap_or_else(|| panic!("no line with {words:?}: {text}"))
}

/// A process that is killed at the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn kafkas_consumers_and_tools_use_groups() {
    if !have_kafka() {
        return;
    }
    let mut node = Node::start(&[QUICK]);
    let mut client = node.client();
    client.create_topic("t", 3, &[]);
    for partition in 0..3 {
        let values: Vec<String> = (0..100).map(|i| format!("{partition}-{i}")).collect();
        let values: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        assert_eq!(client.produce("t", partition, -1, batch(&values, None)).error, 0);
    }
    let consumed = tool(
        &node,
        "kafka-console-consumer",
        &["--topic", "t", "--group", "G", "--from-beginning", "--max-messages", "300"],
    );
    assert_eq!(consumed.lines().filter(|line| line.contains('-')).count(), 300, "{consumed}");
    // A member that stays, so that a group has one to show.
    let log = std::fs::File::create(node.dir.path().join("consumer.log")).expect("a log");
    let member = kafka("kafka-console-consumer")
        .args(["--bootstrap-server", &node.bootstrap(), "--topic", "t", "--group", "alive"])
        .args(["--property", "print.offset=true", "--consumer-property", "client.id=shown"])
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    let member = Running(member);
    node.kill();
    node.restart();

    show_groups(&node);
    drop(member);

    change_offsets(&node);
    assert_eq!(node.stop(), 0);
    let partition = ringlog_node::group::partition_of("G", 50);
    let log = node.data().join(format!("__consumer_offsets-{partition}/00000000000000000000.log"));
    let dumped = run(kafka("kafka-dump-log")
        .args(["--offsets-decoder", "--print-data-log", "--files"])
        .arg(log));
    assert!(dumped.contains(r#""group":"G","topic":"t","partition":1"#), "{dumped}");
    assert!(dumped.contains(r#""protocolType":"consumer""#), "{dumped}");
}

/// kafka-consumer-groups lists and describes.
fn show_groups(node: &Node) {
    let described = groups(node, &["--describe", "--group", "G"]);
    for partition in ["0", "1", "2"] {
        let line = line(&described, &["G", "t", partition]);
        assert_eq!(line[3..6], ["100", "100", "0"], "{described}");
    }
    let mut client = node.client();
    until("the member has joined", || {
        let groups = vec!["alive".to_owned()];
        let request = DescribeGroupsRequest { groups, ..Default::default() };
        (client.request(&request, 4).groups[0].group_state == "Stable").then_some(())
    });
    let members = groups(node, &["--describe", "--group", "alive", "--members", "--verbose"]);
    let shown = line(&members, &["alive", "shown"]);
    assert!(shown[1].starts_with("shown-") && members.contains("t:0,1,2"), "{members}");
    let state = groups(node, &["--describe", "--group", "alive", "--state"]);
    assert!(line(&state, &["alive"]).ends_with(&["range", "Stable", "1"]), "{state}");
    let listed = groups(node, &["--list", "--state"]);
    assert_eq!(line(&listed, &["G"])[1], "Empty");
    assert_eq!(line(&listed, &["alive"])[1], "Stable");
}

/// It resets and deletes; and the console consumer prints what it did.
fn change_offsets(node: &Node) {
    let reset = |args: &[&str], expected: &str| {
        let base = ["--reset-offsets", "--group", "G", "--execute"];
        let done = groups(node, &[&base, args].concat());
        assert_eq!(*line(&done, &["G", "t", "1"]).last().expect("an offset"), expected, "{done}");
    };
    reset(&["--topic", "t", "--to-earliest"], "0");
    reset(&["--all-topics", "--to-offset", "40"], "40");
    reset(&["--topic", "t:1", "--shift-by", "-5"], "35");
    reset(&["--topic", "t", "--to-latest"], "100");
    reset(&["--topic", "t", "--to-datetime", "2000-01-01T00:00:00.000"], "0");
    reset(&["--topic", "t", "--by-duration", "P1D"], "0");
    reset(&["--topic", "t", "--to-current"], "0");
    let deleted = groups(node, &["--delete-offsets", "--group", "G", "--topic", "t:2"]);
    assert!(deleted.contains("Successful"), "{deleted}");
    let described = groups(node, &["--describe", "--group", "G"]);
    assert!(!described.lines().any(|l| l.split_whitespace().nth(2) == Some("2")), "{described}");

    let offsets = tool(
        node,
        "kafka-console-consumer",
        &[
            "--topic",
            "__consumer_offsets",
            "--from-beginning",
            "--timeout-ms",
            "4000",
            "--formatter",
            "org.apache.kafka.tools.consumer.OffsetsMessageFormatter",
        ],
    );
    assert!(offsets.contains(r#""group":"G","topic":"t","partition":1"#), "{offsets}");
    let deleted = groups(node, &["--delete", "--group", "G"]);
    assert!(deleted.contains("successful"), "{deleted}");
    assert!(!groups(node, &["--list"]).lines().any(|line| line == "G"));
}

/// The partitions of a group's members, as kafka-consumer-groups shows them: how many each has.
fn shares(client: &mut Client, group: &str) -> (String, Vec<usize>) {
    let group_ids = vec![group.to_owned()];
    let request = ConsumerGroupDescribeRequest { group_ids, ..Default::default() };
    let described = client.request(&request, 1).groups.remove(0);
    let count = |topics: &[consumer_group_describe_response::TopicPartitions]| {
        topics.iter().map(|topic| topic.partitions.len()).sum()
    };
    let members = described.members.iter().map(|m| count(&m.assignment.topic_partitions));
    (described.group_state.clone(), members.collect())
}

fn console_consumer(node: &Node, log: &str, protocol: &str, args: &[&str]) -> Running {
    let log = std::fs::File::create(node.dir.path().join(log)).expect("a log");
    let child = kafka("kafka-console-consumer")
        .args(["--bootstrap-server", &node.bootstrap(), "--group", "new", "--from-beginning"])
        .args(["--consumer-property", &format!("group.protocol={protocol}")])
        .args(args)
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    Running(child)
}

/// Lines of a console consumer that are values.
fn values(node: &Node, log: &str) -> Vec<String> {
    let said = std::fs::read_to_string(node.dir.path().join(log)).unwrap_or_default();
    said.lines().filter(|line| line.starts_with("v-")).map(str::to_owned).collect()
}

#[test]
fn kafkas_consumers_change_to_the_consumer_protocol_and_back() {
    if !have_kafka() {
        return;
    }
    let mut node = Node::start(&[QUICK, "group.consumer.heartbeat.interval.ms=5000"]);
    let mut client = node.client();
    client.create_topic("t", 4, &[]);
    find(&mut client);
    let old = console_consumer(&node, "old", "classic", &["--topic", "t"]);
    let stable = |client: &mut Client| {
        let groups = vec!["new".to_owned()];
        let request = DescribeGroupsRequest { groups, ..Default::default() };
        client.request(&request, 4).groups[0].group_state == "Stable"
    };
    until("the classic member has joined", || stable(&mut client).then_some(()));
    let mut sent = 0;
    let mut send = |client: &mut Client| {
        for _ in 0..40 {
            let value = format!("v-{sent}").into_bytes();
            let produced = client.produce("t", sent % 4, -1, batch(&[&value], None));
            assert_eq!(produced.error, 0);
            sent += 1;
        }
        sent as usize
    };
    let all = send(&mut client);
    until("it reads", || (values(&node, "old").len() >= all).then_some(()));
    let new = console_consumer(&node, "new", "consumer", &["--include", "t|other"]);
    until("both have their part", || {
        let (state, shares) = shares(&mut client, "new");
        (state == "Stable" && shares == [2, 2]).then_some(())
    });
    let all = send(&mut client);
    let both = |node: &Node| values(node, "old").len() + values(node, "new").len();
    until("both read", || (both(&node) >= all).then_some(()));
    let members = groups(&node, &["--describe", "--group", "new", "--members", "--verbose"]);
    assert!(members.contains("Classic") || members.contains("CURRENT-EPOCH"), "{members}");
    node.kill();
    node.restart();
    let mut client = node.client();
    let all = send(&mut client);
    until("both read on", || (both(&node) >= all).then_some(()));
    // With the last of the new protocol gone, the group is a classic one again.
    run(Command::new("kill").args(["-TERM", &new.0.id().to_string()]));
    until("the classic member is alone", || stable(&mut client).then_some(()));
    let all = send(&mut client);
    until("it reads on", || (both(&node) >= all).then_some(()));
    drop(old);
    let mut seen = [values(&node, "old"), values(&node, "new")].concat();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all, "everything was read");
}

/// Counts what a verifiable consumer has read.
fn consumed(path: &Path) -> usize {
    let said = std::fs::read_to_string(path).unwrap_or_default();
    said.lines().filter(|line| line.contains("record_data")).count()
}

#[test]
fn p01_a_verifiable_consumer_reads_on_after_a_kill() {
    if !have_kafka() {
        return;
    }
    let mut node = Node::start(&[QUICK]);
    let mut client = node.client();
    client.create_topic("t", 2, &[]);
    let path = node.dir.path().join("verifiable");
    let out = std::fs::File::create(&path).expect("a file");
    let consumer = kafka("kafka-verifiable-consumer")
        .args(["--bootstrap-server", &node.bootstrap(), "--topic", "t", "--group-id", "v"])
        .args(["--session-timeout", "10000", "--reset-policy", "earliest", "--verbose"])
        .stdout(out)
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    let _consumer = Running(consumer);
    for round in 1..=2 {
        let mut client = node.client();
        for i in 0..50 {
            let value = format!("{round}-{i}").into_bytes();
            let produced = client.produce("t", i % 2, -1, batch(&[&value], None));
            assert_eq!(produced.error, 0);
        }
        until("all is read", || (consumed(&path) >= 50 * round as usize).then_some(()));
        until("all is committed", || {
            let (error, offset) = fetch(&mut client, "v", "t");
            (error == 0 && offset == 25 * round).then_some(())
        });
        node.kill();
        node.restart();
    }
    let said = std::fs::read_to_string(&path).expect("readable");
    for round in 1..=2 {
        for i in 0..50 {
            let value = format!(r#""value":"{round}-{i}""#);
            assert_eq!(said.matches(&value).count(), 1, "{value}");
        }
    }
}

const PYTHON: &str = r#"
import sys
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap = sys.argv[1]
admin = AdminClient({"bootstrap.servers": bootstrap})
next(iter(admin.create_topics([NewTopic("py", num_partitions=4)]).values())).result(20)
producer = Producer({"bootstrap.servers": bootstrap})
for i in range(400):
    producer.produce("py", value=str(i), partition=i % 4)
assert producer.flush(20) == 0

def consumer(instance=None, **more):
    config = {"bootstrap.servers": bootstrap, "group.id": "py", "auto.offset.reset": "earliest",
              "enable.auto.commit": False, "partition.assignment.strategy": "cooperative-sticky"}
    if instance:
        config["group.instance.id"] = instance
    it = Consumer({**config, **more})
    it.subscribe(["py"])
    return it

first, second = consumer(), consumer("static")
seen, owners = set(), {}
while len(seen) < 400 or len(owners) < 2:
    for it in (first, second):
        message = it.poll(0.2)
        if message is not None and message.error() is None:
            seen.add(int(message.value()))
        if it.assignment():
            owners[it] = {p.partition for p in it.assignment()}
while any(len(it.assignment()) != 2 for it in (first, second)):
    first.poll(0.1), second.poll(0.1)
both = [p.partition for it in (first, second) for p in it.assignment()]
assert sorted(both) == [0, 1, 2, 3], both
positions = [TopicPartition("py", p, 100) for p in range(4)]
first.commit(offsets=[p for p in positions if p.partition in
                      {a.partition for a in first.assignment()}], asynchronous=False)
second.commit(offsets=[p for p in positions if p.partition in
                       {a.partition for a in second.assignment()}], asynchronous=False)
described = admin.describe_consumer_groups(["py"])["py"].result(20)
assert {m.group_instance_id for m in described.members} == {None, "static"}
first.close()
second.close()
listed = admin.list_consumer_groups().result()
assert "py" in [g.group_id for g in listed.valid], listed.valid
stored = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("py")])["py"].result(20)
assert [p.offset for p in stored.topic_partitions] == [100] * 4, stored.topic_partitions
alter = ConsumerGroupTopicPartitions("other", [TopicPartition("py", 0, 42)])
admin.alter_consumer_group_offsets([alter])["other"].result(20)
stored = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("other")])
assert stored["other"].result(20).topic_partitions[0].offset == 42
admin.delete_consumer_groups(["other"])["other"].result(20)
print("done")
"#;

#[test]
fn confluent_kafka_for_python_consumes_in_groups() {
    let script = kafka_script().with_file_name("python");
    if !have("confluent-kafka for Python", Command::new(&script).arg("install")) {
        return;
    }
    let node = Node::start(&[QUICK, "group.min.session.timeout.ms=1000"]);
    let program = node.dir.path().join("groups.py");
    std::fs::write(&program, PYTHON).expect("writable");
    let out = run(Command::new(&script).arg(&program).arg(node.bootstrap()));
    assert_eq!(out.trim().lines().last(), Some("done"), "{out}");
}

#[test]
fn the_topic_of_groups_is_as_configured_and_closed_to_clients() {
    let node = Node::start(&[
        "offsets.topic.num.partitions=3",
        "offsets.topic.segment.bytes=2000",
        "offsets.topic.compression.codec=1",
        "group.min.session.timeout.ms=7000",
        "offset.metadata.max.bytes=3",
    ]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    find(&mut client);
    let request = MetadataRequest { topics: None, ..Default::default() };
    let topics = client.request(&request, 12).topics;
    let offsets = topics.iter().find(|t| t.name.as_deref() == Some("__consumer_offsets"));
    let offsets = offsets.expect("it is there");
    assert!(offsets.is_internal && offsets.partitions.len() == 3);
    let records = batch(&[b"x"], None);
    assert_eq!(client.produce("__consumer_offsets", 0, -1, records).error, 17);
    for offset in 0..100 {
        assert_eq!(commit(&mut client, "g", "t", offset), 0);
    }
    let partition = ringlog_node::group::partition_of("g", 3);
    let dir = node.data().join(format!("__consumer_offsets-{partition}"));
    let segments = std::fs::read_dir(dir).expect("readable").filter(|entry| {
        let name = entry.as_ref().expect("readable").file_name();
        name.to_string_lossy().ends_with(".log")
    });
    assert!(segments.count() > 3);
    let mut noted = commit_request("g", "t", 5, -1);
    noted.topics[0].partitions[0].committed_metadata = Some("long".to_owned());
    assert_eq!(client.request(&noted, 8).topics[0].partitions[0].error_code, 12);
    let brief = JoinGroupRequest { session_timeout_ms: 6999, ..Default::default() };
    let brief = JoinGroupRequest { group_id: "g".to_owned(), ..brief };
    assert_eq!(client.request(&brief, 5).error_code, 26);
}

#[test]
fn groups_change_hands_with_kafka() {
    if !have_kafka() {
        return;
    }
    let mut node = Node::start(&[QUICK]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    find(&mut client);
    assert_eq!(commit(&mut client, "ours", "t", 5), 0);
    let consumer = |group: &str, member: &str| ConsumerGroupHeartbeatRequest {
        group_id: group.to_owned(),
        member_id: member.to_owned(),
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec!["t".to_owned()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    assert_eq!(client.request(&consumer("new", "m"), 1).member_epoch, 1);
    let member = |client: &mut Client| {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec!["new".to_owned()],
            ..Default::default()
        };
        let group = client.request(&request, 1).groups.remove(0);
        group.members.first().map(|m| (m.member_id.clone(), m.target_assignment.clone()))
    };
    let before = member(&mut client);
    assert!(before.is_some());
    assert_eq!(node.stop(), 0);
    let stock = Stock::start(&node, |client| {
        let request = MetadataRequest { topics: None, ..Default::default() };
        client.try_request(&request, 12).is_some_and(|response| !response.brokers.is_empty())
    });
    let mut client = node.client();
    until("Kafka has loaded", || (fetch(&mut client, "ours", "t") == (0, 5)).then_some(()));
    assert_eq!(member(&mut client), before);
    assert_eq!(commit(&mut client, "ours", "t", 6), 0);
    assert_eq!(commit(&mut client, "theirs", "t", 7), 0);
    stock.stop();
    node.restart();
    let mut client = node.client();
    until("loaded", || (fetch(&mut client, "ours", "t").0 != 14).then_some(()));
    assert_eq!(fetch(&mut client, "ours", "t"), (0, 6));
    until("loaded", || (fetch(&mut client, "theirs", "t") == (0, 7)).then_some(()));
    until("loaded", || (member(&mut client) == before).then_some(()));
}

/// Offsets of a transaction that another broker began count once its marker has come, for this
/// coordinator and for the next.
#[test]
fn rn10_markers_reach_the_coordinator() {
    let mut node = Node::start(&[QUICK, "transaction.partition.verification.enable=false"]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    find(&mut client);
    for (group, offset) in [("committed", 1), ("aborted", 2)] {
        assert_eq!(commit(&mut client, group, "t", offset), 0);
    }
    assert_eq!(node.stop(), 0);
    let of = |group| ringlog_node::group::partition_of(group, 50);
    std::fs::remove_file(node.data().join(".kafka_cleanshutdown")).expect("a clean stop");
    for (producer, group) in [(7, "committed"), (8, "aborted")] {
        let dir = node.data().join(format!("__consumer_offsets-{}", of(group)));
        pending_offset(&dir.join("00000000000000000000.log"), producer, group, 100);
    }
    node.restart();
    let mut client = node.client();
    until("the coordinator answers", || {
        (fetch(&mut client, "committed", "t").0 != 14).then_some(())
    });
    assert_eq!(fetch(&mut client, "committed", "t"), (0, 1), "not before the marker");
    for (producer, group, commits) in [(7, "committed", true), (8, "aborted", false)] {
        end_txn_in(&mut client, ("__consumer_offsets", of(group)), producer, commits);
    }
    let expected = [("committed", 100), ("aborted", 2)];
    for (group, offset) in expected {
        assert_eq!(fetch(&mut client, group, "t"), (0, offset));
    }
    node.kill();
    node.restart();
    for (group, offset) in expected {
        until("the coordinator answers", || {
            let answer = fetch(&mut node.client(), group, "t");
            (answer.0 != 14).then(|| assert_eq!(answer, (0, offset)))
        });
    }
}

/// Appends an offset commit that is part of a transaction to a stopped node's file.
fn pending_offset(file: &Path, producer: i64, group: &str, offset: i64) {
    let mut bytes = std::fs::read(file).expect("readable");
    let (mut next, mut at) = (0, 0);
    while at < bytes.len() {
        let header = BatchHeader::parse(&bytes[at..]).expect("a batch");
        next = header.base_offset.0 + i64::from(header.last_offset_delta) + 1;
        at += header.size;
    }
    let key = OffsetCommitKey { group: group.to_owned(), topic: "t".to_owned(), partition: 0 };
    let value = OffsetCommitValue { offset, leader_epoch: -1, ..Default::default() };
    let (mut key_bytes, mut value_bytes) = (Vec::new(), Vec::new());
    Key::from(key).encode(&mut key_bytes).expect("encodes");
    Value::from(value).encode(3, &mut value_bytes).expect("encodes");
    let records = [(&key_bytes[..], Some(&value_bytes[..]))];
    bytes.extend(batch_at(next, producer, 0, true, &records));
    std::fs::write(file, bytes).expect("writable");
}

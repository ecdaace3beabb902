//! Unmodified clients on librdkafka: kcat, and confluent-kafka for Python.

#![allow(clippy::disallowed_methods, reason = "tests start processes")]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Node, have, have_kafka, kafka, kafka_script, run, text};

fn kcat(node: &Node, args: &[&str]) -> Command {
    let mut command = Command::new("kcat");
    command.args(["-b", &node.bootstrap()]).args(args);
    command
}

fn pipe(command: &mut Command, input: &[u8]) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn kcat_lists_produces_and_consumes() {
    if !have("kcat", Command::new("kcat").arg("-V")) {
        return;
    }
    let node = Node::start(&[]);
    node.client().create_topic("k", 2, &[]);
    let listed = run(&mut kcat(&node, &["-L"]));
    assert!(listed.contains("topic \"k\" with 2 partitions"), "{listed}");
    let lines: String = (0..1000).map(|i| format!("key{i}:value{i}\n")).collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let produce = ["-P", "-t", "k", "-p", "1", "-K:", "-z", codec, "-X", "acks=all"];
        pipe(&mut kcat(&node, &produce), lines.as_bytes());
    }
    let idempotent = ["-P", "-t", "k", "-p", "0", "-X", "enable.idempotence=true", "-H", "h=1"];
    pipe(&mut kcat(&node, &idempotent), b"once\n");
    let consume = ["-C", "-t", "k", "-p", "1", "-o", "beginning", "-e", "-q", "-K:"];
    let consumed = run(&mut kcat(&node, &consume));
    assert_eq!(consumed, lines.repeat(5));
    let one = ["-C", "-t", "k", "-p", "0", "-o", "0", "-e", "-q", "-f", "%o %s %h\n"];
    assert_eq!(run(&mut kcat(&node, &one)), "0 once h=1\n");
    let middle = ["-C", "-t", "k", "-p", "1", "-o", "4990", "-e", "-q", "-f", "%o "];
    let offsets: String = (4990..5000).map(|o| format!("{o} ")).collect();
    assert_eq!(run(&mut kcat(&node, &middle)), offsets);
    let query = run(&mut kcat(&node, &["-Q", "-t", "k:1:-1"]));
    assert!(query.contains("offset 5000"), "{query}");
}

const PYTHON: &str = r#"
import sys
from confluent_kafka import Producer, Consumer, TopicPartition, OFFSET_BEGINNING
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

bootstrap = sys.argv[1]
admin = AdminClient({"bootstrap.servers": bootstrap})
topic = NewTopic("py", num_partitions=3, replication_factor=1)
for future in admin.create_topics([topic]).values():
    future.result(20)

delivered = {}
def delivery_report(err, msg):
    assert err is None, err
    delivered[msg.value()] = (msg.partition(), msg.offset())

producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
for i in range(3000):
    producer.produce("py", key=str(i % 7), value=f"v{i}", callback=delivery_report)
    producer.poll(0)
assert producer.flush(30) == 0
assert len(delivered) == 3000

consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none",
                     "enable.auto.commit": False, "enable.partition.eof": False})
consumer.assign([TopicPartition("py", p, OFFSET_BEGINNING) for p in range(3)])
seen = {}
while len(seen) < 3000:
    message = consumer.poll(20)
    assert message is not None, f"{len(seen)} of 3000"
    if message.error() is None:
        seen[message.value()] = (message.partition(), message.offset())
assert seen == delivered
low, high = consumer.get_watermark_offsets(TopicPartition("py", 0), timeout=20)
assert (low, high) == (0, sum(1 for p, _ in seen.values() if p == 0)), (low, high)
config = admin.describe_configs([ConfigResource("topic", "py")])
entries = next(iter(config.values())).result(20)
assert entries["retention.ms"].value == "604800000"
for future in admin.delete_topics(["py"]).values():
    future.result(20)
print("done")
"#;

#[test]
fn confluent_kafka_for_python_produces_consumes_and_administers() {
    let script = kafka_script().with_file_name("python");
    if !have("confluent-kafka for Python", Command::new(&script).arg("install")) {
        return;
    }
    let node = Node::start(&[]);
    let program = node.dir.path().join("client.py");
    std::fs::write(&program, PYTHON).expect("writable");
    let out = run(Command::new(&script).arg(Path::new(&program)).arg(node.bootstrap()));
    assert_eq!(out.trim().lines().last(), Some("done"), "{out}");
}

const TRANSACTIONAL: &str = r#"
import sys, time
from confluent_kafka import Producer, KafkaException

producer = Producer({"bootstrap.servers": sys.argv[1], "transactional.id": "tx"})
start = time.monotonic()
try:
    producer.init_transactions(20)
    print("initialised")
except KafkaException as error:
    error = error.args[0]
    print(f"fatal={error.fatal()} retriable={error.retriable()} {error.name()}")
print("at once" if time.monotonic() - start < 10 else "late")
"#;

/// There are no transactions yet: whoever asks for them is told so for good, and does not try again
/// for ever.
#[test]
fn a_transactional_id_is_refused_with_an_error_that_clients_give_up_on() {
    let script = kafka_script().with_file_name("python");
    let python = have("confluent-kafka for Python", Command::new(&script).arg("install"));
    let node = Node::start(&[]);
    node.client().create_topic("t", 1, &[]);
    if python {
        let program = node.dir.path().join("tx.py");
        std::fs::write(&program, TRANSACTIONAL).expect("writable");
        let out = run(Command::new(&script).arg(&program).arg(node.bootstrap()));
        assert!(out.contains("fatal=True retriable=False"), "{out}");
        assert!(out.contains("at once"), "{out}");
    }
    if have_kafka() {
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java/TransactionalClient.java");
        let out = run(kafka("class").arg(source).arg(node.bootstrap()));
        let said: Vec<&str> = out.lines().filter(|l| l.contains(": ")).collect();
        let fatal = ["UnsupportedVersionException", "TransactionalIdAuthorizationException"];
        assert!(
            matches!(&said[..], [init, then] if fatal.iter().any(|f| init.ends_with(f))
                && then.starts_with("then: ")),
            "{out}"
        );
    }
}

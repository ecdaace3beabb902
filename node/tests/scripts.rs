//! scripts/bin: a node is started and stopped by the names that Kafka's users type, with files that
//! were written for Kafka.

#![allow(clippy::disallowed_methods, reason = "tests read files and start processes")]

mod support;

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use support::{Client, Node, PATIENCE, ringlog, run, text};

/// Settings that are recommended for Kafka, of all its times.
const RECOMMENDED: &str = "\
min.insync.replicas=2
num.partitions=6
log.retention.hours=168
log.segment.bytes=1073741824
log.cleanup.policy=delete
compression.type=producer
controlled.shutdown.enable=true
unclean.leader.election.enable=false
num.network.threads=8
num.io.threads=8
num.replica.fetchers=4
metadata.log.segment.bytes=1073741824
controller.socket.timeout.ms=30000
leader.imbalance.check.interval.seconds=300
group.initial.rebalance.delay.ms=0
broker.rack=rack-0
metric.reporters=io.confluent.metrics.reporter.ConfluentMetricsReporter
";
/// And those that 4.1 does not have.
const UNKNOWN: &str = "\
replication.factor=3
zookeeper.connect=
zookeeper.session.timeout.ms=18000
zookeeper.connection.timeout.ms=6000
controller.heartbeat.interval.ms=2000
controller.metrics.sample.window.ms=30000
controller.log.dirs=/path/to/controller/logs
metadata.log.retention.bytes=-1
metadata.log.retention.ms=604800000
confluent.metrics.reporter.bootstrap.servers=kafka-1:9092,kafka-2:9092
confluent.balancer.enable=true
jmx.port=10001
jmx.hostname=localhost
";

fn script(name: &str) -> Command {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/bin").join(name);
    let mut command = Command::new(path);
    command.env("RINGLOG", env!("CARGO_BIN_EXE_ringlog"));
    command
}

/// A daemon, stopped at the end by its id: other nodes of this host are not ours.
struct Daemon(u32);

impl Daemon {
    fn stop(&self) -> Output {
        let id = format!("--node-id={}", self.0);
        script("kafka-server-stop.sh").arg(id).output().expect("it runs")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn files_and_lines_that_were_written_for_kafka_start_and_stop_a_node() {
    let node = Node::prepare(&[]);
    // An id that no other node here has.
    let id = 1_000_000 + u32::from(node.port);
    let properties = format!(
        "broker.id={id}\nprocess.roles=broker,controller\nlog.dirs={data}\n\
         listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}\n\
         controller.quorum.voters={id}@localhost:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,\\\n  PLAINTEXT:PLAINTEXT\n\
         {RECOMMENDED}{UNKNOWN}",
        data = node.data().display(),
        port = node.port,
        controller = node.controller_port,
    );
    std::fs::write(&node.properties, properties).expect("writable");
    node.format();
    let daemon = Daemon(id);
    let folder = node.dir.path();
    run(script("kafka-server-start.sh").current_dir(folder).args([
        "-daemon",
        "server.properties",
        "--override",
        "num.partitions=3",
    ]));
    let log = folder.join("logs/kafkaServer.out");
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    until("it serves", || said().contains(" serving ") || said().contains("ringlog:"));
    assert!(Client::try_connect(node.port).is_some(), "{}", said());
    for line in UNKNOWN.lines() {
        let key = line.split('=').next().expect("a key");
        let warning = format!("unknown configuration {key}: ignored");
        assert!(said().contains(&warning), "{warning}: {}", said());
    }
    for line in RECOMMENDED.lines() {
        let key = line.split('=').next().expect("a key");
        assert!(!said().contains(&format!("{key}: ignored")), "{key}: {}", said());
    }
    // Scripts of their own find it by what they look for.
    let processes = run(Command::new("ps").args(["ax", "-ww"]));
    let line = processes.lines().find(|line| line.contains(" start server.properties"));
    assert!(line.is_some_and(|line| line.contains("java kafka.Kafka ")), "{processes}");
    let stopped = daemon.stop();
    assert!(stopped.status.success(), "{}", text(&stopped));
    until("it stops", || Client::try_connect(node.port).is_none());
    until("it is gone", || text(&daemon.stop()).contains("No kafka server to stop"));
    assert!(said().contains("stopping"), "{}", said());
}

#[test]
fn a_file_from_before_kraft_is_refused_with_advice() {
    let node = Node::prepare(&[]);
    node.edit_properties(|line| !line.starts_with("process.roles"));
    let refused = ringlog().arg("start").arg(&node.properties).output().expect("it runs");
    assert!(!refused.status.success());
    assert!(text(&refused).contains("set process.roles=broker,controller"), "{}", text(&refused));
    let usage = script("kafka-server-start").output().expect("it runs");
    assert_eq!(usage.status.code(), Some(1));
    assert!(text(&usage).starts_with("USAGE: "), "{}", text(&usage));
}

/// What a supervisor hears, which waits for a node to serve (sd_notify(3)): by the name of a file,
/// and by one that is none.
#[test]
fn a_supervisor_is_told_when_a_node_serves_and_when_it_stops() {
    let mut node = Node::prepare(&[]);
    node.format();
    let path = node.data().join("../notify");
    let abstract_name = format!("ringlog-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&abstract_name).expect("a name");
    let sockets = [
        (path.display().to_string(), UnixDatagram::bind(&path).expect("bound")),
        (format!("@{abstract_name}"), UnixDatagram::bind_addr(&address).expect("bound")),
    ];
    for (name, socket) in sockets {
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        let heard = || {
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).expect("a message");
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        node.limits = format!("NOTIFY_SOCKET={name}");
        node.spawn();
        assert_eq!(heard(), "READY=1\n");
        assert!(Client::try_connect(node.port).is_some(), "it serves by then");
        assert_eq!(node.stop(), 0);
        assert_eq!(heard(), "STOPPING=1\n");
    }
}

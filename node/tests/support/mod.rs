//! What the process tests share: a node in a process of its own, a small blocking client, and
//! Apache Kafka's tools.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "tests start processes and open sockets")]

pub mod groups;
pub mod loop_disk;
pub mod small_disk;
pub mod stock;
pub mod txn;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ringlog_engine::batch::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, RecordFields, decompress, records,
};
use ringlog_engine::types::{ProducerEpoch, ProducerId};
use ringlog_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use ringlog_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ringlog_wire::messages::{
    ApiVersionsRequest, ApiVersionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, FetchRequest, FetchResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, ListOffsetsRequest,
    ListOffsetsResponse, ProduceRequest, ProduceResponse, create_topics_request, fetch_request,
    list_offsets_request,
};
use ringlog_wire::{Message, Reader, Request, Writer};

/// How long a test waits for something that should happen soon.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A node and its directory; killed and removed at the end.
pub struct Node {
    pub dir: tempfile::TempDir,
    pub port: u16,
    pub controller_port: u16,
    pub properties: PathBuf,
    /// What a shell does before it becomes the node: limits.
    pub limits: String,
    child: Option<Child>,
}

/// Ports that are free now, below those that the kernel gives to outgoing connections: a node that
/// is started again finds its own free.
pub fn free_ports<const N: usize>() -> [u16; N] {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    std::array::from_fn(|_| {
        let mut ports = std::iter::repeat_with(|| {
            // Programs of tests that run beside each other begin in different places.
            let count = TAKEN.fetch_add(1, Ordering::Relaxed);
            10_000 + (std::process::id().wrapping_mul(97).wrapping_add(count) % 20_000) as u16
        });
        ports.find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).expect("a free port")
    })
}

/// Has a file's pages leave the page cache, whoever else keeps the kernel busy.
pub fn evict(path: &Path) {
    let input = format!("if={}", path.display());
    let line = format!("{}: 0/", path.display());
    let start = Instant::now();
    loop {
        run(Command::new("sync").arg(path));
        run(Command::new("dd").args([&input, "iflag=nocache", "count=0", "status=none"]));
        let cached = run(ringlog().arg("cached").arg(path.parent().expect("a folder")));
        if cached.lines().any(|found| found.starts_with(&line)) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "pages stay in memory: {cached}");
    }
}

/// The properties of a single node.
pub fn properties(data: &Path, port: u16, controller_port: u16, extra: &[&str]) -> String {
    let mut text = format!(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.voters=1@localhost:{controller_port}\n\
         listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller_port}\n\
         advertised.listeners=PLAINTEXT://localhost:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={}\noffsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n",
        data.display()
    );
    // The same tests on another driver.
    if let Ok(driver) = std::env::var("RINGLOG_TEST_DRIVER") {
        text.push_str(&format!("ringlog.io.driver={driver}\n"));
    }
    if let Ok(mode) = std::env::var("RINGLOG_TEST_IO_MODE") {
        text.push_str(&format!("ringlog.io.mode={mode}\n"));
    }
    for line in extra {
        text.push_str(line);
        text.push('\n');
    }
    text
}

pub fn ringlog() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ringlog"))
}

impl Node {
    /// A formatted and started node.
    pub fn start(extra: &[&str]) -> Node {
        let mut node = Node::prepare(extra);
        node.format();
        node.restart();
        node
    }

    /// The same, where `extra` says which port is the one to ask.
    pub fn start_on(port: u16, extra: &[&str]) -> Node {
        let mut node = Node::prepare(extra);
        node.port = port;
        node.format();
        node.restart();
        node
    }

    /// Formats its directories.
    pub fn format(&self) {
        let id = run(ringlog().arg("random-uuid"));
        let format = ringlog()
            .args(["format", "-t", id.trim(), "-c"])
            .arg(&self.properties)
            .output()
            .expect("ringlog runs");
        assert!(format.status.success(), "{}", text(&format));
    }

    /// Leaves only those lines of its properties that `keep` takes.
    pub fn edit_properties(&self, keep: impl Fn(&str) -> bool) {
        let text = std::fs::read_to_string(&self.properties).expect("readable");
        let kept: Vec<&str> = text.lines().filter(|line| keep(line)).collect();
        std::fs::write(&self.properties, kept.join("\n") + "\n").expect("writable");
    }

    /// A node that is neither formatted nor started.
    pub fn prepare(extra: &[&str]) -> Node {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let [port, controller_port] = free_ports();
        let file = dir.path().join("server.properties");
        let data = dir.path().join("data");
        std::fs::write(&file, properties(&data, port, controller_port, extra)).expect("writable");
        Node { dir, port, controller_port, properties: file, limits: String::new(), child: None }
    }

    /// Its log directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn bootstrap(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Starts it (again) and waits until it serves.
    pub fn restart(&mut self) {
        let ended = self.try_restart();
        assert!(ended.is_none(), "the node ended: {ended:?} {}", self.log());
    }

    /// Starts it (again) and waits until it serves, or ends: how.
    pub fn try_restart(&mut self) -> Option<ExitStatus> {
        self.spawn();
        let deadline = Instant::now() + PATIENCE;
        while Client::try_connect(self.port).is_none_or(|mut c| c.try_api_versions().is_none()) {
            if let Some(status) = self.child.as_mut().expect("started").try_wait().expect("a child")
            {
                self.child = None;
                return Some(status);
            }
            assert!(Instant::now() < deadline, "the node does not serve: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
        None
    }

    /// Starts it and waits for nothing.
    pub fn spawn(&mut self) {
        let log = self.dir.path().join("node.log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("log");
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("{} exec \"$0\" start \"$1\"", self.limits))
            .arg(env!("CARGO_BIN_EXE_ringlog"))
            .arg(&self.properties)
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("ringlog starts");
        self.child = Some(child);
    }

    /// Waits until the process ends.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("started");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the node does not end: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("node.log")).unwrap_or_default()
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().expect("a child").is_none())
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("started").id()
    }

    /// Peak resident memory, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Memory of the process by the name that /proc has for it, in bytes.
    pub fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("a running process");
        let line = status.lines().find(|l| l.starts_with(name)).expect("it is there");
        let kib: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        kib * 1024
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("started");
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }

    /// SIGTERM, and its exit code.
    pub fn stop(&mut self) -> i32 {
        let mut child = self.child.take().expect("started");
        run(Command::new("kill").arg("-TERM").arg(child.id().to_string()));
        child.wait().expect("reaped").code().expect("an exit code")
    }

    pub fn client(&self) -> Client {
        Client::try_connect(self.port).expect("the node listens")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs a command that must succeed; gives its standard output.
pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether the unmodified peers are here. Without them interop tests are skipped, loudly; with
/// RINGLOG_REQUIRE_INTEROP=1 they fail instead.
pub fn have(what: &str, probe: &mut Command) -> bool {
    let here = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if here.is_ok_and(|status| status.success()) {
        return true;
    }
    let required = std::env::var("RINGLOG_REQUIRE_INTEROP").is_ok_and(|value| value == "1");
    assert!(!required, "{what} is required (RINGLOG_REQUIRE_INTEROP=1) and not here");
    eprintln!("SKIPPED: {what} is not here");
    false
}

pub fn kafka_script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/kafka")
}

/// Whether Apache Kafka's tools can be run.
pub fn have_kafka() -> bool {
    have("Apache Kafka (java and mvn)", Command::new(kafka_script()).arg("install"))
}

/// An Apache Kafka tool by its name.
pub fn kafka(tool: &str) -> Command {
    let mut command = Command::new(kafka_script());
    command.arg(tool).env("KAFKA_OPTS", "-Xmx256m -XX:TieredStopAtLevel=1");
    command
}

/// A blocking connection that speaks the generated messages.
pub struct Client {
    pub socket: TcpStream,
    correlation: i32,
}

impl Client {
    pub fn try_connect(port: u16) -> Option<Client> {
        TcpStream::connect(("127.0.0.1", port)).ok().map(Client::of)
    }

    pub fn of(socket: TcpStream) -> Client {
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.set_nodelay(true).expect("no delay");
        Client { socket, correlation: 0 }
    }

    fn try_api_versions(&mut self) -> Option<ApiVersionsResponse> {
        self.try_request(&ApiVersionsRequest::default(), 0)
    }

    /// The frame of a request.
    pub fn frame<R: Request>(&mut self, request: &R, version: i16) -> Vec<u8> {
        self.correlation += 1;
        let mut out = vec![0; 4];
        out.extend_from_slice(&(R::API_KEY as i16).to_be_bytes());
        out.extend_from_slice(&version.to_be_bytes());
        out.extend_from_slice(&self.correlation.to_be_bytes());
        out.extend_from_slice(&4i16.to_be_bytes());
        out.extend_from_slice(b"test");
        if R::API_KEY.request_header_version(version) >= 2 {
            out.push(0);
        }
        request.encode(&mut Writer::new(&mut out), version).expect("encodes");
        let length = (out.len() - 4) as i32;
        out[..4].copy_from_slice(&length.to_be_bytes());
        out
    }

    /// The number of the last request whose frame was made.
    pub fn last_correlation(&self) -> i32 {
        self.correlation
    }

    /// Sends a request without waiting.
    pub fn send<R: Request>(&mut self, request: &R, version: i16) -> i32 {
        let frame = self.frame(request, version);
        self.socket.write_all(&frame).expect("sends");
        self.correlation
    }

    /// Reads the next response frame; `None` if the connection is closed.
    pub fn read_frame(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length).ok()?;
        let mut frame = vec![0; i32::from_be_bytes(length) as usize];
        self.socket.read_exact(&mut frame).ok()?;
        Some(frame)
    }

    /// Reads the next response, which must be of `R` and carry `correlation`.
    pub fn receive<R: Request>(&mut self, version: i16, correlation: i32) -> Option<R::Response> {
        let frame = self.read_frame()?;
        let got = i32::from_be_bytes(frame[..4].try_into().expect("four bytes"));
        assert_eq!(got, correlation, "responses come in the order of the requests");
        let skip = if R::API_KEY.response_header_version(version) >= 1 { 5 } else { 4 };
        let mut r = Reader::new(&frame[skip..], 1 << 30);
        let response = R::Response::decode(&mut r, version).expect("decodes");
        assert_eq!(r.remaining(), 0, "bytes after the response");
        Some(response)
    }

    pub fn try_request<R: Request>(&mut self, request: &R, version: i16) -> Option<R::Response> {
        let frame = self.frame(request, version);
        self.socket.write_all(&frame).ok()?;
        self.receive::<R>(version, self.correlation)
    }

    pub fn request<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.try_request(request, version).expect("an answer")
    }

    pub fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let topic = create_topics_request::CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs
                .iter()
                .map(|(name, value)| create_topics_request::CreatableTopicConfig {
                    name: (*name).to_owned(),
                    value: Some((*value).to_owned()),
                })
                .collect(),
            ..Default::default()
        };
        let request =
            CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, validate_only: false };
        let response: CreateTopicsResponse = self.request(&request, 7);
        assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0]);
    }

    pub fn delete_topic(&mut self, name: &str) {
        let request = DeleteTopicsRequest {
            topic_names: vec![name.to_owned()],
            timeout_ms: 10_000,
            ..Default::default()
        };
        let response: DeleteTopicsResponse = self.request(&request, 5);
        assert_eq!(response.responses[0].error_code, 0, "{:?}", response.responses[0]);
    }

    /// Produces the given record bytes to one partition; version 9 goes by name.
    pub fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        acks: i16,
        records: Vec<u8>,
    ) -> Produced {
        let response: ProduceResponse =
            self.request(&produce_request(topic, partition, acks, records), 9);
        let partition = &response.responses[0].partition_responses[0];
        Produced { error: partition.error_code, offset: partition.base_offset }
    }

    pub fn latest_offset(&mut self, topic: &str, partition: i32) -> i64 {
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![list_offsets_request::ListOffsetsTopic {
                name: topic.to_owned(),
                partitions: vec![list_offsets_request::ListOffsetsPartition {
                    partition_index: partition,
                    timestamp: -1,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let response: ListOffsetsResponse = self.request(&request, 7);
        response.topics[0].partitions[0].offset
    }

    /// The record bytes from `offset` on, as many as one fetch gives.
    pub fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> (i16, Vec<u8>) {
        let response: FetchResponse = self.request(&fetch_request_of(topic, partition, offset), 11);
        let partition = &response.responses[0].partitions[0];
        (partition.error_code, partition.records.clone().unwrap_or_default())
    }
}

/// Sets keys of a topic.
pub fn alter_topic(client: &mut Client, topic: &str, configs: &[(&str, &str)]) {
    let config = |(name, value): &(&str, &str)| AlterableConfig {
        name: (*name).to_owned(),
        config_operation: 0,
        value: Some((*value).to_owned()),
    };
    let resource = AlterConfigsResource {
        resource_type: 2,
        resource_name: topic.to_owned(),
        configs: configs.iter().map(config).collect(),
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let response: IncrementalAlterConfigsResponse = client.request(&request, 1);
    let answer = &response.responses[0];
    assert_eq!(answer.error_code, 0, "{configs:?}: {answer:?}");
}

/// Every value of a partition from its start, up to where a fetch gives an error: that comes last.
pub fn read_values(client: &mut Client, topic: &str, partition: i32) -> (Vec<Vec<u8>>, i16) {
    let mut values = Vec::new();
    loop {
        let (error, bytes) = client.fetch(topic, partition, values.len() as i64);
        let mut rest = &bytes[..];
        let before = values.len();
        while let Ok((header, batch)) = BatchHeader::parse_whole(rest) {
            if !header.crc_is_valid(batch) {
                // What every consumer says of it.
                return (values, 2);
            }
            let codec = header.codec().expect("a codec");
            let unpacked = decompress(codec, &batch[BATCH_HEADER_BYTES..], 1 << 30);
            for record in records(&header, &unpacked.expect("unpacks")) {
                let record = record.expect("whole");
                if record.offset.0 == values.len() as i64 {
                    values.push(record.value.unwrap_or_default().to_vec());
                }
            }
            rest = &rest[header.size..];
        }
        if error != 0 || values.len() == before {
            return (values, error);
        }
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    pub error: i16,
    pub offset: i64,
}

pub fn produce_request(topic: &str, partition: i32, acks: i16, records: Vec<u8>) -> ProduceRequest {
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: topic.to_owned(),
            partition_data: vec![PartitionProduceData { index: partition, records: Some(records) }],
            ..Default::default()
        }],
    }
}

pub fn fetch_request_of(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    FetchRequest {
        replica_id: -1,
        max_wait_ms: 100,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![fetch_request::FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![fetch_request::FetchPartition {
                partition,
                current_leader_epoch: -1,
                fetch_offset: offset,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Milliseconds since 1970.
pub fn unix_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("after 1970").as_millis() as i64
}

/// A batch of these values; with a producer's id, epoch and first sequence if given.
pub fn batch(values: &[&[u8]], producer: Option<(i64, i16, i32)>) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.producer = producer.map(|(id, epoch, seq)| (ProducerId(id), ProducerEpoch(epoch), seq));
    for value in values {
        builder.append(unix_ms(), &RecordFields { value: Some(value), ..Default::default() });
    }
    builder.build().expect("uncompressed")
}

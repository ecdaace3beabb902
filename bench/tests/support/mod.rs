//! What the integration tests share: a node in a process of its own, and questions to it.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "tests start processes and open files")]

pub mod proxy;
pub mod runs;

use std::path::Path;
use std::process::{Command, Stdio};

use ringlog_bench::client::{Cluster, Connection, Endpoint, TopicSpec};
use ringlog_bench::client::{create_topic, wait_for_leaders};
use ringlog_bench::target::{Target, TargetKind, TargetSpec};
use ringlog_bench::uring_shard;
use ringlog_engine::batch::{BatchHeader, records};
use ringlog_engine::shard::Shard;
use ringlog_wire::messages::{
    FetchRequest, ListOffsetsRequest, fetch_request, list_offsets_request,
};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_ringlog-bench");
/// How long anything may take that should happen soon.
pub const PATIENCE_MS: u64 = 20_000;
/// Fetch v12 is the last that goes by names.
const FETCH_BY_NAME: i16 = 12;
const PARTITION_BYTES_MAX: i32 = 1 << 20;

/// Whether unmodified Kafka can be had here; a failure where it must be.
pub fn have_kafka() -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/kafka");
    let status = Command::new(script).arg("install").stdout(Stdio::null()).status();
    let java = Command::new("java").arg("-version").stderr(Stdio::null()).status();
    let there = status.expect("scripts/kafka").success() && java.is_ok_and(|java| java.success());
    if !there {
        let required = std::env::var("RINGLOG_REQUIRE_INTEROP").is_ok_and(|value| value == "1");
        assert!(!required, "Apache Kafka is required and cannot be had");
        eprintln!("SKIPPED: Apache Kafka cannot be had");
    }
    there
}

/// Runs a job on a shard of this thread.
pub fn on_shard<T: 'static, F>(job: impl FnOnce(Shard) -> F) -> T
where
    F: Future<Output = T> + 'static,
{
    let shard = uring_shard().expect("io_uring");
    shard.run(job(shard.clone()))
}

/// A node of its own, gone when the target is dropped.
pub async fn node(shard: &Shard, dir: &Path, properties: &[(&str, &str)]) -> Target {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let kind = TargetKind::Node;
    let spec = TargetSpec {
        label: kind.label(),
        kind,
        properties: properties.iter().map(own).collect(),
        nodes: 1,
        program: PROGRAM.into(),
        data_dir: dir.to_owned(),
        link: None,
    };
    spec.start(shard, None).await.expect("a node")
}

pub async fn connect(shard: &Shard, broker: &Endpoint) -> Connection {
    let deadline = shard.clock().plus_ms(PATIENCE_MS);
    Connection::open(shard, broker, "test", deadline).await.expect("a connection")
}

/// Makes a topic.
pub async fn topic(shard: &Shard, broker: &Endpoint, name: &str, partitions: i32) -> Cluster {
    let mut connection = connect(shard, broker).await;
    let spec = TopicSpec {
        name: name.to_owned(),
        partitions,
        replication_factor: -1,
        configs: Vec::new(),
    };
    create_topic(&mut connection, &spec).await.expect("a topic");
    let deadline = shard.clock().plus_ms(PATIENCE_MS);
    wait_for_leaders(shard, &mut connection, &spec, deadline).await.expect("leaders")
}

/// The end of each partition, as the broker says it.
pub async fn ends(shard: &Shard, broker: &Endpoint, topic: &str, partitions: i32) -> Vec<i64> {
    let mut connection = connect(shard, broker).await;
    let partition = |index| list_offsets_request::ListOffsetsPartition {
        partition_index: index,
        timestamp: -1,
        ..Default::default()
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![list_offsets_request::ListOffsetsTopic {
            name: topic.to_owned(),
            partitions: (0..partitions).map(partition).collect(),
        }],
        ..Default::default()
    };
    let mut response = connection.call(&request).await.expect("offsets");
    let mut found = response.topics.pop().expect("the topic").partitions;
    assert!(found.iter().all(|partition| partition.error_code == 0), "{found:?}");
    found.sort_by_key(|partition| partition.partition_index);
    found.iter().map(|partition| partition.offset).collect()
}

/// Every value of a partition, from its beginning; their offsets follow each other.
pub async fn values(
    shard: &Shard,
    broker: &Endpoint,
    topic: &str,
    partition: i32,
    end: i64,
) -> Vec<Vec<u8>> {
    let mut connection = connect(shard, broker).await;
    let mut values = Vec::new();
    while (values.len() as i64) < end {
        let request = fetch_request_of(topic, partition, values.len() as i64);
        let mut response = connection.call_version(&request, FETCH_BY_NAME).await.expect("records");
        let mut found = response.responses.pop().expect("the topic").partitions;
        let found = found.pop().expect("the partition");
        assert_eq!(found.error_code, 0);
        let bytes = found.records.expect("records");
        let before = values.len();
        take_values(&bytes, &mut values);
        assert!(values.len() > before, "a fetch below the end brings records");
    }
    values
}

fn fetch_request_of(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    FetchRequest {
        min_bytes: 1,
        max_bytes: PARTITION_BYTES_MAX,
        session_epoch: -1,
        topics: vec![fetch_request::FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![fetch_request::FetchPartition {
                partition,
                fetch_offset: offset,
                partition_max_bytes: PARTITION_BYTES_MAX,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The values of whole batches; a batch that is cut off is left for the next fetch.
fn take_values(mut bytes: &[u8], values: &mut Vec<Vec<u8>>) {
    while let Ok(header) = BatchHeader::parse(bytes) {
        if header.size > bytes.len() {
            return;
        }
        for record in
            records(&header, &bytes[ringlog_engine::batch::BATCH_HEADER_BYTES..header.size])
        {
            let record = record.expect("a valid record");
            assert_eq!(record.offset.0, values.len() as i64, "no gap and no duplicate");
            values.push(record.value.expect("a value").to_vec());
        }
        bytes = &bytes[header.size..];
    }
}

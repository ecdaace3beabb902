//! Topics for experiments.

use anyhow::{Result, bail, ensure};
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;
use ringlog_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ringlog_wire::messages::delete_topics_request::DeleteTopicState;
use ringlog_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ringlog_wire::messages::{CreateTopicsRequest, DeleteTopicsRequest, ListOffsetsRequest};
use ringlog_wire::{ApiKey, Uuid};

use super::cluster::{Cluster, fetch_cluster};
use super::connection::Connection;
use super::errors::{error_name, is_retriable};

const TOPIC_ALREADY_EXISTS: i16 = 36;
/// How long a broker may take to create or delete a topic.
const TOPIC_TIMEOUT_MS: i32 = 30_000;
/// In ListOffsets: where a log ends.
const LATEST: i64 = -1;
/// Pause between two looks at a topic that has no leaders yet.
const LOOK_AGAIN_MS: u64 = 20;

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas; -1 is the broker's default.
    pub replication_factor: i16,
    /// Topic configurations.
    pub configs: Vec<(String, String)>,
}

/// Creates a topic; one that is there already will do. A broker that cannot create topics is asked
/// whether it has it.
pub async fn create_topic(connection: &mut Connection, spec: &TopicSpec) -> Result<()> {
    let newest = *ApiKey::CreateTopics.request_versions().end();
    let Ok(version) = connection.version(ApiKey::CreateTopics, 2, newest) else { return Ok(()) };
    let config = |(name, value): &(String, String)| CreatableTopicConfig {
        name: name.clone(),
        value: Some(value.clone()),
    };
    let topic = CreatableTopic {
        name: spec.name.clone(),
        num_partitions: spec.partitions,
        replication_factor: spec.replication_factor,
        assignments: Vec::new(),
        configs: spec.configs.iter().map(config).collect(),
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: TOPIC_TIMEOUT_MS,
        validate_only: false,
    };
    let response = connection.call_version(&request, version).await?;
    for result in &response.topics {
        if result.error_code != 0 && result.error_code != TOPIC_ALREADY_EXISTS {
            let why = result.error_message.clone().unwrap_or_default();
            let code = error_name(result.error_code);
            bail!("topic {} cannot be created: {code} {why}", spec.name);
        }
    }
    Ok(())
}

/// Waits until every partition of a topic has a leader that knows of it.
pub async fn wait_for_leaders(
    shard: &Shard,
    connection: &mut Connection,
    spec: &TopicSpec,
    deadline: Mono,
) -> Result<Cluster> {
    loop {
        let cluster = fetch_cluster(connection, &spec.name).await?;
        if let Some(cluster) = cluster
            && !cluster.leaders.is_empty()
            && cluster.leaders.iter().all(Option::is_some)
        {
            let found = cluster.leaders.len();
            let wanted = spec.partitions;
            ensure!(
                i32::try_from(found) == Ok(wanted),
                "topic {} has {found} partitions, the profile asks for {wanted}",
                spec.name
            );
            if log_ends(shard, connection, &cluster, deadline).await?.is_some() {
                return Ok(cluster);
            }
        }
        let name = &spec.name;
        ensure!(shard.clock() < deadline, "topic {name} got no leaders in time");
        shard.sleep_ms(LOOK_AGAIN_MS).await;
    }
}

/// The end of each partition's log, as its leader says it; `None` if one has no log yet. Apache
/// Kafka shows a new topic a moment before: a producer whose first batch is refused then, and whose
/// next one is taken, repeats the first for ever, as a sequence out of order (KIP-360).
pub async fn log_ends(
    shard: &Shard,
    connection: &Connection,
    cluster: &Cluster,
    deadline: Mono,
) -> Result<Option<Vec<i64>>> {
    let mut ends = Vec::with_capacity(cluster.leaders.len());
    for (id, endpoint) in &cluster.brokers {
        let led = cluster.leaders.iter().enumerate().filter(|(_, leader)| **leader == Some(*id));
        let partitions = led.map(|(index, _)| ListOffsetsPartition {
            partition_index: index as i32,
            timestamp: LATEST,
            ..ListOffsetsPartition::default()
        });
        let partitions: Vec<_> = partitions.collect();
        if partitions.is_empty() {
            continue;
        }
        let client_id = connection.client_id();
        let mut leader = Connection::open(shard, endpoint, client_id, deadline).await?;
        // A broker that stores nothing has none to offer.
        let newest = *ApiKey::ListOffsets.request_versions().end();
        let Ok(version) = leader.version(ApiKey::ListOffsets, 1, newest) else { continue };
        let name = cluster.topic.name.clone();
        let topics = vec![ListOffsetsTopic { name, partitions }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let response = leader.call_version(&request, version).await?;
        let mut codes = response.topics.iter().flat_map(|topic| &topic.partitions);
        ends.extend(codes.clone().map(|partition| partition.offset));
        match codes.find(|partition| partition.error_code != 0) {
            None => {}
            Some(partition) if is_retriable(partition.error_code) => return Ok(None),
            Some(partition) => bail!(
                "topic {} partition {}: {}",
                cluster.topic.name,
                partition.partition_index,
                error_name(partition.error_code)
            ),
        }
    }
    Ok(Some(ends))
}

/// Deletes a topic, with what it stores.
pub async fn delete_topic(connection: &mut Connection, name: &str) -> Result<()> {
    let newest = *ApiKey::DeleteTopics.request_versions().end();
    let Ok(version) = connection.version(ApiKey::DeleteTopics, 1, newest) else { return Ok(()) };
    let topic_names = if version <= 5 { vec![name.to_owned()] } else { Vec::new() };
    let state = DeleteTopicState { name: Some(name.to_owned()), topic_id: Uuid::default() };
    let topics = if version >= 6 { vec![state] } else { Vec::new() };
    let request = DeleteTopicsRequest { topics, topic_names, timeout_ms: TOPIC_TIMEOUT_MS };
    let response = connection.call_version(&request, version).await?;
    let failed = response.responses.iter().find(|result| result.error_code != 0);
    match failed {
        Some(result) => bail!("topic {name} cannot be deleted: {}", error_name(result.error_code)),
        None => Ok(()),
    }
}

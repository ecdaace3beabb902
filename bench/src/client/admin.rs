//! Topics for experiments, and what brokers say of their own durability.

use anyhow::{Context, Result, bail, ensure};
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;
use ringlog_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ringlog_wire::messages::delete_topics_request::DeleteTopicState;
use ringlog_wire::messages::describe_configs_request::DescribeConfigsResource;
use ringlog_wire::messages::{CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest};
use ringlog_wire::{ApiKey, Uuid};

use super::cluster::{Cluster, fetch_cluster};
use super::connection::Connection;
use super::errors::error_name;

const TOPIC_ALREADY_EXISTS: i16 = 36;
/// The kind of resource that a broker is in DescribeConfigs.
const RESOURCE_BROKER: i8 = 4;
/// How long a broker may take to create or delete a topic.
const TOPIC_TIMEOUT_MS: i32 = 30_000;
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

/// Waits until every partition of a topic has a leader.
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
            return Ok(cluster);
        }
        let name = &spec.name;
        ensure!(shard.clock() < deadline, "topic {name} got no leaders in time");
        shard.sleep_ms(LOOK_AGAIN_MS).await;
    }
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

/// What an acknowledgement of this broker means: `sync` if a record is flushed before it,
/// `replicated` if it is in memory of the in-sync replicas, `unknown` if the broker does not say.
pub async fn broker_durability(connection: &mut Connection, node: i32) -> Result<String> {
    let keys = ["ringlog.durability", "log.flush.interval.messages"];
    let resource = DescribeConfigsResource {
        resource_type: RESOURCE_BROKER,
        resource_name: node.to_string(),
        configuration_keys: Some(keys.map(str::to_owned).to_vec()),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let response = connection.call(&request).await.context("the broker's durability")?;
    let configs = || response.results.iter().flat_map(|result| &result.configs);
    let value = |key: &str| {
        configs().find(|config| config.name == key).and_then(|config| config.value.clone())
    };
    if let Some(durability) = value(keys[0]) {
        return Ok(durability);
    }
    Ok(match value(keys[1]).as_deref() {
        Some("1") => "sync",
        Some(_) => "replicated",
        None => "unknown",
    }
    .to_owned())
}

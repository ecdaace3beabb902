//! [`Cluster`]: brokers and leaders, as Metadata tells them.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use ringlog_wire::messages::MetadataRequest;
use ringlog_wire::messages::metadata_request::MetadataRequestTopic;
use ringlog_wire::{ApiKey, Uuid};

use super::connection::Connection;
use super::endpoint::Endpoint;
use super::errors::{error_name, is_retriable};

/// A topic by its name and, from Metadata v10 on, its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicRef {
    /// Its name.
    pub name: String,
    /// Zero if the broker is too old to tell.
    pub id: Uuid,
}

/// Who leads the partitions of one topic, and where they are.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// The brokers by their ids.
    pub brokers: BTreeMap<i32, Endpoint>,
    /// The topic.
    pub topic: TopicRef,
    /// Each partition's leader, if it has one.
    pub leaders: Vec<Option<i32>>,
}

/// Asks for a topic; `None` if it does not exist (yet).
pub async fn fetch_cluster(connection: &mut Connection, topic: &str) -> Result<Option<Cluster>> {
    let newest = *ApiKey::Metadata.request_versions().end();
    // From version 4 on, asking does not create the topic.
    let version = connection.version(ApiKey::Metadata, 4, newest)?;
    let wanted = MetadataRequestTopic { topic_id: Uuid::default(), name: Some(topic.to_owned()) };
    let request = MetadataRequest {
        topics: Some(vec![wanted]),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    let response = connection.call_version(&request, version).await?;
    let mut brokers = BTreeMap::new();
    for broker in response.brokers {
        let port = u16::try_from(broker.port).unwrap_or(0);
        brokers.insert(broker.node_id, Endpoint { host: broker.host, port });
    }
    let Some(found) = response.topics.into_iter().next() else { return Ok(None) };
    match found.error_code {
        0 => {}
        code if is_retriable(code) => return Ok(None),
        code => bail!("topic {topic}: {}", error_name(code)),
    }
    let mut leaders = vec![None; found.partitions.len()];
    for partition in &found.partitions {
        let slot = usize::try_from(partition.partition_index).ok();
        let Some(leader) = slot.and_then(|index| leaders.get_mut(index)) else {
            bail!("topic {topic}: a partition numbered {}", partition.partition_index);
        };
        let known = brokers.contains_key(&partition.leader_id);
        *leader = (partition.error_code == 0 && known).then_some(partition.leader_id);
    }
    let topic = TopicRef { name: topic.to_owned(), id: found.topic_id };
    Ok(Some(Cluster { brokers, topic, leaders }))
}

/// The id of one of the brokers.
pub async fn any_broker(connection: &mut Connection) -> Result<i32> {
    let newest = *ApiKey::Metadata.request_versions().end();
    let version = connection.version(ApiKey::Metadata, 1, newest)?;
    let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
    let response = connection.call_version(&request, version).await?;
    match response.brokers.first() {
        Some(broker) => Ok(broker.node_id),
        None => bail!("the cluster has no brokers"),
    }
}

//! [`Durability`]: what an acknowledgement is worth.

use anyhow::{Context, Result, ensure};
use ringlog_wire::messages::DescribeConfigsRequest;
use ringlog_wire::messages::describe_configs_request::DescribeConfigsResource;
use serde::{Deserialize, Serialize};

use super::cluster::any_broker;
use super::connection::Connection;
use super::errors::error_name;

/// Kinds of resources in DescribeConfigs.
const RESOURCE_TOPIC: i8 = 2;
const RESOURCE_BROKER: i8 = 4;
/// What a Ringlog node promises for every topic; another broker does not have it.
const OF_A_NODE: &str = "ringlog.durability";
/// With 1, every batch is flushed before it is acknowledged. Kafka's brokers have the first as the
/// default of the second.
const OF_A_BROKER: &str = "log.flush.interval.messages";
const OF_A_TOPIC: &str = "flush.messages";

/// What an acknowledgement can mean, the weakest first.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing is stored.
    None,
    /// The broker does not say.
    #[default]
    Unknown,
    /// A record is in the memory of the in-sync replicas: it survives the end of a process.
    Replicated,
    /// A record was flushed to the device: it survives a power cut.
    Sync,
}

impl std::str::FromStr for Durability {
    type Err = anyhow::Error;

    /// One that a run can ask for.
    fn from_str(text: &str) -> Result<Durability> {
        let asked = [Durability::Replicated, Durability::Sync];
        let found = asked.into_iter().find(|durability| durability.name() == text);
        found.with_context(|| format!("{text}: expected \"replicated\" or \"sync\""))
    }
}

impl Durability {
    /// As profiles and results spell it.
    pub fn name(self) -> &'static str {
        match self {
            Durability::None => "none",
            Durability::Unknown => "unknown",
            Durability::Replicated => "replicated",
            Durability::Sync => "sync",
        }
    }

    /// The same in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Durability::Sync => {
                "A record is acknowledged after it was flushed to the device: it survives a power \
                 cut."
            }
            Durability::Replicated => {
                "A record is acknowledged when it is in the page cache of the in-sync replicas: it \
                 survives the end of the process, not a power cut of all of them."
            }
            Durability::None => "Nothing is stored: this is what the load generator reaches alone.",
            Durability::Unknown => "The broker does not say what its acknowledgement means.",
        }
    }
}

impl std::fmt::Display for Durability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What acknowledgements mean for a topic, as the broker's configurations say it; without a topic,
/// for one that has no configurations of its own.
pub async fn durability_of(connection: &mut Connection, topic: Option<&str>) -> Result<Durability> {
    let node = any_broker(connection).await?;
    let resource = |kind, name: String, keys: &[&str]| DescribeConfigsResource {
        resource_type: kind,
        resource_name: name,
        configuration_keys: Some(keys.iter().map(|key| (*key).to_owned()).collect()),
    };
    let mut resources =
        vec![resource(RESOURCE_BROKER, node.to_string(), &[OF_A_NODE, OF_A_BROKER])];
    resources.extend(topic.map(|topic| resource(RESOURCE_TOPIC, topic.to_owned(), &[OF_A_TOPIC])));
    let request = DescribeConfigsRequest { resources, ..Default::default() };
    let response = connection.call(&request).await.context("the durability of the broker")?;
    if let Some(refused) = response.results.iter().find(|result| result.error_code != 0) {
        let (name, code) = (&refused.resource_name, error_name(refused.error_code));
        ensure!(false, "the configurations of {name}: {code}");
    }
    let configs = || response.results.iter().flat_map(|result| &result.configs);
    let value = |key: &str| configs().find(|config| config.name == key)?.value.clone();
    let flushes = |key: &str| value(key).map(|value| value == "1");
    Ok(judge(value(OF_A_NODE).as_deref(), flushes(OF_A_BROKER), flushes(OF_A_TOPIC)))
}

/// By what a node promises, and whether broker and topic flush every record.
fn judge(node: Option<&str>, broker: Option<bool>, topic: Option<bool>) -> Durability {
    // What a topic does not say for itself it has from its broker.
    match (node, topic.or(broker)) {
        (Some("sync"), _) | (_, Some(true)) => Durability::Sync,
        (Some(_), _) | (None, Some(false)) => Durability::Replicated,
        (None, None) => Durability::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_says_more_than_its_broker() {
        use Durability::{Replicated, Sync, Unknown};
        for (node, broker, topic, expected) in [
            (None, None, None, Unknown),
            (None, Some(false), None, Replicated),
            (None, Some(true), None, Sync),
            (None, Some(false), Some(true), Sync),
            // Its own flush.messages is not 1: it is not flushed, whatever its broker's default.
            (None, Some(true), Some(false), Replicated),
            (Some("replicated"), Some(false), Some(false), Replicated),
            (Some("replicated"), Some(false), Some(true), Sync),
            (Some("sync"), Some(false), Some(false), Sync),
        ] {
            assert_eq!(judge(node, broker, topic), expected, "{node:?} {broker:?} {topic:?}");
        }
        assert!(Durability::None < Unknown && Unknown < Replicated && Replicated < Sync);
    }
}

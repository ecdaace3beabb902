//! Changes of configs: what becomes of IncrementalAlterConfigs and AlterConfigs (Kafka's
//! `ConfigurationControlManager`).

use ringlog_wire::records::metadata::{ConfigRecord, MetadataRecord};

use super::topics::{TopicFault, validate_topic_name};
use crate::config::{
    AlterOp, BrokerConfig, Changes, ConfigError, ConfigErrorKind, Level, Overrides, Resource,
    apply_changes, apply_incremental, apply_legacy, shown_overrides, stored_changes,
    validate_client_metrics, validate_group_overrides, validate_topic_overrides,
};
use crate::error_code::ErrorCode;
use crate::metadata::MetadataImage;

/// Kinds of resources, by the metadata log's and the protocol's numbers.
pub const RESOURCE_TOPIC: i8 = 2;
/// A broker, or all of them.
pub const RESOURCE_BROKER: i8 = 4;
/// The loggers of a broker, which no record knows.
pub const RESOURCE_BROKER_LOGGER: i8 = 8;
/// A client metrics subscription.
pub const RESOURCE_CLIENT_METRICS: i8 = 16;
/// A group.
pub const RESOURCE_GROUP: i8 = 32;

/// What a resource's configs shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewConfigs {
    /// As they are, but for these.
    Incremental(Vec<(String, AlterOp)>),
    /// Only these.
    Whole(Overrides),
}

/// A resource whose configs are to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfigs {
    /// Its kind.
    pub kind: i8,
    /// Its name.
    pub name: String,
    /// What they shall be.
    pub configs: NewConfigs,
}

fn fault(error: ErrorCode, message: impl Into<String>) -> TopicFault {
    TopicFault { error, message: Some(message.into()) }
}

/// Kafka's code for a refused config.
pub(super) fn config_fault(error: &ConfigError) -> TopicFault {
    let code = match error.kind() {
        ConfigErrorKind::InvalidRequest => ErrorCode::InvalidRequest,
        ConfigErrorKind::InvalidConfig => ErrorCode::InvalidConfig,
        ConfigErrorKind::Unexpected => ErrorCode::UnknownServerError,
    };
    fault(code, error.message())
}

/// Decides on all of them: the records, and what becomes of each.
pub fn alter_configs(
    image: &MetadataImage,
    config: &BrokerConfig,
    node_id: i32,
    resources: &[AlterConfigs],
) -> (Vec<MetadataRecord>, Vec<Result<(), TopicFault>>) {
    let (mut records, mut outcomes) = (Vec::new(), Vec::with_capacity(resources.len()));
    for resource in resources {
        let decided = alter(image, config, node_id, resource);
        outcomes.push(decided.map(|changes| {
            records.extend(changes.into_iter().map(|(name, value)| {
                let (resource_type, resource_name) = (resource.kind, resource.name.clone());
                MetadataRecord::from(ConfigRecord { resource_type, resource_name, name, value })
            }));
        }));
    }
    (records, outcomes)
}

fn alter(
    image: &MetadataImage,
    config: &BrokerConfig,
    node_id: i32,
    resource: &AlterConfigs,
) -> Result<Changes, TopicFault> {
    let AlterConfigs { kind, name, configs } = resource;
    let stored = image.configs(*kind, name);
    let (what, current) = match *kind {
        RESOURCE_TOPIC => (Resource::Topic, shown_overrides(&stored)),
        RESOURCE_BROKER => (Resource::Broker, stored.clone()),
        RESOURCE_CLIENT_METRICS => (Resource::ClientMetrics, stored.clone()),
        RESOURCE_GROUP => (Resource::Group, stored.clone()),
        other => {
            let message = format!("Unknown resource type {other}");
            return Err(fault(ErrorCode::InvalidRequest, message));
        }
    };
    if what == Resource::Broker {
        check_node(name, node_id)?;
    }
    let changes = match configs {
        NewConfigs::Incremental(ops) => apply_incremental(what, &current, ops),
        NewConfigs::Whole(new) => apply_legacy(what, &current, new),
    };
    let changes = changes.map_err(|error| config_fault(&error))?;
    let new = apply_changes(&current, &changes);
    let valid = match what {
        Resource::Topic if name.is_empty() => {
            Err(ConfigError::request("Default topic resources are not allowed."))
        }
        Resource::Topic => {
            validate_topic_name(name).map_err(|m| fault(ErrorCode::InvalidTopicException, m))?;
            validate_topic_overrides(config.current(), &current, &new)
        }
        Resource::Broker if name.is_empty() => {
            config.validate_overrides(Level::ClusterDefault, &new)
        }
        Resource::Broker => config.validate_overrides(Level::Broker, &new),
        Resource::Group if name.is_empty() => {
            Err(ConfigError::request("Default group resources are not allowed."))
        }
        Resource::Group => validate_group_overrides(config.current(), &new),
        Resource::ClientMetrics => validate_client_metrics(name, &new),
    };
    valid.map_err(|error| config_fault(&error))?;
    if what == Resource::Topic && image.topic_by_name(name).is_none() {
        let message = format!("The topic '{name}' does not exist.");
        return Err(fault(ErrorCode::UnknownTopicOrPartition, message));
    }
    Ok(if what == Resource::Topic { stored_changes(&stored, &changes) } else { changes })
}

/// A broker takes changes of its own configs and of the default of all.
fn check_node(name: &str, node_id: i32) -> Result<(), TopicFault> {
    let refuse = |message| Err(fault(ErrorCode::InvalidRequest, message));
    match name.parse::<i32>() {
        _ if name.is_empty() => Ok(()),
        Ok(id) if id == node_id => Ok(()),
        Ok(_) => refuse(format!("Unexpected broker id, expected {node_id}, but received {name}")),
        Err(_) => refuse(format!("Node id must be an integer, but it is: {name}")),
    }
}

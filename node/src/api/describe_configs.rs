//! DescribeConfigs, for topics and brokers.

use std::collections::BTreeMap;

use ringlog_wire::messages::describe_configs_request::DescribeConfigsResource;
use ringlog_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use ringlog_wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::config::{ConfigError, Described, Source, describe_client_metrics, describe_group};
use crate::controller::{
    RESOURCE_BROKER, RESOURCE_BROKER_LOGGER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP,
    RESOURCE_TOPIC, validate_topic_name,
};
use crate::error_code::ErrorCode;
use crate::loggers::{self, LogLevel};

type Found = Result<Vec<Described>, (ErrorCode, String)>;

pub(super) fn answer(broker: &Broker, incoming: &Incoming) -> Option<Outcome> {
    let request: DescribeConfigsRequest = incoming.decode()?;
    // A resource named twice is answered once.
    let mut resources: BTreeMap<(i8, String), &DescribeConfigsResource> = BTreeMap::new();
    for resource in &request.resources {
        resources
            .entry((resource.resource_type, resource.resource_name.clone()))
            .or_insert(resource);
    }
    let results = resources.into_values().map(|resource| {
        let found = match resource.resource_type {
            RESOURCE_TOPIC => topic(broker, &resource.resource_name),
            RESOURCE_BROKER => node(broker, &resource.resource_name),
            RESOURCE_BROKER_LOGGER => broker_loggers(broker, &resource.resource_name),
            RESOURCE_GROUP => group(broker, &resource.resource_name),
            RESOURCE_CLIENT_METRICS => client_metrics(broker, &resource.resource_name),
            other => {
                tracing::debug!(resource_type = other, "unsupported_resource_type");
                let message = "This most likely occurs because of a request being malformed by \
                               the client library or the message was sent to an incompatible \
                               broker. See the broker logs for more details.";
                Err((ErrorCode::InvalidRequest, message.to_owned()))
            }
        };
        result(&request, resource, found)
    });
    let results = results.collect();
    Some(incoming.respond(&DescribeConfigsResponse { results, throttle_time_ms: 0 }))
}

fn topic(broker: &Broker, name: &str) -> Found {
    if let Err(message) = validate_topic_name(name) {
        return Err((ErrorCode::InvalidTopicException, message));
    }
    let image = broker.image();
    if image.topic_by_name(name).is_none() {
        return Err((ErrorCode::UnknownTopicOrPartition, String::new()));
    }
    let stored = image.configs(RESOURCE_TOPIC, name);
    broker
        .config()
        .describe_topic(&stored)
        .map_err(|error| (ErrorCode::InvalidConfig, error.message().to_owned()))
}

fn node(broker: &Broker, name: &str) -> Found {
    let own = broker.settings.node_id;
    match name.parse::<i32>() {
        _ if name.is_empty() => Ok(broker.config().describe_cluster_default()),
        Ok(id) if id == own => Ok(broker.config().describe()),
        Ok(id) => Err((
            ErrorCode::InvalidRequest,
            format!("Unexpected broker id, expected {own} or empty string, but received {id}"),
        )),
        Err(_) => Err((
            ErrorCode::InvalidRequest,
            format!("Broker id must be an integer, but it is: {name}"),
        )),
    }
}

fn broker_loggers(broker: &Broker, name: &str) -> Found {
    let refuse = |message: String| Err((ErrorCode::InvalidRequest, message));
    let own = broker.settings.node_id;
    match name.parse::<i32>() {
        Ok(id) if id == own => Ok(loggers::all().into_iter().map(logger).collect()),
        Ok(id) => refuse(format!("Unexpected broker id, expected {own} but received {id}")),
        Err(_) if name.is_empty() => refuse("Broker id must not be empty".to_owned()),
        Err(_) => refuse(format!("Broker id must be an integer, but it is: {name}")),
    }
}

fn logger((name, level): (String, LogLevel)) -> Described {
    Described {
        name,
        value: Some(level.name().to_owned()),
        source: Source::BrokerLogger,
        read_only: false,
        sensitive: false,
        kind: None,
        synonyms: Vec::new(),
        documentation: Some(""),
    }
}

fn group(broker: &Broker, name: &str) -> Found {
    if name.is_empty() {
        return Err((ErrorCode::InvalidRequest, "Group name must not be empty".to_owned()));
    }
    let stored = broker.image().configs(RESOURCE_GROUP, name);
    describe_group(broker.config().current(), &stored).map_err(unreadable)
}

fn client_metrics(broker: &Broker, name: &str) -> Found {
    if name.is_empty() {
        let message = "Client metrics subscription name must not be empty";
        return Err((ErrorCode::InvalidRequest, message.to_owned()));
    }
    let stored = broker.image().configs(RESOURCE_CLIENT_METRICS, name);
    describe_client_metrics(&stored).map_err(unreadable)
}

/// What is stored was checked then, but perhaps by another version.
fn unreadable(error: ConfigError) -> (ErrorCode, String) {
    (ErrorCode::InvalidConfig, error.message().to_owned())
}

fn result(
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
    found: Found,
) -> DescribeConfigsResult {
    let mut result = DescribeConfigsResult {
        error_code: ErrorCode::None.code(),
        error_message: Some(String::new()),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs: Vec::new(),
    };
    match found {
        Ok(entries) => {
            let wanted = |name: &String| {
                let keys = resource.configuration_keys.as_ref();
                keys.is_none_or(|keys| keys.is_empty() || keys.contains(name))
            };
            let entries = entries.into_iter().filter(|entry| wanted(&entry.name));
            result.configs = entries.map(|entry| config(request, entry)).collect();
        }
        Err((error, message)) => {
            result.error_code = error.code();
            result.error_message = Some(message);
        }
    }
    result
}

fn documentation(request: &DescribeConfigsRequest, entry: &Described) -> Option<String> {
    // Loggers have an empty one, whether it is asked for or not.
    let asked = request.include_documentation || entry.source == Source::BrokerLogger;
    entry.documentation.filter(|_| asked).map(str::to_owned)
}

fn config(request: &DescribeConfigsRequest, entry: Described) -> DescribeConfigsResourceResult {
    let synonyms = match request.include_synonyms {
        true => entry
            .synonyms
            .iter()
            .map(|synonym| DescribeConfigsSynonym {
                name: synonym.name.clone(),
                value: synonym.value.clone(),
                source: synonym.source.wire_id(),
            })
            .collect(),
        false => Vec::new(),
    };
    DescribeConfigsResourceResult {
        config_source: entry.source.wire_id(),
        config_type: entry.config_type(),
        documentation: documentation(request, &entry),
        synonyms,
        read_only: entry.read_only,
        is_sensitive: entry.sensitive,
        name: entry.name,
        value: entry.value,
    }
}

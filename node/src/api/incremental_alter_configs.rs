//! IncrementalAlterConfigs: single configs are set, deleted, and changed as lists (KIP-339).

use std::rc::Rc;

use ringlog_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use ringlog_wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use ringlog_wire::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::configs::{Wanted, alter_all, check};
use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::config::AlterOp;
use crate::controller::{NewConfigs, RESOURCE_BROKER_LOGGER};
use crate::error_code::ErrorCode;
use crate::loggers::{self, LogLevel, ROOT};

/// Why something is refused.
type Fault = (ErrorCode, Option<String>);

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: IncrementalAlterConfigsRequest = incoming.decode()?;
    let node_id = broker.settings.node_id;
    let wanted = request.resources.iter();
    let wanted =
        wanted.map(|r| (r.resource_type, r.resource_name.clone(), wanted_of(r, node_id))).collect();
    let outcomes = alter_all(broker, incoming, wanted, request.validate_only).await;
    let responses = request.resources.into_iter().zip(outcomes);
    let responses = responses.map(|(resource, (error, message))| AlterConfigsResourceResponse {
        error_code: error.code(),
        error_message: message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
    });
    let responses = responses.collect();
    Some(incoming.respond(&IncrementalAlterConfigsResponse { responses, throttle_time_ms: 0 }))
}

fn wanted_of(resource: &AlterConfigsResource, node_id: i32) -> Wanted {
    if let Err(message) = check_names(resource) {
        return Wanted::Refused(ErrorCode::InvalidRequest, Some(message));
    }
    match resource.resource_type {
        RESOURCE_BROKER_LOGGER => match broker_loggers(resource, node_id) {
            Ok(levels) => Wanted::Loggers(levels),
            Err((error, message)) => Wanted::Refused(error, message),
        },
        _ => Wanted::of(configs(resource)),
    }
}

fn check_names(resource: &AlterConfigsResource) -> Result<(), String> {
    let names: Vec<&str> = resource.configs.iter().map(|c| c.name.as_str()).collect();
    let null = resource.configs.iter();
    let null = null.filter(|c| c.config_operation != DELETE && c.value.is_none());
    check(&names, &null.map(|c| c.name.as_str()).collect::<Vec<_>>())
}

fn configs(resource: &AlterConfigsResource) -> Result<NewConfigs, String> {
    let ops = resource.configs.iter().map(|config| {
        let value = config.value.clone().unwrap_or_default();
        let op = match config.config_operation {
            SET => AlterOp::Set(value),
            DELETE => AlterOp::Delete,
            APPEND => AlterOp::Append(value),
            SUBTRACT => AlterOp::Subtract(value),
            other => return Err(format!("Unknown operations type {other}")),
        };
        Ok((config.name.clone(), op))
    });
    ops.collect::<Result<_, _>>().map(NewConfigs::Incremental)
}

/// Levels of loggers, checked whole before one is set.
fn broker_loggers(
    resource: &AlterConfigsResource,
    node_id: i32,
) -> Result<Vec<(String, Option<LogLevel>)>, Fault> {
    let name = &resource.resource_name;
    match name.parse::<i32>() {
        Ok(id) if id == node_id => {}
        Ok(id) => {
            return Err(invalid(format!(
                "Unexpected node id. Expected {node_id}, but received {id}"
            )));
        }
        Err(_) => return Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
    }
    let known = loggers::all();
    let levels = resource.configs.iter().map(|config| {
        let level = level_of(config, known.contains_key(&config.name))?;
        Ok((config.name.clone(), level))
    });
    levels.collect()
}

fn invalid(message: String) -> Fault {
    (ErrorCode::InvalidRequest, Some(message))
}

/// The level that a logger shall have; none is to have none of its own.
fn level_of(config: &AlterableConfig, exists: bool) -> Result<Option<LogLevel>, Fault> {
    let logger = &config.name;
    let unable =
        |op| invalid(format!("{op} operation is not allowed for the BROKER_LOGGER resource"));
    match config.config_operation {
        SET | DELETE if !exists => {
            let message = format!("Logger {logger} does not exist!");
            Err((ErrorCode::InvalidConfig, Some(message)))
        }
        DELETE if logger == ROOT => {
            let message = "Removing the log level of the root logger is not allowed";
            Err(invalid(message.to_owned()))
        }
        DELETE => Ok(None),
        SET => {
            let value = config.value.as_deref().unwrap_or_default();
            let unknown = || {
                let message = format!(
                    "Cannot set the log level of {logger} to {value} as it is not a supported \
                     log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"
                );
                (ErrorCode::InvalidConfig, Some(message))
            };
            LogLevel::parse(value).map(Some).ok_or_else(unknown)
        }
        APPEND => Err(unable("APPEND")),
        SUBTRACT => Err(unable("SUBTRACT")),
        // Kafka stumbles over it here.
        _ => Err((ErrorCode::UnknownServerError, None)),
    }
}

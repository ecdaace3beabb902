//! IncrementalAlterConfigs: single configs are set, deleted, and changed as lists (KIP-339).

use std::rc::Rc;

use ringlog_wire::messages::incremental_alter_configs_request::AlterConfigsResource;
use ringlog_wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use ringlog_wire::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::configs::{Wanted, alter_all, check};
use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::config::AlterOp;
use crate::controller::NewConfigs;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: IncrementalAlterConfigsRequest = incoming.decode()?;
    let wanted: Vec<Wanted> = request
        .resources
        .iter()
        .map(|r| (r.resource_type, r.resource_name.clone(), wanted(r)))
        .collect();
    let outcomes = alter_all(broker, wanted, request.validate_only).await;
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

fn wanted(resource: &AlterConfigsResource) -> Result<NewConfigs, String> {
    let names: Vec<&str> = resource.configs.iter().map(|c| c.name.as_str()).collect();
    let null = resource.configs.iter();
    let null = null.filter(|c| c.config_operation != DELETE && c.value.is_none());
    check(&names, &null.map(|c| c.name.as_str()).collect::<Vec<_>>())?;
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

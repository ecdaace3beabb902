//! AlterConfigs: all configs of a resource at once. What is not named is as if it had never been.

use std::rc::Rc;

use ringlog_wire::messages::alter_configs_request::AlterConfigsResource;
use ringlog_wire::messages::alter_configs_response::AlterConfigsResourceResponse;
use ringlog_wire::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::configs::{Wanted, alter_all, check};
use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::controller::NewConfigs;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: AlterConfigsRequest = incoming.decode()?;
    let wanted = request.resources.iter();
    let wanted = wanted
        .map(|r| (r.resource_type, r.resource_name.clone(), Wanted::of(wanted_configs(r))))
        .collect();
    let outcomes = alter_all(broker, incoming, wanted, request.validate_only).await;
    let responses = request.resources.into_iter().zip(outcomes);
    let responses = responses.map(|(resource, (error, message))| AlterConfigsResourceResponse {
        error_code: error.code(),
        error_message: message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
    });
    let responses = responses.collect();
    Some(incoming.respond(&AlterConfigsResponse { responses, throttle_time_ms: 0 }))
}

fn wanted_configs(resource: &AlterConfigsResource) -> Result<NewConfigs, String> {
    let names: Vec<&str> = resource.configs.iter().map(|c| c.name.as_str()).collect();
    let null = resource.configs.iter().filter(|config| config.value.is_none());
    check(&names, &null.map(|c| c.name.as_str()).collect::<Vec<_>>())?;
    let configs = resource.configs.iter();
    let configs = configs.filter_map(|c| Some((c.name.clone(), c.value.clone()?)));
    Ok(NewConfigs::Whole(configs.collect()))
}

//! ListConfigResources: what has configs (KIP-1142; before, only client metrics were listed).

use std::collections::BTreeSet;

use ringlog_wire::messages::list_config_resources_response::ConfigResource;
use ringlog_wire::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::{Incoming, Outcome};
use crate::broker::Broker;
use crate::controller::{RESOURCE_BROKER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP, RESOURCE_TOPIC};
use crate::error_code::ErrorCode;

const RESOURCE_BROKER_LOGGER: i8 = 8;
/// In the order in which they are listed.
const KINDS: [i8; 5] = [
    RESOURCE_GROUP,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_BROKER,
    RESOURCE_TOPIC,
];

pub(super) fn answer(broker: &Broker, incoming: &Incoming) -> Option<Outcome> {
    let request: ListConfigResourcesRequest = incoming.decode()?;
    let supported = match incoming.header.version {
        0 => &[RESOURCE_CLIENT_METRICS][..],
        _ => &KINDS[..],
    };
    let asked = &request.resource_types;
    if asked.iter().any(|kind| !supported.contains(kind)) {
        let error_code = ErrorCode::UnsupportedVersion.code();
        let refused = ListConfigResourcesResponse { error_code, ..Default::default() };
        return Some(incoming.respond(&refused));
    }
    let wanted = |kind: &i8| supported.contains(kind) && (asked.is_empty() || asked.contains(kind));
    let mut config_resources = Vec::new();
    for resource_type in KINDS.into_iter().filter(wanted) {
        let names = names(broker, resource_type).into_iter();
        config_resources
            .extend(names.map(|resource_name| ConfigResource { resource_name, resource_type }));
    }
    Some(incoming.respond(&ListConfigResourcesResponse { config_resources, ..Default::default() }))
}

fn names(broker: &Broker, kind: i8) -> BTreeSet<String> {
    let image = broker.image();
    match kind {
        RESOURCE_TOPIC => image.topics_by_name().map(|topic| topic.name.clone()).collect(),
        RESOURCE_BROKER | RESOURCE_BROKER_LOGGER => {
            let alive = image.brokers.values().filter(|broker| !broker.fenced);
            alive.map(|broker| broker.broker_id.to_string()).collect()
        }
        kind => {
            let with_configs = image.config_resources().filter(|(of, _)| *of == kind);
            with_configs.map(|(_, name)| name.clone()).collect()
        }
    }
}

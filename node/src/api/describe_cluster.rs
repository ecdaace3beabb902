//! DescribeCluster (KIP-700, KIP-919, KIP-1073).

use ringlog_wire::messages::describe_cluster_response::DescribeClusterBroker;
use ringlog_wire::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::{CLUSTER_OPERATIONS, Incoming, Outcome, RequestContext};
use crate::broker::{Broker, ListenerKind};
use crate::error_code::ErrorCode;

const ENDPOINTS_OF_BROKERS: i8 = 1;
const ENDPOINTS_OF_CONTROLLERS: i8 = 2;

/// A kind of endpoint by its number, and Kafka's name of it.
fn name_of(endpoint_type: i8) -> Option<&'static str> {
    match endpoint_type {
        ENDPOINTS_OF_BROKERS => Some("BROKER"),
        ENDPOINTS_OF_CONTROLLERS => Some("CONTROLLER"),
        _ => None,
    }
}

pub(super) fn answer(
    broker: &Broker,
    context: &RequestContext,
    incoming: &Incoming,
) -> Option<Outcome> {
    let request: DescribeClusterRequest = incoming.decode()?;
    let refused = |error: ErrorCode, message: &str| {
        Some(incoming.respond(&DescribeClusterResponse {
            error_code: error.code(),
            error_message: Some(message.to_owned()),
            ..DescribeClusterResponse::default()
        }))
    };
    let Some(wanted) = name_of(request.endpoint_type) else {
        let message = format!("Unsupported endpoint type {}", request.endpoint_type);
        // Version 0 knows of no types: its clients would not know the code.
        return refused(
            match incoming.header.version {
                0 => ErrorCode::InvalidRequest,
                _ => ErrorCode::UnsupportedEndpointType,
            },
            &message,
        );
    };
    let endpoint_type = match context.kind {
        ListenerKind::Broker => ENDPOINTS_OF_BROKERS,
        ListenerKind::Controller => ENDPOINTS_OF_CONTROLLERS,
    };
    if request.endpoint_type != endpoint_type {
        let own = name_of(endpoint_type).expect("one of the two");
        let message = format!(
            "The request was sent to an endpoint of type {own}, but we wanted an endpoint of type \
             {wanted}"
        );
        return refused(
            match incoming.header.version {
                0 => ErrorCode::InvalidRequest,
                _ => ErrorCode::MismatchedEndpointType,
            },
            &message,
        );
    }
    let listener = &broker.settings.listeners[context.listener].name;
    let nodes = match context.kind {
        ListenerKind::Broker => brokers_at(broker, listener, request.include_fenced_brokers),
        ListenerKind::Controller => controllers_at(broker, listener),
    };
    // A controller without an endpoint here is told to nobody.
    let node_id = broker.settings.node_id;
    let controller_id = match nodes.iter().any(|node| node.broker_id == node_id) {
        true => node_id,
        false => -1,
    };
    Some(incoming.respond(&DescribeClusterResponse {
        error_code: ErrorCode::None.code(),
        endpoint_type,
        cluster_id: broker.settings.cluster_id.clone(),
        controller_id,
        brokers: nodes,
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            true => CLUSTER_OPERATIONS,
            false => i32::MIN,
        },
        ..DescribeClusterResponse::default()
    }))
}

fn brokers_at(broker: &Broker, listener: &str, fenced_too: bool) -> Vec<DescribeClusterBroker> {
    let image = broker.image();
    let wanted = image.brokers.values().filter(|b| fenced_too || !b.fenced);
    let nodes = wanted.filter_map(|b| {
        let endpoint = b.end_points.iter().find(|e| e.name == listener)?;
        Some(DescribeClusterBroker {
            broker_id: b.broker_id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: b.rack.clone(),
            is_fenced: b.fenced,
        })
    });
    nodes.collect()
}

fn controllers_at(broker: &Broker, listener: &str) -> Vec<DescribeClusterBroker> {
    let image = broker.image();
    let nodes = image.controllers.values().filter_map(|c| {
        let endpoint = c.end_points.iter().find(|e| e.name == listener)?;
        Some(DescribeClusterBroker {
            broker_id: c.controller_id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            ..DescribeClusterBroker::default()
        })
    });
    nodes.collect()
}

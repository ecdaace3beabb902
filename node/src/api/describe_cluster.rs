//! DescribeCluster (KIP-700, KIP-919, KIP-1073).

use ringlog_wire::messages::describe_cluster_response::DescribeClusterBroker;
use ringlog_wire::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::{CLUSTER_OPERATIONS, Incoming, Outcome, RequestContext};
use crate::broker::Broker;
use crate::error_code::ErrorCode;

const ENDPOINTS_OF_BROKERS: i8 = 1;
const ENDPOINTS_OF_CONTROLLERS: i8 = 2;

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
    match request.endpoint_type {
        ENDPOINTS_OF_BROKERS => {}
        ENDPOINTS_OF_CONTROLLERS => {
            return refused(
                ErrorCode::MismatchedEndpointType,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of \
                 type CONTROLLER",
            );
        }
        other => {
            let message = format!("Unsupported endpoint type {other}");
            return refused(ErrorCode::UnsupportedEndpointType, &message);
        }
    }
    let image = broker.image();
    let listener = &broker.settings.listeners[context.listener].name;
    let wanted = image.brokers.values().filter(|b| request.include_fenced_brokers || !b.fenced);
    let brokers = wanted.filter_map(|b| {
        let endpoint = b.end_points.iter().find(|e| e.name == *listener)?;
        Some(DescribeClusterBroker {
            broker_id: b.broker_id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: b.rack.clone(),
            is_fenced: b.fenced,
        })
    });
    Some(incoming.respond(&DescribeClusterResponse {
        error_code: ErrorCode::None.code(),
        endpoint_type: ENDPOINTS_OF_BROKERS,
        cluster_id: broker.settings.cluster_id.clone(),
        controller_id: broker.settings.node_id,
        brokers: brokers.collect(),
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            true => CLUSTER_OPERATIONS,
            false => i32::MIN,
        },
        ..DescribeClusterResponse::default()
    }))
}

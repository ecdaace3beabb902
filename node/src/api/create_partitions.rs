//! CreatePartitions.

use std::rc::Rc;

use ringlog_wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use ringlog_wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::{Incoming, Outcome};
use crate::broker::{Broker, ControlCall, ControlReply};
use crate::error_code::ErrorCode;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: CreatePartitionsRequest = incoming.decode()?;
    let repeated = |name: &str| request.topics.iter().filter(|t| t.name == name).count() > 1;
    let topics: Vec<_> = request
        .topics
        .iter()
        .filter(|topic| !repeated(&topic.name))
        .map(|topic| {
            let assignments = topic.assignments.as_ref();
            let brokers = assignments.map(|a| a.iter().map(|a| a.broker_ids.clone()).collect());
            (topic.name.clone(), topic.count, brokers)
        })
        .collect();
    let names: Vec<String> = topics.iter().map(|(name, ..)| name.clone()).collect();
    let validate_only = request.validate_only;
    let call = ControlCall::CreatePartitions { topics, validate_only };
    let outcomes = match broker.control(call).await {
        ControlReply::Partitions(outcomes) => outcomes,
        ControlReply::Refused(fault) => names.iter().map(|_| Err(fault.clone())).collect(),
        _ => unreachable!("creating partitions gives partitions"),
    };
    let mut results: Vec<CreatePartitionsTopicResult> = Vec::new();
    for topic in &request.topics {
        if results.iter().any(|result| result.name == topic.name) {
            continue;
        }
        let outcome = names.iter().position(|name| *name == topic.name).map(|at| &outcomes[at]);
        let (error, error_message) = match outcome {
            Some(Ok(())) => (ErrorCode::None, None),
            Some(Err(fault)) => (fault.error, fault.message.clone()),
            None => (ErrorCode::InvalidRequest, Some("Duplicate topic name.".to_owned())),
        };
        results.push(CreatePartitionsTopicResult {
            name: topic.name.clone(),
            error_code: error.code(),
            error_message,
        });
    }
    Some(incoming.respond(&CreatePartitionsResponse { results, throttle_time_ms: 0 }))
}

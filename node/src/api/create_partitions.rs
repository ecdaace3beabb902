//! CreatePartitions.

use std::collections::BTreeSet;
use std::rc::Rc;

use ringlog_wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use ringlog_wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::{Incoming, Outcome, repeated_names};
use crate::broker::{Broker, ControlCall, ControlReply};
use crate::error_code::ErrorCode;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: CreatePartitionsRequest = incoming.decode()?;
    let repeated = repeated_names(request.topics.iter().map(|topic| topic.name.as_str()));
    let topics: Vec<_> = request
        .topics
        .iter()
        .filter(|topic| !repeated.contains(topic.name.as_str()))
        .map(|topic| {
            let assignments = topic.assignments.as_ref();
            let brokers = assignments.map(|a| a.iter().map(|a| a.broker_ids.clone()).collect());
            (topic.name.clone(), topic.count, brokers)
        })
        .collect();
    let asked = topics.len();
    let validate_only = request.validate_only;
    let call = ControlCall::CreatePartitions { topics, validate_only };
    let outcomes = match incoming.ask_controller(broker, call).await {
        ControlReply::Partitions(outcomes) => outcomes,
        ControlReply::Refused(fault) => vec![Err(fault); asked],
        _ => unreachable!("creating partitions gives partitions"),
    };
    let mut results: Vec<CreatePartitionsTopicResult> = Vec::new();
    let mut said = BTreeSet::new();
    let mut decided = outcomes.into_iter();
    for topic in &request.topics {
        if !said.insert(topic.name.as_str()) {
            continue;
        }
        let (error, error_message) = match repeated.contains(topic.name.as_str()) {
            true => (ErrorCode::InvalidRequest, Some("Duplicate topic name.".to_owned())),
            false => match decided.next().expect("every topic is decided on") {
                Ok(()) => (ErrorCode::None, None),
                Err(fault) => (fault.error, fault.message),
            },
        };
        results.push(CreatePartitionsTopicResult {
            name: topic.name.clone(),
            error_code: error.code(),
            error_message,
        });
    }
    Some(incoming.respond(&CreatePartitionsResponse { results, throttle_time_ms: 0 }))
}

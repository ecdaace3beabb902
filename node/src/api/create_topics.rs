//! CreateTopics.

use std::collections::BTreeSet;
use std::rc::Rc;

use ringlog_wire::Uuid;
use ringlog_wire::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use ringlog_wire::messages::{CreateTopicsRequest, CreateTopicsResponse};

use super::{Incoming, Outcome, repeated_names};
use crate::broker::{Broker, ControlCall, ControlReply};
use crate::controller::{NewTopic, NewTopicOutcome, TopicFault};
use crate::error_code::ErrorCode;
use crate::format::random_uuid;

const METADATA_TOPIC: &str = "__cluster_metadata";

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: CreateTopicsRequest = incoming.decode()?;
    let repeated = repeated_names(request.topics.iter().map(|topic| topic.name.as_str()));
    let topics: Vec<NewTopic> = request
        .topics
        .iter()
        .filter(|topic| !repeated.contains(topic.name.as_str()))
        .filter(|topic| topic.name != METADATA_TOPIC)
        .map(|topic| NewTopic {
            name: topic.name.clone(),
            partitions: topic.num_partitions,
            replication_factor: topic.replication_factor,
            assignments: topic
                .assignments
                .iter()
                .map(|a| (a.partition_index, a.broker_ids.clone()))
                .collect(),
            configs: topic.configs.iter().map(|c| (c.name.clone(), c.value.clone())).collect(),
            id: random_uuid(&broker.shard),
            placement_start: broker.shard.random(),
        })
        .collect();
    let asked: Vec<(String, Uuid)> = topics.iter().map(|t| (t.name.clone(), t.id)).collect();
    let validate_only = request.validate_only;
    let call = ControlCall::CreateTopics { topics, validate_only };
    let results = match incoming.ask_controller(broker, call).await {
        ControlReply::Topics(results) => results,
        ControlReply::Refused(fault) => asked.iter().map(|_| Err(fault.clone())).collect(),
        _ => unreachable!("creating topics gives topics"),
    };
    let mut answered = Vec::new();
    let mut said = BTreeSet::new();
    let mut decided = asked.iter().zip(&results);
    for topic in &request.topics {
        let name = topic.name.as_str();
        if !said.insert(name) {
            continue;
        }
        let refused = |message| failure(name, ErrorCode::InvalidRequest, message);
        answered.push(match name {
            repeats if repeated.contains(repeats) => refused("Duplicate topic name."),
            METADATA_TOPIC => {
                refused("Creation of internal topic __cluster_metadata is prohibited.")
            }
            _ => {
                let (asked, result) = decided.next().expect("every topic is decided on");
                result_of(broker, asked, result)
            }
        });
    }
    Some(incoming.respond(&CreateTopicsResponse { topics: answered, throttle_time_ms: 0 }))
}

fn failure(name: &str, error: ErrorCode, message: &str) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.to_owned(),
        error_code: error.code(),
        error_message: Some(message.to_owned()),
        ..CreatableTopicResult::default()
    }
}

fn result_of(
    broker: &Broker,
    (name, id): &(String, Uuid),
    result: &Result<NewTopicOutcome, TopicFault>,
) -> CreatableTopicResult {
    match result {
        Ok(made) => {
            let described = broker.config().describe_topic(&made.stored_configs);
            let configs =
                described.unwrap_or_default().into_iter().map(|entry| CreatableTopicConfigs {
                    read_only: entry.read_only,
                    config_source: entry.source.wire_id(),
                    is_sensitive: entry.sensitive,
                    name: entry.name,
                    value: entry.value,
                });
            CreatableTopicResult {
                name: name.clone(),
                error_message: None,
                topic_id: *id,
                num_partitions: made.partitions,
                replication_factor: made.replication_factor,
                configs: Some(configs.collect()),
                ..CreatableTopicResult::default()
            }
        }
        Err(fault) => CreatableTopicResult {
            name: name.clone(),
            error_code: fault.error.code(),
            error_message: fault.message.clone(),
            ..CreatableTopicResult::default()
        },
    }
}

//! Metadata: topics, partitions, leaders, brokers; and topics made on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ringlog_wire::messages::metadata_request::MetadataRequestTopic;
use ringlog_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ringlog_wire::messages::{MetadataRequest, MetadataResponse};

use super::{CLUSTER_OPERATIONS, Incoming, Outcome, RequestContext, TOPIC_OPERATIONS};
use crate::broker::{Broker, ControlCall, ControlReply};
use crate::controller::{NewTopic, validate_topic_name};
use crate::error_code::ErrorCode;
use crate::format::random_uuid;
use crate::metadata::{MetadataImage, PartitionImage, TopicImage, is_internal_topic};

/// Topics that one request may make at most.
const AUTO_CREATE_MAX: usize = 100;
const TOPIC_IDS_FROM: i16 = 10;

/// The brokers that are alive, as clients of this listener reach them.
fn live_brokers(
    broker: &Broker,
    context: &RequestContext,
    image: &MetadataImage,
) -> Vec<MetadataResponseBroker> {
    let listener = &broker.settings.listeners[context.listener].name;
    let reachable = image.brokers.values().filter(|b| !b.fenced).filter_map(|b| {
        let endpoint = b.end_points.iter().find(|e| e.name == *listener)?;
        Some(MetadataResponseBroker {
            node_id: b.broker_id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: b.rack.clone(),
        })
    });
    reachable.collect()
}

pub(super) async fn answer(
    broker: &Rc<Broker>,
    context: &RequestContext,
    incoming: &Incoming,
) -> Option<Outcome> {
    let version = incoming.header.version;
    let request: MetadataRequest = incoming.decode()?;
    let mut image = broker.image();
    let all = match &request.topics {
        None => true,
        Some(topics) => version == 0 && topics.is_empty(),
    };
    let mut topics: Vec<MetadataResponseTopic> = if all {
        image.topics_by_name().map(|topic| describe(&image, topic)).collect()
    } else {
        let asked = request.topics.unwrap_or_default();
        if let Some(refused) = refuse(&asked, version) {
            return Some(incoming.respond(&refused));
        }
        let asked = once_each(asked);
        let allowed = version < 4 || request.allow_auto_topic_creation;
        let created =
            match allowed && broker.config().current().boolean("auto.create.topics.enable") {
                true => create_missing(broker, incoming, &image, &asked).await,
                false => BTreeMap::new(),
            };
        image = broker.image();
        asked.iter().map(|topic| one(&image, topic, &created)).collect()
    };
    if request.include_topic_authorized_operations {
        // What is not known by its id has no name to be allowed anything about.
        let named = topics.iter_mut().filter(|topic| topic.name.is_some());
        named.for_each(|topic| topic.topic_authorized_operations = TOPIC_OPERATIONS);
    }
    let of_cluster = request.include_cluster_authorized_operations;
    Some(incoming.respond(&MetadataResponse {
        cluster_authorized_operations: if of_cluster { CLUSTER_OPERATIONS } else { i32::MIN },
        brokers: live_brokers(broker, context, &image),
        cluster_id: Some(broker.settings.cluster_id.clone()),
        controller_id: broker.settings.node_id,
        topics,
        ..MetadataResponse::default()
    }))
}

/// Topics are a set: each is answered once. If any is named by its id, only those count.
fn once_each(mut asked: Vec<MetadataRequestTopic>) -> Vec<MetadataRequestTopic> {
    if asked.iter().any(|topic| !topic.topic_id.is_zero()) {
        asked.retain(|topic| !topic.topic_id.is_zero());
        asked.iter_mut().for_each(|topic| topic.name = None);
    }
    let mut seen = BTreeSet::new();
    asked.retain(|topic| seen.insert((topic.topic_id, topic.name.clone())));
    asked
}

/// Kafka's `MetadataRequest` checks: names and ids are not mixed, and ids need a version.
fn refuse(asked: &[MetadataRequestTopic], version: i16) -> Option<MetadataResponse> {
    let by_id = asked.iter().any(|topic| !topic.topic_id.is_zero());
    let nameless = asked.iter().any(|topic| topic.name.is_none());
    let bad = (version < 12 && (by_id || nameless)) && version >= TOPIC_IDS_FROM;
    bad.then(|| {
        let error_code = ErrorCode::InvalidRequest.code();
        let topics = asked.iter().map(|topic| MetadataResponseTopic {
            error_code,
            name: Some(topic.name.clone().unwrap_or_default()),
            topic_id: topic.topic_id,
            ..MetadataResponseTopic::default()
        });
        MetadataResponse { topics: topics.collect(), ..MetadataResponse::default() }
    })
}

fn one(
    image: &MetadataImage,
    asked: &MetadataRequestTopic,
    created: &BTreeMap<String, ErrorCode>,
) -> MetadataResponseTopic {
    let missing = |error: ErrorCode| MetadataResponseTopic {
        error_code: error.code(),
        name: asked.name.clone(),
        topic_id: asked.topic_id,
        is_internal: asked.name.as_deref().is_some_and(is_internal_topic),
        ..MetadataResponseTopic::default()
    };
    match &asked.name {
        Some(name) => match image.topic_by_name(name) {
            Some(topic) => describe(image, topic),
            None => missing(match created.get(name) {
                Some(error) => *error,
                None if validate_topic_name(name).is_err() => ErrorCode::InvalidTopicException,
                None => ErrorCode::UnknownTopicOrPartition,
            }),
        },
        None => match image.topic(asked.topic_id) {
            Some(topic) => describe(image, topic),
            None => missing(ErrorCode::UnknownTopicId),
        },
    }
}

/// Makes the topics that are missing, with the defaults; gives the errors.
async fn create_missing(
    broker: &Rc<Broker>,
    incoming: &Incoming,
    image: &MetadataImage,
    asked: &[MetadataRequestTopic],
) -> BTreeMap<String, ErrorCode> {
    let names: BTreeSet<&String> = asked
        .iter()
        .filter_map(|topic| topic.name.as_ref())
        .filter(|name| image.topic_by_name(name).is_none())
        .filter(|name| validate_topic_name(name).is_ok() && !is_internal_topic(name))
        .take(AUTO_CREATE_MAX)
        .collect();
    if names.is_empty() {
        return BTreeMap::new();
    }
    let topics = names.iter().map(|name| new_topic(broker, name)).collect();
    let call = ControlCall::CreateTopics { topics, validate_only: false };
    let results = match incoming.ask_controller(broker, call).await {
        ControlReply::Topics(results) => results,
        ControlReply::Refused(_) => return BTreeMap::new(),
        _ => unreachable!("creating topics gives topics"),
    };
    let failures = names.into_iter().zip(results).filter_map(|(name, result)| {
        let error = match result.err()?.error {
            // Somebody else has made it since: the client asks again.
            ErrorCode::TopicAlreadyExists => ErrorCode::LeaderNotAvailable,
            error => error,
        };
        Some((name.clone(), error))
    });
    failures.collect()
}

/// A topic with the broker's defaults.
fn new_topic(broker: &Broker, name: &str) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: -1,
        replication_factor: -1,
        id: random_uuid(&broker.shard),
        placement_start: broker.shard.random(),
        ..NewTopic::default()
    }
}

fn describe(image: &MetadataImage, topic: &TopicImage) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().map(|(index, p)| partition(image, *index, p));
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: is_internal_topic(&topic.name),
        partitions: partitions.collect(),
        ..MetadataResponseTopic::default()
    }
}

fn partition(
    image: &MetadataImage,
    partition_index: i32,
    partition: &PartitionImage,
) -> MetadataResponsePartition {
    let error = match image.brokers.get(&partition.leader) {
        Some(broker) if !broker.fenced => ErrorCode::None,
        _ => ErrorCode::LeaderNotAvailable,
    };
    MetadataResponsePartition {
        error_code: error.code(),
        partition_index,
        leader_id: if error == ErrorCode::None { partition.leader } else { -1 },
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.clone(),
        isr_nodes: partition.isr.clone(),
        offline_replicas: image.offline_replicas(partition),
    }
}

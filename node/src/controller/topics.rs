//! Topics: made, grown, deleted (Kafka's `ReplicationControlManager`, whose sentences clients
//! show).

use std::collections::{BTreeMap, BTreeSet};

use ringlog_wire::Uuid;
use ringlog_wire::records::metadata::{
    ConfigRecord, MetadataRecord, RemoveTopicRecord, TopicRecord,
};

use super::configs::config_fault;
use super::placement::{Assignment, directory_of, place_replicas};
use crate::config::{Changes, Overrides, RawConfig, stored_changes, validate_topic_overrides};
use crate::error_code::ErrorCode;
use crate::metadata::{MetadataImage, PartitionImage, TopicImage};

/// The longest name, in characters: with a partition number it must fit a file name.
const NAME_LEN_MAX: usize = 249;
/// Partitions that one request may make.
const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;
/// The metadata log's number for a topic's configs.
const RESOURCE_TOPIC: i8 = 2;

/// Why a topic is not made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFault {
    /// The code.
    pub error: ErrorCode,
    /// Kafka's sentence, where it has one.
    pub message: Option<String>,
}

fn fault(error: ErrorCode, message: impl Into<String>) -> TopicFault {
    TopicFault { error, message: Some(message.into()) }
}

/// A topic to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 is the default.
    pub partitions: i32,
    /// How many replicas of each; -1 is the default.
    pub replication_factor: i16,
    /// Brokers by partition, instead of both.
    pub assignments: Vec<(i32, Assignment)>,
    /// Configs as given; a null value sets nothing.
    pub configs: Vec<(String, Option<String>)>,
    /// Its id, drawn by the caller.
    pub id: Uuid,
    /// Where placement begins, drawn by the caller.
    pub placement_start: u64,
}

/// A topic that was made, or could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopicOutcome {
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas of each.
    pub replication_factor: i16,
    /// Configs as they are stored.
    pub stored_configs: Overrides,
}

/// What became of a topic to be made.
pub type NewTopicResult = Result<NewTopicOutcome, TopicFault>;

/// A topic that was to be deleted, and what became of that.
pub type DeletedTopic = (TopicSelector, Result<(), TopicFault>);

/// Kafka's rule for topic names.
///
/// # Errors
/// Kafka's sentence.
pub fn validate_topic_name(name: &str) -> Result<(), String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let what = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." => "'.' is not allowed".to_owned(),
        ".." => "'..' is not allowed".to_owned(),
        long if long.chars().count() > NAME_LEN_MAX => {
            format!("the length of '{long}' is longer than the max allowed length {NAME_LEN_MAX}")
        }
        odd if !odd.bytes().all(legal) => format!(
            "'{odd}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        ),
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {what}"))
}

/// Makes topics: the records, and what becomes of each.
///
/// # Errors
/// If the request as a whole asks for too much.
pub fn create_topics(
    image: &MetadataImage,
    config: &RawConfig,
    topics: &[NewTopic],
) -> Result<(Vec<MetadataRecord>, Vec<NewTopicResult>), TopicFault> {
    let default_partitions = config.int("num.partitions");
    let asked: usize = topics
        .iter()
        .map(|topic| match (topic.assignments.len(), topic.partitions) {
            (0, -1) => default_partitions.max(0) as usize,
            (0, count) => count.max(0) as usize,
            (count, _) => count,
        })
        .sum();
    if asked > PARTITIONS_PER_REQUEST_MAX {
        return Err(fault(
            ErrorCode::PolicyViolation,
            "Excessively large number of partitions per request.",
        ));
    }
    let mut records = Vec::new();
    let mut outcomes = Vec::with_capacity(topics.len());
    let mut colliding: BTreeMap<String, String> =
        image.topics_by_name().map(|t| (t.name.replace('.', "_"), t.name.clone())).collect();
    for topic in topics {
        let outcome = check_name(image, &colliding, &topic.name)
            .and_then(|()| create_topic(image, config, topic, &mut records));
        if outcome.is_ok() {
            colliding.insert(topic.name.replace('.', "_"), topic.name.clone());
        }
        outcomes.push(outcome);
    }
    Ok((records, outcomes))
}

fn check_name(
    image: &MetadataImage,
    colliding: &BTreeMap<String, String>,
    name: &str,
) -> Result<(), TopicFault> {
    validate_topic_name(name).map_err(|m| fault(ErrorCode::InvalidTopicException, m))?;
    if image.topic_by_name(name).is_some() {
        let message = format!("Topic '{name}' already exists.");
        return Err(fault(ErrorCode::TopicAlreadyExists, message));
    }
    match colliding.get(&name.replace('.', "_")) {
        Some(other) if other != name => Err(fault(
            ErrorCode::InvalidTopicException,
            format!("Topic '{name}' collides with existing topic: {other}"),
        )),
        _ => Ok(()),
    }
}

fn create_topic(
    image: &MetadataImage,
    config: &RawConfig,
    topic: &NewTopic,
    records: &mut Vec<MetadataRecord>,
) -> Result<NewTopicOutcome, TopicFault> {
    let configs = new_configs(config, topic)?;
    let assignments = match topic.assignments.is_empty() {
        true => automatic(image, config, topic)?,
        false => manual(image, topic)?,
    };
    let replication_factor = assignments[0].len() as i16;
    records.push(TopicRecord { name: topic.name.clone(), topic_id: topic.id }.into());
    let mut stored_configs = Overrides::new();
    for (name, value) in configs {
        if let Some(value) = &value {
            stored_configs.insert(name.clone(), value.clone());
        }
        records.push(
            ConfigRecord {
                resource_type: RESOURCE_TOPIC,
                resource_name: topic.name.clone(),
                name,
                value,
            }
            .into(),
        );
    }
    for (index, replicas) in assignments.iter().enumerate() {
        let partition = new_partition(image, replicas);
        records.push(partition.to_record(topic.id, index as i32).into());
    }
    let partitions = assignments.len() as i32;
    Ok(NewTopicOutcome { partitions, replication_factor, stored_configs })
}

fn new_configs(config: &RawConfig, topic: &NewTopic) -> Result<Changes, TopicFault> {
    let mut given = Overrides::new();
    for (name, value) in &topic.configs {
        match value {
            Some(value) => given.insert(name.clone(), value.clone()),
            None => {
                let message = format!("Null value not supported for topic configs: {name}");
                return Err(fault(ErrorCode::InvalidConfig, message));
            }
        };
    }
    validate_topic_overrides(config, &Overrides::new(), &given)
        .map_err(|error| config_fault(&error))?;
    let changes = given.into_iter().map(|(name, value)| (name, Some(value))).collect();
    Ok(stored_changes(&Overrides::new(), &changes))
}

fn automatic(
    image: &MetadataImage,
    config: &RawConfig,
    topic: &NewTopic,
) -> Result<Vec<Assignment>, TopicFault> {
    let (partitions, factor) = (topic.partitions, topic.replication_factor);
    if factor < -1 || factor == 0 {
        return Err(fault(
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ));
    }
    if partitions < -1 || partitions == 0 {
        return Err(fault(
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ));
    }
    let partitions = match partitions {
        -1 => config.int("num.partitions"),
        count => count,
    };
    let factor = match factor {
        -1 => config.int("default.replication.factor") as i16,
        factor => factor,
    };
    place_replicas(image, partitions as usize, factor, topic.placement_start).map_err(|why| {
        fault(
            ErrorCode::InvalidReplicationFactor,
            format!("Unable to replicate the partition {factor} time(s): {why}"),
        )
    })
}

fn manual(image: &MetadataImage, topic: &NewTopic) -> Result<Vec<Assignment>, TopicFault> {
    if topic.replication_factor != -1 {
        return Err(fault(
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but replication factor was not set to \
             -1.",
        ));
    }
    if topic.partitions != -1 {
        return Err(fault(
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ));
    }
    let mut by_index = BTreeMap::new();
    let mut factor = None;
    for (index, replicas) in &topic.assignments {
        check_replicas(image, replicas, factor)?;
        factor = Some(replicas.len());
        if by_index.insert(*index, replicas.clone()).is_some() {
            return Err(fault(
                ErrorCode::InvalidReplicaAssignment,
                format!("Found multiple manual partition assignments for partition {index}"),
            ));
        }
        check_active(image, *index, replicas)?;
    }
    let consecutive = by_index.keys().copied().eq(0..by_index.len() as i32);
    if !consecutive {
        return Err(fault(
            ErrorCode::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence",
        ));
    }
    Ok(by_index.into_values().collect())
}

pub(super) fn check_replicas(
    image: &MetadataImage,
    replicas: &Assignment,
    factor: Option<usize>,
) -> Result<(), TopicFault> {
    let refuse = |message: String| Err(fault(ErrorCode::InvalidReplicaAssignment, message));
    if replicas.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".into());
    }
    let mut seen = BTreeSet::new();
    let mut sorted = replicas.clone();
    sorted.sort_unstable();
    for broker in sorted {
        if !image.brokers.contains_key(&broker) {
            return refuse(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is \
                 registered."
            ));
        }
        if !seen.insert(broker) {
            return refuse(format!(
                "The manual partition assignment includes the broker {broker} more than once."
            ));
        }
    }
    match factor {
        Some(factor) if factor != replicas.len() => refuse(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is \
             not consistent with previous partitions, which have {factor} replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}

fn check_active(
    image: &MetadataImage,
    index: i32,
    replicas: &Assignment,
) -> Result<(), TopicFault> {
    if active_of(image, replicas).is_empty() {
        return Err(fault(
            ErrorCode::InvalidReplicaAssignment,
            format!(
                "All brokers specified in the manual partition assignment for partition {index} \
                 are fenced or in controlled shutdown."
            ),
        ));
    }
    Ok(())
}

fn active_of(image: &MetadataImage, replicas: &Assignment) -> Vec<i32> {
    let active =
        |id: &i32| image.brokers.get(id).is_some_and(|b| !b.fenced && !b.in_controlled_shutdown);
    replicas.iter().copied().filter(active).collect()
}

fn new_partition(image: &MetadataImage, replicas: &Assignment) -> PartitionImage {
    let isr = active_of(image, replicas);
    PartitionImage {
        replicas: replicas.clone(),
        directories: replicas.iter().map(|broker| directory_of(image, *broker)).collect(),
        leader: isr.first().copied().unwrap_or(crate::metadata::LEADER_UNKNOWN),
        isr,
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        elr: Vec::new(),
        last_known_elr: Vec::new(),
        leader_recovery_state: 0,
        leader_epoch: 0,
        partition_epoch: 0,
    }
}

/// Grows a topic to `count` partitions.
///
/// # Errors
/// Kafka's sentence.
pub fn add_partitions(
    image: &MetadataImage,
    name: &str,
    count: i32,
    assignments: Option<&[Assignment]>,
    placement_start: u64,
) -> Result<Vec<MetadataRecord>, TopicFault> {
    let Some(topic) = image.topic_by_name(name) else {
        return Err(TopicFault { error: ErrorCode::UnknownTopicOrPartition, message: None });
    };
    let have = topic.partitions.len() as i32;
    if count == have {
        let message = format!("Topic already has {have} partition(s).");
        return Err(fault(ErrorCode::InvalidPartitions, message));
    }
    if count < have {
        return Err(fault(
            ErrorCode::InvalidPartitions,
            format!(
                "The topic {name} currently has {have} partition(s); {count} would not be an \
                 increase."
            ),
        ));
    }
    let additional = (count - have) as usize;
    if additional > PARTITIONS_PER_REQUEST_MAX {
        let message = format!("{additional} partitions are more than {PARTITIONS_PER_REQUEST_MAX}");
        return Err(fault(ErrorCode::InvalidPartitions, message));
    }
    let factor = topic.partitions.values().next().map_or(1, |p| p.replicas.len());
    let placed = match assignments {
        Some(given) if given.len() != additional => {
            return Err(fault(
                ErrorCode::InvalidReplicaAssignment,
                format!(
                    "Attempted to add {additional} additional partition(s), but only {} \
                     assignment(s) were specified.",
                    given.len()
                ),
            ));
        }
        Some(given) => {
            for (i, replicas) in given.iter().enumerate() {
                check_replicas(image, replicas, Some(factor))?;
                check_active(image, have + i as i32, replicas)?;
            }
            given.to_vec()
        }
        None => {
            place_replicas(image, additional, factor as i16, placement_start).map_err(|why| {
                let message = format!("Unable to replicate the partition {factor} time(s): {why}");
                fault(ErrorCode::InvalidReplicationFactor, message)
            })?
        }
    };
    let record = |(i, replicas): (usize, &Assignment)| {
        new_partition(image, replicas).to_record(topic.id, have + i as i32).into()
    };
    Ok(placed.iter().enumerate().map(record).collect())
}

/// A topic as a DeleteTopics request names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicSelector {
    /// By name.
    pub name: Option<String>,
    /// Or by id.
    pub id: Uuid,
}

/// Deletes topics: the records, and for each its name and id or what is wrong.
pub fn delete_topics(
    image: &MetadataImage,
    selectors: &[TopicSelector],
) -> (Vec<MetadataRecord>, Vec<DeletedTopic>) {
    let mut outcomes: Vec<DeletedTopic> = Vec::with_capacity(selectors.len());
    let ids: BTreeSet<Uuid> =
        selectors.iter().filter(|s| s.name.is_none()).map(|selector| selector.id).collect();
    let names: BTreeSet<&String> = selectors.iter().filter_map(|s| s.name.as_ref()).collect();
    let mut seen = BTreeSet::new();
    let repeats: BTreeSet<&TopicSelector> =
        selectors.iter().filter(|selector| !seen.insert(*selector)).collect();
    let mut answered = BTreeSet::new();
    for selector in selectors {
        // What is repeated is refused, and answered once.
        if !answered.insert(selector) {
            continue;
        }
        let repeated = repeats.contains(selector);
        let invalid = |message: &str| Err(fault(ErrorCode::InvalidRequest, message));
        let outcome = match (&selector.name, selector.id.is_zero()) {
            (None, true) => invalid("Neither topic name nor id were specified."),
            (Some(_), false) => invalid("You may not specify both topic name and topic id."),
            (Some(_), true) if repeated => invalid("Duplicate topic name."),
            (None, false) if repeated => invalid("Duplicate topic id."),
            (Some(name), true) => image.topic_by_name(name).ok_or(TopicFault {
                error: ErrorCode::UnknownTopicOrPartition,
                message: Some("This server does not host this topic-partition.".to_owned()),
            }),
            (None, false) => image.topic(selector.id).ok_or(TopicFault {
                error: ErrorCode::UnknownTopicId,
                message: Some("This server does not host this topic ID.".to_owned()),
            }),
        };
        let named =
            |topic: &TopicImage| TopicSelector { name: Some(topic.name.clone()), id: topic.id };
        match outcome {
            // Named by name and by id: answered once, for the name.
            Ok(topic) if selector.name.is_some() && ids.contains(&topic.id) => {
                let message = "The provided topic name maps to an ID that was already supplied.";
                outcomes.push((named(topic), Err(fault(ErrorCode::InvalidRequest, message))));
            }
            // The name is what is answered.
            Ok(topic) if selector.name.is_none() && names.contains(&topic.name) => {}
            Ok(topic) => outcomes.push((named(topic), Ok(()))),
            Err(fault) => outcomes.push((selector.clone(), Err(fault))),
        }
    }
    let deleted = outcomes.iter().filter(|(_, outcome)| outcome.is_ok());
    let records = deleted.map(|(topic, _)| RemoveTopicRecord { topic_id: topic.id }.into());
    let records = records.collect();
    (records, outcomes)
}

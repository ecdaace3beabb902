//! [`MetadataImage`]: everything the metadata log says up to an offset.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringlog_wire::Uuid;
use ringlog_wire::records::metadata::{
    BrokerRegistrationChangeRecord, ClearElrRecord, ConfigRecord, FeatureLevelRecord,
    MetadataRecord, PartitionChangeRecord, PartitionRecord, ProducerIdsRecord,
    RegisterBrokerRecord, RegisterControllerRecord, TopicRecord,
};
use thiserror::Error;

use super::partition::PartitionImage;

/// A broker that has registered.
pub type BrokerRegistration = RegisterBrokerRecord;

/// A resource that has configs: its type (2 topic, 4 broker, ...) and name.
pub type ConfigResource = (i8, String);

/// A record that contradicts what the log said before.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("metadata record {record}: {what}")]
pub struct ApplyError {
    /// The record's type.
    pub record: &'static str,
    /// What is wrong.
    pub what: String,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicImage {
    /// Its identity.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its partitions by number.
    pub partitions: BTreeMap<i32, PartitionImage>,
}

/// What changed since an image was published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataDelta {
    /// Topics made or changed.
    pub topics_changed: BTreeSet<Uuid>,
    /// Topics deleted, with the names they had.
    pub topics_removed: BTreeMap<Uuid, String>,
    /// Resources whose configs changed.
    pub configs_changed: BTreeSet<ConfigResource>,
}

/// Whether a topic is one of the cluster's own.
pub fn is_internal_topic(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

/// State of the cluster.
#[derive(Clone, Debug, Default)]
pub struct MetadataImage {
    /// The offset after the last record applied.
    pub end_offset: i64,
    /// Epoch of the last batch applied.
    pub epoch: i32,
    /// Timestamp of the last batch applied.
    pub last_timestamp: i64,
    /// Finalized levels, metadata.version among them.
    pub features: BTreeMap<String, i16>,
    /// Level of kraft.version: of the log itself and not of its records.
    pub kraft_version: i16,
    /// Brokers by id.
    pub brokers: BTreeMap<i32, Arc<BrokerRegistration>>,
    /// Controllers by id.
    pub controllers: BTreeMap<i32, Arc<RegisterControllerRecord>>,
    topics: Arc<BTreeMap<Uuid, Arc<TopicImage>>>,
    names: Arc<BTreeMap<String, Uuid>>,
    partition_count: usize,
    configs: Arc<BTreeMap<ConfigResource, BTreeMap<String, String>>>,
    /// The block of producer ids handed out last, and by whom.
    pub producer_ids: Option<ProducerIdsRecord>,
    /// Records of what this node does not act on yet: kept in order for snapshots.
    pub others: Arc<Vec<MetadataRecord>>,
}

fn error(record: &'static str, what: impl Into<String>) -> ApplyError {
    ApplyError { record, what: what.into() }
}

impl MetadataImage {
    /// The topic with this id.
    pub fn topic(&self, id: Uuid) -> Option<&Arc<TopicImage>> {
        self.topics.get(&id)
    }

    /// The topic with this name.
    pub fn topic_by_name(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.names.get(name)?)
    }

    /// All topics, by name.
    pub fn topics_by_name(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.names.values().filter_map(|id| self.topics.get(id))
    }

    /// All topics, by name, from `start` on.
    pub fn topics_from(&self, start: &str) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.names.range(start.to_owned()..).filter_map(|(_, id)| self.topics.get(id))
    }

    /// How many partitions all topics have.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// The configs set on a resource.
    pub fn configs(&self, resource_type: i8, name: &str) -> BTreeMap<String, String> {
        let resource = (resource_type, name.to_owned());
        self.configs.get(&resource).cloned().unwrap_or_default()
    }

    /// All resources that have configs.
    pub fn config_resources(&self) -> impl Iterator<Item = &ConfigResource> {
        self.configs.keys()
    }

    /// Replicas of a partition whose brokers are not alive.
    pub fn offline_replicas(&self, partition: &PartitionImage) -> Vec<i32> {
        let alive = |id: &i32| self.brokers.get(id).is_some_and(|broker| !broker.fenced);
        partition.replicas.iter().copied().filter(|id| !alive(id)).collect()
    }

    /// The next producer id that no block covers.
    pub fn next_producer_id(&self) -> i64 {
        self.producer_ids.as_ref().map_or(0, |record| record.next_producer_id)
    }

    /// Applies one record, and notes in `delta` what it changed.
    pub fn apply(
        &mut self,
        record: MetadataRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        match record {
            MetadataRecord::RegisterBroker(record) => {
                self.brokers.insert(record.broker_id, Arc::new(record));
            }
            MetadataRecord::UnregisterBroker(record) => {
                self.brokers.remove(&record.broker_id);
            }
            MetadataRecord::BrokerRegistrationChange(record) => self.change_broker(&record)?,
            MetadataRecord::FenceBroker(record) => self.fence(record.id, true)?,
            MetadataRecord::UnfenceBroker(record) => self.fence(record.id, false)?,
            MetadataRecord::RegisterController(record) => {
                self.controllers.insert(record.controller_id, Arc::new(record));
            }
            MetadataRecord::Topic(record) => self.add_topic(record, delta)?,
            MetadataRecord::RemoveTopic(record) => self.remove_topic(record.topic_id, delta)?,
            MetadataRecord::Partition(record) => self.add_partition(record, delta)?,
            MetadataRecord::PartitionChange(record) => self.change_partition(&record, delta)?,
            MetadataRecord::ClearElr(record) => self.clear_elr(&record, delta)?,
            MetadataRecord::Config(record) => self.set_config(record, delta),
            MetadataRecord::FeatureLevel(record) => self.set_feature(record),
            MetadataRecord::ProducerIds(record) => self.producer_ids = Some(record),
            MetadataRecord::NoOp(_) | MetadataRecord::ZkMigrationState(_) => {}
            other => Arc::make_mut(&mut self.others).push(other),
        }
        Ok(())
    }

    fn change_broker(&mut self, change: &BrokerRegistrationChangeRecord) -> Result<(), ApplyError> {
        let id = change.broker_id;
        let broker = self.brokers.get_mut(&id).ok_or_else(|| {
            error("BrokerRegistrationChangeRecord", format!("broker {id} is not registered"))
        })?;
        let broker = Arc::make_mut(broker);
        if broker.broker_epoch != change.broker_epoch {
            let what = format!("epoch {} of broker {id}", change.broker_epoch);
            return Err(error("BrokerRegistrationChangeRecord", what));
        }
        match change.fenced {
            1 => broker.fenced = true,
            -1 => broker.fenced = false,
            _ => {}
        }
        if change.in_controlled_shutdown == 1 {
            broker.in_controlled_shutdown = true;
        }
        if !change.log_dirs.is_empty() {
            broker.log_dirs.clone_from(&change.log_dirs);
        }
        Ok(())
    }

    fn fence(&mut self, id: i32, fenced: bool) -> Result<(), ApplyError> {
        let broker = self
            .brokers
            .get_mut(&id)
            .ok_or_else(|| error("FenceBrokerRecord", format!("broker {id} is not registered")))?;
        Arc::make_mut(broker).fenced = fenced;
        Ok(())
    }

    fn add_topic(
        &mut self,
        record: TopicRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let TopicRecord { name, topic_id: id, .. } = record;
        if self.names.contains_key(&name) {
            return Err(error("TopicRecord", format!("topic {name} is there already")));
        }
        Arc::make_mut(&mut self.names).insert(name.clone(), id);
        let topic = TopicImage { id, name, partitions: BTreeMap::new() };
        Arc::make_mut(&mut self.topics).insert(id, Arc::new(topic));
        delta.topics_changed.insert(id);
        Ok(())
    }

    fn remove_topic(&mut self, id: Uuid, delta: &mut MetadataDelta) -> Result<(), ApplyError> {
        let Some(topic) = Arc::make_mut(&mut self.topics).remove(&id) else {
            return Err(error("RemoveTopicRecord", format!("there is no topic {id}")));
        };
        Arc::make_mut(&mut self.names).remove(&topic.name);
        self.partition_count -= topic.partitions.len();
        // A deleted topic's configs go with it.
        let resource = (2, topic.name.clone());
        if self.configs.contains_key(&resource) {
            Arc::make_mut(&mut self.configs).remove(&resource);
        }
        delta.topics_changed.remove(&id);
        delta.topics_removed.insert(id, topic.name.clone());
        Ok(())
    }

    fn topic_mut(&mut self, record: &'static str, id: Uuid) -> Result<&mut TopicImage, ApplyError> {
        let topic = Arc::make_mut(&mut self.topics).get_mut(&id);
        let topic = topic.ok_or_else(|| error(record, format!("there is no topic {id}")))?;
        Ok(Arc::make_mut(topic))
    }

    fn add_partition(
        &mut self,
        record: PartitionRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let (id, partition) = (record.topic_id, record.partition_id);
        let topic = self.topic_mut("PartitionRecord", id)?;
        let before = topic.partitions.insert(partition, PartitionImage::from_record(record));
        self.partition_count += usize::from(before.is_none());
        delta.topics_changed.insert(id);
        Ok(())
    }

    fn change_partition(
        &mut self,
        change: &PartitionChangeRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let id = change.topic_id;
        let topic = self.topic_mut("PartitionChangeRecord", id)?;
        let partition = topic.partitions.get_mut(&change.partition_id).ok_or_else(|| {
            error("PartitionChangeRecord", format!("topic {id} has no {}", change.partition_id))
        })?;
        *partition = partition.merged(change);
        delta.topics_changed.insert(id);
        Ok(())
    }

    /// Empties the eligible leader replicas of a topic, or of all without a name (Kafka's
    /// `TopicsDelta.replay(ClearElrRecord)`).
    fn clear_elr(
        &mut self,
        record: &ClearElrRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let topics: Vec<Uuid> = match record.topic_name.as_str() {
            "" => self.topics.keys().copied().collect(),
            name => {
                let id = self.names.get(name).copied();
                let unknown = || error("ClearElrRecord", format!("there is no topic {name}"));
                vec![id.ok_or_else(unknown)?]
            }
        };
        for id in topics {
            let has_elr = |p: &PartitionImage| !(p.elr.is_empty() && p.last_known_elr.is_empty());
            if !self.topics[&id].partitions.values().any(has_elr) {
                continue;
            }
            let topic = self.topic_mut("ClearElrRecord", id)?;
            for partition in topic.partitions.values_mut().filter(|p| has_elr(p)) {
                *partition = partition.merged(&PartitionChangeRecord {
                    eligible_leader_replicas: Some(Vec::new()),
                    last_known_elr: Some(Vec::new()),
                    ..PartitionChangeRecord::default()
                });
            }
            delta.topics_changed.insert(id);
        }
        Ok(())
    }

    /// Ids of the access control entries that are in force.
    pub fn access_control_entries(&self) -> BTreeSet<Uuid> {
        let mut ids = BTreeSet::new();
        for record in self.others.iter() {
            match record {
                MetadataRecord::AccessControlEntry(entry) => {
                    ids.insert(entry.id);
                }
                MetadataRecord::RemoveAccessControlEntry(entry) => {
                    ids.remove(&entry.id);
                }
                _ => {}
            }
        }
        ids
    }

    fn set_config(&mut self, record: ConfigRecord, delta: &mut MetadataDelta) {
        let resource = (record.resource_type, record.resource_name);
        let configs = Arc::make_mut(&mut self.configs);
        let values = configs.entry(resource.clone()).or_default();
        match record.value {
            Some(value) => {
                values.insert(record.name, value);
            }
            None => {
                values.remove(&record.name);
            }
        }
        if values.is_empty() {
            configs.remove(&resource);
        }
        delta.configs_changed.insert(resource);
    }

    fn set_feature(&mut self, record: FeatureLevelRecord) {
        match record.feature_level {
            0 => self.features.remove(&record.name),
            level => self.features.insert(record.name, level),
        };
    }

    /// The records from which this image would arise anew: a snapshot.
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        // metadata.version first: it decides how the rest is read.
        let mut features: Vec<_> = self.features.iter().collect();
        features.sort_by_key(|(name, _)| *name != "metadata.version");
        for (name, level) in features {
            let (name, feature_level) = (name.clone(), *level);
            records.push(FeatureLevelRecord { name, feature_level }.into());
        }
        records.extend(self.controllers.values().map(|c| (**c).clone().into()));
        records.extend(self.brokers.values().map(|b| (**b).clone().into()));
        for topic in self.topics.values() {
            let name = topic.name.clone();
            records.push(TopicRecord { name, topic_id: topic.id }.into());
            for (index, partition) in &topic.partitions {
                records.push(partition.to_record(topic.id, *index).into());
            }
        }
        for ((resource_type, resource_name), values) in self.configs.iter() {
            for (name, value) in values {
                records.push(
                    ConfigRecord {
                        resource_type: *resource_type,
                        resource_name: resource_name.clone(),
                        name: name.clone(),
                        value: Some(value.clone()),
                    }
                    .into(),
                );
            }
        }
        records.extend(self.producer_ids.clone().map(MetadataRecord::from));
        records.extend(self.others.iter().cloned());
        records
    }
}

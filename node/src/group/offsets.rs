//! Committed offsets (Kafka's `OffsetMetadataManager`), those of open transactions apart.

use std::collections::{BTreeMap, BTreeSet};

use ringlog_wire::Uuid;
use ringlog_wire::records::group::OffsetCommitValue;

use super::request::{FetchOffsets, OffsetToCommit, TopicPartitions};
use crate::error_code::ErrorCode;

/// An offset as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// Where the consumer goes on.
    pub offset: i64,
    /// Epoch of the leader whose record was the last read; -1 is unknown.
    pub leader_epoch: i32,
    /// The client's note.
    pub metadata: String,
    /// When it was committed.
    pub commit_ms: i64,
    /// When it expires, if the client said so; -1 is what the broker says.
    pub expire_ms: i64,
    /// The topic, if the client named it.
    pub topic_id: Uuid,
    /// Where it is in the log: of two, the later counts.
    pub record_offset: i64,
}

impl CommittedOffset {
    /// As the log has it.
    pub fn of_record(record_offset: i64, value: OffsetCommitValue) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata,
            commit_ms: value.commit_timestamp,
            expire_ms: value.expire_timestamp,
            topic_id: value.topic_id,
            record_offset,
        }
    }

    /// As a client asks for it.
    pub fn of_request(wanted: OffsetToCommit, now_ms: i64, retention_ms: i64) -> Self {
        Self {
            offset: wanted.offset,
            leader_epoch: wanted.leader_epoch,
            metadata: wanted.metadata.unwrap_or_default(),
            commit_ms: now_ms,
            expire_ms: if retention_ms == -1 { -1 } else { now_ms.saturating_add(retention_ms) },
            topic_id: wanted.topic_id,
            record_offset: -1,
        }
    }
}

/// What OffsetFetch says of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    /// The partition.
    pub partition: i32,
    /// What is wrong.
    pub error: ErrorCode,
    /// Where to go on; -1 is nowhere.
    pub offset: i64,
    /// The epoch committed with it.
    pub leader_epoch: i32,
    /// The note committed with it.
    pub metadata: String,
}

impl FetchedOffset {
    /// No offset.
    pub fn none(partition: i32, error: ErrorCode) -> Self {
        Self { partition, error, offset: -1, leader_epoch: -1, metadata: String::new() }
    }
}

/// What OffsetFetch says of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// Its name.
    pub topic: String,
    /// As it was asked for.
    pub topic_id: Uuid,
    /// Its partitions.
    pub partitions: Vec<FetchedOffset>,
}

type ByTopic<T> = BTreeMap<String, BTreeMap<i32, T>>;
type ByGroup<T> = BTreeMap<String, ByTopic<T>>;

/// The committed offsets of all groups of a coordinator.
#[derive(Debug, Default)]
pub struct Offsets {
    committed: ByGroup<CommittedOffset>,
    /// Of open transactions, by producer.
    pending: BTreeMap<i64, ByGroup<CommittedOffset>>,
    /// The producers that have an offset pending.
    open: ByGroup<BTreeSet<i64>>,
}

fn get<'a, T>(from: &'a ByGroup<T>, group: &str, topic: &str, partition: i32) -> Option<&'a T> {
    from.get(group)?.get(topic)?.get(&partition)
}

fn entry<'a, T>(to: &'a mut ByGroup<T>, group: &str, topic: &str) -> &'a mut BTreeMap<i32, T> {
    to.entry(group.to_owned()).or_default().entry(topic.to_owned()).or_default()
}

fn remove<T>(from: &mut ByGroup<T>, group: &str, topic: &str, partition: i32) -> Option<T> {
    let topics = from.get_mut(group)?;
    let partitions = topics.get_mut(topic)?;
    let removed = partitions.remove(&partition);
    if partitions.is_empty() {
        topics.remove(topic);
    }
    if topics.is_empty() {
        from.remove(group);
    }
    removed
}

/// All partitions of a group.
fn partitions<'a, T>(
    of: &'a ByGroup<T>,
    group: &str,
) -> impl Iterator<Item = (&'a str, i32)> + use<'a, T> {
    let topics = of.get(group).into_iter().flatten();
    topics.flat_map(|(topic, partitions)| partitions.keys().map(|p| (topic.as_str(), *p)))
}

impl Offsets {
    /// Takes over an offset, or forgets one.
    pub fn set(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
        producer: Option<i64>,
        offset: Option<CommittedOffset>,
    ) {
        match (offset, producer) {
            (Some(offset), None) => {
                entry(&mut self.committed, group, topic).insert(partition, offset);
            }
            (Some(offset), Some(producer)) => {
                let pending = self.pending.entry(producer).or_default();
                entry(pending, group, topic).insert(partition, offset);
                let open = entry(&mut self.open, group, topic);
                open.entry(partition).or_default().insert(producer);
            }
            (None, _) => {
                remove(&mut self.committed, group, topic, partition);
                for producer in
                    remove(&mut self.open, group, topic, partition).into_iter().flatten()
                {
                    if let Some(pending) = self.pending.get_mut(&producer) {
                        remove(pending, group, topic, partition);
                    }
                }
            }
        }
    }

    /// A transaction has ended: its offsets count, or are forgotten.
    pub fn end_transaction(&mut self, producer: i64, committed: bool) {
        let Some(groups) = self.pending.remove(&producer) else { return };
        for (group, topics) in groups {
            for (topic, offsets) in topics {
                for (partition, offset) in offsets {
                    self.close(&group, &topic, partition, producer);
                    let newer = get(&self.committed, &group, &topic, partition)
                        .is_none_or(|known| offset.record_offset > known.record_offset);
                    if committed && newer {
                        entry(&mut self.committed, &group, &topic).insert(partition, offset);
                    }
                }
            }
        }
    }

    fn close(&mut self, group: &str, topic: &str, partition: i32, producer: i64) {
        let open = self.open.get_mut(group).and_then(|topics| topics.get_mut(topic));
        if let Some(producers) = open.and_then(|partitions| partitions.get_mut(&partition)) {
            producers.remove(&producer);
            if producers.is_empty() {
                remove(&mut self.open, group, topic, partition);
            }
        }
    }

    /// Whether there is an offset, committed or pending.
    pub fn knows(&self, group: &str, topic: &str, partition: i32) -> bool {
        get(&self.committed, group, topic, partition).is_some()
            || get(&self.open, group, topic, partition).is_some()
    }

    /// Whether a group has offsets in open transactions.
    pub fn has_open_transactions(&self, group: &str) -> bool {
        self.open.contains_key(group)
    }

    /// Answers OffsetFetch for a group that is there.
    pub fn fetch(&self, request: &FetchOffsets) -> Vec<FetchedTopic> {
        let topics = match &request.topics {
            Some(topics) => topics.clone(),
            None => self.committed.get(&request.group).into_iter().flatten().map(all).collect(),
        };
        let fetched = topics.into_iter().map(|asked| {
            let one = |partition: i32| self.fetch_one(request, &asked, partition);
            let partitions = asked.partitions.iter().copied().map(one).collect();
            FetchedTopic { topic: asked.topic.clone(), topic_id: asked.topic_id, partitions }
        });
        fetched.collect()
    }

    fn fetch_one(
        &self,
        request: &FetchOffsets,
        asked: &TopicPartitions,
        partition: i32,
    ) -> FetchedOffset {
        let group = &request.group;
        if request.require_stable && get(&self.open, group, &asked.topic, partition).is_some() {
            return FetchedOffset::none(partition, ErrorCode::UnstableOffsetCommit);
        }
        // An offset of a topic that had the same name is no offset of this one.
        let same = |known: &&CommittedOffset| {
            known.topic_id.is_zero() || asked.topic_id.is_zero() || known.topic_id == asked.topic_id
        };
        match get(&self.committed, group, &asked.topic, partition).filter(same) {
            None => FetchedOffset::none(partition, ErrorCode::None),
            Some(known) => FetchedOffset {
                partition,
                error: ErrorCode::None,
                offset: known.offset,
                leader_epoch: known.leader_epoch,
                metadata: known.metadata.clone(),
            },
        }
    }

    /// All offsets of a group, pending ones too.
    pub fn of_group(&self, group: &str) -> Vec<(String, i32)> {
        let all = partitions(&self.committed, group).chain(partitions(&self.open, group));
        let all: BTreeSet<(&str, i32)> = all.collect();
        all.into_iter().map(|(topic, partition)| (topic.to_owned(), partition)).collect()
    }

    /// Which offsets of a group are out of date, and whether none is left without them. Of each
    /// topic `base` says whether its offsets may expire; and from when on an offset's time runs.
    pub fn expired(
        &self,
        group: &str,
        now_ms: i64,
        retention_ms: i64,
        may_expire: impl Fn(&str) -> bool,
        base_ms: impl Fn(&CommittedOffset) -> i64,
    ) -> (Vec<(String, i32)>, bool) {
        let (mut expired, mut all) = (Vec::new(), true);
        for (topic, offsets) in self.committed.get(group).into_iter().flatten() {
            for (&partition, offset) in offsets {
                let old = match offset.expire_ms {
                    at @ 0.. => now_ms >= at,
                    _ => now_ms - base_ms(offset) >= retention_ms,
                };
                let open = get(&self.open, group, topic, partition).is_some();
                match old && !open && may_expire(topic) {
                    true => expired.push((topic.clone(), partition)),
                    false => all = false,
                }
            }
        }
        (expired, all && !self.has_open_transactions(group))
    }

    /// Offsets of a topic, in all groups.
    pub fn of_topic(&self, topic: &str) -> Vec<(String, i32)> {
        let mut found = BTreeSet::new();
        let groups = self.committed.iter().flat_map(|(group, topics)| {
            let partitions = topics.get(topic).into_iter().flatten();
            partitions.map(move |(partition, _)| (group.clone(), *partition))
        });
        found.extend(groups);
        let open = self.open.iter().flat_map(|(group, topics)| {
            let partitions = topics.get(topic).into_iter().flatten();
            partitions.map(move |(partition, _)| (group.clone(), *partition))
        });
        found.extend(open);
        found.into_iter().collect()
    }
}

fn all<T>((topic, offsets): (&String, &BTreeMap<i32, T>)) -> TopicPartitions {
    TopicPartitions {
        topic: topic.clone(),
        topic_id: Uuid::ZERO,
        partitions: offsets.keys().copied().collect(),
    }
}

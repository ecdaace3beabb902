//! [`GroupCore`]: the groups and offsets of one partition of `__consumer_offsets`.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringlog_wire::DecodeError;
use ringlog_wire::records::group::{Key, Value};

use super::assignor::Assignor;
use super::classic::{ClassicGroup, ClassicState};
use super::consumer::{ConsumerGroup, ConsumerMember, LEFT, MemberState, Resolved};
use super::offsets::{CommittedOffset, FetchedOffset, FetchedTopic, Offsets};
use super::record::GroupRecord;
use super::request::{
    CommitOffsets, DeleteOffsets, FetchOffsets, GroupAnswer, GroupRequest, LeaveGroup, Ticket,
};
use super::timers::{Timer, Timers};
use super::topic_changes::TopicChanges;
use crate::error_code::ErrorCode;
use crate::metadata::MetadataImage;

/// What the configuration allows groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// group.min.session.timeout.ms
    pub session_timeout_min_ms: i32,
    /// group.max.session.timeout.ms
    pub session_timeout_max_ms: i32,
    /// group.initial.rebalance.delay.ms
    pub initial_delay_ms: u64,
    /// group.max.size
    pub members_max: usize,
    /// offset.metadata.max.bytes
    pub metadata_len_max: usize,
    /// offsets.retention.minutes
    pub retention_ms: i64,
    /// What may be appended at once.
    pub batch_bytes_max: usize,
    /// group.consumer.session.timeout.ms
    pub consumer_session_timeout_ms: i32,
    /// group.consumer.heartbeat.interval.ms
    pub consumer_heartbeat_ms: i32,
    /// group.consumer.max.size
    pub consumer_members_max: usize,
    /// group.consumer.assignors
    pub assignors: &'static [Assignor],
    /// group.consumer.migration.policy
    pub may_upgrade: bool,
    /// The same.
    pub may_downgrade: bool,
}

/// The moment in which something happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// By a clock that never goes back.
    pub mono_ms: u64,
    /// By the calendar.
    pub unix_ms: i64,
    /// The offset that the next record will have.
    pub next_offset: i64,
}

/// What follows from something that happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// To append, in this order.
    pub records: Vec<GroupRecord>,
    /// To send once the records, and all before them, are durable.
    pub answers: Vec<(Ticket, GroupAnswer)>,
}

/// What a group's doings reach beyond itself.
pub(super) struct Turn<'a> {
    pub timers: &'a mut Timers,
    pub limits: &'a GroupLimits,
    pub now: Now,
    pub out: &'a mut Effects,
}

impl Turn<'_> {
    pub fn answer(&mut self, ticket: Ticket, answer: GroupAnswer) {
        self.out.answers.push((ticket, answer));
    }

    pub fn in_ms(&self, ms: u64) -> u64 {
        self.now.mono_ms.saturating_add(ms)
    }

    /// Whether a record can be appended at all.
    pub fn fits(&self, record: &GroupRecord) -> bool {
        record.size_max() <= self.limits.batch_bytes_max
    }
}

/// The state of a coordinator.
#[derive(Debug)]
pub struct GroupCore {
    pub(super) limits: GroupLimits,
    pub(super) groups: BTreeMap<String, ClassicGroup>,
    /// Groups of the consumer protocol: an id is in one of the two.
    pub(super) consumers: BTreeMap<String, ConsumerGroup>,
    pub(super) image: Arc<MetadataImage>,
    pub(super) topic_changes: TopicChanges,
    pub(super) offsets: Offsets,
    pub(super) timers: Timers,
}

impl GroupCore {
    /// A coordinator that knows nothing yet.
    pub fn new(limits: GroupLimits) -> Self {
        Self {
            limits,
            groups: BTreeMap::new(),
            consumers: BTreeMap::new(),
            image: Arc::default(),
            topic_changes: TopicChanges::default(),
            offsets: Offsets::default(),
            timers: Timers::default(),
        }
    }

    /// What it keeps to.
    pub fn limits(&self) -> &GroupLimits {
        &self.limits
    }

    /// Keeps to other limits from now on.
    pub fn set_limits(&mut self, limits: GroupLimits) {
        self.limits = limits;
    }

    /// Follows the metadata, in which topics of these names were made, changed or deleted.
    pub fn set_image(&mut self, image: Arc<MetadataImage>, changed: &[String]) {
        self.image = image;
        changed.iter().for_each(|name| self.topic_changes.push(name.clone()));
    }

    /// Takes over a record of the log. `producer` wrote it in a transaction.
    ///
    /// # Errors
    /// If the key is none of Kafka's, or the value not one of its kind.
    pub fn replay(
        &mut self,
        offset: i64,
        timestamp_ms: i64,
        producer: Option<i64>,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), DecodeError> {
        let key = Key::decode(key)?;
        let decode = |bytes| Value::decode(key.record_type(), bytes).map(|(value, _)| value);
        let value = value.map(decode).transpose()?;
        self.apply(offset, timestamp_ms, producer, key, value);
        Ok(())
    }

    /// Takes over what a record says.
    pub(super) fn apply(
        &mut self,
        offset: i64,
        timestamp_ms: i64,
        producer: Option<i64>,
        key: Key,
        value: Option<Value>,
    ) {
        match (key, value) {
            (Key::GroupMetadata(key), Some(Value::GroupMetadata(value))) => {
                let group = ClassicGroup::loaded(&key.group, value);
                self.groups.insert(key.group, group);
            }
            (Key::GroupMetadata(key), None) => drop(self.groups.remove(&key.group)),
            (Key::OffsetCommit(key), None) => {
                self.offsets.set(&key.group, &key.topic, key.partition, producer, None);
            }
            (Key::OffsetCommit(key), Some(Value::OffsetCommit(value))) => {
                let committed = Some(CommittedOffset::of_record(offset, value));
                self.group_of_offsets(&key.group, timestamp_ms);
                self.offsets.set(&key.group, &key.topic, key.partition, producer, committed);
            }
            (key, value) => self.apply_consumer(key, value),
        }
    }

    fn apply_consumer(&mut self, key: Key, value: Option<Value>) {
        match (key, value) {
            (Key::ConsumerGroupMetadata(key), Some(Value::ConsumerGroupMetadata(value))) => {
                let group = self.consumer_group(&key.group_id);
                (group.epoch, group.metadata_hash) = (value.epoch, value.metadata_hash);
            }
            (Key::ConsumerGroupMetadata(key), None) => drop(self.consumers.remove(&key.group_id)),
            (
                Key::ConsumerGroupMemberMetadata(key),
                Some(Value::ConsumerGroupMemberMetadata(value)),
            ) => self.consumer_group(&key.group_id).set_member(&key.member_id, value),
            (
                Key::ConsumerGroupCurrentMemberAssignment(key),
                Some(Value::ConsumerGroupCurrentMemberAssignment(value)),
            ) => self.consumer_group(&key.group_id).set_assignment(&key.member_id, Some(value)),
            (
                Key::ConsumerGroupTargetAssignmentMember(key),
                Some(Value::ConsumerGroupTargetAssignmentMember(value)),
            ) => {
                let topics = value.topic_partitions.into_iter();
                let target = topics.map(|t| (t.topic_id, t.partitions.into_iter().collect()));
                let group = self.consumer_group(&key.group_id);
                group.target.insert(key.member_id, target.collect());
            }
            (
                Key::ConsumerGroupTargetAssignmentMetadata(key),
                Some(Value::ConsumerGroupTargetAssignmentMetadata(value)),
            ) => self.consumer_group(&key.group_id).target_epoch = value.assignment_epoch,
            (
                Key::ConsumerGroupRegularExpression(key),
                Some(Value::ConsumerGroupRegularExpression(value)),
            ) => {
                let resolved = Resolved {
                    topics: value.topics.into_iter().collect(),
                    version: value.version,
                    at_ms: value.timestamp,
                };
                let group = self.consumer_group(&key.group_id);
                group.regexes.insert(key.regular_expression, resolved);
            }
            (key, None) => self.forget_in_consumer_group(key),
            // Of share and streams groups, which are not here yet.
            _ => {}
        }
    }

    fn forget_in_consumer_group(&mut self, key: Key) {
        let id = match &key {
            Key::ConsumerGroupMemberMetadata(key) => &key.group_id,
            Key::ConsumerGroupCurrentMemberAssignment(key) => &key.group_id,
            Key::ConsumerGroupTargetAssignmentMember(key) => &key.group_id,
            Key::ConsumerGroupTargetAssignmentMetadata(key) => &key.group_id,
            Key::ConsumerGroupRegularExpression(key) => &key.group_id,
            _ => return,
        };
        let Some(group) = self.consumers.get_mut(id) else { return };
        match key {
            Key::ConsumerGroupMemberMetadata(key) => group.remove_member(&key.member_id),
            Key::ConsumerGroupCurrentMemberAssignment(key) => {
                group.set_assignment(&key.member_id, None);
            }
            Key::ConsumerGroupTargetAssignmentMember(key) => {
                group.target.remove(&key.member_id);
            }
            Key::ConsumerGroupTargetAssignmentMetadata(_) => group.target_epoch = LEFT,
            Key::ConsumerGroupRegularExpression(key) => {
                group.regexes.remove(&key.regular_expression);
            }
            _ => {}
        }
    }

    /// A consumer group, made if it is not there. A group that was nothing but offsets becomes it.
    fn consumer_group(&mut self, id: &str) -> &mut ConsumerGroup {
        self.groups.remove(id);
        self.consumers.entry(id.to_owned()).or_insert_with(|| ConsumerGroup::new(id))
    }

    /// Takes over the end of a transaction.
    pub fn end_transaction(&mut self, producer: i64, committed: bool) {
        self.offsets.end_transaction(producer, committed);
    }

    /// The log is read to its end: from now on silence counts.
    pub fn loaded(&mut self, now: Now) -> Effects {
        let mut out = Effects::default();
        let ids: Vec<String> = self.groups.keys().cloned().collect();
        for id in ids {
            self.with_group(&id, now, &mut out, |group, turn| group.start_after_load(turn));
        }
        let members = self.consumers.values().flat_map(|group| {
            group.members.values().map(|member| (group.id.clone(), member.clone()))
        });
        let members: Vec<(String, ConsumerMember)> = members.collect();
        for (group, member) in members {
            self.set_session(&group, &member.id, now);
            if member.state == MemberState::Unrevoked {
                let at = now.mono_ms + member.rebalance_timeout_ms.max(0) as u64;
                self.timers.set(Timer::Revoke { group, member: member.id }, at);
            }
        }
        out
    }

    /// Offsets make a group, if there is none: an empty one without a protocol.
    fn group_of_offsets(&mut self, id: &str, now_ms: i64) {
        if !self.groups.contains_key(id) && !self.consumers.contains_key(id) {
            self.groups.insert(id.to_owned(), ClassicGroup::new(id, now_ms));
        }
    }

    pub(super) fn with_group<T>(
        &mut self,
        id: &str,
        now: Now,
        out: &mut Effects,
        act: impl FnOnce(&mut ClassicGroup, &mut Turn<'_>) -> T,
    ) -> Option<T> {
        let group = self.groups.get_mut(id)?;
        let mut turn = Turn { timers: &mut self.timers, limits: &self.limits, now, out };
        Some(act(group, &mut turn))
    }

    /// Takes up a request. Its answer may come with a later event.
    pub fn handle(&mut self, ticket: Ticket, request: GroupRequest, now: Now) -> Effects {
        let mut out = Effects::default();
        let answer = match request {
            GroupRequest::Join(request) => {
                self.join(ticket, request, now, &mut out);
                return out;
            }
            GroupRequest::Sync(request) => {
                self.sync(ticket, request, now, &mut out);
                return out;
            }
            GroupRequest::Heartbeat(request) if request.group.is_empty() => {
                GroupAnswer::Heartbeat(ErrorCode::InvalidGroupId)
            }
            GroupRequest::Heartbeat(request) if self.consumers.contains_key(&request.group) => {
                GroupAnswer::Heartbeat(self.heartbeat_consumer_group(&request, now))
            }
            GroupRequest::Heartbeat(request) => {
                let id = request.group.clone();
                let beat = self
                    .with_group(&id, now, &mut out, |group, turn| group.heartbeat(&request, turn));
                GroupAnswer::Heartbeat(beat.unwrap_or(ErrorCode::UnknownMemberId))
            }
            GroupRequest::Leave(request) if request.group.is_empty() => {
                GroupAnswer::Left(Err(ErrorCode::InvalidGroupId))
            }
            GroupRequest::Leave(request) if self.consumers.contains_key(&request.group) => {
                let LeaveGroup { group, members } = request;
                GroupAnswer::Left(Ok(self.leave_consumer_group(&group, &members, now, &mut out)))
            }
            GroupRequest::Leave(request) => {
                let id = request.group.clone();
                let left = self.with_group(&id, now, &mut out, |group, turn| {
                    group.leave(&request.members, turn)
                });
                let unknown = || vec![ErrorCode::UnknownMemberId; request.members.len()];
                GroupAnswer::Left(Ok(left.unwrap_or_else(unknown)))
            }
            GroupRequest::Commit(request) => {
                GroupAnswer::Committed(self.commit(request, now, &mut out))
            }
            GroupRequest::Fetch(request) => GroupAnswer::Fetched(self.fetch(&request)),
            GroupRequest::ConsumerHeartbeat(request) => {
                GroupAnswer::ConsumerHeartbeat(self.consumer_beat(request, now, &mut out))
            }
            GroupRequest::DescribeConsumers { groups } => {
                GroupAnswer::ConsumersDescribed(self.describe_consumers(&groups))
            }
            GroupRequest::DeleteOffsets(request) => {
                GroupAnswer::OffsetsDeleted(self.delete_offsets(&request, &mut out))
            }
            GroupRequest::List { states, types } => GroupAnswer::Listed(self.list(&states, &types)),
            GroupRequest::Describe { groups } => GroupAnswer::Described(self.describe(&groups)),
            GroupRequest::Delete { groups } => {
                GroupAnswer::Deleted(self.delete_groups(&groups, now, &mut out))
            }
        };
        out.answers.push((ticket, answer));
        out
    }

    /// When [`GroupCore::on_time`] is due.
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next()
    }

    /// Acts on the deadlines that have passed.
    pub fn on_time(&mut self, now: Now) -> Effects {
        let mut out = Effects::default();
        while let Some(timer) = self.timers.pop(now.mono_ms) {
            match timer {
                Timer::Join { group } => {
                    self.with_group(&group, now, &mut out, |group, turn| group.join_is_due(turn));
                }
                Timer::Sync { group } => {
                    self.with_group(&group, now, &mut out, |group, turn| group.sync_is_due(turn));
                }
                Timer::Session { group, member } if self.consumers.contains_key(&group) => {
                    self.fence_if_there(&group, member, now, &mut out);
                }
                Timer::Revoke { group, member }
                | Timer::Rejoin { group, member }
                | Timer::Resync { group, member } => {
                    self.fence_if_there(&group, member, now, &mut out);
                }
                Timer::Session { group, member } => {
                    self.with_group(&group, now, &mut out, |group, turn| {
                        group.session_is_over(&member, turn);
                    });
                }
            }
        }
        out
    }

    fn fence_if_there(&mut self, group: &str, member: String, now: Now, out: &mut Effects) {
        let known = self.consumers.get(group);
        if known.is_some_and(|group| group.members.contains_key(&member)) {
            self.fence(group, &[member], now, out);
        }
    }

    fn commit(
        &mut self,
        request: CommitOffsets,
        now: Now,
        out: &mut Effects,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let id = request.group.clone();
        match self.with_group(&id, now, out, |group, turn| group.accept_commit(&request, turn)) {
            Some(accepted) => accepted?,
            None if self.consumers.contains_key(&id) => self.accept_consumer_commit(&request)?,
            None if request.generation < 0 => self.group_of_offsets(&id, now.unix_ms),
            None if request.knows_missing_groups => return Err(ErrorCode::GroupIdNotFound),
            None => return Err(ErrorCode::IllegalGeneration),
        }
        let mut errors = Vec::with_capacity(request.offsets.len());
        let (mut changes, mut bytes) = (Vec::new(), 0);
        for wanted in request.offsets {
            // Java counts UTF-16 units.
            let note = wanted.metadata.as_ref().map_or(0, |note| note.encode_utf16().count());
            if note > self.limits.metadata_len_max {
                errors.push(ErrorCode::OffsetMetadataTooLarge);
                continue;
            }
            errors.push(ErrorCode::None);
            let (topic, partition) = (wanted.topic.clone(), wanted.partition);
            let offset = CommittedOffset::of_request(wanted, now.unix_ms, request.retention_ms);
            let record = GroupRecord::offset(&id, &topic, partition, &offset);
            bytes += record.size_max();
            changes.push((topic, partition, offset, record));
        }
        // All of a commit is durable, or none of it.
        if bytes > self.limits.batch_bytes_max {
            return Err(ErrorCode::UnknownServerError);
        }
        for (topic, partition, mut offset, record) in changes {
            offset.record_offset = now.next_offset + out.records.len() as i64;
            self.offsets.set(&id, &topic, partition, None, Some(offset));
            out.records.push(record);
        }
        Ok(errors)
    }

    fn fetch(&self, request: &FetchOffsets) -> Result<Vec<FetchedTopic>, ErrorCode> {
        let is_consumer = self.consumers.contains_key(&request.group);
        if is_consumer {
            self.accept_consumer_fetch(request)?;
        }
        if is_consumer || self.groups.contains_key(&request.group) {
            return Ok(self.offsets.fetch(request));
        }
        let topics = request.topics.iter().flatten().map(|asked| {
            let none = |p: &i32| FetchedOffset::none(*p, ErrorCode::None);
            let partitions = asked.partitions.iter().map(none).collect();
            FetchedTopic { topic: asked.topic.clone(), topic_id: asked.topic_id, partitions }
        });
        Ok(topics.collect())
    }

    fn delete_offsets(
        &mut self,
        request: &DeleteOffsets,
        out: &mut Effects,
    ) -> Result<Vec<Vec<ErrorCode>>, ErrorCode> {
        let id = &request.group;
        if id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let (classic, consumer) = (self.groups.get(id), self.consumers.get(id));
        if classic.is_none() && consumer.is_none() {
            return Err(ErrorCode::GroupIdNotFound);
        }
        if classic.is_some_and(|g| g.state != ClassicState::Empty && !g.is_of_consumers()) {
            return Err(ErrorCode::NonEmptyGroup);
        }
        let is_subscribed = |topic: &str| {
            classic.is_some_and(|group| group.is_subscribed(topic))
                || consumer.is_some_and(|group| group.is_subscribed(topic))
        };
        let mut answers = Vec::with_capacity(request.topics.len());
        for asked in &request.topics {
            if is_subscribed(&asked.topic) {
                answers.push(vec![ErrorCode::GroupSubscribedToTopic; asked.partitions.len()]);
                continue;
            }
            for &partition in &asked.partitions {
                if self.offsets.knows(id, &asked.topic, partition) {
                    self.offsets.set(id, &asked.topic, partition, None, None);
                    out.records.push(GroupRecord::no_offset(id, &asked.topic, partition));
                }
            }
            answers.push(vec![ErrorCode::None; asked.partitions.len()]);
        }
        Ok(answers)
    }
}

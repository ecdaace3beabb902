//! [`GroupCore`]: the groups and offsets of one partition of `__consumer_offsets`.

use std::collections::BTreeMap;

use ringlog_wire::DecodeError;
use ringlog_wire::records::group::{Key, Value};

use super::classic::{ClassicGroup, ClassicState};
use super::offsets::{CommittedOffset, FetchedOffset, FetchedTopic, Offsets};
use super::record::GroupRecord;
use super::request::{
    CommitOffsets, DeleteOffsets, FetchOffsets, GroupAnswer, GroupRequest, Ticket,
};
use super::timers::{Timer, Timers};
use crate::error_code::ErrorCode;

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
    pub(super) offsets: Offsets,
    pub(super) timers: Timers,
}

impl GroupCore {
    /// A coordinator that knows nothing yet.
    pub fn new(limits: GroupLimits) -> Self {
        Self {
            limits,
            groups: BTreeMap::new(),
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
            _ => {}
        }
        Ok(())
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
        out
    }

    /// Offsets make a group, if there is none: an empty one without a protocol.
    fn group_of_offsets(&mut self, id: &str, now_ms: i64) {
        if !self.groups.contains_key(id) {
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
            GroupRequest::Heartbeat(request) => {
                let id = request.group.clone();
                let beat = self
                    .with_group(&id, now, &mut out, |group, turn| group.heartbeat(&request, turn));
                GroupAnswer::Heartbeat(beat.unwrap_or(ErrorCode::UnknownMemberId))
            }
            GroupRequest::Leave(request) if request.group.is_empty() => {
                GroupAnswer::Left(Err(ErrorCode::InvalidGroupId))
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
            GroupRequest::Fetch(request) => GroupAnswer::Fetched(Ok(self.fetch(&request))),
            GroupRequest::DeleteOffsets(request) => {
                GroupAnswer::OffsetsDeleted(self.delete_offsets(&request, &mut out))
            }
            GroupRequest::List { states, types } => GroupAnswer::Listed(self.list(&states, &types)),
            GroupRequest::Describe { groups } => GroupAnswer::Described(self.describe(&groups)),
            GroupRequest::Delete { groups } => {
                GroupAnswer::Deleted(self.delete_groups(&groups, &mut out))
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
                Timer::Session { group, member } => {
                    self.with_group(&group, now, &mut out, |group, turn| {
                        group.session_is_over(&member, turn);
                    });
                }
            }
        }
        out
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

    fn fetch(&self, request: &FetchOffsets) -> Vec<FetchedTopic> {
        if self.groups.contains_key(&request.group) {
            return self.offsets.fetch(request);
        }
        let topics = request.topics.iter().flatten().map(|asked| {
            let none = |p: &i32| FetchedOffset::none(*p, ErrorCode::None);
            let partitions = asked.partitions.iter().map(none).collect();
            FetchedTopic { topic: asked.topic.clone(), topic_id: asked.topic_id, partitions }
        });
        topics.collect()
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
        let group = self.groups.get(id).ok_or(ErrorCode::GroupIdNotFound)?;
        if group.state != ClassicState::Empty && !group.is_of_consumers() {
            return Err(ErrorCode::NonEmptyGroup);
        }
        let mut answers = Vec::with_capacity(request.topics.len());
        for asked in &request.topics {
            if group.is_subscribed(&asked.topic) {
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

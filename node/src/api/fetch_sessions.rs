//! Incremental fetch sessions (KIP-227): a client names all its partitions once, then only what
//! changes; the broker answers only what is new.
//!
//! Each shard has a cache for the connections it serves, with its part of
//! max.incremental.fetch.session.cache.slots, as Kafka divides its own. A client that comes back on
//! another shard finds its session gone and starts a new one, as it does after an eviction.

use std::collections::BTreeMap;

use ringlog_wire::Uuid;
use ringlog_wire::messages::FetchRequest;
use ringlog_wire::messages::fetch_request::FetchPartition;

use crate::error_code::ErrorCode;

/// Partitions of all sessions of a shard; a request for more is answered without a session.
const PARTITIONS_MAX: usize = 400_000;
/// How long a session is safe from others, and how long one may be idle before it is not
/// (`MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
const EVICTION_MS: u64 = 120_000;
const NO_SESSION: i32 = 0;
const EPOCH_INITIAL: i32 = 0;
const EPOCH_FINAL: i32 = -1;
const TOPIC_IDS_FROM: i16 = 13;

/// A partition by its topic's name or id, whichever the client uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetchKey {
    /// The name; empty from version 13 on.
    pub topic: String,
    /// The id; zero up to version 12.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
}

/// What a session remembers of a partition: what the client asked, and what it was told.
#[derive(Clone, Debug)]
struct Cached {
    asked: FetchPartition,
    high_watermark: i64,
    log_start_offset: i64,
    /// The last answer was an error, or nothing has been answered yet: the next one is given.
    answer_due: bool,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    by_topic_id: bool,
    created_ms: u64,
    last_used_ms: u64,
    /// In the order in which they are read: those that gave records go to the end, so that none is
    /// starved by the limit of the answer.
    queue: BTreeMap<u64, (FetchKey, Cached)>,
    places: BTreeMap<FetchKey, u64>,
    next_place: u64,
}

/// A shard's sessions.
#[derive(Debug)]
pub struct FetchSessions {
    slots: usize,
    sessions: BTreeMap<i32, Session>,
    partitions: usize,
}

/// What a fetch is about, after its session has been consulted.
#[derive(Debug)]
pub struct FetchPlan {
    /// The session to name in the answer; 0 is none.
    pub session_id: i32,
    /// Partitions in order.
    pub partitions: Vec<(FetchKey, FetchPartition)>,
    /// Only partitions with news are answered.
    pub incremental: bool,
}

impl Session {
    fn new(by_topic_id: bool, now_ms: u64) -> Self {
        Self {
            epoch: EPOCH_INITIAL + 1,
            by_topic_id,
            created_ms: now_ms,
            last_used_ms: now_ms,
            queue: BTreeMap::new(),
            places: BTreeMap::new(),
            next_place: 0,
        }
    }

    fn set(&mut self, key: FetchKey, asked: FetchPartition) {
        match self.places.get(&key) {
            Some(place) => self.queue.get_mut(place).expect("it has its place").1.asked = asked,
            None => self.push(key, Cached::new(asked)),
        }
    }

    fn push(&mut self, key: FetchKey, cached: Cached) {
        self.places.insert(key.clone(), self.next_place);
        self.queue.insert(self.next_place, (key, cached));
        self.next_place += 1;
    }

    fn take(&mut self, key: &FetchKey) -> Option<Cached> {
        let place = self.places.remove(key)?;
        self.queue.remove(&place).map(|(_, cached)| cached)
    }
}

impl FetchSessions {
    /// A cache for so many sessions.
    pub fn new(slots: usize) -> Self {
        Self { slots, sessions: BTreeMap::new(), partitions: 0 }
    }

    /// Finds out what `request` is about. `random` gives the id of a session that is made.
    ///
    /// # Errors
    /// The session is not known, or is used as it is not meant to be.
    pub fn plan(
        &mut self,
        request: &FetchRequest,
        version: i16,
        now_ms: u64,
        random: impl FnMut() -> u64,
    ) -> Result<FetchPlan, ErrorCode> {
        let asked = asked_partitions(request);
        let by_topic_id = version >= TOPIC_IDS_FROM;
        if version < 7 || matches!(request.session_epoch, EPOCH_FINAL | EPOCH_INITIAL) {
            self.remove(request.session_id);
            let wanted = version >= 7 && request.session_epoch == EPOCH_INITIAL;
            let session_id = match wanted && self.has_room(asked.len(), now_ms) {
                true => self.create(&asked, by_topic_id, now_ms, random),
                false => NO_SESSION,
            };
            return Ok(FetchPlan { session_id, partitions: asked, incremental: false });
        }
        let id = request.session_id;
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_topic_id != by_topic_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        let before = session.queue.len();
        for (key, partition) in &asked {
            session.set(key.clone(), partition.clone());
        }
        for topic in &request.forgotten_topics_data {
            for &partition in &topic.partitions {
                let (topic, topic_id) = (topic.topic.clone(), topic.topic_id);
                session.take(&FetchKey { topic, topic_id, partition });
            }
        }
        self.partitions = self.partitions - before + session.queue.len();
        if session.queue.is_empty() || self.partitions > PARTITIONS_MAX {
            self.remove(id);
            return Ok(FetchPlan { session_id: NO_SESSION, partitions: asked, incremental: false });
        }
        // Epochs are positive and wrap to 1: 0 and -1 have meanings of their own.
        session.epoch = session.epoch.checked_add(1).unwrap_or(1);
        session.last_used_ms = now_ms;
        let partitions =
            session.queue.values().map(|(key, c)| (key.clone(), c.asked.clone())).collect();
        Ok(FetchPlan { session_id: id, partitions, incremental: true })
    }

    fn create(
        &mut self,
        asked: &[(FetchKey, FetchPartition)],
        by_topic_id: bool,
        now_ms: u64,
        mut random: impl FnMut() -> u64,
    ) -> i32 {
        let mut session = Session::new(by_topic_id, now_ms);
        for (key, partition) in asked {
            session.set(key.clone(), partition.clone());
        }
        let id = loop {
            let id = (random() as i32 & i32::MAX).max(1);
            if !self.sessions.contains_key(&id) {
                break id;
            }
        };
        self.partitions += session.queue.len();
        self.sessions.insert(id, session);
        id
    }

    /// Whether a session of so many partitions may be made, if need be in the place of one that is
    /// idle, or of a smaller one that is no longer young.
    fn has_room(&mut self, partitions: usize, now_ms: u64) -> bool {
        if self.partitions + partitions > PARTITIONS_MAX {
            return false;
        }
        if self.sessions.len() < self.slots {
            return true;
        }
        let since = |then: u64| now_ms.saturating_sub(then);
        let idlest = self.sessions.iter().min_by_key(|(_, session)| session.last_used_ms);
        let idle = idlest.filter(|(_, session)| since(session.last_used_ms) > EVICTION_MS);
        let old = self.sessions.iter().filter(|(_, s)| since(s.created_ms) > EVICTION_MS);
        let smallest = old.min_by_key(|(_, session)| session.queue.len());
        let small = smallest.filter(|(_, session)| session.queue.len() < partitions);
        let evicted = idle.or(small).map(|(id, _)| *id);
        evicted.is_some_and(|id| {
            self.remove(id);
            true
        })
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.queue.len();
        }
    }

    /// Whether an incremental answer must name this partition; remembers what it says.
    pub fn has_news(
        &mut self,
        plan: &FetchPlan,
        key: &FetchKey,
        error: ErrorCode,
        records_len: usize,
        high_watermark: i64,
        log_start_offset: i64,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(&plan.session_id) else { return true };
        let Some(&place) = session.places.get(key) else { return true };
        let (_, cached) = session.queue.get_mut(&place).expect("it has its place");
        let news = cached.answer_due
            || error != ErrorCode::None
            || records_len > 0
            || cached.high_watermark != high_watermark
            || cached.log_start_offset != log_start_offset;
        cached.answer_due = error != ErrorCode::None;
        cached.high_watermark = high_watermark;
        cached.log_start_offset = log_start_offset;
        if plan.incremental
            && records_len > 0
            && let Some(cached) = session.take(key)
        {
            session.push(key.clone(), cached);
        }
        news
    }
}

impl Cached {
    fn new(asked: FetchPartition) -> Self {
        Self { asked, high_watermark: -1, log_start_offset: -1, answer_due: true }
    }
}

fn asked_partitions(request: &FetchRequest) -> Vec<(FetchKey, FetchPartition)> {
    let mut asked = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = FetchKey {
                topic: topic.topic.clone(),
                topic_id: topic.topic_id,
                partition: partition.partition,
            };
            asked.push((key, partition.clone()));
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringlog_wire::messages::fetch_request::{FetchTopic, ForgottenTopic};

    fn request(session_id: i32, session_epoch: i32, partitions: &[i32]) -> FetchRequest {
        let partitions = partitions
            .iter()
            .map(|&partition| FetchPartition { partition, ..FetchPartition::default() })
            .collect();
        let topic = FetchTopic { topic: "t".to_owned(), partitions, ..FetchTopic::default() };
        FetchRequest { session_id, session_epoch, topics: vec![topic], ..FetchRequest::default() }
    }

    fn forget(session_id: i32, session_epoch: i32, partitions: &[i32]) -> FetchRequest {
        let (topic, partitions) = ("t".to_owned(), partitions.to_vec());
        let forgotten = ForgottenTopic { topic, partitions, ..ForgottenTopic::default() };
        let forgotten_topics_data = vec![forgotten];
        FetchRequest { forgotten_topics_data, ..request(session_id, session_epoch, &[]) }
    }

    fn numbers(plan: &FetchPlan) -> Vec<i32> {
        plan.partitions.iter().map(|(key, _)| key.partition).collect()
    }

    fn key(partition: i32) -> FetchKey {
        FetchKey { topic: "t".to_owned(), topic_id: Uuid::ZERO, partition }
    }

    /// Asks at a time; a new session gets this id.
    fn ask(
        sessions: &mut FetchSessions,
        request: &FetchRequest,
        now_ms: u64,
        id: u64,
    ) -> Result<FetchPlan, ErrorCode> {
        sessions.plan(request, 12, now_ms, || id)
    }

    #[test]
    fn a_session_remembers_and_forgets() {
        let mut sessions = FetchSessions::new(10);
        let mut plan = |request: FetchRequest| ask(&mut sessions, &request, 0, 77);
        let full = plan(request(0, 0, &[1, 0])).expect("a new session");
        assert_eq!((full.session_id, full.incremental, numbers(&full)), (77, false, vec![1, 0]));
        let next = plan(request(77, 1, &[2])).expect("the next epoch");
        assert_eq!((next.incremental, numbers(&next)), (true, vec![1, 0, 2]));
        assert_eq!(numbers(&plan(forget(77, 2, &[0])).expect("the next epoch")), [1, 2]);
        let end = plan(request(77, -1, &[5])).expect("the end");
        assert_eq!((end.session_id, numbers(&end)), (0, vec![5]));
        let gone = plan(request(77, 3, &[]));
        assert_eq!(gone.err(), Some(ErrorCode::FetchSessionIdNotFound));
        plan(request(0, 0, &[0])).expect("a new session");
        let empty = plan(forget(77, 1, &[0])).expect("nothing left");
        assert_eq!((empty.session_id, empty.incremental), (0, false));
    }

    #[test]
    fn w05_forged_sessions_are_refused() {
        let mut sessions = FetchSessions::new(10);
        ask(&mut sessions, &request(0, 0, &[0]), 0, 9).expect("a new session");
        let mut error = |id, epoch| ask(&mut sessions, &request(id, epoch, &[]), 0, 1).err();
        assert_eq!(error(8, 1), Some(ErrorCode::FetchSessionIdNotFound));
        assert_eq!(error(9, 5), Some(ErrorCode::InvalidFetchSessionEpoch));
        assert_eq!(error(9, i32::MIN), Some(ErrorCode::InvalidFetchSessionEpoch));
        assert_eq!(error(9, 1), None);
        let by_id = sessions.plan(&request(9, 2, &[]), 13, 0, || 1).err();
        assert_eq!(by_id, Some(ErrorCode::FetchSessionTopicIdError));
    }

    #[test]
    fn only_news_is_answered() {
        let mut sessions = FetchSessions::new(10);
        let plan = ask(&mut sessions, &request(0, 0, &[0]), 0, 9).expect("a new session");
        let mut news = |error, len, hw| sessions.has_news(&plan, &key(0), error, len, hw, 0);
        assert!(news(ErrorCode::None, 0, 5), "the first answer");
        assert!(!news(ErrorCode::None, 0, 5));
        assert!(news(ErrorCode::None, 10, 5), "records");
        assert!(news(ErrorCode::None, 0, 6), "the high watermark moved");
        assert!(news(ErrorCode::OffsetOutOfRange, 0, 6), "an error");
        assert!(news(ErrorCode::None, 0, 6), "the error is over");
        assert!(!news(ErrorCode::None, 0, 6));
    }

    #[test]
    fn a_partition_that_gave_records_goes_to_the_end() {
        let mut sessions = FetchSessions::new(10);
        let full = ask(&mut sessions, &request(0, 0, &[0, 1, 2]), 0, 9).expect("a new session");
        sessions.has_news(&full, &key(0), ErrorCode::None, 100, 5, 0);
        let next = ask(&mut sessions, &request(9, 1, &[]), 0, 0).expect("the next epoch");
        assert_eq!(numbers(&next), [0, 1, 2]);
        sessions.has_news(&next, &key(0), ErrorCode::None, 100, 5, 0);
        let next = ask(&mut sessions, &request(9, 2, &[]), 0, 0).expect("the next epoch");
        assert_eq!(numbers(&next), [1, 2, 0]);
    }

    #[test]
    fn a_full_cache_keeps_what_is_young_and_lets_go_of_the_idle_and_the_small() {
        let mut sessions = FetchSessions::new(2);
        let mut made = |now_ms, id: u64, partitions: &[i32]| {
            let plan = ask(&mut sessions, &request(0, 0, partitions), now_ms, id);
            plan.expect("with a session or without").session_id
        };
        assert_eq!((made(0, 1, &[0, 1]), made(0, 2, &[0])), (1, 2));
        assert_eq!(made(1000, 3, &[0, 1, 2]), 0, "both are young");
        for id in [1, 2] {
            ask(&mut sessions, &request(id, 1, &[]), 100_000, 0).expect("used");
        }
        let mut made = |now_ms, id: u64, partitions: &[i32]| {
            let plan = ask(&mut sessions, &request(0, 0, partitions), now_ms, id);
            plan.expect("with a session or without").session_id
        };
        assert_eq!(made(121_000, 3, &[0]), 0, "none is smaller");
        assert_eq!(made(121_000, 4, &[0, 1]), 4, "in the place of the smaller");
        assert_eq!(made(230_000, 5, &[0]), 5, "in the place of the idle");
        let found = |id, sessions: &mut FetchSessions| {
            ask(sessions, &request(id, if id < 3 { 2 } else { 1 }, &[]), 230_000, 0).is_ok()
        };
        let left = [1, 2, 4, 5].map(|id| found(id, &mut sessions));
        assert_eq!(left, [false, false, true, true]);
        let mut none = FetchSessions::new(0);
        assert_eq!(ask(&mut none, &request(0, 0, &[0]), 0, 9).expect("none").session_id, 0);
    }
}

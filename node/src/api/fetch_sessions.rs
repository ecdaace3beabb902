//! Incremental fetch sessions (KIP-227): a client names all its partitions once, then only what
//! changes; the broker answers only what is new.
//!
//! A session lives as long as its connection, which is where clients use it: another connection's
//! session id is not found, and the client starts a new one, as it does when Kafka evicts it.

use std::collections::BTreeMap;

use ringlog_wire::Uuid;
use ringlog_wire::messages::FetchRequest;
use ringlog_wire::messages::fetch_request::FetchPartition;

use crate::error_code::ErrorCode;

/// Sessions of one connection.
const SESSIONS_MAX: usize = 4;
/// Partitions of one session; a request for more is answered without one.
const PARTITIONS_MAX: usize = 100_000;
const NO_SESSION: i32 = 0;
const EPOCH_INITIAL: i32 = 0;
const EPOCH_FINAL: i32 = -1;

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
    partitions: BTreeMap<FetchKey, Cached>,
}

/// A connection's sessions.
#[derive(Debug, Default)]
pub struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
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

impl FetchSessions {
    /// Finds out what `request` is about. `new_id` is a random number for a session that is made.
    ///
    /// # Errors
    /// The session is not known, or the epoch is not the one that is due.
    pub fn plan(
        &mut self,
        request: &FetchRequest,
        version: i16,
        new_id: i32,
    ) -> Result<FetchPlan, ErrorCode> {
        let asked = asked_partitions(request);
        let sessionless =
            |partitions| FetchPlan { session_id: NO_SESSION, partitions, incremental: false };
        if version < 7 || request.session_epoch == EPOCH_FINAL {
            self.sessions.remove(&request.session_id);
            return Ok(sessionless(asked));
        }
        if request.session_epoch == EPOCH_INITIAL {
            self.sessions.remove(&request.session_id);
            if asked.len() > PARTITIONS_MAX {
                return Ok(sessionless(asked));
            }
            if self.sessions.len() >= SESSIONS_MAX {
                self.sessions.pop_first();
            }
            let partitions =
                asked.iter().map(|(key, p)| (key.clone(), Cached::new(p.clone()))).collect();
            self.sessions.insert(new_id, Session { epoch: 1, partitions });
            return Ok(FetchPlan { session_id: new_id, partitions: asked, incremental: false });
        }
        let session =
            self.sessions.get_mut(&request.session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        // Epochs are positive and wrap to 1: 0 and -1 have meanings of their own.
        session.epoch = session.epoch.checked_add(1).unwrap_or(1);
        for topic in &request.forgotten_topics_data {
            for &partition in &topic.partitions {
                let (topic, topic_id) = (topic.topic.clone(), topic.topic_id);
                session.partitions.remove(&FetchKey { topic, topic_id, partition });
            }
        }
        if session.partitions.len() + asked.len() > PARTITIONS_MAX {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        for (key, partition) in asked {
            match session.partitions.get_mut(&key) {
                Some(cached) => cached.asked = partition,
                None => {
                    session.partitions.insert(key, Cached::new(partition));
                }
            }
        }
        let partitions =
            session.partitions.iter().map(|(key, c)| (key.clone(), c.asked.clone())).collect();
        Ok(FetchPlan { session_id: request.session_id, partitions, incremental: true })
    }

    /// Whether an incremental answer must name this partition; remembers what it says.
    pub fn has_news(
        &mut self,
        session_id: i32,
        key: &FetchKey,
        error: ErrorCode,
        records_len: usize,
        high_watermark: i64,
        log_start_offset: i64,
    ) -> bool {
        let cached = self.sessions.get_mut(&session_id).and_then(|s| s.partitions.get_mut(key));
        let Some(cached) = cached else { return true };
        let news = cached.answer_due
            || error != ErrorCode::None
            || records_len > 0
            || cached.high_watermark != high_watermark
            || cached.log_start_offset != log_start_offset;
        cached.answer_due = error != ErrorCode::None;
        cached.high_watermark = high_watermark;
        cached.log_start_offset = log_start_offset;
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

    fn numbers(plan: &FetchPlan) -> Vec<i32> {
        plan.partitions.iter().map(|(key, _)| key.partition).collect()
    }

    #[test]
    fn a_session_remembers_and_forgets() {
        let mut sessions = FetchSessions::default();
        let full = sessions.plan(&request(0, 0, &[0, 1]), 12, 77).expect("a new session");
        assert_eq!((full.session_id, full.incremental, numbers(&full)), (77, false, vec![0, 1]));
        let next = sessions.plan(&request(77, 1, &[2]), 12, 0).expect("the next epoch");
        assert_eq!((next.incremental, numbers(&next)), (true, vec![0, 1, 2]));
        let mut forget = request(77, 2, &[]);
        let topic = "t".to_owned();
        forget.forgotten_topics_data =
            vec![ForgottenTopic { topic, partitions: vec![0], ..ForgottenTopic::default() }];
        let rest = sessions.plan(&forget, 12, 0).expect("the next epoch");
        assert_eq!(numbers(&rest), [1, 2]);
        let end = sessions.plan(&request(77, -1, &[5]), 12, 0).expect("the end");
        assert_eq!((end.session_id, numbers(&end)), (0, vec![5]));
        assert_eq!(
            sessions.plan(&request(77, 3, &[]), 12, 0).err(),
            Some(ErrorCode::FetchSessionIdNotFound)
        );
    }

    #[test]
    fn w05_forged_sessions_are_refused() {
        let mut sessions = FetchSessions::default();
        sessions.plan(&request(0, 0, &[0]), 12, 9).expect("a new session");
        let error =
            |id, epoch, s: &mut FetchSessions| s.plan(&request(id, epoch, &[]), 12, 0).err();
        assert_eq!(error(8, 1, &mut sessions), Some(ErrorCode::FetchSessionIdNotFound));
        assert_eq!(error(9, 5, &mut sessions), Some(ErrorCode::InvalidFetchSessionEpoch));
        assert_eq!(error(9, i32::MIN, &mut sessions), Some(ErrorCode::InvalidFetchSessionEpoch));
        assert_eq!(error(9, 1, &mut sessions), None);
    }

    #[test]
    fn only_news_is_answered() {
        let mut sessions = FetchSessions::default();
        sessions.plan(&request(0, 0, &[0]), 12, 9).expect("a new session");
        let key = FetchKey { topic: "t".to_owned(), topic_id: Uuid::ZERO, partition: 0 };
        let mut news = |error, len, hw| sessions.has_news(9, &key, error, len, hw, 0);
        assert!(news(ErrorCode::None, 0, 5), "the first answer");
        assert!(!news(ErrorCode::None, 0, 5));
        assert!(news(ErrorCode::None, 10, 5), "records");
        assert!(news(ErrorCode::None, 0, 6), "the high watermark moved");
        assert!(news(ErrorCode::OffsetOutOfRange, 0, 6), "an error");
        assert!(news(ErrorCode::None, 0, 6), "the error is over");
        assert!(!news(ErrorCode::None, 0, 6));
    }
}

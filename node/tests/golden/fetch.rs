//! Fetch, with and without sessions.

use ringlog_wire::messages::FetchRequest;
use ringlog_wire::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};

use crate::pair::{Pair, Side};
use crate::produce::{TIMES, batch_at, produce_both};

/// Above this version topics go by id.
const NAMES_UP_TO: i16 = 12;

fn partition(partition: i32, fetch_offset: i64) -> FetchPartition {
    FetchPartition { partition, fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() }
}

fn topic(side: &Side, version: i16, name: &str, partitions: Vec<FetchPartition>) -> FetchTopic {
    let known = name != "nope";
    FetchTopic {
        topic: if version <= NAMES_UP_TO { name.to_owned() } else { String::new() },
        topic_id: match (version > NAMES_UP_TO, known) {
            (true, true) => side.id(name),
            (true, false) => "AAAAAAAAAAAAAAAAAAAABQ".parse().expect("an id"),
            _ => Default::default(),
        },
        partitions,
    }
}

fn of(topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 0,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics,
        ..Default::default()
    }
}

pub fn compare(pair: &mut Pair) {
    pair.create_topic("read", 2, &[]);
    for _ in 0..3 {
        produce_both(pair, "read", batch_at(&TIMES));
    }
    let size = batch_at(&TIMES).len() as i32;
    for version in 4..=18 {
        offsets(pair, version);
        limits(pair, version, size);
        epochs(pair, version);
        pair.same("two partitions and an unknown topic", version, |side| {
            of(vec![
                topic(
                    side,
                    version,
                    "read",
                    vec![partition(0, 4), partition(1, 0), partition(5, 0)],
                ),
                topic(side, version, "nope", vec![partition(0, 0)]),
            ])
        });
        if version >= 7 {
            sessions(pair, version);
        }
    }
}

fn offsets(pair: &mut Pair, version: i16) {
    for offset in [0, 1, 5, 11, 12, 13, 1 << 40, -1, i64::MIN] {
        for isolation_level in [0, 1] {
            pair.same(&format!("offset {offset} isolation {isolation_level}"), version, |side| {
                let topics = vec![topic(side, version, "read", vec![partition(0, offset)])];
                FetchRequest { isolation_level, ..of(topics) }
            });
        }
    }
}

/// The limit of the whole answer, of a partition, and the first batch that comes all the same.
fn limits(pair: &mut Pair, version: i16, size: i32) {
    for max_bytes in [0, 1, size, size + 1, 2 * size + 3, -1] {
        for partition_max_bytes in [0, 1, size, size + 1, 2 * size, 1 << 20] {
            pair.same(&format!("limits {max_bytes} {partition_max_bytes}"), version, |side| {
                let limited = |index, offset| FetchPartition {
                    partition_max_bytes,
                    ..partition(index, offset)
                };
                let topics = vec![topic(side, version, "read", vec![limited(1, 0), limited(0, 2)])];
                FetchRequest { max_bytes, ..of(topics) }
            });
        }
    }
}

fn epochs(pair: &mut Pair, version: i16) {
    if version < 9 {
        return;
    }
    for (current_leader_epoch, last_fetched_epoch) in
        [(0, -1), (1, -1), (-2, -1), (7, -1), (0, 0), (0, 3), (-1, 5)]
    {
        let last_fetched_epoch = if version >= 12 { last_fetched_epoch } else { -1 };
        pair.same(&format!("epoch {current_leader_epoch} {last_fetched_epoch}"), version, |side| {
            let asked =
                FetchPartition { current_leader_epoch, last_fetched_epoch, ..partition(0, 8) };
            of(vec![topic(side, version, "read", vec![asked])])
        });
    }
}

/// A session from its beginning to its end.
fn sessions(pair: &mut Pair, version: i16) {
    let mut ids = [0; 2];
    let at = |side: &Side, ids: [i32; 2]| match side.is_stock {
        true => ids[0],
        false => ids[1],
    };
    let mut step = |pair: &mut Pair,
                    what: &str,
                    session_epoch: i32,
                    forged: i32,
                    asked: &[(&str, i32, i64)],
                    forgotten: &[(&str, i32)]| {
        let known = ids;
        let mut found = Vec::new();
        pair.same_but(
            &format!("session: {what}"),
            version,
            |side| {
                let topics = asked.iter().map(|(name, index, offset)| {
                    topic(side, version, name, vec![partition(*index, *offset)])
                });
                let forgotten = forgotten.iter().map(|(name, index)| {
                    let FetchTopic { topic, topic_id, .. } = topic(side, version, name, Vec::new());
                    ForgottenTopic { topic, topic_id, partitions: vec![*index] }
                });
                FetchRequest {
                    session_id: at(side, known) ^ forged,
                    session_epoch,
                    forgotten_topics_data: forgotten.collect(),
                    ..of(topics.collect())
                }
            },
            |response| {
                found.push(response.session_id);
                response.session_id = response.session_id.min(1);
            },
        );
        if found.iter().all(|id| *id > 0) {
            ids = [found[0], found[1]];
        }
    };
    step(pair, "full", 0, 0, &[("read", 0, 0), ("read", 1, 0), ("nope", 0, 0)], &[]);
    step(pair, "what was read is read again", 1, 0, &[], &[]);
    step(pair, "moves on", 2, 0, &[("read", 0, 12)], &[]);
    step(pair, "nothing new", 3, 0, &[], &[]);
    step(pair, "an old epoch", 3, 0, &[], &[]);
    step(pair, "an epoch to come", 9, 0, &[], &[]);
    step(pair, "another's id", 4, 1 << 20, &[], &[]);
    step(pair, "an error is told each time", 4, 0, &[("read", 0, 99)], &[]);
    step(pair, "again", 5, 0, &[], &[]);
    step(pair, "forgotten", 6, 0, &[], &[("read", 0), ("nope", 0)]);
    step(pair, "without it", 7, 0, &[], &[]);
    step(pair, "forgotten and asked for", 8, 0, &[("read", 0, 11)], &[("read", 0)]);
    step(pair, "the end", -1, 0, &[("read", 0, 8)], &[]);
    step(pair, "after the end", 9, 0, &[], &[]);
}

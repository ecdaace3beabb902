//! What a null broker knows: topics, ends of partitions, the last sequences of producers.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use ringlog_engine::batch::{AppendRules, BatchHeader, TimestampType, validate_for_append};
use ringlog_engine::stdx::prng::Prng;
use ringlog_wire::Uuid;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const CORRUPT_MESSAGE: i16 = 2;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
const INVALID_PRODUCER_EPOCH: i16 = 47;

const RULES: AppendRules = AppendRules {
    batch_bytes_max: 64 << 20,
    compacted: false,
    timestamp_type: TimestampType::CreateTime,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: i64::MAX,
    allow_control: false,
};

/// One partition's part of a Produce request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionSeen {
    /// Its number.
    pub partition: i32,
    /// Records in its batch.
    pub records: u32,
    /// Bytes of its batch.
    pub bytes: usize,
    /// Sequence of its first record.
    pub base_sequence: i32,
}

/// A Produce request, before anything was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceSeen {
    /// How many came before it.
    pub number: u64,
    /// Its batches.
    pub partitions: Vec<PartitionSeen>,
}

/// What to do about a Produce request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Take it.
    Take,
    /// Take it and answer so many nanoseconds later. Later requests of the connection wait.
    TakeLate(u64),
    /// Take nothing of it and answer this error.
    Refuse(i16),
    /// Take it, and close the connection instead of answering.
    TakeAndHangUp,
    /// Take nothing of it and close the connection.
    HangUp,
    /// Never answer.
    Ignore,
}

/// Decides about Produce requests.
pub trait Script {
    /// Called for each.
    fn on_produce(&mut self, seen: &ProduceSeen) -> Reaction;
}

impl<F: FnMut(&ProduceSeen) -> Reaction> Script for F {
    fn on_produce(&mut self, seen: &ProduceSeen) -> Reaction {
        self(seen)
    }
}

/// A partition of a null broker.
#[derive(Clone, Debug, Default)]
struct Partition {
    next_offset: i64,
    /// Epoch and last sequence of each producer.
    producers: BTreeMap<i64, (i16, i32)>,
}

/// A null broker's state.
pub struct NullBroker {
    /// Its topics by name.
    topics: BTreeMap<String, (Uuid, Vec<Partition>)>,
    prng: Prng,
    next_producer_id: i64,
    produced: u64,
    script: Box<dyn Script>,
}

impl NullBroker {
    /// A broker without topics that does as the script says.
    pub fn new(seed: u64, script: impl Script + 'static) -> NullBroker {
        NullBroker {
            topics: BTreeMap::new(),
            prng: Prng::new(seed),
            next_producer_id: 1000,
            produced: 0,
            script: Box::new(script),
        }
    }

    /// Makes a topic; false if there is one of the name.
    pub fn create_topic(&mut self, name: &str, partitions: usize) -> bool {
        if self.topics.contains_key(name) {
            return false;
        }
        let mut id = [0; 16];
        self.prng.fill(&mut id);
        let partitions = vec![Partition::default(); partitions];
        self.topics.insert(name.to_owned(), (Uuid(id), partitions));
        true
    }

    /// Removes a topic; false if there is none.
    pub fn delete_topic(&mut self, name: &str) -> bool {
        self.topics.remove(name).is_some()
    }

    /// A topic's id and number of partitions.
    pub fn topic(&self, name: &str) -> Option<(Uuid, usize)> {
        self.topics.get(name).map(|(id, partitions)| (*id, partitions.len()))
    }

    /// The name of the topic with an id.
    pub fn name_of(&self, id: Uuid) -> Option<&str> {
        self.topics.iter().find(|(_, (known, _))| *known == id).map(|(name, _)| name.as_str())
    }

    /// Records taken into each partition of a topic.
    pub fn ends(&self, name: &str) -> Vec<i64> {
        let partitions = self.topics.get(name).map(|(_, partitions)| partitions);
        partitions.into_iter().flatten().map(|partition| partition.next_offset).collect()
    }

    /// A producer's identity: a new one, or the next epoch of a known one.
    pub fn init_producer_id(&mut self, known: (i64, i16)) -> (i64, i16) {
        if known.0 >= 0 && known.1 < i16::MAX {
            return (known.0, known.1 + 1);
        }
        self.next_producer_id += 1;
        (self.next_producer_id, 0)
    }

    /// Asks the script.
    pub fn decide(&mut self, partitions: Vec<PartitionSeen>) -> Reaction {
        let seen = ProduceSeen { number: self.produced, partitions };
        self.produced += 1;
        self.script.on_produce(&seen)
    }

    /// Checks a batch and takes it: error code and base offset.
    pub fn append(&mut self, topic: &str, partition: i32, batch: &mut [u8]) -> (i16, i64) {
        let found = self.topics.get_mut(topic).and_then(|(_, partitions)| {
            usize::try_from(partition).ok().and_then(|index| partitions.get_mut(index))
        });
        let Some(found) = found else { return (UNKNOWN_TOPIC_OR_PARTITION, -1) };
        let Ok(validated) = validate_for_append(batch, &RULES, 0) else {
            return (CORRUPT_MESSAGE, -1);
        };
        let header = validated.header;
        if let Some(code) = found.check_sequence(&header) {
            return (code, -1);
        }
        let base_offset = found.next_offset;
        found.next_offset += i64::from(header.records_count);
        (0, base_offset)
    }
}

impl Partition {
    /// The error that the batch's sequence deserves, if any; remembers it otherwise.
    fn check_sequence(&mut self, header: &BatchHeader) -> Option<i16> {
        let id = header.producer_id.0;
        if id < 0 {
            return None;
        }
        let epoch = header.producer_epoch.0;
        let expected = match self.producers.get(&id) {
            Some((known, _)) if epoch < *known => return Some(INVALID_PRODUCER_EPOCH),
            Some((known, last)) if epoch == *known => last.wrapping_add(1).max(0),
            _ => 0,
        };
        if header.base_sequence != expected {
            let duplicate = header.base_sequence < expected;
            return Some(if duplicate {
                DUPLICATE_SEQUENCE_NUMBER
            } else {
                OUT_OF_ORDER_SEQUENCE_NUMBER
            });
        }
        self.producers.insert(id, (epoch, header.last_sequence()));
        None
    }
}

/// What the script is told of a batch.
pub(super) fn seen(partition: i32, batch: &[u8]) -> Result<PartitionSeen> {
    let header = BatchHeader::parse(batch).context("a batch in a Produce request")?;
    ensure!(header.records_count > 0, "a batch without records");
    Ok(PartitionSeen {
        partition,
        records: header.records_count as u32,
        bytes: batch.len(),
        base_sequence: header.base_sequence,
    })
}

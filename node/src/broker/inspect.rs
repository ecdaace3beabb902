//! Looking at partitions of a shard for an API that asks how they are.

use ringlog_engine::types::LeaderEpoch;
use ringlog_wire::Uuid;

use super::partition::Partition;
use super::shard_broker::Broker;
use crate::error_code::ErrorCode;

/// What is asked of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// Where an epoch ended (KIP-101).
    EpochEnd {
        /// The epoch that the client believes in; -1 is not checked.
        current_leader_epoch: i32,
        /// The epoch it asks about.
        leader_epoch: i32,
    },
    /// Who writes to it.
    Producers,
    /// Where it is, and how large.
    Size,
}

/// How it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspected {
    /// The newest epoch not after the one asked about, and where it ended; -1 if not known.
    EpochEnd {
        /// The epoch.
        leader_epoch: i32,
        /// Its end.
        end_offset: i64,
    },
    /// All producers that it remembers.
    Producers(Vec<ActiveProducer>),
    /// Its directory's number, and the bytes of its log.
    Size {
        /// The directory.
        dir: usize,
        /// Bytes.
        bytes: u64,
    },
}

/// A producer as DescribeProducers shows it; -1 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub id: i64,
    /// Its incarnation.
    pub epoch: i16,
    /// Of its last record.
    pub last_sequence: i32,
    /// When it last wrote.
    pub last_timestamp: i64,
    /// Of the coordinator that wrote its last marker.
    pub coordinator_epoch: i32,
    /// Where its open transaction began.
    pub txn_first_offset: i64,
}

impl Broker {
    pub(super) async fn inspect(
        &self,
        inspections: &[(Uuid, i32, Inspection)],
    ) -> Vec<Result<Inspected, ErrorCode>> {
        let mut found = Vec::with_capacity(inspections.len());
        for (topic, index, inspection) in inspections {
            let partition = self.partition(*topic, *index);
            found.push(partition.and_then(|partition| look(&partition, *inspection)));
            // A partition may have very many producers.
            if *inspection == Inspection::Producers {
                self.shard.yield_now().await;
            }
        }
        found
    }
}

fn look(partition: &Partition, inspection: Inspection) -> Result<Inspected, ErrorCode> {
    let log = &partition.log;
    Ok(match inspection {
        Inspection::EpochEnd { current_leader_epoch, leader_epoch } => {
            partition.check_epoch(current_leader_epoch)?;
            let end = log.ends().log_end_offset;
            let asked = LeaderEpoch(leader_epoch);
            let known = (leader_epoch >= 0).then(|| log.epochs().end_of(asked, end)).flatten();
            let (leader_epoch, end_offset) = match known {
                Some(known) => (known.epoch.0, known.end_offset.0),
                // Nothing has been written in the leader's epoch yet: it ends where it begins.
                None if asked == partition.leader_epoch() => (leader_epoch, end.0),
                None => (-1, -1),
            };
            Inspected::EpochEnd { leader_epoch, end_offset }
        }
        Inspection::Producers => Inspected::Producers(log.with_producers(|producers| {
            let producers = producers.iter().map(|(id, producer)| ActiveProducer {
                id: id.0,
                epoch: producer.epoch.0,
                last_sequence: producer.batches.back().map_or(-1, |batch| batch.last_sequence),
                last_timestamp: producer.last_timestamp,
                coordinator_epoch: producer.coordinator_epoch,
                txn_first_offset: producer.txn_first_offset.map_or(-1, |offset| offset.0),
            });
            producers.collect()
        })),
        Inspection::Size => Inspected::Size { dir: partition.dir, bytes: log.size_bytes() },
    })
}

//! A partition that this node leads: its log, and how far consumers may read.

use std::cell::Cell;
use std::rc::Rc;

use ringlog_engine::log::Log;
use ringlog_engine::types::{LeaderEpoch, Offset};
use ringlog_wire::Uuid;

use crate::error_code::ErrorCode;

/// A partition on its shard.
pub struct Partition {
    /// Its topic.
    pub topic: Uuid,
    /// The topic's name.
    pub topic_name: Rc<str>,
    /// Its number.
    pub index: i32,
    /// Which log directory it is in.
    pub dir: usize,
    /// Its log.
    pub log: Rc<Log>,
    leader_epoch: Cell<LeaderEpoch>,
    /// min.insync.replicas, but never more than there are replicas.
    min_insync_replicas: Cell<usize>,
    isr_size: Cell<usize>,
    high_watermark: Cell<Offset>,
}

impl Partition {
    /// A partition whose log is open.
    pub fn new(topic: Uuid, topic_name: &str, index: i32, dir: usize, log: Rc<Log>) -> Self {
        let high_watermark = Cell::new(log.committed_end_offset());
        Self {
            topic,
            topic_name: topic_name.into(),
            index,
            dir,
            log,
            leader_epoch: Cell::new(LeaderEpoch::NONE),
            min_insync_replicas: Cell::new(1),
            isr_size: Cell::new(1),
            high_watermark,
        }
    }

    /// What the metadata says now.
    pub fn lead(&self, epoch: LeaderEpoch, isr_size: usize, min_insync_replicas: usize) {
        self.leader_epoch.set(epoch);
        self.isr_size.set(isr_size);
        self.min_insync_replicas.set(min_insync_replicas);
    }

    /// The epoch in which this node leads.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch.get()
    }

    /// Checks the epoch that a client believes in; -1 is not checked.
    pub fn check_epoch(&self, claimed: i32) -> Result<(), ErrorCode> {
        match claimed {
            -1 => Ok(()),
            // FENCE: KIP-320.
            older if older < self.leader_epoch.get().0 => Err(ErrorCode::FencedLeaderEpoch),
            newer if newer > self.leader_epoch.get().0 => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// Whether acks=all can be promised.
    pub fn has_enough_replicas(&self) -> bool {
        self.isr_size.get() >= self.min_insync_replicas.get()
    }

    /// Up to here consumers may read: what is committed on all in-sync replicas, of which there is
    /// one. It never goes back, and does not move while there are too few (KIP-966).
    pub fn high_watermark(&self) -> Offset {
        let committed = self.log.committed_end_offset();
        if committed > self.high_watermark.get() && self.has_enough_replicas() {
            self.high_watermark.set(committed);
            self.log.note_high_watermark(committed);
        }
        self.high_watermark.get()
    }

    /// Up to here read_committed consumers may read.
    pub fn last_stable_offset(&self) -> Offset {
        let high_watermark = self.high_watermark();
        self.log
            .first_unstable_offset(high_watermark)
            .map_or(high_watermark, |o| o.min(high_watermark))
    }
}

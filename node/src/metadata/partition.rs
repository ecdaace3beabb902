//! A partition as the metadata log describes it (Kafka's `PartitionRegistration`).

use ringlog_wire::Uuid;
use ringlog_wire::records::metadata::{PartitionChangeRecord, PartitionRecord};

/// No broker leads the partition.
pub const LEADER_UNKNOWN: i32 = -1;
/// A change record that leaves the leader alone says this.
const LEADER_UNCHANGED: i32 = -2;

/// Replicas, leader and epochs of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionImage {
    /// The brokers that hold it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The directory of each replica, in the order of `replicas`.
    pub directories: Vec<Uuid>,
    /// In-sync replicas.
    pub isr: Vec<i32>,
    /// Replicas that a reassignment removes.
    pub removing_replicas: Vec<i32>,
    /// Replicas that a reassignment adds.
    pub adding_replicas: Vec<i32>,
    /// Eligible leader replicas (KIP-966).
    pub elr: Vec<i32>,
    /// The last known eligible leaders, once there is neither ISR nor ELR.
    pub last_known_elr: Vec<i32>,
    /// The leader, or [`LEADER_UNKNOWN`].
    pub leader: i32,
    /// 0 recovered, 1 recovering from an unclean election.
    pub leader_recovery_state: i8,
    /// Counts leaders.
    pub leader_epoch: i32,
    /// Counts changes.
    pub partition_epoch: i32,
}

impl PartitionImage {
    /// As a partition record has it.
    pub fn from_record(record: PartitionRecord) -> Self {
        let count = record.replicas.len();
        let mut directories = record.directories;
        directories.resize(count, Uuid::ZERO);
        Self {
            replicas: record.replicas,
            directories,
            isr: record.isr,
            removing_replicas: record.removing_replicas,
            adding_replicas: record.adding_replicas,
            elr: record.eligible_leader_replicas.unwrap_or_default(),
            last_known_elr: record.last_known_elr.unwrap_or_default(),
            leader: record.leader,
            leader_recovery_state: record.leader_recovery_state,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
        }
    }

    /// As a partition record says it.
    pub fn to_record(&self, topic_id: Uuid, partition_id: i32) -> PartitionRecord {
        let optional = |list: &Vec<i32>| (!list.is_empty()).then(|| list.clone());
        PartitionRecord {
            partition_id,
            topic_id,
            replicas: self.replicas.clone(),
            isr: self.isr.clone(),
            removing_replicas: self.removing_replicas.clone(),
            adding_replicas: self.adding_replicas.clone(),
            leader: self.leader,
            leader_recovery_state: self.leader_recovery_state,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: self.directories.clone(),
            eligible_leader_replicas: optional(&self.elr),
            last_known_elr: optional(&self.last_known_elr),
        }
    }

    /// After a change record.
    #[must_use]
    pub fn merged(&self, change: &PartitionChangeRecord) -> Self {
        let mut next = self.clone();
        let set = |slot: &mut Vec<i32>, value: &Option<Vec<i32>>| {
            if let Some(value) = value {
                slot.clone_from(value);
            }
        };
        set(&mut next.replicas, &change.replicas);
        set(&mut next.isr, &change.isr);
        set(&mut next.removing_replicas, &change.removing_replicas);
        set(&mut next.adding_replicas, &change.adding_replicas);
        set(&mut next.elr, &change.eligible_leader_replicas);
        set(&mut next.last_known_elr, &change.last_known_elr);
        if let Some(directories) = &change.directories {
            next.directories.clone_from(directories);
        }
        next.directories.resize(next.replicas.len(), Uuid::ZERO);
        if change.leader_recovery_state >= 0 {
            next.leader_recovery_state = change.leader_recovery_state;
        }
        // Naming a leader, even the same one, starts a new leader epoch.
        if change.leader != LEADER_UNCHANGED {
            next.leader = change.leader;
            next.leader_epoch += 1;
        }
        next.partition_epoch += 1;
        next
    }
}

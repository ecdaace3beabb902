//! [`Roster`]: what the members of all groups know, and whether that is the same.

use std::cell::RefCell;

use crate::profile::GroupProtocol;

/// What a member knows.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Generation of its group, or its own epoch; 0 before it has one.
    generation: i32,
    /// How many partitions it has.
    partitions: usize,
}

/// All members of all groups.
pub(super) struct Roster {
    protocol: GroupProtocol,
    partitions: usize,
    groups: Vec<RefCell<Vec<Known>>>,
}

impl Roster {
    pub(super) fn new(groups: usize, protocol: GroupProtocol, partitions: i32) -> Roster {
        let groups = (0..groups).map(|_| RefCell::default()).collect();
        Roster { protocol, partitions: usize::try_from(partitions).unwrap_or(0), groups }
    }

    /// One more member of a group: its number.
    pub(super) fn enter(&self, group: usize) -> usize {
        let mut members = self.groups[group].borrow_mut();
        members.push(Known::default());
        members.len() - 1
    }

    /// What a member has learnt.
    pub(super) fn learn(&self, group: usize, member: usize, generation: i32, partitions: usize) {
        self.groups[group].borrow_mut()[member] = Known { generation, partitions };
    }

    /// Whether in each group all members are in one generation; and have all partitions, if it is
    /// the broker that assigns them.
    pub(super) fn has_settled(&self) -> bool {
        self.groups.iter().all(|members| self.is_settled(&members.borrow()))
    }

    fn is_settled(&self, members: &[Known]) -> bool {
        let Some(first) = members.first() else { return false };
        let same = members.iter().all(|known| known.generation == first.generation);
        let assigned: usize = members.iter().map(|known| known.partitions).sum();
        first.generation > 0
            && same
            && (self.protocol == GroupProtocol::Classic || assigned == self.partitions)
    }

    /// The latest generation of any group.
    pub(super) fn generations(&self) -> i32 {
        let latest = |members: &RefCell<Vec<Known>>| {
            members.borrow().iter().map(|known| known.generation).max().unwrap_or(0)
        };
        self.groups.iter().map(latest).max().unwrap_or(0)
    }

    /// What is missing.
    pub(super) fn describe(&self) -> String {
        let open = self.groups.iter().filter(|members| !self.is_settled(&members.borrow()));
        let first = open.clone().next().map(|members| {
            let members = members.borrow();
            let behind = members.iter().filter(|known| known.generation < self.generations());
            let assigned: usize = members.iter().map(|known| known.partitions).sum();
            format!("{} of {} behind, {assigned} partitions", behind.count(), members.len())
        });
        format!("{} groups are open; one has {}", open.count(), first.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_settles_when_all_know_the_same() {
        let roster = Roster::new(2, GroupProtocol::Consumer, 4);
        assert!(!roster.has_settled(), "nobody is in it");
        for group in [0, 1, 1] {
            roster.enter(group);
        }
        roster.learn(0, 0, 1, 4);
        roster.learn(1, 0, 2, 2);
        assert!(!roster.has_settled());
        roster.learn(1, 1, 1, 2);
        assert!(!roster.has_settled(), "{}", roster.describe());
        roster.learn(1, 1, 2, 1);
        assert!(!roster.has_settled(), "a partition is nobody's");
        roster.learn(1, 1, 2, 2);
        assert!(roster.has_settled());
        assert_eq!(roster.generations(), 2);
    }
}

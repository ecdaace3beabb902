//! Deadlines by what they are for. Moving one later, as every heartbeat does, costs a lookup: the
//! queue keeps the earlier entry, which finds out when it is due that it is not.

use std::collections::{BTreeMap, BTreeSet};

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A rebalance waits for members to join.
    Join {
        /// The group.
        group: String,
    },
    /// A rebalance waits for members to ask for their assignment.
    Sync {
        /// The group.
        group: String,
    },
    /// A member of a consumer group must have let go of partitions.
    Revoke {
        /// The group.
        group: String,
        /// The member.
        member: String,
    },
    /// A member of the classic protocol in a consumer group must join again.
    Rejoin {
        /// The group.
        group: String,
        /// The member.
        member: String,
    },
    /// A member of the classic protocol in a consumer group must ask for its assignment.
    Resync {
        /// The group.
        group: String,
        /// The member.
        member: String,
    },
    /// A member must be heard from.
    Session {
        /// The group.
        group: String,
        /// The member.
        member: String,
    },
}

/// All deadlines of a coordinator, in milliseconds of a clock that never goes back.
#[derive(Debug, Default)]
pub struct Timers {
    /// When each is due, and where it is in the queue.
    due: BTreeMap<Timer, (u64, u64)>,
    queue: BTreeSet<(u64, Timer)>,
}

impl Timers {
    /// Sets a deadline anew.
    pub fn set(&mut self, timer: Timer, at_ms: u64) {
        match self.due.get_mut(&timer) {
            Some((due, queued)) if *queued <= at_ms => *due = at_ms,
            found => {
                if let Some((_, queued)) = found {
                    self.queue.remove(&(*queued, timer.clone()));
                }
                self.queue.insert((at_ms, timer.clone()));
                self.due.insert(timer, (at_ms, at_ms));
            }
        }
    }

    /// Whether there is such a deadline.
    pub fn is_set(&self, timer: &Timer) -> bool {
        self.due.contains_key(timer)
    }

    /// Forgets a deadline.
    pub fn cancel(&mut self, timer: &Timer) {
        if let Some((_, queued)) = self.due.remove(timer) {
            self.queue.remove(&(queued, timer.clone()));
        }
    }

    /// When to look again.
    pub fn next(&self) -> Option<u64> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes out one that is due.
    pub fn pop(&mut self, now_ms: u64) -> Option<Timer> {
        while self.next().is_some_and(|at| at <= now_ms) {
            let (_, timer) = self.queue.pop_first()?;
            let (due, queued) = self.due.get_mut(&timer).expect("what is queued is due");
            if *due <= now_ms {
                self.due.remove(&timer);
                return Some(timer);
            }
            *queued = *due;
            self.queue.insert((*due, timer));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(group: &str) -> Timer {
        Timer::Join { group: group.to_owned() }
    }

    #[test]
    fn deadlines_move_both_ways_and_are_forgotten() {
        let mut timers = Timers::default();
        timers.set(timer("a"), 10);
        timers.set(timer("b"), 20);
        timers.set(timer("a"), 30);
        timers.set(timer("b"), 15);
        assert_eq!(timers.pop(14), None);
        assert_eq!(timers.pop(15), Some(timer("b")));
        assert_eq!(timers.pop(29), None);
        assert_eq!(timers.next(), Some(30));
        assert_eq!(timers.pop(30), Some(timer("a")));
        timers.set(timer("c"), 40);
        timers.set(timer("c"), 50);
        timers.cancel(&timer("c"));
        assert_eq!((timers.pop(100), timers.next()), (None, None));
    }
}

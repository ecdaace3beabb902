//! The assignors of the coordinator (KIP-848): `uniform` and `range`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ringlog_wire::Uuid;

use super::consumer::Assignment;

/// A member as an assignor sees it.
#[derive(Clone, Debug)]
pub struct Subscriber<'a> {
    /// Its instance id, or its id.
    pub name: &'a str,
    /// Topics that it reads; one set for all that subscribe alike.
    pub topics: Rc<BTreeSet<Uuid>>,
    /// What it was to have, if anything was said of it.
    pub before: Option<&'a Assignment>,
}

/// A way to assign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// As equal as can be, and as little moved as that allows.
    Uniform,
    /// Neighbours together, the same numbers of all topics.
    Range,
}

impl Assignor {
    /// By Kafka's name.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "range" => Some(Self::Range),
            _ => None,
        }
    }

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// Assigns the partitions of topics, as many as `topics` says, to members in the order of their
    /// ids: what each gets. A group assigns anew whenever a member comes, so this must cost little
    /// per member.
    pub fn assign(
        self,
        members: &[Subscriber<'_>],
        topics: &BTreeMap<Uuid, i32>,
    ) -> Vec<Assignment> {
        match self {
            Self::Uniform => uniform(members, topics),
            Self::Range => range(members, topics),
        }
    }
}

fn range(members: &[Subscriber<'_>], topics: &BTreeMap<Uuid, i32>) -> Vec<Assignment> {
    let mut assigned = vec![Assignment::new(); members.len()];
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|member| (members[*member].name, *member));
    for (&topic, &count) in topics {
        let reads = |member: &&usize| members[**member].topics.contains(&topic);
        let readers: Vec<usize> = order.iter().filter(reads).copied().collect();
        let count = count.max(0) as usize;
        let mut next = 0;
        for (i, member) in readers.iter().enumerate() {
            let share = count / readers.len() + usize::from(i < count % readers.len());
            if share > 0 {
                let partitions = (next..next + share).map(|p| p as i32).collect();
                assigned[*member].insert(topic, partitions);
            }
            next += share;
        }
    }
    assigned
}

/// Who has how many, by topic's readers: the topics that the same members read share an order.
struct Loads {
    /// By member.
    counts: Vec<usize>,
    /// By set of readers: its members, the least loaded first.
    orders: Vec<BTreeSet<(usize, usize)>>,
    /// Which of `orders_of_kind` is a member's.
    kinds: Vec<usize>,
    /// The orders that members who read the same are in.
    orders_of_kind: Vec<Vec<usize>>,
    of_topic: BTreeMap<Uuid, usize>,
}

impl Loads {
    fn new(members: &[Subscriber<'_>], topics: &BTreeMap<Uuid, i32>) -> Self {
        let mut known: BTreeMap<*const BTreeSet<Uuid>, usize> = BTreeMap::new();
        let mut read: Vec<&BTreeSet<Uuid>> = Vec::new();
        let kinds = members.iter().map(|member| {
            *known.entry(Rc::as_ptr(&member.topics)).or_insert_with(|| {
                read.push(&member.topics);
                read.len() - 1
            })
        });
        let kinds: Vec<usize> = kinds.collect();
        let mut loads = Loads {
            counts: vec![0; members.len()],
            orders: Vec::new(),
            orders_of_kind: vec![Vec::new(); read.len()],
            kinds,
            of_topic: BTreeMap::new(),
        };
        let mut known: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        for topic in topics.keys() {
            let readers: Vec<usize> =
                (0..read.len()).filter(|kind| read[*kind].contains(topic)).collect();
            if readers.is_empty() {
                continue;
            }
            let order = *known.entry(readers).or_insert_with_key(|readers| {
                for kind in readers {
                    loads.orders_of_kind[*kind].push(loads.orders.len());
                }
                let all = loads.kinds.iter().enumerate();
                let of_them = all.filter(|(_, kind)| readers.binary_search(kind).is_ok());
                loads.orders.push(of_them.map(|(member, _)| (0, member)).collect());
                loads.orders.len() - 1
            });
            loads.of_topic.insert(*topic, order);
        }
        loads
    }

    fn change(&mut self, member: usize, more: bool) {
        let count = &mut self.counts[member];
        let before = *count;
        *count = if more { before + 1 } else { before - 1 };
        for order in &self.orders_of_kind[self.kinds[member]] {
            self.orders[*order].remove(&(before, member));
            self.orders[*order].insert((*count, member));
        }
    }

    fn least(&self, topic: Uuid) -> Option<(usize, usize)> {
        self.orders[*self.of_topic.get(&topic)?].first().copied()
    }
}

fn uniform(members: &[Subscriber<'_>], topics: &BTreeMap<Uuid, i32>) -> Vec<Assignment> {
    let mut loads = Loads::new(members, topics);
    let mut owners: BTreeMap<(Uuid, i32), usize> = BTreeMap::new();
    // What can stay, stays for now.
    for (id, member) in members.iter().enumerate() {
        for (topic, partitions) in member.before.into_iter().flatten() {
            let count = topics.get(topic).copied().unwrap_or(0);
            let reads = member.topics.contains(topic);
            for &partition in partitions.iter().filter(|p| reads && **p < count) {
                if owners.insert((*topic, partition), id).is_none_or(|other| {
                    loads.change(other, false);
                    true
                }) {
                    loads.change(id, true);
                }
            }
        }
    }
    for (&topic, &count) in topics {
        for partition in 0..count {
            if owners.contains_key(&(topic, partition)) {
                continue;
            }
            let Some((_, least)) = loads.least(topic) else { break };
            owners.insert((topic, partition), least);
            loads.change(least, true);
        }
    }
    // Then whoever has two more than another that could have them gives one away. Each move makes
    // the loads more equal, so there is a last one.
    loop {
        let mut moved = false;
        for (&(topic, _), owner) in owners.iter_mut().rev() {
            let Some((least_count, least)) = loads.least(topic) else { continue };
            if loads.counts[*owner] > least_count + 1 {
                loads.change(*owner, false);
                loads.change(least, true);
                *owner = least;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    let mut assigned = vec![Assignment::new(); members.len()];
    for ((topic, partition), owner) in owners {
        assigned[owner].entry(topic).or_default().insert(partition);
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid([1; 16]);
    const B: Uuid = Uuid([2; 16]);

    #[derive(Clone)]
    struct Member {
        topics: BTreeSet<Uuid>,
        before: Assignment,
    }

    fn members(of: &[(&str, &[Uuid])]) -> BTreeMap<String, Member> {
        let member = |(name, topics): &(&str, &[Uuid])| {
            let topics = topics.iter().copied().collect();
            ((*name).to_owned(), Member { topics, before: Assignment::new() })
        };
        of.iter().map(member).collect()
    }

    fn assign(
        assignor: Assignor,
        members: &BTreeMap<String, Member>,
        topics: &BTreeMap<Uuid, i32>,
    ) -> BTreeMap<String, Assignment> {
        let mut sets: BTreeMap<&BTreeSet<Uuid>, Rc<BTreeSet<Uuid>>> = BTreeMap::new();
        let subscribers = members.iter().map(|(name, member)| Subscriber {
            name,
            topics: sets.entry(&member.topics).or_insert(Rc::new(member.topics.clone())).clone(),
            before: Some(&member.before),
        });
        let subscribers: Vec<Subscriber<'_>> = subscribers.collect();
        members.keys().cloned().zip(assignor.assign(&subscribers, topics)).collect()
    }

    fn counts(assigned: &BTreeMap<String, Assignment>) -> Vec<usize> {
        assigned.values().map(|a| a.values().map(BTreeSet::len).sum()).collect()
    }

    fn each_once(assigned: &BTreeMap<String, Assignment>, total: usize) {
        let all = assigned.values().flatten();
        let all: Vec<(Uuid, i32)> =
            all.flat_map(|(topic, ps)| ps.iter().map(|p| (*topic, *p))).collect();
        let once: BTreeSet<(Uuid, i32)> = all.iter().copied().collect();
        assert_eq!((all.len(), once.len()), (total, total));
    }

    #[test]
    fn range_gives_neighbours_and_the_same_numbers_of_all_topics() {
        let members = members(&[("x", &[A, B]), ("y", &[A, B]), ("z", &[A])]);
        let assigned = assign(Assignor::Range, &members, &BTreeMap::from([(A, 7), (B, 4)]));
        assert_eq!(assigned["x"][&A], BTreeSet::from([0, 1, 2]));
        assert_eq!(assigned["y"][&A], BTreeSet::from([3, 4]));
        assert_eq!(assigned["z"][&A], BTreeSet::from([5, 6]));
        assert_eq!(assigned["x"][&B], BTreeSet::from([0, 1]));
        each_once(&assigned, 11);
    }

    #[test]
    fn uniform_is_equal_and_moves_little() {
        let topics = BTreeMap::from([(A, 7), (B, 5)]);
        let mut three = members(&[("x", &[A, B]), ("y", &[A, B]), ("z", &[A, B])]);
        let first = assign(Assignor::Uniform, &three, &topics);
        assert_eq!(counts(&first), [4, 4, 4]);
        each_once(&first, 12);
        for (id, member) in &mut three {
            member.before = first[id].clone();
        }
        assert_eq!(assign(Assignor::Uniform, &three, &topics), first, "nothing has changed");
        // One more comes, and gets three; the others keep the rest of what they had.
        let mut four = three.clone();
        four.insert("w".to_owned(), Member { before: Assignment::new(), ..three["x"].clone() });
        let second = assign(Assignor::Uniform, &four, &topics);
        assert_eq!(counts(&second), [3, 3, 3, 3]);
        for id in ["x", "y", "z"] {
            for (topic, partitions) in &second[id] {
                assert!(first[id][topic].is_superset(partitions), "{id}");
            }
        }
        // One goes: what it had is dealt out, and nothing else moves.
        three.remove("z");
        let third = assign(Assignor::Uniform, &three, &topics);
        assert_eq!(counts(&third), [6, 6]);
        for id in ["x", "y"] {
            for (topic, partitions) in &first[id] {
                assert!(third[id][topic].is_superset(partitions), "{id}");
            }
        }
    }

    #[test]
    fn uniform_gives_members_only_what_they_read() {
        let mixed = members(&[("x", &[A]), ("y", &[A, B]), ("z", &[B]), ("none", &[])]);
        let assigned = assign(Assignor::Uniform, &mixed, &BTreeMap::from([(A, 10), (B, 2)]));
        each_once(&assigned, 12);
        assert!(!assigned["x"].contains_key(&B) && !assigned["z"].contains_key(&A));
        assert_eq!((counts(&assigned)[0], counts(&assigned)[3]), (0, 2));
        let alone = members(&[("z", &[B])]);
        let assigned = assign(Assignor::Uniform, &alone, &BTreeMap::from([(A, 3)]));
        each_once(&assigned, 0);
    }
}

//! The assignors of the coordinator (KIP-848): `uniform` and `range`.

use std::collections::{BTreeMap, BTreeSet};

use ringlog_wire::Uuid;

use super::consumer::Assignment;

/// A member as an assignor sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscriber {
    /// Its instance id, or its id.
    pub name: String,
    /// Topics that it reads.
    pub topics: BTreeSet<Uuid>,
    /// What it was to have.
    pub before: Assignment,
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

    /// Assigns the partitions of topics, as many as `topics` says, to members by id.
    pub fn assign(
        self,
        members: &BTreeMap<String, Subscriber>,
        topics: &BTreeMap<Uuid, i32>,
    ) -> BTreeMap<String, Assignment> {
        match self {
            Self::Uniform => uniform(members, topics),
            Self::Range => range(members, topics),
        }
    }
}

fn range(
    members: &BTreeMap<String, Subscriber>,
    topics: &BTreeMap<Uuid, i32>,
) -> BTreeMap<String, Assignment> {
    let mut assigned: BTreeMap<String, Assignment> =
        members.keys().map(|id| (id.clone(), Assignment::new())).collect();
    let mut order: Vec<(&String, &String)> =
        members.iter().map(|(id, member)| (&member.name, id)).collect();
    order.sort();
    for (&topic, &count) in topics {
        let readers: Vec<&String> = order
            .iter()
            .filter(|(_, id)| members[*id].topics.contains(&topic))
            .map(|(_, id)| *id)
            .collect();
        let count = count.max(0) as usize;
        let mut next = 0;
        for (i, id) in readers.iter().enumerate() {
            let share = count / readers.len() + usize::from(i < count % readers.len());
            if share > 0 {
                let partitions = (next..next + share).map(|p| p as i32).collect();
                assigned.get_mut(*id).expect("a member").insert(topic, partitions);
            }
            next += share;
        }
    }
    assigned
}

/// Who has how many, by topic's readers: the topics that the same members read share an order.
struct Loads<'a> {
    counts: BTreeMap<&'a str, usize>,
    /// By set of readers: its members, the least loaded first.
    orders: Vec<BTreeSet<(usize, &'a str)>>,
    /// The orders that a member is in.
    of_member: BTreeMap<&'a str, Vec<usize>>,
    of_topic: BTreeMap<Uuid, usize>,
}

impl<'a> Loads<'a> {
    fn new(members: &'a BTreeMap<String, Subscriber>, topics: &BTreeMap<Uuid, i32>) -> Self {
        let mut readers: BTreeMap<Uuid, BTreeSet<&'a str>> = BTreeMap::new();
        for (id, member) in members {
            for topic in &member.topics {
                readers.entry(*topic).or_default().insert(id);
            }
        }
        let mut loads = Loads {
            counts: members.keys().map(|id| (id.as_str(), 0)).collect(),
            orders: Vec::new(),
            of_member: BTreeMap::new(),
            of_topic: BTreeMap::new(),
        };
        let mut known: BTreeMap<BTreeSet<&str>, usize> = BTreeMap::new();
        for topic in topics.keys() {
            let Some(readers) = readers.remove(topic) else { continue };
            let order = *known.entry(readers.clone()).or_insert_with(|| {
                for reader in &readers {
                    loads.of_member.entry(*reader).or_default().push(loads.orders.len());
                }
                loads.orders.push(readers.iter().map(|reader| (0, *reader)).collect());
                loads.orders.len() - 1
            });
            loads.of_topic.insert(*topic, order);
        }
        loads
    }

    fn change(&mut self, member: &'a str, more: bool) {
        let count = self.counts.get_mut(member).expect("a member");
        let before = *count;
        *count = if more { before + 1 } else { before - 1 };
        for order in self.of_member.get(member).into_iter().flatten() {
            self.orders[*order].remove(&(before, member));
            self.orders[*order].insert((*count, member));
        }
    }

    fn least(&self, topic: Uuid) -> Option<(usize, &'a str)> {
        self.orders[*self.of_topic.get(&topic)?].first().copied()
    }
}

fn uniform(
    members: &BTreeMap<String, Subscriber>,
    topics: &BTreeMap<Uuid, i32>,
) -> BTreeMap<String, Assignment> {
    let mut loads = Loads::new(members, topics);
    let mut owners: BTreeMap<(Uuid, i32), &str> = BTreeMap::new();
    // What can stay, stays for now.
    for (id, member) in members {
        for (topic, partitions) in &member.before {
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
                loads.change(owner, false);
                loads.change(least, true);
                *owner = least;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    let mut assigned: BTreeMap<String, Assignment> =
        members.keys().map(|id| (id.clone(), Assignment::new())).collect();
    for ((topic, partition), owner) in owners {
        let of = assigned.get_mut(owner).expect("a member");
        of.entry(topic).or_default().insert(partition);
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid([1; 16]);
    const B: Uuid = Uuid([2; 16]);

    fn members(of: &[(&str, &[Uuid])]) -> BTreeMap<String, Subscriber> {
        let member = |(name, topics): &(&str, &[Uuid])| {
            let (name, topics) = ((*name).to_owned(), topics.iter().copied().collect());
            (name.clone(), Subscriber { name, topics, before: Assignment::new() })
        };
        of.iter().map(member).collect()
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
        let assigned = Assignor::Range.assign(&members, &BTreeMap::from([(A, 7), (B, 4)]));
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
        let first = Assignor::Uniform.assign(&three, &topics);
        assert_eq!(counts(&first), [4, 4, 4]);
        each_once(&first, 12);
        for (id, member) in &mut three {
            member.before = first[id].clone();
        }
        assert_eq!(Assignor::Uniform.assign(&three, &topics), first, "nothing has changed");
        // One more comes, and gets three; the others keep the rest of what they had.
        let mut four = three.clone();
        four.insert("w".to_owned(), Subscriber { before: Assignment::new(), ..three["x"].clone() });
        let second = Assignor::Uniform.assign(&four, &topics);
        assert_eq!(counts(&second), [3, 3, 3, 3]);
        for id in ["x", "y", "z"] {
            for (topic, partitions) in &second[id] {
                assert!(first[id][topic].is_superset(partitions), "{id}");
            }
        }
        // One goes: what it had is dealt out, and nothing else moves.
        three.remove("z");
        let third = Assignor::Uniform.assign(&three, &topics);
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
        let assigned = Assignor::Uniform.assign(&mixed, &BTreeMap::from([(A, 10), (B, 2)]));
        each_once(&assigned, 12);
        assert!(!assigned["x"].contains_key(&B) && !assigned["z"].contains_key(&A));
        assert_eq!((counts(&assigned)[0], counts(&assigned)[3]), (0, 2));
        let alone = members(&[("z", &[B])]);
        let assigned = Assignor::Uniform.assign(&alone, &BTreeMap::from([(A, 3)]));
        each_once(&assigned, 0);
    }
}

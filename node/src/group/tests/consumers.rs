//! Consumer groups, called: joining, letting go, being fenced, and changing the protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringlog_wire::Uuid;
use ringlog_wire::records::metadata::{PartitionRecord, RemoveTopicRecord, TopicRecord};

use super::{World, join, next_id, sync};
use crate::error_code::ErrorCode;
use crate::group::*;
use crate::metadata::{MetadataDelta, MetadataImage};

const T: Uuid = Uuid([7; 16]);

/// An image with a topic of so many partitions, and others.
fn image(partitions: i32, others: &[&str]) -> Arc<MetadataImage> {
    let mut image = MetadataImage::default();
    let mut delta = MetadataDelta::default();
    let mut apply = |record| image.apply(record, &mut delta).expect("a record");
    let topic = |name: &str, topic_id| TopicRecord { name: name.to_owned(), topic_id };
    apply(topic("t", T).into());
    for partition_id in 0..partitions {
        apply(PartitionRecord { partition_id, topic_id: T, ..Default::default() }.into());
    }
    for (i, other) in others.iter().enumerate() {
        let topic_id = Uuid([20 + i as u8; 16]);
        apply(topic(other, topic_id).into());
        apply(PartitionRecord { partition_id: 0, topic_id, ..Default::default() }.into());
    }
    Arc::new(image)
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

fn world(partitions: i32) -> World {
    let mut world = World::new();
    world.core.set_image(image(partitions, &[]), &[]);
    world
}

fn hello(member: &str) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        group: "g".to_owned(),
        member: member.to_owned(),
        rebalance_timeout_ms: 20_000,
        topics: Some(vec!["t".to_owned()]),
        owned: Some(Vec::new()),
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        needs_member_id: true,
        new_id: next_id(),
        ..ConsumerHeartbeat::default()
    }
}

/// A client of the consumer protocol: it does what it is told.
#[derive(Clone, Debug, Default)]
struct Consumer {
    id: String,
    epoch: i32,
    has: BTreeSet<i32>,
}

fn beat(world: &mut World, request: ConsumerHeartbeat) -> Result<ConsumerBeat, Fault> {
    match world.ask(GroupRequest::ConsumerHeartbeat(request)) {
        GroupAnswer::ConsumerHeartbeat(beat) => beat,
        other => panic!("{other:?}"),
    }
}

fn error(beat: Result<ConsumerBeat, Fault>) -> ErrorCode {
    beat.map_or_else(|fault| fault.error, |_| ErrorCode::None)
}

impl Consumer {
    fn join(world: &mut World, id: &str) -> Consumer {
        let mut consumer = Consumer { id: id.to_owned(), ..Consumer::default() };
        consumer.take(beat(world, hello(id)).expect("it joins"));
        consumer
    }

    fn take(&mut self, beat: ConsumerBeat) {
        self.epoch = beat.epoch;
        if let Some(assignment) = beat.assignment {
            self.has = assignment.get(&T).cloned().unwrap_or_default();
        }
    }

    fn request(&self) -> ConsumerHeartbeat {
        ConsumerHeartbeat {
            epoch: self.epoch,
            owned: Some(vec![(T, self.has.iter().copied().collect())]),
            rebalance_timeout_ms: -1,
            topics: None,
            ..hello(&self.id)
        }
    }

    fn beat(&mut self, world: &mut World) {
        let answer = beat(world, self.request()).expect("a member");
        self.take(answer);
    }
}

/// Lets all beat until nothing changes; no partition is read by two at any time.
fn settle(world: &mut World, consumers: &mut [Consumer]) {
    for _ in 0..10 {
        for i in 0..consumers.len() {
            consumers[i].beat(world);
            let all: Vec<i32> = consumers.iter().flat_map(|c| c.has.iter().copied()).collect();
            let once: BTreeSet<i32> = all.iter().copied().collect();
            assert_eq!(all.len(), once.len(), "a partition is read twice: {consumers:?}");
        }
    }
}

fn counts(consumers: &[Consumer]) -> Vec<usize> {
    consumers.iter().map(|consumer| consumer.has.len()).collect()
}

fn described(world: &mut World) -> DescribedConsumerGroup {
    match world.ask(GroupRequest::DescribeConsumers { groups: vec!["g".to_owned()] }) {
        GroupAnswer::ConsumersDescribed(groups) => groups.into_iter().next().unwrap().expect("it"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn g07_members_come_and_go_and_no_partition_is_read_twice() {
    let mut world = world(12);
    let mut consumers = vec![Consumer::join(&mut world, "a")];
    assert_eq!(counts(&consumers), [12]);
    consumers.push(Consumer::join(&mut world, "b"));
    assert_eq!(counts(&consumers), [12, 0], "the first has yet to let go");
    settle(&mut world, &mut consumers);
    assert_eq!(counts(&consumers), [6, 6]);
    consumers.push(Consumer::join(&mut world, "c"));
    settle(&mut world, &mut consumers);
    assert_eq!(counts(&consumers), [4, 4, 4]);
    assert_eq!(described(&mut world).state, "Stable");
    // So it is for a coordinator that has read the log.
    let mut loaded = world.reload();
    loaded.core.set_image(image(12, &[]), &[]);
    settle(&mut loaded, &mut consumers.clone());
    assert_eq!(described(&mut loaded), described(&mut world));
    let gone = consumers.remove(0);
    let leave = ConsumerHeartbeat { epoch: -1, ..gone.request() };
    assert_eq!(beat(&mut world, leave).expect("it leaves").epoch, -1);
    settle(&mut world, &mut consumers);
    assert_eq!(counts(&consumers), [6, 6]);
    assert_eq!(error(beat(&mut world, gone.request())), ErrorCode::UnknownMemberId);
    // The topic grows; one is silent for a session's length.
    world.core.set_image(image(14, &[]), &names(&["t"]));
    settle(&mut world, &mut consumers);
    assert_eq!(counts(&consumers), [7, 7]);
    for _ in 0..3 {
        world.pass(20_000);
        consumers[0].beat(&mut world);
    }
    settle(&mut world, &mut consumers[..1]);
    assert_eq!(consumers[0].has.len(), 14);
}

#[test]
fn g03_epochs_that_are_not_a_members_are_fenced() {
    let mut world = world(4);
    let mut consumers = vec![Consumer::join(&mut world, "a"), Consumer::join(&mut world, "b")];
    settle(&mut world, &mut consumers);
    let a = &consumers[0];
    // The epoch before is taken from one that has nothing but what it was given.
    let all = Some(vec![(T, vec![0, 1, 2, 3])]);
    for (epoch, owned) in [(a.epoch + 1, None), (a.epoch - 1, None), (a.epoch - 1, all)] {
        let request = ConsumerHeartbeat { epoch, owned, ..a.request() };
        assert_eq!(error(beat(&mut world, request)), ErrorCode::FencedMemberEpoch);
    }
    let commit = |epoch, knows_missing_groups| CommitOffsets {
        knows_missing_groups,
        ..super::commit("a", epoch, 5)
    };
    let mut committed = |request| match world.ask(GroupRequest::Commit(request)) {
        GroupAnswer::Committed(committed) => committed,
        other => panic!("{other:?}"),
    };
    assert_eq!(committed(commit(a.epoch - 1, true)), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(committed(commit(a.epoch, false)), Err(ErrorCode::UnsupportedVersion));
    assert_eq!(committed(commit(a.epoch, true)), Ok(vec![ErrorCode::None]));
    assert_eq!(committed(super::commit("", -1, 1)), Err(ErrorCode::UnknownMemberId));
    // One that must let go and does not is removed in time.
    let c = Consumer::join(&mut world, "c");
    let group = described(&mut world);
    let target = |id: &str| {
        let member = group.members.iter().find(|m| m.member.id == id).expect("a member");
        member.target.values().map(BTreeSet::len).sum::<usize>()
    };
    let stubborn = consumers.iter().find(|c| target(&c.id) < c.has.len()).expect("one").clone();
    beat(&mut world, stubborn.request()).expect("told to let go");
    for _ in 0..3 {
        world.pass(9000);
        let _ = beat(&mut world, stubborn.request());
    }
    assert_eq!(error(beat(&mut world, stubborn.request())), ErrorCode::UnknownMemberId);
    assert_eq!(error(beat(&mut world, c.request())), ErrorCode::None);
}

#[test]
fn g03_a_static_member_keeps_its_place_for_a_session() {
    let mut world = world(4);
    let instance = || Some("i".to_owned());
    let first = ConsumerHeartbeat { instance: instance(), ..hello("a") };
    let first = beat(&mut world, first).expect("it joins");
    let second = ConsumerHeartbeat { instance: instance(), ..hello("b") };
    assert_eq!(error(beat(&mut world, second.clone())), ErrorCode::UnreleasedInstanceId);
    let away = ConsumerHeartbeat { instance: instance(), epoch: -2, ..hello("a") };
    assert_eq!(beat(&mut world, away).expect("away").epoch, -2);
    let back = beat(&mut world, second).expect("it is back");
    assert_eq!(back.assignment, first.assignment);
    let zombie = ConsumerHeartbeat { instance: instance(), epoch: first.epoch, ..hello("a") };
    assert_eq!(error(beat(&mut world, zombie)), ErrorCode::FencedInstanceId);
    let stranger = ConsumerHeartbeat { instance: Some("j".to_owned()), epoch: 3, ..hello("x") };
    assert_eq!(error(beat(&mut world, stranger)), ErrorCode::UnknownMemberId);
}

#[test]
fn topics_are_found_by_regular_expression_as_they_come() {
    let mut world = world(2);
    let request =
        ConsumerHeartbeat { topics: None, regex: Some("t|x-[0-9]+".into()), ..hello("a") };
    let joined = beat(&mut world, request).expect("it joins");
    assert_eq!(joined.assignment.expect("one").keys().collect::<Vec<_>>(), [&T]);
    let others = ["x-1", "xx-2", "x-12"];
    world.core.set_image(image(2, &others), &names(&others));
    let next = ConsumerHeartbeat { epoch: joined.epoch, rebalance_timeout_ms: -1, ..hello("a") };
    let next = ConsumerHeartbeat { topics: None, ..next };
    let assigned = beat(&mut world, next).expect("a member").assignment.expect("more");
    assert_eq!(assigned.len(), 3, "x-1 and x-12, but not xx-2");
    let bad = ConsumerHeartbeat { topics: None, regex: Some("(".into()), ..hello("b") };
    assert_eq!(error(beat(&mut world, bad)), ErrorCode::InvalidRegularExpression);
    let huge =
        ConsumerHeartbeat { topics: None, regex: Some("(a{1000}){1000}".into()), ..hello("b") };
    assert_eq!(error(beat(&mut world, huge)), ErrorCode::InvalidRegularExpression);
}

/// Matching every topic whenever anything changes would keep a shard busy: only those that have
/// changed are looked at. One that the update does not name shows it.
#[test]
fn rn09_regular_expressions_look_at_changed_topics_only() {
    let mut world = world(2);
    let request = ConsumerHeartbeat { topics: None, regex: Some("x.*".into()), ..hello("a") };
    let joined = beat(&mut world, request).expect("it joins");
    let resolved = |world: &World| {
        world.core.consumers["g"].regexes["x.*"].topics.iter().cloned().collect::<Vec<_>>()
    };
    let mut epoch = joined.epoch;
    let mut again = |world: &mut World| {
        let next = ConsumerHeartbeat { epoch, rebalance_timeout_ms: -1, ..hello("a") };
        let next = ConsumerHeartbeat { topics: None, owned: None, ..next };
        epoch = beat(world, next).expect("a member").epoch;
    };
    world.core.set_image(image(2, &["x-1", "x-2"]), &names(&["x-1"]));
    again(&mut world);
    assert_eq!(resolved(&world), ["x-1"]);
    world.core.set_image(image(2, &["x-2"]), &names(&["x-1", "t"]));
    again(&mut world);
    assert_eq!(resolved(&world), Vec::<String>::new());
    // Too many changes to be remembered: everything is looked at.
    let many: Vec<String> = (0..10_000).map(|i| format!("y-{i}")).collect();
    world.core.set_image(image(2, &["x-2"]), &many);
    again(&mut world);
    assert_eq!(resolved(&world), ["x-2"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut world = world(2);
    let base = || hello("a");
    let cases = [
        (ConsumerHeartbeat { member: String::new(), ..base() }, ErrorCode::InvalidRequest),
        (ConsumerHeartbeat { group: String::new(), ..base() }, ErrorCode::InvalidRequest),
        (ConsumerHeartbeat { rebalance_timeout_ms: -1, ..base() }, ErrorCode::InvalidRequest),
        (ConsumerHeartbeat { owned: None, ..base() }, ErrorCode::InvalidRequest),
        (ConsumerHeartbeat { topics: None, ..base() }, ErrorCode::InvalidRequest),
        (ConsumerHeartbeat { epoch: -3, ..base() }, ErrorCode::InvalidRequest),
        (ConsumerHeartbeat { epoch: -2, ..base() }, ErrorCode::InvalidRequest),
        (ConsumerHeartbeat { epoch: 5, ..base() }, ErrorCode::GroupIdNotFound),
        (ConsumerHeartbeat { epoch: -1, ..base() }, ErrorCode::GroupIdNotFound),
        (
            ConsumerHeartbeat { assignor: Some("sticky".into()), ..base() },
            ErrorCode::UnsupportedAssignor,
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(error(beat(&mut world, request.clone())), expected, "{request:?}");
    }
    for id in ["a", "b", "c", "d"] {
        Consumer::join(&mut world, id);
    }
    assert_eq!(error(beat(&mut world, hello("e"))), ErrorCode::GroupMaxSizeReached);
    let delete = GroupRequest::Delete { groups: vec!["g".to_owned()] };
    assert_eq!(world.ask(delete), GroupAnswer::Deleted(vec![ErrorCode::NonEmptyGroup]));
}

#[test]
fn a_group_changes_its_protocol_and_back_with_its_members_in_it() {
    let mut world = world(4);
    let ids = world.stable(2);
    // What the leader has assigned is what the upgrade goes on from.
    let assigned = |partitions: [u8; 2]| {
        let [a, b] = partitions;
        vec![0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2, 0, 0, 0, a, 0, 0, 0, b, 255, 255, 255, 255]
    };
    let rejoining: Vec<Ticket> = ids.iter().map(|id| world.send(join(id, None))).collect();
    let generation = world.joined(rejoining[0]).generation;
    world.joined(rejoining[1]);
    let both = vec![(ids[0].clone(), assigned([0, 1])), (ids[1].clone(), assigned([2, 3]))];
    let follower = world.send(sync(&ids[1], generation, &[]));
    let leader = world.send(sync(&ids[0], generation, &both));
    assert_eq!(world.synced(leader).assignment, both[0].1);
    world.synced(follower);
    // The first of the new protocol comes.
    let mut new = Consumer::join(&mut world, "new");
    assert_eq!(new.has.len(), 0, "the others have all there is");
    let group = described(&mut world);
    assert_eq!(group.members.len(), 3);
    assert_eq!(world.state(), None, "it is no classic group any more");
    // The others are told to join again, let go, and get their part.
    let mut generations = BTreeMap::new();
    for round in 0..6 {
        for id in &ids {
            let generation = generations.get(id).copied().unwrap_or(generation);
            if world.beat(id, generation) == ErrorCode::RebalanceInProgress || round == 0 {
                let ticket = world.send(join(id, None));
                let joined = world.joined(ticket);
                assert_eq!((joined.error, joined.leader.as_str()), (ErrorCode::None, ""));
                let ticket = world.send(sync(id, joined.generation, &[]));
                assert_eq!(world.synced(ticket).error, ErrorCode::None);
                generations.insert(id.clone(), joined.generation);
            }
        }
        new.beat(&mut world);
    }
    assert_eq!(new.has.len(), 1, "{:?}", described(&mut world));
    let mut loaded = world.reload();
    loaded.core.set_image(image(4, &[]), &[]);
    assert_eq!(described(&mut loaded), described(&mut world));
    // It goes: what is left is a classic group again, and rebalances.
    let leave = ConsumerHeartbeat { epoch: -1, ..new.request() };
    assert_eq!(error(beat(&mut world, leave)), ErrorCode::None);
    assert_eq!(world.state(), Some("PreparingRebalance"));
    let tickets: Vec<Ticket> = ids.iter().map(|id| world.send(join(id, None))).collect();
    let joined: Vec<Joined> = tickets.into_iter().map(|t| world.joined(t)).collect();
    assert!(joined.iter().all(|j| j.error == ErrorCode::None && j.generation > generation));
    let mut sorted = ids.clone();
    sorted.sort_by_key(|id| *id != joined[0].leader);
    world.sync_all(&sorted, joined[0].generation);
    assert_eq!(world.reload().state(), Some("Stable"));
}

#[test]
fn a_deleted_topic_is_taken_from_its_readers() {
    let mut world = world(4);
    let mut consumers = vec![Consumer::join(&mut world, "a")];
    settle(&mut world, &mut consumers);
    let mut emptied = MetadataImage::clone(&image(4, &[]));
    let gone = RemoveTopicRecord { topic_id: T };
    emptied.apply(gone.into(), &mut MetadataDelta::default()).expect("a record");
    world.core.set_image(Arc::new(emptied), &names(&["t"]));
    settle(&mut world, &mut consumers);
    assert_eq!(counts(&consumers), [0]);
    // With its last member a group is empty, and a classic one may have its name.
    let leave = ConsumerHeartbeat { epoch: -1, ..consumers[0].request() };
    assert_eq!(error(beat(&mut world, leave)), ErrorCode::None);
    assert_eq!(described(&mut world).state, "Empty");
    let ids = world.stable(1);
    assert_eq!((world.state(), ids.len()), (Some("Stable"), 1));
    assert_eq!(world.reload().state(), Some("Stable"));
}

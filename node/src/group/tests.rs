//! The core, called: joining, syncing, leaving, committing, and what time does.

mod consumers;

use super::*;
use crate::error_code::ErrorCode;

const LIMITS: GroupLimits = GroupLimits {
    session_timeout_min_ms: 6000,
    session_timeout_max_ms: 1_800_000,
    initial_delay_ms: 3000,
    members_max: 4,
    metadata_len_max: 10,
    retention_ms: 100_000,
    batch_bytes_max: 4000,
    consumer_session_timeout_ms: 45_000,
    consumer_heartbeat_ms: 5000,
    consumer_members_max: 4,
    assignors: &[Assignor::Uniform, Assignor::Range],
    may_upgrade: true,
    may_downgrade: true,
};

/// A coordinator, its clock, and the log it writes.
struct World {
    core: GroupCore,
    now: Now,
    log: Vec<GroupRecord>,
    answers: Vec<(Ticket, GroupAnswer)>,
    tickets: Ticket,
}

impl World {
    fn new() -> Self {
        Self::with(LIMITS)
    }

    fn with(limits: GroupLimits) -> Self {
        let now = Now { mono_ms: 1000, unix_ms: 1_000_000, next_offset: 0 };
        let core = GroupCore::new(limits);
        Self { core, now, log: Vec::new(), answers: Vec::new(), tickets: 0 }
    }

    /// The same groups in a coordinator that has read the log.
    fn reload(&self) -> World {
        let mut loaded = World { core: GroupCore::new(self.core.limits), ..World::new() };
        loaded.now = self.now;
        for (offset, record) in self.log.iter().enumerate() {
            let value = record.value.as_deref();
            loaded.core.replay(offset as i64, 0, None, &record.key, value).expect("Kafka's record");
        }
        let effects = loaded.core.loaded(loaded.now);
        loaded.log = self.log.clone();
        loaded.take(effects);
        loaded
    }

    fn take(&mut self, effects: Effects) {
        self.log.extend(effects.records);
        self.answers.extend(effects.answers);
        self.now.next_offset = self.log.len() as i64;
    }

    fn send(&mut self, request: impl Into<GroupRequest>) -> Ticket {
        self.tickets += 1;
        let effects = self.core.handle(self.tickets, request.into(), self.now);
        self.take(effects);
        self.tickets
    }

    /// The answer to a request, if there is one.
    fn answer(&mut self, ticket: Ticket) -> Option<GroupAnswer> {
        let at = self.answers.iter().position(|(t, _)| *t == ticket)?;
        Some(self.answers.remove(at).1)
    }

    fn ask(&mut self, request: impl Into<GroupRequest>) -> GroupAnswer {
        let ticket = self.send(request);
        self.answer(ticket).expect("an answer at once")
    }

    /// Lets time pass, step by step.
    fn pass(&mut self, ms: u64) {
        let end = self.now.mono_ms + ms;
        while let Some(next) = self.core.next_deadline().filter(|next| *next <= end) {
            let step = next.saturating_sub(self.now.mono_ms);
            self.now.mono_ms += step;
            self.now.unix_ms += step as i64;
            let effects = self.core.on_time(self.now);
            self.take(effects);
        }
        self.now.unix_ms += (end - self.now.mono_ms) as i64;
        self.now.mono_ms = end;
    }

    fn joined(&mut self, ticket: Ticket) -> Joined {
        match self.answer(ticket) {
            Some(GroupAnswer::Joined(joined)) => joined,
            other => panic!("no answer to the join: {other:?}"),
        }
    }

    fn synced(&mut self, ticket: Ticket) -> Synced {
        match self.answer(ticket) {
            Some(GroupAnswer::Synced(synced)) => synced,
            other => panic!("no answer to the sync: {other:?}"),
        }
    }

    /// A member's id, as KIP-394 hands it out.
    fn new_member(&mut self) -> String {
        let ticket = self.send(join("", None));
        let joined = self.joined(ticket);
        assert_eq!(joined.error, ErrorCode::MemberIdRequired);
        joined.member
    }

    /// A stable group of so many members: the first leads.
    fn stable(&mut self, count: usize) -> Vec<String> {
        let mut ids: Vec<String> = (0..count).map(|_| self.new_member()).collect();
        let tickets: Vec<Ticket> = ids.iter().map(|id| self.send(join(id, None))).collect();
        self.pass(6000);
        let joined: Vec<Joined> = tickets.into_iter().map(|t| self.joined(t)).collect();
        let leader = joined[0].leader.clone();
        ids.sort_by_key(|id| *id != leader);
        self.sync_all(&ids, joined[0].generation);
        ids
    }

    /// Everyone syncs, the leader last.
    fn sync_all(&mut self, ids: &[String], generation: i32) {
        let assigned: Vec<(String, Vec<u8>)> =
            ids.iter().map(|id| (id.clone(), id.clone().into_bytes())).collect();
        let followers: Vec<Ticket> =
            ids[1..].iter().map(|id| self.send(sync(id, generation, &[]))).collect();
        let leader = self.send(sync(&ids[0], generation, &assigned));
        for (id, ticket) in
            ids[1..].iter().chain(&ids[..1]).zip(followers.into_iter().chain([leader]))
        {
            let synced = self.synced(ticket);
            assert_eq!(
                (synced.error, synced.assignment),
                (ErrorCode::None, id.clone().into_bytes())
            );
        }
    }

    fn beat(&mut self, member: &str, generation: i32) -> ErrorCode {
        let (group, member) = ("g".to_owned(), member.to_owned());
        match self.ask(GroupRequest::Heartbeat(Heartbeat {
            group,
            generation,
            member,
            instance: None,
        })) {
            GroupAnswer::Heartbeat(error) => error,
            other => panic!("{other:?}"),
        }
    }

    fn commit(
        &mut self,
        member: &str,
        generation: i32,
        offset: i64,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        match self.ask(GroupRequest::Commit(commit(member, generation, offset))) {
            GroupAnswer::Committed(committed) => committed,
            other => panic!("{other:?}"),
        }
    }

    fn fetch_with(&mut self, require_stable: bool) -> (ErrorCode, i64) {
        let topics = vec![TopicPartitions {
            topic: "t".to_owned(),
            partitions: vec![0],
            ..TopicPartitions::default()
        }];
        let group = "g".to_owned();
        let request =
            FetchOffsets { group, topics: Some(topics), require_stable, ..FetchOffsets::default() };
        match self.ask(GroupRequest::Fetch(request)) {
            GroupAnswer::Fetched(Ok(topics)) => {
                let offset = &topics[0].partitions[0];
                (offset.error, offset.offset)
            }
            other => panic!("{other:?}"),
        }
    }

    fn fetch(&mut self) -> i64 {
        self.fetch_with(false).1
    }

    fn state(&mut self) -> Option<&'static str> {
        match self.ask(GroupRequest::Describe { groups: vec!["g".to_owned()] }) {
            GroupAnswer::Described(groups) => groups[0].as_ref().ok().map(|group| group.state),
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, member: &str) -> ErrorCode {
        let leaving = Leaving { member: member.to_owned(), instance: None };
        match self
            .ask(GroupRequest::Leave(LeaveGroup { group: "g".to_owned(), members: vec![leaving] }))
        {
            GroupAnswer::Left(Ok(errors)) => errors[0],
            other => panic!("{other:?}"),
        }
    }
}

impl From<JoinGroup> for GroupRequest {
    fn from(request: JoinGroup) -> Self {
        Self::Join(request)
    }
}

impl From<SyncGroup> for GroupRequest {
    fn from(request: SyncGroup) -> Self {
        Self::Sync(request)
    }
}

/// Draws the random part of ids.
fn next_id() -> String {
    use std::cell::Cell;
    thread_local!(static NEXT: Cell<u32> = const { Cell::new(0) });
    NEXT.set(NEXT.get() + 1);
    format!("{:04}", NEXT.get())
}

/// A consumer's subscription to topic t.
fn subscription() -> Vec<u8> {
    vec![0, 0, 0, 0, 0, 1, 0, 1, b't', 255, 255, 255, 255]
}

fn protocol(name: &str) -> Protocol {
    Protocol { name: name.to_owned(), metadata: subscription() }
}

fn join(member: &str, instance: Option<&str>) -> JoinGroup {
    JoinGroup {
        group: "g".to_owned(),
        member: member.to_owned(),
        instance: instance.map(str::to_owned),
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol("range")],
        needs_member_id: true,
        may_skip_assignment: true,
        new_id: next_id(),
    }
}

fn sync(member: &str, generation: i32, assignments: &[(String, Vec<u8>)]) -> SyncGroup {
    SyncGroup {
        group: "g".to_owned(),
        generation,
        member: member.to_owned(),
        assignments: assignments.to_vec(),
        ..SyncGroup::default()
    }
}

fn commit(member: &str, generation: i32, offset: i64) -> CommitOffsets {
    CommitOffsets {
        group: "g".to_owned(),
        generation,
        member: member.to_owned(),
        retention_ms: -1,
        offsets: vec![OffsetToCommit {
            topic: "t".to_owned(),
            offset,
            leader_epoch: -1,
            ..OffsetToCommit::default()
        }],
        ..CommitOffsets::default()
    }
}

#[test]
fn groups_are_where_kafka_puts_them() {
    // What Java's hashCode says.
    assert_eq!(partition_of("", 50), 0);
    assert_eq!(partition_of("G", 50), 21);
    assert_eq!(partition_of("connect-cluster", 50), 13);
    assert_eq!(
        partition_of("polygenelubricants", 50),
        0,
        "the hash without a positive counterpart"
    );
}

#[test]
fn a_first_rebalance_waits_for_more_members_and_then_for_syncs() {
    let mut world = World::new();
    let (a, b) = (world.new_member(), world.new_member());
    let first = world.send(join(&a, None));
    world.pass(2000);
    let second = world.send(join(&b, None));
    world.pass(1500);
    assert_eq!(world.answer(first), None, "a member has come: the delay grows");
    world.pass(2500);
    let (first, second) = (world.joined(first), world.joined(second));
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_eq!((first.leader.as_str(), second.leader.as_str()), (a.as_str(), a.as_str()));
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
    assert_eq!(first.protocol.as_deref(), Some("range"));
    assert_eq!(world.state(), Some("CompletingRebalance"));
    assert_eq!(world.commit(&a, 1, 5), Err(ErrorCode::RebalanceInProgress));
    world.sync_all(&[a.clone(), b.clone()], 1);
    assert_eq!(world.state(), Some("Stable"));
    assert_eq!(world.commit(&b, 1, 5), Ok(vec![ErrorCode::None]));
    assert_eq!(world.fetch(), 5);
}

#[test]
fn a_member_that_comes_or_goes_makes_a_new_generation() {
    let mut world = World::new();
    let ids = world.stable(2);
    let c = world.new_member();
    let joining = world.send(join(&c, None));
    assert_eq!(world.beat(&ids[0], 1), ErrorCode::RebalanceInProgress);
    let rejoining: Vec<Ticket> = ids.iter().map(|id| world.send(join(id, None))).collect();
    let joined = world.joined(joining);
    assert_eq!(joined.generation, 2, "all are here: nobody waits");
    assert!(rejoining.into_iter().all(|t| world.joined(t).generation == 2));
    assert_eq!(world.beat(&ids[0], 1), ErrorCode::IllegalGeneration);
    world.sync_all(&[ids[0].clone(), ids[1].clone(), c.clone()], 2);
    assert_eq!(world.leave(&c), ErrorCode::None);
    assert_eq!(world.beat(&c, 2), ErrorCode::UnknownMemberId);
    assert_eq!(world.beat(&ids[1], 2), ErrorCode::RebalanceInProgress);
    assert_eq!(world.leave(&ids[0]), ErrorCode::None);
    assert_eq!(world.leave(&ids[1]), ErrorCode::None);
    assert_eq!(world.state(), Some("Empty"));
    assert_eq!(world.reload().state(), Some("Empty"));
}

#[test]
fn the_leader_rejoins_to_rebalance_and_a_follower_is_told_where_it_is() {
    let mut world = World::new();
    let ids = world.stable(2);
    let follower = world.send(join(&ids[1], None));
    assert_eq!(world.joined(follower).generation, 1);
    let leader = world.send(join(&ids[0], None));
    assert_eq!(world.answer(leader), None);
    let follower = world.send(join(&ids[1], None));
    assert_eq!((world.joined(leader).generation, world.joined(follower).generation), (2, 2));
    // The assignment is never sent: whoever has not synced is let go.
    world.pass(9000);
    assert_eq!(world.beat(&ids[0], 2), ErrorCode::None);
    assert_eq!(world.beat(&ids[1], 2), ErrorCode::None);
    for _ in 0..8 {
        world.pass(9000);
        for id in &ids {
            world.beat(id, 2);
        }
    }
    assert_eq!(world.beat(&ids[0], 2), ErrorCode::UnknownMemberId);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let mut world = World::new();
    let refused = |world: &mut World, request: JoinGroup| {
        let ticket = world.send(request);
        world.joined(ticket).error
    };
    let bad = JoinGroup { session_timeout_ms: 5999, ..join("", None) };
    assert_eq!(refused(&mut world, bad), ErrorCode::InvalidSessionTimeout);
    let bad = JoinGroup { group: String::new(), ..join("", None) };
    assert_eq!(refused(&mut world, bad), ErrorCode::InvalidGroupId);
    assert_eq!(refused(&mut world, join("nobody", None)), ErrorCode::UnknownMemberId);
    assert_eq!(world.state(), None, "none of these has made the group");
    let bad = JoinGroup { client_id: "x".repeat(32_766), ..join("", None) };
    assert_eq!(refused(&mut world, bad), ErrorCode::InvalidRequest);
    let bad = JoinGroup { protocols: Vec::new(), ..join("", None) };
    assert_eq!(refused(&mut world, bad), ErrorCode::InconsistentGroupProtocol);
    let ids = world.stable(1);
    let bad = JoinGroup { protocol_type: "connect".to_owned(), ..join("", None) };
    assert_eq!(refused(&mut world, bad), ErrorCode::InconsistentGroupProtocol);
    let bad = JoinGroup { protocols: vec![protocol("sticky")], ..join("", None) };
    assert_eq!(refused(&mut world, bad), ErrorCode::InconsistentGroupProtocol);
    let wrong = SyncGroup { protocol: Some("sticky".to_owned()), ..sync(&ids[0], 1, &[]) };
    let ticket = world.send(wrong);
    assert_eq!(world.synced(ticket).error, ErrorCode::InconsistentGroupProtocol);
    assert_eq!(world.commit("", -1, 1), Err(ErrorCode::UnknownMemberId), "it has members");
    assert_eq!(world.commit(&ids[0], 7, 1), Err(ErrorCode::IllegalGeneration));
    let mut long = commit(&ids[0], 1, 1);
    long.offsets[0].metadata = Some("12345678901".to_owned());
    let answer = world.ask(GroupRequest::Commit(long));
    assert_eq!(answer, GroupAnswer::Committed(Ok(vec![ErrorCode::OffsetMetadataTooLarge])));
    let many = CommitOffsets {
        offsets: (0..200)
            .map(|partition| OffsetToCommit { partition, topic: "t".into(), ..Default::default() })
            .collect(),
        ..commit(&ids[0], 1, 1)
    };
    let answer = world.ask(GroupRequest::Commit(many));
    assert_eq!(answer, GroupAnswer::Committed(Err(ErrorCode::UnknownServerError)));
    assert_eq!(world.fetch(), -1, "all of a commit, or nothing");
}

#[test]
fn a_full_group_takes_nobody_in() {
    let mut world = World::new();
    let ids = world.stable(4);
    let ticket = world.send(join("", None));
    assert_eq!(world.joined(ticket).error, ErrorCode::GroupMaxSizeReached);
    // Fewer are allowed from now on: the group is rebalanced, and the last to come is turned away.
    let mut smaller = World::with(GroupLimits { members_max: 3, ..LIMITS });
    for (offset, record) in world.log.iter().enumerate() {
        let value = record.value.as_deref();
        smaller.core.replay(offset as i64, 0, None, &record.key, value).expect("Kafka's record");
    }
    let effects = smaller.core.loaded(smaller.now);
    smaller.take(effects);
    assert_eq!(smaller.beat(&ids[0], 1), ErrorCode::RebalanceInProgress);
    let tickets: Vec<Ticket> = ids.iter().map(|id| smaller.send(join(id, None))).collect();
    let errors: Vec<ErrorCode> = tickets.into_iter().map(|t| smaller.joined(t).error).collect();
    assert_eq!(errors[..3], [ErrorCode::None; 3]);
    assert_eq!(errors[3], ErrorCode::GroupMaxSizeReached);
}

#[test]
fn the_protocol_that_most_prefer_is_taken_if_all_know_it() {
    let mut world = World::new();
    let ids: Vec<String> = (0..3).map(|_| world.new_member()).collect();
    let knows = [&["x", "a", "b"][..], &["b", "a"], &["b", "a", "y"]];
    let tickets: Vec<Ticket> = ids
        .iter()
        .zip(knows)
        .map(|(id, names)| {
            let protocols = names.iter().map(|name| protocol(name)).collect();
            world.send(JoinGroup { protocols, ..join(id, None) })
        })
        .collect();
    world.pass(6000);
    for ticket in tickets {
        assert_eq!(world.joined(ticket).protocol.as_deref(), Some("b"));
    }
}

#[test]
fn g03_a_silent_member_is_let_go_and_its_words_count_no_more() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.pass(9000);
    assert_eq!(world.beat(&ids[0], 1), ErrorCode::None);
    world.pass(2000);
    assert_eq!(world.beat(&ids[0], 1), ErrorCode::RebalanceInProgress);
    assert_eq!(world.commit(&ids[1], 1, 7), Err(ErrorCode::UnknownMemberId));
    let ticket = world.send(sync(&ids[1], 1, &[]));
    assert_eq!(world.synced(ticket).error, ErrorCode::UnknownMemberId);
    let rejoined = world.send(join(&ids[0], None));
    assert_eq!(world.joined(rejoined).generation, 2);
    assert_eq!(world.commit(&ids[0], 1, 7), Err(ErrorCode::IllegalGeneration));
    assert_eq!(world.fetch(), -1);
}

#[test]
fn g03_a_static_member_that_starts_twice_fences_the_first() {
    let mut world = World::new();
    let first = world.send(join("", Some("i")));
    world.pass(3000);
    let first = world.joined(first);
    assert!(first.member.starts_with("i-"), "{}", first.member);
    world.sync_all(std::slice::from_ref(&first.member), 1);
    // The second process takes the place over, without a rebalance, and need not assign.
    let second = world.send(join("", Some("i")));
    let second = world.joined(second);
    assert_eq!((second.error, second.generation), (ErrorCode::None, 1));
    assert!(second.skip_assignment && second.leader == second.member);
    assert_ne!(second.member, first.member);
    let zombie = Heartbeat {
        group: "g".to_owned(),
        generation: 1,
        member: first.member.clone(),
        instance: Some("i".to_owned()),
    };
    let fenced = world.ask(GroupRequest::Heartbeat(zombie));
    assert_eq!(fenced, GroupAnswer::Heartbeat(ErrorCode::FencedInstanceId));
    let mut commit = commit(&first.member, 1, 9);
    commit.instance = Some("i".to_owned());
    let fenced = world.ask(GroupRequest::Commit(commit));
    assert_eq!(fenced, GroupAnswer::Committed(Err(ErrorCode::FencedInstanceId)));
    let ticket = world.send(sync(&second.member, 1, &[]));
    assert_eq!(world.synced(ticket).assignment, first.member.clone().into_bytes());
    // So it is after a restart of the coordinator.
    let mut loaded = world.reload();
    assert_eq!(loaded.beat(&first.member, 1), ErrorCode::UnknownMemberId);
    assert_eq!(loaded.beat(&second.member, 1), ErrorCode::None);
    // An older client is told of the leader that was, so that it does not assign.
    let third = world.send(JoinGroup { may_skip_assignment: false, ..join("", Some("i")) });
    let third = world.joined(third);
    assert_eq!((third.leader, third.skip_assignment), (second.member, false));
    // An administrator removes it by its instance id.
    let leaving = Leaving { member: String::new(), instance: Some("i".to_owned()) };
    let leave = LeaveGroup { group: "g".to_owned(), members: vec![leaving] };
    let left = world.ask(GroupRequest::Leave(leave));
    assert_eq!(left, GroupAnswer::Left(Ok(vec![ErrorCode::None])));
    assert_eq!(world.state(), Some("Empty"));
}

#[test]
fn g03_a_duplicate_static_member_that_waits_is_told_so() {
    let mut world = World::new();
    let first = world.send(join("", Some("i")));
    let second = world.send(join("", Some("i")));
    assert_eq!(world.joined(first).error, ErrorCode::FencedInstanceId);
    world.pass(3000);
    assert_eq!(world.joined(second).error, ErrorCode::None);
    let third = world.send(join("", Some("i")));
    assert_eq!(world.answer(third).map(|_| ()), Some(()), "it is alone: rebalanced at once");
}

#[test]
fn g05_the_last_commit_counts_and_stays_after_loading() {
    let mut world = World::new();
    for offset in [3, 9, 4] {
        assert_eq!(world.commit("", -1, offset), Ok(vec![ErrorCode::None]));
    }
    assert_eq!(world.fetch(), 4);
    assert_eq!(world.reload().fetch(), 4);
    assert_eq!(world.reload().state(), Some("Empty"));
}

#[test]
fn g05_offsets_of_a_transaction_count_once_it_is_committed() {
    let mut world = World::new();
    assert_eq!(world.commit("", -1, 3), Ok(vec![ErrorCode::None]));
    let mut other = World::new();
    assert_eq!(other.commit("", -1, 8), Ok(vec![ErrorCode::None]));
    let GroupRecord { key, value } = other.log[0].clone();
    for (producer, committed, offset) in [(1, false, 3), (2, true, 8)] {
        world.core.replay(5, 0, Some(producer), &key, value.as_deref()).expect("Kafka's record");
        assert_eq!(world.fetch_with(true), (ErrorCode::UnstableOffsetCommit, -1));
        assert_eq!(world.fetch(), 3, "without asking for stable ones");
        world.core.end_transaction(producer, committed);
        assert_eq!(world.fetch_with(true), (ErrorCode::None, offset));
    }
    // One that is older in the log than what was committed since is history.
    world
        .core
        .replay(2, 0, Some(3), &key, world.log[0].value.clone().as_deref())
        .expect("a record");
    world.core.end_transaction(3, true);
    assert_eq!(world.fetch(), 8);
}

#[test]
fn g06_offsets_expire_in_empty_groups_and_for_topics_that_nobody_reads() {
    let mut world = World::new();
    assert_eq!(world.commit("", -1, 3), Ok(vec![ErrorCode::None]));
    let expire = |world: &mut World| {
        let effects = world.core.expire(world.now);
        world.take(effects);
        world.fetch()
    };
    world.pass(99_999);
    assert_eq!(expire(&mut world), 3);
    world.pass(1);
    assert_eq!(expire(&mut world), -1);
    assert_eq!(world.state(), None, "nothing is left of the group");
    assert_eq!(world.reload().state(), None);
    // A group that lives keeps what it reads, however old.
    let mut world = World::new();
    let ids = world.stable(1);
    assert_eq!(world.commit(&ids[0], 1, 3), Ok(vec![ErrorCode::None]));
    let mut other = commit(&ids[0], 1, 4);
    other.offsets[0].topic = "unread".to_owned();
    world.ask(GroupRequest::Commit(other));
    for _ in 0..20 {
        world.pass(9000);
        assert_eq!(world.beat(&ids[0], 1), ErrorCode::None);
    }
    assert_eq!(expire(&mut world), 3);
    let tombstones = world.log.iter().filter(|record| record.value.is_none()).count();
    assert_eq!(tombstones, 1, "the topic that nobody reads");
    // From the last member's leaving on, time runs anew.
    assert_eq!(world.leave(&ids[0]), ErrorCode::None);
    world.pass(99_000);
    assert_eq!(expire(&mut world), 3);
    world.pass(2000);
    assert_eq!(expire(&mut world), -1);
    assert_eq!(world.state(), None);
}

#[test]
fn g06_an_offset_with_a_time_of_its_own_expires_then() {
    let mut world = World::new();
    let request = CommitOffsets { retention_ms: 500, ..commit("", -1, 3) };
    world.ask(GroupRequest::Commit(request));
    world.pass(499);
    let mut loaded = world.reload();
    let effects = loaded.core.expire(loaded.now);
    assert_eq!(effects.records.len(), 0);
    loaded.pass(1);
    let effects = loaded.core.expire(loaded.now);
    assert_eq!(effects.records.len(), 2, "the offset, and the group");
}

#[test]
fn g06_offsets_of_a_deleted_topic_go_with_it() {
    let mut world = World::new();
    assert_eq!(world.commit("", -1, 3), Ok(vec![ErrorCode::None]));
    let effects = world.core.topic_deleted("t");
    world.take(effects);
    assert_eq!((world.fetch(), world.reload().fetch()), (-1, -1));
}

#[test]
fn g07_members_that_die_again_and_again_leave_a_group_that_settles() {
    let mut world = World::new();
    let mut generation = 0;
    let mut survivor = world.stable(1).remove(0);
    for _ in 0..50 {
        // Two more come, join with the survivor, and are never heard of again.
        let comers = [world.new_member(), world.new_member()];
        let tickets: Vec<(String, Ticket)> = comers
            .iter()
            .chain([&survivor])
            .map(|id| (id.clone(), world.send(join(id, None))))
            .collect();
        world.pass(9000);
        let alive: Vec<(String, Joined)> =
            tickets.into_iter().map(|(id, t)| (id, world.joined(t))).collect();
        let now = alive[0].1.generation;
        assert!(now > generation, "a generation is never used twice");
        generation = now;
        assert!(alive.iter().all(|(_, joined)| joined.generation == now), "nor is one split");
        let leader = alive[0].1.leader.clone();
        let mut ids: Vec<String> = alive.into_iter().map(|(id, _)| id).collect();
        ids.sort_by_key(|id| *id != leader);
        world.sync_all(&ids, now);
        survivor = ids.remove(0);
        // Nobody else is heard of: the survivor rebalances alone.
        for _ in 0..2 {
            world.pass(6000);
            world.beat(&survivor, now);
        }
    }
    let ticket = world.send(join(&survivor, None));
    let joined = world.joined(ticket);
    world.sync_all(&[survivor.clone()], joined.generation);
    assert_eq!(world.state(), Some("Stable"));
    assert_eq!(world.beat(&survivor, joined.generation), ErrorCode::None);
}

#[test]
fn administrators_see_groups_and_delete_them_when_they_are_empty() {
    let mut world = World::new();
    let ids = world.stable(1);
    world.commit(&ids[0], 1, 3).expect("committed");
    let list = |world: &mut World, states: &[&str], types: &[&str]| {
        let own = |filter: &[&str]| filter.iter().map(|s| (*s).to_owned()).collect();
        match world.ask(GroupRequest::List { states: own(states), types: own(types) }) {
            GroupAnswer::Listed(groups) => groups.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(list(&mut world, &[], &[]), 1);
    assert_eq!(list(&mut world, &["stable"], &["Classic"]), 1);
    assert_eq!(list(&mut world, &["Empty"], &[]), 0);
    assert_eq!(list(&mut world, &[], &["consumer"]), 0);
    let delete = || GroupRequest::Delete { groups: vec!["g".into(), "h".into()] };
    let both = |first| GroupAnswer::Deleted(vec![first, ErrorCode::GroupIdNotFound]);
    assert_eq!(world.ask(delete()), both(ErrorCode::NonEmptyGroup));
    let offsets = |topic: &str| {
        let topic = topic.to_owned();
        let topics = vec![TopicPartitions { topic, partitions: vec![0], ..Default::default() }];
        GroupRequest::DeleteOffsets(DeleteOffsets { group: "g".into(), topics })
    };
    let answer = |error| GroupAnswer::OffsetsDeleted(Ok(vec![vec![error]]));
    assert_eq!(world.ask(offsets("t")), answer(ErrorCode::GroupSubscribedToTopic));
    assert_eq!(world.ask(offsets("other")), answer(ErrorCode::None));
    world.leave(&ids[0]);
    assert_eq!(world.fetch(), 3);
    assert_eq!(world.ask(offsets("t")), answer(ErrorCode::None));
    assert_eq!(world.fetch(), -1);
    world.commit("", -1, 4).expect("committed");
    assert_eq!(world.ask(delete()), both(ErrorCode::None));
    assert_eq!((world.fetch(), world.state()), (-1, None));
    let mut loaded = world.reload();
    assert_eq!((loaded.fetch(), loaded.state()), (-1, None));
}

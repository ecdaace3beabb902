//! Groups of the consumer protocol (KIP-848), step by step.

use ringlog_wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use ringlog_wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DescribeGroupsRequest,
    JoinGroupRequest, ListGroupsRequest, OffsetFetchRequest, offset_fetch_request,
};

use crate::pair::{Pair, Side};

pub fn compare(pair: &mut Pair) {
    refusals(pair);
    for assignor in ["uniform", "range"] {
        life(pair, assignor);
    }
    statics(pair);
    regexes(pair);
}

fn hello(group: &str, member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.to_owned(),
        member_id: member.to_owned(),
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec!["offsets".to_owned()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

/// A heartbeat that says nothing new but what the member has.
fn next(
    side: &Side,
    group: &str,
    member: &str,
    epoch: i32,
    owned: &[i32],
) -> ConsumerGroupHeartbeatRequest {
    let topics = vec![TopicPartitions { topic_id: side.id("offsets"), partitions: owned.to_vec() }];
    ConsumerGroupHeartbeatRequest {
        member_epoch: epoch,
        rebalance_timeout_ms: -1,
        subscribed_topic_names: None,
        topic_partitions: Some(if owned.is_empty() { Vec::new() } else { topics }),
        ..hello(group, member)
    }
}

fn beat(pair: &mut Pair, what: &str, build: impl Fn(&Side) -> ConsumerGroupHeartbeatRequest) {
    pair.same(what, 1, build);
}

fn describe(pair: &mut Pair, group: &str) {
    // Kafka describes what is committed. What is stable is.
    pair.same("written", 9, |_| OffsetFetchRequest {
        groups: vec![offset_fetch_request::OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            member_epoch: -1,
            topics: None,
            ..Default::default()
        }],
        require_stable: true,
        ..Default::default()
    });
    for version in 0..=1 {
        pair.same_but(
            group,
            version,
            |_| ConsumerGroupDescribeRequest {
                group_ids: vec![group.to_owned(), "nope".to_owned(), "life-9".to_owned()],
                include_authorized_operations: true,
            },
            |response| {
                response.groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
                for group in &mut response.groups {
                    group.members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
                    for member in &mut group.members {
                        for of in [&mut member.assignment, &mut member.target_assignment] {
                            of.topic_partitions
                                .iter_mut()
                                .for_each(|t| t.partitions.sort_unstable());
                        }
                    }
                }
            },
        );
    }
    pair.same("as a classic group", 6, |_| DescribeGroupsRequest {
        groups: vec![group.to_owned()],
        ..Default::default()
    });
    pair.same_but(
        "consumer groups",
        5,
        |_| ListGroupsRequest { types_filter: vec!["consumer".to_owned()], ..Default::default() },
        |response| response.groups.sort_by(|a, b| a.group_id.cmp(&b.group_id)),
    );
}

fn refusals(pair: &mut Pair) {
    let base = || hello("refused", "m");
    let cases = [
        ("no member", ConsumerGroupHeartbeatRequest { member_id: String::new(), ..base() }),
        ("blank member", ConsumerGroupHeartbeatRequest { member_id: " ".to_owned(), ..base() }),
        ("no group", ConsumerGroupHeartbeatRequest { group_id: String::new(), ..base() }),
        (
            "blank instance",
            ConsumerGroupHeartbeatRequest { instance_id: Some(String::new()), ..base() },
        ),
        ("blank rack", ConsumerGroupHeartbeatRequest { rack_id: Some(String::new()), ..base() }),
        ("no timeout", ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: -1, ..base() }),
        ("nothing owned", ConsumerGroupHeartbeatRequest { topic_partitions: None, ..base() }),
        (
            "no subscription",
            ConsumerGroupHeartbeatRequest { subscribed_topic_names: None, ..base() },
        ),
        ("odd epoch", ConsumerGroupHeartbeatRequest { member_epoch: -3, ..base() }),
        ("static leave", ConsumerGroupHeartbeatRequest { member_epoch: -2, ..base() }),
        ("leave", ConsumerGroupHeartbeatRequest { member_epoch: -1, ..base() }),
        ("unknown", ConsumerGroupHeartbeatRequest { member_epoch: 7, ..base() }),
        (
            "unknown assignor",
            ConsumerGroupHeartbeatRequest { server_assignor: Some("sticky".to_owned()), ..base() },
        ),
    ];
    for (what, request) in cases {
        beat(pair, what, |_| request.clone());
    }
    describe(pair, "refused");
}

fn life(pair: &mut Pair, assignor: &str) {
    let group = &format!("consumers-{assignor}");
    let named = |member: &str| ConsumerGroupHeartbeatRequest {
        server_assignor: Some(assignor.to_owned()),
        ..hello(group, member)
    };
    beat(pair, "first", |_| named("a"));
    describe(pair, group);
    beat(pair, "nothing new", |side| next(side, group, "a", 1, &[0, 1]));
    beat(pair, "second", |_| named("b"));
    describe(pair, group);
    beat(pair, "let go", |side| next(side, group, "a", 1, &[0, 1]));
    beat(pair, "not yet", |side| next(side, group, "b", 2, &[]));
    describe(pair, group);
    beat(pair, "not let go", |side| next(side, group, "a", 1, &[0, 1]));
    beat(pair, "let go", |side| next(side, group, "a", 1, &[0]));
    beat(pair, "given", |side| next(side, group, "b", 2, &[]));
    describe(pair, group);
    beat(pair, "epoch too great", |side| next(side, group, "a", 9, &[0]));
    beat(pair, "epoch too small", |side| next(side, group, "a", 0, &[0]));
    beat(pair, "epoch before", |side| next(side, group, "a", 1, &[0]));
    beat(pair, "stranger", |side| next(side, group, "x", 2, &[0]));
    pair.same("a classic member", 9, |_| JoinGroupRequest {
        group_id: group.clone(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "odd".to_owned(),
        member_id: "c".to_owned(),
        ..Default::default()
    });
    beat(pair, "leaves", |side| next(side, group, "a", -1, &[]));
    beat(pair, "has left", |side| next(side, group, "a", 2, &[]));
    describe(pair, group);
    beat(pair, "all", |side| next(side, group, "b", 2, &[1]));
    describe(pair, group);
    beat(pair, "no topics", |side| ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(Vec::new()),
        ..next(side, group, "b", 3, &[0, 1])
    });
    describe(pair, group);
    beat(pair, "leaves", |side| next(side, group, "b", -1, &[]));
    describe(pair, group);
}

fn statics(pair: &mut Pair) {
    let group = "consumers-static";
    let instance = |request: ConsumerGroupHeartbeatRequest| ConsumerGroupHeartbeatRequest {
        instance_id: Some("i".to_owned()),
        ..request
    };
    beat(pair, "first", |_| instance(hello(group, "a")));
    beat(pair, "not released", |_| instance(hello(group, "b")));
    beat(pair, "away", |side| instance(next(side, group, "a", -2, &[])));
    describe(pair, group);
    beat(pair, "back", |_| instance(hello(group, "b")));
    beat(pair, "fenced", |side| instance(next(side, group, "a", 1, &[0, 1])));
    beat(pair, "unknown instance", |side| ConsumerGroupHeartbeatRequest {
        instance_id: Some("j".to_owned()),
        ..next(side, group, "b", 1, &[0, 1])
    });
    describe(pair, group);
    beat(pair, "leaves", |side| instance(next(side, group, "b", -1, &[])));
    describe(pair, group);
}

/// Kafka looks topics up a moment later; here only what is refused is the same at once.
fn regexes(pair: &mut Pair) {
    pair.same_but(
        "malformed",
        1,
        |_| ConsumerGroupHeartbeatRequest {
            subscribed_topic_names: None,
            subscribed_topic_regex: Some("(".to_owned()),
            ..hello("consumers-regex", "a")
        },
        |response| {
            let said = response.error_message.take().unwrap_or_default();
            let begin = "SubscribedTopicRegex `(` is not a valid regular expression: ";
            response.error_message = Some(said.starts_with(begin).to_string());
        },
    );
}

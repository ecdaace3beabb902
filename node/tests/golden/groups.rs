//! Classic groups and offsets: whole lives of groups, step by step, at every version.

use std::time::Instant;

use ringlog_wire::messages::join_group_request::JoinGroupRequestProtocol;
use ringlog_wire::messages::leave_group_request::MemberIdentity;
use ringlog_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ringlog_wire::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ringlog_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ringlog_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use ringlog_wire::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, HeartbeatRequest,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest, SyncGroupRequest,
};
use ringlog_wire::{Request, Uuid};

use crate::pair::{Pair, Side};
use crate::support::PATIENCE;

pub fn compare(pair: &mut Pair) {
    pair.create_topic("offsets", 2, &[]);
    find(pair);
    for version in 0..=9 {
        life(pair, version);
    }
    statics(pair);
    for version in 2..=9 {
        offsets(pair, version);
    }
    simple(pair);
}

/// Waits until both know where groups are, then compares.
fn find(pair: &mut Pair) {
    for side in [&mut pair.stock, &mut pair.ours] {
        let deadline = Instant::now() + PATIENCE;
        let request = FindCoordinatorRequest { key: "g".to_owned(), ..Default::default() };
        while side.client.request(&request, 2).error_code != 0 {
            assert!(Instant::now() < deadline, "there is no coordinator");
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        // The coordinators may still be loading.
        let request = DescribeGroupsRequest { groups: groups(50), ..Default::default() };
        while side.client.request(&request, 5).groups.iter().any(|g| g.error_code != 0) {
            assert!(Instant::now() < deadline, "the coordinators do not load");
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    }
    let topic = Uuid([7; 16]).to_string();
    for version in 1..=6 {
        for key in [
            String::new(),
            "g".to_owned(),
            format!("g:{topic}:0"),
            format!("g:{topic}:0:"),
            format!("g:{topic}:0:0"),
            format!(" :{topic}:0"),
            format!("g:{topic}:x"),
            "g:short:0".to_owned(),
        ] {
            pair.same("share group", version, |_| FindCoordinatorRequest {
                key: if version < 4 { key.clone() } else { String::new() },
                coordinator_keys: if version < 4 { Vec::new() } else { vec![key.clone()] },
                key_type: 2,
            });
        }
    }
    for version in 0..=6 {
        for (what, key_type) in [("group", 0), ("nothing", 9)] {
            if version == 0 && key_type != 0 {
                continue;
            }
            pair.same(what, version, |_| match version {
                4.. => FindCoordinatorRequest {
                    coordinator_keys: vec!["g".to_owned(), String::new()],
                    key_type,
                    ..Default::default()
                },
                _ => FindCoordinatorRequest { key: "g".to_owned(), key_type, ..Default::default() },
            });
        }
    }
}

fn groups(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("nope-{i}")).collect()
}

fn join(group: &str, member: &str, instance: Option<&str>) -> JoinGroupRequest {
    let protocol = |name: &str| JoinGroupRequestProtocol {
        name: name.to_owned(),
        // A subscription to topic "offsets".
        metadata: [&[0, 1, 0, 0, 0, 1, 0, 7][..], b"offsets", &[0, 0, 0, 0]].concat(),
    };
    JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        member_id: member.to_owned(),
        group_instance_id: instance.map(str::to_owned),
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol("range"), protocol("sticky")],
        ..Default::default()
    }
}

/// Joins both, each under its own id; the answers must be the same but for that.
fn join_both(pair: &mut Pair, version: i16, group: &str, instance: Option<&str>) -> [String; 2] {
    let one = |side: &mut Side| {
        let mut request = join(group, "", instance);
        let mut response: JoinGroupResponse = side.client.request(&request, version);
        if response.error_code == 79 {
            request.member_id.clone_from(&response.member_id);
            response = side.client.request(&request, version);
        }
        let member = response.member_id.clone();
        let shape = match instance {
            Some(instance) => member.strip_prefix(instance),
            None => member.strip_prefix("test"),
        };
        assert_eq!(shape.map(str::len), Some(37), "{member}");
        side.mask(member.clone(), format!("MEMBER({group})"));
        (member, format!("{response:?}"))
    };
    let (stock_id, stock) = one(&mut pair.stock);
    let (our_id, ours) = one(&mut pair.ours);
    pair.compare_masked(&format!("JoinGroup {version} {group}"), stock, ours);
    [stock_id, our_id]
}

fn own(side: &Side, ids: &[String; 2]) -> String {
    ids[usize::from(!side.is_stock)].clone()
}

fn sync(group: &str, member: String, generation_id: i32, version: i16) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: group.to_owned(),
        generation_id,
        assignments: vec![SyncGroupRequestAssignment {
            member_id: member.clone(),
            assignment: vec![1, 2, 3],
        }],
        member_id: member,
        protocol_type: (version >= 5).then(|| "consumer".to_owned()),
        protocol_name: (version >= 5).then(|| "range".to_owned()),
        ..Default::default()
    }
}

fn leave(group: &str, member: String, instance: Option<&str>, version: i16) -> LeaveGroupRequest {
    let group_id = group.to_owned();
    match version {
        3.. => LeaveGroupRequest {
            group_id,
            members: vec![MemberIdentity {
                member_id: member,
                group_instance_id: instance.map(str::to_owned),
                ..Default::default()
            }],
            ..Default::default()
        },
        _ => LeaveGroupRequest { group_id, member_id: member, ..Default::default() },
    }
}

/// A group from its first member to its deletion; JoinGroup's versions lead, the others follow.
fn life(pair: &mut Pair, version: i16) {
    let group = &format!("life-{version}");
    let clamp = |max: i16| version.min(max);
    refusals(pair, version, group);
    let ids = join_both(pair, version, group, None);
    describe(pair, version, group);
    pair.same("again", version, |side| join(group, &own(side, &ids), None));
    for (what, generation, member) in
        [("old generation", 0, true), ("new generation", 2, true), ("stranger", 1, false)]
    {
        let id = |side: &Side| if member { own(side, &ids) } else { "stranger".to_owned() };
        pair.same(what, clamp(5), |side| sync(group, id(side), generation, clamp(5)));
        pair.same(what, clamp(4), |side| beat(group, id(side), generation));
    }
    pair.same("before the assignment", clamp(4), |side| beat(group, own(side, &ids), 1));
    let commit = |side: &Side, generation| commit(group, own(side, &ids), generation, side, 8);
    pair.same("before the assignment", 8, |side| commit(side, 1));
    pair.same("leader", clamp(5), |side| sync(group, own(side, &ids), 1, clamp(5)));
    pair.same("stable", clamp(5), |side| sync(group, own(side, &ids), 1, clamp(5)));
    if version >= 5 {
        pair.same("other protocol", 5, |side| SyncGroupRequest {
            protocol_name: Some("sticky".to_owned()),
            ..sync(group, own(side, &ids), 1, 5)
        });
        pair.same("no protocol", 5, |side| SyncGroupRequest {
            protocol_name: None,
            ..sync(group, own(side, &ids), 1, 5)
        });
    }
    pair.same("stable", clamp(4), |side| beat(group, own(side, &ids), 1));
    pair.same("stable", 8, |side| commit(side, 1));
    pair.same("old", 8, |side| commit(side, 0));
    describe(pair, version, group);
    pair.same("not empty", clamp(2), |_| delete(group));
    pair.same("subscribed", 0, |_| offset_delete(group));
    pair.same("leave, a stranger", clamp(5), |_| leave(group, "stranger".into(), None, clamp(5)));
    pair.same("leave", clamp(5), |side| leave(group, own(side, &ids), None, clamp(5)));
    pair.same("left", clamp(5), |side| leave(group, own(side, &ids), None, clamp(5)));
    pair.same("left", clamp(4), |side| beat(group, own(side, &ids), 1));
    pair.same("left", clamp(5), |side| sync(group, own(side, &ids), 1, clamp(5)));
    pair.same("left", version, |side| join(group, &own(side, &ids), None));
    describe(pair, version, group);
    pair.same("empty", 0, |_| offset_delete(group));
    pair.same("empty", clamp(2), |_| delete(group));
    pair.same("deleted", clamp(2), |_| delete(group));
    pair.same("deleted", clamp(4), |side| beat(group, own(side, &ids), 1));
    describe(pair, version, group);
}

fn refusals(pair: &mut Pair, version: i16, group: &str) {
    let cases = [
        ("no group", JoinGroupRequest { group_id: String::new(), ..join(group, "", None) }),
        ("short session", JoinGroupRequest { session_timeout_ms: 1, ..join(group, "", None) }),
        (
            "long session",
            JoinGroupRequest { session_timeout_ms: i32::MAX, ..join(group, "", None) },
        ),
        ("stranger", join(group, "stranger", None)),
    ];
    for (what, request) in cases {
        pair.same(what, version, |_| request.clone());
    }
    let other = &format!("{group}-refused");
    for (what, request) in [
        ("no protocols", JoinGroupRequest { protocols: Vec::new(), ..join(other, "", None) }),
        ("no type", JoinGroupRequest { protocol_type: String::new(), ..join(other, "", None) }),
    ] {
        pair.same(what, version, |_| request.clone());
    }
    describe(pair, version, other);
    pair.same("no group", version.min(4), |_| beat("", "x".to_owned(), 1));
    pair.same("no group", version.min(5), |_| sync("", "x".to_owned(), 1, version.min(5)));
    pair.same("no group", version.min(5), |_| leave("", "x".to_owned(), None, version.min(5)));
    pair.same("unknown group", version.min(5), |_| {
        leave("nope", "x".to_owned(), None, version.min(5))
    });
}

fn beat(group: &str, member_id: String, generation_id: i32) -> HeartbeatRequest {
    let group_id = group.to_owned();
    HeartbeatRequest { group_id, generation_id, member_id, ..Default::default() }
}

fn delete(group: &str) -> DeleteGroupsRequest {
    DeleteGroupsRequest { groups_names: vec![group.to_owned(), group.to_owned()] }
}

fn describe(pair: &mut Pair, version: i16, group: &str) {
    // Kafka answers before it has written down that there is a group. What is stable is written.
    pair.same("written", 7, |side| offset_fetch(group, false, side, 7));
    pair.same("group", version.min(6), |_| DescribeGroupsRequest {
        groups: vec![group.to_owned()],
        include_authorized_operations: version >= 3,
    });
    for (what, states, types) in [
        ("all", &[][..], &[][..]),
        ("stable", &["sTable"], &[]),
        ("empty", &["Empty", "Dead"], &["classic"]),
        ("consumer", &[], &["Consumer"]),
        ("odd", &["odd"], &["odd"]),
    ] {
        let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        pair.same_but(
            what,
            version.min(5),
            |_| ListGroupsRequest {
                states_filter: if version >= 4 { own(states) } else { Vec::new() },
                types_filter: if version >= 5 { own(types) } else { Vec::new() },
            },
            |response| response.groups.sort_by(|a, b| a.group_id.cmp(&b.group_id)),
        );
    }
}

/// Static members: taken over, fenced, removed.
fn statics(pair: &mut Pair) {
    for version in 5..=9 {
        let group = &format!("static-{version}");
        let first = join_both(pair, version, group, Some("i"));
        pair.same("leader", 5, |side| SyncGroupRequest {
            group_instance_id: Some("i".to_owned()),
            ..sync(group, own(side, &first), 1, 5)
        });
        let second = join_both(pair, version, group, Some("i"));
        let fenced = |side: &Side| HeartbeatRequest {
            group_instance_id: Some("i".to_owned()),
            ..beat(group, own(side, &first), 1)
        };
        pair.same("fenced", 4, fenced);
        pair.same("fenced", version, |side| join(group, &own(side, &first), Some("i")));
        pair.same("unknown instance", version, |side| join(group, &own(side, &second), Some("j")));
        pair.same("fenced", 5, |side| leave(group, own(side, &first), Some("i"), 5));
        describe(pair, version, group);
        pair.same("by instance", 5, |_| leave(group, String::new(), Some("i"), 5));
        pair.same("by unknown instance", 5, |_| leave(group, String::new(), Some("j"), 5));
        describe(pair, version, group);
    }
}

fn commit(
    group: &str,
    member_id: String,
    generation: i32,
    side: &Side,
    version: i16,
) -> OffsetCommitRequest {
    let topic = |name: &str, partitions: &[(i32, i64, Option<&str>)]| {
        let by_id = version >= 10;
        let topic_id = if name == "nope" { Uuid([9; 16]) } else { side.id(name) };
        OffsetCommitRequestTopic {
            name: if by_id { String::new() } else { name.to_owned() },
            topic_id: if by_id { topic_id } else { Uuid::ZERO },
            partitions: partitions
                .iter()
                .map(|(partition_index, committed_offset, note)| OffsetCommitRequestPartition {
                    partition_index: *partition_index,
                    committed_offset: *committed_offset,
                    committed_leader_epoch: if version >= 6 { 3 } else { -1 },
                    committed_metadata: note.map(str::to_owned),
                })
                .collect(),
        }
    };
    let long = "x".repeat(4097);
    OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: generation,
        member_id,
        topics: vec![
            topic("offsets", &[(0, 5, Some("note")), (1, 6, None), (9, 7, None)]),
            topic("nope", &[(0, 8, None)]),
            topic("bare", &[(0, 9, Some(&long))]),
        ],
        ..Default::default()
    }
}

fn offset_delete(group: &str) -> OffsetDeleteRequest {
    let topic = |name: &str| OffsetDeleteRequestTopic {
        name: name.to_owned(),
        partitions: vec![
            OffsetDeleteRequestPartition { partition_index: 0 },
            OffsetDeleteRequestPartition { partition_index: 9 },
        ],
    };
    OffsetDeleteRequest {
        group_id: group.to_owned(),
        topics: vec![topic("offsets"), topic("nope"), topic("bare")],
    }
}

/// Offsets without members, and what OffsetFetch makes of them at every version.
fn offsets(pair: &mut Pair, version: i16) {
    let group = &format!("offsets-{version}");
    pair.same("none", version, |side| commit(group, String::new(), -1, side, version));
    pair.same("generation", version, |side| {
        commit(&format!("{group}-unknown"), "x".to_owned(), 3, side, version)
    });
    pair.same("retention", version.min(4), |side| OffsetCommitRequest {
        retention_time_ms: 100_000_000,
        ..commit(&format!("{group}-kept"), String::new(), -1, side, version.min(4))
    });
    for fetch in 1..=9 {
        for asked in [group.as_str(), "nope", ""] {
            for all in [false, true] {
                if all && fetch < 2 {
                    continue;
                }
                pair.same_but(
                    if all { "all" } else { "some" },
                    fetch,
                    |side| offset_fetch(asked, all, side, fetch),
                    |response| {
                        response.topics.sort_by(|a, b| a.name.cmp(&b.name));
                        response.topics.iter_mut().for_each(|topic| {
                            topic.partitions.sort_by_key(|partition| partition.partition_index);
                        });
                        for group in &mut response.groups {
                            group.topics.sort_by(|a, b| a.name.cmp(&b.name));
                            group.topics.iter_mut().for_each(|topic| {
                                topic.partitions.sort_by_key(|partition| partition.partition_index);
                            });
                        }
                    },
                );
            }
        }
    }
    pair.same("offsets", 0, |_| offset_delete(group));
    pair.same("after deletion", 7, |side| offset_fetch(group, true, side, 7));
    pair.same("no group", 0, |_| offset_delete(""));
    pair.same("unknown group", 0, |_| offset_delete("nope"));
}

fn offset_fetch(group: &str, all: bool, side: &Side, version: i16) -> OffsetFetchRequest {
    let asked = [("offsets", vec![0, 1, 9]), ("nope", vec![0]), ("bare", vec![0])];
    let group_id = group.to_owned();
    if version < 8 {
        let topics = asked.into_iter().map(|(name, partition_indexes)| OffsetFetchRequestTopic {
            name: name.to_owned(),
            partition_indexes,
        });
        return OffsetFetchRequest {
            group_id,
            topics: (!all).then(|| topics.collect()),
            require_stable: version >= 7,
            ..Default::default()
        };
    }
    let topics = asked.into_iter().map(|(name, partition_indexes)| {
        let topic_id = if name == "nope" { Uuid([9; 16]) } else { side.id(name) };
        let by_id = version >= 10;
        OffsetFetchRequestTopics {
            name: if by_id { String::new() } else { name.to_owned() },
            topic_id: if by_id { topic_id } else { Uuid::ZERO },
            partition_indexes,
        }
    });
    let topics = (!all).then(|| topics.collect());
    let group =
        OffsetFetchRequestGroup { group_id, topics, member_epoch: -1, ..Default::default() };
    OffsetFetchRequest { groups: vec![group], ..Default::default() }
}

/// Groups that are nothing but offsets, and nobody writes where groups are kept.
fn simple(pair: &mut Pair) {
    pair.same("the empty group", 8, |side| commit("", String::new(), -1, side, 8));
    describe(pair, 6, "");
    pair.same("the empty group", 2, |_| delete(""));
    fn is_request<R: Request>(_: &R) {}
    let records = crate::support::batch(&[b"x"], None);
    let request = crate::support::produce_request("__consumer_offsets", 0, -1, records);
    is_request(&request);
    pair.same("internal topic", 9, |_| request.clone());
}

//! Groups, asked by single requests.

use std::time::{Duration, Instant};

use ringlog_wire::messages::{
    FindCoordinatorRequest, JoinGroupRequest, OffsetCommitRequest, OffsetFetchRequest,
    join_group_request, offset_commit_request, offset_fetch_request,
};

use super::{Client, PATIENCE};

/// A group's first members need not wait for others.
pub const QUICK: &str = "group.initial.rebalance.delay.ms=0";

/// Waits until there is something.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "not so: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Waits until groups have a coordinator that answers.
pub fn find(client: &mut Client) {
    let request = FindCoordinatorRequest { key: "g".to_owned(), ..Default::default() };
    assert_eq!(client.request(&request, 0).error_code, 0);
    // The coordinator begins by loading.
    until("the coordinator answers", || (fetch(client, "g", "t").0 != 14).then_some(()));
}

/// An offset of one partition, committed by an administrator, or by a member.
pub fn commit_request(
    group: &str,
    topic: &str,
    offset: i64,
    generation: i32,
) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: generation,
        topics: vec![offset_commit_request::OffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: vec![offset_commit_request::OffsetCommitRequestPartition {
                committed_offset: offset,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Commits an offset; the partition's error.
pub fn commit(client: &mut Client, group: &str, topic: &str, offset: i64) -> i16 {
    let response = client.request(&commit_request(group, topic, offset, -1), 8);
    response.topics[0].partitions[0].error_code
}

/// The group's error, and the offset.
pub fn fetch(client: &mut Client, group: &str, topic: &str) -> (i16, i64) {
    let topics = vec![offset_fetch_request::OffsetFetchRequestTopic {
        name: topic.to_owned(),
        partition_indexes: vec![0],
    }];
    let group_id = group.to_owned();
    let request = OffsetFetchRequest { group_id, topics: Some(topics), ..Default::default() };
    let response = client.request(&request, 7);
    let offset = response.topics.first().map_or(-2, |topic| topic.partitions[0].committed_offset);
    (response.error_code, offset)
}

/// Joins a group as its only member; the member's id, and the generation.
pub fn join(client: &mut Client, group: &str) -> (String, i32) {
    let mut request = JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: 6000,
        rebalance_timeout_ms: 6000,
        protocol_type: "test".to_owned(),
        protocols: vec![join_group_request::JoinGroupRequestProtocol {
            name: "p".to_owned(),
            metadata: vec![7],
        }],
        ..Default::default()
    };
    let first = client.request(&request, 5);
    assert_eq!(first.error_code, 79);
    request.member_id = first.member_id;
    let joined = client.request(&request, 5);
    assert_eq!(joined.error_code, 0);
    (joined.member_id, joined.generation_id)
}

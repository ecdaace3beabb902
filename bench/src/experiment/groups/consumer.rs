//! A member that uses ConsumerGroupHeartbeat.

use std::rc::Rc;

use anyhow::{Result, bail};
use ringlog_wire::Uuid;
use ringlog_wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use ringlog_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::roster::Roster;
use super::{AGAIN_MS, REBALANCE_TIMEOUT_MS, Scene, Seat, code, is_too_early};
use crate::client::{Connection, error_name};

/// As an epoch: the member leaves.
const LEAVES: i32 = -1;

/// Joins, takes what it is assigned at once, beats as it is told to until the scene ends, and
/// leaves.
pub(super) async fn live(
    scene: &Rc<Scene>,
    roster: &Roster,
    Seat { group, member: number, id }: Seat,
    mut connection: Connection,
) -> Result<()> {
    let (high, low) = (scene.shard.random(), scene.shard.random());
    let member = Uuid((u128::from(high) << 64 | u128::from(low)).to_be_bytes()).to_string();
    let mut epoch = 0;
    let mut owned: Vec<i32> = Vec::new();
    let mut is_news = true;
    while !scene.ended.get() {
        scene.requests.set(scene.requests.get() + 1);
        let joins = epoch == 0;
        let part = TopicPartitions { topic_id: scene.topic_id, partitions: owned.clone() };
        let parts = if owned.is_empty() { Vec::new() } else { vec![part] };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: id.clone(),
            member_id: member.clone(),
            member_epoch: epoch,
            rebalance_timeout_ms: if joins { REBALANCE_TIMEOUT_MS } else { -1 },
            subscribed_topic_names: joins.then(|| vec![scene.topic.clone()]),
            topic_partitions: is_news.then_some(parts),
            ..Default::default()
        };
        let answer = connection.call_version(&request, 1).await?;
        match answer.error_code {
            code::NONE => {}
            error if is_too_early(error) => {
                scene.shard.sleep_ms(AGAIN_MS).await;
                continue;
            }
            code::UNKNOWN_MEMBER_ID | code::FENCED_MEMBER_EPOCH => {
                (epoch, is_news) = (0, true);
                owned.clear();
                continue;
            }
            other => bail!("a member of {id}: {}", error_name(other)),
        }
        epoch = answer.member_epoch;
        is_news = take(&answer, &mut owned);
        roster.learn(group, number, epoch, owned.len());
        if !is_news {
            let interval_ms = answer.heartbeat_interval_ms.max(1) as u64;
            scene.shard.sleep_ms(interval_ms / 2 + scene.shard.random() % interval_ms / 2).await;
        }
    }
    let request = ConsumerGroupHeartbeatRequest {
        group_id: id,
        member_id: member,
        member_epoch: LEAVES,
        ..Default::default()
    };
    connection.call_version(&request, 1).await?;
    Ok(())
}

/// Takes over an assignment; whether it was another one.
fn take(answer: &ConsumerGroupHeartbeatResponse, owned: &mut Vec<i32>) -> bool {
    let Some(assignment) = &answer.assignment else { return false };
    let parts = assignment.topic_partitions.iter().flat_map(|topic| &topic.partitions);
    let mut assigned: Vec<i32> = parts.copied().collect();
    assigned.sort_unstable();
    if assigned == *owned {
        return false;
    }
    *owned = assigned;
    true
}

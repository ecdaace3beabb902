//! A member that uses JoinGroup, SyncGroup and Heartbeat.

use std::rc::Rc;

use anyhow::{Result, bail};
use ringlog_wire::messages::join_group_request::JoinGroupRequestProtocol;
use ringlog_wire::messages::leave_group_request::MemberIdentity;
use ringlog_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use ringlog_wire::messages::{
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest,
};

use super::roster::Roster;
use super::{AGAIN_MS, REBALANCE_TIMEOUT_MS, Scene, Seat, code, is_too_early};
use crate::client::{Connection, error_name};

const JOIN_VERSION: i16 = 5;
const SYNC_VERSION: i16 = 3;
const HEARTBEAT_VERSION: i16 = 3;
const LEAVE_VERSION: i16 = 3;
const SESSION_TIMEOUT_MS: i32 = 45_000;
/// As long as what a consumer says of one topic, and what it is told of some partitions.
const WORDS_BYTES: usize = 40;

struct Member {
    scene: Rc<Scene>,
    connection: Connection,
    group: String,
    id: String,
    generation: i32,
}

/// Joins, beats until the scene ends, and leaves.
pub(super) async fn live(
    scene: &Rc<Scene>,
    roster: &Roster,
    Seat { group, member: number, id }: Seat,
    connection: Connection,
) -> Result<()> {
    let mut member = Member {
        scene: Rc::clone(scene),
        connection,
        group: id,
        id: String::new(),
        generation: -1,
    };
    while !scene.ended.get() {
        if member.join().await? {
            roster.learn(group, number, member.generation, 0);
            member.beat().await?;
        }
    }
    member.leave().await
}

impl Member {
    fn count(&self) {
        self.scene.requests.set(self.scene.requests.get() + 1);
    }

    /// What an error means for a member; true if there was none.
    async fn take(&mut self, error: i16) -> Result<bool> {
        match error {
            code::NONE => return Ok(true),
            code::ILLEGAL_GENERATION | code::REBALANCE_IN_PROGRESS | code::MEMBER_ID_REQUIRED => {}
            code::UNKNOWN_MEMBER_ID => self.id.clear(),
            error if is_too_early(error) => self.scene.shard.sleep_ms(AGAIN_MS).await,
            other => bail!("a member of {}: {}", self.group, error_name(other)),
        }
        Ok(false)
    }

    /// Joins, and asks for its part; true if it has it.
    async fn join(&mut self) -> Result<bool> {
        self.count();
        let protocol =
            JoinGroupRequestProtocol { name: "range".to_owned(), metadata: vec![0; WORDS_BYTES] };
        let request = JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            member_id: self.id.clone(),
            protocol_type: "groups".to_owned(),
            protocols: vec![protocol],
            ..Default::default()
        };
        let joined = self.connection.call_version(&request, JOIN_VERSION).await?;
        if matches!(joined.error_code, code::NONE | code::MEMBER_ID_REQUIRED) {
            self.id = joined.member_id;
        }
        if !self.take(joined.error_code).await? {
            return Ok(false);
        }
        self.generation = joined.generation_id;
        let members = joined.members.into_iter();
        let assign =
            |member_id| SyncGroupRequestAssignment { member_id, assignment: vec![0; WORDS_BYTES] };
        self.sync(members.map(|member| assign(member.member_id)).collect()).await
    }

    /// Asks for its part; whoever leads says what the others have.
    async fn sync(&mut self, assignments: Vec<SyncGroupRequestAssignment>) -> Result<bool> {
        self.count();
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            assignments,
            ..Default::default()
        };
        let synced = self.connection.call_version(&request, SYNC_VERSION).await?;
        self.take(synced.error_code).await
    }

    /// Until it has to join again.
    async fn beat(&mut self) -> Result<()> {
        let interval_ms = self.scene.config.heartbeat_ms;
        // Not all at the same moment.
        let mut wait_ms = self.scene.shard.random() % interval_ms.max(1);
        while !self.scene.ended.get() {
            self.scene.shard.sleep_ms(wait_ms).await;
            wait_ms = interval_ms;
            self.count();
            let request = HeartbeatRequest {
                group_id: self.group.clone(),
                generation_id: self.generation,
                member_id: self.id.clone(),
                ..Default::default()
            };
            let answer = self.connection.call_version(&request, HEARTBEAT_VERSION).await?;
            if !self.take(answer.error_code).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Leaves, so that the group is gone before anybody else is measured.
    async fn leave(&mut self) -> Result<()> {
        let identity = MemberIdentity { member_id: self.id.clone(), ..Default::default() };
        let request = LeaveGroupRequest {
            group_id: self.group.clone(),
            members: vec![identity],
            ..Default::default()
        };
        self.connection.call_version(&request, LEAVE_VERSION).await?;
        Ok(())
    }
}

//! A member of a classic group (Kafka's `ClassicGroupMember`).

use ringlog_wire::records::group::group_metadata_value::MemberMetadata;

use super::request::{JoinGroup, Protocol, Ticket};

/// A member.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// What a static member calls itself (KIP-345).
    pub instance: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// Where it is, as Java prints an address.
    pub client_host: String,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// What it knows, the dearest first.
    pub protocols: Vec<Protocol>,
    /// What the leader has assigned to it.
    pub assignment: Vec<u8>,
    /// It waits for the answer to this join.
    pub joining: Option<Ticket>,
    /// It waits for the answer to this sync.
    pub syncing: Option<Ticket>,
    /// It has not learnt its id yet, and cannot be heard from.
    pub is_new: bool,
}

impl Member {
    /// One that joins.
    pub fn joining(id: String, request: JoinGroup, ticket: Ticket) -> Self {
        Self {
            id,
            instance: request.instance,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols,
            assignment: Vec::new(),
            joining: Some(ticket),
            syncing: None,
            is_new: true,
        }
    }

    /// One that the log tells of, in a group that uses `protocol`.
    pub fn loaded(stored: MemberMetadata, protocol: &str) -> Self {
        Self {
            id: stored.member_id,
            instance: stored.group_instance_id,
            client_id: stored.client_id,
            client_host: stored.client_host,
            rebalance_timeout_ms: match stored.rebalance_timeout {
                -1 => stored.session_timeout,
                timeout => timeout,
            },
            session_timeout_ms: stored.session_timeout,
            protocols: vec![Protocol { name: protocol.to_owned(), metadata: stored.subscription }],
            assignment: stored.assignment,
            joining: None,
            syncing: None,
            is_new: false,
        }
    }

    /// For the log.
    pub fn stored(&self, protocol: &str, assignment: Vec<u8>) -> MemberMetadata {
        MemberMetadata {
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout: self.rebalance_timeout_ms,
            session_timeout: self.session_timeout_ms,
            subscription: self.metadata(protocol).to_vec(),
            assignment,
        }
    }

    /// What it says to a protocol.
    pub fn metadata(&self, protocol: &str) -> &[u8] {
        let known = self.protocols.iter().find(|known| known.name == protocol);
        known.map_or(&[], |known| &known.metadata)
    }

    /// Whether its silence means nothing: it is waiting for us. A new member may have gone away
    /// without a word, so it is not waited for beyond its time.
    pub fn is_excused(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }
}

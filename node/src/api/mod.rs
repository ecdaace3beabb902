//! One file per API: validate, route to the shards that own what it is about, answer in Kafka's
//! codes. This file is the table.

mod alter_configs;
mod alter_partition_reassignments;
mod api_versions;
mod configs;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod elect_leaders;
mod fetch;
mod fetch_sessions;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod inspections;
mod java;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sasl_handshake;
mod sync_group;
mod update_features;
mod write_txn_markers;

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;

use ringlog_engine::io::Buf;
use ringlog_engine::shard::TaskClass;
use ringlog_engine::shard::sync::Share;
use ringlog_wire::{ApiKey, Message, Reader, Request};

pub use fetch_sessions::FetchSessions;

use crate::broker::{Broker, ListenerKind};
use crate::group::{GroupAnswer, GroupRequest};
use crate::wire::frame::{RequestFrame, RequestHeader, Response, decode_budget};
use crate::wire::versions::{BROKER_APIS, CONTROLLER_APIS, Served, serves};

/// What may be done to a topic, as bits by the numbers of Kafka's `AclOperation`: without an
/// authorizer, all of it.
const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// What may be done to the cluster.
const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

/// What may be done to a group.
const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;

/// What becomes of a request.
pub enum Outcome {
    /// An answer.
    Respond(Response),
    /// None is wanted.
    Silent,
    /// The connection is closed instead.
    Close,
}

/// A request's outcome, to be awaited in the order of the requests.
pub type OutcomeFuture = Pin<Box<dyn Future<Output = Outcome>>>;

/// What requests of one connection have in common.
pub struct RequestContext {
    /// Which listener the connection came by.
    pub listener: usize,
    /// Whom that serves.
    pub kind: ListenerKind,
    /// Who is at the other end.
    pub peer: IpAddr,
    sessions: Rc<RefCell<FetchSessions>>,
}

impl RequestContext {
    /// Of a connection that came by this listener, with its shard's sessions.
    pub fn new(
        kind: ListenerKind,
        listener: usize,
        peer: IpAddr,
        sessions: &Rc<RefCell<FetchSessions>>,
    ) -> Self {
        Self { listener, kind, peer, sessions: Rc::clone(sessions) }
    }
}

/// What a listener offers.
fn apis_of(kind: ListenerKind) -> &'static [Served] {
    match kind {
        ListenerKind::Broker => BROKER_APIS,
        ListenerKind::Controller => CONTROLLER_APIS,
    }
}

/// A request taken apart.
struct Incoming {
    header: RequestHeader,
    key: ApiKey,
    /// The body; the frame's memory is charged until `share` is dropped.
    body: Buf,
    share: Share,
}

impl Incoming {
    fn decode<R: Request>(&self) -> Option<R> {
        let mut r = Reader::new(&self.body, decode_budget(self.body.len()));
        match R::decode(&mut r, self.header.version) {
            // What follows is ignored, as Kafka does.
            Ok(request) => Some(request),
            Err(error) => {
                tracing::debug!(api = self.key.name(), %error, "malformed_request");
                None
            }
        }
    }

    /// The response, or the end of the connection if it cannot be written in the version asked.
    fn respond<M: Message>(&self, message: &M) -> Outcome {
        let (version, correlation) = (self.header.version, self.header.correlation_id);
        match Response::encode(message, self.key, version, correlation) {
            Ok(response) => Outcome::Respond(response),
            Err(error) => {
                tracing::error!(api = self.key.name(), version, %error, "response_not_encodable");
                Outcome::Close
            }
        }
    }
}

/// Takes a request up. Its place in the order of effects is fixed when this returns; the outcome is
/// awaited apart. `None` closes the connection: the request is not one we can answer.
pub async fn dispatch(
    broker: &Rc<Broker>,
    context: &Rc<RequestContext>,
    frame: RequestFrame,
) -> Option<(ApiKey, OutcomeFuture)> {
    let (mut bytes, share) = frame.into_parts();
    let header = RequestHeader::parse(&bytes).ok()?;
    let key = ApiKey::try_from(header.api_key).ok()?;
    broker.shard.set_class(class_of(key));
    let apis = apis_of(context.kind);
    if !serves(apis, key, header.version) {
        if key == ApiKey::ApiVersions {
            return Some((key, api_versions::unsupported_version(apis, header.correlation_id)));
        }
        tracing::debug!(api = key.name(), version = header.version, "unsupported_version");
        return None;
    }
    bytes.advance(header.body_at);
    let incoming = Incoming { header, key, body: bytes, share };
    let broker = Rc::clone(broker);
    let context = Rc::clone(context);
    let outcome: Option<OutcomeFuture> = match key {
        ApiKey::Produce => {
            let requests = broker.request_budget.take(1).await;
            produce::dispatch(broker, incoming, requests).await
        }
        ApiKey::Fetch => fetch::dispatch(broker, context, incoming),
        _ => Some(Box::pin(async move {
            // Taken once it is this request's turn: those that wait for a peer to read the answers
            // before theirs hold nothing.
            let turn = broker.request_budget.take_as(class_of(key), 1).await;
            let requests = Cell::new(Some(turn));
            let outcome = answer(&broker, &context, &incoming, &requests).await;
            drop((incoming.share, requests));
            outcome.unwrap_or(Outcome::Close)
        })),
    };
    outcome.map(|outcome| (key, outcome))
}

/// Who goes first on a shard. Records do; the rest may come from thousands of connections at the
/// same moment: all members of a group ask, and are answered, when it rebalances.
pub fn class_of(key: ApiKey) -> TaskClass {
    match key {
        ApiKey::Produce | ApiKey::Fetch => TaskClass::Foreground,
        _ => TaskClass::Background,
    }
}

/// Asks the coordinator of a member's group. Members may be as many as there are connections, and
/// wait for each other or for the disk: a request that waits is not worked on.
async fn ask_for_member(
    broker: &Rc<Broker>,
    group: &str,
    request: GroupRequest,
    requests: &Cell<Option<Share>>,
) -> GroupAnswer {
    let answer = broker.ask_group(group, request).await;
    drop(requests.take());
    answer.await
}

/// Requests that are decoded by generated codecs. `None`: malformed. One that waits for others
/// gives back what it has of `requests`: it is not worked on.
async fn answer(
    broker: &Rc<Broker>,
    context: &Rc<RequestContext>,
    incoming: &Incoming,
    requests: &Cell<Option<Share>>,
) -> Option<Outcome> {
    Some(match incoming.key {
        ApiKey::ApiVersions => api_versions::answer(broker, context, incoming)?,
        ApiKey::Metadata => metadata::answer(broker, context, incoming).await?,
        ApiKey::ListOffsets => list_offsets::answer(broker, incoming).await?,
        ApiKey::CreateTopics => create_topics::answer(broker, incoming).await?,
        ApiKey::DeleteTopics => delete_topics::answer(broker, incoming).await?,
        ApiKey::DeleteRecords => delete_records::answer(broker, incoming).await?,
        ApiKey::WriteTxnMarkers => write_txn_markers::answer(broker, incoming).await?,
        ApiKey::CreatePartitions => create_partitions::answer(broker, incoming).await?,
        ApiKey::InitProducerId => init_producer_id::answer(broker, incoming).await?,
        ApiKey::AlterConfigs => alter_configs::answer(broker, incoming).await?,
        ApiKey::IncrementalAlterConfigs => {
            incremental_alter_configs::answer(broker, incoming).await?
        }
        ApiKey::ListConfigResources => list_config_resources::answer(broker, incoming)?,
        ApiKey::OffsetForLeaderEpoch => offset_for_leader_epoch::answer(broker, incoming).await?,
        ApiKey::DescribeProducers => describe_producers::answer(broker, incoming).await?,
        ApiKey::DescribeLogDirs => describe_log_dirs::answer(broker, incoming).await?,
        ApiKey::AlterPartitionReassignments => {
            alter_partition_reassignments::answer(broker, incoming)?
        }
        ApiKey::ElectLeaders => elect_leaders::answer(broker, incoming)?,
        ApiKey::DescribeAcls => describe_acls::answer(incoming)?,
        ApiKey::CreateAcls => create_acls::answer(incoming)?,
        ApiKey::DeleteAcls => delete_acls::answer(incoming)?,
        ApiKey::SaslHandshake => sasl_handshake::answer(incoming)?,
        ApiKey::DescribeConfigs => describe_configs::answer(broker, incoming)?,
        ApiKey::DescribeCluster => describe_cluster::answer(broker, context, incoming)?,
        ApiKey::UpdateFeatures => update_features::answer(broker, incoming).await?,
        ApiKey::DescribeQuorum => describe_quorum::answer(broker, incoming).await?,
        ApiKey::DescribeTopicPartitions => describe_topic_partitions::answer(broker, incoming)?,
        ApiKey::FindCoordinator => find_coordinator::answer(broker, context, incoming).await?,
        ApiKey::JoinGroup => join_group::answer(broker, context, incoming, requests).await?,
        ApiKey::SyncGroup => sync_group::answer(broker, incoming, requests).await?,
        ApiKey::Heartbeat => heartbeat::answer(broker, incoming, requests).await?,
        ApiKey::LeaveGroup => leave_group::answer(broker, incoming).await?,
        ApiKey::OffsetCommit => offset_commit::answer(broker, incoming).await?,
        ApiKey::OffsetFetch => offset_fetch::answer(broker, incoming).await?,
        ApiKey::OffsetDelete => offset_delete::answer(broker, incoming).await?,
        ApiKey::ConsumerGroupHeartbeat => {
            consumer_group_heartbeat::answer(broker, context, incoming, requests).await?
        }
        ApiKey::ConsumerGroupDescribe => consumer_group_describe::answer(broker, incoming).await?,
        ApiKey::ListGroups => list_groups::answer(broker, incoming).await?,
        ApiKey::DescribeGroups => describe_groups::answer(broker, incoming).await?,
        ApiKey::DeleteGroups => delete_groups::answer(broker, incoming).await?,
        ApiKey::ListPartitionReassignments => list_partition_reassignments::answer(incoming)?,
        key => unreachable!("{} is in the table of versions but not here", key.name()),
    })
}

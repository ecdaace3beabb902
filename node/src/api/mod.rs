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
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;

use ringlog_engine::io::{Buf, chunks_len};
use ringlog_engine::shard::TaskClass;
use ringlog_engine::shard::sync::Share;
use ringlog_wire::{ApiKey, DecodeError, Message, Reader, Request};

pub use fetch_sessions::FetchSessions;

use crate::broker::{
    Broker, Call, ControlCall, ControlReply, ForwardedRequest, ListenerKind, Reply, Served,
};
use crate::group::{GroupAnswer, GroupRequest};
use crate::wire::frame::{Part, RequestFrame, RequestHeader, Response, decode_budget};
use crate::wire::versions::{self, BROKER_APIS, CONTROLLER_APIS, serves};

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

/// From this size on a request is answered on the control shard: decoding it alone takes longer
/// than records should wait.
const LARGE_REQUEST_BYTES: usize = 16 << 10;
/// From so many partitions on, so is what may ask for all of them.
const WIDE_CLUSTER_PARTITIONS: usize = 1000;

/// What a listener offers.
fn apis_of(kind: ListenerKind) -> &'static [versions::Served] {
    match kind {
        ListenerKind::Broker => BROKER_APIS,
        ListenerKind::Controller => CONTROLLER_APIS,
    }
}

/// A request taken apart.
struct Incoming {
    header: RequestHeader,
    key: ApiKey,
    body: Buf,
    /// What pays for the frame's memory, where it was received.
    share: Option<Share>,
    /// What pays for the memory of the decoded request.
    decoded: RefCell<Share>,
    /// Its place among the requests that are worked on. One that waits for others gives it back.
    turn: Cell<Option<Share>>,
}

impl Incoming {
    fn decode<R: Request>(&self) -> Option<R> {
        let mut decoded = self.decoded.borrow_mut();
        let mut r = Reader::new(&self.body, decoded.units());
        match R::decode(&mut r, self.header.version) {
            // What follows is ignored, as Kafka does.
            Ok(request) => {
                let used = decoded.units() - r.budget_bytes();
                decoded.shrink_to(used);
                Some(request)
            }
            Err(error @ DecodeError::Budget { .. }) => {
                let (api, bytes) = (self.key.name(), self.body.len());
                tracing::warn!(api, bytes, %error, "request_larger_than_its_memory");
                None
            }
            Err(error) => {
                tracing::debug!(api = self.key.name(), %error, "malformed_request");
                None
            }
        }
    }

    /// Asks the controller. A request that waits for it is not worked on.
    async fn ask_controller(&self, broker: &Rc<Broker>, call: ControlCall) -> ControlReply {
        drop(self.turn.take());
        broker.control(call).await
    }

    /// Asks the coordinator of a member's group. Members may be as many as there are connections,
    /// and wait for each other or for the disk: a request that waits is not worked on.
    async fn ask_for_member(
        &self,
        broker: &Rc<Broker>,
        group: &str,
        request: GroupRequest,
    ) -> GroupAnswer {
        let answer = broker.ask_group(group, request).await;
        drop(self.turn.take());
        answer.await
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
    let broker = Rc::clone(broker);
    let context = Rc::clone(context);
    let outcome: Option<OutcomeFuture> = match key {
        ApiKey::Produce => {
            let turn = broker.request_budget.take(1).await;
            produce::dispatch(broker, Frame { header, body: bytes, share }, turn).await
        }
        ApiKey::Fetch => {
            let frame = Frame { header, body: bytes, share };
            fetch::dispatch(broker, context, frame).await
        }
        key if is_for_control(&broker, key, bytes.len()) => {
            let (listener, peer) = (context.listener, context.peer);
            let forwarded = ForwardedRequest { header, key, body: bytes, listener, peer };
            Some(Box::pin(async move {
                let control = broker.settings.control_shard();
                let call = Call::Serve(Box::new(forwarded));
                let Reply::Served(served) = broker.call(control, call).await.await else {
                    unreachable!("a request that is served elsewhere has its own reply")
                };
                drop(share);
                outcome_of(&broker, served).await
            }))
        }
        _ => Some(Box::pin(async move {
            // Taken once it is this request's turn: those that wait for a peer to read the answers
            // before theirs hold nothing.
            let turn = broker.request_budget.take_as(class_of(key), 1).await;
            broker.counters.borrow_mut().decoded(bytes.len());
            let decoded = broker.decode_budget.take(decode_bytes_max(&broker, bytes.len())).await;
            let incoming = Incoming {
                header,
                key,
                body: bytes,
                share: Some(share),
                decoded: RefCell::new(decoded),
                turn: Cell::new(Some(turn)),
            };
            let outcome = answer(&broker, &context, &incoming).await;
            outcome.unwrap_or(Outcome::Close)
        })),
    };
    outcome.map(|outcome| (key, outcome))
}

/// Names that occur more than once.
fn repeated_names<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

/// A request of the hot path, which takes itself apart.
struct Frame {
    header: RequestHeader,
    body: Buf,
    share: Share,
}

/// What decoding a request of so many bytes may take here.
fn decode_bytes_max(broker: &Broker, len: usize) -> usize {
    decode_budget(len).min(broker.one_decoded_bytes)
}

/// Whether a request takes longer than others should wait: it is large, or asks for all there is of
/// a large cluster.
fn is_for_control(broker: &Broker, key: ApiKey, len: usize) -> bool {
    let wide = matches!(
        key,
        ApiKey::Metadata
            | ApiKey::DescribeLogDirs
            | ApiKey::DescribeTopicPartitions
            | ApiKey::ElectLeaders
            | ApiKey::ListConfigResources
    );
    len > LARGE_REQUEST_BYTES
        || (wide && broker.image().partition_count() > WIDE_CLUSTER_PARTITIONS)
}

/// Serves on the control shard what other shards have forwarded.
pub fn serve_forwarded(broker: &Rc<Broker>) {
    let this = Rc::clone(broker);
    broker.on_forwarded(Rc::new(move |forwarded| {
        let broker = Rc::clone(&this);
        Box::pin(async move { serve_one(&broker, forwarded).await })
    }));
}

async fn serve_one(broker: &Rc<Broker>, forwarded: ForwardedRequest) -> Served {
    let ForwardedRequest { header, key, body, listener, peer } = forwarded;
    // A few large ones at a time: their answers are larger still.
    let budget = match body.len() > LARGE_REQUEST_BYTES {
        true => &broker.large_request_budget,
        false => &broker.request_budget,
    };
    let turn = budget.take_as(class_of(key), 1).await;
    let decoded = broker.decode_budget.take(decode_bytes_max(broker, body.len())).await;
    let (decoded, turn) = (RefCell::new(decoded), Cell::new(Some(turn)));
    let incoming = Incoming { header, key, body, share: None, decoded, turn };
    let sessions = Rc::new(RefCell::new(FetchSessions::new(0)));
    let kind = broker.settings.kind_of(listener);
    let context = Rc::new(RequestContext::new(kind, listener, peer, &sessions));
    match answer(broker, &context, &incoming).await {
        Some(Outcome::Respond(response)) => Served::Respond(
            response
                .parts
                .into_iter()
                .map(|part| match part {
                    Part::Bytes(chunk) => chunk,
                    Part::File(_) => unreachable!("only fetches lend files"),
                })
                .collect(),
        ),
        Some(Outcome::Silent) => Served::Silent,
        Some(Outcome::Close) | None => Served::Close,
    }
}

/// The answer from the control shard, paid for until it is sent.
async fn outcome_of(broker: &Rc<Broker>, served: Served) -> Outcome {
    match served {
        Served::Respond(chunks) => {
            let share = broker.read_budget.take(chunks_len(&chunks)).await;
            let parts = chunks.into_iter().map(Part::Bytes).collect();
            Outcome::Respond(Response { parts, share: Some(share) })
        }
        Served::Silent => Outcome::Silent,
        Served::Close => Outcome::Close,
    }
}

/// Who goes first on a shard. Records do; the rest may come from thousands of connections at the
/// same moment: all members of a group ask, and are answered, when it rebalances.
pub fn class_of(key: ApiKey) -> TaskClass {
    match key {
        ApiKey::Produce | ApiKey::Fetch => TaskClass::Foreground,
        _ => TaskClass::Background,
    }
}

/// Requests that are decoded by generated codecs. `None`: malformed.
async fn answer(
    broker: &Rc<Broker>,
    context: &Rc<RequestContext>,
    incoming: &Incoming,
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
        ApiKey::JoinGroup => join_group::answer(broker, context, incoming).await?,
        ApiKey::SyncGroup => sync_group::answer(broker, incoming).await?,
        ApiKey::Heartbeat => heartbeat::answer(broker, incoming).await?,
        ApiKey::LeaveGroup => leave_group::answer(broker, incoming).await?,
        ApiKey::OffsetCommit => offset_commit::answer(broker, incoming).await?,
        ApiKey::OffsetFetch => offset_fetch::answer(broker, incoming).await?,
        ApiKey::OffsetDelete => offset_delete::answer(broker, incoming).await?,
        ApiKey::ConsumerGroupHeartbeat => {
            consumer_group_heartbeat::answer(broker, context, incoming).await?
        }
        ApiKey::ConsumerGroupDescribe => consumer_group_describe::answer(broker, incoming).await?,
        ApiKey::ListGroups => list_groups::answer(broker, incoming).await?,
        ApiKey::DescribeGroups => describe_groups::answer(broker, incoming).await?,
        ApiKey::DeleteGroups => delete_groups::answer(broker, incoming).await?,
        ApiKey::ListPartitionReassignments => list_partition_reassignments::answer(incoming)?,
        key => unreachable!("{} is in the table of versions but not here", key.name()),
    })
}

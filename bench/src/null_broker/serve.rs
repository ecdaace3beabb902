//! A null broker's connections: frames in, answers out, one after the other.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use ringlog_engine::io::{Buf, Fd, ListenOptions, Mono, Output, StopSignals};
use ringlog_engine::shard::{Shard, Socket};
use ringlog_wire::messages::api_versions_response::ApiVersion;
use ringlog_wire::messages::create_topics_response::CreatableTopicResult;
use ringlog_wire::messages::delete_topics_response::DeletableTopicResult;
use ringlog_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ringlog_wire::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use ringlog_wire::messages::{
    ApiVersionsRequest, ApiVersionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, InitProducerIdRequest, InitProducerIdResponse,
    MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse, RequestHeader,
    ResponseHeader,
};
use ringlog_wire::{ApiKey, Layout, Message, Reader, Request, Uuid, Writer};

use super::state::{NullBroker, Reaction, seen};
use crate::client::FRAME_BYTES_MAX;
use crate::uring_shard;

/// Thousands of producers may connect at the same moment; the kernel takes no more than this unless
/// net.core.somaxconn is raised.
const BACKLOG: u32 = 4096;
const BROKER_ID: i32 = 1;
const REQUEST_BUDGET_BYTES: usize = 1 << 20;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const UNSUPPORTED_VERSION: i16 = 35;
const TOPIC_ALREADY_EXISTS: i16 = 36;
const UNKNOWN_TOPIC_ID: i16 = 100;
/// What it serves.
const APIS: [ApiKey; 6] = [
    ApiKey::Produce,
    ApiKey::Metadata,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::InitProducerId,
];

/// Runs a null broker at an address until the process is told to stop.
pub fn run_null_broker(address: SocketAddr) -> Result<()> {
    let signals = StopSignals::block().map_err(|errno| anyhow!("signals: {errno}"))?;
    std::thread::spawn(move || {
        signals.wait();
        // It has nothing to save.
        std::process::exit(0);
    });
    let shard = uring_shard()?;
    let broker = Rc::new(RefCell::new(NullBroker::new(0, |_: &_| Reaction::Take)));
    let main = {
        let shard = shard.clone();
        async move {
            let (listener, port) = listen(&shard, address).await?;
            serve(&shard, listener, SocketAddr::new(address.ip(), port), broker).await
        }
    };
    shard.run(main)
}

async fn listen(shard: &Shard, address: SocketAddr) -> Result<(Fd, u16)> {
    let options =
        ListenOptions { backlog: BACKLOG, receive_buffer_bytes: None, send_buffer_bytes: None };
    shard.listen(address, options).await.map_err(|errno| anyhow!("listening on {address}: {errno}"))
}

/// Serves the connections that arrive at a listening socket.
pub async fn serve(
    shard: &Shard,
    listener: Fd,
    address: SocketAddr,
    broker: Rc<RefCell<NullBroker>>,
) -> Result<()> {
    let mut accepted = shard.accept_stream(listener);
    while let Some(completion) = accepted.next().await {
        let Ok(Output::Accepted { socket, .. }) = completion.result else { continue };
        let serving = Serving {
            shard: shard.clone(),
            socket: Socket::adopt(shard, socket),
            address,
            broker: Rc::clone(&broker),
        };
        shard.spawn(async move {
            // A connection that ends, or that sends nonsense, is closed; nobody need know.
            let _ = serving.run().await;
            serving.socket.shutdown().await;
        });
    }
    Ok(())
}

/// One connection.
struct Serving {
    shard: Shard,
    socket: Socket,
    /// As clients are told.
    address: SocketAddr,
    broker: Rc<RefCell<NullBroker>>,
}

/// A batch inside a frame.
struct Part {
    partition: i32,
    range: Range<usize>,
}

/// A Produce request, cut up but not copied.
struct Produce {
    acks: i16,
    topic: String,
    topic_id: Uuid,
    parts: Vec<Part>,
}

impl Serving {
    async fn run(&self) -> Result<()> {
        loop {
            let length = self.receive(4).await?;
            let Some(length) = length.first_chunk::<4>() else { return Ok(()) };
            let length = i32::from_be_bytes(*length);
            let length = usize::try_from(length).ok().filter(|length| *length <= FRAME_BYTES_MAX);
            let frame = self.receive(length.context("a frame's length")?).await?;
            self.answer(frame).await?;
        }
    }

    async fn receive(&self, length: usize) -> Result<Buf> {
        let buf = self.socket.receive_exact(Buf::with_capacity(length), length).await;
        let buf = buf.map_err(|errno| anyhow!("{errno}"))?;
        ensure!(buf.len() == length, "the client closed the connection");
        Ok(buf)
    }

    async fn answer(&self, mut frame: Buf) -> Result<()> {
        let mut reader = Reader::new(&frame, REQUEST_BUDGET_BYTES);
        let key = reader.clone().i16()?;
        let key = ApiKey::try_from(key).map_err(|key| anyhow!("API key {key}"))?;
        let version = reader.clone().skip(2).and_then(|()| {
            let mut reader = reader.clone();
            reader.skip(2)?;
            reader.i16()
        })?;
        let header = RequestHeader::decode(&mut reader, key.request_header_version(version))?;
        let correlation = header.correlation_id;
        match key {
            ApiKey::Produce => {
                let produce = parse_produce(&mut reader, version)?;
                return self.produce(produce, &mut frame, correlation, version).await;
            }
            ApiKey::ApiVersions => {
                let known = ApiVersionsRequest::MAX_VERSION >= version;
                let (version, response) = api_versions(if known { version } else { -1 });
                self.send::<ApiVersionsRequest>(correlation, version, &response).await
            }
            ApiKey::Metadata => {
                let request = MetadataRequest::decode(&mut reader, version)?;
                let response = self.metadata(request);
                self.send::<MetadataRequest>(correlation, version, &response).await
            }
            ApiKey::CreateTopics => {
                let request = CreateTopicsRequest::decode(&mut reader, version)?;
                let response = self.create_topics(&request);
                self.send::<CreateTopicsRequest>(correlation, version, &response).await
            }
            ApiKey::DeleteTopics => {
                let request = DeleteTopicsRequest::decode(&mut reader, version)?;
                let response = self.delete_topics(&request);
                self.send::<DeleteTopicsRequest>(correlation, version, &response).await
            }
            ApiKey::InitProducerId => {
                let request = InitProducerIdRequest::decode(&mut reader, version)?;
                let known = (request.producer_id, request.producer_epoch);
                let (producer_id, producer_epoch) =
                    self.broker.borrow_mut().init_producer_id(known);
                let response = InitProducerIdResponse {
                    producer_id,
                    producer_epoch,
                    ..InitProducerIdResponse::default()
                };
                self.send::<InitProducerIdRequest>(correlation, version, &response).await
            }
            other => bail!("{} is not served", other.name()),
        }
    }

    async fn send<R: Request>(
        &self,
        correlation_id: i32,
        version: i16,
        response: &R::Response,
    ) -> Result<()> {
        let mut bytes = vec![0; 4];
        let mut writer = Writer::new(&mut bytes);
        let header_version = R::API_KEY.response_header_version(version);
        ResponseHeader { correlation_id }.encode(&mut writer, header_version)?;
        response.encode(&mut writer, version)?;
        let length = (bytes.len() - 4) as i32;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        let sent = self.socket.send(vec![Buf::copy_of(&bytes).into()], false).await;
        sent.map_err(|errno| anyhow!("{errno}"))
    }

    async fn produce(
        &self,
        mut produce: Produce,
        frame: &mut Buf,
        correlation: i32,
        version: i16,
    ) -> Result<()> {
        if produce.topic.is_empty() {
            let broker = self.broker.borrow();
            produce.topic = broker.name_of(produce.topic_id).unwrap_or_default().to_owned();
        }
        let seen: Result<Vec<_>> =
            produce.parts.iter().map(|p| seen(p.partition, &frame[p.range.clone()])).collect();
        let reaction = self.broker.borrow_mut().decide(seen?);
        match reaction {
            Reaction::HangUp => bail!("the script says so"),
            Reaction::Ignore => std::future::pending::<()>().await,
            _ => {}
        }
        let mut responses = Vec::with_capacity(produce.parts.len());
        for part in &produce.parts {
            let (error_code, base_offset) = match reaction {
                Reaction::Refuse(code) => (code, -1),
                _ if produce.topic.is_empty() => (UNKNOWN_TOPIC_ID, -1),
                _ => {
                    let batch = &mut frame[part.range.clone()];
                    self.broker.borrow_mut().append(&produce.topic, part.partition, batch)
                }
            };
            responses.push(PartitionProduceResponse {
                index: part.partition,
                error_code,
                base_offset,
                ..PartitionProduceResponse::default()
            });
        }
        match reaction {
            Reaction::TakeAndHangUp => bail!("the script says so"),
            Reaction::TakeLate(ns) => {
                self.shard.sleep_until(Mono(self.shard.clock().0 + ns)).await;
            }
            _ => {}
        }
        if produce.acks == 0 {
            return Ok(());
        }
        let by_id = version >= 13;
        let topic = TopicProduceResponse {
            name: if by_id { String::new() } else { produce.topic },
            topic_id: if by_id { produce.topic_id } else { Uuid::default() },
            partition_responses: responses,
        };
        let response = ProduceResponse { responses: vec![topic], ..ProduceResponse::default() };
        self.send::<ProduceRequest>(correlation, version, &response).await
    }

    fn metadata(&self, request: MetadataRequest) -> MetadataResponse {
        let broker = self.broker.borrow();
        let partition = |index: usize| MetadataResponsePartition {
            partition_index: index as i32,
            leader_id: BROKER_ID,
            leader_epoch: 0,
            replica_nodes: vec![BROKER_ID],
            isr_nodes: vec![BROKER_ID],
            ..MetadataResponsePartition::default()
        };
        let topic = |name: String| {
            let found = broker.topic(&name);
            let (topic_id, partitions) = found.unwrap_or_default();
            MetadataResponseTopic {
                error_code: if found.is_some() { 0 } else { UNKNOWN_TOPIC_OR_PARTITION },
                name: Some(name),
                topic_id,
                partitions: (0..partitions).map(partition).collect(),
                ..MetadataResponseTopic::default()
            }
        };
        let wanted = request.topics.into_iter().flatten().filter_map(|topic| topic.name);
        MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: BROKER_ID,
                host: self.address.ip().to_string(),
                port: i32::from(self.address.port()),
                rack: None,
            }],
            cluster_id: Some("null".to_owned()),
            controller_id: BROKER_ID,
            topics: wanted.map(topic).collect(),
            ..MetadataResponse::default()
        }
    }

    fn create_topics(&self, request: &CreateTopicsRequest) -> CreateTopicsResponse {
        let mut broker = self.broker.borrow_mut();
        let mut topics = Vec::new();
        for topic in &request.topics {
            let partitions = usize::try_from(topic.num_partitions).unwrap_or(1).max(1);
            let created = broker.create_topic(&topic.name, partitions);
            topics.push(CreatableTopicResult {
                name: topic.name.clone(),
                topic_id: broker.topic(&topic.name).unwrap_or_default().0,
                error_code: if created { 0 } else { TOPIC_ALREADY_EXISTS },
                ..CreatableTopicResult::default()
            });
        }
        CreateTopicsResponse { topics, ..CreateTopicsResponse::default() }
    }

    fn delete_topics(&self, request: &DeleteTopicsRequest) -> DeleteTopicsResponse {
        let mut broker = self.broker.borrow_mut();
        let by_name = request.topics.iter().filter_map(|topic| topic.name.as_ref());
        let mut responses = Vec::new();
        for name in by_name.chain(&request.topic_names) {
            let deleted = broker.delete_topic(name);
            responses.push(DeletableTopicResult {
                name: Some(name.clone()),
                error_code: if deleted { 0 } else { UNKNOWN_TOPIC_OR_PARTITION },
                ..DeletableTopicResult::default()
            });
        }
        DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
    }
}

/// The versions table; for a version that is not known, the error in version 0.
fn api_versions(version: i16) -> (i16, ApiVersionsResponse) {
    let row = |key: ApiKey| ApiVersion {
        api_key: key as i16,
        min_version: *key.request_versions().start(),
        max_version: *key.request_versions().end(),
    };
    let error_code = if version < 0 { UNSUPPORTED_VERSION } else { 0 };
    let response = ApiVersionsResponse {
        error_code,
        api_keys: APIS.map(row).to_vec(),
        ..ApiVersionsResponse::default()
    };
    (version.max(0), response)
}

/// Cuts up a Produce request of one topic.
fn parse_produce(reader: &mut Reader<'_>, version: i16) -> Result<Produce> {
    let at = Layout { version, flexible: version >= ProduceRequest::FLEXIBLE_FROM };
    ensure!((3..=13).contains(&version), "Produce v{version}");
    reader.nullable_string(at)?;
    let acks = reader.i16()?;
    reader.skip(4)?;
    ensure!(count(reader, at)? == 1, "a null broker takes one topic at a time");
    let (mut topic, mut topic_id) = (String::new(), Uuid::default());
    if version >= 13 {
        topic_id = reader.uuid()?;
    } else {
        topic = reader.string(at)?;
    }
    let mut parts = Vec::new();
    for _ in 0..count(reader, at)? {
        let partition = reader.i32()?;
        let length = count(reader, at)?;
        let start = reader.position();
        reader.skip(length)?;
        if at.flexible {
            reader.skip_tags()?;
        }
        parts.push(Part { partition, range: start..start + length });
    }
    Ok(Produce { acks, topic, topic_id, parts })
}

fn count(reader: &mut Reader<'_>, at: Layout) -> Result<usize> {
    if at.flexible {
        return Ok(reader.uvarint()?.saturating_sub(1) as usize);
    }
    Ok(usize::try_from(reader.i32()?).unwrap_or(0))
}

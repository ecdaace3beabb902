//! The producer's control task: metadata, the idempotent identity, batches that waited too long.

use std::rc::Rc;

use anyhow::{Context, Result, anyhow};
use ringlog_wire::messages::InitProducerIdRequest;

use super::accumulator::Identity;
use super::shared::{Observer, Shared};
use crate::client::{Connection, Endpoint, error_name, fetch_cluster, is_retriable};

/// How often queued batches are held against `delivery.timeout.ms`.
const LOOK_MS: u64 = 250;
/// How long a broker may take for anything asked here.
const ANSWER_MS: u64 = 5_000;
/// InitProducerId v3 is the first that can raise an epoch.
const INIT_PRODUCER_ID_WITH_EPOCH: i16 = 3;

/// Runs until the producer is closed.
pub(super) async fn run<O: Observer + 'static>(shared: Rc<Shared<O>>) {
    let mut connection = None;
    let mut failures = 0;
    while !shared.is_over() {
        let wanted = shared.wanted.wait();
        let wants_identity = shared.accumulator.borrow().wants_identity();
        let wants_metadata = shared.metadata_wanted.get();
        if wants_identity || wants_metadata {
            drop(wanted);
            match ask(&shared, &mut connection, wants_metadata).await {
                Ok(()) => {
                    shared.heard();
                    failures = 0;
                }
                Err(error) => {
                    connection = None;
                    failures += 1;
                    shared.trouble(&error);
                }
            }
            // Leaders change while metadata is asked for, so it is not asked for all the time.
            let pause = shared.config.retry_backoff_ms << u32::min(failures, 3);
            if failures > 0 || shared.metadata_wanted.get() {
                shared.shard.sleep_ms(pause.max(1)).await;
            }
            shared.expire();
            continue;
        }
        let until = shared.shard.clock().plus_ms(LOOK_MS);
        // Time passing is as good a reason to look as any.
        let _ = shared.shard.timeout_at(until, wanted).await;
        shared.expire();
    }
}

async fn ask<O: Observer + 'static>(
    shared: &Rc<Shared<O>>,
    connection: &mut Option<Connection>,
    wants_metadata: bool,
) -> Result<()> {
    let deadline = shared.shard.clock().plus_ms(ANSWER_MS);
    let connection = match connection {
        Some(open) => {
            open.set_deadline(deadline);
            open
        }
        None => connection.insert(open_any(shared).await?),
    };
    if wants_metadata {
        refresh(shared, connection).await?;
    }
    if shared.accumulator.borrow().wants_identity() {
        init_producer_id(shared, connection).await?;
    }
    Ok(())
}

/// Connects to whichever broker answers first, those known from metadata before the bootstrap
/// addresses.
async fn open_any<O: Observer + 'static>(shared: &Rc<Shared<O>>) -> Result<Connection> {
    let mut endpoints: Vec<Endpoint> = shared.cluster.borrow().brokers.values().cloned().collect();
    endpoints.extend(shared.bootstrap.iter().cloned());
    let mut last = anyhow!("no broker is known");
    for endpoint in endpoints {
        let deadline = shared.shard.clock().plus_ms(ANSWER_MS);
        let client_id = &shared.config.client_id;
        match Connection::open(&shared.shard, &endpoint, client_id, deadline).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn refresh<O: Observer + 'static>(
    shared: &Rc<Shared<O>>,
    connection: &mut Connection,
) -> Result<()> {
    shared.metadata_wanted.set(false);
    let topic = shared.cluster.borrow().topic.name.clone();
    let Some(cluster) = fetch_cluster(connection, &topic).await? else {
        shared.metadata_wanted.set(true);
        return Ok(());
    };
    {
        let mut accumulator = shared.accumulator.borrow_mut();
        for index in 0..accumulator.partitions() {
            accumulator.set_leader(index, cluster.leaders.get(index).copied().flatten());
        }
        shared.metadata_wanted.set(accumulator.lacks_leader());
    }
    *shared.cluster.borrow_mut() = cluster;
    shared.link_leaders();
    shared.news.notify();
    Ok(())
}

async fn init_producer_id<O: Observer + 'static>(
    shared: &Rc<Shared<O>>,
    connection: &mut Connection,
) -> Result<()> {
    let Identity::Wanted(previous) = shared.accumulator.borrow().identity() else { return Ok(()) };
    let newest = *ringlog_wire::ApiKey::InitProducerId.request_versions().end();
    let key = ringlog_wire::ApiKey::InitProducerId;
    let version = connection.version(key, 0, newest).context("enable.idempotence needs it")?;
    let (producer_id, producer_epoch) = match previous {
        Some(previous) if version >= INIT_PRODUCER_ID_WITH_EPOCH => previous,
        _ => (-1, -1),
    };
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id,
        producer_epoch,
        ..InitProducerIdRequest::default()
    };
    let response = connection.call_version(&request, version).await?;
    match response.error_code {
        0 => {
            let mut accumulator = shared.accumulator.borrow_mut();
            accumulator.set_identity(response.producer_id, response.producer_epoch);
            shared.news.notify();
        }
        code if is_retriable(code) => {
            return Err(anyhow!("InitProducerId: {}", error_name(code)));
        }
        code => shared.give_up(format!("InitProducerId: {}", error_name(code))),
    }
    Ok(())
}

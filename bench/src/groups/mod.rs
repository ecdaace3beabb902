//! Members of consumer groups in masses: how long groups take to settle, and what producers notice.
//!
//! Every member is a task with a connection of its own on one shard; a producer that sends a record
//! every few milliseconds is on a thread of its own (`probe`), so that it waits for the broker and
//! not for the members. First all members of all groups join at once, then one more joins each
//! group, so that all of them rebalance at once.

mod classic;
mod consumer;
mod probe;
mod roster;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;
use ringlog_wire::messages::FindCoordinatorRequest;
use serde::Serialize;

use crate::client::{Connection, Endpoint, TopicSpec, create_topic, wait_for_leaders};
use crate::target::{ProcessSample, ProcessWatch};
use crate::uring_shard;
use probe::Probe;
use roster::Roster;

/// How many connections are opened at the same time.
const OPENING: usize = 32;
/// How long a group may take to settle.
const PATIENCE: Duration = Duration::from_secs(150);
/// How often it is looked whether all have settled.
const LOOK_MS: u64 = 5;

/// Which protocol members speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupProtocol {
    /// JoinGroup and SyncGroup.
    Classic,
    /// ConsumerGroupHeartbeat (KIP-848).
    Consumer,
}

/// What to do.
#[derive(Clone, Debug)]
pub struct GroupsOptions {
    /// The broker.
    pub bootstrap: Endpoint,
    /// Its process, if it runs here.
    pub pid: Option<u32>,
    /// How members speak.
    pub protocol: GroupProtocol,
    /// Members that join at first, of all groups together.
    pub members: usize,
    /// How many groups.
    pub groups: usize,
    /// Partitions of the topic that all groups read.
    pub partitions: i32,
    /// Between two heartbeats of a classic member.
    pub heartbeat_ms: u64,
    /// How long the producer is watched before anybody joins.
    pub quiet_ms: u64,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct GroupsReport {
    /// How members spoke.
    pub protocol: GroupProtocol,
    /// Members that joined at first.
    pub members: usize,
    /// How many groups.
    pub groups: usize,
    /// Nobody joins.
    pub quiet: Phase,
    /// All join at once.
    pub join: Phase,
    /// One more joins every group.
    pub rebalance: Phase,
}

/// A stretch of time.
#[derive(Clone, Debug, Serialize)]
pub struct Phase {
    /// Until all groups had settled.
    pub seconds: f64,
    /// Records of the producer in it.
    pub records: u64,
    /// Its latency, from when a record was due.
    pub produce_p50_ms: f64,
    /// The same.
    pub produce_p99_ms: f64,
    /// The same.
    pub produce_max_ms: f64,
    /// Of the broker.
    pub cpu_seconds: Option<f64>,
    /// Of the broker, the most in this phase.
    pub peak_rss_bytes: Option<u64>,
    /// The most that a group has had until its end.
    pub generations: i32,
    /// Requests of members.
    pub requests: u64,
}

/// What all members share.
pub(crate) struct Scene {
    shard: Shard,
    topic: String,
    topic_id: ringlog_wire::Uuid,
    heartbeat_ms: u64,
    ended: Cell<bool>,
    requests: Cell<u64>,
    /// Why a member could not go on.
    fault: Cell<Option<anyhow::Error>>,
}

/// Runs it.
pub fn run(options: &GroupsOptions) -> Result<GroupsReport> {
    ensure!(options.groups > 0 && options.members >= options.groups, "members for every group");
    let shard = uring_shard()?;
    let (this, options) = (shard.clone(), options.clone());
    shard.run(async move { measure(&this, &options).await })
}

async fn measure(shard: &Shard, options: &GroupsOptions) -> Result<GroupsReport> {
    let run = shard.unix_ms();
    let deadline = shard.clock().plus_ms(20 * PATIENCE.as_millis() as u64);
    let mut first = Connection::open(shard, &options.bootstrap, "groups", deadline).await?;
    let spec = |name: String, partitions| TopicSpec {
        name,
        partitions,
        replication_factor: 1,
        configs: Vec::new(),
    };
    let (read, probed) =
        (spec(format!("groups-{run}"), options.partitions), spec(format!("probe-{run}"), 1));
    create_topic(&mut first, &read).await?;
    create_topic(&mut first, &probed).await?;
    let cluster = wait_for_leaders(shard, &mut first, &read, deadline).await?;
    wait_for_leaders(shard, &mut first, &probed, deadline).await?;
    find_coordinator(shard, &mut first, &format!("groups-{run}-0"), deadline).await?;
    let scene = Rc::new(Scene {
        shard: shard.clone(),
        topic: read.name,
        topic_id: cluster.topic.id,
        heartbeat_ms: options.heartbeat_ms,
        ended: Cell::new(false),
        requests: Cell::new(0),
        fault: Cell::new(None),
    });
    let total = options.members + options.groups;
    let mut connections = open_all(shard, &options.bootstrap, total, deadline).await?;
    let watch = options.pid.map(ProcessWatch::new).transpose()?;
    let probe = Probe::start(options.bootstrap.clone(), probed.name);
    let stage = |roster: Option<&Roster>, began: Instant, before: Option<ProcessSample>| {
        phase(&scene, &probe, roster, watch.as_ref(), began, before)
    };
    let (began, before) = begin(&scene, watch.as_ref())?;
    shard.sleep_ms(options.quiet_ms).await;
    let quiet = stage(None, began, before)?;

    let roster = Rc::new(Roster::new(options.groups, options.protocol, options.partitions));
    let newcomers = connections.split_off(options.members);
    let (began, before) = begin(&scene, watch.as_ref())?;
    for (number, connection) in connections.into_iter().enumerate() {
        spawn(&scene, &roster, options, run, number, connection);
    }
    settle(&scene, &roster).await?;
    let join = stage(Some(&roster), began, before)?;

    let (began, before) = begin(&scene, watch.as_ref())?;
    for (number, connection) in newcomers.into_iter().enumerate() {
        spawn(&scene, &roster, options, run, number, connection);
    }
    settle(&scene, &roster).await?;
    let rebalance = stage(Some(&roster), began, before)?;
    scene.ended.set(true);
    probe.end()?;
    let (protocol, members, groups) = (options.protocol, options.members, options.groups);
    Ok(GroupsReport { protocol, members, groups, quiet, join, rebalance })
}

fn begin(scene: &Scene, watch: Option<&ProcessWatch>) -> Result<(Instant, Option<ProcessSample>)> {
    scene.requests.set(0);
    watch.inspect(|watch| watch.reset_peak());
    Ok((Instant::now(), watch.map(ProcessWatch::sample).transpose()?))
}

fn phase(
    scene: &Scene,
    probe: &Probe,
    roster: Option<&Roster>,
    watch: Option<&ProcessWatch>,
    began: Instant,
    before: Option<ProcessSample>,
) -> Result<Phase> {
    let seconds = began.elapsed().as_secs_f64();
    let after = watch.map(ProcessWatch::sample).transpose()?;
    let used = after.zip(before).map(|(after, before)| after.since(&before));
    let latency = probe.take()?;
    let ms = |quantile| latency.value_at_quantile(quantile) as f64 / 1e6;
    Ok(Phase {
        seconds,
        records: latency.len(),
        produce_p50_ms: ms(0.5),
        produce_p99_ms: ms(0.99),
        produce_max_ms: latency.max() as f64 / 1e6,
        cpu_seconds: used.as_ref().map(|used| used.cpu_seconds),
        peak_rss_bytes: used.as_ref().map(|used| used.peak_rss_bytes),
        generations: roster.map_or(0, Roster::generations),
        requests: scene.requests.get(),
    })
}

fn spawn(
    scene: &Rc<Scene>,
    roster: &Rc<Roster>,
    options: &GroupsOptions,
    run: i64,
    number: usize,
    connection: Connection,
) {
    let group = number % options.groups;
    let member = roster.enter(group);
    let (scene, roster) = (Rc::clone(scene), Rc::clone(roster));
    let (id, protocol) = (format!("groups-{run}-{group}"), options.protocol);
    let shard = scene.shard.clone();
    shard.spawn(async move {
        let lived = match protocol {
            GroupProtocol::Classic => {
                classic::live(&scene, &roster, group, member, id, connection).await
            }
            GroupProtocol::Consumer => {
                consumer::live(&scene, &roster, group, member, id, connection).await
            }
        };
        if let Err(error) = lived
            && !scene.ended.get()
        {
            scene.fault.set(Some(error));
        }
    });
}

async fn settle(scene: &Scene, roster: &Roster) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !roster.has_settled() {
        if let Some(fault) = scene.fault.take() {
            return Err(fault);
        }
        ensure!(Instant::now() < deadline, "the groups do not settle: {}", roster.describe());
        scene.shard.sleep_ms(LOOK_MS).await;
    }
    Ok(())
}

async fn find_coordinator(
    shard: &Shard,
    connection: &mut Connection,
    group: &str,
    deadline: Mono,
) -> Result<()> {
    while shard.clock() < deadline {
        let request = FindCoordinatorRequest { key: group.to_owned(), ..Default::default() };
        if connection.call_version(&request, 3).await?.error_code == 0 {
            return Ok(());
        }
        shard.sleep_ms(100).await;
    }
    bail!("there is no coordinator")
}

/// So many connections; a few at a time, for a listener has only so much room.
async fn open_all(
    shard: &Shard,
    peer: &Endpoint,
    count: usize,
    deadline: Mono,
) -> Result<Vec<Connection>> {
    let opened = Rc::new(std::cell::RefCell::new(Vec::with_capacity(count)));
    let failed: Rc<Cell<Option<anyhow::Error>>> = Rc::default();
    let (left, at_work) = (Rc::new(Cell::new(count)), Rc::new(Cell::new(OPENING)));
    for _ in 0..OPENING {
        let (this, peer) = (shard.clone(), peer.clone());
        let (opened, failed) = (Rc::clone(&opened), Rc::clone(&failed));
        let (left, at_work) = (Rc::clone(&left), Rc::clone(&at_work));
        shard.spawn(async move {
            while let Some(rest) = left.get().checked_sub(1) {
                left.set(rest);
                match Connection::open(&this, &peer, "groups", deadline).await {
                    Ok(connection) => opened.borrow_mut().push(connection),
                    Err(error) => {
                        failed.set(Some(error));
                        left.set(0);
                    }
                }
            }
            at_work.set(at_work.get() - 1);
        });
    }
    while at_work.get() > 0 {
        shard.sleep_ms(LOOK_MS).await;
    }
    match failed.take() {
        Some(error) => Err(error.context("too few connections (ulimit -n?)")),
        None => Ok(opened.take()),
    }
}

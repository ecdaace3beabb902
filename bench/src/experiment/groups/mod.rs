//! Consumer groups whose members join or rebalance all at once: how long they take to settle, and
//! what a producer notices meanwhile.
//!
//! Every member is a task with a connection of its own on the run's shard; a producer that sends a
//! record every few milliseconds is on a thread of its own (`probe`), so that it waits for the
//! broker and not for the members. `join`: all members of all groups join at once. `rebalance`: one
//! more member joins each group that has settled, so that all groups rebalance at once.
//!
//! The rate of the outcome is members that settled in a second; its latency is the producer's.

mod classic;
mod consumer;
mod probe;
mod roster;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;
use ringlog_wire::messages::FindCoordinatorRequest;

use super::stretch::{Stretch, recording};
use super::{LoadRun, TOPIC_MS, Watch};
use crate::client::{
    Cluster, Connection, Endpoint, TopicSpec, create_topic, delete_topic, wait_for_leaders,
};
use crate::figures::{Live, Outcome};
use crate::profile::{GroupProtocol, GroupsConfig, Kind};
use crate::target::ProcessWatch;
use probe::Probe;
use roster::Roster;

/// How many connections are opened at the same time.
const OPENING: usize = 32;
/// How long groups may take to settle, and their members to leave.
const PATIENCE_MS: u64 = 150_000;
/// How long all connections and questions may take.
const DEADLINE_MS: u64 = 20 * PATIENCE_MS;
/// Pause between two checks that all have settled.
const LOOK_MS: u64 = 5;
/// Pause before a question that came too early is asked again.
const AGAIN_MS: u64 = 100;
/// How long a member's groups wait for it in a rebalance.
const REBALANCE_TIMEOUT_MS: i32 = 120_000;

/// Error codes that members get.
mod code {
    pub const NONE: i16 = 0;
    pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
    pub const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    pub const NOT_COORDINATOR: i16 = 16;
    pub const ILLEGAL_GENERATION: i16 = 22;
    pub const UNKNOWN_MEMBER_ID: i16 = 25;
    pub const REBALANCE_IN_PROGRESS: i16 = 27;
    pub const MEMBER_ID_REQUIRED: i16 = 79;
    pub const FENCED_MEMBER_EPOCH: i16 = 110;
}

/// Whether the coordinator is only not there yet.
fn is_too_early(error: i16) -> bool {
    let codes = [
        code::COORDINATOR_LOAD_IN_PROGRESS,
        code::COORDINATOR_NOT_AVAILABLE,
        code::NOT_COORDINATOR,
    ];
    codes.contains(&error)
}

/// A member's place: its group, its number in it, and the group's name.
struct Seat {
    group: usize,
    member: usize,
    id: String,
}

/// What all members share.
struct Scene {
    shard: Shard,
    /// The names of the groups begin with it, too.
    topic: String,
    topic_id: ringlog_wire::Uuid,
    config: GroupsConfig,
    ended: Cell<bool>,
    requests: Cell<u64>,
    /// Members that have not left.
    present: Cell<usize>,
    /// Why a member could not go on.
    fault: RefCell<Option<anyhow::Error>>,
}

/// Runs it. The topic that groups read is there.
pub async fn measure(
    shard: &Shard,
    bootstrap: &Endpoint,
    process: Option<ProcessWatch>,
    run: &LoadRun,
    cluster: Cluster,
    watch: Rc<RefCell<dyn Watch>>,
) -> Result<Outcome> {
    let deadline = shard.clock().plus_ms(DEADLINE_MS);
    let mut first = Connection::open(shard, bootstrap, &run.producer.client_id, deadline).await?;
    let probed = TopicSpec {
        name: format!("{}-probe", run.topic.name),
        partitions: 1,
        replication_factor: run.topic.replication_factor,
        configs: run.topic.configs.clone(),
    };
    create_topic(&mut first, &probed).await?;
    wait_for_leaders(shard, &mut first, &probed, deadline).await?;
    let scene = Rc::new(Scene {
        shard: shard.clone(),
        topic: run.topic.name.clone(),
        topic_id: cluster.topic.id,
        config: run.groups.clone(),
        ended: Cell::new(false),
        requests: Cell::new(0),
        present: Cell::new(0),
        fault: RefCell::new(None),
    });
    find_coordinator(&scene, &mut first, &watch).await?;
    let probe = Probe::start(bootstrap.clone(), probed.name.clone());
    let measured = scene.play((bootstrap, deadline), process, run, &probe, &watch).await;
    scene.ended.set(true);
    if measured.is_err() && !probe.has_ended() {
        // It may be long until its last record is answered: it ends by itself.
        return measured;
    }
    let left = scene.wait_until(&watch, || scene.present.get() == 0).await;
    // A producer that has failed is why the rest did.
    probe.end().context("the producer beside the groups")?;
    let outcome = measured?;
    left?;
    delete_topic(&mut first, &probed.name).await?;
    Ok(outcome)
}

impl Scene {
    async fn play(
        self: &Rc<Scene>,
        (bootstrap, deadline): (&Endpoint, Mono),
        process: Option<ProcessWatch>,
        run: &LoadRun,
        probe: &Probe,
        watch: &RefCell<dyn Watch>,
    ) -> Result<Outcome> {
        let (members, groups) = (self.config.members, self.config.groups);
        let newcomers = if run.kind == Kind::Rebalance { groups } else { 0 };
        let all = members + newcomers;
        let mut connections = open_all(&self.shard, bootstrap, all, deadline, watch).await?;
        let late = connections.split_off(members);
        let roster = Rc::new(Roster::new(groups, self.config.protocol, run.topic.partitions));
        if newcomers > 0 {
            self.enter(&roster, connections);
            self.settle(&roster, watch).await?;
            connections = late;
        }
        probe.take(self.shard.clock())?;
        self.requests.set(0);
        let stretch = Stretch::begin(&self.shard, process.as_ref())?;
        self.enter(&roster, connections);
        self.settle(&roster, watch).await?;
        let latency = probe.take(self.shard.clock())?;
        let recording = recording(stretch.seconds(&self.shard), all as u64, latency);
        let metrics = [
            ("member-requests", self.requests.get() as f64),
            ("generations", f64::from(roster.generations())),
        ];
        let client_metrics: BTreeMap<String, f64> =
            metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Outcome { client_metrics, ..stretch.end(&self.shard, recording)? })
    }

    /// A member of the groups in turn for each connection.
    fn enter(self: &Rc<Scene>, roster: &Rc<Roster>, connections: Vec<Connection>) {
        for (number, connection) in connections.into_iter().enumerate() {
            let group = number % self.config.groups;
            let member = roster.enter(group);
            let seat = Seat { group, member, id: format!("{}-{group}", self.topic) };
            let (scene, roster) = (Rc::clone(self), Rc::clone(roster));
            self.present.set(self.present.get() + 1);
            self.shard.spawn(async move {
                let lived = match scene.config.protocol {
                    GroupProtocol::Classic => {
                        classic::live(&scene, &roster, seat, connection).await
                    }
                    GroupProtocol::Consumer => {
                        consumer::live(&scene, &roster, seat, connection).await
                    }
                };
                if let Err(error) = lived {
                    scene.fault.borrow_mut().get_or_insert(error);
                }
                scene.present.set(scene.present.get() - 1);
            });
        }
    }

    async fn settle(&self, roster: &Roster, watch: &RefCell<dyn Watch>) -> Result<()> {
        let settled = self.wait_until(watch, || roster.has_settled());
        settled.await.map_err(|error| error.context(roster.describe()))
    }

    /// Waits for something, unless a member fails or somebody ends the run.
    async fn wait_until(&self, watch: &RefCell<dyn Watch>, is_so: impl Fn() -> bool) -> Result<()> {
        let deadline = self.shard.clock().plus_ms(PATIENCE_MS);
        while !is_so() {
            if let Some(fault) = self.fault.borrow_mut().take() {
                return Err(fault);
            }
            watch.borrow_mut().tick(Live::NOTHING)?;
            let in_time = self.shard.clock() < deadline;
            ensure!(in_time, "the groups do not settle within {} s", PATIENCE_MS / 1000);
            self.shard.sleep_ms(LOOK_MS).await;
        }
        Ok(())
    }
}

async fn find_coordinator(
    scene: &Scene,
    connection: &mut Connection,
    watch: &RefCell<dyn Watch>,
) -> Result<()> {
    let shard = &scene.shard;
    let deadline = shard.clock().plus_ms(TOPIC_MS);
    while shard.clock() < deadline {
        watch.borrow_mut().tick(Live::NOTHING)?;
        let key = format!("{}-0", scene.topic);
        let request = FindCoordinatorRequest { key, ..Default::default() };
        if connection.call_version(&request, 3).await?.error_code == 0 {
            return Ok(());
        }
        shard.sleep_ms(AGAIN_MS).await;
    }
    bail!("there is no coordinator")
}

/// So many connections; a few at a time, for a listener has only so much room.
async fn open_all(
    shard: &Shard,
    peer: &Endpoint,
    count: usize,
    deadline: Mono,
    watch: &RefCell<dyn Watch>,
) -> Result<Vec<Connection>> {
    let opened = Rc::new(RefCell::new(Vec::with_capacity(count)));
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
        watch.borrow_mut().tick(Live::NOTHING)?;
        shard.sleep_ms(LOOK_MS).await;
    }
    match failed.take() {
        Some(error) => Err(error.context("too few connections (ulimit -n?)")),
        None => Ok(opened.take()),
    }
}

//! One round of one experiment against one target: topic, warm-up, measured window, drain.

mod consume;
mod edges;
mod groups;
mod iggy;
mod produce;
mod stretch;
mod tools;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::Result;
use ringlog_engine::io::raise_open_files_max;
use ringlog_engine::shard::Shard;

use crate::client::{
    Cluster, Connection, Durability, Endpoint, TopicSpec, create_topic, delete_topic,
    durability_of, wait_for_leaders,
};
use crate::figures::{Live, Outcome, Times};
use crate::load::{Pace, ValuesSpec};
use crate::producer::ProducerConfig;
use crate::profile::{ConsumerConfig, Experiment, GroupsConfig, Kind, LoadProfile};
use crate::target::{IggyKit, KafkaKit, ProcessWatch};

pub use consume::fill;
pub use produce::{DRAIN_MS, START_DELAY_MS, merged_metrics};
pub use stretch::{Stretch, recording};

/// How long a broker may take to accept a connection and tell its versions.
const CONNECT_MS: u64 = 30_000;
/// How long a topic may take to be made and to get its leaders, or to be deleted: Apache Kafka
/// takes more than half a minute where it has 9,900 partitions.
const TOPIC_MS: u64 = 180_000;
/// A process may have so many connections by any system's limit of descriptors; for more the limit
/// is raised.
const CONNECTIONS_USUAL: usize = 256;
/// How often a host looks whether it may begin.
const GATE_LOOK_MS: u64 = 1;

/// What to run.
#[derive(Clone, Debug)]
pub struct LoadRun {
    /// A topic of its own.
    pub topic: TopicSpec,
    /// The producers, all alike.
    pub producer: ProducerConfig,
    /// How many.
    pub producers: usize,
    /// The records.
    pub values: ValuesSpec,
    /// How fast, all producers together.
    pub pace: Pace,
    /// How long.
    pub times: Times,
    /// What is done.
    pub kind: Kind,
    /// Who does it.
    pub driver: ToolOrNative,
    /// Consumers, where there are any.
    pub consumer: ConsumerConfig,
    /// Consumer groups, where there are any.
    pub groups: GroupsConfig,
    /// The producer's settings as they were written, for other clients.
    pub settings: Vec<(String, String)>,
    /// What a tool sends that counts records instead of seconds.
    pub records: u64,
    /// A folder of the broker's file system, if what it has cached is to be written back before the
    /// topic is deleted.
    pub write_back: Option<PathBuf>,
    /// Where this is one host's part of a load.
    pub part: Option<HostPart>,
}

/// What one host's part of a load waits for before it begins, once it is ready to.
#[derive(Debug, Default)]
pub struct Gate {
    /// All is prepared.
    pub ready: Cell<bool>,
    /// The others are ready too.
    pub begun: Cell<bool>,
}

/// One host's part of a load that several hosts carry out.
#[derive(Clone, Debug)]
pub struct HostPart {
    /// What it waits for before it begins.
    pub gate: Rc<Gate>,
    /// Whether the topic is all hosts', and is there.
    pub topic_is_shared: bool,
}

impl LoadRun {
    /// An experiment's load.
    pub fn new(
        experiment: &Experiment,
        load: &LoadProfile,
        topic: TopicSpec,
        pace: Pace,
        times: Times,
        driver: ToolOrNative,
    ) -> LoadRun {
        LoadRun {
            topic,
            producer: experiment.producer.clone(),
            producers: experiment.producers.unwrap_or(load.producers) as usize,
            values: experiment.values,
            pace,
            times,
            kind: experiment.kind,
            driver,
            consumer: experiment.consumer.clone(),
            groups: experiment.groups.clone(),
            settings: experiment.producer_settings.pairs(),
            records: experiment.records,
            write_back: None,
            part: None,
        }
    }

    /// Everything is prepared: waits for the other hosts, where there are any.
    async fn wait_to_begin(&self, shard: &Shard, watch: &RefCell<dyn Watch>) -> Result<()> {
        let Some(part) = &self.part else { return Ok(()) };
        part.gate.ready.set(true);
        while !part.gate.begun.get() {
            watch.borrow_mut().tick(Live::NOTHING)?;
            shard.sleep_ms(GATE_LOOK_MS).await;
        }
        Ok(())
    }
}

/// Who loads a broker.
#[derive(Clone, Debug)]
pub enum ToolOrNative {
    /// This program.
    Native,
    /// Kafka's own tools.
    Java(Rc<KafkaKit>),
    /// librdkafka, by this program executing itself again.
    Librdkafka(PathBuf),
    /// iggy-bench, which makes and removes its own topics, with what acknowledgements are to mean.
    Iggy(IggyKit, Durability),
}

/// Looks at a run now and then; its error ends the run.
pub trait Watch {
    /// Called five times a second.
    fn tick(&mut self, live: Live) -> Result<()>;
}

/// Runs it.
pub async fn run(
    shard: &Shard,
    bootstrap: &Endpoint,
    process: Option<ProcessWatch>,
    run: &LoadRun,
    watch: Rc<RefCell<dyn Watch>>,
) -> Result<Outcome> {
    if let ToolOrNative::Iggy(kit, durability) = &run.driver {
        return iggy::measure(shard, bootstrap, process, run, (kit, *durability), watch).await;
    }
    let groups = matches!(run.kind, Kind::Join | Kind::Rebalance).then_some(&run.groups);
    let members = groups.map_or(0, |groups| groups.members + groups.groups);
    if run.producers + run.consumer.consumers + members > CONNECTIONS_USUAL {
        raise_open_files_max();
    }
    let (cluster, durability) = prepare(shard, bootstrap, run).await?;
    let outcome = match (&run.driver, run.kind) {
        (ToolOrNative::Native, Kind::Produce) => {
            produce::measure(shard, bootstrap, process, run, cluster, watch).await
        }
        (ToolOrNative::Native, Kind::Tail) => {
            consume::tail(shard, bootstrap, process, run, cluster, watch).await
        }
        (ToolOrNative::Native, Kind::CatchUp) => {
            consume::catch_up(shard, bootstrap, process, run, cluster, watch).await
        }
        (ToolOrNative::Native, Kind::Join | Kind::Rebalance) => {
            groups::measure(shard, bootstrap, process, run, cluster, watch).await
        }
        _ => tools::measure(shard, bootstrap, process, run, cluster, watch).await,
    };
    if let Some(folder) = &run.write_back {
        rustix::fs::syncfs(&std::fs::File::open(folder)?)?;
    }
    let cleaned = clean_up(shard, bootstrap, run).await;
    // The first failure is the cause of the second.
    let outcome = outcome?;
    cleaned?;
    Ok(Outcome { durability, ..outcome })
}

async fn connect(shard: &Shard, bootstrap: &Endpoint, run: &LoadRun) -> Result<Connection> {
    let deadline = shard.clock().plus_ms(CONNECT_MS);
    let client_id = &run.producer.client_id;
    let mut connection = Connection::open(shard, bootstrap, client_id, deadline).await?;
    connection.set_deadline(shard.clock().plus_ms(TOPIC_MS));
    Ok(connection)
}

/// Makes the topic, unless it is there for several hosts. Says what its acknowledgements mean.
pub async fn prepare(
    shard: &Shard,
    bootstrap: &Endpoint,
    run: &LoadRun,
) -> Result<(Cluster, Durability)> {
    let mut connection = connect(shard, bootstrap, run).await?;
    if !run.part.as_ref().is_some_and(|part| part.topic_is_shared) {
        create_topic(&mut connection, &run.topic).await?;
    }
    let deadline = shard.clock().plus_ms(TOPIC_MS);
    let cluster = wait_for_leaders(shard, &mut connection, &run.topic, deadline).await?;
    // A broker that cannot say is no reason to stop.
    let durability = durability_of(&mut connection, Some(&run.topic.name)).await;
    Ok((cluster, durability.unwrap_or_default()))
}

/// Deletes the topic, unless others still use it.
pub async fn clean_up(shard: &Shard, bootstrap: &Endpoint, run: &LoadRun) -> Result<()> {
    if run.part.as_ref().is_some_and(|part| part.topic_is_shared) {
        return Ok(());
    }
    let mut connection = connect(shard, bootstrap, run).await?;
    delete_topic(&mut connection, &run.topic.name).await
}

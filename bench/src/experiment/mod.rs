//! One round of one experiment against one target: topic, warm-up, measured window, drain.

mod consume;
mod edges;
mod produce;
mod tools;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::Result;
use ringlog_engine::io::raise_open_files_max;
use ringlog_engine::shard::Shard;
use serde::{Deserialize, Serialize};

use crate::agent::{Agents, Gate, Place};
use crate::client::{
    Cluster, Connection, Endpoint, TopicSpec, create_topic, delete_topic, wait_for_leaders,
};
use crate::load::{Latency, Pace, Recording, ValuesSpec};
use crate::producer::ProducerConfig;
use crate::profile::{ConsumerConfig, Experiment, Kind, LoadProfile};
use crate::results::LatencySummary;
use crate::target::{KafkaKit, ProcessWatch};

pub use produce::{DRAIN_MS, START_DELAY_MS, merged_metrics};

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
    /// The producer's settings as they were written, for other clients.
    pub settings: Vec<(String, String)>,
    /// What a tool sends that counts records instead of seconds.
    pub records: u64,
    /// Where this is one host's part of a load.
    pub part: Option<HostPart>,
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
            settings: experiment.producer_settings.pairs(),
            records: experiment.records,
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
    /// This program on other hosts.
    Agents(Rc<Agents>, Place),
}

/// How long a round warms up and is measured, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// Not measured.
    pub warmup: f64,
    /// The warm-up goes on for so long at most while the load still gets faster.
    pub warmup_max: f64,
    /// Measured.
    pub measured: f64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// When the measured window began.
    pub window_start_unix_ms: i64,
    /// Throughput and latency.
    pub recording: Recording,
    /// Latency as another tool has printed it, where there is no histogram; `NaN` is what it does
    /// not say.
    pub printed: Option<LatencySummary>,
    /// The client's metrics over the measured window.
    pub client_metrics: BTreeMap<String, f64>,
    /// The broker's use of the machine within the window, if it is ours to watch.
    pub broker: Option<BrokerUse>,
    /// What sending and receiving the load took of the load's hosts.
    pub generator: Option<GeneratorUse>,
    /// Open loop: how late the generator itself was.
    pub lateness: Latency,
    /// How it warmed up.
    pub warmup: Warmup,
}

impl Outcome {
    /// Adds another round, which is number `count` counting from 1. Metrics are averaged.
    pub fn add(&mut self, round: Outcome, count: usize) {
        self.recording.add(&round.recording);
        for (name, value) in round.client_metrics {
            let mean = self.client_metrics.entry(name).or_default();
            *mean += (value - *mean) / count as f64;
        }
        self.printed = self.printed.zip(round.printed).map(|(mean, one)| mean.mixed(one, count));
        self.broker = self.broker.zip(round.broker).map(|(one, other)| one.and(other));
        self.generator = self.generator.zip(round.generator).map(|(one, other)| one.and(other));
        self.lateness.add(&round.lateness).expect("the same bounds");
        self.warmup = self.warmup.and(round.warmup);
    }

    /// Adds what another host has counted at the same time. Metrics are not among it
    /// ([`merged_metrics`]).
    pub fn add_beside(&mut self, host: &Outcome) {
        self.recording.add_beside(&host.recording);
        self.generator = self.generator.zip(host.generator).map(|(one, other)| one.and(other));
        self.lateness.add(&host.lateness).expect("the same bounds");
        self.warmup = self.warmup.and(host.warmup);
    }
}

/// How a round warmed up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup {
    /// For how long.
    pub seconds: f64,
    /// Whether its speed had stopped rising; `None` where the warm-up was too short to tell.
    pub steady: Option<bool>,
}

impl Warmup {
    fn and(self, other: Warmup) -> Warmup {
        let steady = self.steady.zip(other.steady).map(|(one, other)| one && other);
        Warmup { seconds: self.seconds.max(other.seconds), steady }
    }
}

/// What a broker took of its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BrokerUse {
    /// CPU time.
    pub cpu_seconds: f64,
    /// The kernel's part of it; `None` of a result from before it was told apart.
    pub system_seconds: Option<f64>,
    /// The most resident memory since the run began.
    pub peak_rss_bytes: u64,
    /// Bytes that it caused to be written to storage; `None` where the kernel does not say.
    pub written_bytes: Option<u64>,
    /// Switches of its threads, voluntary or not.
    pub context_switches: u64,
}

impl BrokerUse {
    /// Both together, one after the other.
    #[must_use]
    pub fn and(self, other: BrokerUse) -> BrokerUse {
        BrokerUse {
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
            system_seconds: self.system_seconds.zip(other.system_seconds).map(|(a, b)| a + b),
            peak_rss_bytes: self.peak_rss_bytes.max(other.peak_rss_bytes),
            written_bytes: self.written_bytes.zip(other.written_bytes).map(|(a, b)| a + b),
            context_switches: self.context_switches + other.context_switches,
        }
    }
}

/// What a load took of the machine that it came from: this program, and a tool that it has run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct GeneratorUse {
    /// CPU time.
    pub cpu_seconds: f64,
    /// The kernel's part of it.
    pub system_seconds: f64,
    /// CPU time for each second of the window: 1 is one processor that never rests. Of several
    /// rounds or hosts the highest.
    pub busy: f64,
}

impl GeneratorUse {
    /// Both together, one after the other or side by side.
    #[must_use]
    pub fn and(self, other: GeneratorUse) -> GeneratorUse {
        GeneratorUse {
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
            system_seconds: self.system_seconds + other.system_seconds,
            busy: self.busy.max(other.busy),
        }
    }
}

/// How a run is getting on.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Live {
    /// Since its first record, in seconds.
    pub elapsed: f64,
    /// Acknowledged lately.
    pub records_per_second: f64,
    /// Their latency.
    pub p99_ms: f64,
}

impl Live {
    /// Of a load that has not begun.
    pub const NOTHING: Live = Live { elapsed: 0.0, records_per_second: 0.0, p99_ms: 0.0 };
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
    if let ToolOrNative::Agents(agents, place) = &run.driver {
        return measure_by(agents, *place, (shard, bootstrap, process), run, watch).await;
    }
    if run.producers + run.consumer.consumers > CONNECTIONS_USUAL {
        raise_open_files_max();
    }
    let cluster = prepare(shard, bootstrap, run).await?;
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
        _ => tools::measure(shard, bootstrap, process, run, cluster, watch).await,
    };
    let cleaned = clean_up(shard, bootstrap, run).await;
    // The first failure is the cause of the second.
    let outcome = outcome?;
    cleaned?;
    Ok(outcome)
}

/// Runs it on other hosts. Of the broker it is theirs to ask, but for a topic that they share.
async fn measure_by(
    agents: &Agents,
    place: Place,
    (shard, bootstrap, process): (&Shard, &Endpoint, Option<ProcessWatch>),
    run: &LoadRun,
    watch: Rc<RefCell<dyn Watch>>,
) -> Result<Outcome> {
    if !run.topic_is_shared() {
        return agents.measure(shard, bootstrap, process, (run, place), watch).await;
    }
    prepare(shard, bootstrap, run).await?;
    let outcome = agents.measure(shard, bootstrap, process, (run, place), watch).await;
    let cleaned = clean_up(shard, bootstrap, run).await;
    let outcome = outcome?;
    cleaned?;
    Ok(outcome)
}

async fn connect(shard: &Shard, bootstrap: &Endpoint, run: &LoadRun) -> Result<Connection> {
    let deadline = shard.clock().plus_ms(CONNECT_MS);
    let client_id = &run.producer.client_id;
    let mut connection = Connection::open(shard, bootstrap, client_id, deadline).await?;
    connection.set_deadline(shard.clock().plus_ms(TOPIC_MS));
    Ok(connection)
}

async fn prepare(shard: &Shard, bootstrap: &Endpoint, run: &LoadRun) -> Result<Cluster> {
    let mut connection = connect(shard, bootstrap, run).await?;
    if !run.part.as_ref().is_some_and(|part| part.topic_is_shared) {
        create_topic(&mut connection, &run.topic).await?;
    }
    let deadline = shard.clock().plus_ms(TOPIC_MS);
    wait_for_leaders(shard, &mut connection, &run.topic, deadline).await
}

async fn clean_up(shard: &Shard, bootstrap: &Endpoint, run: &LoadRun) -> Result<()> {
    if run.part.as_ref().is_some_and(|part| part.topic_is_shared) {
        return Ok(());
    }
    let mut connection = connect(shard, bootstrap, run).await?;
    delete_topic(&mut connection, &run.topic.name).await
}

//! [`Profile`]: experiments as data.
//!
//! A profile is a TOML file. Every table refuses keys it does not know, and every error names the
//! key: a misspelt setting that silently keeps its default would be measured as if it had been
//! set.

mod consumer;
mod sweep;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::client::{Endpoint, TopicSpec};
use crate::experiment::Times;
use crate::load::{STAMP_BYTES, ValuesSpec};
use crate::producer::{ProducerConfig, ProducerSettings};

pub use consumer::{ConsumerConfig, ConsumerSettings};

/// The longest that one experiment may be measured.
const SECONDS_MAX: f64 = 86_400.0;
/// The largest record.
const VALUE_BYTES_MAX: u32 = 64 << 20;
const KEYS_MAX: u32 = 1_000_000;
const PRODUCERS_MAX: u32 = 10_000;
const ROUNDS_MAX: u32 = 100;
const RECORDS_MAX: u64 = 1_000_000_000;
const PARTITIONS_MAX: u32 = 10_000;
const AGENTS_MAX: usize = 64;
/// What a key of `Values` is like: `key-00000000`.
const KEY_BYTES: usize = 12;

/// A profile as it is written.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Shown above the results.
    pub title: String,
    /// What the experiments are for.
    #[serde(default)]
    pub description: String,
    /// Properties of the embedded node.
    #[serde(default)]
    pub broker: BTreeMap<String, Property>,
    /// The topic that is produced to; every experiment gets a fresh one.
    pub topic: TopicProfile,
    /// What is produced.
    pub records: RecordsProfile,
    /// What is done.
    #[serde(default)]
    pub kind: Kind,
    /// Who does it.
    #[serde(default)]
    pub driver: Driver,
    /// What holds for every experiment's producer.
    #[serde(default)]
    pub producer: ProducerSettings,
    /// What holds for every experiment's consumers.
    #[serde(default)]
    pub consumer: ConsumerSettings,
    /// Hosts that carry out the load, instead of this one.
    #[serde(rename = "agent", default)]
    pub agents: Vec<AgentProfile>,
    /// How long.
    pub measure: MeasureProfile,
    /// How each experiment is loaded, one run after the other.
    #[serde(rename = "load")]
    pub loads: Vec<LoadProfile>,
    /// Where the experiments' reference figures come from.
    pub reference: Option<ReferenceProfile>,
    /// The experiments.
    #[serde(rename = "experiment", default)]
    pub experiments: Vec<ExperimentProfile>,
    /// Axes: tables as an experiment has them, with lists for values. There is an experiment for
    /// every combination.
    #[serde(default)]
    pub sweep: toml::Table,
}

/// A load host.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct AgentProfile {
    /// Where its `ringlog-bench agent` listens: HOST:PORT.
    pub address: String,
}

/// What an experiment does.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Producers; latency is that of acknowledgements.
    #[default]
    Produce,
    /// Consumers read from the beginning what was stored before; latency is that of fetches.
    CatchUp,
    /// Consumers at the end of what producers send meanwhile, each reading all of it; latency is
    /// from when a record was meant to be sent to when it has arrived.
    Tail,
}

impl Kind {
    /// As a profile says it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Produce => "produce",
            Kind::CatchUp => "catch-up",
            Kind::Tail => "tail",
        }
    }
}

/// Which client loads a broker.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// This program.
    #[default]
    Native,
    /// Kafka's own tools: kafka-producer-perf-test, kafka-consumer-perf-test, kafka-e2e-latency.
    Java,
    /// librdkafka, if this program was built with it.
    Librdkafka,
}

impl Driver {
    /// As a profile says it.
    pub fn name(self) -> &'static str {
        match self {
            Driver::Native => "native",
            Driver::Java => "java",
            Driver::Librdkafka => "librdkafka",
        }
    }
}

/// A property of a broker or a topic: Kafka's files know no types.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged, expecting = "expected a string, a whole number or a boolean")]
pub enum Property {
    /// `"sync"`
    Text(String),
    /// `1048576`
    Number(i64),
    /// `true`
    Boolean(bool),
}

impl std::fmt::Display for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Property::Text(text) => text.fmt(f),
            Property::Number(number) => number.fmt(f),
            Property::Boolean(boolean) => boolean.fmt(f),
        }
    }
}

/// The topic.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TopicProfile {
    /// How many partitions.
    pub partitions: u32,
    /// Default: the broker's.
    #[serde(default)]
    pub replication_factor: Option<i16>,
    /// Topic configurations.
    #[serde(default)]
    pub configs: BTreeMap<String, Property>,
}

/// The records.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RecordsProfile {
    /// Size of a value.
    pub value_bytes: u32,
    /// How many different keys there are; without it records have none.
    #[serde(default)]
    pub keys: u32,
}

/// How long a run warms up and is measured.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct MeasureProfile {
    /// Before the measured time.
    #[serde(default = "default_warmup")]
    pub warmup_seconds: f64,
    /// The warm-up goes on for so long at most while the load still gets faster.
    /// Default: warmup_seconds, which is then its length.
    pub warmup_seconds_max: Option<f64>,
    /// The measured time.
    pub seconds: f64,
    /// What a driver sends that counts records instead of seconds.
    #[serde(default = "default_records")]
    pub records: u64,
    /// How many times each experiment is run. Four and more can be compared.
    #[serde(default = "default_rounds")]
    pub rounds: u32,
}

impl MeasureProfile {
    /// As a round is told.
    pub fn times(&self) -> Times {
        Times {
            warmup: self.warmup_seconds,
            warmup_max: self.warmup_seconds_max.unwrap_or(self.warmup_seconds),
            measured: self.seconds,
        }
    }
}

fn default_rounds() -> u32 {
    1
}

fn default_records() -> u64 {
    1_000_000
}

fn default_warmup() -> f64 {
    1.0
}

/// Closed or open loop.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As fast as the producer takes records.
    Closed,
    /// By a schedule.
    Open,
    /// By a schedule whose rate is searched for: the highest that keeps the latency within a bound.
    Sustain,
}

impl Mode {
    /// As the summary says it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Closed => "closed",
            Mode::Open => "open",
            Mode::Sustain => "sustain",
        }
    }
}

/// One way of loading.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LoadProfile {
    /// Closed, open, or searched for.
    pub mode: Mode,
    /// Sustain: the bound of the 99th percentile.
    pub p99_ms_max: Option<f64>,
    /// Open: records a second.
    pub rate: Option<f64>,
    /// Open: this share of what the experiment's closed loop reached in its first round.
    pub share_of_closed: Option<f64>,
    /// Producers, each with its own connections and memory, that share the load.
    #[serde(default = "default_producers")]
    pub producers: u32,
}

fn default_producers() -> u32 {
    1
}

/// Where reference figures come from.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ReferenceProfile {
    /// Short, for tables.
    pub label: String,
    /// What measured them.
    #[serde(default)]
    pub tool: String,
}

/// One experiment.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ExperimentProfile {
    /// Default: `<batch.size>/<linger.ms>`.
    pub name: Option<String>,
    /// Instead of the profile's.
    pub kind: Option<Kind>,
    /// Instead of the profile's.
    pub driver: Option<Driver>,
    /// Over the profile's `producer`.
    #[serde(default)]
    pub producer: ProducerSettings,
    /// Over the profile's `consumer`.
    #[serde(default)]
    pub consumer: ConsumerSettings,
    /// Over the profile's `broker`. The target is started anew with them.
    #[serde(default)]
    pub broker: BTreeMap<String, Property>,
    /// Over the profile's `topic`.
    #[serde(default)]
    pub topic: TopicOverride,
    /// Over the profile's `records`.
    #[serde(default)]
    pub records: RecordsOverride,
    /// Producers of every load, instead of the load's own.
    pub producers: Option<u32>,
    /// Somebody else's figures for the same.
    pub reference: Option<Reference>,
}

/// What an experiment says of its topic.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TopicOverride {
    /// How many partitions.
    pub partitions: Option<u32>,
    /// Topic configurations.
    #[serde(default)]
    pub configs: BTreeMap<String, Property>,
}

/// What an experiment says of its records.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RecordsOverride {
    /// Size of a value.
    pub value_bytes: Option<u32>,
    /// How many different keys there are.
    pub keys: Option<u32>,
}

/// Reference figures of one experiment.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Throughput.
    pub records_per_second: f64,
    /// Throughput in 2^20 bytes.
    pub mb_per_second: f64,
    /// Latency.
    pub latency_ms: ReferenceLatency,
    /// The client's own metrics.
    #[serde(default)]
    pub client_metrics: BTreeMap<String, f64>,
}

/// Latency as kafka-producer-perf-test prints it.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ReferenceLatency {
    pub mean: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// An experiment with everything filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// `<batch.size>/<linger.ms>`, or what the profile calls it.
    pub name: String,
    /// What is done.
    pub kind: Kind,
    /// By whom.
    pub driver: Driver,
    /// Checked.
    pub producer: ProducerConfig,
    /// The same as it was written, for other clients.
    pub producer_settings: ProducerSettings,
    /// Checked.
    pub consumer: ConsumerConfig,
    /// Properties of the broker.
    pub broker: BTreeMap<String, Property>,
    /// The topic.
    pub topic: TopicProfile,
    /// What the records hold.
    pub values: ValuesSpec,
    /// Producers of every load, instead of the load's own.
    pub producers: Option<u32>,
    /// What a driver sends that counts records instead of seconds.
    pub records: u64,
    /// Somebody else's figures for the same.
    pub reference: Option<Reference>,
}

impl Experiment {
    /// Its topic, which has no name yet.
    pub fn topic_spec(&self) -> TopicSpec {
        let configs = self.topic.configs.iter();
        TopicSpec {
            name: String::new(),
            partitions: self.topic.partitions as i32,
            replication_factor: self.topic.replication_factor.unwrap_or(-1),
            configs: configs.map(|(key, value)| (key.clone(), value.to_string())).collect(),
        }
    }
}

/// A profile that was read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedProfile {
    /// The file's name without its ending.
    pub name: String,
    /// Where it came from.
    pub path: PathBuf,
    /// The file's text, for the result folder.
    pub text: String,
    /// What it says.
    pub profile: Profile,
    /// Its experiments.
    pub experiments: Vec<Experiment>,
}

impl LoadedProfile {
    /// Reads a profile.
    pub fn read(path: &Path) -> Result<LoadedProfile> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the profile {} cannot be read", path.display()))?;
        let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        Self::parse(name, path.to_owned(), text)
    }

    /// Reads a profile that came from elsewhere.
    pub fn of_text(name: &str, text: &str) -> Result<LoadedProfile> {
        Self::parse(name.to_owned(), PathBuf::from(name), text.to_owned())
    }

    fn parse(name: String, path: PathBuf, text: String) -> Result<LoadedProfile> {
        let context = || format!("the profile {}", path.display());
        let profile: Profile = toml::from_str(&text).with_context(context)?;
        profile.check().with_context(context)?;
        let experiments = profile.experiments().with_context(context)?;
        Ok(LoadedProfile { name, path: path.clone(), text, profile, experiments })
    }
}

impl Profile {
    fn check(&self) -> Result<()> {
        check_seconds("measure.seconds", self.measure.seconds, 0.1)?;
        check_seconds("measure.warmup_seconds", self.measure.warmup_seconds, 0.0)?;
        let times = self.measure.times();
        check_seconds("measure.warmup_seconds_max", times.warmup_max, times.warmup)?;
        check_rounds("measure.rounds", self.measure.rounds)?;
        ensure!(!self.loads.is_empty(), "load: at least one [[load]] is needed");
        ensure!(
            !self.experiments.is_empty() || !self.sweep.is_empty(),
            "experiment: at least one [[experiment]] or a [sweep] is needed"
        );
        let records = self.measure.records;
        ensure!(
            (1..=RECORDS_MAX).contains(&records),
            "measure.records = {records}: expected 1 to {RECORDS_MAX}"
        );
        self.agents()?;
        let mut closed = false;
        for (index, load) in self.loads.iter().enumerate() {
            load.check(closed).with_context(|| format!("load number {}", index + 1))?;
            closed |= load.mode == Mode::Closed;
        }
        Ok(())
    }

    /// Where load hosts listen.
    pub fn agents(&self) -> Result<Vec<Endpoint>> {
        let count = self.agents.len();
        ensure!(count <= AGENTS_MAX, "agent: {count} of them: at most {AGENTS_MAX}");
        let mut all: Vec<Endpoint> = Vec::new();
        for agent in &self.agents {
            let address: Endpoint = agent.address.parse().context("agent.address")?;
            ensure!(!all.contains(&address), "agent.address = {address}: there is another");
            all.push(address);
        }
        Ok(all)
    }

    /// Those that are listed, then one for each combination of the sweep.
    fn experiments(&self) -> Result<Vec<Experiment>> {
        let mut experiments: Vec<Experiment> = Vec::new();
        let swept = sweep::experiments(&self.sweep)?;
        let listed = self.experiments.len();
        for (index, experiment) in self.experiments.iter().chain(&swept).enumerate() {
            let what = || match index.checked_sub(listed) {
                None => format!("experiment number {}", index + 1),
                Some(_) => format!("sweep, {}", experiment.name.clone().unwrap_or_default()),
            };
            let resolved = self.resolve(experiment).with_context(what)?;
            if experiments.iter().any(|other| other.name == resolved.name) {
                bail!("{}: there is another named {:?}", what(), resolved.name);
            }
            experiments.push(resolved);
        }
        Ok(experiments)
    }

    /// An experiment with everything filled in.
    fn resolve(&self, experiment: &ExperimentProfile) -> Result<Experiment> {
        let over = |base: &BTreeMap<String, Property>, over: &BTreeMap<String, Property>| {
            let mut all = base.clone();
            all.extend(over.iter().map(|(key, value)| (key.clone(), value.clone())));
            all
        };
        let kind = experiment.kind.unwrap_or(self.kind);
        let driver = experiment.driver.unwrap_or(self.driver);
        let partitions = experiment.topic.partitions.unwrap_or(self.topic.partitions);
        ensure!(
            (1..=PARTITIONS_MAX).contains(&partitions),
            "topic.partitions = {partitions}: expected 1 to {PARTITIONS_MAX}"
        );
        let value_bytes = experiment.records.value_bytes.unwrap_or(self.records.value_bytes);
        ensure!(
            value_bytes <= VALUE_BYTES_MAX,
            "records.value_bytes = {value_bytes}: at most {VALUE_BYTES_MAX}"
        );
        let keys = experiment.records.keys.unwrap_or(self.records.keys);
        ensure!(keys <= KEYS_MAX, "records.keys = {keys}: at most {KEYS_MAX}");
        let stamped = kind == Kind::Tail;
        let values = ValuesSpec { value_bytes: value_bytes as usize, keys, stamped };
        ensure!(
            !stamped || values.value_bytes >= STAMP_BYTES,
            "records.value_bytes = {value_bytes}: kind = \"tail\" needs {STAMP_BYTES} for a time"
        );
        let producer_settings = experiment.producer.over(&self.producer);
        let key_bytes = if keys > 0 { KEY_BYTES } else { 0 };
        let producer = producer_settings.resolve(key_bytes, values.value_bytes)?;
        let consumer = experiment.consumer.over(&self.consumer).resolve()?;
        if let Some(producers) = experiment.producers {
            check_producers(producers)?;
        }
        ensure!(
            driver != Driver::Librdkafka || kind == Kind::Produce,
            "driver = \"librdkafka\" is for kind = \"produce\""
        );
        ensure!(
            driver == Driver::Native || keys == 0,
            "records.keys = {keys}: only the native driver makes keys"
        );
        ensure!(
            driver == Driver::Native || self.agents.is_empty(),
            "driver = {:?}: agents have the native driver only",
            driver.name()
        );
        self.check_loads(kind, driver)?;
        let default = || format!("{}/{}", producer.batch_size, producer.linger_ms);
        let configs = over(&self.topic.configs, &experiment.topic.configs);
        Ok(Experiment {
            name: experiment.name.clone().unwrap_or_else(default),
            kind,
            driver,
            producer,
            producer_settings,
            consumer,
            broker: over(&self.broker, &experiment.broker),
            topic: TopicProfile { partitions, configs, ..self.topic.clone() },
            values,
            producers: experiment.producers,
            records: self.measure.records,
            reference: experiment.reference.clone(),
        })
    }
}

impl Profile {
    /// Not everybody can do everything by a schedule.
    fn check_loads(&self, kind: Kind, driver: Driver) -> Result<()> {
        // kafka-e2e-latency sends one record, waits until it has arrived, and goes on.
        let one_by_one = kind == Kind::Tail && driver == Driver::Java;
        let closed_only = kind == Kind::CatchUp || driver == Driver::Librdkafka || one_by_one;
        ensure!(
            !closed_only || self.loads.iter().all(|load| load.mode == Mode::Closed),
            "load.mode: there is no schedule for kind = {:?} with driver = {:?}: closed only",
            kind.name(),
            driver.name()
        );
        ensure!(
            kind != Kind::Tail
                || one_by_one
                || self.loads.iter().all(|load| load.mode != Mode::Closed),
            "load.mode: kind = \"tail\" needs a rate: not closed"
        );
        ensure!(
            driver == Driver::Native || self.loads.iter().all(|load| load.mode != Mode::Sustain),
            "load.mode: only the native driver searches for a rate"
        );
        Ok(())
    }
}

impl LoadProfile {
    fn check(&self, after_closed: bool) -> Result<()> {
        check_producers(self.producers)?;
        match (self.mode, self.p99_ms_max) {
            (Mode::Sustain, Some(bound)) => ensure!(
                bound.is_finite() && bound > 0.0,
                "p99_ms_max = {bound}: expected more than 0"
            ),
            (Mode::Sustain, None) => bail!("mode = \"sustain\" needs p99_ms_max"),
            (_, Some(_)) => bail!("p99_ms_max is for mode = \"sustain\""),
            (_, None) => {}
        }
        match (self.mode, self.rate, self.share_of_closed) {
            (Mode::Sustain, None, None) => Ok(()),
            (Mode::Sustain, ..) => bail!("the rate of mode = \"sustain\" is searched for"),
            (Mode::Closed, None, None) => Ok(()),
            (Mode::Closed, ..) => bail!("a closed loop has no rate and no share_of_closed"),
            (Mode::Open, Some(rate), None) => check_rate(rate),
            (Mode::Open, None, Some(share)) => {
                ensure!(
                    share > 0.0 && share <= 2.0,
                    "share_of_closed = {share}: expected more than 0, at most 2"
                );
                ensure!(after_closed, "share_of_closed needs a closed loop before it");
                Ok(())
            }
            (Mode::Open, ..) => bail!("an open loop needs either rate or share_of_closed"),
        }
    }
}

fn check_producers(producers: u32) -> Result<()> {
    ensure!(
        (1..=PRODUCERS_MAX).contains(&producers),
        "producers = {producers}: expected 1 to {PRODUCERS_MAX}"
    );
    Ok(())
}

/// Holds a rate against what makes sense.
pub fn check_rate(rate: f64) -> Result<()> {
    ensure!(rate.is_finite() && rate > 0.0, "rate = {rate}: expected more than 0");
    Ok(())
}

/// Holds a time against what makes sense.
pub fn check_seconds(key: &str, seconds: f64, min: f64) -> Result<()> {
    ensure!(
        seconds.is_finite() && (min..=SECONDS_MAX).contains(&seconds),
        "{key} = {seconds}: expected {min} to {SECONDS_MAX}"
    );
    Ok(())
}

/// Holds a number of rounds against what makes sense.
pub fn check_rounds(key: &str, rounds: u32) -> Result<()> {
    ensure!((1..=ROUNDS_MAX).contains(&rounds), "{key} = {rounds}: expected 1 to {ROUNDS_MAX}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = include_str!("../../../profiles/seed-producer.toml");

    fn parse(text: &str) -> Result<LoadedProfile> {
        LoadedProfile::parse("test".to_owned(), PathBuf::from("test.toml"), text.to_owned())
    }

    #[test]
    fn the_seed_profile_is_the_seeds_matrix() {
        let loaded = parse(SEED).expect("valid");
        let names: Vec<&str> = loaded.experiments.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "600000/700",
                "16384/0",
                "200000/0",
                "100000/0",
                "100000/100",
                "100000/200",
                "16384/500",
                "400000/500"
            ]
        );
        let modes: Vec<&str> = loaded.profile.loads.iter().map(|load| load.mode.name()).collect();
        assert_eq!(modes, ["closed", "open"]);
        assert_eq!((loaded.profile.topic.partitions, loaded.profile.records.value_bytes), (6, 100));
        assert!(loaded.experiments.iter().all(|e| e.reference.is_some()));
        assert!(loaded.experiments.iter().all(|e| e.producer.enable_idempotence));
    }

    #[test]
    fn errors_name_the_file_and_the_key() {
        for (from, to, expected) in [
            ("partitions = 6", "partitions = 6\npartition = 7", "partition"),
            ("partitions = 6", "partitions = 0", "topic.partitions = 0"),
            ("value_bytes = 100", "value_bytes = -1", "value_bytes"),
            ("value_bytes = 100", "value_bytes = 2000000", "max.request.size"),
            ("seconds = 10", "seconds = 0.01", "measure.seconds"),
            ("seconds = 10", "seconds = 10\nrounds = 0", "measure.rounds = 0"),
            (
                "seconds = 10",
                "seconds = 10\nwarmup_seconds_max = 0.5",
                "measure.warmup_seconds_max",
            ),
            ("mode = \"closed\"", "mode = \"closed\"\nproducers = 0", "producers = 0"),
            ("mode = \"closed\"", "mode = \"ajar\"", "ajar"),
            ("mode = \"closed\"", "mode = \"closed\"\nrate = 5", "no rate"),
            ("share_of_closed = 0.5", "share_of_closed = 0.5\np99_ms_max = 5", "p99_ms_max"),
            ("mode = \"closed\"", "mode = \"sustain\"", "needs p99_ms_max"),
            ("share_of_closed = 0.5", "", "either rate or share_of_closed"),
            ("share_of_closed = 0.5", "share_of_closed = 7", "share_of_closed = 7"),
            ("\"linger.ms\" = 700", "\"linger.msec\" = 700", "linger.msec"),
            ("\"linger.ms\" = 700", "linger.ms = 700", "linger"),
            ("\"batch.size\" = 200000", "\"batch.size\" = 100000", "100000/0"),
            ("mean = 16.07", "", "mean"),
            ("title = ", "titel = ", "titel"),
            ("[reference]", "[sweep.producer]\n\"linger.msec\" = [1]\n[reference]", "linger.msec"),
            ("[reference]", "[sweep.topic]\npartitions = 3\n[reference]", "sweep.topic.partitions"),
            (
                "[reference]",
                "[sweep.topic]\npartitions = []\n[reference]",
                "sweep.topic.partitions",
            ),
            ("[reference]", "[sweep.topic]\npartitions = [0]\n[reference]", "partitions=0"),
            ("title = ", "kind = \"tail\"\ntitle = ", "kind = \"tail\" needs a rate"),
            ("title = ", "driver = \"jawa\"\ntitle = ", "jawa"),
            ("\"acks\" = \"all\"", "\"acks\" = \"most\"", "acks=most"),
            ("[reference]", "[[agent]]\naddress = \"load-1\"\n[reference]", "agent.address"),
            (
                "[reference]",
                "[[agent]]\naddress = \"a:1\"\n[[agent]]\naddress = \"a:1\"\n[reference]",
                "there is another",
            ),
            ("[reference]", "[[agent]]\nadress = \"a:1\"\n[reference]", "adress"),
        ] {
            assert!(SEED.contains(from), "{from}");
            let error = format!("{:#}", parse(&SEED.replacen(from, to, 1)).expect_err(to));
            assert!(error.contains(expected), "{to}: {error}");
            assert!(error.contains("test.toml"), "{error}");
        }
        let error = format!("{:#}", LoadedProfile::read(Path::new("/no/such")).expect_err("none"));
        assert!(error.contains("/no/such"), "{error}");
    }
}

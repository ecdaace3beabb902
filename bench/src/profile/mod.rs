//! [`Profile`]: experiments as data.
//!
//! A profile is a TOML file. Every table refuses keys it does not know, and every error names the
//! key: a misspelt setting that silently keeps its default would be measured as if it had been
//! set.

mod consumer;
mod groups;
mod sweep;
mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::client::{Durability, Endpoint, TopicSpec};
use crate::load::{STAMP_BYTES, ValuesSpec};
use crate::producer::{ProducerConfig, ProducerSettings};

pub use consumer::{ConsumerConfig, ConsumerSettings};
pub use groups::{GroupProtocol, GroupsConfig, GroupsSettings};
pub use tables::{
    AgentProfile, Axis, Driver, ExperimentProfile, Kind, LinkSettings, LoadProfile, MeasureProfile,
    Mode, Property, Question, RecordsOverride, RecordsProfile, Reference, ReferenceLatency,
    ReferenceProfile, TargetProfile, TopicOverride, TopicProfile,
};

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
/// Longer than around the world.
const RTT_MS_MAX: u32 = 1_000;
/// What `durability` sets, for one target or the other.
const DURABILITY_KEYS: [&str; 2] = ["ringlog.durability", "log.flush.interval.messages"];
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
    /// What acknowledgements are to mean. Every experiment is run with each of them, by the means
    /// that the target has for it; without any the target is left as it is.
    #[serde(default)]
    pub durability: Vec<Durability>,
    /// Properties of every target that is started.
    #[serde(default)]
    pub broker: BTreeMap<String, Property>,
    /// Targets of this profile's own, by name: `--target NAME`.
    #[serde(default)]
    pub target: BTreeMap<String, TargetProfile>,
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
    /// What holds for every experiment's consumer groups.
    #[serde(default)]
    pub groups: GroupsSettings,
    /// The network between the load and a target that is started here.
    #[serde(default)]
    pub link: LinkSettings,
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
    /// What experiments are to tell when they are held against each other.
    #[serde(rename = "question", default)]
    pub questions: Vec<Question>,
    /// Axes: tables as an experiment has them, with lists for values. There is an experiment for
    /// every combination.
    #[serde(default)]
    pub sweep: toml::Table,
}

/// An experiment with everything filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// `<batch.size>/<linger.ms>`, or what the profile calls it.
    pub name: String,
    /// What acknowledgements are to mean; `None`: whatever they mean.
    pub durability: Option<Durability>,
    /// What sets it apart from the others of its profile.
    pub axes: Vec<Axis>,
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
    /// Checked.
    pub groups: GroupsConfig,
    /// Round-trip time between the load and the target; 0 is loopback.
    pub rtt_ms: u32,
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

    /// The same with these durabilities instead of its own.
    pub fn with_durability(mut self, durability: &[Durability]) -> Result<LoadedProfile> {
        self.profile.durability = durability.to_vec();
        self.profile.check_durability()?;
        self.experiments = self.profile.experiments()?;
        Ok(self)
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
        self.check_durability()?;
        let mut closed = false;
        for (index, load) in self.loads.iter().enumerate() {
            load.check(closed).with_context(|| format!("load number {}", index + 1))?;
            closed |= load.mode == Mode::Closed;
        }
        Ok(())
    }

    fn check_durability(&self) -> Result<()> {
        for (index, durability) in self.durability.iter().enumerate() {
            ensure!(
                matches!(durability, Durability::Replicated | Durability::Sync),
                "durability = {durability}: expected \"replicated\" or \"sync\""
            );
            let twice = self.durability[..index].contains(durability);
            ensure!(!twice, "durability = {durability}: it is there twice");
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
        let listed = self.experiments.iter().map(|experiment| (experiment.clone(), None));
        let swept = sweep::experiments(&self.sweep)?;
        let swept = swept.into_iter().map(|(experiment, axes)| (experiment, Some(axes)));
        for (index, (experiment, axes)) in listed.chain(swept).enumerate() {
            let what = || match &axes {
                None => format!("experiment number {}", index + 1),
                Some(_) => format!("sweep, {}", experiment.name.clone().unwrap_or_default()),
            };
            let mut resolved = self.resolve(&experiment).with_context(what)?;
            if experiments.iter().any(|other| other.name == resolved.name) {
                bail!("{}: there is another named {:?}", what(), resolved.name);
            }
            let mut keys = resolved.broker.keys().filter(|_| !self.durability.is_empty());
            if let Some(key) = keys.find(|key| DURABILITY_KEYS.contains(&key.as_str())) {
                bail!("{}: broker.{key}: durability says that already, for any target", what());
            }
            resolved.axes = axes.unwrap_or(resolved.axes);
            experiments.push(resolved);
        }
        for name in self.questions.iter().flat_map(|question| [&question.of, &question.against]) {
            let known = experiments.iter().any(|experiment| experiment.name == *name);
            ensure!(known, "question: there is no experiment {name:?}");
        }
        if self.durability.is_empty() {
            return Ok(experiments);
        }
        // One after the other: for each of them targets are started anew.
        let with = |durability: &Durability| {
            experiments.clone().into_iter().map({
                let durability = *durability;
                move |experiment| Experiment { durability: Some(durability), ..experiment }
            })
        };
        Ok(self.durability.iter().flat_map(with).collect())
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
        let rtt_ms = experiment.link.rtt_ms.or(self.link.rtt_ms).unwrap_or(0);
        ensure!(rtt_ms <= RTT_MS_MAX, "link.rtt_ms = {rtt_ms}: expected 0 to {RTT_MS_MAX}");
        let groups = experiment.groups.over(&self.groups).resolve()?;
        if let Some(producers) = experiment.producers {
            check_producers(producers)?;
        }
        self.check_driver(kind, driver, keys)?;
        self.check_loads(kind, driver)?;
        let default = || format!("{}/{}", producer.batch_size, producer.linger_ms);
        let configs = over(&self.topic.configs, &experiment.topic.configs);
        let axes = match experiment.name {
            Some(_) => Vec::new(),
            None => vec![
                Axis::new("batch.size", producer.batch_size),
                Axis::new("linger.ms", producer.linger_ms),
            ],
        };
        Ok(Experiment {
            name: experiment.name.clone().unwrap_or_else(default),
            durability: None,
            axes,
            kind,
            driver,
            producer,
            producer_settings,
            consumer,
            groups,
            rtt_ms,
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
    fn check_driver(&self, kind: Kind, driver: Driver, keys: u32) -> Result<()> {
        ensure!(driver != Driver::Iggy, "driver = \"iggy\" is that of --target iggy@FOLDER alone");
        ensure!(
            driver != Driver::Librdkafka || kind == Kind::Produce,
            "driver = \"librdkafka\" is for kind = \"produce\""
        );
        ensure!(
            driver == Driver::Native || !kind.is_event(),
            "driver = {:?} is not for kind = {:?}",
            driver.name(),
            kind.name()
        );
        ensure!(
            self.agents.is_empty() || !kind.is_event(),
            "kind = {:?} is not for agents",
            kind.name()
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
        Ok(())
    }

    fn check_loads(&self, kind: Kind, driver: Driver) -> Result<()> {
        // kafka-e2e-latency sends one record, waits until it has arrived, and goes on.
        let one_by_one = kind == Kind::Tail && driver == Driver::Java;
        let closed_only =
            kind == Kind::CatchUp || kind.is_event() || driver == Driver::Librdkafka || one_by_one;
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
            (
                "[reference]",
                "[[question]]\nask = \"?\"\nof = \"16384/0\"\nagainst = \"1/1\"\n[reference]",
                "no experiment \"1/1\"",
            ),
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

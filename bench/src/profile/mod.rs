//! [`Profile`]: experiments as data.
//!
//! A profile is a TOML file. Every table refuses keys it does not know, and every error names the
//! key: a misspelt setting that silently keeps its default would be measured as if it had been
//! set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::experiment::Times;
use crate::load::ValuesSpec;
use crate::producer::{ProducerConfig, ProducerSettings};

/// The longest that one experiment may be measured.
const SECONDS_MAX: f64 = 86_400.0;
/// The largest record.
const VALUE_BYTES_MAX: u32 = 64 << 20;
const KEYS_MAX: u32 = 1_000_000;
const PRODUCERS_MAX: u32 = 10_000;
const ROUNDS_MAX: u32 = 100;
const PARTITIONS_MAX: u32 = 10_000;
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
    /// What holds for every experiment's producer.
    #[serde(default)]
    pub producer: ProducerSettings,
    /// How long.
    pub measure: MeasureProfile,
    /// How each experiment is loaded, one run after the other.
    #[serde(rename = "load")]
    pub loads: Vec<LoadProfile>,
    /// Where the experiments' reference figures come from.
    pub reference: Option<ReferenceProfile>,
    /// The experiments.
    #[serde(rename = "experiment")]
    pub experiments: Vec<ExperimentProfile>,
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
}

impl Mode {
    /// As the summary says it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Closed => "closed",
            Mode::Open => "open",
        }
    }
}

/// One way of loading.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LoadProfile {
    /// Closed or open.
    pub mode: Mode,
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
    /// Over the profile's `producer`.
    #[serde(default)]
    pub producer: ProducerSettings,
    /// Somebody else's figures for the same.
    pub reference: Option<Reference>,
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
    /// Checked.
    pub producer: ProducerConfig,
    /// Somebody else's figures for the same.
    pub reference: Option<Reference>,
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

    fn parse(name: String, path: PathBuf, text: String) -> Result<LoadedProfile> {
        let context = || format!("the profile {}", path.display());
        let profile: Profile = toml::from_str(&text).with_context(context)?;
        profile.check().with_context(context)?;
        let experiments = profile.experiments().with_context(context)?;
        Ok(LoadedProfile { name, path: path.clone(), text, profile, experiments })
    }
}

impl Profile {
    /// What the records hold.
    pub fn values(&self) -> ValuesSpec {
        ValuesSpec { value_bytes: self.records.value_bytes as usize, keys: self.records.keys }
    }

    fn check(&self) -> Result<()> {
        let partitions = self.topic.partitions;
        ensure!(
            (1..=PARTITIONS_MAX).contains(&partitions),
            "topic.partitions = {partitions}: expected 1 to {PARTITIONS_MAX}"
        );
        let bytes = self.records.value_bytes;
        ensure!(
            bytes <= VALUE_BYTES_MAX,
            "records.value_bytes = {bytes}: at most {VALUE_BYTES_MAX}"
        );
        let keys = self.records.keys;
        ensure!(keys <= KEYS_MAX, "records.keys = {keys}: at most {KEYS_MAX}");
        check_seconds("measure.seconds", self.measure.seconds, 0.1)?;
        check_seconds("measure.warmup_seconds", self.measure.warmup_seconds, 0.0)?;
        let times = self.measure.times();
        check_seconds("measure.warmup_seconds_max", times.warmup_max, times.warmup)?;
        check_rounds("measure.rounds", self.measure.rounds)?;
        ensure!(!self.loads.is_empty(), "load: at least one [[load]] is needed");
        ensure!(!self.experiments.is_empty(), "experiment: at least one [[experiment]] is needed");
        let mut closed = false;
        for (index, load) in self.loads.iter().enumerate() {
            load.check(closed).with_context(|| format!("load number {}", index + 1))?;
            closed |= load.mode == Mode::Closed;
        }
        Ok(())
    }

    fn experiments(&self) -> Result<Vec<Experiment>> {
        let key_bytes = if self.records.keys > 0 { KEY_BYTES } else { 0 };
        let value_bytes = self.records.value_bytes as usize;
        let mut experiments: Vec<Experiment> = Vec::new();
        for (index, experiment) in self.experiments.iter().enumerate() {
            let settings = experiment.producer.over(&self.producer);
            let producer = settings
                .resolve(key_bytes, value_bytes)
                .with_context(|| format!("experiment number {}", index + 1))?;
            let default = || format!("{}/{}", producer.batch_size, producer.linger_ms);
            let name = experiment.name.clone().unwrap_or_else(default);
            if experiments.iter().any(|other| other.name == name) {
                bail!("experiment number {}: there is another named {name:?}", index + 1);
            }
            experiments.push(Experiment {
                name,
                producer,
                reference: experiment.reference.clone(),
            });
        }
        Ok(experiments)
    }
}

impl LoadProfile {
    fn check(&self, after_closed: bool) -> Result<()> {
        let producers = self.producers;
        ensure!(
            (1..=PRODUCERS_MAX).contains(&producers),
            "producers = {producers}: expected 1 to {PRODUCERS_MAX}"
        );
        match (self.mode, self.rate, self.share_of_closed) {
            (Mode::Closed, None, None) => Ok(()),
            (Mode::Closed, ..) => bail!("a closed loop has no rate and no share_of_closed"),
            (Mode::Open, Some(rate), None) => {
                ensure!(rate.is_finite() && rate > 0.0, "rate = {rate}: expected more than 0");
                Ok(())
            }
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

    const SEED: &str = include_str!("../../profiles/seed-producer.toml");

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
            ("share_of_closed = 0.5", "", "either rate or share_of_closed"),
            ("share_of_closed = 0.5", "share_of_closed = 7", "share_of_closed = 7"),
            ("\"linger.ms\" = 700", "\"linger.msec\" = 700", "linger.msec"),
            ("\"linger.ms\" = 700", "linger.ms = 700", "linger"),
            ("\"batch.size\" = 200000", "\"batch.size\" = 100000", "100000/0"),
            ("mean = 16.07", "", "mean"),
            ("title = ", "titel = ", "titel"),
            ("\"acks\" = \"all\"", "\"acks\" = \"most\"", "acks=most"),
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

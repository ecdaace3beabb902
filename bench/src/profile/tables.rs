//! The tables of a profile's file, as they are written.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::{ConsumerSettings, GroupsSettings, check_producers, check_rate};
use crate::figures::{Times, figure};
use crate::producer::ProducerSettings;

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
    /// The broker is stopped in order and started again; latency is from the start of its process
    /// to the acknowledgement of the first record of each partition.
    Restart,
    /// The same after the broker was killed with records that it had just acknowledged.
    Kill,
    /// All members of consumer groups join at once; the rate is that of members which settled, the
    /// latency that of a producer beside them.
    Join,
    /// One more member joins each group, so that all groups rebalance at once; figures as above.
    Rebalance,
}

impl Kind {
    /// As a profile says it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Produce => "produce",
            Kind::CatchUp => "catch-up",
            Kind::Tail => "tail",
            Kind::Restart => "restart",
            Kind::Kill => "kill",
            Kind::Join => "join",
            Kind::Rebalance => "rebalance",
        }
    }

    /// Whether the broker is stopped and started.
    pub fn is_start(self) -> bool {
        matches!(self, Kind::Restart | Kind::Kill)
    }

    /// Whether a round measures how long one thing takes, and not a load over time.
    pub fn is_event(self) -> bool {
        self.is_start() || matches!(self, Kind::Join | Kind::Rebalance)
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
    /// iggy-bench: what loads `--target iggy@FOLDER`, whatever a profile says.
    Iggy,
}

impl Driver {
    /// As a profile says it.
    pub fn name(self) -> &'static str {
        match self {
            Driver::Native => "native",
            Driver::Java => "java",
            Driver::Librdkafka => "librdkafka",
            Driver::Iggy => "iggy-bench",
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

/// A target with properties of its own.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TargetProfile {
    /// As `--target` takes it: `node`, `kafka`, `kafka-tuned`.
    pub kind: String,
    /// Over the profile's `broker`.
    #[serde(default)]
    pub broker: BTreeMap<String, Property>,
}

/// One setting in which an experiment differs from others: its place in a sweep.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Axis {
    /// The setting.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Axis {
    /// A setting and its value.
    pub fn new(key: &str, value: impl ToString) -> Axis {
        Axis { key: key.to_owned(), value: value.to_string() }
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
    /// Whether the requests to the device are traced, which needs root and tracefs.
    #[serde(default)]
    pub block_trace: bool,
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

/// What two experiments of the profile are to tell.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// In words.
    pub ask: String,
    /// An experiment.
    pub of: String,
    /// The one that it is held against.
    pub against: String,
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
    /// Over the profile's `groups`.
    #[serde(default)]
    pub groups: GroupsSettings,
    /// Instead of the profile's.
    #[serde(default)]
    pub link: LinkSettings,
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

/// The network between the load and the target.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LinkSettings {
    /// Its round-trip time; 0, the default, is loopback.
    pub rtt_ms: Option<u32>,
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

impl Reference {
    /// The figures as cells of a table: throughput, latency in ms.
    pub fn cells(&self) -> [String; 8] {
        let latency = &self.latency_ms;
        [
            self.records_per_second,
            self.mb_per_second,
            latency.mean,
            latency.p50,
            latency.p95,
            latency.p99,
            latency.p999,
            latency.max,
        ]
        .map(figure)
    }
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

impl LoadProfile {
    pub(super) fn check(&self, after_closed: bool) -> Result<()> {
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

//! [`Summary`]: summary.json, the result in numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Floor, Measured, RunResult};
use crate::client::Durability;
use crate::figures::{
    BYTES_PER_GIB, BYTES_PER_MB, BrokerUse, LatencySummary, MachineUse, Outcome, figure, known,
    nan_if_null,
};
use crate::host::Host;
use crate::profile::{Axis, Driver, Kind, Mode};
use crate::stats::Trend;

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary<'a> {
    /// The profile's name.
    pub profile: &'a str,
    /// The machine.
    pub host: &'a Host,
    /// What was measured: `ringlog`, `null`, or an address.
    pub target: &'a str,
    /// What its acknowledgements mean, unless an experiment says something else.
    pub durability: Durability,
    /// Why there is not more, if the run did not come to its end.
    pub partial: Option<&'a str>,
    /// In the order in which they ran.
    pub experiments: Vec<ExperimentSummary<'a>>,
}

/// One experiment under one load.
#[derive(Clone, Debug, Serialize)]
pub struct ExperimentSummary<'a> {
    /// `<batch.size>/<linger.ms>`, unless the profile gives it another.
    pub name: &'a str,
    /// What sets it apart from the others of its profile.
    pub axes: &'a [Axis],
    /// Closed or open loop.
    pub mode: Mode,
    /// The same in words: a tool that keeps to a rate is no open loop.
    pub load: &'static str,
    /// What was done.
    pub kind: Kind,
    /// By whom.
    pub driver: Driver,
    /// What the target's acknowledgements meant.
    pub durability: Durability,
    /// Open loop: records a second that were to be sent.
    pub target_rate: Option<f64>,
    /// Sustain: every rate that was tried on the way, in all rounds.
    pub tried: &'a [Tried],
    /// Acknowledged within the measured window.
    pub records_per_second: f64,
    /// The same in 2^20 bytes of values.
    pub mb_per_second: f64,
    /// Of the records that were sent within the window.
    pub latency_ms: LatencySummary,
    /// Records that were given up.
    pub errors: u64,
    /// Why, and how many for each reason.
    pub error_reasons: &'a BTreeMap<String, u64>,
    /// Per 2^30 bytes of values; `null` where the broker's process is not ours.
    pub broker_cpu_seconds_per_gib: Option<f64>,
    /// The kernel's part of that.
    pub broker_system_seconds_per_gib: Option<f64>,
    /// Processor time of the broker for each record, in microseconds: what says more than the above
    /// where records are few.
    pub broker_cpu_us_per_record: Option<f64>,
    /// What the rest of the machine did, in all rounds that count.
    pub machine: Option<MachineUse>,
    /// What the load itself took, for the same bytes: this program, or the tool that it ran.
    pub generator_cpu_seconds_per_gib: Option<f64>,
    /// The kernel's part of that.
    pub generator_system_seconds_per_gib: Option<f64>,
    /// CPU time of the generator for each second: 1 is one processor that never rests.
    pub generator_busy: Option<f64>,
    /// The most it took within the experiment.
    pub broker_rss_bytes: Option<u64>,
    /// Bytes that the broker caused to be written to storage, for each byte of values.
    pub broker_written_per_byte: Option<f64>,
    /// Switches of the broker's threads, for each thousand records.
    pub broker_switches_per_1000_records: Option<f64>,
    /// The producer's own metrics, under Kafka's names.
    pub client_metrics: &'a BTreeMap<String, f64>,
    /// What the load generator reaches with this load against a broker that stores nothing, where
    /// that was measured: the ceiling of what can be seen here.
    pub generator_ceiling_records_per_second: Option<f64>,
    /// The same load against that broker, whatever its pace: rate and latency that are the
    /// generator's own.
    pub generator_floor: Option<Floor>,
    /// Whether the broker came so near to that ceiling that the generator may be the limit.
    pub limited_by_generator: Option<bool>,
    /// Whether the rounds that count drift.
    pub trend: Option<Trend>,
    /// Every round by itself: what is compared.
    pub rounds: &'a [RoundFigures],
}

/// A rate that was tried in a search: a point of the latency-load curve.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
pub struct Tried {
    /// Records a second that were to be sent.
    pub rate: f64,
    /// That were acknowledged.
    pub records_per_second: f64,
    /// Median.
    #[serde(deserialize_with = "nan_if_null")]
    pub p50_ms: f64,
    /// What is bounded.
    #[serde(deserialize_with = "nan_if_null")]
    pub p99_ms: f64,
    /// Whether all of it went through within the bound.
    pub sustained: bool,
}

/// One round in numbers.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct RoundFigures {
    /// Whether it counts: the target was warm by then.
    #[serde(default = "yes")]
    pub counted: bool,
    /// How long it warmed up.
    #[serde(default)]
    pub warmup_seconds: f64,
    /// Whether its speed had stopped rising then; `null` where the warm-up was too short to tell.
    pub steady: Option<bool>,
    /// Acknowledged within the measured window.
    pub records_per_second: f64,
    /// Of the records that were sent within the window.
    pub latency_ms: LatencySummary,
    /// Records that were given up.
    #[serde(default)]
    pub errors: u64,
    /// Per 2^30 bytes of values.
    pub broker_cpu_seconds_per_gib: Option<f64>,
    /// Per record, in microseconds.
    #[serde(default)]
    pub broker_cpu_us_per_record: Option<f64>,
    /// The most memory that the broker held; after a start, what it holds when it rests.
    #[serde(default)]
    pub broker_rss_bytes: Option<u64>,
    /// What the rest of the machine did.
    #[serde(default)]
    pub machine: Option<MachineUse>,
}

/// Every round counted at first.
fn yes() -> bool {
    true
}

impl RoundFigures {
    /// Of a round whose values have so many bytes; of a search, with the rate that it came to.
    pub fn of(outcome: &Outcome, sustained: Option<f64>, value_bytes: usize) -> RoundFigures {
        let recording = &outcome.recording;
        RoundFigures {
            counted: true,
            warmup_seconds: outcome.warmup.seconds,
            steady: outcome.warmup.steady,
            records_per_second: sustained.unwrap_or(recording.records_per_second()),
            latency_ms: LatencySummary::of_outcome(outcome),
            errors: recording.lost,
            broker_cpu_seconds_per_gib: cpu_per_gib(outcome, value_bytes),
            broker_cpu_us_per_record: cpu_us_per_record(outcome),
            broker_rss_bytes: outcome.broker.map(|used| used.peak_rss_bytes),
            machine: outcome.machine,
        }
    }
}

fn cpu_per_gib(outcome: &Outcome, value_bytes: usize) -> Option<f64> {
    outcome.broker.and_then(|used| per_gib(used.cpu_seconds, outcome, value_bytes))
}

fn cpu_us_per_record(outcome: &Outcome) -> Option<f64> {
    let records = outcome.recording.records as f64;
    outcome.broker.filter(|_| records > 0.0).map(|used| used.cpu_seconds / records * 1e6)
}

/// Of something that an outcome has taken: for each 2^30 bytes of values.
fn per_gib(taken: f64, outcome: &Outcome, value_bytes: usize) -> Option<f64> {
    let gib = outcome.recording.records as f64 * value_bytes as f64 / BYTES_PER_GIB;
    (gib > 0.0).then(|| taken / gib)
}

impl<'a> Summary<'a> {
    /// Sums a run up.
    pub fn of(result: &'a RunResult) -> Summary<'a> {
        let env = &result.env;
        Summary {
            profile: &env.profile,
            host: &env.host,
            target: &env.target,
            durability: env.durability,
            partial: result.partial.as_deref(),
            experiments: result.measured.iter().map(ExperimentSummary::of).collect(),
        }
    }
}

impl<'a> ExperimentSummary<'a> {
    /// The figures as cells of a table: throughput, latency in ms, processor time, memory, loss.
    /// The first of them are those of [`Reference::cells`].
    ///
    /// [`Reference::cells`]: crate::profile::Reference::cells
    pub fn cells(&self) -> [String; 12] {
        let latency = self.latency_ms;
        [
            figure(self.records_per_second),
            known(Some(self.mb_per_second).filter(|_| !self.kind.is_event())),
            figure(latency.mean),
            figure(latency.p50),
            figure(latency.p95),
            figure(latency.p99),
            figure(latency.p999),
            figure(latency.max),
            known(self.broker_cpu_seconds_per_gib.filter(|_| !self.kind.is_event())),
            known(self.broker_cpu_us_per_record),
            known(self.broker_rss_bytes.map(|bytes| (bytes >> 20) as f64)),
            self.errors.to_string(),
        ]
    }

    /// Sums one experiment up.
    pub fn of(measured: &'a Measured) -> ExperimentSummary<'a> {
        let outcome = &measured.outcome;
        let bytes_per_second = measured.records_per_second() * measured.value_bytes as f64;
        let bytes = outcome.recording.records as f64 * measured.value_bytes as f64;
        let used = outcome.broker.filter(|_| bytes > 0.0);
        let per_gib = |taken: f64| per_gib(taken, outcome, measured.value_bytes);
        let generator = outcome.generator;
        let per_1000 = |used: BrokerUse| {
            used.context_switches as f64 / (outcome.recording.records as f64 / 1000.0)
        };
        ExperimentSummary {
            name: &measured.name,
            axes: &measured.axes,
            mode: measured.mode,
            load: measured.load(),
            kind: measured.kind,
            driver: measured.driver,
            durability: measured.durability,
            generator_ceiling_records_per_second: measured.ceiling(),
            generator_floor: measured.floor,
            limited_by_generator: measured.is_limited_by_generator(),
            target_rate: measured.target_rate,
            tried: &measured.tried,
            records_per_second: measured.records_per_second(),
            mb_per_second: bytes_per_second / BYTES_PER_MB,
            latency_ms: LatencySummary::of_outcome(outcome),
            errors: outcome.recording.lost,
            error_reasons: &outcome.recording.reasons,
            broker_cpu_seconds_per_gib: cpu_per_gib(outcome, measured.value_bytes),
            broker_system_seconds_per_gib: outcome
                .broker
                .and_then(|used| used.system_seconds)
                .and_then(per_gib),
            broker_cpu_us_per_record: cpu_us_per_record(outcome),
            machine: outcome.machine,
            generator_cpu_seconds_per_gib: generator.and_then(|used| per_gib(used.cpu_seconds)),
            generator_system_seconds_per_gib: generator
                .and_then(|used| per_gib(used.system_seconds)),
            generator_busy: generator.map(|used| used.busy),
            broker_rss_bytes: outcome.broker.map(|used| used.peak_rss_bytes),
            broker_written_per_byte: used
                .and_then(|used| used.written_bytes)
                .map(|written| written as f64 / bytes),
            broker_switches_per_1000_records: used.map(per_1000),
            client_metrics: &outcome.client_metrics,
            trend: measured.trend(),
            rounds: &measured.rounds,
        }
    }
}

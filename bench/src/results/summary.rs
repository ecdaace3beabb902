//! [`Summary`]: summary.json, the result in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Host, Measured, RunResult};
use crate::load::Latency;
use crate::profile::Mode;

/// As kafka-producer-perf-test counts them.
const BYTES_PER_MB: f64 = (1 << 20) as f64;
const BYTES_PER_GIB: f64 = (1 << 30) as f64;

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary<'a> {
    /// The profile's name.
    pub profile: &'a str,
    /// The machine.
    pub host: &'a Host,
    /// What was measured: `ringlog`, `null`, or an address.
    pub target: &'a str,
    /// What its acknowledgements mean.
    pub durability: &'a str,
    /// In the order in which they ran.
    pub experiments: Vec<ExperimentSummary<'a>>,
}

/// One experiment under one load.
#[derive(Clone, Debug, Serialize)]
pub struct ExperimentSummary<'a> {
    /// `<batch.size>/<linger.ms>`, unless the profile gives it another.
    pub name: &'a str,
    /// Closed or open loop.
    pub mode: Mode,
    /// Open loop: records a second that were to be sent.
    pub target_rate: Option<f64>,
    /// Acknowledged within the measured window.
    pub records_per_second: f64,
    /// The same in 2^20 bytes of values.
    pub mb_per_second: f64,
    /// Of the records that were sent within the window.
    pub latency_ms: LatencySummary,
    /// Records that were given up.
    pub errors: u64,
    /// Per 2^30 bytes of values; `null` where the broker's process is not ours.
    pub broker_cpu_seconds_per_gib: Option<f64>,
    /// The most it took within the experiment.
    pub broker_rss_bytes: Option<u64>,
    /// The producer's own metrics, under Kafka's names.
    pub client_metrics: &'a BTreeMap<String, f64>,
}

/// Latency in milliseconds.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, Serialize, PartialEq)]
pub struct LatencySummary {
    pub mean: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl<'a> Summary<'a> {
    /// Sums a run up.
    pub fn of(result: &'a RunResult) -> Summary<'a> {
        let env = &result.env;
        Summary {
            profile: &env.profile,
            host: &env.host,
            target: &env.target,
            durability: &env.durability,
            experiments: result.measured.iter().map(ExperimentSummary::of).collect(),
        }
    }
}

impl<'a> ExperimentSummary<'a> {
    /// Sums one experiment up.
    pub fn of(measured: &'a Measured) -> ExperimentSummary<'a> {
        let outcome = &measured.outcome;
        let bytes_per_second = measured.records_per_second() * measured.value_bytes as f64;
        let bytes = outcome.recording.records as f64 * measured.value_bytes as f64;
        let per_gib = |cpu_seconds: f64| cpu_seconds / (bytes / BYTES_PER_GIB);
        let cpu = outcome.broker.filter(|_| bytes > 0.0).map(|used| per_gib(used.cpu_seconds));
        ExperimentSummary {
            name: &measured.name,
            mode: measured.mode,
            target_rate: measured.target_rate,
            records_per_second: measured.records_per_second(),
            mb_per_second: bytes_per_second / BYTES_PER_MB,
            latency_ms: LatencySummary::of(&outcome.recording.latency),
            errors: outcome.recording.lost,
            broker_cpu_seconds_per_gib: cpu,
            broker_rss_bytes: outcome.broker.map(|used| used.peak_rss_bytes),
            client_metrics: &outcome.client_metrics,
        }
    }
}

impl LatencySummary {
    /// Sums latencies up that are in nanoseconds.
    pub fn of(latency: &Latency) -> LatencySummary {
        let at = |quantile: f64| latency.value_at_quantile(quantile) as f64 / 1e6;
        LatencySummary {
            mean: latency.mean() / 1e6,
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: latency.max() as f64 / 1e6,
        }
    }
}

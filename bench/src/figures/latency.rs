//! [`LatencySummary`]: a distribution of latencies in six numbers.

use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::load::Latency;

/// Latency in milliseconds.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
pub struct LatencySummary {
    #[serde(deserialize_with = "nan_if_null")]
    pub mean: f64,
    #[serde(deserialize_with = "nan_if_null")]
    pub p50: f64,
    #[serde(deserialize_with = "nan_if_null")]
    pub p95: f64,
    #[serde(deserialize_with = "nan_if_null")]
    pub p99: f64,
    #[serde(deserialize_with = "nan_if_null")]
    pub p999: f64,
    #[serde(deserialize_with = "nan_if_null")]
    pub max: f64,
}

/// What is not known is `null` in the file.
pub fn nan_if_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

impl LatencySummary {
    /// A round's latency: from its histogram, or as a tool has printed it.
    pub fn of_outcome(outcome: &Outcome) -> LatencySummary {
        outcome.printed.unwrap_or_else(|| LatencySummary::of(&outcome.recording.latency))
    }

    /// This mean of `count - 1` rounds with another round in it.
    #[must_use]
    pub fn mixed(self, round: LatencySummary, count: usize) -> LatencySummary {
        let mix = |mean: f64, one: f64| mean + (one - mean) / count as f64;
        LatencySummary {
            mean: mix(self.mean, round.mean),
            p50: mix(self.p50, round.p50),
            p95: mix(self.p95, round.p95),
            p99: mix(self.p99, round.p99),
            p999: mix(self.p999, round.p999),
            max: self.max.max(round.max),
        }
    }

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

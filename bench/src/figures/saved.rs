//! [`SavedOutcome`]: an outcome as JSON.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::{BrokerUse, GeneratorUse, LatencySummary, MachineUse, Outcome, Warmup};
use crate::client::Durability;
use crate::load::{Interval, Latency, Moment, Recording, new_histogram};

/// Intervals of an outcome at most: those of the window, and what came after it.
const INTERVALS_MAX: usize = 256;
/// Different values in a histogram at most: it holds no more.
const VALUES_MAX: usize = 1 << 16;
/// Metrics of a client, and different reasons for lost records, at most.
const NAMES_MAX: usize = 256;
/// A load's window at most, in seconds.
const SECONDS_MAX: f64 = 86_400.0;

/// A histogram as its values, in nanoseconds, with how often each was there: it comes out as it
/// went in, and takes no more memory than its bytes.
type Values = Vec<(u64, u64)>;

/// An outcome as it goes over a network, or into a file of a run that may be resumed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SavedOutcome {
    window_start_unix_ms: i64,
    seconds: f64,
    interval_seconds: f64,
    window_intervals: usize,
    intervals: Vec<(u64, Values)>,
    /// Where there are no intervals any more, or never were: what they came to.
    whole: Option<Whole>,
    lost: u64,
    reasons: BTreeMap<String, u64>,
    client_metrics: BTreeMap<String, f64>,
    durability: Durability,
    broker: Option<BrokerUse>,
    generator: Option<GeneratorUse>,
    machine: Option<MachineUse>,
    printed: Option<LatencySummary>,
    lateness: Values,
    warmup_seconds: f64,
    steady: Option<bool>,
}

/// A recording without its intervals.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    records: u64,
    latency: Values,
    /// Records, median and 99th percentile of each interval.
    series: Vec<(u64, u64, u64)>,
}

impl Whole {
    fn of(recording: &Recording) -> Whole {
        let moment = |moment: &Moment| (moment.records, moment.p50_ns, moment.p99_ns);
        Whole {
            records: recording.records,
            latency: values(&recording.latency),
            series: recording.series.iter().map(moment).collect(),
        }
    }
}

impl SavedOutcome {
    /// Of an outcome.
    pub fn of(outcome: &Outcome) -> SavedOutcome {
        let recording = &outcome.recording;
        let interval = |interval: &Interval| (interval.records, values(&interval.latency));
        SavedOutcome {
            window_start_unix_ms: outcome.window_start_unix_ms,
            seconds: recording.seconds,
            interval_seconds: recording.interval_seconds,
            window_intervals: recording.series.len(),
            intervals: recording.intervals.iter().map(interval).collect(),
            whole: recording.intervals.is_empty().then(|| Whole::of(recording)),
            lost: recording.lost,
            reasons: recording.reasons.clone(),
            // JSON has no word for what is not finite.
            client_metrics: outcome
                .client_metrics
                .iter()
                .filter(|(_, value)| value.is_finite())
                .map(|(name, value)| (name.clone(), *value))
                .collect(),
            durability: outcome.durability,
            broker: outcome.broker,
            generator: outcome.generator,
            machine: outcome.machine,
            printed: outcome.printed,
            lateness: values(&outcome.lateness),
            warmup_seconds: outcome.warmup.seconds,
            steady: outcome.warmup.steady,
        }
    }

    /// The outcome, checked: it may have come over a network.
    pub fn outcome(self) -> Result<Outcome> {
        let count = self.intervals.len();
        ensure!(count <= INTERVALS_MAX, "{count} intervals: at most {INTERVALS_MAX}");
        let within = self.whole.is_some() || (0..=count).contains(&self.window_intervals);
        let seconds = self.seconds > 0.0 && self.seconds <= SECONDS_MAX;
        ensure!(within && seconds && self.interval_seconds > 0.0, "a window that is none");
        let names = self.reasons.len().max(self.client_metrics.len());
        ensure!(names <= NAMES_MAX, "{names} names: at most {NAMES_MAX}");
        let interval = |(records, values): (u64, Values)| {
            Ok(Interval { records, latency: histogram(&values)? })
        };
        let intervals = self.intervals.into_iter().map(interval).collect::<Result<Vec<_>>>()?;
        let window = (self.seconds, self.interval_seconds, self.window_intervals);
        let mut recording = Recording::of_intervals(window, intervals, self.lost, self.reasons);
        if let Some(whole) = self.whole {
            ensure!(whole.series.len() <= INTERVALS_MAX, "{} intervals", whole.series.len());
            let moment =
                |(records, p50_ns, p99_ns): (u64, u64, u64)| Moment { records, p50_ns, p99_ns };
            recording.records = whole.records;
            recording.latency = histogram(&whole.latency)?;
            recording.series = whole.series.into_iter().map(moment).collect();
        }
        let warmup = Warmup { seconds: self.warmup_seconds, steady: self.steady };
        Ok(Outcome {
            client_metrics: self.client_metrics,
            durability: self.durability,
            broker: self.broker,
            generator: self.generator,
            machine: self.machine,
            printed: self.printed,
            lateness: histogram(&self.lateness)?,
            ..Outcome::new(self.window_start_unix_ms, recording, warmup)
        })
    }
}

fn values(latency: &Latency) -> Values {
    latency.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
}

fn histogram(values: &Values) -> Result<Latency> {
    ensure!(values.len() <= VALUES_MAX, "{} latencies: at most {VALUES_MAX}", values.len());
    let mut latency = new_histogram();
    for (value, count) in values {
        latency.record_n(*value, *count).context("a latency beyond two minutes")?;
    }
    Ok(latency)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(latencies: &[u64]) -> Outcome {
        let mut latency = new_histogram();
        for value in latencies {
            latency.record(*value).expect("within bounds");
        }
        let records = latencies.len() as u64;
        let intervals =
            vec![Interval { records, latency }, Interval { records: 1, latency: new_histogram() }];
        let recording = Recording::of_intervals((0.5, 0.5, 1), intervals, 0, BTreeMap::new());
        Outcome::new(7, recording, Warmup { seconds: 1.0, steady: Some(true) })
    }

    #[test]
    fn what_is_sent_comes_out_as_it_went_in() {
        let sent = outcome(&[1_000, 5_000_000, 5_000_000, 119_000_000_000]);
        let text = serde_json::to_string(&SavedOutcome::of(&sent)).expect("JSON");
        let part: SavedOutcome = serde_json::from_str(&text).expect("the same");
        let came = part.outcome().expect("valid");
        assert_eq!(came.recording.latency, sent.recording.latency);
        assert_eq!(came.recording.series, sent.recording.series);
        assert_eq!((came.recording.records, came.recording.seconds), (4, 0.5));
        assert_eq!((came.window_start_unix_ms, came.warmup), (7, sent.warmup));
        // The same without the intervals, as a run keeps it that may be resumed.
        let mut kept = sent.clone();
        kept.recording.forget_intervals();
        let came = SavedOutcome::of(&kept).outcome().expect("valid");
        assert_eq!(came.recording.latency, sent.recording.latency);
        assert_eq!(came.recording.series, sent.recording.series);
        assert_eq!((came.recording.records, came.recording.seconds), (4, 0.5));
    }

    #[test]
    fn what_nobody_counts_is_refused() {
        let part = || SavedOutcome::of(&outcome(&[1_000]));
        let many = (0..300).map(|_| (0, Values::new())).collect();
        let names = (0..300).map(|n| (n.to_string(), 1)).collect();
        let wrong = [
            (SavedOutcome { intervals: many, ..part() }, "300 intervals"),
            (SavedOutcome { window_intervals: 3, ..part() }, "a window"),
            (SavedOutcome { seconds: f64::NAN, ..part() }, "a window"),
            (SavedOutcome { seconds: 1e9, ..part() }, "a window"),
            (SavedOutcome { reasons: names, ..part() }, "300 names"),
            (SavedOutcome { lateness: vec![(u64::MAX, 1)], ..part() }, "two minutes"),
            (
                SavedOutcome { lateness: vec![(1, 1); VALUES_MAX + 1], ..part() },
                "latencies: at most",
            ),
        ];
        for (part, expected) in wrong {
            let error = format!("{:#}", part.outcome().expect_err(expected));
            assert!(error.contains(expected), "{error}");
        }
    }
}

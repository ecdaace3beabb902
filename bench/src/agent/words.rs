//! What agents and who commands them say to each other, as JSON.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::experiment::{GeneratorUse, Live, Outcome, Warmup};
use crate::load::{Interval, Latency, Recording, new_histogram};
use crate::profile::Kind;
use crate::results::{Host, Versions};

/// Intervals of a part at most: those of the window, and what came after it.
const INTERVALS_MAX: usize = 256;
/// Different values in a histogram at most: it holds no more.
const VALUES_MAX: usize = 1 << 16;
/// Metrics of a client, and different reasons for lost records, at most.
const NAMES_MAX: usize = 256;
/// A load's window at most, in seconds.
const SECONDS_MAX: f64 = 86_400.0;

/// To an agent.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub enum Order {
    /// Make ready for this part of a load.
    Prepare(Box<Plan>),
    /// All are ready: begin.
    Begin,
}

/// An agent's part of one load in one round.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The profile's text; the agent checks it as if it had read the file.
    pub profile: String,
    /// Which of its experiments.
    pub experiment: usize,
    /// Which of its loads.
    pub load: usize,
    /// What is done: that of the experiment, but for its floor.
    pub kind: Kind,
    /// Records a second of this agent; without it a closed loop.
    pub rate: Option<f64>,
    /// The broker. Without it one that stores nothing, which the agent starts on its own host.
    pub bootstrap: Option<String>,
    /// Whether the topic is there, for all agents. Without that the agent makes one of that name.
    pub topic_is_shared: bool,
    /// Its name.
    pub topic: String,
    /// Not measured.
    pub warmup_seconds: f64,
    /// Measured.
    pub seconds: f64,
}

/// From an agent.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub enum Word {
    /// The first one.
    Hello(Box<Hello>),
    /// All is prepared.
    Ready,
    /// How it is getting on.
    Live(Live),
    /// What came of it.
    Done(Box<Part>),
    /// Why nothing came of it.
    Failed(String),
}

/// Who an agent is.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Its build.
    pub versions: Versions,
    /// Its machine.
    pub host: Host,
}

/// A load host of a run, as env.json knows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AgentEnv {
    /// As the profile names it.
    pub address: String,
    /// Its build.
    pub versions: Versions,
    /// Its machine.
    pub host: Host,
}

/// A histogram as its values, in nanoseconds, with how often each was there: it comes out as it
/// went in, and takes no more memory than its bytes.
type Values = Vec<(u64, u64)>;

/// What one agent counted.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    window_start_unix_ms: i64,
    seconds: f64,
    interval_seconds: f64,
    window_intervals: usize,
    intervals: Vec<(u64, Values)>,
    lost: u64,
    reasons: BTreeMap<String, u64>,
    client_metrics: BTreeMap<String, f64>,
    generator: Option<GeneratorUse>,
    lateness: Values,
    warmup_seconds: f64,
    steady: Option<bool>,
}

impl Part {
    /// Of an outcome of the native driver.
    pub fn of(outcome: &Outcome) -> Part {
        let recording = &outcome.recording;
        let interval = |interval: &Interval| (interval.records, values(&interval.latency));
        Part {
            window_start_unix_ms: outcome.window_start_unix_ms,
            seconds: recording.seconds,
            interval_seconds: recording.interval_seconds,
            window_intervals: recording.series.len(),
            intervals: recording.intervals.iter().map(interval).collect(),
            lost: recording.lost,
            reasons: recording.reasons.clone(),
            // JSON has no word for what is not finite.
            client_metrics: outcome
                .client_metrics
                .iter()
                .filter(|(_, value)| value.is_finite())
                .map(|(name, value)| (name.clone(), *value))
                .collect(),
            generator: outcome.generator,
            lateness: values(&outcome.lateness),
            warmup_seconds: outcome.warmup.seconds,
            steady: outcome.warmup.steady,
        }
    }

    /// The outcome, checked: it came over a network.
    pub fn outcome(self) -> Result<Outcome> {
        let count = self.intervals.len();
        ensure!(count <= INTERVALS_MAX, "{count} intervals: at most {INTERVALS_MAX}");
        let within = (0..=count).contains(&self.window_intervals);
        let seconds = self.seconds > 0.0 && self.seconds <= SECONDS_MAX;
        ensure!(within && seconds && self.interval_seconds > 0.0, "a window that is none");
        let names = self.reasons.len().max(self.client_metrics.len());
        ensure!(names <= NAMES_MAX, "{names} names: at most {NAMES_MAX}");
        let interval = |(records, values): (u64, Values)| {
            Ok(Interval { records, latency: histogram(&values)? })
        };
        let intervals = self.intervals.into_iter().map(interval).collect::<Result<Vec<_>>>()?;
        let window = (self.seconds, self.interval_seconds, self.window_intervals);
        let recording = Recording::of_intervals(window, intervals, self.lost, self.reasons);
        let warmup = Warmup { seconds: self.warmup_seconds, steady: self.steady };
        Ok(Outcome {
            client_metrics: self.client_metrics,
            generator: self.generator,
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
        let text = serde_json::to_string(&Part::of(&sent)).expect("JSON");
        let part: Part = serde_json::from_str(&text).expect("the same");
        let came = part.outcome().expect("valid");
        assert_eq!(came.recording.latency, sent.recording.latency);
        assert_eq!(came.recording.series, sent.recording.series);
        assert_eq!((came.recording.records, came.recording.seconds), (4, 0.5));
        assert_eq!((came.window_start_unix_ms, came.warmup), (7, sent.warmup));
    }

    #[test]
    fn what_no_agent_counts_is_refused() {
        let part = || Part::of(&outcome(&[1_000]));
        let many = (0..300).map(|_| (0, Values::new())).collect();
        let names = (0..300).map(|n| (n.to_string(), 1)).collect();
        let wrong = [
            (Part { intervals: many, ..part() }, "300 intervals"),
            (Part { window_intervals: 3, ..part() }, "a window"),
            (Part { seconds: f64::NAN, ..part() }, "a window"),
            (Part { seconds: 1e9, ..part() }, "a window"),
            (Part { reasons: names, ..part() }, "300 names"),
            (Part { lateness: vec![(u64::MAX, 1)], ..part() }, "two minutes"),
            (Part { lateness: vec![(1, 1); VALUES_MAX + 1], ..part() }, "latencies: at most"),
        ];
        for (part, expected) in wrong {
            let error = format!("{:#}", part.outcome().expect_err(expected));
            assert!(error.contains(expected), "{error}");
        }
    }
}

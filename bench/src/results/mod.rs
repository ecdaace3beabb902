//! What a run leaves behind: a folder with summary.json, env.json, the profile, interval logs.

mod card;
mod env;
mod folder;
mod interval_log;
mod read;
mod series;
mod summary;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::client::Durability;
use crate::figures::{LatencySummary, Outcome};
use crate::load::Moment;
use crate::profile::{Axis, Driver, Experiment, Kind, LoadedProfile, Mode, Reference};
use crate::stats::{Trend, trend};

pub use card::{CARD, Card, command_line};
pub use env::DeviceFloor;
pub use env::Env;
pub use folder::{ENV, INCOMPLETE, PROFILE, REPORT, ResultFolder, SUMMARY, VERDICT};
pub use interval_log::{latency_log, latency_log_name, read_latency_log};
pub use series::{SERIES, read_series, write_series};
pub use summary::{ExperimentSummary, RoundFigures, Summary, Tried};

/// A broker that reaches this share of what the generator can do may be faster than it was seen.
const NEAR_CEILING: f64 = 0.8;
/// The native generator is one thread: one that works for this share of the time is the limit.
const BUSY: f64 = 0.95;

/// A load against a broker that checks records and stores none: no broker can be seen to be faster
/// with this generator on this machine.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
pub struct Floor {
    /// Acknowledged.
    pub records_per_second: f64,
    /// Their latency; `null` where the driver does not say.
    #[serde(deserialize_with = "crate::figures::nan_if_null")]
    pub p50_ms: f64,
    /// The higher percentile.
    #[serde(deserialize_with = "crate::figures::nan_if_null")]
    pub p99_ms: f64,
    /// For how long.
    #[serde(default)]
    pub seconds: Option<f64>,
}

impl Floor {
    /// Of what came of the load.
    pub fn of(outcome: &Outcome) -> Floor {
        let latency = LatencySummary::of_outcome(outcome);
        let records_per_second = outcome.recording.records_per_second();
        let seconds = Some(outcome.recording.seconds);
        Floor { records_per_second, p50_ms: latency.p50, p99_ms: latency.p99, seconds }
    }
}

/// A round of an experiment under one load, as it was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What came of it.
    pub outcome: Outcome,
    /// Open loop: records a second that were to be sent.
    pub target_rate: Option<f64>,
    /// Sustain: every rate that was tried on the way, and the rate that it comes to.
    pub tried: Vec<Tried>,
    /// As above.
    pub sustained: Option<f64>,
}

/// One experiment under one load, measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The experiment's name.
    pub name: String,
    /// What sets it apart from the others of its profile.
    pub axes: Vec<Axis>,
    /// The load.
    pub mode: Mode,
    /// What was done.
    pub kind: Kind,
    /// By whom.
    pub driver: Driver,
    /// What the target's acknowledgements meant.
    pub durability: Durability,
    /// What the same load came to against a broker that stores nothing.
    pub floor: Option<Floor>,
    /// Through a link with delay, whose threads are the generator's too.
    pub through_link: bool,
    /// Of a result read from its folder: what was said of the generator when it ran.
    pub was_limited: Option<bool>,
    /// Open loop: records a second that were to be sent.
    pub target_rate: Option<f64>,
    /// Sustain: every rate that was tried on the way.
    pub tried: Vec<Tried>,
    /// Bytes of a record's value.
    pub value_bytes: usize,
    /// Each round by itself, those that do not count among them.
    pub rounds: Vec<RoundFigures>,
    /// How each of them went.
    pub series: Vec<RoundSeries>,
    /// What came of those that count together.
    pub outcome: Outcome,
    /// Somebody else's figures for the same.
    pub reference: Option<Reference>,
}

/// The figure that a load is for.
#[derive(Clone, Debug, PartialEq)]
pub struct MainFigure {
    /// In words.
    pub name: &'static str,
    /// Of its values.
    pub unit: &'static str,
    /// Whether a larger one is better.
    pub more_is_better: bool,
    /// Of each round that counts.
    pub rounds: Vec<f64>,
}

/// How a round went: its intervals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoundSeries {
    /// Seconds of one.
    pub interval_seconds: f64,
    /// What was seen in each.
    pub moments: Vec<Moment>,
}

impl Measured {
    /// Of rounds, of which the first ones were not warm yet; `None` without any.
    pub fn of(
        experiment: &Experiment,
        mode: Mode,
        cold: usize,
        taken: &[Taken],
    ) -> Option<Measured> {
        let value_bytes = experiment.values.value_bytes;
        let mut counted = taken.iter().skip(cold);
        let first = counted.next()?;
        let mut outcome = first.outcome.clone();
        for (index, round) in counted.enumerate() {
            outcome.add(round.outcome.clone(), index + 2);
        }
        let figures = |(index, round): (usize, &Taken)| RoundFigures {
            counted: index >= cold,
            ..RoundFigures::of(&round.outcome, round.sustained, value_bytes)
        };
        let series = |round: &Taken| RoundSeries {
            interval_seconds: round.outcome.recording.interval_seconds,
            moments: round.outcome.recording.series.clone(),
        };
        Some(Measured {
            name: experiment.name.clone(),
            axes: experiment.axes.clone(),
            mode,
            kind: experiment.kind,
            driver: experiment.driver,
            durability: outcome.durability,
            floor: None,
            through_link: false,
            was_limited: None,
            target_rate: first.target_rate,
            tried: taken.iter().flat_map(|round| round.tried.clone()).collect(),
            value_bytes,
            rounds: taken.iter().enumerate().map(figures).collect(),
            series: taken.iter().map(series).collect(),
            outcome,
            reference: experiment.reference.clone(),
        })
    }

    /// The reference's figures, for below this row of a table. They stand once, below the last
    /// row of their experiment.
    pub fn reference_below(&self, next: Option<&Measured>) -> Option<&Reference> {
        let last = next.is_none_or(|next| next.name != self.name);
        self.reference.as_ref().filter(|_| last)
    }

    /// The rounds that count.
    pub fn counted(&self) -> impl Iterator<Item = &RoundFigures> {
        self.rounds.iter().filter(|round| round.counted)
    }

    /// Its load, as it is listed.
    pub fn load(&self) -> &'static str {
        load_name(self.kind, self.mode, self.driver)
    }

    /// What its rate is of.
    fn rate_unit(&self) -> &'static str {
        match self.kind {
            Kind::Join | Kind::Rebalance => "members/s",
            _ => "records/s",
        }
    }

    /// Experiment and load, as they are listed.
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.load())
    }

    /// Whether both are the same experiment under the same load with the same promise.
    pub fn is_like(&self, other: &Measured) -> bool {
        let of = |one: &Measured| (one.mode, one.driver, one.durability, one.target_rate.is_some());
        self.name == other.name && of(self) == of(other)
    }

    /// Records a second that a closed loop comes to where nothing is stored.
    pub fn ceiling(&self) -> Option<f64> {
        let closed = self.mode == Mode::Closed;
        self.floor.filter(|_| closed).map(|floor| floor.records_per_second)
    }

    /// Whether the generator may have been the limit: it was near to what it can do, never rested,
    /// or was late itself by much of what it measured.
    pub fn is_limited_by_generator(&self) -> Option<bool> {
        if self.was_limited.is_some() {
            return self.was_limited;
        }
        let lateness = &self.outcome.lateness;
        let p99 = self.outcome.recording.latency.value_at_quantile(0.99);
        let late = (!lateness.is_empty()).then(|| 2 * lateness.value_at_quantile(0.99) > p99);
        let near = self.ceiling().map(|most| self.records_per_second() > NEAR_CEILING * most);
        let native = self.driver == Driver::Native && !self.through_link;
        let busy = self.outcome.generator.filter(|_| native).map(|used| used.busy > BUSY);
        late.into_iter().chain(near).chain(busy).reduce(|one, other| one || other)
    }

    /// Records acknowledged within the window, a second: the mean of the rounds that count.
    pub fn records_per_second(&self) -> f64 {
        let (sum, count) = self
            .counted()
            .fold((0.0, 0), |(sum, count), round| (sum + round.records_per_second, count + 1));
        sum / f64::from(count.max(1))
    }

    /// Whether the rounds that count drift, and where to: what the load is for, rate or latency.
    pub fn trend(&self) -> Option<Trend> {
        trend(&self.main_figure().rounds)
    }

    /// What the load is for.
    pub fn main_figure(&self) -> MainFigure {
        type Value = fn(&RoundFigures) -> f64;
        let (name, unit, more_is_better, value): (_, _, _, Value) = match self.mode {
            _ if self.kind.is_start() => {
                ("time to start", "ms", false, |round| round.latency_ms.max)
            }
            Mode::Closed | Mode::Sustain => {
                ("rate", self.rate_unit(), true, |round| round.records_per_second)
            }
            Mode::Open => ("99th percentile of latency", "ms", false, |round| round.latency_ms.p99),
        };
        let rounds = self.counted().map(value).collect();
        MainFigure { name, unit, more_is_better, rounds }
    }
}

/// How a load is listed: by what happens, where that is no load over time. A tool that keeps to a
/// rate waits for a full buffer like any closed loop, and its clock begins when it sends: it is
/// `throttled`, which is no open loop.
pub fn load_name(kind: Kind, mode: Mode, driver: Driver) -> &'static str {
    match (mode, driver) {
        _ if kind.is_event() => kind.name(),
        (Mode::Open, Driver::Java | Driver::Librdkafka | Driver::Iggy) => "throttled",
        (mode, _) => mode.name(),
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// Where and how.
    pub env: Env,
    /// What was asked for.
    pub profile: LoadedProfile,
    /// In the order in which they ran.
    pub measured: Vec<Measured>,
    /// Why there is not more, if the run did not come to its end.
    pub partial: Option<String>,
}

impl RunResult {
    /// Records that were given up, in rounds that do not count too.
    pub fn lost(&self) -> u64 {
        self.measured.iter().flat_map(|measured| &measured.rounds).map(|round| round.errors).sum()
    }
}

/// As every JSON file here is written.
pub fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

//! What a run leaves behind: a folder with summary.json, env.json, the profile, interval logs.

mod env;
mod folder;
mod hardware;
mod host;
mod interval_log;
mod read;
mod summary;
mod utc;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::experiment::Outcome;
use crate::profile::{Driver, Kind, LoadedProfile, Mode, Reference};
use crate::{report, table};

pub use env::{Env, Versions};
pub use folder::{INCOMPLETE, ResultFolder, SUMMARY};
pub use hardware::{Cgroup, CpuIdle, Nic};
pub use host::{FileSystem, Host};
pub use interval_log::{interval_log, interval_log_name, read_interval_log};
pub use summary::{ExperimentSummary, LatencySummary, RoundFigures, Summary, Tried};
pub use utc::{utc, utc_in_name};

/// A broker that reaches this share of what the generator can do may be faster than it was seen.
const NEAR_CEILING: f64 = 0.8;
/// The native generator is one thread: one that works for this share of the time is the limit.
const BUSY: f64 = 0.95;

/// What was found, in words and a table.
pub const VERDICT: &str = "verdict.md";

/// A load against a broker that checks records and stores none: no broker can be seen to be faster
/// with this generator on this machine.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
pub struct Floor {
    /// Acknowledged.
    pub records_per_second: f64,
    /// Their latency; `null` where the driver does not say.
    #[serde(deserialize_with = "summary::nan_if_null")]
    pub p50_ms: f64,
    /// The higher percentile.
    #[serde(deserialize_with = "summary::nan_if_null")]
    pub p99_ms: f64,
}

impl Floor {
    /// Of what came of the load.
    pub fn of(outcome: &Outcome) -> Floor {
        let latency = LatencySummary::of_outcome(outcome);
        let records_per_second = outcome.recording.records as f64 / outcome.recording.seconds;
        Floor { records_per_second, p50_ms: latency.p50, p99_ms: latency.p99 }
    }
}

/// One experiment under one load, measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The experiment's name.
    pub name: String,
    /// The load.
    pub mode: Mode,
    /// What was done.
    pub kind: Kind,
    /// By whom.
    pub driver: Driver,
    /// What the target's acknowledgements meant.
    pub durability: String,
    /// What the same load came to against a broker that stores nothing.
    pub floor: Option<Floor>,
    /// Of a result read from its folder: what was said of the generator when it ran.
    pub was_limited: Option<bool>,
    /// Open loop: records a second that were to be sent.
    pub target_rate: Option<f64>,
    /// Sustain: every rate that was tried on the way.
    pub tried: Vec<Tried>,
    /// Bytes of a record's value.
    pub value_bytes: usize,
    /// Each round by itself.
    pub rounds: Vec<RoundFigures>,
    /// What came of all of them together.
    pub outcome: Outcome,
    /// Somebody else's figures for the same.
    pub reference: Option<Reference>,
}

impl Measured {
    /// Adds another round.
    pub fn add(&mut self, round: Outcome) {
        self.rounds.push(RoundFigures::of(&round, self.value_bytes));
        self.outcome.add(round, self.rounds.len());
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
        let native = self.driver == Driver::Native;
        let busy = self.outcome.generator.filter(|_| native).map(|used| used.busy > BUSY);
        late.into_iter().chain(near).chain(busy).reduce(|one, other| one || other)
    }

    /// Records acknowledged within the window, a second.
    pub fn records_per_second(&self) -> f64 {
        let recording = &self.outcome.recording;
        recording.records as f64 / recording.seconds
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
    /// Writes everything that is known once the run has ended.
    pub fn write(&self, folder: &ResultFolder) -> Result<()> {
        folder.write(VERDICT, self.verdict().as_bytes())?;
        folder.write("report.html", report::render(std::slice::from_ref(self), None).as_bytes())?;
        folder.write(SUMMARY, &json(&Summary::of(self))?)
    }

    /// What was found, as a file that is read without a browser.
    fn verdict(&self) -> String {
        let env = &self.env;
        let mut text = format!(
            "# {}, {}\n\nTarget {}, durability {}. {} round(s) of {} s. {}.\n",
            self.profile.profile.title,
            env.started,
            env.target,
            env.durability,
            env.rounds,
            env.seconds,
            env.host.cpu_model.as_deref().unwrap_or("a processor that does not say its name"),
        );
        if let Some(why) = &self.partial {
            text.push_str(&format!("\nNot whole: {why}\n"));
        }
        text.push_str(&format!("\n```text\n{}```\n", table::render(self)));
        text.push_str(&format!("\n```text\n{}```\n", table::generator(self)));
        let limited = self.measured.iter().filter(|m| m.is_limited_by_generator() == Some(true));
        for measured in limited {
            let (name, mode) = (&measured.name, measured.mode.name());
            text.push_str(&format!("\n{name}, {mode}: limited by the generator.\n"));
        }
        text
    }

    /// Records that were given up.
    pub fn lost(&self) -> u64 {
        self.measured.iter().map(|measured| measured.outcome.recording.lost).sum()
    }
}

/// As every JSON file here is written.
pub fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

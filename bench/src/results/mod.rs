//! What a run leaves behind: a folder with summary.json, env.json, the profile, interval logs.

mod env;
mod folder;
mod host;
mod interval_log;
mod summary;
mod utc;

use anyhow::Result;

use crate::experiment::Outcome;
use crate::profile::{LoadedProfile, Mode, Reference};
use crate::report;

pub use env::{Env, Versions};
pub use folder::{INCOMPLETE, ResultFolder, SUMMARY};
pub use host::{FileSystem, Host};
pub use interval_log::{interval_log, interval_log_name};
pub use summary::{ExperimentSummary, LatencySummary, RoundFigures, Summary};
pub use utc::{utc, utc_in_name};

/// One experiment under one load, measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The experiment's name.
    pub name: String,
    /// The load.
    pub mode: Mode,
    /// Open loop: records a second that were to be sent.
    pub target_rate: Option<f64>,
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
}

impl RunResult {
    /// Writes everything that is known once the run has ended.
    pub fn write(&self, folder: &ResultFolder) -> Result<()> {
        folder.write("report.html", report::render(self).as_bytes())?;
        folder.write(SUMMARY, &json(&Summary::of(self))?)
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

//! What a run keeps of the experiments that have ended, so that it can go on after an interruption:
//! a claim of eight rounds may take hours.
//!
//! An experiment that was under way is begun anew: its targets were stopped, and rounds before and
//! after that would not be of the same process.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::figures::SavedOutcome;
use crate::results::{Floor, Taken, Tried};

/// A line for each experiment that has ended; gone when the run has.
pub const FINISHED: &str = "finished.jsonl";

/// One experiment: of each target its loads.
#[derive(Debug, Deserialize, Serialize)]
pub struct FinishedExperiment {
    /// Its number in the profile.
    pub experiment: usize,
    /// How many rounds do not count.
    pub cold: usize,
    /// In the order of the run's targets; of each the loads in the profile's order.
    pub targets: Vec<Vec<FinishedLoad>>,
}

/// One load: its rounds.
#[derive(Debug, Deserialize, Serialize)]
pub struct FinishedLoad {
    /// In their order.
    pub rounds: Vec<FinishedRound>,
    /// The same load where nothing is stored.
    pub floor: Option<Floor>,
}

/// One round.
#[derive(Debug, Deserialize, Serialize)]
pub struct FinishedRound {
    outcome: SavedOutcome,
    target_rate: Option<f64>,
    tried: Vec<Tried>,
    sustained: Option<f64>,
}

impl FinishedRound {
    /// Of a round that was taken.
    pub fn of(taken: &Taken) -> FinishedRound {
        FinishedRound {
            outcome: SavedOutcome::of(&taken.outcome),
            target_rate: taken.target_rate,
            tried: taken.tried.clone(),
            sustained: taken.sustained,
        }
    }

    fn taken(self) -> Result<Taken> {
        Ok(Taken {
            outcome: self.outcome.outcome()?,
            target_rate: self.target_rate,
            tried: self.tried,
            sustained: self.sustained,
        })
    }
}

impl FinishedLoad {
    /// The rounds as they were taken.
    pub fn taken(self) -> Result<Vec<Taken>> {
        self.rounds.into_iter().map(FinishedRound::taken).collect()
    }
}

/// Adds an experiment to those that have ended.
pub fn keep(folder: &Path, finished: &FinishedExperiment) -> Result<()> {
    let path = folder.join(FINISHED);
    let mut line = serde_json::to_vec(finished)?;
    line.push(b'\n');
    let file = OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(&line).and_then(|()| file.sync_data()))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The experiments that have ended. A line that was cut short by the interruption is left out.
pub fn read(folder: &Path) -> Result<Vec<FinishedExperiment>> {
    let path = folder.join(FINISHED);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
    };
    let mut all = Vec::new();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let one: FinishedExperiment =
            serde_json::from_str(line).with_context(|| format!("{}", path.display()))?;
        ensure!(one.experiment == all.len(), "{}: an experiment is missing", path.display());
        all.push(one);
    }
    Ok(all)
}

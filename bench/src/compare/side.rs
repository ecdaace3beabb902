//! [`Side`]: a result that was read to be compared.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::client::Durability;
use crate::profile::{Driver, Kind, Mode};
use crate::results::{ENV, INCOMPLETE, PROFILE, RoundFigures, SUMMARY, load_name};
use crate::stats::Trend;

/// One target of a result.
#[derive(Clone, Debug)]
pub struct Side {
    /// Where it lies.
    pub path: PathBuf,
    /// What was measured.
    pub label: String,
    /// What its acknowledgements mean, unless an experiment says something else.
    pub durability: Durability,
    /// The machine.
    pub host: Value,
    /// What the profile says of the load.
    pub load: Value,
    /// What was measured.
    pub experiments: Vec<Experiment>,
}

/// An experiment with its rounds.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// As the profile names it.
    pub name: String,
    /// What was done.
    pub kind: Kind,
    /// Who loaded the target.
    pub driver: Driver,
    /// Closed or open loop.
    pub mode: Mode,
    /// The same in words.
    pub load: &'static str,
    /// Which of the experiment's loads of that mode it is.
    pub nth: usize,
    /// Open loop: records a second that were to be sent.
    pub target_rate: Option<f64>,
    /// What acknowledgements meant.
    pub durability: Durability,
    /// Each round that counts, by itself.
    pub rounds: Vec<RoundFigures>,
    /// Whether they drift.
    pub trend: Option<Trend>,
}

#[derive(Deserialize)]
struct Summary {
    target: String,
    #[serde(default)]
    durability: Durability,
    host: Value,
    experiments: Vec<SummaryExperiment>,
}

#[derive(Deserialize)]
struct SummaryExperiment {
    name: String,
    #[serde(default)]
    kind: Kind,
    mode: Mode,
    target_rate: Option<f64>,
    durability: Option<Durability>,
    #[serde(default)]
    driver: Driver,
    #[serde(default)]
    trend: Option<Trend>,
    #[serde(default)]
    rounds: Vec<RoundFigures>,
    /// The figures of a result from before there were rounds.
    #[serde(flatten)]
    whole: RoundFigures,
}

impl Side {
    /// The targets of a result: that of its summary, or those of the folders in it.
    pub fn read(path: &Path) -> Result<Vec<Side>> {
        let shown = path.display();
        ensure!(path.is_dir(), "{shown} is no folder");
        ensure!(!path.join(INCOMPLETE).exists(), "{shown} is incomplete: its run has failed");
        Self::read_targets(path)
    }

    /// The same of a folder whose run is just ending: its targets' folders are whole.
    pub fn read_targets(path: &Path) -> Result<Vec<Side>> {
        let shown = path.display();
        if path.join(SUMMARY).exists() {
            return Ok(vec![Self::read_one(path)?]);
        }
        let mut names: Vec<PathBuf> = fs::read_dir(path)
            .with_context(|| format!("{shown}"))?
            .flatten()
            .map(|entry| entry.path())
            .filter(|folder| folder.join(SUMMARY).exists())
            .collect();
        names.sort();
        let mut sides: Vec<Side> = Vec::new();
        for folder in names {
            ensure!(!folder.join(INCOMPLETE).exists(), "{} is incomplete", folder.display());
            sides.push(Self::read_one(&folder)?);
        }
        ensure!(!sides.is_empty(), "{shown} holds no result: there is no {SUMMARY}");
        Ok(sides)
    }

    fn read_one(path: &Path) -> Result<Side> {
        let file = path.join(SUMMARY);
        let context = || format!("{}", file.display());
        let text = fs::read_to_string(&file).with_context(context)?;
        let summary: Summary = serde_json::from_str(&text).with_context(context)?;
        let mut experiments: Vec<Experiment> = Vec::new();
        for one in summary.experiments {
            let mut rounds = if one.rounds.is_empty() { vec![one.whole] } else { one.rounds };
            rounds.retain(|round| round.counted);
            let mut experiment = Experiment {
                kind: one.kind,
                driver: one.driver,
                load: load_name(one.kind, one.mode, one.driver),
                name: one.name,
                mode: one.mode,
                nth: 0,
                target_rate: one.target_rate,
                durability: one.durability.unwrap_or(summary.durability),
                rounds,
                trend: one.trend,
            };
            let same = |other: &&Experiment| {
                other.is_like(&Experiment { nth: other.nth, ..experiment.clone() })
                    && other.durability == experiment.durability
            };
            experiment.nth = experiments.iter().filter(same).count();
            experiments.push(experiment);
        }
        Ok(Side {
            path: path.to_owned(),
            label: summary.target,
            durability: summary.durability,
            host: summary.host,
            load: load_of(path)?,
            experiments,
        })
    }

    /// What its acknowledgements meant, in all its experiments.
    pub fn promises(&self) -> String {
        let mut all: Vec<Durability> =
            self.experiments.iter().map(|experiment| experiment.durability).collect();
        all.sort_unstable();
        all.dedup();
        match all.is_empty() {
            true => self.durability.to_string(),
            false => all.iter().map(Durability::to_string).collect::<Vec<_>>().join(" and "),
        }
    }
}

impl Experiment {
    /// Whether both are the same experiment under the same load, whatever acknowledgements mean.
    pub fn is_like(&self, other: &Experiment) -> bool {
        (&self.name, self.mode, self.nth) == (&other.name, other.mode, other.nth)
    }

    /// As it is listed.
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.load)
    }
}

/// What the profile and the command line say of the load, without what is the broker's.
fn load_of(path: &Path) -> Result<Value> {
    let file = path.join(PROFILE);
    let context = || format!("{}", file.display());
    let text = fs::read_to_string(&file).with_context(context)?;
    let mut load: Value = toml::from_str(&text).with_context(context)?;
    if let Some(load) = load.as_object_mut() {
        for key in
            ["title", "description", "broker", "question", "reference", "target", "durability"]
        {
            load.remove(key);
        }
        for experiment in
            load.get_mut("experiment").and_then(Value::as_array_mut).into_iter().flatten()
        {
            if let Some(experiment) = experiment.as_object_mut() {
                experiment.remove("reference");
                experiment.remove("broker");
            }
        }
        if let Some(sweep) = load.get_mut("sweep").and_then(Value::as_object_mut) {
            sweep.remove("broker");
        }
        // The command line may have changed how long, which env.json knows. How often is no matter.
        let env = path.join(ENV);
        let text = fs::read_to_string(&env).with_context(|| format!("{}", env.display()))?;
        let env: Value =
            serde_json::from_str(&text).with_context(|| format!("{}", env.display()))?;
        // The machines that the load came from are a part of it.
        let agents = env["agents"].as_array().into_iter().flatten();
        let hosts = agents.map(|agent| agent["host"].clone()).collect();
        load.insert("agent_hosts".to_owned(), Value::Array(hosts));
        if let Some(measure) = load.get_mut("measure").and_then(Value::as_object_mut) {
            measure.remove("rounds");
            measure.insert("seconds".to_owned(), env["seconds"].clone());
        }
    }
    Ok(load)
}

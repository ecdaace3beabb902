//! [`Side`]: a result that was read to be compared.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::profile::Mode;
use crate::results::{INCOMPLETE, LatencySummary, SUMMARY};

/// One target of a result.
#[derive(Clone, Debug)]
pub struct Side {
    /// Where it lies.
    pub path: PathBuf,
    /// What was measured.
    pub label: String,
    /// What its acknowledgements mean.
    pub durability: String,
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
    /// Closed or open loop.
    pub mode: Mode,
    /// Which of the experiment's loads of that mode it is.
    pub nth: usize,
    /// Open loop: records a second that were to be sent.
    pub target_rate: Option<f64>,
    /// What acknowledgements meant, where the result says it for each experiment.
    pub durability: Option<String>,
    /// Each round by itself.
    pub rounds: Vec<Figures>,
}

/// A round, or a result from before there were rounds, in numbers.
#[derive(Clone, Debug, Deserialize)]
pub struct Figures {
    /// Whether the load had stopped getting faster.
    #[serde(default)]
    pub steady: Option<bool>,
    /// Throughput.
    pub records_per_second: f64,
    /// Latency.
    pub latency_ms: LatencySummary,
    /// Of the broker.
    pub broker_cpu_seconds_per_gib: Option<f64>,
}

#[derive(Deserialize)]
struct Summary {
    target: String,
    durability: String,
    host: Value,
    experiments: Vec<SummaryExperiment>,
}

#[derive(Deserialize)]
struct SummaryExperiment {
    name: String,
    mode: Mode,
    target_rate: Option<f64>,
    durability: Option<String>,
    #[serde(default)]
    rounds: Vec<Figures>,
    #[serde(flatten)]
    whole: Figures,
}

impl Side {
    /// The targets of a result: that of its summary, or those of the folders in it. Folders named
    /// `NAME-1`, `NAME-2` and so on are rounds of the same, as scripts/figures leaves them.
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
            let mut side = Self::read_one(&folder)?;
            if let Some(group) = group_of(&folder) {
                side.label = group;
                if let Some(first) = sides.iter_mut().find(|first| first.label == side.label) {
                    first.add_rounds(side);
                    continue;
                }
            }
            sides.push(side);
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
            let rounds = if one.rounds.is_empty() { vec![one.whole] } else { one.rounds };
            let same = |other: &&Experiment| other.name == one.name && other.mode == one.mode;
            let nth = experiments.iter().filter(same).count();
            let (name, mode, target_rate) = (one.name, one.mode, one.target_rate);
            let durability = one.durability;
            experiments.push(Experiment { name, mode, nth, target_rate, durability, rounds });
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

    fn add_rounds(&mut self, other: Side) {
        for experiment in other.experiments {
            match self.experiments.iter_mut().find(|one| one.is_like(&experiment)) {
                Some(one) => one.rounds.extend(experiment.rounds),
                None => self.experiments.push(experiment),
            }
        }
    }
}

impl Experiment {
    /// Whether both are the same experiment under the same load.
    pub fn is_like(&self, other: &Experiment) -> bool {
        (&self.name, self.mode, self.nth) == (&other.name, other.mode, other.nth)
    }

    /// As it is listed.
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.mode.name())
    }
}

/// `latency-kafka` of `latency-kafka-2`.
fn group_of(folder: &Path) -> Option<String> {
    let name = folder.file_name()?.to_str()?;
    let (group, number) = name.rsplit_once('-')?;
    number.parse::<u32>().is_ok().then(|| group.to_owned())
}

/// What the profile and the command line say of the load, without what is the broker's.
fn load_of(path: &Path) -> Result<Value> {
    let file = path.join("profile.toml");
    let context = || format!("{}", file.display());
    let text = fs::read_to_string(&file).with_context(context)?;
    let mut load: Value = toml::from_str(&text).with_context(context)?;
    if let Some(load) = load.as_object_mut() {
        for key in ["title", "description", "broker", "reference"] {
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
        let env = path.join("env.json");
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

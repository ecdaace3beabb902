//! [`Starter`]: how targets are started, and where it is written down what they are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};

use super::TargetChoice;
use crate::agent::AgentEnv;
use crate::profile::{LoadedProfile, Property};
use crate::results::{Env, Host, ResultFolder, Versions, json, utc};
use crate::target::{KafkaKit, Target, TargetSpec};

/// What all targets of a run are started with.
pub struct Starter {
    /// The program that is executed again as a target.
    pub program: PathBuf,
    /// Where targets keep their data.
    pub data_dir: PathBuf,
    /// The run's folder.
    pub folder: Rc<ResultFolder>,
    /// Whether each target has a folder in it.
    pub several: bool,
    /// When the run began.
    pub started_unix_ms: i64,
    /// Load hosts, once they were reached.
    pub agents: Vec<AgentEnv>,
}

impl Starter {
    /// How a target is started with these properties.
    pub fn spec(
        &self,
        choice: &TargetChoice,
        broker: &BTreeMap<String, Property>,
        kit: Option<&Rc<KafkaKit>>,
    ) -> Result<TargetSpec> {
        let (program, data_dir) = (self.program.clone(), self.data_dir.clone());
        let properties =
            broker.iter().map(|(key, value)| (key.clone(), value.to_string())).collect();
        Ok(match choice {
            TargetChoice::Node => TargetSpec::Node { program, properties, data_dir },
            TargetChoice::Kafka => {
                let kit = Rc::clone(kit.context("Kafka is fetched before it is started")?);
                TargetSpec::Kafka { kit, properties, data_dir }
            }
            TargetChoice::Null => TargetSpec::Null { program, data_dir },
            TargetChoice::Remote(bootstrap, pid) => {
                TargetSpec::Remote { bootstrap: bootstrap.clone(), pid: *pid }
            }
        })
    }

    /// A broker of one's own cannot be given properties: an experiment that asks for them would be
    /// something else than it says.
    pub fn check(&self, choices: &[TargetChoice], loaded: &LoadedProfile) -> Result<()> {
        let remote = choices.iter().any(|choice| matches!(choice, TargetChoice::Remote(..)));
        let here = choices.iter().any(|choice| !matches!(choice, TargetChoice::Remote(..)));
        for agent in loaded.profile.agents()?.iter().filter(|_| here) {
            let own = agent.addresses()?.iter().all(|address| address.ip().is_loopback());
            ensure!(own, "agent {agent} cannot reach a target that is started here: --bootstrap");
        }
        let base = &loaded.profile.broker;
        let asks = loaded.experiments.iter().find(|experiment| experiment.broker != *base);
        if let Some(experiment) = asks.filter(|_| remote) {
            let key = experiment.broker.iter().find(|(key, value)| base.get(*key) != Some(*value));
            let key = key.map_or("", |(key, _)| key.as_str());
            ensure!(
                false,
                "experiment {} sets {key}, which cannot be set at a broker of one's own",
                experiment.name
            );
        }
        Ok(())
    }

    /// Writes down what a target is, in a folder of its own if there are several.
    pub fn started(
        &self,
        target: &Target,
        loaded: &LoadedProfile,
        index: usize,
    ) -> Result<(Env, Rc<ResultFolder>)> {
        let measure = &loaded.profile.measure;
        let env = Env {
            started: utc(self.started_unix_ms),
            profile: loaded.name.clone(),
            target: target.label.clone(),
            target_software: target.software.clone(),
            durability: target.durability.clone(),
            warmup_seconds: measure.warmup_seconds,
            seconds: measure.seconds,
            rounds: measure.rounds,
            versions: Versions::of_this_build(),
            agents: self.agents.clone(),
            host: Host::read(target.data_dir.as_deref()),
        };
        let folder = match self.several {
            false => Rc::clone(&self.folder),
            true => {
                let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
                let label: String = target.label.chars().map(plain).collect();
                let path = self.folder.path().join(format!("{}-{label}", index + 1));
                let folder = ResultFolder::create(&path)?;
                folder.write("profile.toml", loaded.text.as_bytes())?;
                Rc::new(folder)
            }
        };
        folder.write("env.json", &json(&env)?)?;
        Ok((env, folder))
    }
}

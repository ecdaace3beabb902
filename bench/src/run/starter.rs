//! [`Starter`]: how targets are started, and where it is written down what they are.

use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Result, ensure};

use super::choice::TargetChoice;
use crate::figures::utc;
use crate::host::{AgentEnv, Host, PageCache, Versions};
use crate::profile::LoadedProfile;
use crate::results::{ENV, Env, PROFILE, ResultFolder, json};
use crate::target::{Link, Target, TargetKind, TargetSpec};

/// What all targets of a run are started with.
pub struct Starter {
    /// The program that is executed again as a target.
    pub program: PathBuf,
    /// Where targets keep their data.
    pub data_dir: PathBuf,
    /// Nodes of each target.
    pub nodes: usize,
    /// The run's folder.
    pub folder: Rc<ResultFolder>,
    /// Whether each target has a folder in it.
    pub several: bool,
    /// When the run began, and when it was taken up again.
    pub started_unix_ms: i64,
    pub resumed: Vec<String>,
    /// Load hosts, once they were reached.
    pub agents: Vec<AgentEnv>,
    /// What is between load and targets, if not loopback.
    pub link: Option<Rc<Link>>,
}

impl Starter {
    /// How a target is started with these properties.
    pub fn spec(&self, choice: &TargetChoice, properties: Vec<(String, String)>) -> TargetSpec {
        TargetSpec {
            kind: choice.kind.clone(),
            label: choice.label.clone(),
            properties,
            nodes: self.nodes,
            program: self.program.clone(),
            data_dir: self.data_dir.clone(),
            link: self.link.clone(),
        }
    }

    /// A broker that stores nothing.
    pub fn null(&self) -> TargetSpec {
        let spec = TargetSpec::null(self.program.clone(), self.data_dir.clone());
        TargetSpec { link: self.link.clone(), ..spec }
    }

    /// That the targets can be what the profile asks for.
    pub fn check(&self, choices: &[TargetChoice], loaded: &LoadedProfile) -> Result<()> {
        let here = choices.iter().any(|choice| !matches!(choice.kind, TargetKind::Remote(..)));
        for agent in loaded.profile.agents()?.iter().filter(|_| here) {
            let own = agent.addresses()?.iter().all(|address| address.ip().is_loopback());
            ensure!(own, "agent {agent} cannot reach a target that is started here: --bootstrap");
        }
        choices.iter().try_for_each(|choice| choice.check(loaded, self.nodes))
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
            durability: target.durability,
            warmup_seconds: measure.warmup_seconds,
            seconds: measure.seconds,
            rounds: measure.rounds,
            nodes: self.nodes as u32,
            device_floors: Vec::new(),
            resumed: self.resumed.clone(),
            versions: Versions::of_this_build(),
            agents: self.agents.clone(),
            host: Host::read(target.data_dir.as_deref()),
            page_cache: target.data_dir.as_deref().map(PageCache::read),
        };
        let folder = match self.several {
            false => Rc::clone(&self.folder),
            true => {
                let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
                let label: String = target.label.chars().map(plain).collect();
                let path = self.folder.path().join(format!("{}-{label}", index + 1));
                let folder = ResultFolder::create(&path)?;
                folder.write(PROFILE, loaded.text.as_bytes())?;
                Rc::new(folder)
            }
        };
        folder.write(ENV, &json(&env)?)?;
        Ok((env, folder))
    }
}

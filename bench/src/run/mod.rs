//! `ringlog-bench run`: every experiment of a profile against one target, or against several in
//! turn, and what is left of it.

mod runner;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use ringlog_engine::io::StopSignals;
use ringlog_engine::shard::Shard;

use crate::client::Endpoint;
use crate::profile::{LoadedProfile, check_rounds, check_seconds};
use crate::results::{Env, Host, ResultFolder, RunResult, Versions, json};
use crate::results::{utc, utc_in_name};
use crate::target::{Target, TargetSpec};
use crate::{table, uring_shard};
use runner::{Runner, TargetRun};

/// Where results go that nobody has named a folder for. Git ignores it.
const LOCAL_RESULTS: &str = "results/local";

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetChoice {
    /// A Ringlog node of this build.
    Node,
    /// A broker that stores nothing: the ceiling of this program on this machine.
    Null,
    /// Somebody's broker, and its process if that is to be watched.
    Remote(Endpoint, Option<u32>),
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The profile's file.
    pub profile: PathBuf,
    /// Seconds measured of each experiment, instead of the profile's.
    pub seconds: Option<f64>,
    /// Rounds, instead of the profile's.
    pub rounds: Option<u32>,
    /// What to measure; several are measured in turn.
    pub targets: Vec<TargetChoice>,
    /// Where a target that is started keeps its data.
    pub data_dir: PathBuf,
    /// The program that is executed again as a target.
    pub program: PathBuf,
    /// Where the result goes.
    pub out: Option<PathBuf>,
}

/// Runs a profile, prints a table, and leaves a result folder.
pub fn run(options: &RunOptions) -> Result<()> {
    let mut loaded = LoadedProfile::read(&options.profile)?;
    if let Some(seconds) = options.seconds {
        check_seconds("--seconds", seconds, 0.1)?;
        loaded.profile.measure.seconds = seconds;
    }
    if let Some(rounds) = options.rounds {
        check_rounds("--rounds", rounds)?;
        loaded.profile.measure.rounds = rounds;
    }
    let interrupted = watch_signals()?;
    let shard = uring_shard()?;
    let started_unix_ms = shard.unix_ms();
    let name = || format!("{}-{}", utc_in_name(started_unix_ms), loaded.name);
    let path = options.out.clone().unwrap_or_else(|| Path::new(LOCAL_RESULTS).join(name()));
    let folder = Rc::new(ResultFolder::create(&path)?);
    let run = Run { shard, options, loaded, started_unix_ms, folder: Rc::clone(&folder) };
    let results = match run.measure(interrupted).and_then(|all| run.write(&all).map(|()| all)) {
        Ok(results) => results,
        Err(error) => {
            folder.fail(&error);
            return Err(error).with_context(|| format!("{} is incomplete", path.display()));
        }
    };
    folder.complete()?;
    for result in &results {
        print!("\n{}", table::render(result));
    }
    println!("\n{}", path.display());
    let lost: u64 = results.iter().map(RunResult::lost).sum();
    ensure!(lost == 0, "{lost} records were lost; the table says why");
    Ok(())
}

/// A flag that is set when the program is told to stop. Told twice, it stops at once.
fn watch_signals() -> Result<Arc<AtomicBool>> {
    let signals = StopSignals::block().map_err(|errno| anyhow::anyhow!("signals: {errno}"))?;
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    std::thread::spawn(move || {
        signals.wait();
        set.store(true, Ordering::Relaxed);
        signals.wait();
        std::process::exit(1);
    });
    Ok(flag)
}

/// A run that has begun.
struct Run<'a> {
    shard: Shard,
    options: &'a RunOptions,
    loaded: LoadedProfile,
    started_unix_ms: i64,
    folder: Rc<ResultFolder>,
}

impl Run<'_> {
    fn measure(&self, interrupted: Arc<AtomicBool>) -> Result<Vec<RunResult>> {
        self.folder.write("profile.toml", self.loaded.text.as_bytes())?;
        let mut targets = Vec::new();
        for choice in &self.options.targets {
            let spec = self.target_spec(choice);
            let inner = self.shard.clone();
            let target = self.shard.run(async move { spec.start(&inner).await })?;
            let folder = match self.options.targets.len() {
                1 => Rc::clone(&self.folder),
                _ => self.folder_of(&target, targets.len())?,
            };
            let env = self.env_of(&target);
            folder.write("env.json", &json(&env)?)?;
            let target = Rc::new(RefCell::new(target));
            targets.push(TargetRun { target, env, folder, measured: Vec::new() });
        }
        let (shard, profile) = (self.shard.clone(), self.loaded.clone());
        let mut runner = Runner { shard, loaded: profile, targets, interrupted };
        let (ran, targets) = self.shard.run(async move {
            let ran = runner.run_all().await;
            (ran, runner.targets)
        });
        let mut stopped = Ok(());
        for target in &targets {
            stopped = stopped.and(target.target.borrow_mut().stop());
        }
        ran?;
        stopped?;
        let result = |target: TargetRun| RunResult {
            env: target.env,
            profile: self.loaded.clone(),
            measured: target.measured,
        };
        Ok(targets.into_iter().map(result).collect())
    }

    /// The folder of one of several targets.
    fn folder_of(&self, target: &Target, index: usize) -> Result<Rc<ResultFolder>> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let name: String = target.label.chars().map(plain).collect();
        let name = format!("{}-{name}", index + 1);
        let folder = ResultFolder::create(&self.folder.path().join(name))?;
        folder.write("profile.toml", self.loaded.text.as_bytes())?;
        Ok(Rc::new(folder))
    }

    fn write(&self, results: &[RunResult]) -> Result<()> {
        let [result] = results else { unreachable!("one target so far") };
        result.write(&self.folder)
    }

    fn target_spec(&self, choice: &TargetChoice) -> TargetSpec {
        let options = self.options;
        let (program, data_dir) = (options.program.clone(), options.data_dir.clone());
        match choice {
            TargetChoice::Node => {
                let broker = self.loaded.profile.broker.iter();
                let properties = broker.map(|(key, value)| (key.clone(), value.to_string()));
                TargetSpec::Node { program, properties: properties.collect(), data_dir }
            }
            TargetChoice::Null => TargetSpec::Null { program, data_dir },
            TargetChoice::Remote(bootstrap, pid) => {
                TargetSpec::Remote { bootstrap: bootstrap.clone(), pid: *pid }
            }
        }
    }

    fn env_of(&self, target: &Target) -> Env {
        let measure = &self.loaded.profile.measure;
        Env {
            started: utc(self.started_unix_ms),
            profile: self.loaded.name.clone(),
            target: target.label.clone(),
            durability: target.durability.clone(),
            warmup_seconds: measure.warmup_seconds,
            seconds: measure.seconds,
            rounds: measure.rounds,
            versions: Versions::of_this_build(),
            host: Host::read(target.data_dir.as_deref()),
        }
    }
}

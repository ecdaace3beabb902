//! `ringlog-bench run`: every experiment of a profile against one target, or against several in
//! turn, and what is left of it.

mod runner;
mod search;
mod starter;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use ringlog_engine::io::StopSignals;
use ringlog_engine::shard::Shard;

use crate::agent::Secret;
use crate::client::Endpoint;
use crate::compare::compare_targets;
use crate::profile::{LoadedProfile, check_rounds, check_seconds};
use crate::results::{ResultFolder, RunResult, VERDICT, utc_in_name};
use crate::{report, table, uring_shard};
use runner::{Runner, TargetRun};
use starter::Starter;

/// Where results go that nobody has named a folder for. Git ignores it.
const LOCAL_RESULTS: &str = "results/local";

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetChoice {
    /// A Ringlog node of this build.
    Node,
    /// Apache Kafka, fetched from a Maven repository.
    Kafka,
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
    /// What load hosts know too, if the profile names any.
    pub secret: Option<Secret>,
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
    let results = match run.measure(interrupted).and_then(|targets| run.write(targets)) {
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
    if let (true, Ok(verdict)) = (results.len() > 1, fs::read_to_string(path.join(VERDICT))) {
        println!("\n{verdict}");
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
    fn measure(&self, interrupted: Arc<AtomicBool>) -> Result<Vec<TargetRun>> {
        self.folder.write("profile.toml", self.loaded.text.as_bytes())?;
        let choices = &self.options.targets;
        let starter = Starter {
            program: self.options.program.clone(),
            data_dir: self.options.data_dir.clone(),
            folder: Rc::clone(&self.folder),
            several: choices.len() > 1,
            started_unix_ms: self.started_unix_ms,
            agents: Vec::new(),
        };
        starter.check(choices, &self.loaded)?;
        let target = |choice: &TargetChoice| TargetRun {
            choice: choice.clone(),
            target: None,
            broker: BTreeMap::new(),
            env: None,
            folder: None,
            measured: Vec::new(),
        };
        let mut runner = Runner {
            shard: self.shard.clone(),
            loaded: self.loaded.clone(),
            targets: choices.iter().map(target).collect(),
            interrupted,
            starter,
            kit: None,
            secret: self.options.secret.clone(),
            agents: None,
            null: None,
        };
        let (ran, mut runner) = self.shard.run(async move {
            let ran = runner.run_all().await;
            (ran, runner)
        });
        let stopped = runner.stop();
        if let Err(error) = &ran {
            self.write_partial(&mut runner.targets, error);
        }
        ran?;
        stopped?;
        Ok(runner.targets)
    }

    /// Writes what was measured before a run came to a bad end. The folders keep their marks, and
    /// the results say themselves that they are not whole.
    fn write_partial(&self, targets: &mut [TargetRun], error: &anyhow::Error) {
        for target in targets {
            let Some(folder) = &target.folder else { continue };
            let measured = std::mem::take(&mut target.measured);
            if let Some(env) = target.env.clone().filter(|_| !measured.is_empty()) {
                let (profile, partial) = (self.loaded.clone(), Some(format!("{error:#}")));
                // The error that ended the run is worth more than one that comes after it.
                let _ = RunResult { env, profile, measured, partial }.write(folder);
            }
            folder.fail(error);
        }
    }

    /// Writes what is known once the run has ended: a result for each target, and of two which is
    /// faster.
    fn write(&self, targets: Vec<TargetRun>) -> Result<Vec<RunResult>> {
        let several = targets.len() > 1;
        let mut results = Vec::new();
        for target in targets {
            let (Some(env), Some(folder)) = (target.env, target.folder) else { continue };
            let result = RunResult {
                env,
                profile: self.loaded.clone(),
                measured: target.measured,
                partial: None,
            };
            result.write(&folder)?;
            if several {
                folder.complete()?;
            }
            results.push(result);
        }
        let verdict = match results.len() {
            2 => Some(compare_targets(self.folder.path())?),
            _ => None,
        };
        if let Some(verdict) = &verdict {
            self.folder.write(VERDICT, verdict.markdown(&self.loaded.profile.title).as_bytes())?;
        }
        if several {
            let page = report::render(&results, verdict.as_ref());
            self.folder.write("report.html", page.as_bytes())?;
        }
        Ok(results)
    }
}

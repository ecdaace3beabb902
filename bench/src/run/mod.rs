//! `ringlog-bench run`: every experiment of a profile against one target, or against several in
//! turn, and what is left of it.

mod choice;
mod device;
mod restart;
mod runner;
mod saved;
mod search;
mod starter;

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use ringlog_engine::io::StopSignals;
use ringlog_engine::shard::Shard;
use serde::{Deserialize, Serialize};

use crate::agent::Secret;
use crate::client::Durability;
use crate::compare::{Comparison, answers, compare_targets};
use crate::figures::{utc, utc_in_name};
use crate::host::PauseWatch;
use crate::profile::{LoadedProfile, check_rounds, check_seconds};
use crate::results::{
    CARD, Card, INCOMPLETE, PROFILE, REPORT, ResultFolder, RunResult, SERIES, SUMMARY, Summary,
    VERDICT, json, write_series,
};
use crate::{report, table, uring_shard};
use choice::TargetChoice;
use runner::{Runner, TargetRun};
use saved::{FINISHED, FinishedExperiment};
use starter::Starter;

/// What the command line said, in the result's folder.
const OPTIONS: &str = "run.json";
const NODES_MAX: usize = 9;
/// Where results go that nobody has named a folder for. Git ignores it.
const LOCAL_RESULTS: &str = "results/local";

/// What the command line asks for. It is kept in the result's folder, so that the run can be taken
/// up again.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RunOptions {
    /// The profile's name.
    pub profile: String,
    /// Seconds measured of each experiment, instead of the profile's.
    pub seconds: Option<f64>,
    /// Rounds, instead of the profile's.
    pub rounds: Option<u32>,
    /// What acknowledgements are to mean, instead of what the profile says.
    #[serde(default)]
    pub durability: Vec<Durability>,
    /// Names of what is started and measured; several are measured in turn.
    pub targets: Vec<String>,
    /// Somebody's broker, measured after them, and its process if that is to be watched.
    pub bootstrap: Option<String>,
    /// As above.
    pub pid: Option<u32>,
    /// Nodes of each target that is started.
    pub nodes: usize,
    /// Where a target that is started keeps its data.
    pub data_dir: PathBuf,
    /// What was typed.
    #[serde(default)]
    pub command: String,
    /// When the run began.
    pub started_unix_ms: i64,
    /// When it was taken up again.
    #[serde(default)]
    pub resumed: Vec<String>,
}

/// What belongs to this process, and not to the run.
pub struct RunTools {
    /// The program that is executed again as a target.
    pub program: PathBuf,
    /// What load hosts know too, if the profile names any.
    pub secret: Option<Secret>,
}

/// Runs a profile, prints a table, and leaves a result folder: `out`, or one by time and name.
pub fn run(
    profile: &Path,
    mut options: RunOptions,
    out: Option<&Path>,
    tools: RunTools,
) -> Result<()> {
    let loaded = LoadedProfile::read(profile)?;
    let shard = uring_shard()?;
    options.profile.clone_from(&loaded.name);
    options.started_unix_ms = shard.unix_ms();
    let name = || format!("{}-{}", utc_in_name(options.started_unix_ms), loaded.name);
    let path = out.map_or_else(|| Path::new(LOCAL_RESULTS).join(name()), Path::to_owned);
    let run = Run::new(shard, loaded, options, tools)?;
    let folder = ResultFolder::create(&path)?;
    // Of a run before this one, which nobody has taken up.
    folder.remove(FINISHED)?;
    folder.write(PROFILE, run.loaded.text.as_bytes())?;
    run.leave(folder, Vec::new())
}

/// Goes on with a run that was interrupted.
pub fn resume(path: &Path, tools: RunTools) -> Result<()> {
    let (marked, file) = (path.join(INCOMPLETE), path.join(OPTIONS));
    ensure!(marked.exists(), "{} is no interrupted run: it has no {INCOMPLETE}", path.display());
    let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    let mut options: RunOptions =
        serde_json::from_str(&text).with_context(|| format!("{}", file.display()))?;
    let mut loaded = LoadedProfile::read(&path.join(PROFILE))?;
    loaded.name.clone_from(&options.profile);
    let shard = uring_shard()?;
    options.resumed.push(utc(shard.unix_ms()));
    let finished = saved::read(path)?;
    println!("{} of {} experiments have ended", finished.len(), loaded.experiments.len());
    let run = Run::new(shard, loaded, options, tools)?;
    run.leave(ResultFolder::create(path)?, finished)
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

/// Writes everything that is known once a run has ended.
fn write_result(result: &RunResult, folder: &ResultFolder) -> Result<()> {
    folder.write(VERDICT, table::verdict(result).as_bytes())?;
    folder.write(SERIES, &write_series(&result.measured)?)?;
    folder.write(SUMMARY, &serde_json::to_vec(&Summary::of(result))?)
}

/// A run that has begun.
struct Run {
    shard: Shard,
    options: RunOptions,
    tools: RunTools,
    loaded: LoadedProfile,
    choices: Vec<TargetChoice>,
}

impl Run {
    fn new(
        shard: Shard,
        mut loaded: LoadedProfile,
        options: RunOptions,
        tools: RunTools,
    ) -> Result<Run> {
        if let Some(seconds) = options.seconds {
            check_seconds("--seconds", seconds, 0.1)?;
            loaded.profile.measure.seconds = seconds;
        }
        if let Some(rounds) = options.rounds {
            check_rounds("--rounds", rounds)?;
            loaded.profile.measure.rounds = rounds;
        }
        if !options.durability.is_empty() {
            loaded = loaded.with_durability(&options.durability)?;
        }
        ensure!((1..=NODES_MAX).contains(&options.nodes), "--nodes: expected 1 to {NODES_MAX}");
        let named = options.targets.iter();
        let mut choices = named
            .map(|name| TargetChoice::of_name(name, &loaded.profile))
            .collect::<Result<Vec<_>>>()?;
        if let Some(bootstrap) = &options.bootstrap {
            choices.push(TargetChoice::remote(bootstrap.parse()?, options.pid));
        }
        ensure!(!choices.is_empty(), "nothing to measure: --target or --bootstrap");
        Ok(Run { shard, options, tools, loaded, choices })
    }

    /// Measures, and leaves what came of it in the folder.
    fn leave(self, folder: ResultFolder, finished: Vec<FinishedExperiment>) -> Result<()> {
        let folder = Rc::new(folder);
        let path = folder.path().to_owned();
        folder.write(OPTIONS, &json(&self.options)?)?;
        let interrupted = watch_signals()?;
        let measured = self.measure(&folder, finished, interrupted);
        let results = match measured.and_then(|targets| self.write(&folder, targets)) {
            Ok(results) => results,
            Err(error) => {
                folder.fail(&error);
                return Err(error).with_context(|| {
                    let shown = path.display();
                    format!("{shown} is incomplete (ringlog-bench run --resume {shown})")
                });
            }
        };
        folder.remove(FINISHED)?;
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

    fn measure(
        &self,
        folder: &Rc<ResultFolder>,
        finished: Vec<FinishedExperiment>,
        interrupted: Arc<AtomicBool>,
    ) -> Result<Vec<TargetRun>> {
        let starter = Starter {
            program: self.tools.program.clone(),
            data_dir: self.options.data_dir.clone(),
            nodes: self.options.nodes,
            folder: Rc::clone(folder),
            several: self.choices.len() > 1,
            started_unix_ms: self.options.started_unix_ms,
            resumed: self.options.resumed.clone(),
            agents: Vec::new(),
            link: None,
        };
        starter.check(&self.choices, &self.loaded)?;
        let target = |choice: &TargetChoice| TargetRun {
            choice: choice.clone(),
            target: None,
            properties: Vec::new(),
            env: None,
            folder: None,
            taken: Vec::new(),
            measured: Vec::new(),
        };
        let mut runner = Runner {
            shard: self.shard.clone(),
            loaded: self.loaded.clone(),
            targets: self.choices.iter().map(target).collect(),
            interrupted,
            starter,
            kits: Vec::new(),
            secret: self.tools.secret.clone(),
            agents: None,
            null: None,
            pauses: PauseWatch::start(),
            finished,
        };
        let (ran, mut runner) = self.shard.run(async move {
            let ran = runner.run_all().await;
            (ran, runner)
        });
        let stopped = runner.stop();
        if let Err(error) = &ran {
            runner.end_early();
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
                let result = RunResult { env, profile, measured, partial };
                let page = report::render(std::slice::from_ref(&result), None);
                let _ = write_result(&result, folder)
                    .and_then(|()| folder.write(REPORT, page.as_bytes()));
            }
            folder.fail(error);
        }
    }

    /// The run in a few sentences. `None` without a result.
    fn card(&self, results: &[RunResult], verdict: Option<&Comparison>) -> Option<Card> {
        let first = results.first()?;
        let compared = verdict.into_iter().flat_map(|verdict| verdict.sentences.clone());
        // A comparison of two targets is what their run was for, unless the profile asks for more.
        let asks = verdict.is_none() || !self.loaded.profile.questions.is_empty();
        let own = results.iter().filter(|_| asks).flat_map(answers);
        Some(Card {
            question: self.loaded.profile.title.clone(),
            answers: compared.chain(own).collect(),
            started: first.env.started.clone(),
            commit: first.env.versions.commit.clone(),
            command: self.options.command.clone(),
            host: first.env.host.clone(),
        })
    }

    /// Writes what is known once the run has ended: a result for each target, and of two which is
    /// faster.
    fn write(&self, whole: &ResultFolder, targets: Vec<TargetRun>) -> Result<Vec<RunResult>> {
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
            write_result(&result, &folder)?;
            if several {
                folder.complete()?;
            }
            results.push(result);
        }
        let verdict = match results.len() {
            2 => Some(compare_targets(whole.path())?),
            _ => None,
        };
        if let Some(verdict) = &verdict {
            whole.write(VERDICT, verdict.markdown(&self.loaded.profile.title).as_bytes())?;
        }
        let page = report::render(&results, verdict.as_ref());
        whole.write(REPORT, page.as_bytes())?;
        if let Some(card) = self.card(&results, verdict.as_ref()) {
            whole.write(CARD, &json(&card)?)?;
        }
        Ok(results)
    }
}

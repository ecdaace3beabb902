//! `ringlog-bench run`: every experiment of a profile against one target, and what is left of it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use ringlog_engine::io::StopSignals;
use ringlog_engine::shard::Shard;

use crate::client::{Endpoint, TopicSpec};
use crate::experiment::{self, Live, ProduceRun, Watch};
use crate::load::Pace;
use crate::profile::{Experiment, LoadProfile, LoadedProfile, Mode, check_seconds};
use crate::progress::Progress;
use crate::results::{Env, Host, Measured, ResultFolder, RunResult, Versions, json};
use crate::results::{utc, utc_in_name};
use crate::target::{Target, TargetSpec};
use crate::{table, uring_shard};

/// Where results go that nobody has named a folder for. Git ignores it.
const LOCAL_RESULTS: &str = "results/local";
/// How long a target may take to be seen dead after its connections are, and how often to look.
const DYING_MS: u64 = 500;
const DYING_LOOK_MS: u64 = 5;

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
    /// What to measure.
    pub target: TargetChoice,
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
    let interrupted = watch_signals()?;
    let shard = uring_shard()?;
    let started_unix_ms = shard.unix_ms();
    let name = || format!("{}-{}", utc_in_name(started_unix_ms), loaded.name);
    let path = options.out.clone().unwrap_or_else(|| Path::new(LOCAL_RESULTS).join(name()));
    let folder = ResultFolder::create(&path)?;
    let measured = measure(&shard, options, loaded, started_unix_ms, &folder, interrupted);
    let result = match measured.and_then(|result| result.write(&folder).map(|()| result)) {
        Ok(result) => result,
        Err(error) => {
            folder.fail(&error);
            return Err(error).with_context(|| format!("{} is incomplete", path.display()));
        }
    };
    folder.complete()?;
    print!("\n{}", table::render(&result));
    println!("\n{}", path.display());
    let lost = result.lost();
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

fn measure(
    shard: &Shard,
    options: &RunOptions,
    loaded: LoadedProfile,
    started_unix_ms: i64,
    folder: &ResultFolder,
    interrupted: Arc<AtomicBool>,
) -> Result<RunResult> {
    folder.write("profile.toml", loaded.text.as_bytes())?;
    let spec = target_spec(options, &loaded);
    let inner = shard.clone();
    let started = async move { spec.start(&inner).await };
    let target = shard.run(started)?;
    let env = env_of(&loaded, &target, started_unix_ms);
    folder.write("env.json", &json(&env)?)?;
    let target = Rc::new(RefCell::new(target));
    let runner = Runner { shard: shard.clone(), loaded, target: Rc::clone(&target), interrupted };
    let (ran, profile) = shard.run(async move { (runner.run_all().await, runner.loaded) });
    let stopped = target.borrow_mut().stop();
    let measured = ran?;
    stopped?;
    Ok(RunResult { env, profile, measured })
}

fn target_spec(options: &RunOptions, loaded: &LoadedProfile) -> TargetSpec {
    let (program, data_dir) = (options.program.clone(), options.data_dir.clone());
    match &options.target {
        TargetChoice::Node => {
            let broker = loaded.profile.broker.iter();
            let properties = broker.map(|(key, value)| (key.clone(), value.to_string())).collect();
            TargetSpec::Node { program, properties, data_dir }
        }
        TargetChoice::Null => TargetSpec::Null { program, data_dir },
        TargetChoice::Remote(bootstrap, pid) => {
            TargetSpec::Remote { bootstrap: bootstrap.clone(), pid: *pid }
        }
    }
}

fn env_of(loaded: &LoadedProfile, target: &Target, started_unix_ms: i64) -> Env {
    Env {
        started: utc(started_unix_ms),
        profile: loaded.name.clone(),
        target: target.label.clone(),
        durability: target.durability.clone(),
        warmup_seconds: loaded.profile.measure.warmup_seconds,
        seconds: loaded.profile.measure.seconds,
        versions: Versions::of_this_build(),
        host: Host::read(target.data_dir.as_deref()),
    }
}

/// Runs experiments one after the other.
struct Runner {
    shard: Shard,
    loaded: LoadedProfile,
    target: Rc<RefCell<Target>>,
    interrupted: Arc<AtomicBool>,
}

/// Shows how a run gets on; ends it when its target has ended, or when it is told to stop.
struct Guard {
    target: Rc<RefCell<Target>>,
    interrupted: Arc<AtomicBool>,
    progress: Progress,
    index: usize,
}

impl Watch for Guard {
    fn tick(&mut self, live: Live) -> Result<()> {
        self.progress.tick(self.index, live);
        ensure!(!self.interrupted.load(Ordering::Relaxed), "interrupted");
        self.target.borrow_mut().check()
    }
}

impl Runner {
    async fn run_all(&self) -> Result<Vec<Measured>> {
        {
            let target = self.target.borrow();
            println!("{}", self.loaded.profile.title);
            println!("target {}, durability {}", target.label, target.durability);
        }
        let (loads, measure) = (&self.loaded.profile.loads, &self.loaded.profile.measure);
        let count = self.loaded.experiments.len() * loads.len();
        let progress = Progress::new(count, measure.warmup_seconds + measure.seconds);
        let mut all: Vec<Measured> = Vec::new();
        for experiment in &self.loaded.experiments {
            let mut closed_rate = None;
            for load in loads {
                let pace = pace(load, closed_rate)?;
                let name = format!("{} {}", experiment.name, load.mode.name());
                progress.begin(all.len(), &name);
                let measured = self
                    .run_one(experiment, load.mode, pace, (&progress, all.len()))
                    .await
                    .with_context(|| format!("experiment {name}"))?;
                if load.mode == Mode::Closed {
                    closed_rate = Some(measured.records_per_second());
                }
                progress.line(&table::line(&measured));
                all.push(measured);
            }
        }
        Ok(all)
    }

    async fn run_one(
        &self,
        experiment: &Experiment,
        mode: Mode,
        pace: Pace,
        (progress, index): (&Progress, usize),
    ) -> Result<Measured> {
        let plan = produce_run(&self.shard, &self.loaded, experiment, pace);
        let (bootstrap, process) = {
            let target = self.target.borrow();
            (target.bootstrap.clone(), target.watch.clone())
        };
        let guard = Guard {
            target: Rc::clone(&self.target),
            interrupted: Arc::clone(&self.interrupted),
            progress: progress.clone(),
            index,
        };
        let watch = Rc::new(RefCell::new(guard));
        let ran = experiment::run(&self.shard, &bootstrap, process, &plan, watch).await;
        if ran.is_err() {
            self.check_for_a_while().await?;
        }
        Target::wait_until_deleted(&self.target, &self.shard).await?;
        Ok(Measured {
            name: experiment.name.clone(),
            mode,
            target_rate: match pace {
                Pace::Closed => None,
                Pace::Open(rate) => Some(rate),
            },
            value_bytes: plan.values.value_bytes,
            outcome: ran?,
            reference: experiment.reference.clone(),
        })
    }
}

impl Runner {
    /// That the target has died says more than what became of a request. The kernel closes its
    /// connections before it can be seen that it has ended.
    async fn check_for_a_while(&self) -> Result<()> {
        let deadline = self.shard.clock().plus_ms(DYING_MS);
        while self.shard.clock() < deadline {
            self.target.borrow_mut().check()?;
            self.shard.sleep_ms(DYING_LOOK_MS).await;
        }
        Ok(())
    }
}

fn pace(load: &LoadProfile, closed_rate: Option<f64>) -> Result<Pace> {
    Ok(match (load.mode, load.rate, load.share_of_closed, closed_rate) {
        (Mode::Closed, ..) => Pace::Closed,
        (Mode::Open, Some(rate), ..) => Pace::Open(rate),
        (Mode::Open, None, Some(share), Some(rate)) if rate > 0.0 => Pace::Open(share * rate),
        (Mode::Open, ..) => bail!("the closed loop before it got no record through"),
    })
}

fn produce_run(
    shard: &Shard,
    loaded: &LoadedProfile,
    experiment: &Experiment,
    pace: Pace,
) -> ProduceRun {
    let profile = &loaded.profile;
    let configs = profile.topic.configs.iter();
    ProduceRun {
        topic: TopicSpec {
            name: format!("ringlog-bench-{:016x}", shard.random()),
            partitions: profile.topic.partitions as i32,
            replication_factor: profile.topic.replication_factor.unwrap_or(-1),
            configs: configs.map(|(key, value)| (key.clone(), value.to_string())).collect(),
        },
        producer: experiment.producer.clone(),
        values: profile.values(),
        pace,
        warmup_seconds: profile.measure.warmup_seconds,
        seconds: profile.measure.seconds,
    }
}

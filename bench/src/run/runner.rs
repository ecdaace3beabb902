//! [`Runner`]: rounds of experiments, against one target after the other.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, anyhow, bail, ensure};
use ringlog_engine::shard::Shard;

use super::choice::TargetChoice;
use super::device::device_floors;
use super::restart;
use super::saved::{self, FinishedExperiment, FinishedLoad, FinishedRound};
use super::search::{FIRST_RATE, Search};
use super::starter::Starter;
use crate::agent::{Agents, Place, Secret};
use crate::client::{Durability, TopicSpec};
use crate::compare::ROUNDS_MIN;
use crate::experiment::{self, LoadRun, ToolOrNative, Watch};
use crate::figures::{Live, Outcome};
use crate::host::{BlockTrace, BlockWrites, PauseWatch, unwritten_bytes};
use crate::load::Pace;
use crate::profile::{Driver, Kind, LoadProfile, LoadedProfile, Mode};
use crate::progress::Progress;
use crate::results::{
    ENV, Env, Floor, Measured, ResultFolder, Taken, json, latency_log, latency_log_name,
};
use crate::stats::first_warm;
use crate::table;
use crate::target::{KafkaKit, Link, ProcessSample, TOPIC_PREFIX, Target, TargetKind};

/// How long a target may take to be seen dead after its connections are, and how often to look.
const DYING_MS: u64 = 500;
const DYING_LOOK_MS: u64 = 5;
/// Rounds that may be run beyond those that are asked for, because the first ones were not warm.
const COLD_ROUNDS_MAX: usize = 8;
/// A turn is over when no more than this waits to be written back, or after this long.
const UNWRITTEN_BYTES_MAX: u64 = 16 << 20;
const SETTLE_MS: u64 = 20_000;
const SETTLE_LOOK_MS: u64 = 20;

/// Runs experiments one after the other.
pub struct Runner {
    pub shard: Shard,
    pub loaded: LoadedProfile,
    pub targets: Vec<TargetRun>,
    pub interrupted: Arc<AtomicBool>,
    /// Starts targets, and writes down where.
    pub starter: Starter,
    /// Kafka of the targets that are one, by their release, and Kafka's tools.
    pub kits: Vec<(Option<String>, Rc<KafkaKit>)>,
    /// What its load hosts know too, if the profile names any; and them, once they were reached.
    pub secret: Option<Secret>,
    pub agents: Option<Rc<Agents>>,
    /// A broker that stores nothing, to see what this program can do; `None` where nothing else is
    /// measured.
    pub null: Option<Rc<RefCell<Target>>>,
    /// Sees the machine stand still, where that is allowed.
    pub pauses: Option<PauseWatch>,
    /// Experiments that an interrupted run has ended.
    pub finished: Vec<FinishedExperiment>,
}

/// A target, and what was measured of it.
pub struct TargetRun {
    pub choice: TargetChoice,
    /// While it runs.
    pub target: Option<Rc<RefCell<Target>>>,
    /// The properties that it runs with.
    pub properties: Vec<(String, String)>,
    /// Once it has been started.
    pub env: Option<Env>,
    pub folder: Option<Rc<ResultFolder>>,
    /// Of the experiment under way, the rounds of each load.
    pub taken: Vec<Vec<Taken>>,
    /// In the order of the profile: each experiment with its loads.
    pub measured: Vec<Measured>,
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

/// Which load of all is being run.
#[derive(Clone, Copy)]
struct Turn {
    target: usize,
    experiment: usize,
    load: usize,
}

impl Turn {
    fn place(self) -> Place {
        Place { experiment: self.experiment, load: self.load, null: false }
    }
}

impl Runner {
    /// Every experiment in turn; of each every round, in which targets take turns: A B B A.
    pub async fn run_all(&mut self) -> Result<()> {
        println!("{}", self.loaded.profile.title);
        self.reach_agents().await?;
        let (loads, measure) = (self.loaded.profile.loads.len(), &self.loaded.profile.measure);
        let experiments = self.loaded.experiments.len();
        let turns = loads * measure.rounds as usize * self.targets.len();
        let progress = Progress::new(experiments * turns, measure.warmup_seconds + measure.seconds);
        let finished = std::mem::take(&mut self.finished);
        let ended = finished.len();
        for target in 0..self.targets.len() {
            self.start(target, ended.min(experiments - 1)).await?;
        }
        for one in finished {
            self.take_up(one)?;
        }
        let mut done = ended * turns;
        for experiment in ended..experiments {
            let cold = self.run_rounds(experiment, &progress, &mut done).await?;
            let floors = self.measure_floors(experiment, &progress).await?;
            self.end(experiment, cold, &floors)?;
            self.show(experiment, loads, &progress);
        }
        self.measure_device().await
    }

    /// The rounds of one experiment: as many as are asked for from when every target is warm.
    /// Returns how many were not.
    async fn run_rounds(
        &mut self,
        experiment: usize,
        progress: &Progress,
        done: &mut usize,
    ) -> Result<usize> {
        let (loads, wanted) =
            (self.loaded.profile.loads.len(), self.loaded.profile.measure.rounds as usize);
        for run in &mut self.targets {
            run.taken = vec![Vec::new(); loads];
        }
        let mut round = 0;
        loop {
            for target in in_turn(self.targets.len(), round) {
                self.start(target, experiment).await?;
                for load in 0..loads {
                    let turn = Turn { target, experiment, load };
                    self.take_turn(turn, progress, *done).await?;
                    *done += usize::from(round < wanted);
                }
            }
            round += 1;
            let cold = if wanted < ROUNDS_MIN { 0 } else { self.cold_rounds() };
            if round >= wanted + cold.min(COLD_ROUNDS_MAX) {
                return Ok(cold.min(round - 1));
            }
        }
    }

    /// Rounds of this experiment before all targets were warm under all loads.
    fn cold_rounds(&self) -> usize {
        let cold = |(load, rounds): (&LoadProfile, &Vec<Taken>)| {
            let speed = |taken: &Taken| match load.mode {
                Mode::Sustain => taken.sustained.unwrap_or(0.0),
                Mode::Closed => taken.outcome.recording.records_per_second(),
                // The rate is given: what gets better is the latency.
                Mode::Open => {
                    1e9 / taken.outcome.recording.latency.value_at_quantile(0.5).max(1) as f64
                }
            };
            let cost = |taken: &Taken| {
                let used = taken.outcome.broker?.cpu_seconds;
                Some(used / taken.outcome.recording.records as f64).filter(|cost| *cost > 0.0)
            };
            let speeds: Vec<f64> = rounds.iter().map(speed).collect();
            first_warm(&speeds, &rounds.iter().map(cost).collect::<Vec<_>>())
        };
        let loads = &self.loaded.profile.loads;
        let all = self.targets.iter().flat_map(|run| loads.iter().zip(&run.taken));
        all.map(cold).max().unwrap_or(0)
    }

    /// An experiment has ended: adds up its rounds, and writes down what a resumed run and its
    /// readers need.
    fn end(&mut self, number: usize, cold: usize, floors: &[Vec<Option<Floor>>]) -> Result<()> {
        let mut finished = FinishedExperiment { experiment: number, cold, targets: Vec::new() };
        for (run, floors) in self.targets.iter_mut().zip(floors) {
            let taken = std::mem::take(&mut run.taken);
            let load = |(rounds, floor): (&Vec<Taken>, &Option<Floor>)| FinishedLoad {
                rounds: rounds.iter().map(FinishedRound::of).collect(),
                floor: *floor,
            };
            finished.targets.push(taken.iter().zip(floors).map(load).collect());
            run.add(&self.loaded, number, cold, &taken, floors)?;
        }
        saved::keep(self.starter.folder.path(), &finished)
    }

    /// Takes up an experiment that an interrupted run has ended.
    fn take_up(&mut self, finished: FinishedExperiment) -> Result<()> {
        ensure!(finished.targets.len() == self.targets.len(), "another number of targets");
        for (run, loads) in self.targets.iter_mut().zip(finished.targets) {
            let floors: Vec<Option<Floor>> = loads.iter().map(|load| load.floor).collect();
            let taken = loads.into_iter().map(FinishedLoad::taken).collect::<Result<Vec<_>>>()?;
            run.add(&self.loaded, finished.experiment, finished.cold, &taken, &floors)?;
        }
        Ok(())
    }

    /// Ends an interrupted experiment with the rounds taken before.
    pub fn end_early(&mut self) {
        let number = self.targets[0].measured.len() / self.loaded.profile.loads.len();
        if number >= self.loaded.experiments.len() {
            return;
        }
        for run in &mut self.targets {
            let taken = std::mem::take(&mut run.taken);
            let floors = vec![None; taken.len()];
            // What has ended the run is worth more than what it leaves out.
            let _ = run.add(&self.loaded, number, 0, &taken, &floors);
        }
    }

    /// Reaches the hosts that the profile names for its load.
    async fn reach_agents(&mut self) -> Result<()> {
        let addresses = self.loaded.profile.agents()?;
        if addresses.is_empty() {
            return Ok(());
        }
        let secret = self.secret.as_ref().context("the profile names agents: --secret-file")?;
        let agents = Agents::connect(&self.shard, &addresses, secret, &self.loaded.text).await?;
        self.starter.agents = agents.envs();
        println!("load by {agents:?}");
        self.agents = Some(Rc::new(agents));
        Ok(())
    }

    /// Switches to the network of an experiment, which starts all targets anew.
    fn set_link(&mut self, experiment: usize) -> Result<()> {
        let rtt_ms = self.loaded.experiments[experiment].rtt_ms;
        if self.starter.link.as_ref().map_or(0, |link| link.rtt_ms()) == rtt_ms {
            return Ok(());
        }
        self.stop()?;
        // The old one has to be gone: both have the same addresses.
        self.starter.link = None;
        if rtt_ms > 0 {
            self.starter.link = Some(Rc::new(Link::new(rtt_ms, &self.starter.program)?));
        }
        Ok(())
    }

    /// Starts a target with the properties of an experiment, unless it runs with them.
    async fn start(&mut self, index: usize, experiment: usize) -> Result<()> {
        self.set_link(experiment)?;
        let run = &mut self.targets[index];
        let choice = run.choice.clone();
        let properties = choice.properties(&self.loaded.experiments[experiment]);
        if let Some(target) = &run.target {
            if run.properties == properties || !choice.kind.is_started() {
                return Ok(());
            }
            target.borrow_mut().stop()?;
            run.target = None;
        }
        let kit = match &choice.kind {
            TargetKind::Kafka(flavour) => Some(self.kit(flavour.version.as_deref())?),
            _ => None,
        };
        let spec = self.starter.spec(&choice, properties.clone());
        let target = spec.start(&self.shard, kit.as_deref()).await?;
        let run = &mut self.targets[index];
        run.properties = properties;
        if run.env.is_none() {
            println!("target {}, durability {}", target.label, target.durability);
            let (env, folder) = self.starter.started(&target, &self.loaded, index)?;
            (run.env, run.folder) = (Some(env), Some(folder));
        }
        run.target = Some(Rc::new(RefCell::new(target)));
        Ok(())
    }

    /// What the device takes by itself for a write that is durable, if anything waited for that.
    async fn measure_device(&mut self) -> Result<()> {
        let mut measured = self.targets.iter().flat_map(|run| &run.measured);
        let waited = measured.any(|measured| measured.durability == Durability::Sync);
        let targets = || self.targets.iter().filter_map(|run| run.target.as_ref());
        let data_dir = targets().find_map(|target| target.borrow().data_dir.clone());
        let Some(data_dir) = data_dir.filter(|_| waited) else { return Ok(()) };
        let seconds = self.loaded.profile.measure.seconds;
        // In a thread of its own: this one looks whether the run goes on.
        let measuring = std::thread::spawn(move || device_floors(&data_dir, seconds));
        while !measuring.is_finished() {
            ensure!(!self.interrupted.load(Ordering::Relaxed), "interrupted");
            self.shard.sleep_ms(SETTLE_LOOK_MS).await;
        }
        let floors = measuring
            .join()
            .map_err(|_| anyhow!("the thread that measured the device panicked"))??;
        for run in &mut self.targets {
            let (Some(env), Some(folder)) = (&mut run.env, &run.folder) else { continue };
            if env.durability != Durability::None {
                env.device_floors.clone_from(&floors);
                folder.write(ENV, &json(env)?)?;
            }
        }
        Ok(())
    }

    /// Kafka of a release, fetched once.
    fn kit(&mut self, version: Option<&str>) -> Result<Rc<KafkaKit>> {
        if let Some((_, kit)) = self.kits.iter().find(|(known, _)| known.as_deref() == version) {
            return Ok(Rc::clone(kit));
        }
        let kit = Rc::new(KafkaKit::install(version)?);
        self.kits.push((version.map(str::to_owned), Rc::clone(&kit)));
        Ok(kit)
    }

    /// Stops what was started.
    pub fn stop(&mut self) -> Result<()> {
        let targets = self.targets.iter_mut().filter_map(|run| run.target.take());
        let mut stopped = Ok(());
        for target in targets.chain(self.null.take()) {
            stopped = stopped.and(target.borrow_mut().stop());
        }
        stopped
    }

    /// What an experiment's loads come to where nothing is stored, for as long as the loads
    /// themselves; of each target its loads. A broker that stores nothing has nothing to read, so
    /// of consumers at the tail it is their producers alone, and of those that catch up nothing.
    async fn measure_floors(
        &mut self,
        number: usize,
        progress: &Progress,
    ) -> Result<Vec<Vec<Option<Floor>>>> {
        let loads = self.loaded.profile.loads.len();
        let mut floors = vec![vec![None; loads]; self.targets.len()];
        let experiment = &self.loaded.experiments[number];
        let produces = match experiment.driver {
            Driver::Native => matches!(experiment.kind, Kind::Produce | Kind::Tail),
            Driver::Java | Driver::Librdkafka | Driver::Iggy => experiment.kind == Kind::Produce,
        };
        let others = self.targets.iter().any(|run| run.choice.kind != TargetKind::Null);
        if !produces || !others {
            return Ok(floors);
        }
        let null = self.null_broker().await?;
        for load in 0..loads {
            // Targets that were loaded at rates of their own have floors of their own.
            let mut known: Vec<(Option<f64>, Floor)> = Vec::new();
            for (target, floors) in floors.iter_mut().enumerate() {
                let run = &self.targets[target];
                let first = run.taken.get(load).and_then(|rounds| rounds.first());
                if matches!(run.choice.kind, TargetKind::Null | TargetKind::Iggy(_)) {
                    continue;
                }
                let rate = first.and_then(|taken| taken.target_rate);
                let found = known.iter().find(|(other, _)| *other == rate);
                let floor = match found {
                    Some((_, floor)) => *floor,
                    None => {
                        let pace = rate.map_or(Pace::Closed, Pace::Open);
                        let mut plan = self.load_run((number, load), pace, None)?;
                        plan.kind = Kind::Produce;
                        let place = Place { experiment: number, load, null: true };
                        Floor::of(&self.measure(&null, (&plan, place), (progress, 0)).await?)
                    }
                };
                known.push((rate, floor));
                floors[load] = Some(floor);
            }
        }
        Ok(floors)
    }

    /// A broker that stores nothing. Agents have brokers of their own.
    async fn null_broker(&mut self) -> Result<Rc<RefCell<Target>>> {
        if self.agents.is_some() {
            self.null = self.targets.first().and_then(|run| run.target.clone());
        }
        if self.null.is_none() {
            let spec = self.starter.null();
            self.null = Some(Rc::new(RefCell::new(spec.start(&self.shard, None).await?)));
        }
        self.null.clone().context("there is no null broker")
    }

    fn show(&self, experiment: usize, loads: usize, progress: &Progress) {
        for run in &self.targets {
            let label = run.env.as_ref().map_or("", |env| env.target.as_str());
            let prefix = match self.targets.len() {
                1 => String::new(),
                _ => format!("{label:<10} "),
            };
            for measured in &run.measured[experiment * loads..] {
                progress.line(&format!("{prefix}{}", table::line(measured)));
            }
        }
    }

    async fn take_turn(&mut self, turn: Turn, progress: &Progress, index: usize) -> Result<()> {
        let load = self.loaded.profile.loads[turn.load].clone();
        let experiment = &self.loaded.experiments[turn.experiment];
        let (asked, driver) = (experiment.durability, experiment.driver);
        let name = format!("{} {}", experiment.name, load.mode.name());
        progress.begin(index, &name);
        let target = self.targets[turn.target].target.clone().context("a target that runs")?;
        let idle = self.idle_targets(turn.target);
        let (began, before) = (self.shard.clock(), sum_of_cpu(&idle));
        self.pauses.as_ref().map(PauseWatch::take_longest_ms);
        let trace = self.block_trace(&target)?;
        let taken = match load.mode {
            Mode::Sustain => self.search(turn, &load, &target, (progress, index)).await,
            _ => self.measure_once(turn, &load, &target, (progress, index)).await,
        };
        let mut taken = taken.with_context(|| format!("experiment {name}"))?;
        let outcome = &mut taken.outcome;
        if target.borrow().durability == Durability::None {
            outcome.durability = Durability::None;
        }
        self.targets[turn.target].choice.check_durability(asked, outcome.durability)?;
        if let Some(machine) = &mut outcome.machine {
            let seconds = self.shard.clock().ms_since(began) as f64 / 1e3;
            machine.others_busy = Some((sum_of_cpu(&idle) - before) / seconds.max(0.001));
            machine.pause_ms_max = self.pauses.as_ref().map(PauseWatch::take_longest_ms);
        }
        outcome.recording.forget_intervals();
        // What another client has measured by itself has no histogram.
        debug_assert!(driver == Driver::Native || outcome.printed.is_some());
        if let Some(trace) = trace {
            taken.outcome.client_metrics.extend(metrics_of(trace.finish()?));
        }
        self.settle(&target).await?;
        self.targets[turn.target].taken[turn.load].push(taken);
        Ok(())
    }

    /// Watches the device of a target, if the profile asks for that and it is known.
    fn block_trace(&self, target: &RefCell<Target>) -> Result<Option<BlockTrace>> {
        let data_dir = target.borrow().data_dir.clone();
        let wanted = data_dir.filter(|_| self.loaded.profile.measure.block_trace);
        wanted.map(|data_dir| BlockTrace::start(&data_dir)).transpose()
    }

    /// Processes of the targets that only wait for their turn.
    fn idle_targets(&self, at_work: usize) -> Vec<Rc<RefCell<Target>>> {
        let others = self.targets.iter().enumerate().filter(|(index, _)| *index != at_work);
        others.filter_map(|(_, run)| run.target.clone()).collect()
    }

    /// Waits until what a target has caused is done: topics deleted, pages written back. Peers on
    /// one machine would pay for it.
    async fn settle(&self, target: &Rc<RefCell<Target>>) -> Result<()> {
        Target::wait_until_deleted(target, &self.shard).await?;
        let Some(data_dir) = target.borrow().data_dir.clone() else { return Ok(()) };
        let folder = std::fs::File::open(&data_dir)?;
        rustix::fs::syncfs(&folder)?;
        let deadline = self.shard.clock().plus_ms(SETTLE_MS);
        while unwritten_bytes() > UNWRITTEN_BYTES_MAX && self.shard.clock() < deadline {
            self.shard.sleep_ms(SETTLE_LOOK_MS).await;
        }
        Ok(())
    }

    async fn measure_once(
        &mut self,
        turn: Turn,
        load: &LoadProfile,
        target: &Rc<RefCell<Target>>,
        shown: (&Progress, usize),
    ) -> Result<Taken> {
        let pace = pace(load, self.closed_rate(turn))?;
        let plan = self.load_run((turn.experiment, turn.load), pace, Some(turn.target))?;
        let outcome = self.measure(target, (&plan, turn.place()), shown).await?;
        let target_rate = match pace {
            Pace::Closed => None,
            Pace::Open(rate) => Some(rate),
        };
        Ok(Taken { outcome, target_rate, tried: Vec::new(), sustained: None })
    }

    /// Tries rates until the highest that is sustained is known; its outcome is the load's.
    async fn search(
        &mut self,
        turn: Turn,
        load: &LoadProfile,
        target: &Rc<RefCell<Target>>,
        shown: (&Progress, usize),
    ) -> Result<Taken> {
        let bound = load.p99_ms_max.context("a bound")?;
        let first = self.closed_rate(turn).map_or(FIRST_RATE, |rate| rate / 2.0);
        let mut search = Search::new(bound, first);
        let mut best = None;
        while let Some(rate) = search.next() {
            let place = (turn.experiment, turn.load);
            let plan = self.load_run(place, Pace::Open(rate), Some(turn.target))?;
            let outcome = self.measure(target, (&plan, turn.place()), shown).await?;
            if search.learn(&outcome) {
                best = Some((rate, outcome));
            }
        }
        let sustained = search.found();
        let (rate, outcome) =
            best.with_context(|| format!("no rate keeps the 99th percentile below {bound} ms"))?;
        Ok(Taken { outcome, target_rate: Some(rate), tried: search.tried, sustained })
    }

    /// What the closed loop before this load reached in the first round, so that all rounds of an
    /// open loop have the same rate.
    fn closed_rate(&self, turn: Turn) -> Option<f64> {
        let loads = &self.loaded.profile.loads;
        let closed = loads[..turn.load].iter().rposition(|load| load.mode == Mode::Closed)?;
        let first = self.targets[turn.target].taken[closed].first()?;
        Some(first.outcome.recording.records_per_second())
    }

    async fn measure(
        &self,
        target: &Rc<RefCell<Target>>,
        (plan, place): (&LoadRun, Place),
        (progress, index): (&Progress, usize),
    ) -> Result<Outcome> {
        let (bootstrap, process) = {
            let target = target.borrow();
            (target.bootstrap.clone(), target.watch.clone())
        };
        let guard = Guard {
            target: Rc::clone(target),
            interrupted: Arc::clone(&self.interrupted),
            progress: progress.clone(),
            index,
        };
        let watch = Rc::new(RefCell::new(guard));
        let shard = &self.shard;
        if plan.kind.is_start() {
            return restart::measure(shard, target, plan, watch).await;
        }
        let ran = match self.agents.as_ref().filter(|_| matches!(plan.driver, ToolOrNative::Native))
        {
            Some(agents) => agents.measure(shard, &bootstrap, process, (plan, place), watch).await,
            None => experiment::run(shard, &bootstrap, process, plan, watch).await,
        };
        if ran.is_err() {
            self.check_for_a_while(target).await?;
        }
        ran
    }

    /// What to run of an experiment's load, at a pace, and against which of the targets; `None` is
    /// the one that stores nothing.
    fn load_run(
        &mut self,
        (number, load): (usize, usize),
        pace: Pace,
        target: Option<usize>,
    ) -> Result<LoadRun> {
        let driver = self.driver(number, target)?;
        let experiment = &self.loaded.experiments[number];
        let name = format!("{TOPIC_PREFIX}{:016x}", self.shard.random());
        let mut topic = TopicSpec { name, ..experiment.topic_spec() };
        if let Some(target) = target {
            topic.configs.extend(self.targets[target].choice.topic_configs(experiment.durability));
        }
        let (load, measure) = (&self.loaded.profile.loads[load], &self.loaded.profile.measure);
        let mut run = LoadRun::new(experiment, load, topic, pace, measure.times(), driver);
        if let Some(target) = target.filter(|_| measure.block_trace) {
            let target = self.targets[target].target.as_ref();
            run.write_back = target.and_then(|target| target.borrow().data_dir.clone());
        }
        Ok(run)
    }

    /// Who loads one of the targets with an experiment.
    fn driver(&mut self, number: usize, target: Option<usize>) -> Result<ToolOrNative> {
        let experiment = &self.loaded.experiments[number];
        let kind = target.map(|target| &self.targets[target].choice.kind);
        if let Some(TargetKind::Iggy(kit)) = kind {
            let durability = experiment.durability.unwrap_or(Durability::Replicated);
            return Ok(ToolOrNative::Iggy(kit.clone(), durability));
        }
        Ok(match experiment.driver {
            Driver::Native => ToolOrNative::Native,
            Driver::Java => ToolOrNative::Java(self.kit(None)?),
            Driver::Librdkafka => {
                ensure!(
                    cfg!(feature = "librdkafka"),
                    "driver = \"librdkafka\": not in this build; cargo build --release --features \
                     librdkafka"
                );
                ToolOrNative::Librdkafka(self.starter.program.clone())
            }
            Driver::Iggy => bail!("iggy-bench loads Apache Iggy alone"),
        })
    }

    /// That the target has died says more than what became of a request. The kernel closes its
    /// connections before it can be seen that it has ended.
    async fn check_for_a_while(&self, target: &RefCell<Target>) -> Result<()> {
        let deadline = self.shard.clock().plus_ms(DYING_MS);
        while self.shard.clock() < deadline {
            target.borrow_mut().check()?;
            self.shard.sleep_ms(DYING_LOOK_MS).await;
        }
        Ok(())
    }
}

impl TargetRun {
    /// Adds the loads of an experiment, and writes down their latencies.
    fn add(
        &mut self,
        loaded: &LoadedProfile,
        number: usize,
        cold: usize,
        taken: &[Vec<Taken>],
        floors: &[Option<Floor>],
    ) -> Result<()> {
        let experiment = &loaded.experiments[number];
        for ((load, rounds), floor) in loaded.profile.loads.iter().zip(taken).zip(floors) {
            let Some(mut measured) = Measured::of(experiment, load.mode, cold, rounds) else {
                continue;
            };
            measured.floor = *floor;
            if matches!(self.choice.kind, TargetKind::Iggy(_)) {
                measured.driver = Driver::Iggy;
            }
            measured.through_link = experiment.rtt_ms > 0;
            let counted: Vec<&Outcome> =
                rounds.iter().skip(cold).map(|taken| &taken.outcome).collect();
            let has_log = measured.outcome.printed.is_none();
            if let Some(folder) = self.folder.as_ref().filter(|_| has_log) {
                let name = latency_log_name(self.measured.len() + 1, &measured);
                folder.write(&name, &latency_log(&measured.title(), &counted)?)?;
            }
            self.measured.push(measured);
        }
        Ok(())
    }
}

/// Requests to a device, from the beginning of a load until all of it is written back.
fn metrics_of(writes: BlockWrites) -> [(String, f64); 3] {
    let requests = writes.requests.max(1) as f64;
    [
        ("device-writes", writes.requests as f64),
        ("device-write-kib-avg", writes.bytes as f64 / 1024.0 / requests),
        ("device-writes-sequential-ratio", writes.sequential as f64 / requests),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

/// Processor time that these have taken.
fn sum_of_cpu(targets: &[Rc<RefCell<Target>>]) -> f64 {
    let sample = |target: &Rc<RefCell<Target>>| target.borrow().watch.as_ref()?.sample().ok();
    let seconds = |sample: ProcessSample| sample.cpu_seconds;
    targets.iter().filter_map(sample).map(seconds).sum()
}

/// The order of targets in a round: what changes slowly on the machine meets all of them alike.
fn in_turn(count: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

fn pace(load: &LoadProfile, closed_rate: Option<f64>) -> Result<Pace> {
    Ok(match (load.mode, load.rate, load.share_of_closed, closed_rate) {
        (Mode::Closed, ..) => Pace::Closed,
        (Mode::Open, Some(rate), ..) => Pace::Open(rate),
        (Mode::Open, None, Some(share), Some(rate)) if rate > 0.0 => Pace::Open(share * rate),
        (Mode::Sustain, ..) => bail!("its rate is searched for"),
        (Mode::Open, ..) => bail!("the closed loop before it got no record through"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_take_turns() {
        let order: Vec<usize> = (0..4).flat_map(|round| in_turn(2, round)).collect();
        assert_eq!(order, [0, 1, 1, 0, 0, 1, 1, 0]);
    }
}

//! [`Runner`]: rounds of experiments, against one target after the other.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use ringlog_engine::shard::Shard;

use super::TargetChoice;
use super::search::{FIRST_RATE, Search};
use super::starter::Starter;
use crate::agent::{Agents, Place, Secret};
use crate::client::TopicSpec;
use crate::experiment::{self, Live, LoadRun, Outcome, Times, ToolOrNative, Watch};
use crate::load::Pace;
use crate::profile::{Driver, Kind, LoadProfile, LoadedProfile, Mode, Property};
use crate::progress::Progress;
use crate::results::{
    Env, Floor, Measured, ResultFolder, RoundFigures, Tried, interval_log, interval_log_name,
};
use crate::table;
use crate::target::{KafkaKit, Target};

/// How long a target may take to be seen dead after its connections are, and how often to look.
const DYING_MS: u64 = 500;
const DYING_LOOK_MS: u64 = 5;
/// How long the generator is measured by itself.
const FLOOR_TIMES: Times = Times { warmup: 0.25, warmup_max: 0.25, measured: 0.5 };

/// Runs experiments one after the other.
pub struct Runner {
    pub shard: Shard,
    pub loaded: LoadedProfile,
    pub targets: Vec<TargetRun>,
    pub interrupted: Arc<AtomicBool>,
    /// Starts targets, and writes down where.
    pub starter: Starter,
    /// Kafka's tools, once they are needed.
    pub kit: Option<Rc<KafkaKit>>,
    /// What its load hosts know too, if the profile names any; and them, once they were reached.
    pub secret: Option<Secret>,
    pub agents: Option<Rc<Agents>>,
    /// A broker that stores nothing, to see what this program can do; `None` where nothing else is
    /// measured.
    pub null: Option<Rc<RefCell<Target>>>,
}

/// A target, and what was measured of it.
pub struct TargetRun {
    pub choice: TargetChoice,
    /// While it runs.
    pub target: Option<Rc<RefCell<Target>>>,
    /// The properties that it runs with.
    pub broker: BTreeMap<String, Property>,
    /// Once it has been started.
    pub env: Option<Env>,
    pub folder: Option<Rc<ResultFolder>>,
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
    round: usize,
}

impl Runner {
    /// Every experiment in turn; of each every round, in which targets take turns: A B B A.
    pub async fn run_all(&mut self) -> Result<()> {
        println!("{}", self.loaded.profile.title);
        self.reach_agents().await?;
        let first = self.loaded.experiments.first().map(|experiment| experiment.broker.clone());
        for target in 0..self.targets.len() {
            self.start(target, &first.clone().unwrap_or_default()).await?;
        }
        let (loads, measure) = (self.loaded.profile.loads.len(), &self.loaded.profile.measure);
        let rounds = measure.rounds as usize;
        let count = self.loaded.experiments.len() * loads * rounds * self.targets.len();
        let progress = Progress::new(count, measure.warmup_seconds + measure.seconds);
        let mut done = 0;
        for experiment in 0..self.loaded.experiments.len() {
            for round in 0..rounds {
                for target in in_turn(self.targets.len(), round) {
                    let broker = self.loaded.experiments[experiment].broker.clone();
                    self.start(target, &broker).await?;
                    for load in 0..loads {
                        let turn = Turn { target, experiment, load, round };
                        self.take_turn(turn, &progress, done).await?;
                        done += 1;
                    }
                }
            }
            self.measure_floors(experiment, &progress).await?;
            self.show(experiment, loads, &progress);
        }
        Ok(())
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

    /// Has a target run with these properties: starts it, or starts it anew.
    async fn start(&mut self, index: usize, broker: &BTreeMap<String, Property>) -> Result<()> {
        let run = &mut self.targets[index];
        if let Some(target) = &run.target {
            let same = run.broker == *broker;
            if same || !matches!(run.choice, TargetChoice::Node | TargetChoice::Kafka) {
                return Ok(());
            }
            target.borrow_mut().stop()?;
            run.target = None;
        }
        if run.choice == TargetChoice::Kafka && self.kit.is_none() {
            self.kit = Some(Rc::new(KafkaKit::install()?));
        }
        let spec = self.starter.spec(&run.choice, broker, self.kit.as_ref())?;
        let target = spec.start(&self.shard).await?;
        if run.env.is_none() {
            println!("target {}, durability {}", target.label, target.durability);
            let (env, folder) = self.starter.started(&target, &self.loaded, index)?;
            (run.env, run.folder) = (Some(env), Some(folder));
        }
        run.broker = broker.clone();
        run.target = Some(Rc::new(RefCell::new(target)));
        Ok(())
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

    /// What an experiment's loads come to where nothing is stored. Short: what matters is whether
    /// the broker came near it. A broker that stores nothing has nothing to read, so of consumers
    /// at the tail it is their producers alone, and of those that catch up nothing.
    async fn measure_floors(&mut self, number: usize, progress: &Progress) -> Result<()> {
        let experiment = &self.loaded.experiments[number];
        let produces = match experiment.driver {
            Driver::Native => experiment.kind != Kind::CatchUp,
            Driver::Java | Driver::Librdkafka => experiment.kind == Kind::Produce,
        };
        let others = self.targets.iter().any(|run| run.choice != TargetChoice::Null);
        if !produces || !others {
            return Ok(());
        }
        if self.agents.is_some() {
            // They have null brokers of their own.
            self.null = self.targets.first().and_then(|run| run.target.clone());
        }
        if self.null.is_none() {
            let spec = self.starter.spec(&TargetChoice::Null, &BTreeMap::new(), None)?;
            self.null = Some(Rc::new(RefCell::new(spec.start(&self.shard).await?)));
        }
        let Some(null) = self.null.clone() else { return Ok(()) };
        let loads = self.loaded.profile.loads.len();
        for index in 0..loads {
            let at = number * loads + index;
            // Targets that were loaded at rates of their own have floors of their own.
            let mut known: Vec<(Option<f64>, Floor)> = Vec::new();
            for target in 0..self.targets.len() {
                if self.targets[target].choice == TargetChoice::Null {
                    continue;
                }
                let rate = self.targets[target].measured[at].target_rate;
                let found = known.iter().find(|(other, _)| *other == rate);
                let floor = match found {
                    Some((_, floor)) => *floor,
                    None => {
                        let pace = rate.map_or(Pace::Closed, Pace::Open);
                        let mut plan = self.load_run(number, index, pace)?;
                        plan.kind = Kind::Produce;
                        if let ToolOrNative::Agents(_, place) = &mut plan.driver {
                            place.null = true;
                        }
                        // A tool is given what it is always given: its start is among its figures.
                        if matches!(plan.driver, ToolOrNative::Native | ToolOrNative::Agents(..)) {
                            plan.times = FLOOR_TIMES;
                        }
                        Floor::of(&self.measure(&null, &plan, (progress, 0)).await?)
                    }
                };
                known.push((rate, floor));
                self.targets[target].measured[at].floor = Some(floor);
            }
        }
        Ok(())
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
        let name =
            format!("{} {}", self.loaded.experiments[turn.experiment].name, load.mode.name());
        progress.begin(index, &name);
        let target = self.targets[turn.target].target.clone().context("a target that runs")?;
        let measured = match load.mode {
            Mode::Sustain => self.search(turn, &load, &target, (progress, index)).await,
            _ => self.measure_once(turn, &load, &target, (progress, index)).await,
        };
        let (pace, outcome, tried) = measured.with_context(|| format!("experiment {name}"))?;
        self.keep(turn, pace, outcome, tried)
    }

    async fn measure_once(
        &mut self,
        turn: Turn,
        load: &LoadProfile,
        target: &Rc<RefCell<Target>>,
        shown: (&Progress, usize),
    ) -> Result<(Pace, Outcome, Vec<Tried>)> {
        let pace = pace(load, self.closed_rate(turn))?;
        let plan = self.load_run(turn.experiment, turn.load, pace)?;
        Ok((pace, self.measure(target, &plan, shown).await?, Vec::new()))
    }

    /// Tries rates until the highest that is sustained is known; its outcome is the load's.
    async fn search(
        &mut self,
        turn: Turn,
        load: &LoadProfile,
        target: &Rc<RefCell<Target>>,
        shown: (&Progress, usize),
    ) -> Result<(Pace, Outcome, Vec<Tried>)> {
        let bound = load.p99_ms_max.context("a bound")?;
        let first = self.closed_rate(turn).map_or(FIRST_RATE, |rate| rate / 2.0);
        let mut search = Search::new(bound, first);
        let mut best = None;
        while let Some(rate) = search.next() {
            let pace = Pace::Open(rate);
            let plan = self.load_run(turn.experiment, turn.load, pace)?;
            let outcome = self.measure(target, &plan, shown).await?;
            if search.learn(&outcome) {
                best = Some((pace, outcome));
            }
        }
        let (pace, outcome) =
            best.with_context(|| format!("no rate keeps the 99th percentile below {bound} ms"))?;
        Ok((pace, outcome, search.tried))
    }

    /// Writes the interval log, and adds the round to those before it.
    fn keep(
        &mut self,
        turn: Turn,
        pace: Pace,
        mut outcome: Outcome,
        tried: Vec<Tried>,
    ) -> Result<()> {
        let experiment = &self.loaded.experiments[turn.experiment];
        let (loads, mode) = (&self.loaded.profile.loads, self.loaded.profile.loads[turn.load].mode);
        let number = turn.experiment * loads.len() + turn.load;
        let run = &mut self.targets[turn.target];
        let log = interval_log(&experiment.name, mode, &outcome)?;
        let log_name = interval_log_name(number, &experiment.name, mode, turn.round);
        if let Some(folder) = run.folder.as_ref().filter(|_| outcome.printed.is_none()) {
            folder.write(&log_name, &log)?;
        }
        outcome.recording.forget_intervals();
        if turn.round > 0 {
            let measured = &mut run.measured[number];
            measured.tried.extend(tried);
            measured.add(outcome);
            return Ok(());
        }
        let durability = run.target.as_ref().map(|target| target.borrow().durability.clone());
        let value_bytes = experiment.values.value_bytes;
        run.measured.push(Measured {
            name: experiment.name.clone(),
            mode,
            kind: experiment.kind,
            driver: experiment.driver,
            durability: durability.unwrap_or_default(),
            floor: None,
            was_limited: None,
            target_rate: match pace {
                Pace::Closed => None,
                Pace::Open(rate) => Some(rate),
            },
            tried,
            value_bytes,
            rounds: vec![RoundFigures::of(&outcome, value_bytes)],
            outcome,
            reference: experiment.reference.clone(),
        });
        Ok(())
    }

    /// What the closed loop before this load reached in the first round, so that all rounds of an
    /// open loop have the same rate.
    fn closed_rate(&self, turn: Turn) -> Option<f64> {
        let loads = &self.loaded.profile.loads;
        let closed = loads[..turn.load].iter().rposition(|load| load.mode == Mode::Closed)?;
        let number = turn.experiment * loads.len() + closed;
        let measured = self.targets[turn.target].measured.get(number)?;
        measured.rounds.first().map(|round| round.records_per_second)
    }

    async fn measure(
        &self,
        target: &Rc<RefCell<Target>>,
        plan: &LoadRun,
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
        let ran = experiment::run(&self.shard, &bootstrap, process, plan, watch).await;
        if ran.is_err() {
            self.check_for_a_while(target).await?;
        }
        Target::wait_until_deleted(target, &self.shard).await?;
        ran
    }

    fn load_run(&mut self, number: usize, load: usize, pace: Pace) -> Result<LoadRun> {
        let experiment = &self.loaded.experiments[number];
        let driver = match experiment.driver {
            Driver::Native => match &self.agents {
                None => ToolOrNative::Native,
                Some(agents) => {
                    let place = Place { experiment: number, load, null: false };
                    ToolOrNative::Agents(Rc::clone(agents), place)
                }
            },
            Driver::Java => {
                if self.kit.is_none() {
                    self.kit = Some(Rc::new(KafkaKit::install()?));
                }
                ToolOrNative::Java(self.kit.clone().context("just installed")?)
            }
            Driver::Librdkafka => {
                ensure!(
                    cfg!(feature = "librdkafka"),
                    "driver = \"librdkafka\": not in this build; cargo build --release --features \
                     librdkafka"
                );
                ToolOrNative::Librdkafka(self.starter.program.clone())
            }
        };
        let name = format!("ringlog-bench-{:016x}", self.shard.random());
        let topic = TopicSpec { name, ..experiment.topic_spec() };
        let (load, times) = (&self.loaded.profile.loads[load], self.loaded.profile.measure.times());
        Ok(LoadRun::new(experiment, load, topic, pace, times, driver))
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

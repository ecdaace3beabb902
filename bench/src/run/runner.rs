//! [`Runner`]: rounds of experiments, against one target after the other.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use ringlog_engine::shard::Shard;

use crate::client::TopicSpec;
use crate::experiment::{self, Live, LoadRun, Outcome, Watch};
use crate::load::Pace;
use crate::profile::{Experiment, LoadProfile, LoadedProfile, Mode};
use crate::progress::Progress;
use crate::results::{Env, Measured, ResultFolder, RoundFigures, interval_log, interval_log_name};
use crate::table;
use crate::target::Target;

/// How long a target may take to be seen dead after its connections are, and how often to look.
const DYING_MS: u64 = 500;
const DYING_LOOK_MS: u64 = 5;

/// Runs experiments one after the other.
pub struct Runner {
    pub shard: Shard,
    pub loaded: LoadedProfile,
    pub targets: Vec<TargetRun>,
    pub interrupted: Arc<AtomicBool>,
}

/// A target, and what was measured of it.
pub struct TargetRun {
    pub target: Rc<RefCell<Target>>,
    pub env: Env,
    pub folder: Rc<ResultFolder>,
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
        for target in &self.targets {
            println!("target {}, durability {}", target.env.target, target.env.durability);
        }
        let (loads, measure) = (self.loaded.profile.loads.len(), &self.loaded.profile.measure);
        let rounds = measure.rounds as usize;
        let count = self.loaded.experiments.len() * loads * rounds * self.targets.len();
        let progress = Progress::new(count, measure.warmup_seconds + measure.seconds);
        let mut done = 0;
        for experiment in 0..self.loaded.experiments.len() {
            for round in 0..rounds {
                for target in in_turn(self.targets.len(), round) {
                    for load in 0..loads {
                        let turn = Turn { target, experiment, load, round };
                        self.take_turn(turn, &progress, done).await?;
                        done += 1;
                    }
                }
            }
            self.show(experiment, loads, &progress);
        }
        Ok(())
    }

    fn show(&self, experiment: usize, loads: usize, progress: &Progress) {
        for target in &self.targets {
            let prefix = match self.targets.len() {
                1 => String::new(),
                _ => format!("{:<10} ", target.env.target),
            };
            for measured in &target.measured[experiment * loads..] {
                progress.line(&format!("{prefix}{}", table::line(measured)));
            }
        }
    }

    async fn take_turn(&mut self, turn: Turn, progress: &Progress, index: usize) -> Result<()> {
        let experiment = &self.loaded.experiments[turn.experiment];
        let load = &self.loaded.profile.loads[turn.load];
        let pace = pace(load, self.closed_rate(turn))?;
        let name = format!("{} {}", experiment.name, load.mode.name());
        progress.begin(index, &name);
        let mut outcome = self
            .run_one(turn.target, experiment, load, pace, (progress, index))
            .await
            .with_context(|| format!("experiment {name}"))?;
        let loads = self.loaded.profile.loads.len();
        let number = turn.experiment * loads + turn.load;
        let target = &mut self.targets[turn.target];
        let log = interval_log(&experiment.name, load.mode, &outcome)?;
        let log_name = interval_log_name(number, &experiment.name, load.mode, turn.round);
        target.folder.write(&log_name, &log)?;
        outcome.recording.forget_intervals();
        if turn.round > 0 {
            target.measured[number].add(outcome);
            return Ok(());
        }
        let value_bytes = self.loaded.profile.values().value_bytes;
        target.measured.push(Measured {
            name: experiment.name.clone(),
            mode: load.mode,
            target_rate: match pace {
                Pace::Closed => None,
                Pace::Open(rate) => Some(rate),
            },
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

    async fn run_one(
        &self,
        target: usize,
        experiment: &Experiment,
        load: &LoadProfile,
        pace: Pace,
        (progress, index): (&Progress, usize),
    ) -> Result<Outcome> {
        let target = &self.targets[target].target;
        let plan = load_run(&self.shard, &self.loaded, experiment, load, pace);
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
        let ran = experiment::run(&self.shard, &bootstrap, process, &plan, watch).await;
        if ran.is_err() {
            self.check_for_a_while(target).await?;
        }
        Target::wait_until_deleted(target, &self.shard).await?;
        ran
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
        (Mode::Open, ..) => bail!("the closed loop before it got no record through"),
    })
}

fn load_run(
    shard: &Shard,
    loaded: &LoadedProfile,
    experiment: &Experiment,
    load: &LoadProfile,
    pace: Pace,
) -> LoadRun {
    let profile = &loaded.profile;
    let configs = profile.topic.configs.iter();
    LoadRun {
        topic: TopicSpec {
            name: format!("ringlog-bench-{:016x}", shard.random()),
            partitions: profile.topic.partitions as i32,
            replication_factor: profile.topic.replication_factor.unwrap_or(-1),
            configs: configs.map(|(key, value)| (key.clone(), value.to_string())).collect(),
        },
        producer: experiment.producer.clone(),
        producers: load.producers as usize,
        values: profile.values(),
        pace,
        times: profile.measure.times(),
    }
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

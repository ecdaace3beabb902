//! [`Agents`]: the load hosts of a run, as one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use ringlog_engine::io::Mono;
use ringlog_engine::shard::{Shard, Socket};

use super::link::{Link, command};
use super::secret::Secret;
use super::words::{Order, Plan, Word};
use crate::client::Endpoint;
use crate::experiment::{
    DRAIN_MS, LoadRun, START_DELAY_MS, Watch, clean_up, merged_metrics, prepare,
};
use crate::figures::{BrokerUse, Live, MachineUse, Outcome};
use crate::host::{AgentEnv, MachineSample, Versions};
use crate::load::Pace;
use crate::profile::Kind;
use crate::target::{ProcessSample, ProcessWatch};

/// How long an agent may take to be reached and to say who it is.
const CONNECT_MS: u64 = 10_000;
/// How long agents may take until all are ready: those that catch up store first what they read.
const READY_MS: u64 = 600_000;
/// How long an agent may take with its part beyond what the part takes.
const LATE_MS: u64 = 60_000;
/// How often it looks at what agents have said, and shows it.
const LOOK_MS: u64 = 1;
const TICK_MS: u64 = 200;

/// Agents that were reached, and know the secret.
pub struct Agents {
    all: Vec<Agent>,
    profile: String,
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.iter().map(|agent| &agent.env.address)).finish()
    }
}

struct Agent {
    env: AgentEnv,
    link: Link<Order, Word>,
}

/// Which load of a profile agents are to carry out, and against what.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The experiment's number.
    pub experiment: usize,
    /// The load's.
    pub load: usize,
    /// Against brokers of their own that store nothing: the floor.
    pub null: bool,
}

impl Place {
    /// Whether agents send to one topic. Where records are read too, clocks of two hosts would meet
    /// in one: every agent has its own.
    fn shares_topic(self, run: &LoadRun) -> bool {
        run.kind == Kind::Produce && !self.null
    }
}

/// How agents are getting on.
#[derive(Default)]
struct Progress {
    ready: usize,
    done: usize,
    live: Vec<Live>,
    /// What those that are done have counted, together.
    whole: Option<Outcome>,
    /// The metrics of each.
    metrics: Vec<BTreeMap<String, f64>>,
}

impl Agents {
    /// Reaches all of them.
    pub async fn connect(
        shard: &Shard,
        addresses: &[Endpoint],
        secret: &Secret,
        profile: &str,
    ) -> Result<Agents> {
        let mut all = Vec::new();
        for address in addresses {
            let agent = Agent::connect(shard, address, secret).await;
            all.push(agent.with_context(|| format!("agent {address}"))?);
        }
        Ok(Agents { all, profile: profile.to_owned() })
    }

    /// Who they are.
    pub fn envs(&self) -> Vec<AgentEnv> {
        self.all.iter().map(|agent| agent.env.clone()).collect()
    }

    /// Has them carry out a load, together. One that fails or goes ends it. Of the broker it is
    /// theirs to ask, but for a topic that they share.
    pub async fn measure(
        &self,
        shard: &Shard,
        bootstrap: &Endpoint,
        process: Option<ProcessWatch>,
        (run, place): (&LoadRun, Place),
        watch: Rc<RefCell<dyn Watch>>,
    ) -> Result<Outcome> {
        if !place.shares_topic(run) {
            return self.carry_out(shard, bootstrap, process, (run, place), watch).await;
        }
        let (_, durability) = prepare(shard, bootstrap, run).await?;
        let outcome = self.carry_out(shard, bootstrap, process, (run, place), watch).await;
        let cleaned = clean_up(shard, bootstrap, run).await;
        // The first failure is the cause of the second.
        let outcome = outcome?;
        cleaned?;
        Ok(Outcome { durability, ..outcome })
    }

    async fn carry_out(
        &self,
        shard: &Shard,
        bootstrap: &Endpoint,
        process: Option<ProcessWatch>,
        (run, place): (&LoadRun, Place),
        watch: Rc<RefCell<dyn Watch>>,
    ) -> Result<Outcome> {
        for (index, agent) in self.all.iter().enumerate() {
            let plan = self.plan(bootstrap, run, place, index);
            agent.link.say(&Order::Prepare(Box::new(plan))).with_context(|| agent.name())?;
        }
        let mut progress =
            Progress { live: vec![Live::NOTHING; self.all.len()], ..Progress::default() };
        let deadline = shard.clock().plus_ms(READY_MS);
        while progress.ready < self.all.len() {
            self.listen(&mut progress)?;
            ensure!(shard.clock() < deadline, "agents were not ready within {READY_MS} ms");
            watch.borrow_mut().tick(Live::NOTHING)?;
            shard.sleep_ms(LOOK_MS).await;
        }
        for agent in &self.all {
            agent.link.say(&Order::Begin).with_context(|| agent.name())?;
        }
        let mut edges = BrokerEdges::new(shard.clock(), process, run)?;
        let mut ticked = shard.clock();
        while progress.done < self.all.len() {
            self.listen(&mut progress)?;
            let now = shard.clock();
            edges.look(now)?;
            ensure!(now < edges.deadline, "agents have not come to an end");
            if now >= ticked.plus_ms(TICK_MS) {
                ticked = now;
                watch.borrow_mut().tick(progress.live())?;
            }
            shard.sleep_ms(LOOK_MS).await;
        }
        let whole = progress.whole.context("no agent has counted anything")?;
        let client_metrics = merged_metrics(&progress.metrics, &whole.lateness);
        let (broker, machine) = edges.seen();
        Ok(Outcome { broker, machine, client_metrics, ..whole })
    }

    fn plan(&self, bootstrap: &Endpoint, run: &LoadRun, place: Place, index: usize) -> Plan {
        let topic_is_shared = place.shares_topic(run);
        let name = &run.topic.name;
        Plan {
            profile: self.profile.clone(),
            experiment: place.experiment,
            load: place.load,
            kind: run.kind,
            rate: match run.pace {
                Pace::Closed => None,
                Pace::Open(rate) => Some(rate / self.all.len() as f64),
            },
            bootstrap: (!place.null).then(|| bootstrap.to_string()),
            topic_is_shared,
            topic: match topic_is_shared {
                true => name.clone(),
                false => format!("{name}-{}", index + 1),
            },
            topic_configs: run.topic.configs.clone(),
            // All windows are to begin together: nobody puts his off.
            warmup_seconds: run.times.warmup_max,
            seconds: run.times.measured,
        }
    }

    /// Takes in what agents have said.
    fn listen(&self, progress: &mut Progress) -> Result<()> {
        for (index, agent) in self.all.iter().enumerate() {
            let heard = agent.link.heard().with_context(|| format!("{} is gone", agent.name()))?;
            match heard {
                None => {}
                Some(Word::Ready) => progress.ready += 1,
                Some(Word::Live(live)) => progress.live[index] = live,
                Some(Word::Done(part)) => {
                    let part = part.outcome().with_context(|| agent.name())?;
                    progress.add(part);
                }
                Some(Word::Failed(why)) => bail!("{}: {why}", agent.name()),
                Some(Word::Hello(_)) => bail!("{} says who it is again", agent.name()),
            }
        }
        Ok(())
    }
}

impl Agent {
    fn name(&self) -> String {
        format!("agent {}", self.env.address)
    }

    async fn connect(shard: &Shard, address: &Endpoint, secret: &Secret) -> Result<Agent> {
        let deadline = shard.clock().plus_ms(CONNECT_MS);
        let mut reached = Err(anyhow!("the host has no address"));
        for address in address.addresses()? {
            reached = match shard.timeout_at(deadline, Socket::connect(shard, address)).await {
                Ok(connected) => connected.map_err(|errno| anyhow!("{errno}")),
                Err(_) => Err(anyhow!("no connection in time")),
            };
            if reached.is_ok() {
                break;
            }
        }
        let link: Link<Order, Word> = command(shard, reached?, secret).await?;
        let hello = loop {
            match link.heard()? {
                Some(Word::Hello(hello)) => break hello,
                Some(_) => bail!("it does not say who it is"),
                None => shard.sleep_ms(LOOK_MS).await,
            }
            ensure!(shard.clock() < deadline, "it does not say who it is");
        };
        let (theirs, ours) = (&hello.versions, Versions::of_this_build());
        // What was not built from the same source may not measure the same.
        ensure!(
            theirs.ringlog == ours.ringlog && theirs.commit == ours.commit,
            "it is ringlog-bench {} of {:?}, this is {} of {:?}",
            theirs.ringlog,
            theirs.commit,
            ours.ringlog,
            ours.commit
        );
        let env =
            AgentEnv { address: address.to_string(), versions: hello.versions, host: hello.host };
        Ok(Agent { env, link })
    }
}

impl Progress {
    /// Merged at once: the histograms of many agents would take much memory.
    fn add(&mut self, mut part: Outcome) {
        self.done += 1;
        self.metrics.push(std::mem::take(&mut part.client_metrics));
        match &mut self.whole {
            Some(whole) => whole.add_beside(&part),
            None => self.whole = Some(part),
        }
    }

    /// Rates together, the worst latency.
    fn live(&self) -> Live {
        self.live.iter().fold(Live::NOTHING, |all, one| Live {
            elapsed: all.elapsed.max(one.elapsed),
            records_per_second: all.records_per_second + one.records_per_second,
            p99_ms: all.p99_ms.max(one.p99_ms),
        })
    }
}

/// Looks at the broker's process when the agents' window begins and ends: so long after they were
/// told to begin, by this host's clock.
struct BrokerEdges {
    process: Option<ProcessWatch>,
    opens: Mono,
    closes: Mono,
    deadline: Mono,
    before: Option<ProcessSample>,
    after: Option<ProcessSample>,
    machine_before: Option<MachineSample>,
    machine_after: Option<MachineSample>,
}

impl BrokerEdges {
    fn new(begun: Mono, process: Option<ProcessWatch>, run: &LoadRun) -> Result<BrokerEdges> {
        if let Some(process) = &process {
            process.reset_peak();
        }
        let ms = |seconds: f64| (seconds * 1e3) as u64;
        let opens = begun.plus_ms(START_DELAY_MS + ms(run.times.warmup_max));
        let closes = opens.plus_ms(ms(run.times.measured));
        let deadline = closes.plus_ms(DRAIN_MS + LATE_MS);
        Ok(BrokerEdges {
            process,
            opens,
            closes,
            deadline,
            before: None,
            after: None,
            machine_before: None,
            machine_after: None,
        })
    }

    fn look(&mut self, now: Mono) -> Result<()> {
        if now >= self.opens && self.machine_before.is_none() {
            self.machine_before = Some(MachineSample::take());
        }
        if now >= self.closes && self.machine_after.is_none() {
            self.machine_after = Some(MachineSample::take());
        }
        let Some(process) = &self.process else { return Ok(()) };
        if now >= self.opens && self.before.is_none() {
            self.before = Some(process.sample()?);
        }
        if now >= self.closes && self.after.is_none() {
            self.after = Some(process.sample()?);
        }
        Ok(())
    }

    fn seen(self) -> (Option<BrokerUse>, Option<MachineUse>) {
        (
            self.before.zip(self.after).map(|(before, after)| after.since(&before)),
            self.machine_before.zip(self.machine_after).map(|(before, after)| after.since(&before)),
        )
    }
}

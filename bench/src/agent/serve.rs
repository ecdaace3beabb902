//! `ringlog-bench agent`: carries out parts of loads for who knows the secret, one at a time.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use ringlog_engine::io::{ListenOptions, Output, StopSignals};
use ringlog_engine::shard::{Shard, Socket};

use super::link::{Link, welcome};
use super::secret::Secret;
use super::words::{Hello, Order, Plan, Word};
use crate::client::{Endpoint, TopicSpec};
use crate::experiment::{self, Gate, HostPart, LoadRun, ToolOrNative, Watch};
use crate::figures::{Live, SavedOutcome, Times};
use crate::host::{Host, Versions};
use crate::load::Pace;
use crate::profile::{Driver, LoadedProfile, check_rate, check_seconds};
use crate::target::{Target, TargetSpec};
use crate::uring_shard;

/// Connections that may prove themselves at the same time; more have to wait.
const STRANGERS_MAX: usize = 16;
const BACKLOG: u32 = 64;
/// How long accepting rests after the kernel refused a connection (out of descriptors).
const ACCEPT_PAUSE_MS: u64 = 100;
/// How often it looks whether there is something to do.
const LOOK_MS: u64 = 1;

type AgentLink = Link<Word, Order>;

/// An agent at work.
struct Agent {
    shard: Shard,
    secret: Secret,
    /// This program, which is executed again as a broker that stores nothing, and where that keeps
    /// what it prints.
    program: PathBuf,
    data_dir: PathBuf,
    busy: Cell<bool>,
    strangers: Cell<usize>,
}

/// Serves until the process is told to stop.
pub fn serve(
    address: SocketAddr,
    secret: Secret,
    program: PathBuf,
    data_dir: PathBuf,
) -> Result<()> {
    let signals = StopSignals::block().map_err(|errno| anyhow!("signals: {errno}"))?;
    std::thread::spawn(move || {
        signals.wait();
        // It keeps nothing; a broker that it has started dies with it.
        std::process::exit(0);
    });
    let shard = uring_shard()?;
    let (busy, strangers) = (Cell::new(false), Cell::new(0));
    let agent = Rc::new(Agent { shard: shard.clone(), secret, program, data_dir, busy, strangers });
    shard.run(agent.accept(address))
}

impl Agent {
    async fn accept(self: Rc<Self>, address: SocketAddr) -> Result<()> {
        let options =
            ListenOptions { backlog: BACKLOG, receive_buffer_bytes: None, send_buffer_bytes: None };
        let listening = self.shard.listen(address, options).await;
        let (listener, port) =
            listening.map_err(|errno| anyhow!("listening on {address}: {errno}"))?;
        println!("listening on {}", SocketAddr::new(address.ip(), port));
        let mut accepted = self.shard.accept_stream(listener);
        while let Some(completion) = accepted.next().await {
            let Ok(Output::Accepted { socket, .. }) = completion.result else {
                self.shard.sleep_ms(ACCEPT_PAUSE_MS).await;
                continue;
            };
            let socket = Socket::adopt(&self.shard, socket);
            if self.strangers.get() >= STRANGERS_MAX {
                socket.shutdown().await;
                continue;
            }
            self.strangers.set(self.strangers.get() + 1);
            let agent = Rc::clone(&self);
            self.shard.spawn(async move { agent.meet(socket).await });
        }
        bail!("it does not accept connections any more")
    }

    /// Lets a stranger prove itself, and works for it.
    async fn meet(&self, socket: Socket) {
        let free = || !self.busy.replace(true);
        let met = welcome(&self.shard, socket.clone(), &self.secret, free).await;
        self.strangers.set(self.strangers.get() - 1);
        match met {
            Ok(link) => {
                println!("working");
                let worked = self.work(link).await;
                self.busy.set(false);
                println!("free: {}", worked.err().map_or_else(String::new, |e| format!("{e:#}")));
            }
            Err(error) => {
                eprintln!("turned away: {error:#}");
                socket.shutdown().await;
            }
        }
    }

    async fn work(&self, link: AgentLink) -> Result<()> {
        let (versions, host) = (Versions::of_this_build(), Host::read(None));
        link.say(&Word::Hello(Box::new(Hello { versions, host })))?;
        let mut null: Option<Target> = None;
        loop {
            let plan = match link.heard()? {
                Some(Order::Prepare(plan)) => plan,
                Some(Order::Begin) => bail!("told to begin what was not prepared"),
                None => {
                    self.shard.sleep_ms(LOOK_MS).await;
                    continue;
                }
            };
            let word = match self.carry_out(&link, *plan, &mut null).await {
                Ok(part) => Word::Done(Box::new(part)),
                Err(error) => {
                    // Whoever is gone hears nothing.
                    link.check()?;
                    Word::Failed(format!("{error:#}"))
                }
            };
            link.say(&word)?;
        }
    }

    async fn carry_out(
        &self,
        link: &AgentLink,
        plan: Plan,
        null: &mut Option<Target>,
    ) -> Result<SavedOutcome> {
        let gate = Rc::new(Gate::default());
        let run = load_run(&plan, Rc::clone(&gate))?;
        let bootstrap = match &plan.bootstrap {
            Some(address) => address.parse()?,
            None => self.null_broker(null).await?,
        };
        let reporter = Reporter { link: link.clone(), gate, said_ready: false };
        let watch = Rc::new(RefCell::new(reporter));
        let outcome = experiment::run(&self.shard, &bootstrap, None, &run, watch).await?;
        Ok(SavedOutcome::of(&outcome))
    }

    async fn null_broker(&self, null: &mut Option<Target>) -> Result<Endpoint> {
        if null.is_none() {
            let (program, data_dir) = (self.program.clone(), self.data_dir.clone());
            let spec = TargetSpec::null(program, data_dir);
            *null = Some(spec.start(&self.shard, None).await?);
        }
        Ok(null.as_ref().context("just started")?.bootstrap.clone())
    }
}

/// What the plan asks for, checked as if this host had read the profile itself.
fn load_run(plan: &Plan, gate: Rc<Gate>) -> Result<LoadRun> {
    let loaded = LoadedProfile::of_text("profile", &plan.profile)?;
    let experiment = loaded.experiments.get(plan.experiment).context("no such experiment")?;
    let load = loaded.profile.loads.get(plan.load).context("no such load")?;
    ensure!(experiment.driver == Driver::Native, "agents have the native driver only");
    check_seconds("warmup_seconds", plan.warmup_seconds, 0.0)?;
    check_seconds("seconds", plan.seconds, 0.1)?;
    let pace = match plan.rate {
        None => Pace::Closed,
        Some(rate) => {
            check_rate(rate)?;
            Pace::Open(rate)
        }
    };
    let (name, configs) = (plan.topic.clone(), plan.topic_configs.clone());
    let topic = TopicSpec { name, configs, ..experiment.topic_spec() };
    let times = Times {
        warmup: plan.warmup_seconds,
        warmup_max: plan.warmup_seconds,
        measured: plan.seconds,
    };
    let mut run = LoadRun::new(experiment, load, topic, pace, times, ToolOrNative::Native);
    run.kind = plan.kind;
    run.part = Some(HostPart { gate, topic_is_shared: plan.topic_is_shared });
    Ok(run)
}

/// Tells who commands how the load gets on; ends it when nobody listens any more.
struct Reporter {
    link: AgentLink,
    gate: Rc<Gate>,
    said_ready: bool,
}

impl Watch for Reporter {
    fn tick(&mut self, live: Live) -> Result<()> {
        if self.gate.ready.get() && !self.said_ready {
            self.said_ready = true;
            self.link.say(&Word::Ready)?;
        }
        match self.link.heard()? {
            Some(Order::Begin) if self.gate.ready.get() => self.gate.begun.set(true),
            Some(_) => bail!("an order amid a load"),
            None => {}
        }
        if live.elapsed > 0.0 {
            self.link.say(&Word::Live(live))?;
        }
        Ok(())
    }
}

//! What is measured: an embedded node, a null broker, or whatever speaks Kafka's protocol at an
//! address.
//!
//! Targets that the harness starts are processes of their own (ringlog-bench executes itself
//! again), so that their CPU time and memory are theirs. They die with the harness, however it
//! ends: by SIGTERM at the end of a run, by the kernel's parent-death signal otherwise.

mod child;
mod iggy;
mod kafka;
mod link;
mod process;
mod tun;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, ensure};
use ringlog_engine::shard::{Shard, Socket};

use crate::client::{Connection, Durability, Endpoint, durability_of};

pub use child::{
    ChildKind, ChildProcess, Place, TOPIC_PREFIX, become_program, default_data_dir,
    die_with_parent, free_port, run_node, this_program,
};
pub use iggy::IggyKit;
pub use kafka::{KafkaFlavour, KafkaKit, printed};
pub use link::Link;
pub use process::{ProcessSample, ProcessWatch};

/// How long a target may take to answer its first request.
const START_MS: u64 = 60_000;
/// Pause between two attempts to reach a target that is starting.
const KNOCK_MS: u64 = 5;
/// How long one attempt may take.
const ANSWER_MS: u64 = 5_000;

/// How long a target may take to delete a topic's files, and how often to look.
const DELETE_MS: u64 = 60_000;
const DELETE_LOOK_MS: u64 = 10;

/// What a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A Ringlog node of this build.
    Node,
    /// Apache Kafka, fetched from a Maven repository.
    Kafka(KafkaFlavour),
    /// Apache Iggy, from a folder with its programs.
    Iggy(IggyKit),
    /// A broker that takes records, checks them and stores nothing: the harness's own ceiling.
    Null,
    /// Somebody's broker, and its process if it runs on this machine and is to be watched.
    Remote(Endpoint, Option<u32>),
}

/// Which target to start, and with what.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    /// What it is.
    pub kind: TargetKind,
    /// As results name it.
    pub label: String,
    /// Over its defaults.
    pub properties: Vec<(String, String)>,
    /// Nodes of its cluster.
    pub nodes: usize,
    /// ringlog-bench itself, which is executed again as a node or a null broker.
    pub program: PathBuf,
    /// Folders for what it stores are made here.
    pub data_dir: PathBuf,
    /// What is between it and the load, if not loopback.
    pub link: Option<Rc<Link>>,
}

/// How a target ended before it was started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// By SIGTERM, in order.
    No,
    /// By SIGKILL.
    Yes,
}

/// A target that answers.
pub struct Target {
    /// As results name it.
    pub label: String,
    /// Its software, where it is not this program's.
    pub software: Option<String>,
    /// Where it is reached.
    pub bootstrap: Endpoint,
    /// What its acknowledgements mean, for a topic that says nothing about it.
    pub durability: Durability,
    /// Its processes, if they are ours to watch.
    pub watch: Option<ProcessWatch>,
    /// Its processes, if we started them.
    pub children: Vec<ChildProcess>,
    /// Where it keeps its data, if we know.
    pub data_dir: Option<PathBuf>,
}

impl TargetKind {
    /// As the command line and profiles name it; `None` of a name that stands for nothing.
    pub fn parse(name: &str) -> Option<TargetKind> {
        let (name, version) = match name.split_once('@') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (name, None),
        };
        match (name, &version) {
            ("node", None) => Some(TargetKind::Node),
            ("null", None) => Some(TargetKind::Null),
            ("iggy", Some(folder)) => Some(TargetKind::Iggy(IggyKit(folder.into()))),
            ("kafka", _) => Some(TargetKind::Kafka(KafkaFlavour { version, tuned: false })),
            ("kafka-tuned", _) => Some(TargetKind::Kafka(KafkaFlavour { version, tuned: true })),
            _ => None,
        }
    }

    /// As results name it, where nobody has named it otherwise.
    pub fn label(&self) -> String {
        match self {
            TargetKind::Node => "ringlog".to_owned(),
            TargetKind::Kafka(flavour) => {
                let tuned = if flavour.tuned { "-tuned" } else { "" };
                let version = flavour.version.as_ref().map(|version| format!("-{version}"));
                format!("kafka{tuned}{}", version.unwrap_or_default())
            }
            TargetKind::Iggy(_) => "iggy".to_owned(),
            TargetKind::Null => "null".to_owned(),
            TargetKind::Remote(bootstrap, _) => bootstrap.to_string(),
        }
    }

    /// Whether it is started here, with properties of its own.
    pub fn is_started(&self) -> bool {
        matches!(self, TargetKind::Node | TargetKind::Kafka(_))
    }

    /// What makes its brokers acknowledge that way.
    pub fn broker_properties(&self, durability: Durability) -> Vec<(&'static str, &'static str)> {
        match self {
            TargetKind::Node => vec![("ringlog.durability", durability.name())],
            TargetKind::Kafka(_) if durability == Durability::Sync => {
                vec![("log.flush.interval.messages", "1")]
            }
            _ => Vec::new(),
        }
    }

    /// What makes a topic be acknowledged that way, over what its brokers do.
    pub fn topic_configs(&self, durability: Durability) -> Vec<(&'static str, &'static str)> {
        match self {
            TargetKind::Kafka(_) | TargetKind::Remote(..) if durability == Durability::Sync => {
                vec![("flush.messages", "1")]
            }
            _ => Vec::new(),
        }
    }
}

impl TargetSpec {
    /// A broker that stores nothing.
    pub fn null(program: PathBuf, data_dir: PathBuf) -> TargetSpec {
        let kind = TargetKind::Null;
        let (label, properties) = (kind.label(), Vec::new());
        TargetSpec { kind, label, properties, nodes: 1, program, data_dir, link: None }
    }

    /// Starts the target if it is ours to start, and waits until it answers. Kafka is started, and
    /// fetched, by `kit`.
    pub async fn start(&self, shard: &Shard, kit: Option<&KafkaKit>) -> Result<Target> {
        let (program, data_dir) = (&self.program, &self.data_dir);
        let place = Place { program, data_dir, link: self.link.as_deref() };
        ensure!(
            self.nodes == 1 || matches!(self.kind, TargetKind::Kafka(_)),
            "{} is one node: it makes no cluster of {}",
            self.label,
            self.nodes
        );
        let children = match &self.kind {
            TargetKind::Node => vec![ChildProcess::node(&self.properties, place)?],
            TargetKind::Kafka(flavour) => {
                let kit = kit.context("Kafka is fetched before it is started")?;
                ChildProcess::kafka((kit, flavour), self.nodes, &self.properties, place)?
            }
            TargetKind::Iggy(kit) => vec![ChildProcess::iggy(kit, place)?],
            TargetKind::Null => vec![ChildProcess::null_broker(place)?],
            TargetKind::Remote(bootstrap, pid) => {
                let watch = pid.map(ProcessWatch::new).transpose()?;
                let mut connection = knock(shard, bootstrap).await?;
                let durability = promised(&mut connection).await;
                return Ok(Target {
                    label: self.label.clone(),
                    software: None,
                    bootstrap: bootstrap.clone(),
                    durability,
                    watch,
                    children: Vec::new(),
                    data_dir: None,
                });
            }
        };
        self.started(shard, children, place.host()).await
    }

    /// Waits until every process answers.
    async fn started(
        &self,
        shard: &Shard,
        mut children: Vec<ChildProcess>,
        host: &str,
    ) -> Result<Target> {
        let mut durability = Durability::None;
        for child in &mut children {
            let at = (self.label.as_str(), host);
            durability = match self.kind {
                TargetKind::Null => answering(shard, child, at, knock).await.map(|_| durability)?,
                TargetKind::Iggy(_) => {
                    answering(shard, child, at, connect).await?;
                    Durability::Replicated
                }
                _ => promised(&mut answering(shard, child, at, knock).await?).await,
            };
        }
        let first = children.first().context("a target has a process")?;
        let (port, data_dir) = (first.port(), first.data_dir().to_owned());
        Ok(Target {
            label: self.label.clone(),
            software: match &self.kind {
                TargetKind::Kafka(flavour) => Some(flavour.describe()),
                _ => None,
            },
            bootstrap: Endpoint { host: host.to_owned(), port },
            durability,
            watch: Some(ProcessWatch::of_all(children.iter().map(ChildProcess::pid).collect())?),
            children,
            data_dir: Some(data_dir),
        })
    }
}

impl Target {
    /// An error if a target that we started has ended.
    pub fn check(&mut self) -> Result<()> {
        self.children.iter_mut().try_for_each(ChildProcess::check)
    }

    /// Ends every process of a target that we started, in order or by SIGKILL.
    pub fn end(&mut self, killed: Killed) -> Result<()> {
        ensure!(!self.children.is_empty(), "only a target that is started here can be ended");
        match killed {
            Killed::No => {
                self.children.iter_mut().try_for_each(ChildProcess::begin_stop)?;
                self.children.iter_mut().try_for_each(ChildProcess::stop)
            }
            Killed::Yes => self.children.iter_mut().try_for_each(ChildProcess::kill),
        }
    }

    /// Starts a target again that was ended. It may take a while until it answers.
    pub fn start_again(&mut self) -> Result<()> {
        self.children.iter_mut().try_for_each(ChildProcess::start_again)?;
        let pids = self.children.iter().map(ChildProcess::pid).collect();
        self.watch = Some(ProcessWatch::of_all(pids)?);
        Ok(())
    }

    /// Waits until a target that we started has deleted what it was told to: gigabytes that go
    /// while the next experiment runs would be part of its figures.
    pub async fn wait_until_deleted(target: &RefCell<Target>, shard: &Shard) -> Result<()> {
        let deadline = shard.clock().plus_ms(DELETE_MS);
        while target.borrow().children.iter().any(ChildProcess::is_deleting) {
            target.borrow_mut().check()?;
            let in_time = shard.clock() < deadline;
            ensure!(in_time, "the target has not deleted a topic within {} s", DELETE_MS / 1000);
            shard.sleep_ms(DELETE_LOOK_MS).await;
        }
        Ok(())
    }

    /// Ends a target that we started, and removes its folder, whoever else holds this target.
    pub fn stop(&mut self) -> Result<()> {
        // All are told before any is waited for: the last one of a quorum cannot leave in order.
        let mut stopped = self.children.iter_mut().try_for_each(ChildProcess::begin_stop);
        for mut child in self.children.drain(..) {
            stopped = stopped.and(child.stop());
        }
        stopped
    }
}

/// Waits until a process answers.
async fn answering<T>(
    shard: &Shard,
    child: &mut ChildProcess,
    (label, host): (&str, &str),
    knock: impl AsyncFn(&Shard, &Endpoint) -> Result<T>,
) -> Result<T> {
    let bootstrap = Endpoint { host: host.to_owned(), port: child.port() };
    let deadline = shard.clock().plus_ms(START_MS);
    loop {
        match knock(shard, &bootstrap).await {
            Ok(answer) => return Ok(answer),
            Err(error) => {
                child.check()?;
                if shard.clock() > deadline {
                    return Err(error.context(format!("the {label} target does not answer")));
                }
                shard.sleep_ms(KNOCK_MS).await;
            }
        }
    }
}

/// Connects and asks for versions.
async fn knock(shard: &Shard, bootstrap: &Endpoint) -> Result<Connection> {
    let deadline = shard.clock().plus_ms(ANSWER_MS);
    Connection::open(shard, bootstrap, "ringlog-bench", deadline)
        .await
        .context("the target does not answer")
}

/// Connects, to one that speaks another protocol.
async fn connect(shard: &Shard, bootstrap: &Endpoint) -> Result<()> {
    let deadline = shard.clock().plus_ms(ANSWER_MS);
    let address = bootstrap.addresses()?.into_iter().next().context("an address")?;
    let connecting = shard.timeout_at(deadline, Socket::connect(shard, address)).await;
    let connected = connecting.map_err(|_| anyhow!("no connection in time"))?;
    connected.map(|_| ()).map_err(|errno| anyhow!("{bootstrap}: {errno}"))
}

/// What the target says; one that cannot say is no reason to stop.
async fn promised(connection: &mut Connection) -> Durability {
    durability_of(connection, None).await.unwrap_or_default()
}

/// An unexpected end, as an error.
fn ended(what: &str, status: std::process::ExitStatus, log: &str) -> anyhow::Error {
    let tail: Vec<&str> = log.lines().rev().take(5).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    match tail.is_empty() {
        true => anyhow!("the {what} target ended by itself ({status})"),
        false => {
            let said = tail.join("\n");
            anyhow!("the {what} target ended by itself ({status}); it said:\n{said}")
        }
    }
}

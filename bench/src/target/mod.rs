//! What is measured: an embedded node, a null broker, or whatever speaks Kafka's protocol at an
//! address.
//!
//! Targets that the harness starts are processes of their own (ringlog-bench executes itself
//! again), so that their CPU time and memory are theirs. They die with the harness, however it
//! ends: by SIGTERM at the end of a run, by the kernel's parent-death signal otherwise.

mod child;
mod kafka;
mod process;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, ensure};
use ringlog_engine::shard::Shard;

use crate::client::{Connection, Endpoint, broker_durability};

pub use child::{
    ChildKind, ChildProcess, default_data_dir, die_with_parent, free_port, run_node, this_program,
};
pub use kafka::{KafkaKit, printed};
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

/// Which target to measure.
#[derive(Clone, Debug)]
pub enum TargetSpec {
    /// A Ringlog node of this build, with its properties, in a fresh folder under the given one.
    Node {
        /// ringlog-bench itself.
        program: PathBuf,
        /// Overrides of its defaults.
        properties: Vec<(String, String)>,
        /// Where its folder is made.
        data_dir: PathBuf,
    },
    /// Apache Kafka, with its properties, in a fresh folder under the given one.
    Kafka {
        /// What it is fetched and started by.
        kit: Rc<KafkaKit>,
        /// Over its defaults.
        properties: Vec<(String, String)>,
        /// Where its folder is made.
        data_dir: PathBuf,
    },
    /// A broker that takes records, checks them and stores nothing: the harness's own ceiling.
    Null {
        /// ringlog-bench itself.
        program: PathBuf,
        /// Where its log goes.
        data_dir: PathBuf,
    },
    /// Somebody else's broker.
    Remote {
        /// Its address.
        bootstrap: Endpoint,
        /// Its process, if it runs on this machine and is to be watched.
        pid: Option<u32>,
    },
}

/// A target that answers.
pub struct Target {
    /// As results name it.
    pub label: String,
    /// Its software, where it is not this program's.
    pub software: Option<String>,
    /// Where it is reached.
    pub bootstrap: Endpoint,
    /// What its acknowledgements mean.
    pub durability: String,
    /// Its process, if it is ours to watch.
    pub watch: Option<ProcessWatch>,
    /// Its process, if we started it.
    pub child: Option<ChildProcess>,
    /// Where it keeps its data, if we know.
    pub data_dir: Option<PathBuf>,
}

impl TargetSpec {
    /// Starts the target if it is ours to start, and waits until it answers.
    pub async fn start(&self, shard: &Shard) -> Result<Target> {
        match self {
            TargetSpec::Node { program, properties, data_dir } => {
                let child = ChildProcess::node(program, properties, data_dir)?;
                started(shard, child, "ringlog").await
            }
            TargetSpec::Kafka { kit, properties, data_dir } => {
                let child = ChildProcess::kafka(kit, properties, data_dir)?;
                let mut target = started(shard, child, "kafka").await?;
                target.software = Some(KafkaKit::describe());
                Ok(target)
            }
            TargetSpec::Null { program, data_dir } => {
                let child = ChildProcess::null_broker(program, data_dir)?;
                let mut target = started(shard, child, "null").await?;
                target.durability = "none".to_owned();
                Ok(target)
            }
            TargetSpec::Remote { bootstrap, pid } => {
                let watch = pid.map(ProcessWatch::new).transpose()?;
                let mut connection = knock(shard, bootstrap).await?;
                let durability = durability_of(&mut connection).await;
                let (label, bootstrap) = (bootstrap.to_string(), bootstrap.clone());
                let (software, child, data_dir) = (None, None, None);
                Ok(Target { label, software, bootstrap, durability, watch, child, data_dir })
            }
        }
    }
}

impl Target {
    /// An error if a target that we started has ended.
    pub fn check(&mut self) -> Result<()> {
        match &mut self.child {
            Some(child) => child.check(),
            None => Ok(()),
        }
    }

    /// Waits until a target that we started has deleted what it was told to: gigabytes that go
    /// while the next experiment runs would be part of its figures.
    pub async fn wait_until_deleted(target: &RefCell<Target>, shard: &Shard) -> Result<()> {
        let deadline = shard.clock().plus_ms(DELETE_MS);
        while target.borrow().child.as_ref().is_some_and(ChildProcess::is_deleting) {
            target.borrow_mut().check()?;
            let in_time = shard.clock() < deadline;
            ensure!(in_time, "the target has not deleted a topic within {} s", DELETE_MS / 1000);
            shard.sleep_ms(DELETE_LOOK_MS).await;
        }
        Ok(())
    }

    /// Ends a target that we started, and removes its folder, whoever else holds this target.
    pub fn stop(&mut self) -> Result<()> {
        match self.child.take() {
            Some(mut child) => child.stop(),
            None => Ok(()),
        }
    }
}

async fn started(shard: &Shard, mut child: ChildProcess, label: &str) -> Result<Target> {
    let bootstrap = Endpoint { host: "127.0.0.1".to_owned(), port: child.port() };
    let deadline = shard.clock().plus_ms(START_MS);
    let mut connection = loop {
        match knock(shard, &bootstrap).await {
            Ok(connection) => break connection,
            Err(error) => {
                child.check()?;
                if shard.clock() > deadline {
                    return Err(error.context(format!("the {label} target does not answer")));
                }
                shard.sleep_ms(KNOCK_MS).await;
            }
        }
    };
    let durability = durability_of(&mut connection).await;
    let watch = Some(ProcessWatch::new(child.pid())?);
    let data_dir = Some(child.data_dir().to_owned());
    let (label, software, child) = (label.to_owned(), None, Some(child));
    Ok(Target { label, software, bootstrap, durability, watch, child, data_dir })
}

/// Connects and asks for versions.
async fn knock(shard: &Shard, bootstrap: &Endpoint) -> Result<Connection> {
    let deadline = shard.clock().plus_ms(ANSWER_MS);
    Connection::open(shard, bootstrap, "ringlog-bench", deadline)
        .await
        .context("the target does not answer")
}

/// What the target says; a target that cannot say is `unknown`, which is no reason to stop.
async fn durability_of(connection: &mut Connection) -> String {
    let node = match crate::client::any_broker(connection).await {
        Ok(node) => node,
        Err(_) => return "unknown".to_owned(),
    };
    broker_durability(connection, node).await.unwrap_or_else(|_| "unknown".to_owned())
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

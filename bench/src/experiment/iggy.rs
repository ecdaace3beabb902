//! A load by iggy-bench: a producer for each partition, each of which sends a batch, waits for its
//! acknowledgement, and sends the next. Latency is that of batches, from when they were sent;
//! percentiles are the means of the producers' own percentiles, as iggy-bench sums them up.
//!
//! What an acknowledgement means is not known: the server saves messages when there are enough of
//! them, and iggy-bench cannot set how many. Under `sync` it asks for a sync of each save.

use std::cell::RefCell;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use ringlog_engine::shard::Shard;
use serde::Deserialize;

use super::stretch::Stretch;
use super::tools::{execute, records};
use super::{LoadRun, Watch};
use crate::client::{Durability, Endpoint};
use crate::figures::{LatencySummary, Outcome};
use crate::load::{Pace, Recording};
use crate::target::{IggyKit, ProcessWatch};

const NAME: &str = "iggy-bench";
/// What it leaves in a folder of its own inside the one that it is given.
const REPORT: &str = "report.json";
/// Of the records that are measured, so many are sent before that.
const WARM_UP_SHARE: u64 = 4;

#[derive(Deserialize)]
struct Report {
    group_metrics: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    summary: Summary,
}

#[derive(Deserialize)]
struct Summary {
    total_throughput_messages_per_second: f64,
    average_latency_ms: f64,
    average_p50_latency_ms: f64,
    average_p95_latency_ms: f64,
    average_p99_latency_ms: f64,
    average_p999_latency_ms: f64,
    max_latency_ms: f64,
}

pub async fn measure(
    shard: &Shard,
    bootstrap: &Endpoint,
    process: Option<ProcessWatch>,
    run: &LoadRun,
    (kit, durability): (&IggyKit, Durability),
    watch: Rc<RefCell<dyn Watch>>,
) -> Result<Outcome> {
    let dir = tempfile::tempdir().context("a folder for what iggy-bench leaves")?;
    let (out, records) = (dir.path(), records(run));
    // A run of its own warms the server up: that of iggy-bench itself would be part of what the
    // server used, and not of what was sent.
    let (warm_up, _) = command(kit, bootstrap, run, durability, (records / WARM_UP_SHARE, out));
    execute(shard, warm_up, NAME, &watch).await?;
    let out = out.join("measured");
    std::fs::create_dir(&out)?;
    let (measured, sent) = command(kit, bootstrap, run, durability, (records, &out));
    let stretch = Stretch::begin(shard, process.as_ref())?;
    let text = execute(shard, measured, NAME, &watch).await?;
    let summary = read(&out).with_context(|| format!("{NAME} printed:\n{text}"))?;
    let rate = summary.total_throughput_messages_per_second;
    ensure!(rate > 0.0, "no record went through");
    let recording = Recording::of_tool(sent as f64 / rate, sent, 0);
    let printed = LatencySummary {
        mean: summary.average_latency_ms,
        p50: summary.average_p50_latency_ms,
        p95: summary.average_p95_latency_ms,
        p99: summary.average_p99_latency_ms,
        p999: summary.average_p999_latency_ms,
        max: summary.max_latency_ms,
    };
    let durability = Durability::Unknown;
    Ok(Outcome { printed: Some(printed), durability, ..stretch.end(shard, recording)? })
}

/// The command that sends about so many records, and how many it sends.
fn command(
    kit: &IggyKit,
    bootstrap: &Endpoint,
    run: &LoadRun,
    durability: Durability,
    (records, out): (u64, &Path),
) -> (Command, u64) {
    let producers = u64::try_from(run.topic.partitions).unwrap_or(1).max(1);
    let value_bytes = run.values.value_bytes.max(1) as u64;
    let per_batch = (run.producer.batch_size as u64 / value_bytes).max(1);
    let batches = records.div_ceil(per_batch * producers).max(1);
    let mut command = kit.bench();
    command.args(["--message-size", &value_bytes.to_string()]);
    command.args(["--messages-per-batch", &per_batch.to_string()]);
    command.args(["--message-batches", &batches.to_string()]);
    if let Pace::Open(rate) = run.pace {
        let bytes = (rate * value_bytes as f64) as u64;
        command.args(["--rate-limit", &format!("{bytes}B")]);
    }
    if durability == Durability::Sync {
        command.arg("--enforce-fsync");
    }
    command.args(["pinned-producer", "--producers", &producers.to_string()]);
    command.args(["tcp", "--server-address", &bootstrap.to_string()]);
    command.arg("output").arg("--output-dir").arg(out);
    (command, batches * per_batch * producers)
}

/// The figures of all producers together.
fn read(out: &Path) -> Result<Summary> {
    let folder = std::fs::read_dir(out)?.flatten().map(|entry| entry.path());
    let file = folder.map(|path| path.join(REPORT)).find(|path| path.exists());
    let text = std::fs::read_to_string(file.with_context(|| format!("it left no {REPORT}"))?)?;
    let report: Report = serde_json::from_str(&text)?;
    let group = report.group_metrics.into_iter().next();
    Ok(group.with_context(|| format!("{REPORT} has no figures"))?.summary)
}

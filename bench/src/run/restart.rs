//! `kind = "restart"` and `kind = "kill"`: how long a target takes from the start of its process to
//! the acknowledgement of a record by every partition, and what it holds then.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;

use crate::client::{
    Cluster, Connection, Endpoint, PRODUCE_BY_NAME, error_name, is_retriable, log_ends,
    one_record_each, produce_errors,
};
use crate::experiment::{LoadRun, Stretch, Watch, clean_up, fill, prepare, recording};
use crate::figures::{BYTES_PER_MB, BrokerUse, Live, Outcome};
use crate::load::{Latency, new_histogram};
use crate::profile::Kind;
use crate::target::{Killed, ProcessSample, Target};

/// How long a target may take until it serves every partition; no latency is longer.
const SERVED_MS: u64 = 120_000;
/// Pause between two attempts to reach it.
const KNOCK_MS: u64 = 5;
/// Partitions in one request at most.
const PARTITIONS_MAX: usize = 500;
/// Pause between two looks at the run while the target rests.
const LOOK_MS: u64 = 50;

/// Stores what the profile asks for, ends the target, starts it again and waits until it serves.
/// Its memory is read after it has rested for `measure.seconds`.
pub async fn measure(
    shard: &Shard,
    target: &RefCell<Target>,
    run: &LoadRun,
    watch: Rc<RefCell<dyn Watch>>,
) -> Result<Outcome> {
    let bootstrap = target.borrow().bootstrap.clone();
    let (cluster, durability) = prepare(shard, &bootstrap, run).await?;
    fill(shard, &bootstrap, run, &cluster, &watch).await?;
    let stretch = Stretch::begin(shard, None)?;
    let killed = if run.kind == Kind::Kill { Killed::Yes } else { Killed::No };
    let asked = shard.clock();
    target.borrow_mut().end(killed)?;
    let started = shard.clock();
    target.borrow_mut().start_again()?;
    let latency = serve_all(shard, run, &cluster, started, &watch).await?;
    let seconds = latency.max() as f64 / 1e9;
    let process = target.borrow().watch.clone().context("the target has no process")?;
    let used = process.sample()?.since(&ProcessSample::default());
    let rested = shard.clock().plus_ms((run.times.measured * 1e3) as u64);
    while shard.clock() < rested {
        watch.borrow_mut().tick(Live::NOTHING)?;
        shard.sleep_ms(LOOK_MS).await;
    }
    let resting = process.sample()?;
    let records = u64::try_from(run.topic.partitions)?;
    let mut outcome = stretch.end(shard, recording(seconds, records, latency))?;
    outcome.durability = durability;
    outcome.broker = Some(BrokerUse { peak_rss_bytes: resting.rss_bytes, ..used });
    let mut metric = |name: &str, value| outcome.client_metrics.insert(name.to_owned(), value);
    metric("broker-stop-ms", started.0.saturating_sub(asked.0) as f64 / 1e6);
    metric("broker-anonymous-rss-mib", resting.anonymous_bytes as f64 / BYTES_PER_MB);
    if let Some(descriptors) = process.descriptors() {
        metric("broker-descriptors", descriptors as f64);
    }
    check_nothing_lost(shard, &bootstrap, run, &cluster).await?;
    clean_up(shard, &bootstrap, run).await?;
    Ok(outcome)
}

/// That every record which was acknowledged is there.
async fn check_nothing_lost(
    shard: &Shard,
    bootstrap: &Endpoint,
    run: &LoadRun,
    cluster: &Cluster,
) -> Result<()> {
    let deadline = shard.clock().plus_ms(SERVED_MS);
    let connection = Connection::open(shard, bootstrap, "restart", deadline).await?;
    let ends = log_ends(shard, &connection, cluster, deadline).await?;
    let found: i64 = ends.context("a partition is not served any more")?.iter().sum();
    let stored = run.consumer.fill_records + u64::try_from(run.topic.partitions)?;
    ensure!(
        u64::try_from(found).is_ok_and(|found| found >= stored),
        "{stored} records were acknowledged, and {found} are there after the start"
    );
    Ok(())
}

/// Sends a record to every partition until each has acknowledged one: how long each took.
async fn serve_all(
    shard: &Shard,
    run: &LoadRun,
    cluster: &Cluster,
    started: Mono,
    watch: &RefCell<dyn Watch>,
) -> Result<Latency> {
    let deadline = started.plus_ms(SERVED_MS);
    let mut latency = new_histogram();
    let mut left = (0..run.topic.partitions).collect::<BTreeSet<i32>>();
    let mut last: Option<anyhow::Error> = None;
    while !left.is_empty() {
        watch.borrow_mut().tick(Live::NOTHING)?;
        if shard.clock() >= deadline {
            let (left, seconds) = (left.len(), SERVED_MS / 1000);
            let why = last.unwrap_or_else(|| anyhow!("no answer"));
            return Err(why.context(format!("{left} partitions are not served in {seconds} s")));
        }
        for (id, broker) in &cluster.brokers {
            let led = |partition: &&i32| {
                let leader = usize::try_from(**partition).ok();
                leader.and_then(|index| cluster.leaders.get(index)) == Some(&Some(*id))
            };
            let asked: Vec<i32> = left.iter().filter(led).take(PARTITIONS_MAX).copied().collect();
            if asked.is_empty() {
                continue;
            }
            match send(shard, broker, &run.topic.name, &asked, deadline).await {
                Ok(served) => {
                    let took = shard.clock().0.saturating_sub(started.0);
                    let newly = served.iter().filter(|partition| left.remove(partition)).count();
                    latency.saturating_record_n(took, newly as u64);
                    if newly > 0 {
                        continue;
                    }
                }
                Err(error) => last = Some(error),
            }
            shard.sleep_ms(KNOCK_MS).await;
        }
    }
    ensure!(latency.len() == u64::try_from(run.topic.partitions)?, "a partition was not asked");
    Ok(latency)
}

/// One record to each of these partitions; those that have acknowledged theirs.
async fn send(
    shard: &Shard,
    broker: &Endpoint,
    topic: &str,
    partitions: &[i32],
    deadline: Mono,
) -> Result<Vec<i32>> {
    let mut connection = Connection::open(shard, broker, "restart", deadline).await?;
    let request = one_record_each(shard.unix_ms(), topic, partitions.iter().copied())?;
    let answer = connection.call_version(&request, PRODUCE_BY_NAME).await?;
    let mut served = Vec::new();
    for (partition, code) in produce_errors(&answer) {
        match code {
            0 => served.push(partition),
            code if is_retriable(code) => {}
            code => bail!("partition {partition}: {}", error_name(code)),
        }
    }
    Ok(served)
}

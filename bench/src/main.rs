//! `ringlog-bench`: the harness's binary.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use ringlog_bench::client::TopicSpec;
use ringlog_bench::experiment::{self, Live, ProduceOutcome, ProduceRun, Watch};
use ringlog_bench::load::Pace;
use ringlog_bench::null_broker::run_null_broker;
use ringlog_bench::profile::{Experiment, LoadedProfile, Mode};
use ringlog_bench::target::{Target, TargetSpec, default_data_dir, die_with_parent, run_node};
use ringlog_bench::uring_shard;
use ringlog_engine::shard::Shard;

/// Experiments on Kafka brokers.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the experiments of a profile against an embedded Ringlog node, and prints a table.
    Run {
        /// The profile.
        profile: PathBuf,
        /// Seconds measured of each experiment and load, instead of the profile's.
        #[arg(long)]
        seconds: Option<f64>,
        /// A broker of your own, as HOST:PORT, instead of the embedded node.
        #[arg(long)]
        bootstrap: Option<String>,
    },
    #[command(hide = true)]
    Node { args: Vec<String> },
    #[command(hide = true)]
    NullBroker { port: u16 },
}

fn main() -> Result<ExitCode> {
    match Args::parse().command {
        Command::Run { profile, seconds, bootstrap } => {
            run(&profile, seconds, bootstrap.as_deref())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Node { args } => {
            die_with_parent()?;
            Ok(run_node(args))
        }
        Command::NullBroker { port } => {
            die_with_parent()?;
            run_null_broker(port)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Nobody looks while a run goes on.
struct Unwatched;

impl Watch for Unwatched {
    fn tick(&mut self, _live: Live) -> Result<()> {
        Ok(())
    }
}

fn run(profile: &Path, seconds: Option<f64>, bootstrap: Option<&str>) -> Result<()> {
    let mut loaded = LoadedProfile::read(profile)?;
    if let Some(seconds) = seconds {
        loaded.profile.measure.seconds = seconds;
    }
    let spec = match bootstrap {
        Some(address) => TargetSpec::Remote { bootstrap: address.parse()?, pid: None },
        None => {
            let broker = &loaded.profile.broker;
            let properties = broker.iter().map(|(key, value)| (key.clone(), value.to_string()));
            TargetSpec::Node { properties: properties.collect(), data_dir: default_data_dir() }
        }
    };
    let shard = uring_shard()?;
    let inner = shard.clone();
    shard.run(async move {
        let mut target = spec.start(&inner).await?;
        let ran = run_all(&inner, &loaded, &mut target).await;
        let stopped = target.stop();
        ran?;
        stopped
    })
}

async fn run_all(shard: &Shard, loaded: &LoadedProfile, target: &mut Target) -> Result<()> {
    println!("{}: {} ({})", loaded.profile.title, target.label, target.durability);
    println!("experiment       load    records/s     MB/s  p50 ms  p99 ms  p99.9 ms  max ms  lost");
    for experiment in &loaded.experiments {
        let mut closed_rate = None;
        for load in &loaded.profile.loads {
            let pace = match (load.mode, load.rate, load.share_of_closed, closed_rate) {
                (Mode::Closed, ..) => Pace::Closed,
                (Mode::Open, Some(rate), ..) => Pace::Open(rate),
                (Mode::Open, None, Some(share), Some(rate)) => Pace::Open(share * rate),
                (Mode::Open, ..) => anyhow::bail!("an open load needs a rate, or a closed one"),
            };
            let plan = produce_run(shard, loaded, experiment, pace);
            let watch = Rc::new(RefCell::new(Unwatched));
            let process = target.watch.clone();
            let outcome = experiment::run(shard, &target.bootstrap, process, &plan, watch)
                .await
                .with_context(|| format!("experiment {}", experiment.name))?;
            target.check()?;
            let rate = outcome.recording.records as f64 / outcome.recording.seconds;
            if load.mode == Mode::Closed {
                closed_rate = Some(rate);
            }
            print_row(&experiment.name, load.mode, rate, plan.values.value_bytes, &outcome);
        }
    }
    Ok(())
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

fn print_row(name: &str, mode: Mode, rate: f64, value_bytes: usize, outcome: &ProduceOutcome) {
    let recording = &outcome.recording;
    let ms = |quantile| recording.latency.value_at_quantile(quantile) as f64 / 1e6;
    println!(
        "{name:16} {mode:6} {rate:10.0} {mb:8.1} {p50:7.2} {p99:7.2} {p999:9.2} {max:7.1} {lost:5}",
        mode = mode.name(),
        mb = rate * value_bytes as f64 / 1e6,
        p50 = ms(0.5),
        p99 = ms(0.99),
        p999 = ms(0.999),
        max = ms(1.0),
        lost = recording.lost,
    );
    for (reason, count) in &recording.reasons {
        println!("  {count} lost: {reason}");
    }
}

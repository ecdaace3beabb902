//! `ringlog-bench`: the harness's binary.

#![allow(
    clippy::disallowed_methods,
    reason = "before there is a shard, time comes from the system"
)]

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use ringlog_bench::agent::{self, Secret};
use ringlog_bench::client::{Durability, Endpoint};
use ringlog_bench::compare::compare;
use ringlog_bench::index::{IndexOptions, index};
use ringlog_bench::io_study::{self, IoArgs};
use ringlog_bench::lines::{self, Topic};
use ringlog_bench::null_broker::run_null_broker;
use ringlog_bench::results::{REPORT, RunResult, command_line, json};
use ringlog_bench::run::{RunOptions, RunTools, resume, run};
use ringlog_bench::study::{self, StudyOptions};
use ringlog_bench::target::{
    become_program, default_data_dir, die_with_parent, run_node, this_program,
};
use ringlog_bench::{export, report};

/// Experiments on Kafka brokers.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a profile's experiments, prints a table beside its reference figures, and
    /// leaves a result folder: summary.json, report.html, env.json, HdrHistogram logs.
    Run(RunArgs),
    /// Runs a profile again and again against two targets: how far its ratios scatter, and, where
    /// both are the same, how often a verdict is wrong.
    Study(StudyArgs),
    /// Says whether result B is faster than result A, and with what certainty.
    ///
    /// The durability of both comes first. Then each experiment is `faster`, `slower` or
    /// `not distinguishable`, by the 95 % interval of its rounds and a margin of 3 %. There is no
    /// verdict where host or load differ, or where the faster side promises less, and the exit
    /// status is 1.
    Compare(CompareArgs),
    /// Builds report.html of results anew; of several, one page with all of them side by side.
    Report(ReportArgs),
    /// Draws what a result is for as SVG, for light and for dark paper: NAME-light.svg and
    /// NAME-dark.svg.
    Plot(PlotArgs),
    /// Prints a result for other programs.
    Export(ExportArgs),
    /// Writes the index of a repository's results, the pages of their hosts, and their answers into
    /// its documents.
    Index(IndexArgs),
    /// Studies what storage and sockets of this machine give: appends, reads and sends by several
    /// engines and flags, in blocks of several sizes, with the processor time that each takes.
    ///
    /// At the end it names the settings of `ringlog start` that reach what was best.
    Io(IoArgs),
    /// Sends lines of standard input to a topic, a record each.
    Produce(ProduceArgs),
    /// Prints the records of a topic, a line each.
    Consume(ConsumeArgs),
    /// Carries out loads for `ringlog-bench run` on other hosts, until it is stopped.
    ///
    /// A profile names its load hosts as `[[agent]]` with `address = "HOST:PORT"`; whoever runs it
    /// has to know the same secret.
    Agent(AgentArgs),
    /// Produces records by librdkafka to a topic that exists, and prints JSON.
    #[cfg(feature = "librdkafka")]
    Librdkafka(LibrdkafkaArgs),
    #[command(hide = true)]
    Exec { words: Vec<OsString> },
    #[command(hide = true)]
    Node { args: Vec<String> },
    #[command(hide = true)]
    NullBroker { address: SocketAddr },
}

#[derive(clap::Args)]
struct RunArgs {
    /// The profile.
    #[arg(required_unless_present = "resume")]
    profile: Option<PathBuf>,
    /// Goes on with an interrupted run in this folder, after the last experiment that had ended.
    #[arg(long, exclusive = true)]
    resume: Option<PathBuf>,
    /// Seconds measured of each experiment and load, instead of the profile's.
    #[arg(long)]
    seconds: Option<f64>,
    /// How often each experiment is run, instead of the profile's. Four and more can be compared.
    #[arg(long)]
    rounds: Option<u32>,
    /// What acknowledgements are to mean, instead of what the profile says: replicated or sync.
    /// Given twice, every experiment runs with both.
    #[arg(long)]
    durability: Vec<Durability>,
    /// What is started and measured: node (a Ringlog node of this build), kafka (Apache Kafka as
    /// it is shipped), kafka-tuned (as its documentation advises), either of them with a release
    /// behind it (kafka@3.9.1), null (a broker that checks records and stores none: what no broker
    /// can beat under this load), iggy@FOLDER (Apache Iggy, from a folder with iggy-server and
    /// iggy-bench, which is what loads it), or a target that the profile names. Given more than
    /// once, targets take turns in every round (A B B A), and of two it is said which is faster
    /// [default: node].
    #[arg(long = "target")]
    targets: Vec<String>,
    /// Nodes of each target that is started.
    #[arg(long, default_value_t = 1)]
    nodes: usize,
    /// A broker of your own, as HOST:PORT.
    #[arg(long)]
    bootstrap: Option<Endpoint>,
    /// Process id of that broker, if it runs here: its CPU time and memory are measured then.
    #[arg(long, requires = "bootstrap")]
    pid: Option<u32>,
    /// Where a target that is started keeps its data while it runs [default: the system's folder
    /// for temporary files].
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The result folder [default: results/local/<UTC time>-<profile>].
    #[arg(long)]
    out: Option<PathBuf>,
    /// A file with the secret of the load hosts that the profile names.
    #[arg(long)]
    secret_file: Option<PathBuf>,
}

#[derive(clap::Args)]
struct StudyArgs {
    /// The profile.
    profile: PathBuf,
    /// The two targets, as `run` takes them; the same twice for an A/A study.
    #[arg(long = "target", num_args = 1)]
    targets: Vec<String>,
    /// How many runs.
    #[arg(long, default_value_t = 60)]
    runs: usize,
    /// Seconds measured of each experiment and load, instead of the profile's.
    #[arg(long)]
    seconds: Option<f64>,
    /// Rounds of each run, instead of the profile's.
    #[arg(long)]
    rounds: Option<u32>,
    /// Where targets keep their data while they run.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The study's folder.
    #[arg(long)]
    out: PathBuf,
    /// Runs the profile once, and says whether it is where the study in that folder predicts.
    #[arg(long)]
    check: bool,
}

impl StudyArgs {
    fn run(self) -> Result<()> {
        let mut args = Vec::new();
        let mut add = |name: &str, value: Option<String>| {
            args.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        };
        add("--seconds", self.seconds.map(|seconds| seconds.to_string()));
        add("--rounds", self.rounds.map(|rounds| rounds.to_string()));
        add("--data-dir", self.data_dir.as_ref().map(|dir| dir.display().to_string()));
        let (program, profile, targets) = (this_program()?, self.profile, self.targets);
        let data_dir = self.data_dir.unwrap_or_else(default_data_dir);
        let options = StudyOptions { program, profile, targets, args, data_dir };
        match self.check {
            true => study::check(&options, &self.out),
            false => study::study(&options, self.runs, &self.out),
        }
    }
}

#[derive(clap::Args)]
struct IndexArgs {
    /// The root of the repository.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Writes nothing; fails if something would change.
    #[arg(long)]
    check: bool,
    /// Fails if a result is older than so many commits to what it measured.
    #[arg(long)]
    commits_max: Option<u32>,
}

#[derive(clap::Args)]
struct AgentArgs {
    /// Where to listen, as ADDRESS:PORT.
    #[arg(long)]
    listen: SocketAddr,
    /// A file with a secret of 16 bytes or more. Who knows it can have this host send load to any
    /// broker that it reaches.
    #[arg(long)]
    secret_file: PathBuf,
}

#[derive(clap::Args)]
struct ReportArgs {
    /// Result folders.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// The page [default: report.html in the folder; with several, in the first of them].
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(clap::Args)]
struct TopicArgs {
    /// The broker, as HOST:PORT.
    #[arg(long, default_value = "localhost:9092")]
    bootstrap: Endpoint,
    /// The topic.
    #[arg(long)]
    topic: String,
}

#[derive(clap::Args)]
struct ProduceArgs {
    #[command(flatten)]
    topic: TopicArgs,
    /// Partitions of the topic, if it is not there yet.
    #[arg(long, default_value_t = 1)]
    partitions: i32,
}

#[derive(clap::Args)]
struct ConsumeArgs {
    #[command(flatten)]
    topic: TopicArgs,
    /// Ends after so many records, and waits for them; without it ends at the topic's end.
    #[arg(long)]
    max_records: Option<u64>,
}

impl TopicArgs {
    fn topic(self) -> Topic {
        Topic { bootstrap: self.bootstrap, name: self.topic }
    }
}

#[derive(clap::Args)]
struct PlotArgs {
    /// A result folder.
    folder: PathBuf,
    /// The pictures' name, without its ending.
    #[arg(long)]
    out: PathBuf,
    /// What is written above them [default: the title of the profile].
    #[arg(long)]
    headline: Option<String>,
}

#[derive(clap::Args)]
struct ExportArgs {
    /// A result folder.
    folder: PathBuf,
    /// As what.
    #[arg(long, value_enum, default_value = "csv")]
    format: ExportFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum ExportFormat {
    /// A line for each round.
    Csv,
    /// JSON as the OpenMessaging Benchmark writes it, one document for each experiment and load.
    Openmessaging,
}

#[derive(clap::Args)]
struct CompareArgs {
    /// A result folder.
    a: PathBuf,
    /// Another one; without it A must be a result of two targets, which are compared.
    b: Option<PathBuf>,
    /// Give a verdict although something stands against it.
    #[arg(long)]
    force: bool,
}

#[cfg(feature = "librdkafka")]
#[derive(clap::Args)]
struct LibrdkafkaArgs {
    /// The broker, as HOST:PORT.
    #[arg(long)]
    bootstrap: String,
    /// A topic that exists.
    #[arg(long)]
    topic: String,
    /// How many records.
    #[arg(long)]
    records: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 100)]
    value_bytes: usize,
    /// A setting of the client, as KEY=VALUE; acks=all unless told otherwise.
    #[arg(long = "set", value_parser = key_value)]
    settings: Vec<(String, String)>,
    /// Process id of the broker, if it runs here: its CPU time is measured then.
    #[arg(long)]
    pid: Option<u32>,
}

#[cfg(feature = "librdkafka")]
fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    match execute(Args::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // In one line, with its causes; a trace would bury them.
            eprintln!("ringlog-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run(args) => args.run()?,
        Command::Study(args) => args.run()?,
        Command::Report(args) => println!("{}", rebuild(&args)?.display()),
        Command::Plot(args) => plot(&args)?,
        Command::Produce(args) => {
            let lines = std::io::stdin().lock();
            let sent = lines::produce(args.topic.topic(), args.partitions, lines)?;
            println!("{sent} records acknowledged");
        }
        Command::Consume(args) => {
            let out = std::io::stdout().lock();
            lines::consume(args.topic.topic(), args.max_records, out)?;
        }
        Command::Export(args) => match args.format {
            ExportFormat::Csv => print!("{}", export::csv(&args.folder)?),
            ExportFormat::Openmessaging => {
                let all = export::openmessaging(&args.folder)?;
                print!("{}", String::from_utf8(json(&all)?)?);
            }
        },
        Command::Index(args) => {
            let (root, check, commits_max) = (args.root, args.check, args.commits_max);
            for path in index(&IndexOptions { root, check, commits_max })? {
                println!("{}", path.display());
            }
        }
        Command::Io(args) => {
            io_study::run(&args.plan()?, uring_free_unix_ms(), args.out.as_deref())?;
        }
        Command::Compare(args) => {
            let found = compare(&args.a, args.b.as_deref(), args.force)?;
            print!("{}", found.text);
            if !found.refused.is_empty() && !args.force {
                let why = found.refused.join("\n  ");
                bail!("no verdict (--force gives one all the same):\n  {why}");
            }
        }
        Command::Agent(args) => {
            let secret = Secret::read(&args.secret_file)?;
            agent::serve(args.listen, secret, this_program()?, default_data_dir())?;
        }
        #[cfg(feature = "librdkafka")]
        Command::Librdkafka(args) => {
            let report = ringlog_bench::librdkafka::run(&args.options())?;
            println!("{}", String::from_utf8(json(&report)?)?.trim_end());
        }
        Command::Exec { words } => become_program(&words)?,
        Command::Node { args } => {
            die_with_parent()?;
            return Ok(run_node(args));
        }
        Command::NullBroker { address } => {
            die_with_parent()?;
            run_null_broker(address)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds a page of results that were measured before.
fn rebuild(args: &ReportArgs) -> Result<PathBuf> {
    let mut results = Vec::new();
    for folder in &args.folders {
        results.extend(RunResult::read_all(folder)?);
    }
    let (first, second) = (&args.folders[0], args.folders.get(1));
    let verdict = match results.len() {
        2 => Some(compare(first, second.map(PathBuf::as_path), false)?),
        _ => None,
    };
    let out = args.out.clone().unwrap_or_else(|| first.join(REPORT));
    std::fs::write(&out, report::render(&results, verdict.as_ref()))
        .with_context(|| format!("{} cannot be written", out.display()))?;
    Ok(out)
}

/// Draws a result.
fn plot(args: &PlotArgs) -> Result<()> {
    let results = RunResult::read_all(&args.folder)?;
    let title = || results[0].profile.profile.title.clone();
    let headline = args.headline.clone().unwrap_or_else(title);
    for (theme, name) in [(report::LIGHT, "light"), (report::DARK, "dark")] {
        let svg = report::picture(&results, &headline, theme);
        let svg = svg.with_context(|| format!("{}: nothing to draw", args.folder.display()))?;
        let path = PathBuf::from(format!("{}-{name}.svg", args.out.display()));
        std::fs::write(&path, svg)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// The study also runs where there is no io_uring, and so no shard to ask for the time.
fn uring_free_unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

impl RunArgs {
    fn run(self) -> Result<()> {
        let secret = self.secret_file.as_deref().map(Secret::read).transpose()?;
        let tools = RunTools { program: this_program()?, secret };
        if let Some(folder) = &self.resume {
            return resume(folder, tools);
        }
        let profile = self.profile.context("a profile is needed")?;
        let mut targets = self.targets;
        if targets.is_empty() && self.bootstrap.is_none() {
            targets.push("node".to_owned());
        }
        let options = RunOptions {
            profile: String::new(),
            seconds: self.seconds,
            rounds: self.rounds,
            durability: self.durability,
            targets,
            bootstrap: self.bootstrap.map(|endpoint| endpoint.to_string()),
            pid: self.pid,
            nodes: self.nodes,
            data_dir: self.data_dir.unwrap_or_else(default_data_dir),
            command: command_line(),
            started_unix_ms: 0,
            resumed: Vec::new(),
        };
        run(&profile, options, self.out.as_deref(), tools)
    }
}

#[cfg(feature = "librdkafka")]
impl LibrdkafkaArgs {
    fn options(self) -> ringlog_bench::librdkafka::LibrdkafkaOptions {
        ringlog_bench::librdkafka::LibrdkafkaOptions {
            bootstrap: self.bootstrap,
            topic: self.topic,
            records: self.records,
            value_bytes: self.value_bytes,
            settings: self.settings,
            pid: self.pid,
        }
    }
}

//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::boot;
use crate::cached;
use crate::config::{RawConfig, parse_override};
use crate::dump_log::{self, DumpArgs};
use crate::format::{self, FormatOptions};
use crate::top::{self, TopArgs};
use crate::tune::{self, Tune};

/// Ringlog: a broker that speaks Kafka's protocol and keeps Kafka's files.
#[derive(Debug, Parser)]
#[command(name = "ringlog", version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a node.
    ///
    /// Without a file: a single node on localhost:9092 that keeps its data in ./ringlog-data and
    /// formats that itself.
    Start(StartArgs),
    /// Format log directories, as kafka-storage format does.
    Format(FormatArgs),
    /// Print a random id for a cluster.
    RandomUuid,
    /// Print what is in log files, as kafka-dump-log does.
    DumpLog(DumpArgs),
    /// Print how much of each segment is in the page cache, as vmtouch does.
    Cached {
        /// Log directories, or partitions in them.
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
    /// Show a running node: shards, partitions, rates, latencies, queue depths.
    ///
    /// It asks the node's ringlog.http.listener.
    Top(TopArgs),
    /// Say whether this host is set up as a broker wants it, and why that matters.
    ///
    /// Nothing is changed unless --apply asks for it. The exit status is 1 where something is off.
    Tune(TuneArgs),
}

#[derive(Args, Debug)]
struct TuneArgs {
    /// Change what can be changed, and write down what was there.
    #[arg(long, conflicts_with = "undo")]
    apply: bool,
    /// Put back what was there before --apply.
    #[arg(long)]
    undo: bool,
    /// A folder on the file system that holds the logs.
    #[arg(long, default_value = ".")]
    data_dir: PathBuf,
    /// Where --apply writes down what was there.
    #[arg(long, default_value = "/var/lib/ringlog/tune.json")]
    state: PathBuf,
    /// Where the kernel's files are.
    #[arg(long, default_value = "/", hide = true)]
    root: PathBuf,
}

#[derive(Args, Debug)]
struct StartArgs {
    /// server.properties
    file: Option<PathBuf>,
    /// Set a property over the file's.
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

#[derive(Args, Debug)]
struct FormatArgs {
    /// The cluster's id.
    #[arg(short = 't', long)]
    cluster_id: String,
    /// server.properties
    #[arg(short = 'c', long)]
    config: PathBuf,
    /// This node is the first voter of a quorum whose voters are in the log.
    #[arg(short = 's', long, conflicts_with = "initial_controllers")]
    standalone: bool,
    /// First voters of such a quorum: id@host:port:directory-id, separated by commas.
    #[arg(short = 'I', long, value_name = "VOTERS")]
    initial_controllers: Option<String>,
    /// Set a feature's level.
    #[arg(short = 'f', long = "feature", value_name = "NAME=LEVEL")]
    features: Vec<String>,
    /// Take the features of a release.
    #[arg(short = 'r', long, value_name = "VERSION")]
    release_version: Option<String>,
    /// Leave directories that are formatted already.
    #[arg(short = 'g', long)]
    ignore_formatted: bool,
}

/// Runs `ringlog` with these arguments, the program's name not among them.
pub fn run_cli(args: Vec<String>) -> ExitCode {
    let args = std::iter::once("ringlog".to_owned()).chain(args);
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; everything else is an error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match cli.command {
        Command::Start(args) => start(&args),
        Command::Format(args) => format_dirs(args),
        Command::Tune(args) => tune_host(args),
        Command::RandomUuid => boot::offline(|shard| async move {
            println!("{}", format::random_uuid(&shard));
            Ok(())
        }),
        Command::DumpLog(args) => dump_log::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Cached { dirs } => boot::offline(|shard| async move {
            cached::print(&shard, &dirs, &mut std::io::stdout().lock()).await
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("ringlog: {message}");
            ExitCode::FAILURE
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    #[allow(clippy::disallowed_methods, reason = "before there is a driver")]
    std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn start(args: &StartArgs) -> Result<(), String> {
    let overrides: Vec<(String, String)> =
        args.overrides.iter().map(|text| parse_override(text)).collect();
    let (text, format_itself) = match &args.file {
        Some(file) => (read(file)?, false),
        None => (boot::DEFAULT_PROPERTIES.as_bytes().to_vec(), true),
    };
    let config = RawConfig::load(&text, &overrides).map_err(|e| e.message().to_owned())?;
    boot::run(config, format_itself)
}

fn tune_host(args: TuneArgs) -> Result<(), String> {
    let tune = Tune { root: args.root, data_dir: args.data_dir, state: args.state };
    if args.apply || args.undo {
        let lines = if args.undo { tune::undo(&tune)? } else { tune::apply(&tune)? };
        for line in &lines {
            println!("{line}");
        }
        if lines.is_empty() {
            println!("there is nothing to change");
        }
        return Ok(());
    }
    let findings = tune::check(&tune);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.iter().filter(|finding| finding.state == tune::State::Off).count() {
        0 => Ok(()),
        count => Err(format!("{count} of {} settings are off", findings.len())),
    }
}

fn format_dirs(args: FormatArgs) -> Result<(), String> {
    let text = read(&args.config)?;
    let config = RawConfig::load(&text, &[]).map_err(|e| e.message().to_owned())?;
    let options = FormatOptions {
        cluster_id: args.cluster_id,
        standalone: args.standalone,
        initial_controllers: args.initial_controllers,
        features: args.features,
        release_version: args.release_version,
        ignore_formatted: args.ignore_formatted,
    };
    boot::offline(move |shard| async move {
        let said = format::format(&shard, &config, &options).await.map_err(|e| e.to_string())?;
        for line in said {
            println!("{line}");
        }
        Ok(())
    })
}

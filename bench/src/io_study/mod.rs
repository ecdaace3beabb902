//! `ringlog-bench io`: what the machine's storage and sockets give, by which path, at what price.
//!
//! Appends, reads and sends, each through several engines, with their flags, on files in several
//! states, in blocks of several sizes. A case ends after so many bytes or so many seconds. CPU is
//! that of this process, whose io_uring workers are its threads, and beside it that of the kernel's
//! own threads, which write back what went through the page cache. At the end it says which of the
//! node's settings reach what was best.

mod args;
mod case;
mod cpu;
mod engines;
mod files;
mod notes;
mod plan;
mod recommend;
mod send;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::figures::{BYTES_PER_GIB, LatencySummary, utc, utc_in_name};
use crate::host::{FileSystem, Host, Versions};
use crate::load::Latency;
use crate::results::{CARD, Card, ResultFolder, VERDICT, command_line, json};

pub use args::IoArgs;
pub use case::{Block, Case, EngineKind, FileState, IoMode, IoPath, RingSetup, SendPath};
pub use plan::IoPlan;
pub use recommend::{Recommendation, recommend};

const LOCAL_RESULTS: &str = "results/local";
const BYTES_PER_MIB: f64 = (1u64 << 20) as f64;
/// What a result of the study lies in.
pub const IO_RESULT: &str = "io.json";

/// What a case did.
pub struct Tally {
    /// Blocks moved.
    pub blocks: u64,
    /// Of each block.
    pub latency: Latency,
}

/// Until when a case goes on.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Blocks at most.
    pub blocks: u64,
    /// And not beyond that moment.
    pub deadline: Instant,
}

/// A case and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct IoRow {
    /// What was done.
    #[serde(flatten)]
    pub case: Case,
    /// What came of it, or why nothing did.
    pub outcome: Result<IoFigures, String>,
}

/// A case in numbers.
#[derive(Clone, Debug, Serialize)]
pub struct IoFigures {
    /// Bytes a second, in 2^20.
    pub mib_per_second: f64,
    /// Blocks a second.
    pub blocks_per_second: f64,
    /// Of this process and its io_uring workers, per 2^30 bytes.
    pub cpu_seconds_per_gib: f64,
    /// Of the kernel's own threads meanwhile; whatever else runs on the machine is in it.
    pub kernel_cpu_seconds_per_gib: f64,
    /// Of each block.
    pub latency_ms: LatencySummary,
}

/// The study's result.
#[derive(Clone, Debug, Serialize)]
struct IoStudy<'a> {
    started: String,
    versions: Versions,
    host: Host,
    file_systems: Vec<(PathBuf, Option<FileSystem>)>,
    rows: &'a [IoRow],
    recommendations: &'a [Recommendation],
    notes: &'a [String],
}

impl IoStudy<'_> {
    /// The study in a few sentences.
    fn card(&self) -> Card {
        Card {
            question: "What do storage and sockets of this host do by themselves?".to_owned(),
            answers: self.notes.to_vec(),
            started: self.started.clone(),
            commit: self.versions.commit.clone(),
            command: command_line(),
            host: self.host.clone(),
        }
    }

    /// What was found, as a file that is read without a program.
    fn verdict(&self) -> String {
        let mut text = format!(
            "# Raw I/O study, {}\n\n{}.\n\n",
            self.started,
            self.host.cpu_model.as_deref().unwrap_or("A processor that does not say its name"),
        );
        for recommendation in self.recommendations {
            text.push_str(&format!("```text\n{recommendation}```\n\n"));
        }
        for note in self.notes {
            text.push_str(&format!("- {note}\n"));
        }
        text.push_str(&format!("\n```text\n{}\n", Case::head()));
        for row in self.rows {
            text.push_str(&format!("{row}\n"));
        }
        text.push_str("```\n");
        text
    }
}

/// Runs a study, prints it, and leaves io.json and verdict.md.
pub fn run(plan: &IoPlan, started_unix_ms: i64, out: Option<&Path>) -> Result<()> {
    for dir in &plan.dirs {
        ensure!(dir.is_dir(), "{} is no folder", dir.display());
    }
    let cases = plan.cases()?;
    let name = format!("{}-io", utc_in_name(started_unix_ms));
    let path = out.map_or_else(|| Path::new(LOCAL_RESULTS).join(name), Path::to_owned);
    let folder = ResultFolder::create(&path)?;
    let ran = run_cases(plan, &cases);
    let rows = match ran {
        Ok(rows) => rows,
        Err(error) => {
            folder.fail(&error);
            return Err(error).with_context(|| format!("{} is incomplete", path.display()));
        }
    };
    let recommendations = recommend(&rows);
    let host = Host::read(plan.dirs.first().map(PathBuf::as_path));
    let file_systems: Vec<_> =
        plan.dirs.iter().map(|dir| (dir.clone(), FileSystem::of(dir))).collect();
    let known: Vec<FileSystem> =
        file_systems.iter().filter_map(|(_, found)| found.clone()).collect();
    let notes = notes::notes(&host, &known, &rows);
    let study = IoStudy {
        started: utc(started_unix_ms),
        versions: Versions::of_this_build(),
        host,
        file_systems,
        rows: &rows,
        recommendations: &recommendations,
        notes: &notes,
    };
    folder.write(VERDICT, study.verdict().as_bytes())?;
    folder.write(IO_RESULT, &json(&study)?)?;
    folder.write(CARD, &json(&study.card())?)?;
    folder.complete()?;
    for recommendation in &recommendations {
        print!("\n{recommendation}");
    }
    println!();
    for note in &notes {
        println!("{note}");
    }
    println!("\n{}", path.display());
    Ok(())
}

fn run_cases(plan: &IoPlan, cases: &[Case]) -> Result<Vec<IoRow>> {
    println!("{}", Case::head());
    let mut rows = Vec::new();
    for case in cases {
        let outcome = match run_case(plan, case) {
            Ok(figures) => Ok(figures),
            Err(error) if is_full(&error) => {
                return Err(error).with_context(|| format!("{} is full", case.dir.display()));
            }
            // Not every file system and device has every path: that is a finding.
            Err(error) => Err(format!("{error:#}")),
        };
        let row = IoRow { case: case.clone(), outcome };
        println!("{row}");
        rows.push(row);
    }
    let well = rows.iter().any(|row| row.outcome.is_ok());
    ensure!(well, "no case could be run");
    Ok(rows)
}

fn is_full(error: &anyhow::Error) -> bool {
    let full = Some(rustix::io::Errno::NOSPC.raw_os_error());
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        let errno = cause.downcast_ref::<rustix::io::Errno>().map(|e| e.raw_os_error());
        io == full || errno == full
    })
}

fn run_case(plan: &IoPlan, case: &Case) -> Result<IoFigures> {
    let blocks = (plan.bytes / case.block.0).max(1);
    let budget = |from: Instant| Budget { blocks, deadline: from + plan.seconds };
    match case.path {
        IoPath::Send => send::run(case, plan.bytes, budget),
        IoPath::Append | IoPath::Read => {
            let prepared = files::prepare(case, blocks * case.block.0)?;
            let engine = engines::engine(case)?;
            let meter = cpu::Meter::start();
            let tally = engine(case, &prepared, budget(Instant::now()))?;
            Ok(figures(case, &tally, &meter.stop()))
        }
    }
}

/// Seconds that a case took, by the clock and of the processors.
pub struct Used {
    wall: Duration,
    process: f64,
    kernel: f64,
}

fn figures(case: &Case, tally: &Tally, used: &Used) -> IoFigures {
    let bytes = (tally.blocks * case.block.0) as f64;
    let (seconds, gib) = (used.wall.as_secs_f64(), bytes / BYTES_PER_GIB);
    IoFigures {
        mib_per_second: bytes / BYTES_PER_MIB / seconds,
        blocks_per_second: tally.blocks as f64 / seconds,
        cpu_seconds_per_gib: used.process / gib,
        kernel_cpu_seconds_per_gib: used.kernel / gib,
        latency_ms: LatencySummary::of(&tally.latency),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_what_a_disk_cannot_do() {
        let io = |errno: rustix::io::Errno| std::io::Error::from_raw_os_error(errno.raw_os_error());
        let full = anyhow::Error::new(io(rustix::io::Errno::NOSPC)).context("a completion");
        assert!(is_full(&full));
        assert!(is_full(&anyhow::Error::new(rustix::io::Errno::NOSPC)));
        assert!(!is_full(&anyhow::Error::new(io(rustix::io::Errno::OPNOTSUPP))));
    }
}

//! [`recommend`]: which of the node's settings reach what the study found to be best.
//!
//! Only what the node can do is recommended: its own ring or a blocking call, on files as it lays
//! them out (new ones through the page cache, zeroed ones past it). Figures are geometric means
//! over the sizes of blocks; a path counts only if it was measured with all of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::case::{Case, EngineKind, FileState, IoPath, RingSetup, SendPath};
use super::{IoFigures, IoRow};

/// A path within this share of the best throughput is as good, and processor time decides.
const NEAR_BEST: f64 = 0.8;

/// Settings, and what speaks for them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// What they are for.
    pub goal: &'static str,
    /// What was measured.
    pub why: String,
    /// Keys and values of the node.
    pub settings: Vec<(&'static str, &'static str)>,
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.goal, self.why)?;
        write!(f, "  ringlog start")?;
        for (key, value) in &self.settings {
            write!(f, " --override {key}={value}")?;
        }
        writeln!(f)
    }
}

/// A path with its figures over all blocks.
struct Candidate<'a> {
    case: &'a Case,
    settings: Vec<(&'static str, &'static str)>,
    figures: Vec<&'a IoFigures>,
}

impl Candidate<'_> {
    fn mean(&self, of: impl Fn(&IoFigures) -> f64) -> f64 {
        // A time of zero is one that the clock could not see.
        let sum: f64 = self.figures.iter().map(|figures| of(figures).max(1e-6).ln()).sum();
        (sum / self.figures.len() as f64).exp()
    }

    fn rate(&self) -> f64 {
        self.mean(|figures| figures.mib_per_second)
    }

    fn cpu(&self) -> f64 {
        self.mean(|figures| figures.cpu_seconds_per_gib + figures.kernel_cpu_seconds_per_gib)
    }

    fn p99(&self) -> f64 {
        self.mean(|figures| figures.latency_ms.p99)
    }

    fn why(&self) -> String {
        format!(
            "{}, {}, depth {}: {:.0} MiB/s, {:.3} cpu-s/GiB, p99 {:.3} ms",
            self.case.engine_name(),
            match (self.case.path, self.case.mode.is_direct()) {
                (IoPath::Send, _) => "from the page cache",
                (_, true) => "O_DIRECT on zeroed space",
                (_, false) => "through the page cache",
            },
            self.case.depth,
            self.rate(),
            self.cpu(),
            self.p99()
        )
    }
}

/// What the rows speak for.
pub fn recommend(rows: &[IoRow]) -> Vec<Recommendation> {
    let all = candidates(rows);
    let of = |path: IoPath, durable: bool| {
        let fits = |c: &&Candidate<'_>| c.case.path == path && c.case.mode.is_durable() == durable;
        all.iter().filter(fits).collect::<Vec<_>>()
    };
    let cheapest = |found: &[&Candidate<'_>]| -> Option<usize> {
        let best = found.iter().map(|c| c.rate()).fold(0.0, f64::max);
        let near = found.iter().enumerate().filter(|(_, c)| c.rate() >= NEAR_BEST * best);
        near.min_by(|(_, a), (_, b)| a.cpu().total_cmp(&b.cpu())).map(|(index, _)| index)
    };
    let steadiest = |found: &[&Candidate<'_>]| -> Option<usize> {
        let all = found.iter().enumerate();
        all.min_by(|(_, a), (_, b)| a.p99().total_cmp(&b.p99())).map(|(index, _)| index)
    };
    let mut recommendations = Vec::new();
    let mut add = |goal, found: Vec<&Candidate<'_>>, best: Option<usize>, policy| {
        let Some(best) = best.map(|index| found[index]) else { return };
        let mut settings: Vec<(&str, &str)> = policy;
        settings.extend(&best.settings);
        recommendations.push(Recommendation { goal, why: best.why(), settings });
    };
    let durable = of(IoPath::Append, true);
    let best = steadiest(&durable);
    add("Acknowledged when flushed", durable, best, vec![("ringlog.durability", "sync")]);
    let written = of(IoPath::Append, false);
    let best = cheapest(&written);
    let policy = vec![("ringlog.durability", "replicated")];
    add("Acknowledged when written", written, best, policy);
    let sends = of(IoPath::Send, false);
    let best = cheapest(&sends);
    add("Fetched", sends, best, Vec::new());
    recommendations
}

fn candidates(rows: &[IoRow]) -> Vec<Candidate<'_>> {
    let mut found: BTreeMap<String, Candidate<'_>> = BTreeMap::new();
    let mut blocks: Vec<u64> = Vec::new();
    for row in rows {
        let Some(settings) = settings_of(&row.case) else { continue };
        if !blocks.contains(&row.case.block.0) {
            blocks.push(row.case.block.0);
        }
        let Ok(figures) = &row.outcome else { continue };
        let case = &row.case;
        let key = format!("{:?} {} {:?} {}", case.path, case.engine_name(), case.mode, case.depth);
        let key = format!("{key} {}", case.dir.display());
        let empty = || Candidate { case, settings, figures: Vec::new() };
        found.entry(key).or_insert_with(empty).figures.push(figures);
    }
    found.into_values().filter(|candidate| candidate.figures.len() == blocks.len()).collect()
}

/// The settings that make the node do as the case does; `None` where nothing does.
fn settings_of(case: &Case) -> Option<Vec<(&'static str, &'static str)>> {
    match case.path {
        IoPath::Send => match case.send? {
            SendPath::Sendfile => Some(vec![("ringlog.fetch.path", "sendfile")]),
            SendPath::ReadSend => Some(vec![("ringlog.fetch.path", "copy")]),
            _ => None,
        },
        IoPath::Read => None,
        // The node flushes with fdatasync, and writes with no flag.
        IoPath::Append if case.mode.rwf() != 0 => None,
        IoPath::Append => {
            let direct = case.mode.is_direct();
            let laid_out = if direct { FileState::Zeroed } else { FileState::New };
            if case.file != laid_out {
                return None;
            }
            let mode = ("ringlog.io.mode", if direct { "direct" } else { "buffered" });
            match (case.engine, case.ring) {
                (EngineKind::Pwrite, _) if !direct => {
                    Some(vec![mode, ("ringlog.io.write.path", "pwrite")])
                }
                // The node neither polls nor registers its buffers (docs/decisions/0011).
                (
                    EngineKind::IoUring,
                    Some(RingSetup::Iopoll | RingSetup::Coop | RingSetup::FixedBuffers) | None,
                ) => None,
                (EngineKind::IoUring, Some(ring)) => {
                    let mut settings = vec![mode];
                    if !direct {
                        settings.push(("ringlog.io.write.path", "ring"));
                    }
                    settings.extend(match ring {
                        RingSetup::Sqpoll => Some(("ringlog.io.sqpoll", "true")),
                        RingSetup::Plain => Some(("ringlog.io.registered.files", "false")),
                        _ => None,
                    });
                    Some(settings)
                }
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::case::{Block, IoMode};
    use super::*;
    use crate::figures::LatencySummary;

    fn row(engine: EngineKind, mode: IoMode, block: u64, rate: f64, cpu: f64, p99: f64) -> IoRow {
        let direct = mode.is_direct();
        let case = Case {
            path: IoPath::Append,
            engine,
            ring: (engine == EngineKind::IoUring).then_some(RingSetup::Defer),
            mode,
            file: if direct { FileState::Zeroed } else { FileState::New },
            send: None,
            block: Block(block),
            depth: 1,
            dir: PathBuf::from("/x"),
        };
        let latency_ms = LatencySummary { mean: p99, p50: p99, p95: p99, p99, p999: p99, max: p99 };
        let figures = IoFigures {
            mib_per_second: rate,
            blocks_per_second: rate,
            cpu_seconds_per_gib: cpu,
            kernel_cpu_seconds_per_gib: 0.0,
            latency_ms,
        };
        IoRow { case, outcome: Ok(figures) }
    }

    #[test]
    fn the_cheapest_of_the_fast_and_the_steadiest_of_the_durable() {
        use EngineKind::{Epoll, IoUring, Pwrite};
        let mut rows = vec![
            row(Pwrite, IoMode::Buffered, 4096, 1000.0, 1.0, 1.0),
            row(IoUring, IoMode::Direct, 4096, 900.0, 0.1, 1.0),
            // Cheaper yet, but slow.
            row(IoUring, IoMode::Buffered, 4096, 100.0, 0.01, 1.0),
            // Best of all, and nothing that the node can do.
            row(Epoll, IoMode::Direct, 4096, 2000.0, 0.001, 0.1),
            row(Pwrite, IoMode::Fdatasync, 4096, 50.0, 1.0, 0.3),
            row(IoUring, IoMode::DirectFdatasync, 4096, 40.0, 1.0, 0.4),
        ];
        let found = recommend(&rows);
        let settings: Vec<_> = found.iter().map(|found| found.settings.as_slice()).collect();
        assert_eq!(
            settings,
            [
                &[
                    ("ringlog.durability", "sync"),
                    ("ringlog.io.mode", "buffered"),
                    ("ringlog.io.write.path", "pwrite")
                ] as &[_],
                &[("ringlog.durability", "replicated"), ("ringlog.io.mode", "direct")],
            ]
        );
        // A size at which a path was not measured, or failed, takes it out.
        rows.push(row(Pwrite, IoMode::Buffered, 8192, 1000.0, 1.0, 1.0));
        rows.push(row(Pwrite, IoMode::Fdatasync, 8192, 50.0, 1.0, 0.3));
        let found = recommend(&rows);
        assert!(
            found.iter().all(|found| found.settings.contains(&("ringlog.io.mode", "buffered")))
        );
        assert!(recommend(&[]).is_empty());
    }
}

//! `ringlog-bench compare`: whether one result is faster than another, with what certainty, and
//! whether that may be said at all.
//!
//! What an acknowledgement is worth comes first: a broker that promises less is not faster. A
//! verdict needs the same machine, the same load and at least [`ROUNDS_MIN`] rounds on both sides;
//! it is `faster` or `slower` where the whole 95 % interval of the ratio is beyond a margin of 3 %,
//! and `not distinguishable` everywhere else.

mod differences;
mod side;
mod verdict;

use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail, ensure};

use differences::{host_differences, load_differences};
use side::{Experiment, Side};
use verdict::{Metric, Row, Verdict};

pub use verdict::{HEAD, MARGIN, ROUNDS_MIN};

/// What came of comparing two results.
#[derive(Debug)]
pub struct Comparison {
    /// As it is printed.
    pub text: String,
    /// What is compared with what, and its rows.
    pub tables: Vec<(String, Vec<[String; 7]>)>,
    /// Why there is no verdict, or none for some experiments.
    pub refused: Vec<String>,
}

impl Comparison {
    /// As a file beside the results.
    pub fn markdown(&self, title: &str) -> String {
        let mut text = format!("# {title}\n\n```text\n{}```\n", self.text);
        if !self.refused.is_empty() {
            text.push_str("\nNo verdict:\n");
            for why in &self.refused {
                let _ = writeln!(text, "- {why}");
            }
        }
        text
    }
}

/// Compares two results, or the two targets of one. Whoever forces it gets verdicts where there
/// should be none.
pub fn compare(a: &Path, b: Option<&Path>, force: bool) -> Result<Comparison> {
    Ok(compare_pairs(&pairs(a, b)?, force))
}

/// Compares the two targets of a run that is just ending.
pub fn compare_targets(folder: &Path) -> Result<Comparison> {
    Ok(compare_pairs(&two(folder, Side::read_targets(folder)?)?, false))
}

fn compare_pairs(pairs: &[(Side, Side)], force: bool) -> Comparison {
    let mut whole = Comparison { text: String::new(), tables: Vec::new(), refused: Vec::new() };
    for (index, (a, b)) in pairs.iter().enumerate() {
        if index > 0 {
            whole.text.push('\n');
        }
        let one = compare_sides(a, b, force);
        whole.text.push_str(&one.text);
        whole.tables.extend(one.tables);
        whole.refused.extend(one.refused);
    }
    whole
}

fn two(folder: &Path, sides: Vec<Side>) -> Result<Vec<(Side, Side)>> {
    let count = sides.len();
    ensure!(
        count == 2,
        "{} holds {count} targets: name another result to compare it with",
        folder.display()
    );
    let mut sides = sides.into_iter();
    Ok(sides.next().zip(sides.next()).into_iter().collect())
}

/// Which side is compared with which: the two of one folder, the only ones of two folders, or
/// those of two folders that have the same name.
fn pairs(a: &Path, b: Option<&Path>) -> Result<Vec<(Side, Side)>> {
    let left = Side::read(a)?;
    let Some(b) = b else { return two(a, left) };
    let mut right = Side::read(b)?;
    if let ([_], [_]) = (left.as_slice(), right.as_slice()) {
        return Ok(left.into_iter().zip(right).collect());
    }
    let mut pairs = Vec::new();
    for side in left {
        if let Some(at) = right.iter().position(|other| other.label == side.label) {
            pairs.push((side, right.remove(at)));
        }
    }
    if pairs.is_empty() {
        bail!("{} and {} have no target in common", a.display(), b.display());
    }
    Ok(pairs)
}

fn compare_sides(a: &Side, b: &Side, force: bool) -> Comparison {
    let mut text = String::new();
    for (letter, side) in [("A", a), ("B", b)] {
        let (durability, label, path) = (&side.durability, &side.label, side.path.display());
        let _ = writeln!(text, "{letter}: durability {durability}; {label}, {path}");
    }
    let mut refused = Vec::new();
    let host = host_differences(&a.host, &b.host);
    let load = load_differences(&a.load, &b.load);
    for (what, differences) in [("host", &host), ("load", &load)] {
        match differences.is_empty() {
            true => text.push_str(&format!("{what}: the same\n")),
            false => {
                let all = differences.join("; ");
                let _ = writeln!(text, "{what}: differs: {all}");
                refused.push(format!("the {what} differs: {all}"));
            }
        }
    }
    let whole = !refused.is_empty() && !force;
    let mut rows = Vec::new();
    let mut alone = Vec::new();
    for experiment in &a.experiments {
        let Some(other) = b.experiments.iter().find(|other| other.is_like(experiment)) else {
            alone.push(format!("only in A: {}\n", experiment.title()));
            continue;
        };
        for metric in Metric::of(experiment) {
            let mut row = Row::of(metric, experiment, other);
            if whole {
                row.verdict = Verdict::Refused;
            } else if !force && let Some(why) = row.refuse(a, b, experiment, other) {
                refused.push(format!("{}: {why}", row.title));
                row.verdict = Verdict::Refused;
            }
            rows.push(row);
        }
    }
    let missing = |other: &&Experiment| !a.experiments.iter().any(|one| one.is_like(other));
    alone.extend(
        b.experiments.iter().filter(missing).map(|one| format!("only in B: {}\n", one.title())),
    );
    text.push('\n');
    text.push_str(&verdict::table(&rows));
    text.extend(alone);
    let _ = writeln!(
        text,
        "\nB against A: medians of rounds, ratio of their geometric means with its 95 % interval \
         by bootstrap,\nmargin {} %; at least {ROUNDS_MIN} rounds of each are needed to tell.",
        MARGIN * 100.0
    );
    let side = |side: &Side| format!("{} (durability {})", side.label, side.durability);
    let title = format!("A: {}; B: {}", side(a), side(b));
    Comparison { text, tables: vec![(title, verdict::cells(&rows))], refused }
}

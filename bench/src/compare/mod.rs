//! `ringlog-bench compare`: whether one result is faster than another, with what certainty, and
//! whether that may be said at all.
//!
//! What an acknowledgement is worth comes first: experiments are held against each other at the
//! same durability, and where one side promises less, the row says so. A verdict needs the same
//! machine, the same load, no lost records and at least [`ROUNDS_MIN`] rounds on both sides; it is
//! `faster` or `slower` where the whole 95 % interval of the ratio is beyond a margin of 3 %, and
//! `not distinguishable` everywhere else. Rounds of one run are pairs.

mod answers;
mod differences;
mod sentence;
mod side;
mod verdict;

use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail, ensure};

use crate::client::Durability;
use crate::stats::Interval;
use differences::{host_differences, load_differences};
use side::{Experiment, Side};
use verdict::{Metric, Row, Verdict};

pub use answers::answers;
pub use verdict::{HEAD, MARGIN, ROUNDS_MIN};

/// What came of comparing two results.
#[derive(Debug)]
pub struct Comparison {
    /// The verdict in sentences.
    pub sentences: Vec<String>,
    /// As it is printed.
    pub text: String,
    /// What is compared with what, and its rows.
    pub tables: Vec<(String, Vec<[String; HEAD.len()]>)>,
    /// Why there is no verdict, or none for some experiments.
    pub refused: Vec<String>,
}

impl Comparison {
    /// As a file beside the results.
    pub fn markdown(&self, title: &str) -> String {
        let mut text = format!("# {title}\n\n");
        for sentence in &self.sentences {
            let _ = writeln!(text, "- {sentence}");
        }
        let _ = write!(text, "\n```text\n{}```\n", self.text);
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
    let one_run = b.is_none();
    Ok(compare_pairs(&pairs(a, b)?, Terms { force, paired: one_run }))
}

/// Compares the two targets of a run that is just ending.
pub fn compare_targets(folder: &Path) -> Result<Comparison> {
    let terms = Terms { force: false, paired: true };
    Ok(compare_pairs(&two(folder, Side::read_targets(folder)?)?, terms))
}

/// What was said of one figure of an experiment.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Experiment, load, durability and figure.
    pub title: String,
    /// B against A.
    pub ratio: Option<Interval>,
    /// Whether it said `faster` or `slower`.
    pub told_apart: bool,
}

/// What comparing the two targets of a result says of each figure.
pub fn judge_targets(folder: &Path) -> Result<Vec<Judged>> {
    let pairs = two(folder, Side::read_targets(folder)?)?;
    let terms = Terms { force: false, paired: true };
    let judged = |row: Row| Judged {
        title: format!("{}, {}", row.title(), row.figure),
        ratio: row.ratio,
        told_apart: matches!(row.verdict, Verdict::Faster | Verdict::Slower),
    };
    Ok(pairs.iter().flat_map(|(a, b)| rows_of(a, b, terms).0).map(judged).collect())
}

/// How two sides are compared.
#[derive(Clone, Copy)]
struct Terms {
    /// Verdicts where there should be none.
    force: bool,
    /// Rounds of both sides are pairs: they are of one run.
    paired: bool,
}

fn compare_pairs(pairs: &[(Side, Side)], terms: Terms) -> Comparison {
    let mut whole = Comparison {
        sentences: Vec::new(),
        text: String::new(),
        tables: Vec::new(),
        refused: Vec::new(),
    };
    for (index, (a, b)) in pairs.iter().enumerate() {
        if index > 0 {
            whole.text.push('\n');
        }
        let one = compare_sides(a, b, terms);
        whole.sentences.extend(one.sentences);
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

/// Experiments that are held against each other: those of the same durability; where there is none
/// on the other side, of another one; and, where both sides have both, a sync against none.
fn pairs_of<'a>(a: &'a Side, b: &'a Side) -> Vec<(&'a Experiment, &'a Experiment)> {
    let mut found = Vec::new();
    for one in &a.experiments {
        let like: Vec<&Experiment> =
            b.experiments.iter().filter(|other| other.is_like(one)).collect();
        let same = like.iter().find(|other| other.durability == one.durability);
        found.extend(same.or(like.first()).map(|other| (one, *other)));
    }
    let crossing = |strong: &'a Side, weak: &'a Side| {
        let pairs = strong.experiments.iter().filter_map(|one| {
            let weaker = |other: &&Experiment| {
                other.is_like(one) && (one.durability, other.durability) == CROSSED
            };
            Some((one, weak.experiments.iter().find(weaker)?))
        });
        pairs.collect::<Vec<_>>()
    };
    // Our own promise is held against the weaker one of others, not the other way round.
    let crossed = match b.label.starts_with(OWN) && !a.label.starts_with(OWN) {
        true => crossing(b, a).into_iter().map(|(strong, weak)| (weak, strong)).collect(),
        false => crossing(a, b),
    };
    for pair in crossed {
        if !found.iter().any(|known| std::ptr::eq(known.0, pair.0) && std::ptr::eq(known.1, pair.1))
        {
            found.push(pair);
        }
    }
    found
}

/// A sync before each acknowledgement, against the page cache.
const CROSSED: (Durability, Durability) = (Durability::Sync, Durability::Replicated);
/// How results name a node of this project.
const OWN: &str = "ringlog";

/// Every figure of every pair of experiments, and why some have no verdict.
fn rows_of(a: &Side, b: &Side, terms: Terms) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    for (one, other) in pairs_of(a, b) {
        for metric in Metric::of(one, other) {
            let mut row = Row::of(metric, one, other, terms.paired);
            if let Some(why) = row.refuse(one, other).filter(|_| !terms.force) {
                refused.push(format!("{}: {why}", row.title()));
                row.verdict = Verdict::Refused;
            }
            rows.push(row);
        }
    }
    (rows, refused)
}

fn compare_sides(a: &Side, b: &Side, terms: Terms) -> Comparison {
    let mut text = String::new();
    for (letter, side) in [("A", a), ("B", b)] {
        let (label, path) = (&side.label, side.path.display());
        let _ = writeln!(text, "{letter}: durability {}; {label}, {path}", side.promises());
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
    let whole = !refused.is_empty() && !terms.force;
    let (mut rows, why) = rows_of(a, b, terms);
    match whole {
        true => rows.iter_mut().for_each(|row| row.verdict = Verdict::Refused),
        false => refused.extend(why),
    }
    let sentences = sentence::of(&a.label, &b.label, &rows);
    text.push('\n');
    for sentence in &sentences {
        let _ = writeln!(text, "{sentence}");
    }
    if !sentences.is_empty() {
        text.push('\n');
    }
    text.push_str(&verdict::table(&rows));
    for (letter, side, other) in [("A", a, b), ("B", b, a)] {
        let missing = |one: &&Experiment| !other.experiments.iter().any(|other| other.is_like(one));
        for experiment in side.experiments.iter().filter(missing) {
            let _ = writeln!(text, "only in {letter}: {}", experiment.title());
        }
    }
    let pairing = if terms.paired { "in pairs" } else { "of rounds" };
    let _ = writeln!(
        text,
        "\nB against A: medians of rounds, ratio of their geometric means with its 95 % interval \
         by bootstrap {pairing},\nmargin {} %; at least {ROUNDS_MIN} rounds of each are needed to \
         tell.",
        MARGIN * 100.0
    );
    let side = |side: &Side| format!("{} (durability {})", side.label, side.promises());
    let title = format!("A: {}; B: {}", side(a), side(b));
    Comparison { sentences, text, tables: vec![(title, verdict::cells(&rows))], refused }
}

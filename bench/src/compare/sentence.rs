//! A comparison in sentences: one for each figure and promise, over all experiments.

use super::verdict::{Metric, Row, Verdict};
use crate::client::Durability;
use crate::figures::short;
use crate::stats::Interval;

/// What was found of A and B: `Ringlog 9.3 times the rate of kafka (8.8 to 9.8) at the same
/// durability (sync)`.
pub fn of(a: &str, b: &str, rows: &[Row]) -> Vec<String> {
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in rows.iter().filter(|row| row.metric != Metric::P50) {
        let key = |row: &Row| (row.durability, row.metric, row.load);
        match groups.iter_mut().find(|group| group.first().is_some_and(|of| key(of) == key(row))) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.iter().filter_map(|group| sentence(a, b, group)).collect()
}

fn sentence(a: &str, b: &str, rows: &[&Row]) -> Option<String> {
    let first = rows.first()?;
    let count =
        |wanted: &dyn Fn(&Verdict) -> bool| rows.iter().filter(|row| wanted(&row.verdict)).count();
    let faster = count(&|verdict| *verdict == Verdict::Faster);
    let slower = count(&|verdict| *verdict == Verdict::Slower);
    let neither = count(&|verdict| matches!(verdict, Verdict::NotDistinguishable(_)));
    let judged = faster + slower + neither;
    if judged == 0 {
        return None;
    }
    // The side that wins more often is what the sentence is about.
    let a_wins = slower > faster || (slower == faster && a.starts_with("ringlog"));
    let (subject, other) = if a_wins { (a, b) } else { (b, a) };
    let wins = if a_wins { Verdict::Slower } else { Verdict::Faster };
    let ratios: Vec<Interval> = rows
        .iter()
        .filter(|row| row.verdict == wins)
        .filter_map(|row| row.ratio)
        .map(|ratio| if a_wins { inverse(ratio) } else { ratio })
        .collect();
    let promise = promise(a_wins, first.durability);
    let what = what(first);
    let text = match ratios.as_slice() {
        [] => format!("{subject} and {other}: {} not distinguishable {promise}", plain_name(first)),
        [one] if judged == 1 => format!(
            "{subject}: {} {what} of {other} ({} to {}) {promise}",
            times(one.estimate),
            short(one.low),
            short(one.high)
        ),
        several => {
            let (low, high) = several.iter().fold((f64::MAX, 0.0f64), |(low, high), ratio| {
                (low.min(ratio.estimate), high.max(ratio.estimate))
            });
            let range = format!("{} to {}", short(low), times(high));
            let better = match first.metric {
                Metric::Rate => "faster",
                Metric::P99 | Metric::P50 => "quicker",
                Metric::Cpu => "cheaper",
            };
            let mut text = format!(
                "{subject}: {range} {what} of {other} {promise}; {better} in {} of {judged}",
                several.len()
            );
            let losses = if a_wins { faster } else { slower };
            if losses > 0 {
                text.push_str(&format!(", not in {losses}"));
            }
            if neither > 0 {
                text.push_str(&format!(", not distinguishable in {neither}"));
            }
            text
        }
    };
    Some(format!("{text}."))
}

fn inverse(ratio: Interval) -> Interval {
    Interval { low: 1.0 / ratio.high, estimate: 1.0 / ratio.estimate, high: 1.0 / ratio.low }
}

fn times(ratio: f64) -> String {
    format!("{} times", short(ratio))
}

fn what(row: &Row) -> String {
    match row.metric {
        Metric::Rate if row.load == "sustain" => "the sustained rate".to_owned(),
        Metric::Rate => format!("the rate ({} loop)", row.load),
        Metric::P99 => format!("the 99th percentile of latency ({})", row.load),
        Metric::P50 => format!("the median latency ({})", row.load),
        Metric::Cpu => format!("the processor time for each byte ({})", row.load),
    }
}

fn plain_name(row: &Row) -> &'static str {
    match row.metric {
        Metric::Rate => "their rates are",
        Metric::P99 => "their 99th percentiles of latency are",
        Metric::P50 => "their median latencies are",
        Metric::Cpu => "their processor time is",
    }
}

/// What acknowledgements of both mean, from the subject's side.
fn promise(a_wins: bool, (a, b): (Durability, Durability)) -> String {
    let (subject, other) = if a_wins { (a, b) } else { (b, a) };
    match subject.cmp(&other) {
        std::cmp::Ordering::Equal => format!("at the same durability ({subject})"),
        std::cmp::Ordering::Greater => {
            format!("although it promises more ({subject} against {other})")
        }
        std::cmp::Ordering::Less => format!("but it promises less ({subject} against {other})"),
    }
}

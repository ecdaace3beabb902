//! A comparison in sentences: one for each promise and load, over all experiments.

use super::verdict::{Marks, Metric, Row, TOO_FEW, Verdict};
use crate::client::Durability;
use crate::figures::short;
use crate::stats::Interval;

/// What was found of A and B: `At the same durability (sync), closed loop: ringlog 9.3 times the
/// rate of kafka (8.8 to 9.8), 0.14 times its processor time (0.13 to 0.15).`
pub fn of(a: &str, b: &str, rows: &[Row]) -> Vec<String> {
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    let aside = |row: &&Row| matches!(row.metric, Metric::P50 | Metric::Memory);
    for row in rows.iter().filter(|row| !aside(row)) {
        let key = |row: &Row| (row.durability, row.load.clone());
        match groups.iter_mut().find(|group| group.first().is_some_and(|of| key(of) == key(row))) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.iter().filter_map(|group| sentence(a, b, group)).collect()
}

fn sentence(a: &str, b: &str, rows: &[&Row]) -> Option<String> {
    let first = rows.first()?;
    let of = |cost: bool| -> Vec<&Row> {
        let of_kind = rows.iter().filter(|row| row.metric.is_cost() == cost);
        of_kind.filter(|row| row.verdict != Verdict::Refused).copied().collect()
    };
    let (mut speed, cost) = (of(false), of(true));
    let main = *speed.first()?;
    speed.retain(|row| row.metric == main.metric);
    let count = |wanted: Verdict| speed.iter().filter(|row| row.verdict == wanted).count();
    let (faster, slower) = (count(Verdict::Faster), count(Verdict::Slower));
    // The side that wins more often is what the sentence is about.
    let a_wins = slower > faster || (slower == faster && a.starts_with("ringlog"));
    let (subject, other) = if a_wins { (a, b) } else { (b, a) };
    let (wins, losses) = if a_wins { (slower, faster) } else { (faster, slower) };
    let what = match main.metric {
        Metric::Rate => "rate",
        Metric::Start => "time to start",
        _ => "99th percentile of latency",
    };
    let few = Verdict::NotDistinguishable(TOO_FEW);
    let said = match ratios(&speed, a_wins) {
        _ if speed.iter().all(|row| row.verdict == few) => {
            format!("too few rounds to tell the {what} of {subject} and {other} apart")
        }
        _ if wins == 0 => format!("the {what} of {subject} and {other} is not distinguishable"),
        Some(ratio) => {
            let held = match speed.len() {
                1 => String::new(),
                count => format!("; better in {wins} of {count}, worse in {losses}"),
            };
            format!("{subject} {} the {what} of {other}{}{held}", ratio.0, ratio.1)
        }
        None => return None,
    };
    let cost = match ratios(&cost, a_wins) {
        Some((times, interval)) if wins == 0 => {
            format!(", {subject} {times} the processor time{interval}")
        }
        Some((times, interval)) => format!(", {times} its processor time{interval}"),
        None => String::new(),
    };
    let load = match main.load.as_str() {
        "closed" => "closed loop".to_owned(),
        "sustain" => "highest sustained rate".to_owned(),
        "restart" => "start after SIGTERM".to_owned(),
        "kill" => "start after kill -9".to_owned(),
        "join" => "members that join at once".to_owned(),
        "rebalance" => "members that rebalance at once".to_owned(),
        load => load.to_owned(),
    };
    let marks = rows.iter().map(|row| row.marks).fold(Marks::default(), Marks::and).words();
    Some(format!("{}, {load}: {said}{cost}{marks}.", promise(subject, a_wins, first.durability)))
}

/// By how much the subject differs, over all experiments: one ratio with its interval, or from the
/// lowest to the highest.
fn ratios(rows: &[&Row], a_wins: bool) -> Option<(String, String)> {
    let ratios: Vec<Interval> = rows
        .iter()
        .filter_map(|row| row.ratio)
        .map(|ratio| if a_wins { inverse(ratio) } else { ratio })
        .collect();
    let (low, high) = ratios.iter().fold((f64::MAX, 0.0f64), |(low, high), ratio| {
        (low.min(ratio.estimate), high.max(ratio.estimate))
    });
    match ratios.as_slice() {
        [] => None,
        [one] => Some((
            format!("{} times", short(one.estimate)),
            format!(" ({} to {})", short(one.low), short(one.high)),
        )),
        several => Some((
            format!("{} to {} times", short(low), short(high)),
            format!(" in {} experiments", several.len()),
        )),
    }
}

fn inverse(ratio: Interval) -> Interval {
    Interval { low: 1.0 / ratio.high, estimate: 1.0 / ratio.estimate, high: 1.0 / ratio.low }
}

/// What acknowledgements of both mean, from the subject's side.
fn promise(name: &str, a_wins: bool, (a, b): (Durability, Durability)) -> String {
    let (subject, other) = if a_wins { (a, b) } else { (b, a) };
    match subject.cmp(&other) {
        std::cmp::Ordering::Equal => format!("At the same durability ({subject})"),
        std::cmp::Ordering::Greater => {
            format!("Where {name} promises more ({subject} against {other})")
        }
        std::cmp::Ordering::Less => {
            format!("Where {name} promises less ({subject} against {other})")
        }
    }
}

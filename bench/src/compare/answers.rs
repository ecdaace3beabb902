//! What one target's result says by itself: how one experiment stands to another, for each load and
//! durability.

use crate::client::Durability;
use crate::figures::{figure, short};
use crate::profile::{Mode, Question};
use crate::results::{Measured, RoundFigures, RunResult};
use crate::stats::{Interval, mean_interval, ratio_of_means};

use super::MARGIN;

/// Experiments of one load and durability.
type Group<'a> = Vec<&'a Measured>;

/// The answers to the profile's questions; without any, how the best experiment of each load
/// stands to the worst one.
pub fn answers(result: &RunResult) -> Vec<String> {
    let target = &result.env.target;
    let mut all = Vec::new();
    for group in groups(&result.measured) {
        let questions = &result.profile.profile.questions;
        let answers = match questions.as_slice() {
            [] => extremes(&group).into_iter().collect(),
            questions => questions.iter().filter_map(|one| answer(&group, one)).collect::<Vec<_>>(),
        };
        let Some(first) = group.first() else { continue };
        let load = match first.target_rate.filter(|_| first.mode == Mode::Open) {
            Some(rate) if group.iter().all(|one| one.target_rate == Some(rate)) => {
                format!("{}, {}/s", first.load(), figure(rate))
            }
            _ => first.load().to_owned(),
        };
        let said = answers
            .iter()
            .map(|answer| format!("{target}, {}, {load}: {answer}.", first.durability));
        all.extend(said);
    }
    all
}

/// One group for each load of the profile and each durability.
fn groups(measured: &[Measured]) -> Vec<Group<'_>> {
    let mut groups: Vec<((&str, Durability, usize), Group<'_>)> = Vec::new();
    for (index, one) in measured.iter().enumerate() {
        let same = |other: &&Measured| {
            (&other.name, other.load(), other.durability) == (&one.name, one.load(), one.durability)
        };
        // An experiment may have several loads of one mode.
        let nth = measured[..index].iter().filter(same).count();
        let key = (one.load(), one.durability, nth);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(one),
            None => groups.push((key, vec![one])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// The figure that a load is for: its name, whether more is better, and its value of each round.
fn figures(measured: &Measured) -> (&'static str, bool, Vec<f64>) {
    type Value = fn(&RoundFigures) -> f64;
    let (name, more, value): (_, _, Value) = match measured.mode {
        _ if measured.kind.is_start() => ("time to start", false, |round| round.latency_ms.max),
        Mode::Closed | Mode::Sustain => ("rate", true, |round| round.records_per_second),
        Mode::Open => ("99th percentile of latency", false, |round| round.latency_ms.p99),
    };
    (name, more, measured.counted().map(value).collect())
}

/// By how much one experiment differs from another.
fn ratio(of: &Measured, against: &Measured) -> Option<(&'static str, Interval)> {
    let (name, _, ours) = figures(of);
    let (_, _, theirs) = figures(against);
    Some((name, ratio_of_means(&theirs, &ours)?))
}

fn answer(group: &Group<'_>, question: &Question) -> Option<String> {
    let named = |name: &str| group.iter().find(|one| one.name == name);
    let (of, against) = (named(&question.of)?, named(&question.against)?);
    let (name, ratio) = ratio(of, against)?;
    let limited = limits(&[of, against]);
    let found = words(&of.name, name, &against.name, ratio);
    Some(format!("{} {found}{limited}", question.ask))
}

fn words(of: &str, name: &str, against: &str, ratio: Interval) -> String {
    let interval = format!("({} to {})", short(ratio.low), short(ratio.high));
    match (1.0 / (1.0 + MARGIN)..=1.0 + MARGIN).contains(&ratio.estimate)
        || (ratio.low..=ratio.high).contains(&1.0)
    {
        true => format!("the {name} of {of} and {against} is not distinguishable {interval}"),
        false => {
            format!("{of} has {} times the {name} of {against} {interval}", short(ratio.estimate))
        }
    }
}

fn limits(of: &[&Measured]) -> &'static str {
    let limited = of.iter().any(|one| one.is_limited_by_generator() == Some(true));
    if limited { "; the generator is the limit" } else { "" }
}

/// How the best stands to the worst; of one experiment its figure.
fn extremes(group: &Group<'_>) -> Option<String> {
    let middle = |one: &&&Measured| mean_interval(&figures(one).2).map(|found| found.estimate);
    let mut known: Vec<(&Measured, f64)> =
        group.iter().filter_map(|one| Some((*one, middle(&one)?))).collect();
    known.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let (low, high) = (known.first()?, known.last()?);
    let (name, more, values) = figures(low.0);
    if known.len() == 1 {
        let found = mean_interval(&values)?;
        let unit = if more { "records/s" } else { "ms" };
        let (estimate, low, high) = (figure(found.estimate), figure(found.low), figure(found.high));
        return Some(format!("{name} {estimate} {unit} ({low} to {high})"));
    }
    let (best, worst) = if more { (high, low) } else { (low, high) };
    let (_, ratio) = ratio(best.0, worst.0)?;
    let limited = limits(&[best.0, worst.0]);
    Some(format!("{}{limited}", words(&best.0.name, name, &worst.0.name, ratio)))
}

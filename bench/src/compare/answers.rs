//! What one target's result says by itself: how one experiment stands to another, for each load and
//! durability.

use crate::client::Durability;
use crate::figures::{figure, short};
use crate::profile::{Mode, Question};
use crate::results::{Measured, RoundFigures, RunResult};
use crate::stats::{Interval, mean_interval, ratio_of_means};

use super::verdict::{Verdict, judge};

/// The figure of a closed loop.
const RATE: &str = "rate";

/// Experiments of one load and durability.
type Group<'a> = Vec<&'a Measured>;

/// The answers to the profile's questions; without any, from which to which value the figure of
/// each load goes.
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
        Mode::Closed | Mode::Sustain => (RATE, true, |round| round.records_per_second),
        Mode::Open => ("99th percentile of latency", false, |round| round.latency_ms.p99),
    };
    (name, more, measured.counted().map(value).collect())
}

fn answer(group: &Group<'_>, question: &Question) -> Option<String> {
    let named = |name: &str| group.iter().find(|one| one.name == name);
    let (of, against) = (named(&question.of)?, named(&question.against)?);
    let (name, more, ours) = figures(of);
    let (_, _, theirs) = figures(against);
    let ratio = ratio_of_means(&theirs, &ours)?;
    let limited = limits(&[of, against]);
    let interval = format!("({} to {})", short(ratio.low), short(ratio.high));
    let (a, b) = (&of.name, &against.name);
    let found = match judge(more, Some(ratio), ours.len().min(theirs.len())) {
        Verdict::Faster | Verdict::Slower => {
            format!("{a} has {} times the {name} of {b} {interval}", short(ratio.estimate))
        }
        _ => format!("the {name} of {a} and {b} is not distinguishable {interval}"),
    };
    Some(format!("{} {found}{limited}", question.ask))
}

fn limits(of: &[&Measured]) -> &'static str {
    let limited = of.iter().any(|one| one.is_limited_by_generator() == Some(true));
    if limited { "; the generator is the limit" } else { "" }
}

/// From which to which value the figure goes; of one experiment its value. Nothing is said of a
/// difference: the two were chosen for it, so an interval of their ratio would be too narrow.
fn extremes(group: &Group<'_>) -> Option<String> {
    let mut known: Vec<(&Measured, Interval)> =
        group.iter().filter_map(|one| Some((*one, mean_interval(&figures(one).2)?))).collect();
    known.sort_by(|(_, a), (_, b)| a.estimate.total_cmp(&b.estimate));
    let (low, high) = (known.first()?, known.last()?);
    let (name, _, _) = figures(low.0);
    let unit = if name == RATE { low.0.rate_unit() } else { "ms" };
    let value = |of: Interval| {
        let (estimate, low, high) = (figure(of.estimate), figure(of.low), figure(of.high));
        format!("{estimate} {unit} ({low} to {high})")
    };
    if known.len() == 1 {
        return Some(format!("{name} {}{}", value(low.1), limits(&[low.0])));
    }
    let limited = limits(&[low.0, high.0]);
    let (from, to) = (value(low.1), value(high.1));
    Some(format!("{name} from {from} with {} to {to} with {}{limited}", low.0.name, high.0.name))
}

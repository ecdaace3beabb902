//! What one target's result says by itself: how one experiment stands to another, for each load and
//! durability.

use crate::client::Durability;
use crate::figures::{figure, short};
use crate::profile::{Mode, Question};
use crate::results::{MainFigure, Measured, RunResult};
use crate::stats::{Interval, mean_interval, ratio_of_means};

use super::verdict::{Verdict, judge};

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

fn answer(group: &Group<'_>, question: &Question) -> Option<String> {
    let named = |name: &str| group.iter().find(|one| one.name == name);
    let (of, against) = (named(&question.of)?, named(&question.against)?);
    let (ours, theirs) = (of.main_figure(), against.main_figure());
    let ratio = ratio_of_means(&theirs.rounds, &ours.rounds)?;
    let limited = limits(&[of, against]);
    let interval = format!("({} to {})", short(ratio.low), short(ratio.high));
    let (name, a, b) = (ours.name, &of.name, &against.name);
    let rounds = ours.rounds.len().min(theirs.rounds.len());
    let found = match judge(ours.more_is_better, Some(ratio), rounds) {
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
    let of = |one: &&'_ Measured| mean_interval(&one.main_figure().rounds);
    let mut known: Vec<(&Measured, Interval)> =
        group.iter().filter_map(|one| Some((*one, of(one)?))).collect();
    known.sort_by(|(_, a), (_, b)| a.estimate.total_cmp(&b.estimate));
    let (low, high) = (known.first()?, known.last()?);
    let MainFigure { name, unit, .. } = low.0.main_figure();
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

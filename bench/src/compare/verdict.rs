//! [`Verdict`]: what may be said of one figure of two results.

use std::fmt::Write;

use super::side::{Experiment, Figures, Side};
use crate::profile::Mode;
use crate::stats::{Interval, ratio_of_means};

/// Differences within it are of no interest: half of the smallest that repeats on a quiet machine.
pub const MARGIN: f64 = 0.03;
/// With three rounds on each side, one pair of equal brokers in ten does not overlap at all; with
/// four it is one in thirty-five.
pub const ROUNDS_MIN: usize = 4;
/// What an acknowledgement can mean, the weakest first.
const DURABILITIES: [&str; 4] = ["none", "unknown", "replicated", "sync"];

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Of a closed loop: what it is for.
    Rate,
    /// Of an open loop: what it is for.
    P99,
    /// Of an open loop, beside it.
    P50,
    /// Of the broker, for the same bytes.
    Cpu,
}

/// What may be said.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// B is.
    Faster,
    /// B is.
    Slower,
    /// Neither, and why.
    NotDistinguishable(&'static str),
    /// Something stands against it.
    Refused,
}

/// One figure of an experiment on both sides.
#[derive(Clone, Debug)]
pub struct Row {
    /// Experiment and load.
    pub title: String,
    metric: Metric,
    a: f64,
    b: f64,
    ratio: Option<Interval>,
    warming: bool,
    /// What may be said.
    pub verdict: Verdict,
}

impl Metric {
    /// Which are compared of an experiment, the one that it is for first.
    pub fn of(experiment: &Experiment) -> Vec<Metric> {
        let mut all = match experiment.mode {
            Mode::Closed | Mode::Sustain => vec![Metric::Rate],
            Mode::Open => vec![Metric::P99, Metric::P50],
        };
        if experiment.rounds.iter().all(|round| round.broker_cpu_seconds_per_gib.is_some()) {
            all.push(Metric::Cpu);
        }
        all
    }

    fn name(self) -> &'static str {
        match self {
            Metric::Rate => "records/s",
            Metric::P99 => "p99 ms",
            Metric::P50 => "p50 ms",
            Metric::Cpu => "cpu-s/GiB",
        }
    }

    fn more_is_faster(self) -> bool {
        self == Metric::Rate
    }

    fn value(self, round: &Figures) -> f64 {
        match self {
            Metric::Rate => round.records_per_second,
            Metric::P99 => round.latency_ms.p99,
            Metric::P50 => round.latency_ms.p50,
            Metric::Cpu => round.broker_cpu_seconds_per_gib.unwrap_or(f64::NAN),
        }
    }
}

impl Row {
    /// Compares one figure.
    pub fn of(metric: Metric, a: &Experiment, b: &Experiment) -> Row {
        let values = |side: &Experiment| -> Vec<f64> {
            side.rounds.iter().map(|round| metric.value(round)).collect()
        };
        let (ours, theirs) = (values(a), values(b));
        let ratio = ratio_of_means(&ours, &theirs);
        let rounds = ours.len().min(theirs.len());
        let all = a.rounds.iter().chain(&b.rounds);
        Row {
            title: a.title(),
            metric,
            a: median(&ours),
            b: median(&theirs),
            ratio,
            warming: all.clone().any(|round| round.steady == Some(false)),
            verdict: judge(metric, ratio, rounds),
        }
    }

    /// What stands against this verdict: the side that would be called faster promises less, or had
    /// less to do.
    pub fn refuse(
        &self,
        a: &Side,
        b: &Side,
        one: &Experiment,
        other: &Experiment,
    ) -> Option<String> {
        let (fast, slow, fast_load, slow_load) = match self.verdict {
            Verdict::Faster => (b, a, other, one),
            Verdict::Slower => (a, b, one, other),
            _ => return None,
        };
        let promise = |side: &Side, load: &Experiment| {
            load.durability.clone().unwrap_or_else(|| side.durability.clone())
        };
        let (theirs, others) = (promise(fast, fast_load), promise(slow, slow_load));
        if rank(&theirs) < rank(&others) {
            return Some(format!(
                "the faster side's durability ({theirs}) is weaker than the other's ({others})"
            ));
        }
        let (fast_rate, slow_rate) = fast_load.target_rate.zip(slow_load.target_rate)?;
        let less = self.metric != Metric::Cpu && fast_rate < slow_rate / (1.0 + MARGIN);
        less.then(|| {
            format!("the faster side had less to do: {fast_rate:.0} records/s, not {slow_rate:.0}")
        })
    }
}

fn rank(durability: &str) -> usize {
    DURABILITIES.iter().position(|known| *known == durability).unwrap_or(1)
}

fn judge(metric: Metric, ratio: Option<Interval>, rounds: usize) -> Verdict {
    let Some(ratio) = ratio.filter(|_| rounds >= ROUNDS_MIN) else {
        return Verdict::NotDistinguishable("too few rounds");
    };
    let beyond = 1.0 + MARGIN;
    let (more, less) = match metric.more_is_faster() {
        true => (Verdict::Faster, Verdict::Slower),
        false => (Verdict::Slower, Verdict::Faster),
    };
    match ratio {
        ratio if ratio.low > beyond => more,
        ratio if ratio.high < 1.0 / beyond => less,
        ratio if ratio.low >= 1.0 / beyond && ratio.high <= beyond => {
            Verdict::NotDistinguishable("equal within the margin")
        }
        _ => Verdict::NotDistinguishable(""),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = ((sorted.len().max(1) - 1) / 2, sorted.len() / 2);
    sorted.get(low).zip(sorted.get(high)).map_or(f64::NAN, |(low, high)| f64::midpoint(*low, *high))
}

fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// Columns of a comparison.
pub const HEAD: [&str; 7] = ["experiment", "figure", "A", "B", "B/A", "95 % interval", "verdict"];

/// The rows in words and numbers.
pub fn cells(rows: &[Row]) -> Vec<[String; HEAD.len()]> {
    let mut lines = Vec::new();
    for row in rows {
        let ratio = row.ratio.map_or("-".to_owned(), |ratio| format!("{:.3}", ratio.estimate));
        let interval = match row.ratio {
            Some(ratio) => format!("{:.3} to {:.3}", ratio.low, ratio.high),
            None => "-".to_owned(),
        };
        let mut verdict = match (&row.verdict, row.metric) {
            (Verdict::Faster, Metric::Cpu) => "less CPU".to_owned(),
            (Verdict::Slower, Metric::Cpu) => "more CPU".to_owned(),
            (Verdict::Faster, _) => "faster".to_owned(),
            (Verdict::Slower, _) => "slower".to_owned(),
            (Verdict::NotDistinguishable(""), _) => "not distinguishable".to_owned(),
            (Verdict::NotDistinguishable(why), _) => format!("not distinguishable ({why})"),
            (Verdict::Refused, _) => "refused".to_owned(),
        };
        if row.warming {
            verdict.push_str(" (still warming up)");
        }
        let (a, b) = (number(row.a), number(row.b));
        let name = row.metric.name().to_owned();
        lines.push([row.title.clone(), name, a, b, ratio, interval, verdict]);
    }
    lines
}

/// The rows as text.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(cells(rows));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEAD.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let mut shown = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(shown, "{cell:<width$}  ");
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_the_whole_interval_beyond_the_margin() {
        let interval = |low, high| Some(Interval { low, estimate: f64::midpoint(low, high), high });
        let rate = |ratio| judge(Metric::Rate, ratio, 4);
        assert_eq!(rate(interval(1.04, 1.2)), Verdict::Faster);
        assert_eq!(rate(interval(0.8, 0.96)), Verdict::Slower);
        assert_eq!(judge(Metric::P99, interval(0.8, 0.96), 4), Verdict::Faster);
        assert_eq!(judge(Metric::Cpu, interval(1.04, 2.0), 4), Verdict::Slower);
        for (low, high, why) in
            [(1.02, 1.2, ""), (0.9, 1.1, ""), (0.99, 1.02, "equal within the margin")]
        {
            assert_eq!(rate(interval(low, high)), Verdict::NotDistinguishable(why));
        }
        let few = judge(Metric::Rate, interval(2.0, 3.0), 3);
        assert_eq!(few, Verdict::NotDistinguishable("too few rounds"));
        assert!(rank("none") < rank("unknown") && rank("replicated") < rank("sync"));
        assert_eq!(rank("something new"), rank("unknown"));
    }

    #[test]
    fn medians() {
        assert_eq!([median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])], [2.0, 2.5]);
        assert!(median(&[]).is_nan());
    }
}

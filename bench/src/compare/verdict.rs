//! [`Verdict`]: what may be said of one figure of two results.

use super::side::Experiment;
use crate::client::Durability;
use crate::figures::{BYTES_PER_MB, align, figure};
use crate::host::PAUSE_MS_MAX;
use crate::profile::{Kind, Mode};
use crate::results::RoundFigures;
use crate::stats::{Interval, median, paired_ratio, ratio_of_means};

/// Differences within it are of no interest: half of the smallest that repeats on a quiet machine.
pub const MARGIN: f64 = 0.03;
/// With three rounds on each side, one pair of equal brokers in ten does not overlap at all; with
/// four it is one in thirty-five.
pub const ROUNDS_MIN: usize = 4;

/// Why there is no verdict from fewer rounds than that.
pub const TOO_FEW: &str = "too few rounds";

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Of a closed loop, or of a search for a rate: what it is for.
    Rate,
    /// Of an open loop: what it is for.
    P99,
    /// Of an open loop, beside it.
    P50,
    /// Of a start: until the last partition is served.
    Start,
    /// Of the broker, for the same bytes.
    Cpu,
    /// Of the broker, for each record: what says more where records are few.
    Cost,
    /// Of the broker: memory that is resident.
    Memory,
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

/// What stands beside a verdict: rounds were not as they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// A load was still getting faster when a round began to count.
    pub warming: bool,
    /// Rounds drift.
    pub drifting: bool,
    /// The machine stood still in a round.
    pub paused: bool,
}

/// One figure of an experiment on both sides.
#[derive(Clone, Debug)]
pub struct Row {
    /// The experiment.
    pub experiment: String,
    /// Its load.
    pub load: String,
    /// What acknowledgements of A and of B mean.
    pub durability: (Durability, Durability),
    /// Which figure.
    pub metric: Metric,
    /// The same in words.
    pub figure: &'static str,
    a: f64,
    b: f64,
    /// B against A.
    pub ratio: Option<Interval>,
    /// What stands beside the verdict.
    pub marks: Marks,
    /// What may be said.
    pub verdict: Verdict,
}

impl Metric {
    /// Which are compared of an experiment, the one that it is for first.
    pub fn of(a: &Experiment, b: &Experiment) -> Vec<Metric> {
        let rounds = || a.rounds.iter().chain(&b.rounds);
        let mut all = match a.mode {
            _ if a.kind.is_start() => vec![Metric::Start],
            _ if a.kind.is_event() => vec![Metric::Rate, Metric::P99],
            Mode::Closed | Mode::Sustain => vec![Metric::Rate],
            Mode::Open => vec![Metric::P99, Metric::P50],
        };
        // A tool may not say everything.
        all.retain(|metric| rounds().all(|round| metric.value(round).is_finite()));
        let each = a.mode == Mode::Open || a.kind.is_event();
        let cost = if each { Metric::Cost } else { Metric::Cpu };
        let memory = a.kind.is_event().then_some(Metric::Memory);
        let known = |metric: &Metric| {
            rounds().map(|round| metric.value(round)).all(|value| value.is_finite() && value > 0.0)
        };
        all.extend([cost].into_iter().chain(memory).filter(known));
        all
    }

    /// As tables name it for experiments of this kind.
    pub fn name(self, kind: Kind) -> &'static str {
        match self {
            Metric::Cost if kind.is_start() => "cpu-us/partition",
            Metric::Cost if kind.is_event() => "cpu-us/member",
            Metric::Rate if kind.is_event() => "members/s",
            Metric::Rate => "records/s",
            Metric::P99 => "p99 ms",
            Metric::P50 => "p50 ms",
            Metric::Start => "start ms",
            Metric::Cpu => "cpu-s/GiB",
            Metric::Cost => "cpu-us/record",
            Metric::Memory => "RSS MiB",
        }
    }

    /// Whether it is what the broker takes of its machine, processor time or memory.
    pub fn is_cost(self) -> bool {
        matches!(self, Metric::Cpu | Metric::Cost | Metric::Memory)
    }

    /// What a cost is of, in a word.
    fn resource(self) -> &'static str {
        if self == Metric::Memory { "memory" } else { "CPU" }
    }

    fn more_is_faster(self) -> bool {
        self == Metric::Rate
    }

    fn value(self, round: &RoundFigures) -> f64 {
        match self {
            Metric::Rate => round.records_per_second,
            Metric::P99 => round.latency_ms.p99,
            Metric::P50 => round.latency_ms.p50,
            Metric::Start => round.latency_ms.max,
            Metric::Cpu => round.broker_cpu_seconds_per_gib.unwrap_or(f64::NAN),
            Metric::Cost => round.broker_cpu_us_per_record.unwrap_or(f64::NAN),
            Metric::Memory => {
                round.broker_rss_bytes.map_or(f64::NAN, |bytes| bytes as f64 / BYTES_PER_MB)
            }
        }
    }
}

impl Marks {
    fn of(a: &Experiment, b: &Experiment) -> Marks {
        let mut rounds = a.rounds.iter().chain(&b.rounds);
        let pause = |round: &RoundFigures| round.machine.and_then(|machine| machine.pause_ms_max);
        Marks {
            warming: rounds.clone().any(|round| round.steady == Some(false)),
            drifting: a.trend.is_some() || b.trend.is_some(),
            paused: rounds.any(|round| pause(round).is_some_and(|ms| ms > PAUSE_MS_MAX)),
        }
    }

    /// Both together.
    pub fn and(self, other: Marks) -> Marks {
        Marks {
            warming: self.warming || other.warming,
            drifting: self.drifting || other.drifting,
            paused: self.paused || other.paused,
        }
    }

    /// What they are, each in brackets.
    pub fn words(self) -> String {
        let all = [
            (self.warming, " (still warming up)"),
            (self.drifting, " (rounds drift)"),
            (self.paused, " (the machine stood still)"),
        ];
        all.iter().filter(|(is_so, _)| *is_so).map(|(_, words)| *words).collect()
    }
}

impl Row {
    /// Compares one figure. Rounds of one run are pairs.
    pub fn of(metric: Metric, a: &Experiment, b: &Experiment, paired: bool) -> Row {
        let values = |side: &Experiment| -> Vec<f64> {
            side.rounds.iter().map(|round| metric.value(round)).collect()
        };
        let (ours, theirs) = (values(a), values(b));
        let ratio = match paired && ours.len() == theirs.len() {
            true => paired_ratio(&ours, &theirs),
            false => ratio_of_means(&ours, &theirs),
        };
        let rounds = ours.len().min(theirs.len());
        Row {
            experiment: a.name.clone(),
            load: load(a, b),
            durability: (a.durability, b.durability),
            metric,
            figure: metric.name(a.kind),
            a: median(&ours),
            b: median(&theirs),
            ratio,
            marks: Marks::of(a, b),
            verdict: judge(metric.more_is_faster(), ratio, rounds),
        }
    }

    /// Experiment, load and what acknowledgements mean.
    pub fn title(&self) -> String {
        format!("{} {}, {}", self.experiment, self.load, self.promise())
    }

    /// What acknowledgements mean on both sides.
    pub fn promise(&self) -> String {
        let (a, b) = self.durability;
        if a == b { a.to_string() } else { format!("{a} against {b}") }
    }

    /// What stands against this verdict: different clients, lost records, or less to do for the
    /// side that would be called faster.
    pub fn refuse(&self, a: &Experiment, b: &Experiment) -> Option<String> {
        if a.driver != b.driver {
            let (a, b) = (a.driver.name(), b.driver.name());
            return Some(format!("A was loaded by {a}, B by {b}"));
        }
        let lost = |side: &Experiment| side.rounds.iter().map(|round| round.errors).sum::<u64>();
        for (letter, lost) in [("A", lost(a)), ("B", lost(b))] {
            if lost > 0 {
                return Some(format!("{lost} records of {letter} were lost"));
            }
        }
        let (fast, slow) = match self.verdict {
            Verdict::Faster => (b, a),
            Verdict::Slower => (a, b),
            _ => return None,
        };
        if a.mode != Mode::Open || self.metric.is_cost() {
            return None;
        }
        let (fast_rate, slow_rate) = fast.target_rate.zip(slow.target_rate)?;
        let less = fast_rate < slow_rate / (1.0 + MARGIN);
        less.then(|| {
            format!("the faster side had less to do: {fast_rate:.0} records/s, not {slow_rate:.0}")
        })
    }

    /// The verdict in words. Where one side promises less, that is said with it.
    fn words(&self) -> String {
        let (a, b) = self.durability;
        let promise = match b.cmp(&a) {
            std::cmp::Ordering::Less => ", and promises less",
            std::cmp::Ordering::Equal => "",
            std::cmp::Ordering::Greater => ", and promises more",
        };
        let verdict = match (&self.verdict, self.metric.is_cost()) {
            (Verdict::Faster, true) => format!("less {}{promise}", self.metric.resource()),
            (Verdict::Slower, true) => format!("more {}{promise}", self.metric.resource()),
            (Verdict::Faster, _) => format!("faster{promise}"),
            (Verdict::Slower, _) => format!("slower{promise}"),
            (Verdict::NotDistinguishable(""), _) => "not distinguishable".to_owned(),
            (Verdict::NotDistinguishable(why), _) => format!("not distinguishable ({why})"),
            (Verdict::Refused, _) => "refused".to_owned(),
        };
        format!("{verdict}{}", self.marks.words())
    }
}

/// The load in words; with its rate, where that was the same for both.
fn load(a: &Experiment, b: &Experiment) -> String {
    let rate = |side: &Experiment| side.target_rate.filter(|_| side.mode == Mode::Open);
    match (rate(a), rate(b)) {
        (Some(one), Some(other)) if one == other => format!("{}, {}/s", a.load, figure(one)),
        _ => a.load.to_owned(),
    }
}

/// What may be said of a ratio of B to A from so many rounds; `more`: the larger one is faster.
pub fn judge(more: bool, ratio: Option<Interval>, rounds: usize) -> Verdict {
    let Some(ratio) = ratio.filter(|_| rounds >= ROUNDS_MIN) else {
        return Verdict::NotDistinguishable(TOO_FEW);
    };
    let beyond = 1.0 + MARGIN;
    let (more, less) = match more {
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

/// Columns of a comparison.
pub const HEAD: [&str; 8] =
    ["experiment", "durability", "figure", "A", "B", "B/A", "95 % interval", "verdict"];

/// The rows in words and numbers.
pub fn cells(rows: &[Row]) -> Vec<[String; HEAD.len()]> {
    let line = |row: &Row| {
        let ratio = row.ratio.map_or("-".to_owned(), |ratio| format!("{:.3}", ratio.estimate));
        let interval = match row.ratio {
            Some(ratio) => format!("{:.3} to {:.3}", ratio.low, ratio.high),
            None => "-".to_owned(),
        };
        [
            format!("{} {}", row.experiment, row.load),
            row.promise(),
            row.figure.to_owned(),
            figure(row.a),
            figure(row.b),
            ratio,
            interval,
            row.words(),
        ]
    };
    rows.iter().map(line).collect()
}

/// The rows as text.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(cells(rows));
    align(&lines, HEAD.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_the_whole_interval_beyond_the_margin() {
        let interval = |low, high| Some(Interval { low, estimate: f64::midpoint(low, high), high });
        let rate = |ratio| judge(true, ratio, 4);
        assert_eq!(rate(interval(1.04, 1.2)), Verdict::Faster);
        assert_eq!(rate(interval(0.8, 0.96)), Verdict::Slower);
        assert_eq!(judge(false, interval(0.8, 0.96), 4), Verdict::Faster);
        assert_eq!(judge(false, interval(1.04, 2.0), 4), Verdict::Slower);
        for (low, high, why) in
            [(1.02, 1.2, ""), (0.9, 1.1, ""), (0.99, 1.02, "equal within the margin")]
        {
            assert_eq!(rate(interval(low, high)), Verdict::NotDistinguishable(why));
        }
        let few = judge(true, interval(2.0, 3.0), 3);
        assert_eq!(few, Verdict::NotDistinguishable("too few rounds"));
    }
}

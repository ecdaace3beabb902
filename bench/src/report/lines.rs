//! The line charts of a report: latency by percentile, how rounds went, latency by load.

use super::chart::{Axis, Chart, Figures, Line};
use super::entry::{Differences, Entry};
use crate::figures::{figure, plain};
use crate::load::{Latency, Moment};
use crate::profile::Mode;
use crate::results::RoundSeries;

/// Points of a percentile curve for each nine.
const POINTS_PER_NINE: usize = 24;
/// Nines of the percentile axis at most: 99.999 %.
const NINES_MAX: f64 = 5.0;
/// Percentiles of the table.
const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999];
/// Between two rounds on the time axis, as a share of a round.
const GAP: f64 = 0.08;

/// What is drawn over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverTime {
    /// Records a second.
    Throughput,
    /// 99th percentile.
    Latency,
}

/// Latency by percentile, with the longest of each marked; `None` where there is no histogram.
pub fn percentiles(id: &str, title: &str, entries: &[Entry<'_>]) -> Option<Chart> {
    let all: Vec<Entry<'_>> = entries.iter().filter(|entry| has_latency(entry)).copied().collect();
    let among = Differences::among(&all).within_panel();
    let latencies = || all.iter().map(latency);
    let most = latencies().map(Latency::len).max()? as f64;
    let nines = most.log10().clamp(2.0, NINES_MAX).floor();
    let high = latencies().map(|latency| ms(latency.max())).fold(0.0, f64::max);
    let low = latencies().map(|latency| ms(latency.min())).fold(f64::MAX, f64::min).max(0.001);
    let y = Axis::logarithmic(low, high, |value| format!("{} ms", plain(value)));
    let x = Axis::with_ticks(nines, percentile_ticks(nines));
    let line = |entry: &Entry<'_>| {
        let longest = ms(latency(entry).max());
        let at = (latency(entry).len() as f64).log10().min(nines);
        Line {
            name: among.name(entry),
            class: entry.class(&all),
            stretches: vec![curve(latency(entry), &x, &y, nines)],
            marks: vec![(
                (x.place(at), y.place(longest)),
                format!("{}: longest {} ms", among.name(entry), figure(longest)),
            )],
        }
    };
    let row = |entry: &Entry<'_>| {
        let at = |percent: &f64| figure(ms(latency(entry).value_at_quantile(percent / 100.0)));
        let mut row = vec![among.name(entry)];
        row.extend(PERCENTILES.iter().map(at));
        row.push(figure(ms(latency(entry).max())));
        row
    };
    let head = PERCENTILES.iter().map(|percent| format!("{percent} %"));
    Some(Chart {
        id: format!("percentiles-{id}"),
        title: title.to_owned(),
        note: "Percentiles to the right (HdrHistogram's scale), milliseconds upwards \
               (logarithmic); the longest is a dot."
            .to_owned(),
        lines: all.iter().map(line).collect(),
        figures: Figures {
            head: std::iter::once("ms".to_owned()).chain(head).chain(["max".to_owned()]).collect(),
            rows: all.iter().map(row).collect(),
        },
        units: ["%", "ms"],
        x,
        y,
    })
}

/// What was reached in each interval, round after round; rounds lie apart. `None` where nothing was
/// seen over time.
pub fn over_time(id: &str, title: &str, entries: &[Entry<'_>], what: OverTime) -> Option<Chart> {
    let seen = |series: &RoundSeries| {
        series.moments.len() > 1 && series.moments.iter().any(|moment| moment.records > 0)
    };
    let has_series = |entry: &&Entry<'_>| entry.measured.series.iter().any(seen);
    let all: Vec<Entry<'_>> = entries.iter().filter(has_series).copied().collect();
    let among = Differences::among(&all).within_panel();
    let values: Vec<Vec<Vec<f64>>> = all.iter().map(|entry| rounds(entry, what)).collect();
    let flat = || values.iter().flatten().flatten().copied();
    let high = flat().fold(0.0, f64::max);
    let low = flat().filter(|value| *value > 0.0).fold(high, f64::min);
    let longest = all.iter().flat_map(|entry| &entry.measured.series).map(seconds);
    let round_seconds = longest.fold(0.0, f64::max);
    let count = all.iter().map(|entry| entry.measured.series.len()).max()?;
    let pitch = round_seconds * (1.0 + GAP);
    let x = Axis::linear(pitch * count as f64, |value| format!("{} s", plain(value)));
    let y = match what {
        OverTime::Throughput => Axis::linear(high, rate_label),
        OverTime::Latency if high > 0.0 => {
            Axis::logarithmic(low, high, |value| format!("{} ms", plain(value)))
        }
        OverTime::Latency => Axis::linear(1.0, |value| format!("{} ms", plain(value))),
    };
    let line = |(entry, rounds): (&Entry<'_>, &Vec<Vec<f64>>)| {
        let step = entry.measured.series.first().map_or(0.0, |series| series.interval_seconds);
        let stretches = |(round, values): (usize, &Vec<f64>)| -> Vec<Vec<(f64, f64)>> {
            // A value stands for its interval: it is drawn in the middle. Where nothing came there
            // is no latency.
            let at = |index: usize| pitch * round as f64 + (index as f64 + 0.5) * step;
            let all: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
            let seen = |(_, value): &(usize, f64)| *value > 0.0 || what == OverTime::Throughput;
            let place = |(index, value): &(usize, f64)| (x.place(at(*index)), y.place(*value));
            let parts = all.split(|point| !seen(point)).filter(|part| !part.is_empty());
            parts.map(|part| part.iter().map(place).collect()).collect()
        };
        Line {
            name: among.name(entry),
            class: entry.class(&all),
            stretches: rounds.iter().enumerate().flat_map(stretches).collect(),
            marks: Vec::new(),
        }
    };
    let row = |(entry, rounds): (&Entry<'_>, &Vec<Vec<f64>>)| spread(among.name(entry), rounds);
    let (name, kind, unit) = match what {
        OverTime::Throughput => ("records a second", "rate", "records/s"),
        OverTime::Latency => ("99th percentile of latency", "p99", "ms"),
    };
    let cold = all.iter().any(|entry| entry.measured.rounds.iter().any(|round| !round.counted));
    let rounds_note = match (count, cold) {
        (1, _) => String::new(),
        (_, false) => " Rounds lie apart.".to_owned(),
        (_, true) => " Rounds lie apart; the first ones do not count.".to_owned(),
    };
    let interval = all.first().and_then(|entry| entry.measured.series.first());
    let interval = interval.map_or(0.0, |series| series.interval_seconds);
    Some(Chart {
        id: format!("{kind}-{id}"),
        title: format!("{title}: {name}"),
        note: format!("In intervals of {} s.{rounds_note}", plain(interval)),
        lines: all.iter().zip(&values).map(line).collect(),
        figures: Figures {
            head: ["", "lowest", "mean", "highest"].map(str::to_owned).to_vec(),
            rows: all.iter().zip(&values).map(row).collect(),
        },
        units: ["s", unit],
        x,
        y,
    })
}

/// Latency at each rate that was tried, of every target and experiment with three of them or more.
pub fn load_latency(entries: &[Entry<'_>]) -> Option<Chart> {
    let curves = curves(entries);
    let firsts: Vec<Entry<'_>> = curves.iter().map(|(entry, _)| *entry).collect();
    let among = Differences::among(&firsts).without_load();
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        let values = || curves.iter().flat_map(|(_, points)| points.iter().map(of));
        (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max))
    };
    let ((slow, fast), (low, high)) = (bounds(|point| point.0), bounds(|point| point.1));
    if curves.is_empty() {
        return None;
    }
    let x = Axis::logarithmic(slow, fast, rate_label);
    let y = Axis::logarithmic(low, high, |value| format!("{} ms", plain(value)));
    // Colour is the target: experiments of one target are told apart by their dashes.
    let dash = |index: usize| ["", " dash", " dots", " long"][index % 4];
    let mut seen: Vec<usize> = Vec::new();
    let mut line = |(entry, points): &(Entry<'_>, Vec<(f64, f64)>)| {
        let nth = seen.iter().filter(|colour| **colour == entry.colour).count();
        seen.push(entry.colour);
        let places = points.iter().map(|(rate, p99)| (x.place(*rate), y.place(*p99)));
        Line {
            name: among.name(entry),
            class: format!("c{}{}", entry.colour, dash(nth)),
            stretches: vec![places.collect()],
            marks: Vec::new(),
        }
    };
    let lines: Vec<Line> = curves.iter().map(&mut line).collect();
    let rows = curves.iter().flat_map(|(entry, points)| {
        let name = among.name(entry);
        points.iter().map(move |(rate, p99)| vec![name.clone(), figure(*rate), figure(*p99)])
    });
    Some(Chart {
        id: "load-latency".to_owned(),
        title: "99th percentile of latency by load".to_owned(),
        note: "Records a second that were to be sent, to the right; both axes are logarithmic."
            .to_owned(),
        lines,
        figures: Figures {
            head: ["", "records/s", "p99 ms"].map(str::to_owned).to_vec(),
            rows: rows.collect(),
        },
        units: ["records/s", "ms"],
        x,
        y,
    })
}

/// Rates and 99th percentiles of each target and experiment, by rate.
fn curves<'a>(entries: &[Entry<'a>]) -> Vec<(Entry<'a>, Vec<(f64, f64)>)> {
    let paced: Vec<Entry<'a>> =
        entries.iter().filter(|entry| entry.measured.mode != Mode::Closed).copied().collect();
    let mut curves: Vec<(Entry<'a>, Vec<(f64, f64)>)> = Vec::new();
    for entry in &paced {
        let measured = entry.measured;
        let own = measured
            .target_rate
            .filter(|_| measured.mode == Mode::Open && has_latency(entry))
            .map(|rate| (rate, ms(latency(entry).value_at_quantile(0.99))));
        let points = measured.tried.iter().map(|tried| (tried.rate, tried.p99_ms)).chain(own);
        let points = points.filter(|(rate, p99)| *rate > 0.0 && p99.is_finite() && *p99 > 0.0);
        let same = |other: &Entry<'_>| {
            let key = |entry: &Entry<'_>| (entry.colour, entry.measured.durability);
            other.measured.name == measured.name && key(other) == key(entry)
        };
        match curves.iter_mut().find(|(other, _)| same(other)) {
            Some((_, curve)) => curve.extend(points),
            None => curves.push((*entry, points.collect())),
        }
    }
    curves.retain(|(_, points)| points.len() >= 3);
    for (_, points) in &mut curves {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    curves
}

/// Lowest, mean and highest, as a row.
fn spread(name: String, rounds: &[Vec<f64>]) -> Vec<String> {
    let flat: Vec<f64> = rounds.iter().flatten().copied().collect();
    let mean = flat.iter().sum::<f64>() / flat.len().max(1) as f64;
    let low = flat.iter().copied().fold(f64::MAX, f64::min);
    let high = flat.iter().copied().fold(0.0, f64::max);
    vec![name, figure(low.min(high)), figure(mean), figure(high)]
}

fn latency<'a>(entry: &Entry<'a>) -> &'a Latency {
    &entry.measured.outcome.recording.latency
}

fn has_latency(entry: &Entry<'_>) -> bool {
    !latency(entry).is_empty()
}

fn seconds(series: &RoundSeries) -> f64 {
    series.interval_seconds * series.moments.len() as f64
}

fn rounds(entry: &Entry<'_>, what: OverTime) -> Vec<Vec<f64>> {
    let value = |series: &RoundSeries, moment: &Moment| match what {
        OverTime::Throughput => moment.records as f64 / series.interval_seconds,
        OverTime::Latency => ms(moment.p99_ns),
    };
    let round = |series: &RoundSeries| -> Vec<f64> {
        series.moments.iter().map(|moment| value(series, moment)).collect()
    };
    entry.measured.series.iter().map(round).collect()
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn rate_label(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", plain(v / 1e6)),
        v if v >= 1e3 => format!("{} k", plain(v / 1e3)),
        v => plain(v),
    }
}

/// The quantile that so many nines stand for: 2 is 99 %.
fn quantile(nines: f64) -> f64 {
    1.0 - 10f64.powf(-nines)
}

fn percentile_ticks(nines: f64) -> impl Iterator<Item = (String, f64)> {
    (0..=nines as i32).map(f64::from).map(|n| (plain(100.0 * quantile(n)), n))
}

/// The HdrHistogram scale: equal steps to the right for each nine.
fn curve(latency: &Latency, x: &Axis, y: &Axis, nines: f64) -> Vec<(f64, f64)> {
    let reached = (latency.len() as f64).log10().min(nines);
    let count = (reached * POINTS_PER_NINE as f64).ceil() as usize;
    let point = |n: usize| {
        let at = (n as f64 / POINTS_PER_NINE as f64).min(reached);
        (x.place(at), y.place(ms(latency.value_at_quantile(quantile(at)))))
    };
    (0..=count).map(point).collect()
}

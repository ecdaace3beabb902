//! The charts of a report: latency by percentile, throughput and latency over time.

use super::chart::{Axis, Chart, Figures, Line};
use crate::figures::{grouped, plain, short};
use crate::load::{Latency, Moment};
use crate::profile::Mode;
use crate::results::Measured;

/// Points of a percentile curve for each nine.
const POINTS_PER_NINE: usize = 24;
/// Nines of the percentile axis at most: 99.999 %.
const NINES_MAX: f64 = 5.0;
/// Percentiles of the table.
const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999];

/// What is drawn over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverTime {
    /// Records a second.
    Throughput,
    /// 99th percentile.
    Latency,
}

/// Latency by percentile, of all experiments under one load; `None` where nothing was measured.
pub fn percentiles(all: &[Measured], mode: Mode) -> Option<Chart> {
    let all: Vec<&Measured> = of_mode(all, mode);
    let latencies = || all.iter().map(|measured| &measured.outcome.recording.latency);
    let most = latencies().map(Latency::len).max()? as f64;
    let nines = most.log10().clamp(2.0, NINES_MAX).floor();
    let high = latencies()
        .map(|latency| ms(latency.value_at_quantile(quantile(nines))))
        .fold(0.0, f64::max);
    let low = latencies().map(|latency| ms(latency.min())).fold(f64::MAX, f64::min).max(0.001);
    let y = Axis::logarithmic(low, high, |value| format!("{} ms", plain(value)));
    let x = Axis::with_ticks(nines, percentile_ticks(nines));
    let lines = all.iter().map(|measured| Line {
        name: measured.name.clone(),
        points: curve(&measured.outcome.recording.latency, &x, &y, nines),
    });
    let head = PERCENTILES.iter().map(|percent| format!("{percent} %"));
    let rows = all.iter().map(|measured| {
        let latency = &measured.outcome.recording.latency;
        let at = |percent: &f64| short(ms(latency.value_at_quantile(percent / 100.0)));
        let mut row = vec![measured.name.clone()];
        row.extend(PERCENTILES.iter().map(at));
        row.push(short(ms(latency.max())));
        row
    });
    Some(Chart {
        id: format!("percentiles-{}", mode.name()),
        title: format!("Latency by percentile, {} loop", mode.name()),
        note: "Percentiles to the right, on the HdrHistogram scale; both axes are logarithmic."
            .to_owned(),
        lines: lines.collect(),
        figures: Figures {
            head: std::iter::once("ms".to_owned()).chain(head).chain(["max".to_owned()]).collect(),
            rows: rows.collect(),
        },
        x,
        y,
    })
}

/// What was reached in each interval of the measured window.
pub fn over_time(all: &[Measured], mode: Mode, what: OverTime) -> Option<Chart> {
    let all: Vec<&Measured> = of_mode(all, mode);
    let first = all.first()?;
    let seconds = all.iter().map(|measured| measured.outcome.recording.seconds).fold(0.0, f64::max);
    let x = Axis::linear(seconds, |value| format!("{} s", plain(value)));
    let values: Vec<Vec<f64>> = all.iter().map(|measured| series(measured, what)).collect();
    let high = values.iter().flatten().copied().fold(0.0, f64::max);
    let low = values.iter().flatten().copied().filter(|v| *v > 0.0).fold(high, f64::min);
    let y = match what {
        OverTime::Throughput => Axis::linear(high, rate_label),
        OverTime::Latency if high > 0.0 => {
            Axis::logarithmic(low, high, |value| format!("{} ms", plain(value)))
        }
        OverTime::Latency => Axis::linear(1.0, |value| format!("{} ms", plain(value))),
    };
    let step = first.outcome.recording.interval_seconds;
    let lines = all.iter().zip(&values).map(|(measured, values)| Line {
        name: measured.name.clone(),
        // A value stands for its interval: it is drawn in the middle.
        points: (values.iter().enumerate())
            .map(|(index, value)| (x.place((index as f64 + 0.5) * step), y.place(*value)))
            .collect(),
    });
    let (name, id, text): (_, _, fn(f64) -> String) = match what {
        OverTime::Throughput => ("Records a second", "rate", grouped),
        OverTime::Latency => ("99th percentile of latency", "p99", short),
    };
    let rows = all.iter().zip(&values).map(|(measured, values)| {
        let sum: f64 = values.iter().sum();
        let low = values.iter().copied().fold(f64::MAX, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        let mean = sum / values.len().max(1) as f64;
        vec![measured.name.clone(), text(low.min(high)), text(mean), text(high)]
    });
    Some(Chart {
        id: format!("{id}-{}", mode.name()),
        title: format!("{name} over time, {} loop", mode.name()),
        note: format!("In intervals of {} s, by when records were acknowledged.", plain(step)),
        lines: lines.collect(),
        figures: Figures {
            head: ["", "lowest", "mean", "highest"].map(str::to_owned).to_vec(),
            rows: rows.collect(),
        },
        x,
        y,
    })
}

/// Latency at each rate that was tried, of every experiment with three of them or more.
pub fn load_latency(all: &[Measured]) -> Option<Chart> {
    let mut curves: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for measured in all.iter().filter(|measured| measured.mode != Mode::Closed) {
        let own = measured
            .target_rate
            .filter(|_| measured.mode == Mode::Open)
            .map(|rate| (rate, ms(measured.outcome.recording.latency.value_at_quantile(0.99))));
        let points = measured.tried.iter().map(|tried| (tried.rate, tried.p99_ms)).chain(own);
        let points = points.filter(|(rate, p99)| *rate > 0.0 && p99.is_finite() && *p99 > 0.0);
        match curves.iter_mut().find(|(name, _)| *name == measured.name) {
            Some((_, curve)) => curve.extend(points),
            None => curves.push((measured.name.clone(), points.collect())),
        }
    }
    curves.retain(|(_, points)| points.len() >= 3);
    for (_, points) in &mut curves {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
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
    let lines = curves.iter().map(|(name, points)| Line {
        name: name.clone(),
        points: points.iter().map(|(rate, p99)| (x.place(*rate), y.place(*p99))).collect(),
    });
    let rows = curves.iter().flat_map(|(name, points)| {
        points.iter().map(|(rate, p99)| vec![name.clone(), grouped(*rate), short(*p99)])
    });
    Some(Chart {
        id: "load-latency".to_owned(),
        title: "99th percentile of latency by load".to_owned(),
        note: "Records a second that were to be sent, to the right; both axes are logarithmic."
            .to_owned(),
        lines: lines.collect(),
        figures: Figures {
            head: ["", "records/s", "p99 ms"].map(str::to_owned).to_vec(),
            rows: rows.collect(),
        },
        x,
        y,
    })
}

fn of_mode(all: &[Measured], mode: Mode) -> Vec<&Measured> {
    let measured = |m: &&Measured| m.mode == mode && !m.outcome.recording.latency.is_empty();
    all.iter().filter(measured).collect()
}

fn series(measured: &Measured, what: OverTime) -> Vec<f64> {
    let recording = &measured.outcome.recording;
    let value = |moment: &Moment| match what {
        OverTime::Throughput => moment.records as f64 / recording.interval_seconds,
        OverTime::Latency => ms(moment.p99_ns),
    };
    recording.series.iter().map(value).collect()
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

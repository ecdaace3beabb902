//! Results as text: a line when an experiment ends, a table beside the reference when all have.

use std::fmt::Write;

use crate::profile::Reference;
use crate::results::{ExperimentSummary, Measured, RunResult};

const HEADER: [&str; 13] = [
    "experiment",
    "load",
    "records/s",
    "MB/s",
    "mean",
    "p50",
    "p95",
    "p99",
    "p999",
    "max",
    "cpu-s/GiB",
    "RSS MiB",
    "lost",
];
/// Columns of words, which begin at the left.
const WORDS: usize = 2;

type Row = [String; HEADER.len()];

/// What the generator does by itself, and what both sides' processor time is made of.
const GENERATOR_HEADER: [&str; 9] = [
    "experiment",
    "load",
    "floor records/s",
    "p50",
    "p99",
    "broker user",
    "system",
    "generator user",
    "system",
];

/// One experiment in a line.
pub fn line(measured: &Measured) -> String {
    let summary = ExperimentSummary::of(measured);
    let mut line = format!(
        "{:<14} {:<6} {:>10.0} records/s  p50 {:>8.2} ms  p99 {:>8.2} ms",
        summary.name,
        summary.mode.name(),
        summary.records_per_second,
        summary.latency_ms.p50,
        summary.latency_ms.p99,
    );
    if summary.limited_by_generator == Some(true) {
        line.push_str("  limited by the generator");
    }
    if summary.errors > 0 {
        let _ = write!(line, "  {} LOST", summary.errors);
    }
    line
}

/// All of them, beside the reference where there is one.
pub fn render(result: &RunResult) -> String {
    let reference = result.profile.profile.reference.as_ref();
    let label = reference.map_or("reference", |reference| reference.label.as_str());
    let mut rows = vec![HEADER.map(str::to_owned)];
    for (index, measured) in result.measured.iter().enumerate() {
        rows.push(row(measured));
        // Once for each experiment, below its last load.
        let next = result.measured.get(index + 1);
        if next.is_none_or(|next| next.name != measured.name)
            && let Some(reference) = &measured.reference
        {
            rows.push(reference_row(label, reference));
        }
    }
    let (durability, target) = (&result.env.durability, &result.env.target);
    let mut text = format!(
        "durability {durability}, target {target}; latency in ms, MB of 2^20 bytes, GiB of values\n"
    );
    text.push_str(&align(&rows));
    for measured in &result.measured {
        for (reason, count) in &measured.outcome.recording.reasons {
            let (name, mode) = (&measured.name, measured.mode.name());
            let _ = writeln!(text, "{name} {mode}: {count} lost: {reason}");
        }
    }
    text
}

/// What part of the figures is the generator's: the same load against a broker that stores nothing,
/// and the processor time of both sides.
pub fn generator(result: &RunResult) -> String {
    let mut rows = vec![GENERATOR_HEADER.map(str::to_owned)];
    let number = |value: Option<f64>, digits: usize| match value {
        Some(value) if value.is_finite() => format!("{value:.digits$}"),
        _ => "-".to_owned(),
    };
    for measured in &result.measured {
        let summary = ExperimentSummary::of(measured);
        let floor = summary.generator_floor;
        let user = |all: Option<f64>, system: Option<f64>| all.zip(system).map(|(a, s)| a - s);
        let (broker, system) =
            (summary.broker_cpu_seconds_per_gib, summary.broker_system_seconds_per_gib);
        let (own, own_system) =
            (summary.generator_cpu_seconds_per_gib, summary.generator_system_seconds_per_gib);
        rows.push([
            summary.name.to_owned(),
            summary.mode.name().to_owned(),
            number(floor.map(|floor| floor.records_per_second), 0),
            number(floor.map(|floor| floor.p50_ms), 2),
            number(floor.map(|floor| floor.p99_ms), 2),
            number(user(broker, system), 2),
            number(system, 2),
            number(user(own, own_system), 2),
            number(own_system, 2),
        ]);
    }
    format!(
        "the floor: the same load where nothing is stored, latency in ms; processor seconds for \
         each GiB of values\n{}",
        align(&rows)
    )
}

fn align<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column < WORDS {
                true => write!(line, "{cell:<width$}  "),
                false => write!(line, "{cell:>width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(measured: &Measured) -> Row {
    let summary = ExperimentSummary::of(measured);
    let latency = summary.latency_ms;
    let ms = |value: f64| match value.is_finite() {
        true => format!("{value:.2}"),
        false => "-".to_owned(),
    };
    [
        summary.name.to_owned(),
        summary.mode.name().to_owned(),
        format!("{:.0}", summary.records_per_second),
        format!("{:.1}", summary.mb_per_second),
        ms(latency.mean),
        ms(latency.p50),
        ms(latency.p95),
        ms(latency.p99),
        ms(latency.p999),
        ms(latency.max),
        summary.broker_cpu_seconds_per_gib.map_or(String::new(), |cpu| format!("{cpu:.2}")),
        summary.broker_rss_bytes.map_or(String::new(), |bytes| (bytes >> 20).to_string()),
        summary.errors.to_string(),
    ]
}

fn reference_row(label: &str, reference: &Reference) -> Row {
    let latency = &reference.latency_ms;
    let ms = |value: f64| format!("{value:.2}");
    [
        format!("  {label}"),
        String::new(),
        format!("{:.0}", reference.records_per_second),
        format!("{:.1}", reference.mb_per_second),
        ms(latency.mean),
        ms(latency.p50),
        ms(latency.p95),
        ms(latency.p99),
        ms(latency.p999),
        ms(latency.max),
        String::new(),
        String::new(),
        String::new(),
    ]
}

//! Results as text: a line when an experiment ends, a table beside the reference when all have.

use std::fmt::Write;

use crate::figures::{align, figure, grouped, known};
use crate::profile::Reference;
use crate::results::{ExperimentSummary, Measured, RunResult};

const HEADER: [&str; 15] = [
    "experiment",
    "load",
    "durability",
    "records/s",
    "MB/s",
    "mean",
    "p50",
    "p95",
    "p99",
    "p999",
    "max",
    "cpu-s/GiB",
    "us/record",
    "RSS MiB",
    "lost",
];
/// Columns of words, which begin at the left.
const WORDS: usize = 3;

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
        "{:<14} {:<9} {:>10} records/s  p50 {:>6} ms  p99 {:>6} ms",
        summary.name,
        summary.load,
        grouped(summary.records_per_second),
        figure(summary.latency_ms.p50),
        figure(summary.latency_ms.p99),
    );
    let cold = measured.rounds.len() - measured.counted().count();
    if cold > 0 {
        let _ = write!(line, "  ({cold} rounds before it was warm)");
    }
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
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    for (index, measured) in result.measured.iter().enumerate() {
        rows.push(row(measured));
        if let Some(reference) = measured.reference_below(result.measured.get(index + 1)) {
            rows.push(reference_row(label, reference));
        }
    }
    let (durability, target) = (&result.env.durability, &result.env.target);
    let mut text = format!(
        "durability {durability}, target {target}; latency in ms, MB of 2^20 bytes, GiB of values\n"
    );
    text.push_str(&align(&rows, WORDS));
    for measured in &result.measured {
        for (reason, count) in &measured.outcome.recording.reasons {
            let title = measured.title();
            let _ = writeln!(text, "{title}: {count} lost: {reason}");
        }
    }
    text
}

/// What part of the figures is the generator's: the same load against a broker that stores nothing,
/// and the processor time of both sides.
fn generator(result: &RunResult) -> String {
    let mut rows = vec![GENERATOR_HEADER.map(str::to_owned)];
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
            summary.load.to_owned(),
            known(floor.map(|floor| floor.records_per_second)),
            known(floor.map(|floor| floor.p50_ms)),
            known(floor.map(|floor| floor.p99_ms)),
            known(user(broker, system)),
            known(system),
            known(user(own, own_system)),
            known(own_system),
        ]);
    }
    format!(
        "the floor: the same load where nothing is stored, latency in ms; processor seconds for \
         each GiB of values\n{}",
        align(&rows, 2)
    )
}

/// What was found, as a file that is read without a browser.
pub fn verdict(result: &RunResult) -> String {
    let env = &result.env;
    let mut text = format!(
        "# {}, {}\n\nTarget {}, durability {}. {} round(s) of {} s. {}.\n",
        result.profile.profile.title,
        env.started,
        env.target,
        env.durability,
        env.rounds,
        env.seconds,
        env.host.cpu_model.as_deref().unwrap_or("a processor that does not say its name"),
    );
    if let Some(why) = &result.partial {
        text.push_str(&format!("\nNot whole: {why}\n"));
    }
    text.push_str(&format!("\n```text\n{}```\n", render(result)));
    text.push_str(&format!("\n```text\n{}```\n", generator(result)));
    let limited = result.measured.iter().filter(|m| m.is_limited_by_generator() == Some(true));
    for measured in limited {
        let (name, mode) = (&measured.name, measured.mode.name());
        text.push_str(&format!("\n{name}, {mode}: limited by the generator.\n"));
    }
    text
}

fn row(measured: &Measured) -> Vec<String> {
    let summary = ExperimentSummary::of(measured);
    let words = [summary.name.to_owned(), summary.load.to_owned(), summary.durability.to_string()];
    words.into_iter().chain(summary.cells()).collect()
}

fn reference_row(label: &str, reference: &Reference) -> Vec<String> {
    let words = [format!("  {label}"), String::new(), String::new()];
    words.into_iter().chain(reference.cells()).collect()
}

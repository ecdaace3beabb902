//! The tables of a report: results beside the reference, throughput with bars, client metrics.

use std::fmt::Write;

use super::page::{CLOSE_TABLE, escape, open_table, scroll_table};
use crate::compare::{Comparison, HEAD};
use crate::figures::{grouped, short};
use crate::profile::{Mode, Reference};
use crate::results::{ExperimentSummary, Measured, RunResult};

const RESULT_HEAD: [&str; 13] = [
    "experiment",
    "load",
    "records/s",
    "MB/s",
    "mean ms",
    "p50",
    "p95",
    "p99",
    "p99.9",
    "max",
    "cpu-s/GiB",
    "RSS MiB",
    "lost",
];
/// What the seed notes report; a table of both is worth a look.
const CLIENT_METRICS: [&str; 5] = [
    "batch-size-avg",
    "bufferpool-wait-ratio",
    "outgoing-byte-rate",
    "record-queue-time-avg",
    "request-latency-avg",
];

/// The experiments of a run: each with its loads.
fn groups(result: &RunResult) -> impl Iterator<Item = &[Measured]> {
    result.measured.chunk_by(|one, next| one.name == next.name)
}

fn reference_label(result: &RunResult) -> &str {
    let reference = result.profile.profile.reference.as_ref();
    reference.map_or("reference", |reference| &reference.label)
}

/// All figures, beside the reference's.
pub fn results(result: &RunResult) -> String {
    let mut html = String::new();
    if let Some(reference) = &result.profile.profile.reference {
        let _ = writeln!(
            html,
            "<p>{}: figures of Apache Kafka on another machine, by <code>{}</code>. What can be \
             compared is how rows differ from each other.</p>",
            escape(&reference.label),
            escape(&reference.tool)
        );
    }
    html.push_str(
        "<p class=\"soft\">MB is 2^20 bytes, GiB 2^30 bytes of values; latency in milliseconds, in \
         an open loop from when a record was meant to be sent.</p>\n",
    );
    html.push_str(&open_table("Results"));
    html.push_str("<thead><tr>");
    for (index, head) in RESULT_HEAD.iter().enumerate() {
        let class = if index < 2 { " class=\"word\"" } else { "" };
        let _ = write!(html, "<th scope=\"col\"{class}>{head}</th>");
    }
    html.push_str("</tr></thead>\n");
    for group in groups(result) {
        html.push_str("<tbody class=\"group\">\n");
        for measured in group {
            html.push_str(&result_row(&ExperimentSummary::of(measured)));
        }
        if let Some(reference) = group.first().and_then(|measured| measured.reference.as_ref()) {
            html.push_str(&reference_row(&group[0].name, reference_label(result), reference));
        }
        html.push_str("</tbody>\n");
    }
    html.push_str(CLOSE_TABLE);
    html.push_str(&lost_reasons(result));
    html.push_str(&ceilings(result));
    html
}

/// What the generator can do by itself, and where it may have been the limit.
fn ceilings(result: &RunResult) -> String {
    let mut html = String::new();
    let limited = |measured: &&Measured| measured.is_limited_by_generator() == Some(true);
    for measured in result.measured.iter().filter(limited) {
        let (name, mode) = (escape(&measured.name), measured.mode.name());
        let _ = writeln!(html, "<p><strong>{name}, {mode}: limited by the generator.</strong></p>");
    }
    let row = |measured: &Measured| {
        let floor = measured.floor?;
        let share = measured.ceiling().map(|most| measured.records_per_second() / most * 100.0);
        Some(vec![
            format!("{} {}", measured.name, measured.mode.name()),
            grouped(floor.records_per_second),
            share.map_or("–".to_owned(), |share| format!("{share:.0} %")),
            short(floor.p50_ms),
            short(floor.p99_ms),
        ])
    };
    let rows: Vec<Vec<String>> = result.measured.iter().filter_map(row).collect();
    if !rows.is_empty() {
        let head = ["", "records/s", "the broker's share of it", "p50 ms", "p99 ms"];
        html.push_str(
            "<p>The floor: the same load against a broker that checks records and stores nothing. \
             What is below it is the generator's, not the broker's.</p>\n",
        );
        html.push_str(&scroll_table("The floor", &head.map(str::to_owned), &rows));
    }
    html
}

fn result_row(summary: &ExperimentSummary<'_>) -> String {
    let latency = summary.latency_ms;
    let numbers = [
        grouped(summary.records_per_second),
        short(summary.mb_per_second),
        short(latency.mean),
        short(latency.p50),
        short(latency.p95),
        short(latency.p99),
        short(latency.p999),
        short(latency.max),
        summary.broker_cpu_seconds_per_gib.map_or("–".to_owned(), |cpu| format!("{cpu:.2}")),
        summary.broker_rss_bytes.map_or("–".to_owned(), |bytes| (bytes >> 20).to_string()),
    ];
    let (name, mode) = (escape(summary.name), summary.mode.name());
    let mut row = format!("<tr><th scope=\"row\">{name}</th><td class=\"word\">{mode}</td>");
    for number in numbers {
        let _ = write!(row, "<td>{number}</td>");
    }
    let class = if summary.errors > 0 { " class=\"lost\"" } else { "" };
    let _ = writeln!(row, "<td{class}>{}</td></tr>", summary.errors);
    row
}

fn reference_row(name: &str, label: &str, reference: &Reference) -> String {
    let latency = &reference.latency_ms;
    let numbers = [
        grouped(reference.records_per_second),
        short(reference.mb_per_second),
        short(latency.mean),
        short(latency.p50),
        short(latency.p95),
        short(latency.p99),
        short(latency.p999),
        short(latency.max),
    ];
    let (name, label) = (escape(name), escape(label));
    let mut row = format!(
        "<tr class=\"reference\"><th scope=\"row\">{name}</th><td class=\"word\">{label}</td>"
    );
    for number in numbers {
        let _ = write!(row, "<td>{number}</td>");
    }
    row.push_str("<td></td><td></td><td></td></tr>\n");
    row
}

fn lost_reasons(result: &RunResult) -> String {
    let mut html = String::new();
    for measured in &result.measured {
        for (reason, count) in &measured.outcome.recording.reasons {
            let (name, mode) = (escape(&measured.name), measured.mode.name());
            let reason = escape(reason);
            let _ = writeln!(html, "<p>{name}, {mode} loop: {count} records lost: {reason}</p>");
        }
    }
    html
}

/// Records a second as bars.
pub fn throughput(result: &RunResult) -> String {
    let ours = result.measured.iter().map(Measured::records_per_second);
    let theirs = result.measured.iter().filter_map(|measured| measured.reference.as_ref());
    let highest =
        ours.chain(theirs.map(|reference| reference.records_per_second)).fold(1.0, f64::max);
    let mut html = open_table("Throughput");
    html.push_str(
        "<thead><tr><th scope=\"col\" class=\"word\">experiment</th><th scope=\"col\" \
         class=\"word\">load</th><th scope=\"col\">records/s</th><th scope=\"col\" class=\"word\">\
         <span class=\"soft\">0 to the highest</span></th></tr></thead>\n",
    );
    for group in groups(result) {
        html.push_str("<tbody class=\"group\">\n");
        for measured in group {
            let (mode, rate) = (measured.mode.name(), measured.records_per_second());
            html.push_str(&bar_row(&measured.name, mode, mode, &grouped(rate), rate / highest));
        }
        if let Some(reference) = group.first().and_then(|measured| measured.reference.as_ref()) {
            let (label, rate) = (reference_label(result), reference.records_per_second);
            let text = grouped(rate);
            html.push_str(&bar_row(&group[0].name, label, "reference", &text, rate / highest));
        }
        html.push_str("</tbody>\n");
    }
    html.push_str(CLOSE_TABLE);
    html
}

fn bar_row(name: &str, load: &str, class: &str, value: &str, share: f64) -> String {
    let (name, load) = (escape(name), escape(load));
    let row_class = if class == "reference" { " class=\"reference\"" } else { "" };
    format!(
        "<tr{row_class}><th scope=\"row\">{name}</th><td class=\"word\">{load}</td><td>{value}</td>\
         <td class=\"bar\"><svg role=\"img\" aria-label=\"{:.0} % of the highest\">\
         <rect class=\"{class}\" width=\"{:.2}%\" height=\"100%\"/></svg></td></tr>\n",
        share * 100.0,
        share * 100.0
    )
}

/// The client's own metrics, beside the reference's.
pub fn client_metrics(result: &RunResult) -> String {
    let mut rows = Vec::new();
    for group in groups(result) {
        for measured in group {
            let metrics = &measured.outcome.client_metrics;
            let name = format!("{} {}", measured.name, measured.mode.name());
            rows.push(metric_row(name, |key| metrics.get(key).copied()));
        }
        if let Some(reference) = group.first().and_then(|measured| measured.reference.as_ref()) {
            let name = format!("{} {}", group[0].name, reference_label(result));
            rows.push(metric_row(name, |key| reference.client_metrics.get(key).copied()));
        }
    }
    let head = std::iter::once("").chain(CLIENT_METRICS).map(str::to_owned);
    let mut html = String::from(
        "<p>By Kafka's names and definitions: sizes in bytes, times in milliseconds, rates a \
         second. Rates here are over the measured time; Kafka's client divides its byte rate by at \
         least 30 seconds.</p>\n",
    );
    html.push_str(&scroll_table("Client metrics", &head.collect::<Vec<_>>(), &rows));
    let lag =
        |measured: &Measured| measured.outcome.client_metrics.get("schedule-lag-p99").copied();
    let open = result.measured.iter().filter(|measured| measured.mode == Mode::Open);
    let worst = open
        .filter_map(lag)
        .fold(None, |worst: Option<f64>, lag| Some(worst.map_or(lag, |worst| worst.max(lag))));
    if let Some(worst) = worst {
        let _ = writeln!(
            html,
            "<p>In the open loops the generator itself was late by at most {} ms at its 99th \
             percentile; that is part of the latencies above.</p>",
            short(worst)
        );
    }
    html
}

fn metric_row(name: String, value: impl Fn(&str) -> Option<f64>) -> Vec<String> {
    let text = |key: &str| match value(key) {
        Some(value) if value >= 1000.0 => grouped(value),
        Some(value) => short(value),
        None => "–".to_owned(),
    };
    std::iter::once(name).chain(CLIENT_METRICS.map(text)).collect()
}

/// What comparing two targets has said.
pub fn comparison(comparison: &Comparison) -> String {
    let mut html = String::new();
    for (title, rows) in &comparison.tables {
        let head = HEAD.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
        let _ = writeln!(html, "<p>{}</p>", escape(title));
        html.push_str(&scroll_table(title, &head, &rows));
    }
    for why in &comparison.refused {
        let _ = writeln!(html, "<p>No verdict: {}</p>", escape(why));
    }
    html.push_str(
        "<p class=\"soft\">Medians of rounds; the ratio of their geometric means with its 95 % \
         interval by bootstrap. A side is faster where the whole interval is beyond 3 %.</p>\n",
    );
    html
}

/// Processor time for the same bytes, as bars, and what it is made of; `None` where no broker could
/// be watched.
pub fn cpu(all: &[Measured]) -> Option<String> {
    let of = |measured: &Measured| ExperimentSummary::of(measured).broker_cpu_seconds_per_gib;
    let highest = all.iter().filter_map(of).fold(0.0, f64::max);
    if highest <= 0.0 {
        return None;
    }
    let mut html = open_table("Processor time of the broker");
    html.push_str(
        "<thead><tr><th scope=\"col\" class=\"word\">experiment</th><th scope=\"col\" \
         class=\"word\">load</th><th scope=\"col\">cpu-s/GiB</th><th scope=\"col\" class=\"word\">\
         <span class=\"soft\">0 to the highest</span></th></tr></thead>\n<tbody>\n",
    );
    for measured in all {
        let (Some(cpu), mode) = (of(measured), measured.mode.name()) else { continue };
        html.push_str(&bar_row(&measured.name, mode, mode, &short(cpu), cpu / highest));
    }
    html.push_str("</tbody>");
    html.push_str(CLOSE_TABLE);
    html.push_str(&cpu_parts(all));
    Some(html)
}

/// User and system time of broker and generator.
fn cpu_parts(all: &[Measured]) -> String {
    let text = |value: Option<f64>| value.map_or("–".to_owned(), short);
    let row = |measured: &Measured| {
        let summary = ExperimentSummary::of(measured);
        let parts = |all: Option<f64>, system: Option<f64>| {
            [text(all.zip(system).map(|(all, system)| all - system)), text(system)]
        };
        let broker =
            parts(summary.broker_cpu_seconds_per_gib, summary.broker_system_seconds_per_gib);
        let generator =
            parts(summary.generator_cpu_seconds_per_gib, summary.generator_system_seconds_per_gib);
        let busy = summary.generator_busy.map(|busy| format!("{:.0} %", busy * 100.0));
        let name = format!("{} {}", summary.name, summary.mode.name());
        let busy = busy.unwrap_or_else(|| "–".to_owned());
        [name].into_iter().chain(broker).chain(generator).chain([busy]).collect()
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let head = ["", "broker user", "system", "generator user", "system", "generator busy"];
    let mut html = String::from(
        "<p>Processor seconds for each GiB of values. The generator's are those of this program \
         and of a tool that it ran; at 100 % one processor never rested.</p>\n",
    );
    html.push_str(&scroll_table("Processor time by part", &head.map(str::to_owned), &rows));
    html
}

/// The settings in a name that a sweep has given: `batch.size=16384 linger.ms=0`.
fn settings(name: &str) -> Option<[&str; 2]> {
    let (first, second) = name.split_once(' ')?;
    let is_setting = |text: &str| text.contains('=') && !text.contains(' ');
    (is_setting(first) && is_setting(second)).then_some([first, second])
}

/// Throughput of a sweep over two axes, as a map; `None` of anything else.
pub fn heat_map(all: &[Measured]) -> Option<String> {
    let closed: Vec<&Measured> = all.iter().filter(|m| m.mode == Mode::Closed).collect();
    let points: Option<Vec<([&str; 2], f64)>> =
        closed.iter().map(|m| Some((settings(&m.name)?, m.records_per_second()))).collect();
    let points = points.filter(|points| points.len() > 2)?;
    let mut axes: [Vec<&str>; 2] = [Vec::new(), Vec::new()];
    for (place, _) in &points {
        for (axis, value) in axes.iter_mut().zip(place) {
            if !axis.contains(value) {
                axis.push(value);
            }
        }
    }
    if axes[0].len() * axes[1].len() != points.len() || axes.iter().any(|axis| axis.len() < 2) {
        return None;
    }
    let highest = points.iter().map(|(_, rate)| *rate).fold(1.0, f64::max);
    let mut html = open_table("Throughput over two axes");
    html.push_str("<thead><tr><th scope=\"col\" class=\"word\">records/s</th>");
    for value in &axes[1] {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escape(value));
    }
    html.push_str("</tr></thead>\n<tbody>");
    for row in &axes[0] {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escape(row));
        for column in &axes[1] {
            let found = points.iter().find(|(place, _)| place == &[*row, *column]);
            let rate = found.map_or(0.0, |(_, rate)| *rate);
            let (share, rate) = (rate / highest, grouped(rate));
            let _ = write!(html, "<td class=\"heat\" style=\"--share:{share:.3}\">{rate}</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>");
    html.push_str(CLOSE_TABLE);
    Some(html)
}

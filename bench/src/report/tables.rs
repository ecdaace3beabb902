//! The tables of a report: results beside the reference, floors, what the machine did.

use std::fmt::Write;

use super::entry::{Differences, Entry};
use super::page::{CLOSE_TABLE, cards, escape, open_table};
use crate::compare::{Comparison, HEAD};
use crate::figures::{figure, known};
use crate::profile::{Axis, Mode, Reference};
use crate::results::{DeviceFloor, ExperimentSummary, Measured, RunResult};

/// What the seed notes report; a table of both is worth a look.
const CLIENT_METRICS: [&str; 5] = [
    "batch-size-avg",
    "bufferpool-wait-ratio",
    "outgoing-byte-rate",
    "record-queue-time-avg",
    "request-latency-avg",
];

/// Figures of a result that references do not have.
const NOT_IN_REFERENCES: usize = 4;

fn reference_label(results: &[RunResult]) -> &str {
    let reference = results.first().and_then(|result| result.profile.profile.reference.as_ref());
    reference.map_or("reference", |reference| &reference.label)
}

/// All figures, beside the reference's.
pub fn results(results: &[RunResult], entries: &[Entry<'_>]) -> String {
    let head = [
        "",
        "records/s",
        "MB/s",
        "mean ms",
        "p50",
        "p95",
        "p99",
        "p99.9",
        "max",
        "cpu-s/GiB",
        "µs/record",
        "RSS MiB",
        "lost",
    ];
    let among = Differences::among(entries);
    let mut rows = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let summary = ExperimentSummary::of(entry.measured);
        rows.push(std::iter::once(among.name(entry)).chain(summary.cells()).collect());
        if let Some(reference) = reference_below(entries, index) {
            let name = format!("{}, {}", summary.name, reference_label(results));
            let blank = std::iter::repeat_n(String::new(), NOT_IN_REFERENCES);
            rows.push(std::iter::once(name).chain(reference.cells()).chain(blank).collect());
        }
    }
    let mut html = reference_note(results);
    html.push_str(
        "<p class=\"soft\">MB is 2^20 bytes, GiB 2^30 bytes of values. In an open loop latency \
         counts from when a record was meant to be sent.</p>\n",
    );
    html.push_str(&cards("Results", &head.map(str::to_owned), &rows));
    html.push_str(&lost_reasons(entries));
    html
}

/// Where the reference figures are from: not from here.
fn reference_note(results: &[RunResult]) -> String {
    let profile = results.first().map(|result| &result.profile.profile);
    let Some(reference) = profile.and_then(|profile| profile.reference.as_ref()) else {
        return String::new();
    };
    format!(
        "<p>Rows named {}: figures of Apache Kafka on another machine, by <code>{}</code>. Compare \
         how they differ from each other, not with the rows beside them.</p>\n",
        escape(&reference.label),
        escape(&reference.tool)
    )
}

fn reference_below<'a>(entries: &[Entry<'a>], index: usize) -> Option<&'a Reference> {
    let next = entries.get(index + 1).map(|next| next.measured);
    entries[index].measured.reference_below(next)
}

fn lost_reasons(entries: &[Entry<'_>]) -> String {
    let mut html = String::new();
    for entry in entries {
        for (reason, count) in &entry.measured.outcome.recording.reasons {
            let (name, reason) = (escape(&entry.measured.title()), escape(reason));
            let target = escape(entry.target);
            let _ = writeln!(
                html,
                "<p class=\"lost\">{target}, {name}: {count} records lost: {reason}</p>"
            );
        }
    }
    html
}

/// What loads come to where nothing is stored, and what the device takes by itself.
pub fn floors(results: &[RunResult], entries: &[Entry<'_>]) -> Option<String> {
    let among = Differences::among(entries);
    let row = |entry: &Entry<'_>| {
        let floor = entry.measured.floor?;
        let reached = entry.measured.ceiling().map(|most| {
            format!("{} %", figure(entry.measured.records_per_second() / most * 100.0))
        });
        Some(vec![
            among.name(entry),
            figure(floor.records_per_second),
            reached.unwrap_or_else(|| known(None)),
            figure(floor.p50_ms),
            figure(floor.p99_ms),
            known(floor.seconds),
        ])
    };
    let rows: Vec<Vec<String>> = entries.iter().filter_map(row).collect();
    let device = results.iter().map(|result| &result.env.device_floors).find(|all| !all.is_empty());
    if rows.is_empty() && device.is_none() {
        return None;
    }
    let mut html = String::new();
    if !rows.is_empty() {
        let head = ["", "records/s", "the target reached", "p50 ms", "p99 ms", "seconds"];
        html.push_str(
            "<p>The generator by itself: the same load against a broker that checks records and \
             stores nothing. No target can be seen to be faster.</p>\n",
        );
        html.push_str(&cards("The generator by itself", &head.map(str::to_owned), &rows));
    }
    if let Some(device) = device {
        let row = |floor: &DeviceFloor| {
            vec![
                floor.what.clone(),
                floor.bytes.to_string(),
                figure(floor.writes_per_second),
                figure(floor.p50_ms),
                figure(floor.p99_ms),
                figure(floor.p999_ms),
                figure(floor.seconds),
            ]
        };
        let head = ["", "bytes", "writes/s", "p50 ms", "p99 ms", "p99.9 ms", "seconds"];
        let rows: Vec<Vec<String>> = device.iter().map(row).collect();
        html.push_str(
            "<p>The device by itself: one durable write after the other, without a broker. An \
             acknowledgement after a sync cannot take less.</p>\n",
        );
        html.push_str(&cards("The device by itself", &head.map(str::to_owned), &rows));
    }
    Some(html)
}

/// Who pays for a load: the broker, the generator, and the rest of the machine.
pub fn who_pays(entries: &[Entry<'_>]) -> Option<String> {
    let among = Differences::among(entries);
    let row = |entry: &Entry<'_>| {
        let summary = ExperimentSummary::of(entry.measured);
        let (broker, system) =
            (summary.broker_cpu_seconds_per_gib?, summary.broker_system_seconds_per_gib);
        let machine = entry.measured.outcome.machine;
        let seconds = entry.measured.outcome.recording.seconds;
        let share = |of: Option<f64>| known(of.map(|of| of / seconds * 100.0));
        Some(vec![
            among.name(entry),
            known(system.map(|system| broker - system)),
            known(system),
            known(summary.generator_cpu_seconds_per_gib),
            known(summary.generator_busy.map(|busy| busy * 100.0)),
            share(machine.map(|machine| machine.writeback_seconds)),
            share(machine.map(|machine| machine.softirq_seconds)),
            share(machine.map(|machine| machine.steal_seconds)),
            known(machine.and_then(|machine| machine.others_busy).map(|busy| busy * 100.0)),
            known(machine.and_then(|machine| machine.pause_ms_max)),
            known(summary.broker_written_per_byte),
        ])
    };
    let rows: Vec<Vec<String>> = entries.iter().filter_map(row).collect();
    let head = [
        "",
        "broker user",
        "broker kernel",
        "generator",
        "generator %",
        "writeback %",
        "softirq %",
        "steal %",
        "others %",
        "pause ms",
        "written/byte",
    ];
    (!rows.is_empty()).then(|| {
        let mut html = String::from(
            "<p>Processor seconds for each GiB of values, of broker and generator; then shares of \
             one processor: the kernel's threads that write back, interrupts, what the hypervisor \
             gave to others, and targets that waited for their turn. The longest that the machine \
             stood still. Bytes that went to the device for each byte of values.</p>\n",
        );
        html.push_str(&cards("Who pays", &head.map(str::to_owned), &rows));
        html
    })
}

/// The client's own metrics, beside the reference's.
pub fn client_metrics(results: &[RunResult], entries: &[Entry<'_>]) -> String {
    let among = Differences::among(entries);
    let mut rows = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let metrics = &entry.measured.outcome.client_metrics;
        rows.push(metric_row(among.name(entry), |key| metrics.get(key).copied()));
        if let Some(reference) = reference_below(entries, index) {
            let name = format!("{}, {}", entry.measured.name, reference_label(results));
            rows.push(metric_row(name, |key| reference.client_metrics.get(key).copied()));
        }
    }
    let head: Vec<String> = std::iter::once("").chain(CLIENT_METRICS).map(str::to_owned).collect();
    let mut html = String::from(
        "<p>By Kafka's names and definitions: sizes in bytes, times in milliseconds, rates a \
         second. Rates here are over the measured time; Kafka's client divides its byte rate by at \
         least 30 seconds.</p>\n",
    );
    html.push_str(&cards("Client metrics", &head, &rows));
    html
}

fn metric_row(name: String, value: impl Fn(&str) -> Option<f64>) -> Vec<String> {
    std::iter::once(name).chain(CLIENT_METRICS.map(|key| known(value(key)))).collect()
}

/// What comparing two targets has said, row by row.
pub fn comparison(comparison: &Comparison) -> String {
    let mut html = String::new();
    for (title, rows) in &comparison.tables {
        let head = HEAD.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
        let _ = writeln!(html, "<p>{}</p>", escape(title));
        html.push_str(&cards(title, &head, &rows));
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

/// Throughput of a sweep over two axes, as maps: one for each target and durability. Colours go
/// from the slowest to the fastest of a map, so that what differs is seen.
pub fn heat_maps(entries: &[Entry<'_>]) -> Option<String> {
    let closed: Vec<Entry<'_>> =
        entries.iter().filter(|entry| entry.measured.mode == Mode::Closed).copied().collect();
    let mut maps: Vec<(String, Vec<&Measured>)> = Vec::new();
    for entry in closed.iter().filter(|entry| entry.measured.axes.len() == 2) {
        let name = format!("{}, {}", entry.target, entry.measured.durability);
        match maps.iter_mut().find(|(known, _)| *known == name) {
            Some((_, map)) => map.push(entry.measured),
            None => maps.push((name, vec![entry.measured])),
        }
    }
    let several = maps.len() > 1;
    let drawn = maps.iter().filter_map(|(name, map)| heat_map(several.then_some(name), map));
    let html: String = drawn.collect();
    (!html.is_empty()).then_some(html)
}

fn heat_map(name: Option<&String>, all: &[&Measured]) -> Option<String> {
    let values = |axis: usize| {
        let mut values: Vec<&Axis> = Vec::new();
        for measured in all {
            if !values.contains(&&measured.axes[axis]) {
                values.push(&measured.axes[axis]);
            }
        }
        values
    };
    let (rows, columns) = (values(0), values(1));
    if rows.len() * columns.len() != all.len() || rows.len() < 2 || columns.len() < 2 {
        return None;
    }
    let rates = || all.iter().map(|measured| measured.records_per_second());
    let (low, high) = (rates().fold(f64::MAX, f64::min), rates().fold(0.0, f64::max));
    let title = name.map_or("Records a second".to_owned(), |name| format!("{name}, records/s"));
    let mut html = open_table("Throughput over two axes");
    let _ = write!(html, "<thead><tr><th scope=\"col\" class=\"word\">{}</th>", escape(&title));
    for column in &columns {
        let _ = write!(
            html,
            "<th scope=\"col\">{}={}</th>",
            escape(&column.key),
            escape(&column.value)
        );
    }
    html.push_str("</tr></thead>\n<tbody>");
    for row in &rows {
        let (key, value) = (escape(&row.key), escape(&row.value));
        let _ = write!(html, "<tr><th scope=\"row\">{key}={value}</th>");
        for column in &columns {
            let at = all
                .iter()
                .find(|measured| measured.axes[0] == **row && measured.axes[1] == **column);
            let rate = at.map_or(0.0, |measured| measured.records_per_second());
            let share = (rate - low) / (high - low).max(f64::MIN_POSITIVE);
            let _ = write!(
                html,
                "<td class=\"heat\" style=\"--share:{share:.3}\">{}</td>",
                figure(rate)
            );
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>");
    html.push_str(CLOSE_TABLE);
    Some(html)
}

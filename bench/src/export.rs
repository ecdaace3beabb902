//! `ringlog-bench export`: a result for other programs: CSV, or the JSON of the OpenMessaging
//! Benchmark, which published broker comparisons use. HdrHistogram logs lie in every result.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::figures::BYTES_PER_MB;
use crate::profile::Kind;
use crate::results::{ExperimentSummary, Measured, RunResult};

/// Percentiles by the names that the OpenMessaging Benchmark gives them.
const OPENMESSAGING: [(&str, f64); 7] = [
    ("50pct", 0.5),
    ("75pct", 0.75),
    ("95pct", 0.95),
    ("99pct", 0.99),
    ("999pct", 0.999),
    ("9999pct", 0.9999),
    ("Max", 1.0),
];

/// Every round of every experiment in a line.
pub fn csv(folder: &Path) -> Result<String> {
    let mut text = String::from(
        "target,durability,experiment,kind,driver,load,target_rate,round,records_per_second,\
         mb_per_second,mean_ms,p50_ms,p95_ms,p99_ms,p999_ms,max_ms,errors,cpu_seconds_per_gib,\
         warmup_seconds,steady\n",
    );
    for result in RunResult::read_all(folder)? {
        for measured in &result.measured {
            for (index, round) in measured.rounds.iter().enumerate() {
                let latency = round.latency_ms;
                let bytes = round.records_per_second * measured.value_bytes as f64;
                let cells = [
                    quoted(&result.env.target),
                    measured.durability.name().to_owned(),
                    quoted(&measured.name),
                    measured.kind.name().to_owned(),
                    measured.driver.name().to_owned(),
                    measured.mode.name().to_owned(),
                    measured.target_rate.map_or(String::new(), |rate| rate.to_string()),
                    (index + 1).to_string(),
                    round.records_per_second.to_string(),
                    (bytes / BYTES_PER_MB).to_string(),
                    number(latency.mean),
                    number(latency.p50),
                    number(latency.p95),
                    number(latency.p99),
                    number(latency.p999),
                    number(latency.max),
                    round.errors.to_string(),
                    round.broker_cpu_seconds_per_gib.map_or(String::new(), |cpu| cpu.to_string()),
                    round.warmup_seconds.to_string(),
                    round.steady.map_or(String::new(), |steady| steady.to_string()),
                ];
                let _ = writeln!(text, "{}", cells.join(","));
            }
        }
    }
    Ok(text)
}

/// What is not known is empty.
fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}

/// A cell that may hold anything (RFC 4180).
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// One document for each experiment under each load.
pub fn openmessaging(folder: &Path) -> Result<Vec<Value>> {
    let results = RunResult::read_all(folder)?;
    let all = results.iter().flat_map(|result| result.measured.iter().map(move |m| (result, m)));
    Ok(all.map(|(result, measured)| document(result, measured)).collect())
}

fn document(result: &RunResult, measured: &Measured) -> Value {
    let recording = &measured.outcome.recording;
    let known = result.profile.experiments.iter().find(|known| known.name == measured.name);
    let series = |of: &dyn Fn(&crate::load::Moment) -> f64| -> Vec<f64> {
        recording.series.iter().map(of).collect()
    };
    let rate = series(&|moment| moment.records as f64 / recording.interval_seconds);
    // Who consumes measures the way of a record from end to end, who produces its acknowledgement.
    let consumes = matches!(measured.kind, Kind::CatchUp | Kind::Tail);
    let (rate_key, latency_key, initial) = match consumes {
        false => ("publishRate", "ublishLatency", ('p', 'P')),
        true => ("consumeRate", "ndToEndLatency", ('e', 'E')),
    };
    let mut map = Map::new();
    let mut add = |key: &str, value: Value| map.insert(key.to_owned(), value);
    add("workload", json!(format!("{} {}", measured.name, measured.mode.name())));
    add("driver", json!(format!("{} ({})", result.env.target, measured.driver.name())));
    add("messageSize", json!(measured.value_bytes));
    add("topics", json!(1));
    add("partitions", json!(known.map(|known| known.topic.partitions)));
    add("producersPerTopic", json!(known.and_then(|known| known.producers).unwrap_or(1)));
    add(
        "consumersPerTopic",
        json!(known.filter(|_| consumes).map_or(0, |known| known.consumer.consumers)),
    );
    add(rate_key, json!(rate));
    let seconds = recording.seconds.max(f64::MIN_POSITIVE);
    add("publishErrorRate", json!([recording.lost as f64 / seconds]));
    let ms = |ns: u64| ns as f64 / 1e6;
    let (lower, upper) = initial;
    add(&format!("{lower}{latency_key}50pct"), json!(series(&|moment| ms(moment.p50_ns))));
    add(&format!("{lower}{latency_key}99pct"), json!(series(&|moment| ms(moment.p99_ns))));
    let summary = ExperimentSummary::of(measured);
    add(&format!("aggregated{upper}{latency_key}Avg"), json!(summary.latency_ms.mean));
    let mut quantiles = Map::new();
    for (name, quantile) in OPENMESSAGING {
        let value = match recording.latency.is_empty() {
            false => json!(ms(recording.latency.value_at_quantile(quantile))),
            true => Value::Null,
        };
        let _ = quantiles.insert((quantile * 100.0).to_string(), value.clone());
        add(&format!("aggregated{upper}{latency_key}{name}"), value);
    }
    add(&format!("aggregated{upper}{latency_key}Quantiles"), Value::Object(quantiles));
    // Not a key of theirs: without it, figures of different promises are held side by side.
    add("durability", json!(measured.durability));
    Value::Object(map)
}

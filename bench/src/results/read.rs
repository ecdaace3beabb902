//! Results read back from their folders, for reports and exports.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{
    ENV, Env, Floor, Measured, PROFILE, RoundFigures, RunResult, SERIES, SUMMARY, Tried,
    latency_log_name, read_latency_log, read_series,
};
use crate::client::Durability;
use crate::figures::{
    BYTES_PER_GIB, BYTES_PER_MB, BrokerUse, GeneratorUse, LatencySummary, MachineUse, Outcome,
    Warmup,
};
use crate::load::{Recording, new_histogram};
use crate::profile::{Axis, Driver, Kind, LoadedProfile, Mode};

#[derive(Deserialize)]
struct Saved {
    experiments: Vec<SavedExperiment>,
    #[serde(default)]
    partial: Option<String>,
}

#[derive(Deserialize)]
struct SavedExperiment {
    name: String,
    #[serde(default)]
    axes: Vec<Axis>,
    mode: Mode,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    driver: Driver,
    durability: Option<Durability>,
    target_rate: Option<f64>,
    #[serde(default)]
    tried: Vec<Tried>,
    records_per_second: f64,
    mb_per_second: f64,
    latency_ms: LatencySummary,
    errors: u64,
    #[serde(default)]
    error_reasons: BTreeMap<String, u64>,
    broker_cpu_seconds_per_gib: Option<f64>,
    broker_system_seconds_per_gib: Option<f64>,
    generator_cpu_seconds_per_gib: Option<f64>,
    generator_system_seconds_per_gib: Option<f64>,
    generator_busy: Option<f64>,
    broker_rss_bytes: Option<u64>,
    broker_written_per_byte: Option<f64>,
    broker_switches_per_1000_records: Option<f64>,
    #[serde(default)]
    client_metrics: BTreeMap<String, f64>,
    generator_ceiling_records_per_second: Option<f64>,
    generator_floor: Option<Floor>,
    limited_by_generator: Option<bool>,
    #[serde(default)]
    machine: Option<MachineUse>,
    #[serde(default)]
    rounds: Vec<RoundFigures>,
}

impl RunResult {
    /// Reads the result in a folder.
    pub fn read(folder: &Path) -> Result<RunResult> {
        let mut profile = LoadedProfile::read(&folder.join(PROFILE))?;
        let env: Env = parse(&folder.join(ENV))?;
        profile.name.clone_from(&env.profile);
        let saved: Saved = parse(&folder.join(SUMMARY))?;
        let experiments = saved.experiments.into_iter();
        let mut measured: Vec<Measured> =
            experiments.map(|experiment| experiment.measured(&env, &profile)).collect();
        let mut series = read_series(&fs::read(folder.join(SERIES)).unwrap_or_default());
        for (index, one) in measured.iter_mut().enumerate() {
            read_log(folder, index + 1, one)?;
            one.series = series.get_mut(index).map(std::mem::take).unwrap_or_default();
        }
        Ok(RunResult { env, profile, measured, partial: saved.partial })
    }

    /// Reads the results in a folder: its own, or those of its targets.
    pub fn read_all(folder: &Path) -> Result<Vec<RunResult>> {
        let shown = folder.display();
        ensure!(folder.is_dir(), "{shown} is no folder");
        if folder.join(SUMMARY).exists() {
            return Ok(vec![Self::read(folder)?]);
        }
        let entries = fs::read_dir(folder).with_context(|| format!("{shown}"))?;
        let mut inner: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        inner.retain(|path| path.join(SUMMARY).exists());
        inner.sort();
        ensure!(!inner.is_empty(), "{shown} holds no result: there is no {SUMMARY}");
        inner.iter().map(|path| Self::read(path)).collect()
    }
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let context = || format!("{}", path.display());
    let text = fs::read_to_string(path).with_context(context)?;
    serde_json::from_str(&text).with_context(context)
}

impl SavedExperiment {
    fn measured(self, env: &Env, profile: &LoadedProfile) -> Measured {
        let known = profile.experiments.iter().find(|known| known.name == self.name);
        let value_bytes = match (self.records_per_second > 0.0, known) {
            (true, _) => (self.mb_per_second * BYTES_PER_MB / self.records_per_second).round(),
            (false, Some(known)) => known.values.value_bytes as f64,
            (false, None) => 0.0,
        };
        let counted = self.rounds.iter().filter(|round| round.counted).count().max(1);
        let seconds = env.seconds * counted as f64;
        let records = (self.records_per_second * seconds).round();
        let mut recording = Recording::of_tool(seconds, records as u64, self.errors);
        recording.reasons = self.error_reasons.clone();
        let gib = records * value_bytes / BYTES_PER_GIB;
        let broker = self.broker_cpu_seconds_per_gib.map(|cpu| BrokerUse {
            cpu_seconds: cpu * gib,
            system_seconds: self.broker_system_seconds_per_gib.map(|system| system * gib),
            peak_rss_bytes: self.broker_rss_bytes.unwrap_or(0),
            written_bytes: self
                .broker_written_per_byte
                .map(|share| (share * gib * BYTES_PER_GIB).round() as u64),
            context_switches: self
                .broker_switches_per_1000_records
                .map_or(0, |switches| (switches * records / 1e3).round() as u64),
        });
        let generator = self.generator_cpu_seconds_per_gib.map(|cpu| GeneratorUse {
            cpu_seconds: cpu * gib,
            system_seconds: self.generator_system_seconds_per_gib.unwrap_or(0.0) * gib,
            busy: self.generator_busy.unwrap_or(0.0),
        });
        let before_floors = self.generator_ceiling_records_per_second.map(|records_per_second| {
            Floor { records_per_second, p50_ms: f64::NAN, p99_ms: f64::NAN, seconds: None }
        });
        let durability = self.durability.unwrap_or(env.durability);
        let steady = self.rounds.iter().map(|round| round.steady).collect::<Option<Vec<bool>>>();
        Measured {
            through_link: false,
            outcome: Outcome {
                window_start_unix_ms: 0,
                durability,
                recording,
                printed: Some(self.latency_ms),
                client_metrics: self.client_metrics,
                broker,
                generator,
                machine: self.machine,
                lateness: new_histogram(),
                warmup: Warmup {
                    seconds: self.rounds.iter().map(|r| r.warmup_seconds).fold(0.0, f64::max),
                    steady: steady.filter(|all| !all.is_empty()).map(|all| all.iter().all(|s| *s)),
                },
            },
            name: self.name,
            axes: self.axes,
            mode: self.mode,
            kind: self.kind,
            driver: self.driver,
            durability,
            floor: self.generator_floor.or(before_floors),
            was_limited: self.limited_by_generator,
            target_rate: self.target_rate,
            tried: self.tried,
            value_bytes: value_bytes as usize,
            rounds: self.rounds,
            series: Vec::new(),
            reference: known.and_then(|known| known.reference.clone()),
        }
    }
}

/// Takes in the latencies, where there is a log of them: of a tool that prints there is none.
fn read_log(folder: &Path, number: usize, measured: &mut Measured) -> Result<()> {
    let path = folder.join(latency_log_name(number, measured));
    let Ok(bytes) = fs::read(&path) else { return Ok(()) };
    let latency = read_latency_log(&bytes).with_context(|| format!("{}", path.display()))?;
    measured.outcome.recording.latency = latency;
    measured.outcome.printed = None;
    Ok(())
}

//! series.json.gz: how each round went, interval by interval.

use std::io::Read;

use anyhow::Result;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::{Measured, RoundSeries};
use crate::load::Moment;

/// Of a file that is read, unpacked.
const JSON_BYTES_MAX: u64 = 256 << 20;

/// The file.
pub const SERIES: &str = "series.json.gz";

/// Of one experiment under one load: its rounds.
#[derive(Deserialize, Serialize)]
struct SavedSeries {
    interval_seconds: f64,
    rounds: Vec<SavedRound>,
}

/// A column for each figure: they are read by programs, and repeat no names.
#[derive(Deserialize, Serialize)]
struct SavedRound {
    records: Vec<u64>,
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
}

/// As packed JSON, in the order of summary.json's experiments. Latencies have three digits that
/// count: they are drawn.
pub fn write_series(all: &[Measured]) -> Result<Vec<u8>> {
    let us = |ns: u64| {
        let step = 10u64.pow(ns.checked_ilog10().unwrap_or(0).saturating_sub(2));
        (ns / step * step) as f64 / 1e3
    };
    let round = |series: &RoundSeries| SavedRound {
        records: series.moments.iter().map(|moment| moment.records).collect(),
        p50_us: series.moments.iter().map(|moment| us(moment.p50_ns)).collect(),
        p99_us: series.moments.iter().map(|moment| us(moment.p99_ns)).collect(),
    };
    let saved = all.iter().map(|measured| SavedSeries {
        interval_seconds: measured.series.first().map_or(0.0, |series| series.interval_seconds),
        rounds: measured.series.iter().map(round).collect(),
    });
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    serde_json::to_writer(&mut packed, &saved.collect::<Vec<_>>())?;
    Ok(packed.finish()?)
}

/// The same read back; a file that is not of this kind has none.
pub fn read_series(bytes: &[u8]) -> Vec<Vec<RoundSeries>> {
    let json = GzDecoder::new(bytes).take(JSON_BYTES_MAX);
    let saved: Vec<SavedSeries> = serde_json::from_reader(json).unwrap_or_default();
    let ns = |us: &f64| (us * 1e3) as u64;
    let moments = |round: &SavedRound| {
        let percentiles = round.p50_us.iter().zip(&round.p99_us);
        let moment = |(records, (p50, p99)): (&u64, (&f64, &f64))| Moment {
            records: *records,
            p50_ns: ns(p50),
            p99_ns: ns(p99),
        };
        round.records.iter().zip(percentiles).map(moment).collect()
    };
    let series = |saved: &SavedSeries| -> Vec<RoundSeries> {
        let round = |round: &SavedRound| RoundSeries {
            interval_seconds: saved.interval_seconds,
            moments: moments(round),
        };
        saved.rounds.iter().map(round).collect()
    };
    saved.iter().map(series).collect()
}

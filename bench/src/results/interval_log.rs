//! HdrHistogram logs: the latencies of an experiment, in the format that every HdrHistogram tool
//! reads. What each round came to is in the summary.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry,
};

use super::Measured;
use crate::figures::Outcome;
use crate::load::{Latency, new_histogram};

/// Values are nanoseconds; the column that people read is in milliseconds.
const NS_PER_MS: f64 = 1e6;

/// Digits of a latency that count. A third one would make a log five times as large.
const DIGITS: u8 = 2;

/// The latencies of an experiment under one load, of all rounds that count together.
pub fn latency_log(title: &str, rounds: &[&Outcome]) -> Result<Vec<u8>> {
    let first = rounds.first().map_or(0, |outcome| outcome.window_start_unix_ms.max(0) as u64);
    let base = Duration::from_millis(first);
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(title)
        .add_comment("Latencies in nanoseconds of all rounds that count.")
        .with_start_time(UNIX_EPOCH + base)
        .with_base_time(UNIX_EPOCH + base)
        .with_max_value_divisor(NS_PER_MS)
        .begin_log_with(&mut bytes, &mut serializer)?;
    let none = new_histogram();
    let mut all = Latency::new_with_bounds(none.low(), none.high(), DIGITS)?;
    for outcome in rounds {
        all.add(&outcome.recording.latency)?;
    }
    let seconds = rounds.iter().map(|outcome| outcome.recording.seconds).sum();
    log.write_histogram(&all, Duration::ZERO, Duration::from_secs_f64(seconds), None)?;
    Ok(bytes)
}

/// Its name in the result folder. The number, counted from 1, keeps apart what is spelt alike.
pub fn latency_log_name(number: usize, measured: &Measured) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = measured.name.chars().map(plain).collect();
    format!("{number:02}-{name}-{}-{}.hlog", measured.durability, measured.mode.name())
}

/// The latencies of a log together.
pub fn read_latency_log(bytes: &[u8]) -> Result<Latency> {
    let mut deserializer = Deserializer::new();
    let mut all = new_histogram();
    for entry in IntervalLogIterator::new(bytes) {
        let entry = entry.map_err(|error| anyhow!("{error:?}"))?;
        let LogEntry::Interval(interval) = entry else { continue };
        let packed = decode_base64(interval.encoded_histogram())?;
        let histogram: Latency = deserializer
            .deserialize(&mut packed.as_slice())
            .map_err(|error| anyhow!("{error:?}"))?;
        all.add(&histogram).context("latencies beyond two minutes")?;
    }
    Ok(all)
}

fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for c in text.bytes().filter(|c| *c != b'=') {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("{:?} is not base64", char::from(c)),
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Ok(bytes)
}

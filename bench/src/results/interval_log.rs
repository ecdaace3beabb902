//! HdrHistogram interval logs: what latencies were in each stretch of an experiment, in the
//! format that every HdrHistogram tool reads.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry,
};

use crate::experiment::Outcome;
use crate::load::{Latency, Moment, new_histogram};
use crate::profile::Mode;

/// Values are nanoseconds; the column that people read is in milliseconds.
const NS_PER_MS: f64 = 1e6;

/// The interval log of one round of an experiment under one load.
pub fn interval_log(name: &str, mode: Mode, outcome: &Outcome) -> Result<Vec<u8>> {
    let recording = &outcome.recording;
    let started = Duration::from_millis(outcome.window_start_unix_ms.max(0) as u64);
    let length = Duration::from_secs_f64(recording.interval_seconds);
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(&format!("{name} {}", mode.name()))
        .add_comment("Latencies in nanoseconds; the last interval is what came after the window.")
        .with_start_time(UNIX_EPOCH + started)
        .with_base_time(UNIX_EPOCH + started)
        .with_max_value_divisor(NS_PER_MS)
        .begin_log_with(&mut bytes, &mut serializer)?;
    for (index, interval) in recording.intervals.iter().enumerate() {
        log.write_histogram(&interval.latency, length * index as u32, length, None)?;
    }
    Ok(bytes)
}

/// Its name in the result folder: the number, that of the load in its round, keeps apart what would
/// be spelt alike. The first round has no number of its own.
pub fn interval_log_name(index: usize, name: &str, mode: Mode, round: usize) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let round = if round == 0 { String::new() } else { format!("-round-{}", round + 1) };
    format!("{:02}-{name}-{}{round}.hlog", index + 1, mode.name())
}

/// What an interval log holds: all latencies, and its intervals in numbers. Throughput is not in
/// it: an interval's count is of the latencies that belong to the window.
pub fn read_interval_log(bytes: &[u8]) -> Result<(Latency, Vec<Moment>, f64)> {
    let mut deserializer = Deserializer::new();
    let (mut all, mut moments, mut seconds) = (new_histogram(), Vec::new(), 0.0);
    for entry in IntervalLogIterator::new(bytes) {
        let entry = entry.map_err(|error| anyhow!("{error:?}"))?;
        let LogEntry::Interval(interval) = entry else { continue };
        let packed = decode_base64(interval.encoded_histogram())?;
        let histogram: Latency = deserializer
            .deserialize(&mut packed.as_slice())
            .map_err(|error| anyhow!("{error:?}"))?;
        all.add(&histogram).context("latencies beyond two minutes")?;
        seconds = interval.duration().as_secs_f64();
        moments.push(Moment {
            records: histogram.len(),
            p50_ns: histogram.value_at_quantile(0.5),
            p99_ns: histogram.value_at_quantile(0.99),
        });
    }
    Ok((all, moments, seconds))
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

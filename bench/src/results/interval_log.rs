//! HdrHistogram interval logs: what latencies were in each stretch of an experiment, in the
//! format that every HdrHistogram tool reads.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::Result;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;

use crate::experiment::Outcome;
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

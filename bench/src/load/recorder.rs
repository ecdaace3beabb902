//! [`Recorder`]: counts records as they are acknowledged, and how late each was.
//!
//! Time is cut into intervals from the start of the load. Each counts every record acknowledged in
//! it, and holds the latencies of those of them that were meant to be sent inside the measured
//! window. So throughput is what the broker acknowledged within the window, and latency is that of
//! all records sent in it, however late their acknowledgement came: a stall at the end of the
//! window is not lost, and one before its beginning is not counted twice.
//!
//! The histograms are made before the load starts: nothing is allocated while it runs.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use ringlog_engine::io::Mono;

use crate::producer::{Batch, Mark, Observer};

/// Latencies from half a microsecond to two minutes (delivery.timeout.ms), to three digits.
const LATENCY_NS_MIN: u64 = 1_000;
const LATENCY_NS_MAX: u64 = 120_000_000_000;
const LATENCY_DIGITS: u8 = 3;
/// Different reasons for lost records that are kept.
const REASONS_MAX: usize = 16;

/// A histogram of latencies in nanoseconds.
pub type Latency = Histogram<u64>;

/// An empty histogram of latencies.
pub fn new_histogram() -> Latency {
    Latency::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, LATENCY_DIGITS)
        .expect("the bounds are valid")
}

/// One stretch of time.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Records acknowledged in it.
    pub records: u64,
    /// Latencies, in nanoseconds, of those that were sent in the measured window.
    pub latency: Latency,
}

/// An interval in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Records acknowledged in it.
    pub records: u64,
    /// Percentiles of their latency.
    pub p50_ns: u64,
    /// The higher one.
    pub p99_ns: u64,
}

impl Moment {
    fn of(interval: &Interval) -> Moment {
        let at = |quantile| interval.latency.value_at_quantile(quantile);
        Moment { records: interval.records, p50_ns: at(0.5), p99_ns: at(0.99) }
    }
}

impl Recording {
    /// What another tool says: no more than how many records in what time.
    pub fn of_tool(seconds: f64, records: u64, lost: u64) -> Recording {
        Recording {
            seconds,
            records,
            latency: new_histogram(),
            interval_seconds: seconds,
            intervals: Vec::new(),
            series: Vec::new(),
            lost,
            reasons: BTreeMap::new(),
        }
    }

    /// What intervals hold. The window: its seconds, those of an interval, and how many of the
    /// intervals are in it; what comes after it belongs to the last ones.
    pub fn of_intervals(
        (seconds, interval_seconds, window_intervals): (f64, f64, usize),
        intervals: Vec<Interval>,
        lost: u64,
        reasons: BTreeMap<String, u64>,
    ) -> Recording {
        let mut latency = new_histogram();
        for interval in &intervals {
            latency.add(&interval.latency).expect("the same bounds");
        }
        let series: Vec<Moment> = intervals.iter().take(window_intervals).map(Moment::of).collect();
        let records = series.iter().map(|moment| moment.records).sum();
        Recording { seconds, records, latency, interval_seconds, intervals, series, lost, reasons }
    }

    /// Adds what another host has counted of the same load at the same time.
    pub fn add_beside(&mut self, other: &Recording) {
        let longest = self.intervals.len().max(other.intervals.len());
        let none = || Interval { records: 0, latency: new_histogram() };
        self.intervals.resize_with(longest, none);
        for (mine, theirs) in self.intervals.iter_mut().zip(&other.intervals) {
            mine.records += theirs.records;
            mine.latency.add(&theirs.latency).expect("the same bounds");
        }
        for (reason, count) in &other.reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
        let window = self.series.len().max(other.series.len());
        *self = Recording::of_intervals(
            (self.seconds.max(other.seconds), self.interval_seconds, window),
            std::mem::take(&mut self.intervals),
            self.lost + other.lost,
            std::mem::take(&mut self.reasons),
        );
    }

    /// Records acknowledged within the window, for each of its seconds.
    pub fn records_per_second(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    /// Forgets the intervals' histograms, which are large, once they are in an interval log.
    pub fn forget_intervals(&mut self) {
        self.intervals = Vec::new();
    }

    /// Adds another round of the same load: its window follows this one's.
    pub fn add(&mut self, other: &Recording) {
        self.seconds += other.seconds;
        self.records += other.records;
        self.latency.add(&other.latency).expect("the same bounds");
        self.forget_intervals();
        self.series.extend(other.series.iter().copied());
        self.lost += other.lost;
        for (reason, count) in &other.reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
    }
}

/// Counts what the producer reports.
#[derive(Debug)]
pub struct Recorder {
    start: Mono,
    window: (u64, u64),
    interval_ns: u64,
    intervals: Vec<Interval>,
    lost: u64,
    reasons: BTreeMap<String, u64>,
}

/// What was counted in the measured window.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The window's length.
    pub seconds: f64,
    /// Records acknowledged within the window.
    pub records: u64,
    /// Latencies, in nanoseconds, of all records sent within it.
    pub latency: Latency,
    /// Length of an interval.
    pub interval_seconds: f64,
    /// The window's intervals, and those after it in which its last records were acknowledged.
    pub intervals: Vec<Interval>,
    /// Of each of the window's intervals what is drawn over time.
    pub series: Vec<Moment>,
    /// Records that were given up, warm-up included.
    pub lost: u64,
    /// Why, and how many for each reason.
    pub reasons: BTreeMap<String, u64>,
}

impl Recorder {
    /// Records a load that starts at `start`, warms up for so long and is measured for so long.
    pub fn new(start: Mono, warmup_ns: u64, measured_ns: u64, interval_ns: u64) -> Recorder {
        let window = (start.0 + warmup_ns, start.0 + warmup_ns + measured_ns);
        // One for what comes after the window.
        let count = (warmup_ns + measured_ns).div_ceil(interval_ns) as usize + 1;
        let interval = Interval { records: 0, latency: new_histogram() };
        let intervals = vec![interval; count];
        let (lost, reasons) = (0, BTreeMap::new());
        Self { start, window, interval_ns, intervals, lost, reasons }
    }

    /// Moves to a load that starts at another time: making a recorder takes a while.
    pub fn start_at(&mut self, start: Mono) {
        let moved = |at: u64| at - self.start.0 + start.0;
        self.window = (moved(self.window.0), moved(self.window.1));
        self.start = start;
    }

    /// What was recorded, leaving an empty recorder behind.
    #[must_use]
    pub fn take(&mut self) -> Recorder {
        let empty = Recorder { intervals: Vec::new(), reasons: BTreeMap::new(), ..*self };
        std::mem::replace(self, empty)
    }

    /// So many records arrived that were meant to be sent, or asked for, at one moment. Their
    /// latency counts once for each of `marks`.
    pub fn arrived(&mut self, now: Mono, at_ns: u64, records: u64, marks: u32) {
        let index = self.interval_at(now);
        let interval = &mut self.intervals[index];
        interval.records += records;
        let (start, end) = if now.0 < self.window.0 { (0, u64::MAX) } else { self.window };
        let mark = Mark { at_ns, step_ns: 0, count: marks };
        record(&mut interval.latency, &mark, now.0, start, end);
    }

    /// Records were given up.
    pub fn lose(&mut self, records: u64, why: &str) {
        self.lost += records;
        if self.reasons.len() < REASONS_MAX || self.reasons.contains_key(why) {
            *self.reasons.entry(why.to_owned()).or_default() += records;
        }
    }

    /// Puts the measured window off by one interval: the load still warms up. Only before the
    /// window has begun, or at its very beginning.
    pub fn postpone(&mut self) {
        self.window = (self.window.0 + self.interval_ns, self.window.1 + self.interval_ns);
        self.intervals.push(Interval { records: 0, latency: new_histogram() });
    }

    /// Of every interval that has ended: records, and the median of their latency in nanoseconds.
    pub fn ended(&self, now: Mono) -> Vec<(u64, u64)> {
        let ended = &self.intervals[..self.interval_at(now)];
        ended.iter().map(|i| (i.records, i.latency.value_at_quantile(0.5))).collect()
    }

    /// The measured window on the monotonic clock.
    pub fn window(&self) -> (Mono, Mono) {
        (Mono(self.window.0), Mono(self.window.1))
    }

    /// Which interval a moment belongs to. All that comes after the last is counted there.
    fn interval_at(&self, now: Mono) -> usize {
        let elapsed = now.0.saturating_sub(self.start.0);
        ((elapsed / self.interval_ns) as usize).min(self.intervals.len() - 1)
    }

    /// Records a second, and the 99th percentile of their latency in nanoseconds, of the interval
    /// that ended last before `now`.
    pub fn live(&self, now: Mono) -> (f64, u64) {
        let Some(index) = self.interval_at(now).checked_sub(1) else { return (0.0, 0) };
        let interval = &self.intervals[index];
        let seconds = self.interval_ns as f64 / 1e9;
        (interval.records as f64 / seconds, interval.latency.value_at_quantile(0.99))
    }

    /// What was counted. Before the window's end: as far as it came.
    pub fn finish(self, now: Mono) -> Recording {
        let warmup = self.window.0 - self.start.0;
        let first = (warmup / self.interval_ns) as usize;
        let end = self.window.1.min(now.0.max(self.window.0));
        let window_intervals = ((end - self.window.0) / self.interval_ns) as usize;
        let intervals: Vec<Interval> = self.intervals.into_iter().skip(first).collect();
        let window =
            ((end - self.window.0) as f64 / 1e9, self.interval_ns as f64 / 1e9, window_intervals);
        Recording::of_intervals(window, intervals, self.lost, self.reasons)
    }
}

impl Observer for Recorder {
    fn delivered(&mut self, now: Mono, batch: &Batch) {
        let index = self.interval_at(now);
        let interval = &mut self.intervals[index];
        interval.records += u64::from(batch.records());
        // While warming up, everything is shown; afterwards only the window counts.
        let (start, end) = if now.0 < self.window.0 { (0, u64::MAX) } else { self.window };
        for mark in batch.marks() {
            record(&mut interval.latency, mark, now.0, start, end);
        }
    }

    fn lost(&mut self, _: Mono, records: u64, why: &str) {
        self.lose(records, why);
    }
}

fn record(latency: &mut Latency, mark: &Mark, now_ns: u64, start_ns: u64, end_ns: u64) {
    if mark.step_ns == 0 {
        if (start_ns..end_ns).contains(&mark.at_ns) {
            let late = now_ns.saturating_sub(mark.at_ns).min(LATENCY_NS_MAX);
            latency.saturating_record_n(late, u64::from(mark.count));
        }
        return;
    }
    for index in 0..u64::from(mark.count) {
        let at_ns = mark.at_ns + index * mark.step_ns;
        if (start_ns..end_ns).contains(&at_ns) {
            latency.saturating_record(now_ns.saturating_sub(at_ns).min(LATENCY_NS_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::Stamp;

    const MS: u64 = 1_000_000;

    fn batch(at_ms: u64, step_ns: u64, count: u64) -> Batch {
        let mut batch = Batch::new(0, Mono(at_ms * MS), 100_000, 100, None);
        for index in 0..count {
            let stamp = Stamp { at_ns: at_ms * MS + index * step_ns, step_ns, unix_ms: 0 };
            batch.append(&stamp, None, b"x").expect("room");
        }
        batch
    }

    #[test]
    fn latency_is_by_when_sent_and_throughput_by_when_acknowledged() {
        let mut recorder = Recorder::new(Mono(0), 1000 * MS, 1000 * MS, 250 * MS);
        // Sent in the warm-up, acknowledged in the window: throughput, not latency.
        recorder.delivered(Mono(1100 * MS), &batch(900, 0, 10));
        // Sent and acknowledged in the window: both.
        recorder.delivered(Mono(1200 * MS), &batch(1190, 0, 5));
        // Sent in the window, acknowledged long after: latency, not throughput.
        recorder.delivered(Mono(9000 * MS), &batch(1999, 0, 3));
        // Sent after the window: neither.
        recorder.delivered(Mono(9000 * MS), &batch(2000, 0, 7));
        recorder.lost(Mono(0), 2, "why");
        let recording = recorder.finish(Mono(9000 * MS));
        assert_eq!((recording.records, recording.latency.len()), (15, 8));
        assert_eq!((recording.series.len(), recording.intervals.len()), (4, 5));
        assert_eq!((recording.lost, recording.reasons["why"]), (2, 2));
        let seconds = recording.latency.max() as f64 / 1e9;
        assert!((seconds - 7.001).abs() < 0.01, "{seconds}");
    }

    #[test]
    fn rounds_add_up() {
        let round = |records: u64| {
            let mut recorder = Recorder::new(Mono(0), 0, 500 * MS, 250 * MS);
            recorder.delivered(Mono(100 * MS), &batch(90, 0, records));
            recorder.delivered(Mono(900 * MS), &batch(490, 0, 1));
            recorder.lost(Mono(0), 1, "why");
            recorder.finish(Mono(900 * MS))
        };
        let mut both = round(3);
        both.add(&round(5));
        assert_eq!((both.seconds, both.records, both.latency.len()), (1.0, 8, 10));
        let records: Vec<u64> = both.series.iter().map(|moment| moment.records).collect();
        assert_eq!((records, both.intervals.len()), (vec![3, 0, 5, 0], 0));
        assert_eq!((both.lost, both.reasons["why"]), (2, 2));
    }

    #[test]
    fn hosts_add_up_in_the_same_intervals() {
        let host = |records: u64, at_ms: u64| {
            let mut recorder = Recorder::new(Mono(0), 0, 500 * MS, 250 * MS);
            recorder.delivered(Mono(at_ms * MS), &batch(at_ms - 10, 0, records));
            recorder.lost(Mono(0), 1, "why");
            recorder.finish(Mono(900 * MS))
        };
        let mut both = host(3, 100);
        both.add_beside(&host(5, 100));
        both.add_beside(&host(7, 300));
        assert_eq!((both.seconds, both.records, both.latency.len()), (0.5, 15, 15));
        let records: Vec<u64> = both.series.iter().map(|moment| moment.records).collect();
        assert_eq!((records, both.intervals.len()), (vec![8, 7], 3));
        assert_eq!((both.lost, both.reasons["why"]), (3, 3));
    }

    #[test]
    fn a_window_that_is_put_off_leaves_out_what_came_before() {
        let mut recorder = Recorder::new(Mono(0), 250 * MS, 500 * MS, 250 * MS);
        recorder.delivered(Mono(100 * MS), &batch(90, 0, 4));
        assert_eq!(recorder.ended(Mono(250 * MS)).len(), 1);
        assert_eq!(recorder.ended(Mono(250 * MS))[0].0, 4);
        recorder.postpone();
        assert_eq!(recorder.window(), (Mono(500 * MS), Mono(1000 * MS)));
        recorder.delivered(Mono(400 * MS), &batch(390, 0, 5));
        // Sent before the window as it is now, acknowledged in it.
        recorder.delivered(Mono(600 * MS), &batch(450, 0, 6));
        recorder.delivered(Mono(900 * MS), &batch(880, 0, 7));
        let recording = recorder.finish(Mono(5000 * MS));
        assert_eq!((recording.records, recording.latency.len()), (13, 7));
        assert_eq!(recording.series.len(), 2);
    }

    #[test]
    fn every_record_of_an_open_loop_has_its_own_time() {
        let mut recorder = Recorder::new(Mono(0), 0, 1000 * MS, 250 * MS);
        // 100 records, a millisecond apart, answered together 100 ms after the first.
        recorder.delivered(Mono(110 * MS), &batch(10, MS, 100));
        let latency = recorder.finish(Mono(1000 * MS)).latency;
        assert_eq!(latency.len(), 100);
        // The histogram keeps three digits.
        let at = |quantile: f64| (latency.value_at_quantile(quantile) + MS / 2) / MS;
        assert_eq!((at(0.0), at(0.5), at(1.0)), (1, 50, 100));
    }
}

//! How often something happens, measured as Kafka does for its quotas (`SampledStat`, `Rate`,
//! `QuotaUtils`), so that the same limit lets the same through.

use ringlog_engine::io::Mono;

/// Events per second over some windows of time, the last of which is not full.
#[derive(Debug)]
pub(super) struct Rate {
    window_ms: u64,
    windows: usize,
    samples: Vec<Sample>,
    current: usize,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    start_ms: u64,
    last_ms: u64,
    count: u64,
}

impl Sample {
    fn new(now_ms: u64) -> Self {
        Self { start_ms: now_ms, last_ms: now_ms, count: 0 }
    }
}

impl Rate {
    /// Over `windows` windows of `window_ms` each.
    pub(super) fn new(windows: usize, window_ms: u64) -> Self {
        assert!(windows > 0 && window_ms > 0, "{windows} windows of {window_ms} ms");
        Self { window_ms, windows, samples: Vec::new(), current: 0 }
    }

    /// Counts one event, and says how long to wait so that no more than `limit` happen in a
    /// second: a window at most.
    pub(super) fn throttle_ms(&mut self, limit: f64, now: Mono) -> u64 {
        let now_ms = now.ms_since(Mono(0));
        self.record(now_ms);
        let (count, elapsed_ms) = self.measure(now_ms);
        let rate = count as f64 * 1000.0 / elapsed_ms as f64;
        if rate <= limit {
            return 0;
        }
        let wait_ms = (rate - limit) / limit * elapsed_ms as f64;
        // A limit of 0 makes it infinite, and the cast the largest number.
        (wait_ms.round() as u64).min(self.window_ms)
    }

    fn record(&mut self, now_ms: u64) {
        if self.samples.is_empty() {
            self.samples.push(Sample::new(now_ms));
        } else if now_ms - self.samples[self.current].start_ms >= self.window_ms {
            // One more than the windows: the oldest may still overlap them.
            self.current = (self.current + 1) % (self.windows + 1);
            match self.samples.get_mut(self.current) {
                Some(sample) => *sample = Sample::new(now_ms),
                None => self.samples.push(Sample::new(now_ms)),
            }
        }
        let sample = &mut self.samples[self.current];
        sample.count += 1;
        sample.last_ms = now_ms;
    }

    /// Events, and the time in which they happened: full windows that have not been are counted as
    /// if they had, so that the first event of all is not taken for very many a second.
    fn measure(&mut self, now_ms: u64) -> (u64, u64) {
        let expiry_ms = self.windows as u64 * self.window_ms;
        for sample in &mut self.samples {
            if now_ms - sample.last_ms >= expiry_ms {
                *sample = Sample::new(now_ms);
            }
        }
        let count = self.samples.iter().map(|sample| sample.count).sum();
        let oldest = self.samples.iter().map(|sample| sample.start_ms).min().unwrap_or(now_ms);
        let elapsed_ms = now_ms - oldest;
        let full_min = self.windows as u64 - 1;
        let missing = full_min.saturating_sub(elapsed_ms / self.window_ms);
        (count, (elapsed_ms + missing * self.window_ms).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(0).plus_ms(ms)
    }

    /// What Kafka's classes gave for the same calls: `Rate` in a `Sensor` with 11 samples of a
    /// second and a quota, `QuotaUtils.boundedThrottleTime`.
    #[test]
    fn throttling_begins_where_kafkas_does() {
        let mut rate = Rate::new(11, 1000);
        // 10 s count as gone: 50 events are 5 a second, the 51st is one too many.
        for i in 0..50 {
            assert_eq!(rate.throttle_ms(5.0, at(100)), 0, "event {i}");
        }
        assert_eq!(rate.throttle_ms(5.0, at(100)), 200);
        assert_eq!(rate.throttle_ms(5.0, at(100)), 400);
        assert_eq!(rate.throttle_ms(5.0, at(600)), 100);
        for _ in 0..20 {
            rate.throttle_ms(5.0, at(600));
        }
        assert_eq!(rate.throttle_ms(5.0, at(600)), 1000, "a window at most");
        // After eleven silent seconds all is forgotten.
        assert_eq!(rate.throttle_ms(5.0, at(11_600)), 0);
    }

    #[test]
    fn a_pace_at_the_limit_or_above_is_throttled_as_often_as_by_kafka() {
        for (every_ms, waits) in [(100, 900), (80, 900)] {
            let mut rate = Rate::new(11, 1000);
            let throttled = |i: &u64| rate.throttle_ms(10.0, at(i * every_ms)) > 0;
            assert_eq!((0..1000).filter(throttled).count(), waits);
        }
    }
}

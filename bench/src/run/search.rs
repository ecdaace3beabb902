//! The highest rate that a target sustains: all of it goes through, with the 99th percentile of the
//! latency, counted from when records were meant to be sent, within a bound.

use crate::figures::Outcome;
use crate::results::Tried;

/// Where the search begins if nothing is known of the target.
pub const FIRST_RATE: f64 = 10_000.0;
/// The search ends when the rates between which the answer lies differ by no more.
const NEAR: f64 = 1.05;
/// Of the records that were to be sent, this share must be acknowledged in time.
const THROUGH: f64 = 0.98;
/// By what a rate changes as long as only one bound of the answer is known.
const STEP: f64 = 4.0;
/// Rates tried at most.
const TRIES_MAX: usize = 20;
const RATE_MIN: f64 = 1.0;

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    p99_ms_max: f64,
    next: f64,
    /// The highest rate that was sustained, and the lowest that was not.
    low: Option<f64>,
    high: Option<f64>,
    /// What was tried.
    pub tried: Vec<Tried>,
}

impl Search {
    /// A search that begins at a rate.
    pub fn new(p99_ms_max: f64, first: f64) -> Search {
        let next = first.max(RATE_MIN);
        Search { p99_ms_max, next, low: None, high: None, tried: Vec::new() }
    }

    /// The rate to try next; `None` when the answer is known well enough, or there is none.
    pub fn next(&self) -> Option<f64> {
        let near = self.low.zip(self.high).is_some_and(|(low, high)| high <= low * NEAR);
        let over = self.tried.len() >= TRIES_MAX || self.next < RATE_MIN || near;
        (!over).then_some(self.next)
    }

    /// The rate at which the 99th percentile is the bound: between the highest rate that was
    /// sustained and the lowest that was not, on a line through both in a diagram of logarithms.
    /// `None`: nothing was sustained.
    pub fn found(&self) -> Option<f64> {
        let at = |rate: f64| self.tried.iter().find(|tried| tried.rate == rate);
        let low = at(self.low?)?;
        let Some(high) = self.high.and_then(at) else { return Some(low.rate) };
        // A rate that did not get through within the bound tells nothing of the latency at others.
        if high.p99_ms <= self.p99_ms_max {
            return Some(low.rate);
        }
        let rise = (high.p99_ms / low.p99_ms).ln();
        let share = (self.p99_ms_max / low.p99_ms).ln() / rise;
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        Some(low.rate * (high.rate / low.rate).powf(share))
    }

    /// What came of the rate that was to be tried. Returns whether it was sustained.
    pub fn learn(&mut self, outcome: &Outcome) -> bool {
        let recording = &outcome.recording;
        let ms = |quantile| recording.latency.value_at_quantile(quantile) as f64 / 1e6;
        let records_per_second = recording.records_per_second();
        let through = records_per_second >= THROUGH * self.next && recording.lost == 0;
        let sustained = through && ms(0.99) <= self.p99_ms_max;
        self.note(Tried {
            rate: self.next,
            records_per_second,
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            sustained,
        });
        sustained
    }

    fn note(&mut self, tried: Tried) {
        match tried.sustained {
            true => self.low = Some(tried.rate),
            false => self.high = Some(tried.rate),
        }
        self.tried.push(tried);
        self.next = match (self.low, self.high) {
            // Rates differ by factors: the middle is the geometric one.
            (Some(low), Some(high)) => (low * high).sqrt(),
            (Some(low), None) => low * STEP,
            (None, Some(high)) if high > RATE_MIN => (high / STEP).max(RATE_MIN),
            (None, Some(_)) => 0.0,
            (None, None) => self.next,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(limit: f64, first: f64) -> (Option<f64>, usize) {
        let mut search = Search::new(5.0, first);
        while let Some(rate) = search.next() {
            let sustained = rate <= limit;
            let (p50_ms, p99_ms, records_per_second) = (1.0, 2.0, rate);
            search.note(Tried { rate, records_per_second, p50_ms, p99_ms, sustained });
        }
        (search.low, search.tried.len())
    }

    #[test]
    fn the_rate_is_read_between_the_last_two() {
        let mut search = Search::new(4.0, 1000.0);
        for (rate, p99_ms, sustained) in [(1000.0, 1.0, true), (4000.0, 16.0, false)] {
            search.note(Tried { rate, records_per_second: rate, p50_ms: 1.0, p99_ms, sustained });
        }
        // Four is half way from 1 to 16, two half way from 1 to 4.
        let found = search.found().expect("a rate");
        assert!((found - 2000.0).abs() < 1e-6, "{found}");
        let mut full = search.clone();
        full.note(Tried {
            rate: 1500.0,
            records_per_second: 900.0,
            p50_ms: 1.0,
            p99_ms: 2.0,
            sustained: false,
        });
        assert_eq!(full.found(), Some(1000.0), "it did not get through, whatever its latency");
        let mut failed = Search::new(4.0, 1000.0);
        failed.note(Tried {
            rate: 1000.0,
            records_per_second: 10.0,
            p50_ms: 1.0,
            p99_ms: 9.0,
            sustained: false,
        });
        assert_eq!(failed.found(), None);
    }

    #[test]
    fn the_limit_is_found_from_wherever_the_search_begins() {
        for limit in [3.0, 999.0, 123_456.0, 9e6] {
            for first in [10.0, FIRST_RATE, 1e6] {
                let (rate, tries) = found(limit, first);
                let rate = rate.expect("a rate");
                assert!(rate <= limit && rate * NEAR >= limit, "{limit} from {first}: {rate}");
                assert!(tries <= TRIES_MAX, "{tries}");
            }
        }
        // Nothing is sustained; everything is.
        assert_eq!(found(0.0, 100.0).0, None);
        assert_eq!(found(f64::MAX, 1.0).1, TRIES_MAX);
    }
}

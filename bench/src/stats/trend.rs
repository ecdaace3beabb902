//! [`trend`]: whether numbers in the order in which they were measured rise or fall.
//!
//! Rounds are taken for samples of the same thing. Where they drift (a disk fills up, a processor
//! gets hot, a JVM still compiles) they are not, and an interval from them says too little.

use serde::{Deserialize, Serialize};

/// In which direction numbers drift.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Trend {
    /// Later ones are larger.
    Rising,
    /// Later ones are smaller.
    Falling,
}

/// Of as many numbers as make a trend worth telling.
const COUNT_MIN: usize = 5;
/// The normal distribution's 99 %, both ways: of a hundred rows without a trend one is marked.
const SCORE_MIN: f64 = 2.576;

/// The test of Mann and Kendall ("Nonparametric Tests Against Trend", 1945): in how many of all
/// pairs the later number is larger, against what chance would give. `None`: no trend, or too few
/// numbers.
pub fn trend(values: &[f64]) -> Option<Trend> {
    let n = values.len();
    if n < COUNT_MIN || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mut sum = 0i64;
    for (index, earlier) in values.iter().enumerate() {
        for later in &values[index + 1..] {
            sum += match later.total_cmp(earlier) {
                std::cmp::Ordering::Greater => 1,
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Less => -1,
            };
        }
    }
    let count = n as f64;
    let deviation = (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt();
    // One less: the sum changes in steps of two.
    let score = (sum.abs() - 1).max(0) as f64 / deviation;
    let direction = if sum > 0 { Trend::Rising } else { Trend::Falling };
    (score > SCORE_MIN).then_some(direction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringlog_engine::stdx::prng::Prng;

    #[test]
    fn a_drift_is_seen_and_noise_is_not() {
        let rising: Vec<f64> = (0..8).map(f64::from).collect();
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        assert_eq!(trend(&rising), Some(Trend::Rising));
        assert_eq!(trend(&falling), Some(Trend::Falling));
        assert_eq!(trend(&rising[..4]), None, "too few to tell");
        assert_eq!(trend(&[1.0; 8]), None);
        let mut prng = Prng::new(5);
        let marked = (0..2000).filter(|_| {
            let noise: Vec<f64> = (0..8).map(|_| prng.index(1000) as f64).collect();
            trend(&noise).is_some()
        });
        let marked = marked.count();
        assert!(marked < 40, "{marked} of 2000 without a trend");
    }
}

//! [`still_warming`]: whether a load is still getting faster.
//!
//! A warm-up of a fixed length is too short for a JVM and too long for everything else. What tells
//! the end of it is that speed no longer rises: that it varies is no sign of warming up.

/// Intervals of each of the two stretches that are compared.
pub const TREND_INTERVALS: usize = 4;
/// A rise of less is of no interest.
const RISE_MIN: f64 = 0.05;
/// How many standard errors a rise must have to be one.
const ERRORS_MIN: f64 = 2.0;

/// Whether the last stretch of intervals is faster than the one before it, by more than chance.
/// With fewer than two stretches nothing can be said, which counts as warming up.
pub fn still_warming(speeds: &[f64]) -> bool {
    let Some(start) = speeds.len().checked_sub(2 * TREND_INTERVALS) else { return true };
    let (before, after) = speeds[start..].split_at(TREND_INTERVALS);
    let ((mean_before, error_before), (mean_after, error_after)) = (spread(before), spread(after));
    let rise = mean_after - mean_before;
    rise > RISE_MIN * mean_before && rise > ERRORS_MIN * error_before.hypot(error_after)
}

/// Mean and standard error.
fn spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringlog_engine::stdx::prng::Prng;

    #[test]
    fn a_rise_is_seen_and_noise_is_not() {
        assert!(still_warming(&[1.0; 7]), "too few to tell");
        assert!(!still_warming(&[1.0; 8]));
        // A JVM: half its speed at first.
        let mut speeds: Vec<f64> =
            (0..40).map(|i| 1.0 - 0.6 * (-f64::from(i) / 6.0).exp()).collect();
        assert!(still_warming(&speeds[..10]) && still_warming(&speeds[..14]));
        assert!(!still_warming(&speeds));
        // A fall is no warming up.
        speeds.extend([0.5; 4]);
        assert!(!still_warming(&speeds));
        let mut prng = Prng::new(3);
        let noise = (0..1000).filter(|_| {
            let speeds: Vec<f64> = (0..8).map(|_| 80.0 + prng.index(41) as f64).collect();
            still_warming(&speeds)
        });
        assert!(noise.count() < 100, "a steady load with 20 % of noise is steady");
    }
}

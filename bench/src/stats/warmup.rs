//! [`still_warming`]: whether a load is still getting faster.
//!
//! A warm-up of a fixed length is too short for a JVM and too long for everything else. What tells
//! the end of it is that speed no longer rises: that it varies is no sign of warming up.

/// Intervals of each of the two stretches that are compared.
pub const TREND_INTERVALS: usize = 4;
/// A rise of less is of no interest.
const RISE_MIN: f64 = 0.05;
/// So many rounds must follow one before it can be called cold.
const LATER_MIN: usize = 3;
/// The standard deviation of a normal distribution, for its median absolute deviation.
const NORMAL_BY_MEDIAN: f64 = 1.4826;
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

/// The first round that is warm: neither slower nor dearer than those after it, by more than a
/// twentieth and by more than those differ among themselves. What a round costs is its processor
/// time for each record; a JVM gets faster and cheaper for many seconds.
pub fn first_warm(speeds: &[f64], costs: &[Option<f64>]) -> usize {
    let costs: Option<Vec<f64>> = costs.iter().copied().collect();
    let cold = |index: usize| {
        let slower = is_below(speeds[index], &speeds[index + 1..]);
        // A cost is a speed upside down.
        let dearer = costs.as_ref().is_some_and(|costs| {
            let cheap: Vec<f64> = costs[index + 1..].iter().map(|cost| 1.0 / cost).collect();
            is_below(1.0 / costs[index], &cheap)
        });
        slower || dearer
    };
    (0..speeds.len()).find(|index| !cold(*index)).unwrap_or(0)
}

/// Whether a number is below those that came after it, by more than chance.
fn is_below(value: f64, later: &[f64]) -> bool {
    if later.len() < LATER_MIN {
        return false;
    }
    let middle = median(later);
    let deviations: Vec<f64> = later.iter().map(|other| (other - middle).abs()).collect();
    let noise = NORMAL_BY_MEDIAN * median(&deviations);
    value < (1.0 - RISE_MIN) * middle && value < middle - ERRORS_MIN * noise
}

/// The median; `NaN` of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = ((sorted.len().max(1) - 1) / 2, sorted.len() / 2);
    sorted.get(low).zip(sorted.get(high)).map_or(f64::NAN, |(low, high)| f64::midpoint(*low, *high))
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
    fn rounds_of_a_cold_program_are_told_from_warm_ones() {
        let none = [None; 10];
        let flat = [100.0, 101.0, 99.0, 100.0, 102.0, 98.0, 100.0, 101.0];
        assert_eq!(first_warm(&flat, &none[..8]), 0);
        let jvm = [40.0, 80.0, 95.0, 100.0, 101.0, 99.0, 100.0, 102.0, 98.0, 100.0];
        assert_eq!(first_warm(&jvm, &none), 2, "five percent are within what varies");
        // As fast from the start, but at more cost.
        let costs = [3.0, 2.0, 1.0, 1.01, 0.99, 1.0, 1.0, 1.02].map(Some);
        assert_eq!(first_warm(&flat, &costs), 2);
        // Noise among the later ones is no reason to leave any out.
        let noisy = [90.0, 130.0, 80.0, 120.0, 95.0, 140.0, 85.0, 100.0];
        assert_eq!(first_warm(&noisy, &none[..8]), 0);
        assert_eq!(first_warm(&[1.0, 9.0, 9.0], &none[..3]), 0, "too few to tell");
        assert_eq!(first_warm(&[], &[]), 0);
    }

    #[test]
    fn medians() {
        assert_eq!([median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])], [2.0, 2.5]);
        assert!(median(&[]).is_nan());
    }

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

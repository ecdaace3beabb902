//! [`paired_ratio`]: by how much two sets of rounds differ, with a 95 % interval by bootstrap.
//!
//! The statistic is the ratio of geometric means, so that A against B is the inverse of B against
//! A. Plain percentiles of a bootstrap are too narrow for a handful of rounds; they are expanded as
//! Hesterberg proposes ("What Teachers Should Know About the Bootstrap", 2015, section 5.3): the
//! percentile that is read is the one that Student's t, instead of the normal distribution, asks
//! for. With four or five rounds that is nearly the whole range of what resampling can give.
//!
//! Rounds of one run are pairs: both targets met the same state of the machine, one after the other
//! (A B B A), and what is resampled are pairs. Rounds of two runs are not ([`ratio_of_means`]).

use ringlog_engine::stdx::prng::Prng;

/// Resamples.
const RESAMPLES: usize = 10_000;
/// Fixed, so that the same results always give the same verdict.
const SEED: u64 = 0x5eed;
/// Student's t for 97.5 %, by degrees of freedom from 1 on; 1.96 beyond.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];
const NORMAL: f64 = 1.96;

/// An estimate and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// The estimate.
    pub estimate: f64,
    /// Its upper end.
    pub high: f64,
}

/// Logarithms; `None` with numbers that have none.
fn logs(values: &[f64]) -> Option<Vec<f64>> {
    values.iter().map(|v| (v.is_finite() && *v > 0.0).then(|| v.ln())).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean of as many numbers drawn from these.
fn resampled(values: &[f64], prng: &mut Prng) -> f64 {
    let drawn = (0..values.len()).map(|_| values[prng.index(values.len())]);
    drawn.sum::<f64>() / values.len() as f64
}

/// The interval of what resampling gives, around an estimate from so many rounds.
fn interval(estimate: f64, rounds: usize, mut resample: impl FnMut(&mut Prng) -> f64) -> Interval {
    let mut prng = Prng::new(SEED);
    let mut all: Vec<f64> = (0..RESAMPLES).map(|_| resample(&mut prng)).collect();
    all.sort_by(f64::total_cmp);
    let index = ((RESAMPLES as f64 * tail_probability(rounds)) as usize).min(RESAMPLES / 2);
    Interval { low: all[index], estimate, high: all[RESAMPLES - 1 - index] }
}

impl Interval {
    fn exp(self) -> Interval {
        Interval { low: self.low.exp(), estimate: self.estimate.exp(), high: self.high.exp() }
    }
}

/// `b` over `a` of pairs, by their geometric means. `None` with fewer than two pairs, or with
/// numbers that have no logarithm.
pub fn paired_ratio(a: &[f64], b: &[f64]) -> Option<Interval> {
    let (a, b) = (logs(a)?, logs(b)?);
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
    if differences.len() < 2 {
        return None;
    }
    let of = |prng: &mut Prng| resampled(&differences, prng);
    Some(interval(mean(&differences), differences.len(), of).exp())
}

/// `b` over `a` of rounds that have nothing to do with each other, by their geometric means. `None`
/// with fewer than two rounds of either, or with numbers that have no logarithm.
pub fn ratio_of_means(a: &[f64], b: &[f64]) -> Option<Interval> {
    let (a, b) = (logs(a)?, logs(b)?);
    let rounds = a.len().min(b.len());
    if rounds < 2 {
        return None;
    }
    let of = |prng: &mut Prng| resampled(&b, prng) - resampled(&a, prng);
    Some(interval(mean(&b) - mean(&a), rounds, of).exp())
}

/// The geometric mean of rounds; `None` as above.
pub fn mean_interval(values: &[f64]) -> Option<Interval> {
    let values = logs(values)?;
    if values.len() < 2 {
        return None;
    }
    let of = |prng: &mut Prng| resampled(&values, prng);
    Some(interval(mean(&values), values.len(), of).exp())
}

/// Between which bounds one more ratio like these is, 95 times of a hundred: by Student's t, of
/// their logarithms. `None` with fewer than two.
pub fn prediction(ratios: &[f64]) -> Option<(f64, f64)> {
    let logs = logs(ratios)?;
    let n = logs.len() as f64;
    let student = STUDENT.get(logs.len().checked_sub(2)?).copied().unwrap_or(NORMAL);
    let middle = mean(&logs);
    let variance = logs.iter().map(|log| (log - middle).powi(2)).sum::<f64>() / (n - 1.0);
    let reach = student * (variance * (1.0 + 1.0 / n)).sqrt();
    Some(((middle - reach).exp(), (middle + reach).exp()))
}

/// The share of resamples beyond each end of the interval.
fn tail_probability(rounds: usize) -> f64 {
    let n = rounds as f64;
    let student = STUDENT.get(rounds - 2).copied().unwrap_or(NORMAL);
    normal_below(-(n / (n - 1.0)).sqrt() * student)
}

/// The standard normal distribution below `z`, for negative `z` (Abramowitz and Stegun, 26.2.17;
/// its error is below 1e-7, and the smallest tail that is read is one in ten thousand).
fn normal_below(z: f64) -> f64 {
    let x = z.abs();
    let t = 1.0 / (1.0 + 0.231_641_9 * x);
    let terms = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roughly normal numbers around `mean`.
    fn noisy(prng: &mut Prng, mean: f64, share: f64, count: usize) -> Vec<f64> {
        let unit = |prng: &mut Prng| prng.index(1 << 20) as f64 / f64::from(1 << 20);
        (0..count)
            .map(|_| {
                let sum: f64 = (0..12).map(|_| unit(prng)).sum();
                mean * (1.0 + share * (sum - 6.0))
            })
            .collect()
    }

    #[test]
    fn the_normal_distribution_is_right_where_tables_are() {
        for (z, expected) in [(-1.96, 0.024_998), (-1.0, 0.158_655), (-3.674, 0.000_119)] {
            assert!((normal_below(z) - expected).abs() < 2e-6, "{z}: {}", normal_below(z));
        }
        assert!((tail_probability(1000) - 0.025).abs() < 0.001);
    }

    #[test]
    fn the_interval_holds_the_true_ratio_nineteen_times_out_of_twenty() {
        let mut prng = Prng::new(7);
        for rounds in [4, 6, 12] {
            let held = (0..300)
                .filter(|_| {
                    let a = noisy(&mut prng, 100.0, 0.05, rounds);
                    let b = noisy(&mut prng, 110.0, 0.05, rounds);
                    let interval = ratio_of_means(&a, &b).expect("an interval");
                    (interval.low..=interval.high).contains(&1.1)
                })
                .count();
            // Plain percentiles hold it in about 85 % of the cases with four rounds.
            assert!(held >= 275, "{rounds} rounds: {held} of 300");
        }
    }

    /// What changes slowly on a machine meets both of a pair: pairs see a difference of 5 % through
    /// a drift of 40 %, and hold the true ratio as often as they should.
    #[test]
    fn pairs_see_through_what_changes_slowly() {
        let mut prng = Prng::new(11);
        let (mut held, mut seen, mut seen_unpaired) = (0, 0, 0);
        for _ in 0..300 {
            let drift: Vec<f64> = (0..8).map(|round| 1.0 + 0.05 * f64::from(round)).collect();
            let under = |values: Vec<f64>| -> Vec<f64> {
                values.iter().zip(&drift).map(|(value, drift)| value * drift).collect()
            };
            let a = under(noisy(&mut prng, 100.0, 0.01, 8));
            let b = under(noisy(&mut prng, 105.0, 0.01, 8));
            let paired = paired_ratio(&a, &b).expect("an interval");
            held += usize::from((paired.low..=paired.high).contains(&1.05));
            seen += usize::from(paired.low > 1.0);
            seen_unpaired += usize::from(ratio_of_means(&a, &b).expect("one").low > 1.0);
        }
        assert!(held >= 276 && seen >= 295 && seen_unpaired < 30, "{held} {seen} {seen_unpaired}");
    }

    #[test]
    fn the_next_ratio_is_within_the_prediction_nineteen_times_out_of_twenty() {
        let mut prng = Prng::new(13);
        let held = (0..400)
            .filter(|_| {
                let four = noisy(&mut prng, 9.0, 0.05, 4);
                let (low, high) = prediction(&four[..3]).expect("bounds");
                (low..=high).contains(&four[3])
            })
            .count();
        assert!((368..=396).contains(&held), "{held} of 400");
        assert_eq!(prediction(&[1.0]), None);
    }

    #[test]
    fn a_mean_lies_in_its_interval() {
        let interval = mean_interval(&[99.0, 100.0, 101.0, 100.0]).expect("an interval");
        assert!(interval.low < 100.0 && interval.high > 100.0 && interval.high < 105.0);
        assert_eq!(mean_interval(&[1.0]), None);
    }

    #[test]
    fn both_ways_round_say_the_same_and_equal_rounds_are_one() {
        let (a, b) = ([10.0, 11.0, 12.0, 10.5], [20.0, 22.0, 21.0, 23.0]);
        let (forth, back) =
            (ratio_of_means(&a, &b).expect("one"), ratio_of_means(&b, &a).expect("one"));
        assert!((forth.estimate * back.estimate - 1.0).abs() < 1e-9);
        assert!(forth.low <= forth.estimate && forth.estimate <= forth.high);
        let same = ratio_of_means(&a, &a).expect("one");
        assert!(same.low < 1.0 && same.high > 1.0 && (same.estimate - 1.0).abs() < 1e-9);
        assert_eq!(ratio_of_means(&[1.0], &[2.0]), None);
        assert_eq!(ratio_of_means(&[0.0, 1.0], &[2.0, 2.0]), None);
    }
}

//! What may be said of measured numbers: intervals for ratios, and whether a load still warms up.

mod bootstrap;
mod trend;
mod warmup;

pub use bootstrap::{Interval, mean_interval, paired_ratio, prediction, ratio_of_means};
pub use trend::{Trend, trend};
pub use warmup::{TREND_INTERVALS, first_warm, median, still_warming};

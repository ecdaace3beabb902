//! What may be said of measured numbers: intervals for ratios, and whether a load still warms up.

mod bootstrap;
mod warmup;

pub use bootstrap::{Interval, ratio_of_means};
pub use warmup::{TREND_INTERVALS, still_warming};

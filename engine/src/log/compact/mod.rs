//! Compaction: of each key only the last record stays (Kafka's `LogCleaner`).
//!
//! A round maps the keys of the part that is dirty, the newest, to their last offsets; then it
//! rewrites all sealed segments up to there without the records that a later one replaces. Small
//! segments become one. Files are swapped so that a crash leaves the old ones or the new ones
//! ([`swap`]).
//!
//! ```text
//!   log start          first dirty            uncleanable                 end
//!       |  cleaned before  |   mapped in this round  |  active, young, undecided  |
//! ```

mod clean;
mod offset_map;
mod plan;
mod swap;
mod throttle;
mod transactions;

pub use clean::{CompactError, Compacted, CompactionLimits};
pub use plan::Dirt;
pub(super) use swap::settle_swaps;
pub use throttle::Throttle;

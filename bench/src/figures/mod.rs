//! What is measured, as numbers: outcomes of rounds, latencies, moments. Everything that runs,
//! stores, compares or draws results is above this module.

mod latency;
mod number;
mod outcome;
mod saved;
mod utc;

/// A "MB" as kafka-producer-perf-test counts it.
pub const BYTES_PER_MB: f64 = (1 << 20) as f64;
/// The GiB of values that processor time is given for.
pub const BYTES_PER_GIB: f64 = (1 << 30) as f64;

pub use latency::{LatencySummary, nan_if_null};
pub use number::{align, figure, grouped, known, plain, short};
pub use outcome::{BrokerUse, GeneratorUse, Live, MachineUse, Outcome, Times, Warmup};
pub use saved::SavedOutcome;
pub use utc::{utc, utc_in_name};

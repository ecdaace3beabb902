//! Load: who sends how much when, and what is written down about it.

mod generate;
mod recorder;
mod values;

pub use generate::{LoadPlan, Pace, RECORDS_PER_CLOCK, generate};
pub use recorder::{Interval, Latency, Moment, Recorder, Recording, new_histogram};
pub use values::{STAMP_BYTES, Values, ValuesSpec};

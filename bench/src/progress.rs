//! [`Progress`]: what a run shows while it goes on: a bar with rate and latency on a terminal,
//! nothing elsewhere; and a line for each experiment that has ended, in both cases.

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use crate::figures::Live;

/// Steps of the bar for each second.
const STEPS_PER_SECOND: f64 = 10.0;
const STYLE: &str = "{prefix} {wide_bar:.blue} {msg} {elapsed_precise} of {duration_precise}";

/// A bar over all loads of all experiments. Clones are the same bar; it goes with the last of them.
#[derive(Clone)]
pub struct Progress {
    bar: ProgressBar,
    loads: usize,
    seconds: f64,
}

impl Progress {
    /// For so many loads, each of so many seconds. It shows itself on standard error if that is a
    /// terminal.
    pub fn new(loads: usize, seconds: f64) -> Progress {
        let steps = loads as f64 * seconds * STEPS_PER_SECOND;
        let bar = ProgressBar::new(steps as u64).with_finish(ProgressFinish::AndClear);
        bar.set_style(ProgressStyle::with_template(STYLE).expect("the template is valid"));
        Progress { bar, loads, seconds }
    }

    /// A load begins.
    pub fn begin(&self, index: usize, name: &str) {
        self.bar.set_prefix(format!("{}/{} {name}", index + 1, self.loads));
        self.bar.set_message("");
        self.set(index, 0.0);
    }

    /// It goes on.
    pub fn tick(&self, index: usize, live: Live) {
        let rate = live.records_per_second;
        if rate > 0.0 {
            self.bar.set_message(format!("{rate:.0} records/s, p99 {:.2} ms", live.p99_ms));
        }
        self.set(index, live.elapsed.min(self.seconds));
    }

    fn set(&self, index: usize, elapsed: f64) {
        let done = index as f64 * self.seconds + elapsed;
        self.bar.set_position((done * STEPS_PER_SECOND) as u64);
    }

    /// Prints a line, above the bar if there is one.
    pub fn line(&self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }
}

//! [`Edges`]: when the measured window begins and ends, and what is read of the broker's process at
//! both moments.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use anyhow::{Context, Result};
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;

use super::Watch;
use crate::figures::{Live, Outcome, Times, Warmup};
use crate::host::MachineSample;
use crate::load::{Pace, Recorder, Recording};
use crate::stats::{TREND_INTERVALS, still_warming};
use crate::target::{ProcessSample, ProcessWatch};

/// The shortest interval of the time series, and how many there are at most.
const INTERVAL_NS_MIN: u64 = 250_000_000;
const INTERVALS_MAX: u64 = 200;
/// How often somebody may look.
const TICK_MS: u64 = 200;

/// The recorder of a run, which its producers, its consumers and its clock share.
pub type Meter = Rc<RefCell<Recorder>>;

/// A recorder whose window begins after the shortest warm-up, and that warm-up put off at most so
/// many times.
pub struct Window {
    meter: Meter,
    postponed_max: u64,
}

impl Window {
    /// The edges of the window fall between two intervals.
    pub fn new(times: Times) -> Window {
        let needed = (times.measured * 1e9) as u64 / INTERVALS_MAX;
        let interval_ns = needed.next_multiple_of(INTERVAL_NS_MIN).max(INTERVAL_NS_MIN);
        let intervals = |seconds: f64| ((seconds * 1e9) as u64).div_ceil(interval_ns);
        let (warmup, measured) = (intervals(times.warmup), intervals(times.measured));
        let (warmup_ns, measured_ns) = (warmup * interval_ns, measured * interval_ns);
        let recorder = Recorder::new(Mono(0), warmup_ns, measured_ns, interval_ns);
        let postponed_max = intervals(times.warmup_max).saturating_sub(warmup);
        Window { meter: Rc::new(RefCell::new(recorder)), postponed_max }
    }

    /// The recorder, which is of use once it is known when the load starts.
    pub fn meter(&self) -> Meter {
        Rc::clone(&self.meter)
    }

    /// The recorder of a load that starts then, and its edges.
    pub fn starting_at(self, start: Mono, pace: Pace) -> (Meter, Rc<Edges>) {
        self.meter.borrow_mut().start_at(start);
        let end = Rc::new(Cell::new(self.meter.borrow().window().1));
        let edges = Edges { start, pace, postponed_max: self.postponed_max, end, ..Edges::blank() };
        (self.meter, Rc::new(edges))
    }
}

/// The window of a run, and what was seen at its edges.
pub struct Edges {
    start: Mono,
    pace: Pace,
    postponed_max: u64,
    /// When the load ends.
    pub end: Rc<Cell<Mono>>,
    seen: RefCell<Seen>,
    over: Cell<bool>,
}

#[derive(Default)]
struct Seen {
    started_unix_ms: i64,
    warmup: Option<Warmup>,
    before: Option<ProcessSample>,
    after: Option<ProcessSample>,
    /// Of this process.
    own_before: Option<ProcessSample>,
    own_after: Option<ProcessSample>,
    machine_before: MachineSample,
    machine_after: MachineSample,
    failed: Option<anyhow::Error>,
}

impl Edges {
    fn blank() -> Edges {
        Edges {
            start: Mono(0),
            pace: Pace::Closed,
            postponed_max: 0,
            end: Rc::default(),
            seen: RefCell::default(),
            over: Cell::new(false),
        }
    }

    /// Waits for the window, puts it off while the load warms up, and calls back at both edges.
    pub async fn watch(
        &self,
        shard: &Shard,
        meter: &Meter,
        process: Option<ProcessWatch>,
        on_open: impl FnOnce(),
        on_close: impl FnOnce(),
    ) {
        let own = ProcessWatch::own();
        let mut left = self.postponed_max;
        let steady = loop {
            let opens = meter.borrow().window().0;
            shard.sleep_until(opens).await;
            let speeds = self.speeds(&meter.borrow(), shard.clock());
            let told = speeds.len() >= 2 * TREND_INTERVALS;
            let warming = still_warming(&speeds);
            if !warming || left == 0 {
                break told.then_some(!warming);
            }
            left -= 1;
            meter.borrow_mut().postpone();
            self.end.set(meter.borrow().window().1);
        };
        let (opens, closes) = meter.borrow().window();
        on_open();
        {
            let mut seen = self.seen.borrow_mut();
            let seconds = (opens.0 - self.start.0) as f64 / 1e9;
            seen.warmup = Some(Warmup { seconds, steady });
            seen.started_unix_ms = shard.unix_ms();
            seen.before = seen.sample(process.as_ref());
            seen.own_before = seen.sample(own.as_ref());
            seen.machine_before = MachineSample::take();
        }
        shard.sleep_until(closes).await;
        let mut seen = self.seen.borrow_mut();
        seen.after = seen.sample(process.as_ref());
        seen.own_after = seen.sample(own.as_ref());
        seen.machine_after = MachineSample::take();
        on_close();
        self.over.set(true);
    }

    /// Waits until the window is over.
    pub async fn over(&self, shard: &Shard) {
        while !self.over.get() {
            shard.sleep_ms(1).await;
        }
    }

    /// How fast the load was in each interval so far: by its rate, or by its latency where the rate
    /// is given.
    fn speeds(&self, recorder: &Recorder, now: Mono) -> Vec<f64> {
        let speed = |(records, p50_ns): (u64, u64)| match self.pace {
            Pace::Closed => records as f64,
            Pace::Open(_) if records == 0 => 0.0,
            Pace::Open(_) => 1e9 / p50_ns.max(1) as f64,
        };
        recorder.ended(now).into_iter().map(speed).collect()
    }

    /// What was recorded, with what was seen: when the window began, how the load warmed up, what
    /// broker and generator used.
    pub fn outcome(&self, recording: Recording) -> Result<Outcome> {
        let seen = self.seen.take();
        if let Some(error) = seen.failed {
            return Err(error).context("the broker's process");
        }
        let warmup = seen.warmup.unwrap_or(Warmup { seconds: 0.0, steady: None });
        let own = seen.own_before.zip(seen.own_after);
        let seconds = recording.seconds;
        Ok(Outcome {
            broker: seen.before.zip(seen.after).map(|(before, after)| after.since(&before)),
            machine: Some(seen.machine_after.since(&seen.machine_before)),
            generator: own.map(|(before, after)| after.generator_since(&before, seconds)),
            ..Outcome::new(seen.started_unix_ms, recording, warmup)
        })
    }
}

impl Seen {
    fn sample(&mut self, process: Option<&ProcessWatch>) -> Option<ProcessSample> {
        match process?.sample() {
            Ok(sample) => Some(sample),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }
}

/// Shows how a run gets on until it is done. An error of whoever looks goes to `give_up`.
pub async fn tick(
    shard: Shard,
    meter: Meter,
    start: Mono,
    watch: Rc<RefCell<dyn Watch>>,
    done: Rc<Cell<bool>>,
    give_up: impl Fn(String),
) {
    while !done.get() {
        let now = shard.clock();
        let (records_per_second, p99_ns) = meter.borrow().live(now);
        let elapsed = now.0.saturating_sub(start.0) as f64 / 1e9;
        let live = Live { elapsed, records_per_second, p99_ms: p99_ns as f64 / 1e6 };
        let looked = watch.borrow_mut().tick(live);
        if let Err(error) = looked {
            give_up(format!("{error:#}"));
        }
        shard.sleep_ms(TICK_MS).await;
    }
}

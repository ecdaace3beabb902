//! The two load loops.
//!
//! Closed loop: records are appended as fast as the producer takes them, as
//! kafka-producer-perf-test does without a throughput; a full buffer makes the loop wait, and the
//! wait counts as latency (the record's time is taken before it). Open loop: record `i` is meant
//! to be sent at `start + i / rate` whatever happened to those before it, and its latency counts
//! from there, so a stalled broker cannot hide (coordinated omission).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use anyhow::Result;
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;

use super::recorder::Latency;
use super::values::Values;
use crate::producer::{Observer, Producer, Stamp};

/// Closed loop: this many records share one reading of the clock. It is the resolution of their
/// latency: at five million records a second they are 3 microseconds apart.
pub const RECORDS_PER_CLOCK: usize = 16;
/// Records between two looks at sockets and timers.
const RECORDS_PER_TURN: usize = 256;
/// Open loop: how long the loop sleeps at least once it is ahead of its schedule. What is due
/// meanwhile is sent at once, and the delay counts as latency.
const TICK_NS: u64 = 50_000;

/// How fast records are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as they are taken.
    Closed,
    /// So many a second.
    Open(f64),
}

/// A load: when it starts and ends, and how fast it is.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// Records a second.
    pub pace: Pace,
    /// When the first record is meant to be sent.
    pub start: Mono,
    /// No record is meant to be sent from here on. It moves while the load still warms up.
    pub end: Rc<Cell<Mono>>,
}

/// Runs a load to its end. `lateness` gets how late the loop itself was with its records, in
/// nanoseconds: where that is not far below the latencies measured, the generator was part of the
/// limit.
pub async fn generate<O: Observer + 'static>(
    shard: &Shard,
    producer: &Producer<O>,
    values: &mut Values,
    plan: LoadPlan,
    lateness: &RefCell<Latency>,
) -> Result<()> {
    match plan.pace {
        Pace::Closed => closed(shard, producer, values, plan).await,
        Pace::Open(rate) => open(shard, producer, values, plan, rate, lateness).await,
    }
}

/// Lets input and output have a turn: a timer that is due at once, unlike `Shard::yield_now`,
/// lets only other tasks run.
async fn breathe(shard: &Shard) {
    shard.sleep_until(Mono(shard.now().0 + 1)).await;
}

async fn closed<O: Observer + 'static>(
    shard: &Shard,
    producer: &Producer<O>,
    values: &mut Values,
    plan: LoadPlan,
) -> Result<()> {
    // The wall clock is read once; timestamps follow the monotonic clock from there.
    let unix_ms_at_start = shard.unix_ms();
    let origin = shard.clock();
    loop {
        for _ in 0..RECORDS_PER_TURN / RECORDS_PER_CLOCK {
            let now = shard.clock();
            if now >= plan.end.get() {
                return Ok(());
            }
            let unix_ms = unix_ms_at_start + now.ms_since(origin) as i64;
            let stamp = Stamp { at_ns: now.0, step_ns: 0, unix_ms };
            for _ in 0..RECORDS_PER_CLOCK {
                let (key, value) = values.next_record(now.0);
                if producer.try_send(now, &stamp, key, value).is_err() {
                    producer.send(&stamp, key, value).await?;
                    // After a wait the others need a time of their own.
                    break;
                }
            }
        }
        producer.check()?;
        breathe(shard).await;
    }
}

async fn open<O: Observer + 'static>(
    shard: &Shard,
    producer: &Producer<O>,
    values: &mut Values,
    plan: LoadPlan,
    rate: f64,
    lateness: &RefCell<Latency>,
) -> Result<()> {
    let interval_ns = 1e9 / rate;
    let step_ns = interval_ns.round().max(1.0) as u64;
    let unix_ms_at_start = shard.unix_ms();
    let origin = shard.clock();
    let mut next = 0u64;
    let time_of = |index: u64| Mono(plan.start.0 + (index as f64 * interval_ns) as u64);
    loop {
        let now = shard.clock();
        let mut sent = 0;
        while time_of(next) <= now && sent < RECORDS_PER_TURN {
            let at = time_of(next);
            if at >= plan.end.get() {
                return Ok(());
            }
            if sent == 0 {
                lateness.borrow_mut().saturating_record(now.0 - at.0);
            }
            let unix_ms = unix_ms_at_start + now.ms_since(origin) as i64;
            let stamp = Stamp { at_ns: at.0, step_ns, unix_ms };
            let (key, value) = values.next_record(at.0);
            if producer.try_send(now, &stamp, key, value).is_err() {
                producer.send(&stamp, key, value).await?;
                sent = RECORDS_PER_TURN;
            }
            next += 1;
            sent += 1;
        }
        producer.check()?;
        if time_of(next) >= plan.end.get() {
            return Ok(());
        }
        if sent >= RECORDS_PER_TURN {
            breathe(shard).await;
        } else {
            let tick = Mono(now.0 + TICK_NS);
            shard.sleep_until(time_of(next).max(tick).min(plan.end.get())).await;
        }
    }
}

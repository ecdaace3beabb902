//! [`Stretch`]: a stretch of time that begins and ends when something happens, not by the clock,
//! and what broker, generator and machine used in it.

use std::collections::BTreeMap;

use anyhow::Result;
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;

use crate::figures::{Outcome, Warmup};
use crate::host::MachineSample;
use crate::load::{Interval, Latency, Recording};
use crate::target::{ProcessSample, ProcessWatch};

/// A look at everything that is watched.
struct Look {
    at: Mono,
    broker: Option<ProcessSample>,
    own: Option<ProcessSample>,
    machine: MachineSample,
}

/// A stretch that has begun.
pub struct Stretch {
    broker: Option<ProcessWatch>,
    own: Option<ProcessWatch>,
    started_unix_ms: i64,
    before: Look,
}

impl Stretch {
    /// Begins; the broker's peak of memory begins anew.
    pub fn begin(shard: &Shard, broker: Option<&ProcessWatch>) -> Result<Stretch> {
        let (broker, own) = (broker.cloned(), ProcessWatch::own());
        broker.iter().for_each(ProcessWatch::reset_peak);
        let before = look(shard, broker.as_ref(), own.as_ref())?;
        Ok(Stretch { broker, own, started_unix_ms: shard.unix_ms(), before })
    }

    /// Seconds since it began.
    pub fn seconds(&self, shard: &Shard) -> f64 {
        shard.clock().0.saturating_sub(self.before.at.0) as f64 / 1e9
    }

    /// Ends. There was no warm-up.
    pub fn end(&self, shard: &Shard, recording: Recording) -> Result<Outcome> {
        let after = look(shard, self.broker.as_ref(), self.own.as_ref())?;
        let seconds = self.seconds(shard);
        let warmup = Warmup { seconds: 0.0, steady: None };
        let (broker, own) = (self.before.broker.zip(after.broker), self.before.own.zip(after.own));
        Ok(Outcome {
            broker: broker.map(|(before, after)| after.since(&before)),
            machine: Some(after.machine.since(&self.before.machine)),
            generator: own.map(|(before, after)| after.generator_since(&before, seconds)),
            ..Outcome::new(self.started_unix_ms, recording, warmup)
        })
    }
}

fn look(shard: &Shard, broker: Option<&ProcessWatch>, own: Option<&ProcessWatch>) -> Result<Look> {
    Ok(Look {
        broker: broker.map(ProcessWatch::sample).transpose()?,
        own: own.map(ProcessWatch::sample).transpose()?,
        machine: MachineSample::take(),
        at: shard.clock(),
    })
}

/// So many records in one stretch, with latencies.
pub fn recording(seconds: f64, records: u64, latency: Latency) -> Recording {
    let intervals = vec![Interval { records, latency }];
    Recording::of_intervals((seconds, seconds, 1), intervals, 0, BTreeMap::new())
}

//! [`Outcome`]: what one round of one experiment came to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LatencySummary;
use crate::client::Durability;
use crate::load::{Latency, Recording, new_histogram};

/// How long a round warms up and is measured, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// Not measured.
    pub warmup: f64,
    /// The warm-up goes on for so long at most while the load still gets faster.
    pub warmup_max: f64,
    /// Measured.
    pub measured: f64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// When the measured window began.
    pub window_start_unix_ms: i64,
    /// What acknowledgements of its topic meant.
    pub durability: Durability,
    /// Throughput and latency.
    pub recording: Recording,
    /// Latency as another tool has printed it, where there is no histogram; `NaN` is what it does
    /// not say.
    pub printed: Option<LatencySummary>,
    /// The client's metrics over the measured window.
    pub client_metrics: BTreeMap<String, f64>,
    /// The broker's use of the machine within the window, if it is ours to watch.
    pub broker: Option<BrokerUse>,
    /// What sending and receiving the load took of the load's hosts.
    pub generator: Option<GeneratorUse>,
    /// What the rest of the broker's machine did within the window.
    pub machine: Option<MachineUse>,
    /// Open loop: how late the generator itself was.
    pub lateness: Latency,
    /// How it warmed up.
    pub warmup: Warmup,
}

impl Outcome {
    /// An outcome that says no more than this.
    pub fn new(window_start_unix_ms: i64, recording: Recording, warmup: Warmup) -> Outcome {
        Outcome {
            window_start_unix_ms,
            durability: Durability::Unknown,
            recording,
            printed: None,
            client_metrics: BTreeMap::new(),
            broker: None,
            generator: None,
            machine: None,
            lateness: new_histogram(),
            warmup,
        }
    }

    /// Adds another round, which is number `count` counting from 1. Metrics are averaged.
    pub fn add(&mut self, round: Outcome, count: usize) {
        self.recording.add(&round.recording);
        for (name, value) in round.client_metrics {
            let mean = self.client_metrics.entry(name).or_default();
            *mean += (value - *mean) / count as f64;
        }
        self.printed = self.printed.zip(round.printed).map(|(mean, one)| mean.mixed(one, count));
        self.broker = self.broker.zip(round.broker).map(|(one, other)| one.and(other));
        self.generator = self.generator.zip(round.generator).map(|(one, other)| one.and(other));
        self.machine = self.machine.zip(round.machine).map(|(one, other)| one.and(other));
        self.lateness.add(&round.lateness).expect("the same bounds");
        self.warmup = self.warmup.and(round.warmup);
    }

    /// Adds what another host has counted at the same time. Metrics are not among it
    /// (`experiment::merged_metrics`).
    pub fn add_beside(&mut self, host: &Outcome) {
        self.recording.add_beside(&host.recording);
        self.generator = self.generator.zip(host.generator).map(|(one, other)| one.and(other));
        self.lateness.add(&host.lateness).expect("the same bounds");
        self.warmup = self.warmup.and(host.warmup);
    }
}

/// How a round warmed up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup {
    /// For how long.
    pub seconds: f64,
    /// Whether its speed had stopped rising; `None` where the warm-up was too short to tell.
    pub steady: Option<bool>,
}

impl Warmup {
    fn and(self, other: Warmup) -> Warmup {
        let steady = self.steady.zip(other.steady).map(|(one, other)| one && other);
        Warmup { seconds: self.seconds.max(other.seconds), steady }
    }
}

/// What a broker took of its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct BrokerUse {
    /// CPU time.
    pub cpu_seconds: f64,
    /// The kernel's part of it; `None` of a result from before it was told apart.
    pub system_seconds: Option<f64>,
    /// The most resident memory since the run began.
    pub peak_rss_bytes: u64,
    /// Bytes that it caused to be written to storage; `None` where the kernel does not say.
    pub written_bytes: Option<u64>,
    /// Switches of its threads, voluntary or not.
    pub context_switches: u64,
}

impl BrokerUse {
    /// Both together, one after the other.
    #[must_use]
    pub fn and(self, other: BrokerUse) -> BrokerUse {
        BrokerUse {
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
            system_seconds: self.system_seconds.zip(other.system_seconds).map(|(a, b)| a + b),
            peak_rss_bytes: self.peak_rss_bytes.max(other.peak_rss_bytes),
            written_bytes: self.written_bytes.zip(other.written_bytes).map(|(a, b)| a + b),
            context_switches: self.context_switches + other.context_switches,
        }
    }
}

/// What a load took of the machine that it came from: this program, and a tool that it has run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct GeneratorUse {
    /// CPU time.
    pub cpu_seconds: f64,
    /// The kernel's part of it.
    pub system_seconds: f64,
    /// CPU time for each second of the window: 1 is one processor that never rests. Of several
    /// rounds or hosts the highest.
    pub busy: f64,
}

impl GeneratorUse {
    /// Both together, one after the other or side by side.
    #[must_use]
    pub fn and(self, other: GeneratorUse) -> GeneratorUse {
        GeneratorUse {
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
            system_seconds: self.system_seconds + other.system_seconds,
            busy: self.busy.max(other.busy),
        }
    }
}

/// What a machine did while a load ran, beside the processes that are watched. `None` is what it
/// does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct MachineUse {
    /// Processor time that the hypervisor gave to others.
    pub steal_seconds: f64,
    /// Processor time for packets and completions that no process is charged for.
    pub softirq_seconds: f64,
    /// Time in which processors had nothing to do but wait for a disk.
    pub iowait_seconds: f64,
    /// Processor time of the kernel's threads that write back and keep journals.
    pub writeback_seconds: f64,
    /// Bytes that went from the page cache to devices.
    pub written_bytes: u64,
    /// Processor time of targets that only waited for their turn, for each second.
    pub others_busy: Option<f64>,
    /// The longest that the machine stood still.
    pub pause_ms_max: Option<f64>,
}

impl MachineUse {
    /// Both together, one after the other.
    #[must_use]
    pub fn and(self, other: MachineUse) -> MachineUse {
        let higher = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a.max(b));
        MachineUse {
            steal_seconds: self.steal_seconds + other.steal_seconds,
            softirq_seconds: self.softirq_seconds + other.softirq_seconds,
            iowait_seconds: self.iowait_seconds + other.iowait_seconds,
            writeback_seconds: self.writeback_seconds + other.writeback_seconds,
            written_bytes: self.written_bytes + other.written_bytes,
            others_busy: higher(self.others_busy, other.others_busy),
            pause_ms_max: higher(self.pause_ms_max, other.pause_ms_max),
        }
    }
}

/// How a run is getting on.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Live {
    /// Since its first record, in seconds.
    pub elapsed: f64,
    /// Acknowledged lately.
    pub records_per_second: f64,
    /// Their latency.
    pub p99_ms: f64,
}

impl Live {
    /// Of a load that has not begun.
    pub const NOTHING: Live = Live { elapsed: 0.0, records_per_second: 0.0, p99_ms: 0.0 };
}

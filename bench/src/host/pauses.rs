//! [`PauseWatch`]: whether the machine stood still. A hypervisor that stops a guest, or a firmware
//! that takes the processor, stops every clock that a benchmark could see it by, but for one: a
//! thread of real-time priority that asks to be woken soon, and is woken late.
//!
//! A spinning thread would see shorter gaps, and take a whole processor from what is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ringlog_engine::io::{available_cpus, monotonic_ns, pin_to_cpu, set_realtime};

/// Between two looks at the clock.
const LOOK: Duration = Duration::from_millis(2);
/// A round that has a longer gap is marked.
pub const PAUSE_MS_MAX: f64 = 20.0;

/// Threads that look at the clock, one on each processor, until this is dropped.
#[derive(Debug)]
pub struct PauseWatch {
    longest_ns: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl PauseWatch {
    /// Starts to look. `None` where real-time priority is not allowed: a thread without it waits
    /// for its turn like any other, which is no pause.
    pub fn start() -> Option<PauseWatch> {
        let cpus = available_cpus().ok()?;
        let (longest_ns, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut watch = PauseWatch { longest_ns, stop, threads: Vec::new() };
        for cpu in cpus {
            let (longest_ns, stop) = (Arc::clone(&watch.longest_ns), Arc::clone(&watch.stop));
            let (ready, when_ready) = std::sync::mpsc::channel();
            watch.threads.push(std::thread::spawn(move || {
                let allowed = pin_to_cpu(cpu).is_ok() && set_realtime().is_ok();
                // Nobody waits for the answer only if the program ends.
                let _ = ready.send(allowed);
                if allowed {
                    look(&longest_ns, &stop);
                }
            }));
            if when_ready.recv() != Ok(true) {
                return None;
            }
        }
        Some(watch)
    }

    /// The longest gap since the last call, in milliseconds.
    pub fn take_longest_ms(&self) -> f64 {
        self.longest_ns.swap(0, Ordering::Relaxed) as f64 / 1e6
    }
}

impl Drop for PauseWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that only looks at a clock does not panic.
            let _ = thread.join();
        }
    }
}

fn look(longest_ns: &AtomicU64, stop: &AtomicBool) {
    let mut before = monotonic_ns();
    while !stop.load(Ordering::Relaxed) {
        // The sleep itself is what is measured: how much later than asked for it ends.
        std::thread::sleep(LOOK);
        let now = monotonic_ns();
        let late = (now - before).saturating_sub(LOOK.as_nanos() as u64);
        longest_ns.fetch_max(late, Ordering::Relaxed);
        before = now;
    }
}

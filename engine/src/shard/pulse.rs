//! [`Pulse`]: by which another thread sees that a shard is alive.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts a shard's turns. A shard that is woken takes one at once; one that does not is stuck.
#[derive(Debug, Default)]
pub struct Pulse(AtomicU64);

impl Pulse {
    /// Another turn begins.
    pub(super) fn beat(&self) {
        // Only the shard's own thread writes.
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// How many turns there have been.
    pub fn turns(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

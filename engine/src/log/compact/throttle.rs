//! Keeps reading and writing under a rate.

use std::cell::Cell;

use crate::io::Mono;
use crate::shard::Shard;

/// Shorter waits are made up for later.
const WAIT_MIN_NS: u64 = 1_000_000;
/// How often somebody who waits looks whether he still should.
const LOOK_MS: u64 = 50;
/// Time that was not used is forgotten beyond this.
const CREDIT_MAX_NS: u64 = 300_000_000;

/// A rate in bytes per second, kept on average.
pub struct Throttle {
    shard: Shard,
    bytes_per_second: Cell<f64>,
    /// When what was spent so far will have been allowed.
    paid_at: Cell<u64>,
}

impl Throttle {
    /// A throttle that lets everything pass.
    pub fn new(shard: &Shard) -> Throttle {
        let (shard, bytes_per_second) = (shard.clone(), Cell::new(f64::MAX));
        Throttle { shard, bytes_per_second, paid_at: Cell::new(0) }
    }

    /// Sets the rate.
    pub fn set_rate(&self, bytes_per_second: f64) {
        self.bytes_per_second.set(bytes_per_second.max(1.0));
    }

    /// Notes bytes read or written, and waits until they are within the rate, or `stopped`.
    pub async fn spend(&self, bytes: usize, stopped: impl Fn() -> bool) {
        let now = self.shard.clock().0;
        let cost = (bytes as f64 * 1e9 / self.bytes_per_second.get()) as u64;
        let from = self.paid_at.get().max(now.saturating_sub(CREDIT_MAX_NS));
        let paid_at = from.saturating_add(cost);
        self.paid_at.set(paid_at);
        if paid_at < now + WAIT_MIN_NS {
            return;
        }
        while self.shard.now().0 < paid_at && !stopped() {
            let look = self.shard.now().plus_ms(LOOK_MS);
            self.shard.sleep_until(look.min(Mono(paid_at))).await;
        }
    }
}

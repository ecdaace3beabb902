//! Timers: deadlines in their order. One that nobody awaits any more is gone at once.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::Shard;
use crate::io::Mono;

/// A timer's place in the order: its deadline, and which it is of those made.
type Key = (Mono, u64);

/// A shard's timers. Those with the same deadline fire in the order they were made.
#[derive(Default)]
pub(super) struct Timers {
    waiting: BTreeMap<Key, Waker>,
    made: u64,
}

impl Timers {
    fn add(&mut self, deadline: Mono, waker: Waker) -> Key {
        let key = (deadline, self.made);
        self.made += 1;
        self.waiting.insert(key, waker);
        key
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Mono> {
        self.waiting.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// The wakers of all timers due at `now`, earliest first.
    pub(super) fn take_due(&mut self, now: Mono) -> Vec<Waker> {
        let mut due = Vec::new();
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        due
    }
}

/// Ready once its deadline has passed.
pub struct Sleep {
    shard: Shard,
    deadline: Mono,
    timer: Option<Key>,
}

impl Sleep {
    pub(super) fn new(shard: Shard, deadline: Mono) -> Self {
        Self { shard, deadline, timer: None }
    }

    fn forget(&mut self) {
        if let Some(key) = self.timer.take() {
            self.shard.0.timers.borrow_mut().waiting.remove(&key);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.shard.now() >= self.deadline {
            return Poll::Ready(());
        }
        self.forget();
        let deadline = self.deadline;
        let timer = self.shard.0.timers.borrow_mut().add(deadline, cx.waker().clone());
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.forget();
    }
}

/// The future did not end in time; it was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout;

impl Shard {
    /// Awaits `future` until `deadline` at the latest.
    pub async fn timeout_at<T>(
        &self,
        deadline: Mono,
        future: impl Future<Output = T>,
    ) -> Result<T, Timeout> {
        let mut sleep = std::pin::pin!(self.sleep_until(deadline));
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            sleep.as_mut().poll(cx).map(|()| Err(Timeout))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use crate::io::sim::{CrashProfile, World, block_on};

    #[test]
    fn e04_a_timer_that_nobody_awaits_any_more_takes_no_memory() {
        let world = World::new(1, 1, CrashProfile::Ext4);
        block_on(&world, |shard| async move {
            let before = shard.timer_count();
            for _ in 0..1000 {
                let long = shard.now().plus_ms(600_000);
                let soon = shard.timeout_at(long, shard.yield_now()).await;
                soon.expect("it is ready at once");
            }
            assert_eq!(shard.timer_count(), before);
        });
    }
}

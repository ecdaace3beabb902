//! Timers: a heap of deadlines, of which those that nobody awaits any more are skipped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::Shard;
use crate::io::Mono;
use crate::stdx::slab::Slab;

/// A shard's timers. Those with the same deadline fire in the order they were made.
#[derive(Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Mono, u64, u32)>>,
    waiting: Slab<(u64, Waker)>,
    made: u64,
}

impl Timers {
    fn add(&mut self, deadline: Mono, waker: Waker) -> (u32, u64) {
        let number = self.made;
        self.made += 1;
        let slot = self.waiting.insert((number, waker));
        self.heap.push(Reverse((deadline, number, slot)));
        (slot, number)
    }

    fn is_live(&self, slot: u32, number: u64) -> bool {
        self.waiting.get(slot).is_some_and(|(n, _)| *n == number)
    }

    /// The earliest deadline that somebody awaits.
    pub(super) fn next(&mut self) -> Option<Mono> {
        while let Some(&Reverse((deadline, number, slot))) = self.heap.peek() {
            if self.is_live(slot, number) {
                return Some(deadline);
            }
            self.heap.pop();
        }
        None
    }

    /// The wakers of all timers due at `now`, earliest first.
    pub(super) fn take_due(&mut self, now: Mono) -> Vec<Waker> {
        let mut due = Vec::new();
        while self.next().is_some_and(|deadline| deadline <= now) {
            let Some(Reverse((_, _, slot))) = self.heap.pop() else { break };
            due.extend(self.waiting.remove(slot).map(|(_, waker)| waker));
        }
        due
    }
}

/// Ready once its deadline has passed.
pub struct Sleep {
    shard: Shard,
    deadline: Mono,
    timer: Option<(u32, u64)>,
}

impl Sleep {
    pub(super) fn new(shard: Shard, deadline: Mono) -> Self {
        Self { shard, deadline, timer: None }
    }

    fn forget(&mut self) {
        let Some((slot, number)) = self.timer.take() else { return };
        let mut timers = self.shard.0.timers.borrow_mut();
        if timers.is_live(slot, number) {
            timers.waiting.remove(slot);
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

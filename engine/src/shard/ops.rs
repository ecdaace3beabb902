//! Operations in flight: the bridge between futures and the driver's completions.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::Shard;
use crate::io::{Completion, Op, Token};
use crate::stdx::slab::Slab;

/// The shard's operations, by token.
#[derive(Default)]
pub(super) struct Ops {
    slots: Slab<Slot>,
}

enum Slot {
    Waiting(Option<Waker>),
    Done(Box<Completion>),
    /// Nobody waits any more; the completion frees the buffers.
    Orphan,
    Multi(Multi),
}

#[derive(Default)]
struct Multi {
    arrived: VecDeque<Completion>,
    waker: Option<Waker>,
    ended: bool,
    orphan: bool,
}

impl Ops {
    /// Hands a completion to whoever awaits it.
    pub(super) fn complete(&mut self, completion: Completion) {
        let token = completion.token;
        let slot = self.slots.get_mut(token).expect("a completion of an operation in flight");
        match slot {
            Slot::Waiting(waker) => {
                assert!(!completion.more, "one completion was expected");
                let waker = waker.take();
                *slot = Slot::Done(Box::new(completion));
                waker.into_iter().for_each(Waker::wake);
            }
            Slot::Orphan => {
                self.slots.remove(token);
            }
            Slot::Multi(multi) => {
                multi.ended = !completion.more;
                if multi.orphan {
                    if multi.ended {
                        self.slots.remove(token);
                    }
                    return;
                }
                multi.arrived.push_back(completion);
                multi.waker.take().into_iter().for_each(Waker::wake);
            }
            Slot::Done(_) => unreachable!("token {token} completed twice"),
        }
    }
}

/// Resolves to the operation's completion. Dropping it does not end the operation.
pub struct OpFuture {
    shard: Shard,
    state: State,
}

enum State {
    Unsubmitted(Option<Box<Op>>),
    InFlight(Token),
    Finished,
}

impl OpFuture {
    pub(super) fn new(shard: Shard, op: Op) -> Self {
        Self { shard, state: State::Unsubmitted(Some(Box::new(op))) }
    }

    /// Starts the operation now instead of at the first poll.
    #[must_use]
    pub fn started(mut self) -> Self {
        if let Some(completion) = self.start() {
            let token = completion.token;
            self.shard.0.ops.borrow_mut().complete(completion);
            self.state = State::InFlight(token);
        }
        self
    }

    fn start(&mut self) -> Option<Completion> {
        let State::Unsubmitted(op) = &mut self.state else { return None };
        let op = op.take().expect("an operation is submitted once");
        let token = self.shard.0.ops.borrow_mut().slots.insert(Slot::Waiting(None));
        self.state = State::InFlight(token);
        self.shard.0.driver.borrow_mut().submit(token, *op)
    }
}

impl Future for OpFuture {
    type Output = Completion;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Completion> {
        if let Some(completion) = self.start() {
            self.shard.0.ops.borrow_mut().slots.remove(completion.token);
            self.state = State::Finished;
            return Poll::Ready(completion);
        }
        let State::InFlight(token) = self.state else { unreachable!("polled after its end") };
        let mut ops = self.shard.0.ops.borrow_mut();
        match ops.slots.get_mut(token) {
            Some(Slot::Waiting(waker)) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(Slot::Done(_)) => {
                let Some(Slot::Done(completion)) = ops.slots.remove(token) else {
                    unreachable!("just seen")
                };
                drop(ops);
                self.state = State::Finished;
                Poll::Ready(*completion)
            }
            _ => unreachable!("the slot of an awaited operation"),
        }
    }
}

impl Drop for OpFuture {
    fn drop(&mut self) {
        let State::InFlight(token) = self.state else { return };
        let mut ops = self.shard.0.ops.borrow_mut();
        let slot = ops.slots.get_mut(token).expect("the slot lives as long as the future");
        if matches!(slot, Slot::Done(_)) {
            let done = ops.slots.remove(token);
            drop(ops);
            drop(done);
        } else {
            *slot = Slot::Orphan;
        }
    }
}

/// The completions of `Accept` or `RecvMulti`, in order.
pub struct OpStream {
    shard: Shard,
    token: Token,
    /// The last completion was handed out, and the slot is gone.
    finished: bool,
}

impl OpStream {
    pub(super) fn new(shard: Shard, op: Op) -> Self {
        let token = shard.0.ops.borrow_mut().slots.insert(Slot::Multi(Multi::default()));
        let immediate = shard.0.driver.borrow_mut().submit(token, op);
        if let Some(completion) = immediate {
            shard.0.ops.borrow_mut().complete(completion);
        }
        Self { shard, token, finished: false }
    }

    /// The next completion; `None` after the last.
    pub async fn next(&mut self) -> Option<Completion> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Completion>> {
        if self.finished {
            return Poll::Ready(None);
        }
        let mut ops = self.shard.0.ops.borrow_mut();
        let Some(Slot::Multi(multi)) = ops.slots.get_mut(self.token) else {
            unreachable!("the slot lives as long as the stream")
        };
        if let Some(completion) = multi.arrived.pop_front() {
            return Poll::Ready(Some(completion));
        }
        if multi.ended {
            ops.slots.remove(self.token);
            self.finished = true;
            return Poll::Ready(None);
        }
        multi.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Asks the driver to end the series; what has arrived can still be taken with `next`.
    pub fn cancel(&mut self) {
        if !self.finished {
            self.shard.0.driver.borrow_mut().cancel(self.token);
        }
    }
}

impl Drop for OpStream {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let mut ops = self.shard.0.ops.borrow_mut();
        let Some(Slot::Multi(multi)) = ops.slots.get_mut(self.token) else { return };
        if multi.ended {
            let gone = ops.slots.remove(self.token);
            drop(ops);
            drop(gone);
            return;
        }
        multi.orphan = true;
        multi.waker = None;
        let arrived = std::mem::take(&mut multi.arrived);
        drop(ops);
        drop(arrived);
        self.shard.0.driver.borrow_mut().cancel(self.token);
    }
}

//! Operations in flight: the bridge between futures and the driver's completions.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::Shard;
use crate::io::{Completion, Errno, Fd, Mono, Op, Output, Payload, Token};
use crate::stdx::slab::Slab;

/// Buffers of one series that may wait to be taken. At so many the series is paused: the socket is
/// not read until they are taken.
const ARRIVED_BUFFERS_MAX: usize = 16;

/// The shard's operations, by token.
pub(super) struct Ops {
    slots: Slab<Slot>,
    /// Buffers of all series that wait to be taken.
    arrived: usize,
    arrived_max: usize,
}

enum Slot {
    Waiting(Option<Waker>, Option<Started>),
    Done(Box<Completion>),
    /// Nobody waits any more; the completion frees the buffers.
    Orphan(Option<Started>),
    Multi(Multi),
}

/// An operation on a file, and since when it is under way.
type Started = (&'static str, Mono);

#[derive(Default)]
struct Multi {
    arrived: VecDeque<Completion>,
    waker: Option<Waker>,
    ended: bool,
    orphan: bool,
    /// The driver was asked to end the series, to be taken up later.
    paused: bool,
}

/// Whether this is bytes that were received.
fn is_received(completion: &Completion) -> bool {
    matches!(completion.payload, Payload::Buf(_))
        && matches!(completion.result, Ok(Output::Count(1..)))
}

impl Ops {
    /// Of a shard on which `arrived_max` buffers may wait before every series is paused that has
    /// one waiting.
    pub(super) fn new(arrived_max: usize) -> Self {
        Self { slots: Slab::default(), arrived: 0, arrived_max }
    }

    /// Hands a completion to whoever awaits it. Gives the token of a series that must be cancelled,
    /// because too much of it waits.
    pub(super) fn complete(&mut self, completion: Completion) -> Option<Token> {
        let token = completion.token;
        let slot = self.slots.get_mut(token).expect("a completion of an operation in flight");
        match slot {
            Slot::Waiting(waker, _) => {
                assert!(!completion.more, "one completion was expected");
                let waker = waker.take();
                *slot = Slot::Done(Box::new(completion));
                waker.into_iter().for_each(Waker::wake);
            }
            Slot::Orphan(_) => {
                self.slots.remove(token);
            }
            Slot::Multi(multi) => {
                multi.ended = !completion.more;
                if multi.orphan {
                    if multi.ended {
                        self.slots.remove(token);
                    }
                    return None;
                }
                let received = is_received(&completion);
                if multi.paused && multi.ended {
                    // It may have come to an end of its own meanwhile.
                    multi.paused = received || completion.result == Err(Errno::ECANCELED);
                }
                if received || !multi.paused {
                    self.arrived += usize::from(received);
                    multi.arrived.push_back(completion);
                }
                multi.waker.take().into_iter().for_each(Waker::wake);
                let full =
                    multi.arrived.len() >= ARRIVED_BUFFERS_MAX || self.arrived >= self.arrived_max;
                let full = received && full;
                if full && !multi.ended && !multi.paused {
                    multi.paused = true;
                    return Some(token);
                }
            }
            Slot::Done(_) => unreachable!("token {token} completed twice"),
        }
        None
    }

    pub(super) fn oldest_file_operation(&self) -> Option<Started> {
        let started = self.slots.iter().filter_map(|(_, slot)| match slot {
            Slot::Waiting(_, started) | Slot::Orphan(started) => *started,
            Slot::Done(_) | Slot::Multi(_) => None,
        });
        started.min_by_key(|(_, since)| *since)
    }
}

/// Resolves to the operation's completion. Dropping it does not end the operation, but for a
/// receive, which might never end by itself: the driver is asked to end that.
pub struct OpFuture {
    shard: Shard,
    state: State,
    waits_for_peer: bool,
}

enum State {
    Unsubmitted(Option<Box<Op>>),
    InFlight(Token),
    Finished,
}

impl OpFuture {
    pub(super) fn new(shard: Shard, op: Op) -> Self {
        let waits_for_peer = matches!(op, Op::Recv { .. });
        Self { shard, state: State::Unsubmitted(Some(Box::new(op))), waits_for_peer }
    }

    /// Asks the driver to end the operation early. Its completion arrives all the same, with what
    /// has been done by then.
    pub fn cancel(&mut self) {
        if let State::InFlight(token) = self.state {
            self.shard.0.driver.borrow_mut().cancel(token);
        }
    }

    /// Starts the operation now instead of at the first poll.
    #[must_use]
    pub fn started(mut self) -> Self {
        if let Some(completion) = self.start() {
            let token = completion.token;
            let full = self.shard.0.ops.borrow_mut().complete(completion);
            assert!(full.is_none(), "a single operation is no series");
            self.state = State::InFlight(token);
        }
        self
    }

    fn start(&mut self) -> Option<Completion> {
        let State::Unsubmitted(op) = &mut self.state else { return None };
        let op = op.take().expect("an operation is submitted once");
        let started = op.on_file().map(|name| (name, self.shard.now()));
        let token = self.shard.0.ops.borrow_mut().slots.insert(Slot::Waiting(None, started));
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
            Some(Slot::Waiting(waker, _)) => {
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
        if let Slot::Waiting(_, started) = slot {
            *slot = Slot::Orphan(*started);
            drop(ops);
            if self.waits_for_peer {
                self.cancel();
            }
            return;
        }
        let done = ops.slots.remove(token);
        drop(ops);
        drop(done);
    }
}

/// The completions of `Accept` or `RecvMulti`, in order.
pub struct OpStream {
    shard: Shard,
    token: Token,
    /// Of a series of receives, which may be paused: their socket.
    receives_from: Option<Fd>,
    /// The last completion was handed out, and the slot is gone.
    finished: bool,
}

impl OpStream {
    pub(super) fn new(shard: Shard, op: Op) -> Self {
        let receives_from = match op {
            Op::RecvMulti { socket } => Some(socket),
            _ => None,
        };
        let token = Self::start(&shard, op);
        Self { shard, token, receives_from, finished: false }
    }

    fn start(shard: &Shard, op: Op) -> Token {
        let token = shard.0.ops.borrow_mut().slots.insert(Slot::Multi(Multi::default()));
        let immediate = shard.0.driver.borrow_mut().submit(token, op);
        if let Some(completion) = immediate {
            let full = shard.0.ops.borrow_mut().complete(completion);
            assert!(full.is_none(), "one completion fills nothing");
        }
        token
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
            ops.arrived -= usize::from(is_received(&completion));
            return Poll::Ready(Some(completion));
        }
        if !multi.ended {
            multi.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let paused = multi.paused;
        ops.slots.remove(self.token);
        drop(ops);
        if let Some(socket) = self.receives_from.filter(|_| paused) {
            self.token = Self::start(&self.shard, Op::RecvMulti { socket });
            return self.poll_next(cx);
        }
        self.finished = true;
        Poll::Ready(None)
    }

    /// Asks the driver to end the series; what has arrived can still be taken with `next`.
    pub fn cancel(&mut self) {
        // Nor is it taken up again, if it is paused.
        self.receives_from = None;
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
        let arrived = std::mem::take(&mut multi.arrived);
        let ended = multi.ended;
        multi.orphan = true;
        multi.waker = None;
        ops.arrived -= arrived.iter().filter(|completion| is_received(completion)).count();
        if ended {
            ops.slots.remove(self.token);
            return;
        }
        drop(ops);
        drop(arrived);
        self.shard.0.driver.borrow_mut().cancel(self.token);
    }
}

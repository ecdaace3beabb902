//! Tasks and the queues of those that are ready to run.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Wake;

/// A task's place in its shard's slab, and which of the slot's successive tasks it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TaskId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

pub(super) type BoxFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A spawned future and the waker that queues it.
pub(super) struct Task {
    pub(super) id: TaskId,
    /// Taken out while it is being polled.
    pub(super) future: Option<BoxFuture>,
    pub(super) waker: Arc<TaskWaker>,
}

/// The tasks of one shard that have something to do.
#[derive(Default)]
pub(super) struct ReadyQueue {
    pub(super) ready: RefCell<VecDeque<TaskId>>,
    /// Tasks that want to run once nothing else is ready ([`super::Shard::run_last`]).
    pub(super) last: RefCell<VecDeque<TaskId>>,
    pub(super) polls: Cell<u64>,
}

impl ReadyQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.ready.borrow().is_empty() && self.last.borrow().is_empty()
    }
}

thread_local! {
    /// The ready queues of the shards that live on this thread: one in production, many in a
    /// simulation. Wakers find theirs by its number, so that they need no lock.
    static QUEUES: RefCell<Vec<(u64, Rc<ReadyQueue>)>> = const { RefCell::new(Vec::new()) };
}

static NEXT_QUEUE: AtomicU64 = AtomicU64::new(1);

/// A ready queue's registration on this thread, ended by dropping it.
pub(super) struct Registered {
    pub(super) number: u64,
    pub(super) queue: Rc<ReadyQueue>,
}

impl Registered {
    pub(super) fn new() -> Self {
        let number = NEXT_QUEUE.fetch_add(1, Ordering::Relaxed);
        let queue = Rc::new(ReadyQueue::default());
        QUEUES.with_borrow_mut(|queues| queues.push((number, Rc::clone(&queue))));
        Self { number, queue }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let number = self.number;
        QUEUES.with_borrow_mut(|queues| queues.retain(|(n, _)| *n != number));
    }
}

/// Queues its task when woken. Wakers must stay on their shard's thread; what crosses threads is
/// a mailbox or an `Unpark`.
pub(super) struct TaskWaker {
    pub(super) queue: u64,
    pub(super) task: TaskId,
    /// In the ready queue already.
    pub(super) queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::Relaxed) {
            return;
        }
        QUEUES.with_borrow(|queues| {
            match queues.iter().find(|(number, _)| *number == self.queue) {
                Some((_, queue)) => queue.ready.borrow_mut().push_back(self.task),
                // The shard is gone (its tasks are being dropped), or this is another thread.
                None => debug_assert!(
                    std::thread::panicking() || queues.is_empty(),
                    "a task was woken from a thread that is not its shard's"
                ),
            }
        });
    }
}

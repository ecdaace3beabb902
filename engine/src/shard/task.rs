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

/// Who goes first among the tasks that are ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskClass {
    /// At once.
    #[default]
    Foreground,
    /// Some in each turn, after the others: thousands of them may be ready at the same moment, and
    /// nobody else is to wait for all of them.
    Background,
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
    pub(super) background: RefCell<VecDeque<TaskId>>,
    /// Tasks that want to run once nothing else is ready ([`super::Shard::run_last`]).
    pub(super) last: RefCell<VecDeque<TaskId>>,
    pub(super) polls: Cell<u64>,
}

impl ReadyQueue {
    pub(super) fn is_empty(&self) -> bool {
        let queues = [&self.ready, &self.background, &self.last];
        queues.iter().all(|queue| queue.borrow().is_empty())
    }

    pub(super) fn push(&self, task: TaskId, class: TaskClass) {
        let queue = match class {
            TaskClass::Foreground => &self.ready,
            TaskClass::Background => &self.background,
        };
        queue.borrow_mut().push_back(task);
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
    background: AtomicBool,
}

impl TaskWaker {
    /// Of a task that is queued already.
    pub(super) fn queued(queue: u64, task: TaskId, class: TaskClass) -> Self {
        let background = AtomicBool::new(class == TaskClass::Background);
        Self { queue, task, queued: AtomicBool::new(true), background }
    }

    pub(super) fn set_class(&self, class: TaskClass) {
        self.background.store(class == TaskClass::Background, Ordering::Relaxed);
    }

    fn class(&self) -> TaskClass {
        match self.background.load(Ordering::Relaxed) {
            true => TaskClass::Background,
            false => TaskClass::Foreground,
        }
    }
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
                Some((_, queue)) => queue.push(self.task, self.class()),
                // The shard is gone (its tasks are being dropped), or this is another thread.
                None => debug_assert!(
                    std::thread::panicking() || queues.is_empty(),
                    "a task was woken from a thread that is not its shard's"
                ),
            }
        });
    }
}

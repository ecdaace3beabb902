//! [`Shard`]: the executor of one thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use super::ops::{OpFuture, OpStream, Ops};
use super::pulse::Pulse;
use super::sync::Budget;
use super::task::{Registered, Task, TaskClass, TaskId, TaskWaker};
use super::timer::{Sleep, Timers};
use crate::io::{Completion, Driver, Mono, Op, Unpark};
use crate::stdx::slab::Slab;
use crate::types::ShardId;

/// How many tasks run before input and output get their turn again.
const TASKS_PER_TURN_MAX: usize = 256;
/// How many of them are of the background: a millisecond or two of work.
const BACKGROUND_PER_TURN_MAX: usize = 32;

/// A handle to the executor of this thread; clones are the same shard.
#[derive(Clone)]
pub struct Shard(pub(super) Rc<Inner>);

/// Hosts that a shard looks up at a time.
const LOOKUPS_MAX: usize = 4;

/// Picks one of so many.
pub type Pick = Box<dyn FnMut(usize) -> usize>;

/// How a shard runs.
pub struct ShardOptions {
    /// Simulation: picks the next task among so many that are ready. Without one they have their
    /// turn in their order.
    pub pick: Option<Pick>,
    /// Buffers that may have been received for connections and wait for their tasks; each
    /// connection may have one more.
    pub arrived_buffers_max: usize,
}

impl Default for ShardOptions {
    fn default() -> Self {
        Self { pick: None, arrived_buffers_max: 4096 }
    }
}

/// Something that feeds a shard from outside its driver: the mailboxes of other shards.
pub trait Source {
    /// Handles what has arrived; false if there was nothing.
    fn drain(&mut self) -> bool;
    /// Announces that the shard is about to sleep; returns false if something has arrived.
    fn park(&mut self) -> bool;
    /// The shard is awake again.
    fn unpark(&mut self);
}

pub(super) struct Inner {
    id: ShardId,
    pub(super) driver: RefCell<Box<dyn Driver>>,
    pub(super) ops: RefCell<Ops>,
    pub(super) timers: RefCell<Timers>,
    tasks: RefCell<Slab<Task>>,
    generation: Cell<u32>,
    registered: Registered,
    sources: RefCell<Vec<Box<dyn Source>>>,
    completions: RefCell<Vec<Completion>>,
    pick: RefCell<Option<Pick>>,
    /// Set by the running task: queue it behind all others.
    wants_last: Cell<bool>,
    /// Set by the running task: its class from now on.
    wants_class: Cell<Option<TaskClass>>,
    /// The main task of `run` is done.
    stopping: Cell<bool>,
    /// The driver's clock as of this turn.
    now: Cell<Mono>,
    pulse: Arc<Pulse>,
    /// Turns of looking hosts up, each of which takes a thread.
    pub(super) lookups: Rc<Budget>,
    /// What is done when the process has no descriptor left for a file.
    spare_files: RefCell<Option<Rc<dyn Fn()>>>,
}

impl Shard {
    /// The executor of shard `id`, to be run by the thread that makes it.
    pub fn new(id: ShardId, driver: Box<dyn Driver>, options: ShardOptions) -> Shard {
        let now = driver.now();
        Shard(Rc::new(Inner {
            id,
            driver: RefCell::new(driver),
            ops: RefCell::new(Ops::new(options.arrived_buffers_max)),
            timers: RefCell::default(),
            tasks: RefCell::default(),
            generation: Cell::new(0),
            registered: Registered::new(),
            sources: RefCell::default(),
            completions: RefCell::default(),
            pick: RefCell::new(options.pick),
            wants_last: Cell::new(false),
            wants_class: Cell::new(None),
            stopping: Cell::new(false),
            now: Cell::new(now),
            pulse: Arc::default(),
            lookups: Budget::new(LOOKUPS_MAX),
            spare_files: RefCell::default(),
        }))
    }

    /// Has `spare` called when the process has no descriptor left for a file: it is to let go of
    /// files that can be opened again.
    pub fn on_lack_of_files(&self, spare: Rc<dyn Fn()>) {
        *self.0.spare_files.borrow_mut() = Some(spare);
    }

    pub(super) fn spare_files(&self) {
        let spare = self.0.spare_files.borrow().clone();
        spare.inspect(|spare| spare());
    }

    /// This shard's number.
    pub fn id(&self) -> ShardId {
        self.0.id
    }

    /// The monotonic clock, exact to this turn.
    pub fn now(&self) -> Mono {
        self.0.now.get()
    }

    /// The monotonic clock, read now.
    pub fn clock(&self) -> Mono {
        self.0.driver.borrow().now()
    }

    /// The wall clock, in milliseconds since 1970.
    pub fn unix_ms(&self) -> i64 {
        self.0.driver.borrow().unix_ms()
    }

    /// 64 random bits.
    pub fn random(&self) -> u64 {
        self.0.driver.borrow_mut().random()
    }

    /// A handle by which another thread wakes this shard.
    pub fn unparker(&self) -> Arc<dyn Unpark> {
        self.0.driver.borrow().unparker()
    }

    /// The driver's description, for the log at start.
    pub fn describe_driver(&self) -> String {
        self.0.driver.borrow().describe()
    }

    /// Wakes another shard of the node.
    pub fn wake_shard(&self, shard: ShardId) {
        self.0.driver.borrow_mut().wake(usize::from(shard.0));
    }

    /// Runs a task until it is done; nobody waits for it.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.spawn_as(TaskClass::Foreground, future);
    }

    /// As [`Shard::spawn`], a task of this class.
    pub fn spawn_as(&self, class: TaskClass, future: impl Future<Output = ()> + 'static) {
        let generation = self.0.generation.get();
        self.0.generation.set(generation.wrapping_add(1));
        let queue = self.0.registered.number;
        let mut id = TaskId { slot: 0, generation };
        self.0.tasks.borrow_mut().insert_with(|slot| {
            id.slot = slot;
            let waker = Arc::new(TaskWaker::queued(queue, id, class));
            Task { id, future: Some(Box::pin(future)), waker }
        });
        self.0.registered.queue.push(id, class);
    }

    /// Starts an operation; the future gives its completion.
    pub fn submit(&self, op: Op) -> OpFuture {
        OpFuture::new(self.clone(), op)
    }

    /// Starts an operation that completes many times.
    pub fn submit_multi(&self, op: Op) -> OpStream {
        OpStream::new(self.clone(), op)
    }

    /// A future that is ready after `ms` milliseconds.
    pub fn sleep_ms(&self, ms: u64) -> Sleep {
        self.sleep_until(self.now().plus_ms(ms))
    }

    /// A future that is ready at `deadline`.
    pub fn sleep_until(&self, deadline: Mono) -> Sleep {
        Sleep::new(self.clone(), deadline)
    }

    /// Lets other tasks run, then goes on.
    pub async fn yield_now(&self) {
        let mut yielded = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Goes on once no other task is ready, or at the end of a turn: what wants to see all of a
    /// turn's work, such as a group commit, waits here.
    pub async fn run_last(&self) {
        let mut queued = false;
        poll_fn(|_| {
            if std::mem::replace(&mut queued, true) {
                return Poll::Ready(());
            }
            self.0.wants_last.set(true);
            Poll::Pending
        })
        .await;
    }

    /// What the running task is from the next time on that it is woken.
    pub fn set_class(&self, class: TaskClass) {
        self.0.wants_class.set(Some(class));
    }

    /// Feeds the shard from `source` at every turn.
    pub fn add_source(&self, source: Box<dyn Source>) {
        self.0.sources.borrow_mut().push(source);
    }

    /// Runs the shard until `main` is done, and returns what it gives. Tasks that are still
    /// running then are dropped with the shard.
    pub fn run<T: 'static>(&self, main: impl Future<Output = T> + 'static) -> T {
        self.run_turns(u64::MAX, main).expect("only the end of main ends it")
    }

    /// As [`Shard::run`], for so many turns at most: `None` if `main` was not done by then.
    pub fn run_turns<T: 'static>(
        &self,
        turns_max: u64,
        main: impl Future<Output = T> + 'static,
    ) -> Option<T> {
        let result = Rc::new(RefCell::new(None));
        let (slot, shard) = (Rc::clone(&result), self.clone());
        self.spawn(async move {
            let value = main.await;
            *slot.borrow_mut() = Some(value);
            shard.0.stopping.set(true);
        });
        for _ in 0..turns_max {
            self.turn(true);
            if self.0.stopping.take() {
                break;
            }
        }
        result.take()
    }

    /// One turn: drain the mailboxes, run what is ready, let the driver work. With `wait` the
    /// driver sleeps when there is nothing to do. False if nothing happened.
    pub fn turn(&self, wait: bool) -> bool {
        self.0.pulse.beat();
        self.0.now.set(self.0.driver.borrow().now());
        let mut busy = self.drain_sources();
        busy |= self.fire_timers();
        busy |= self.run_ready();
        let mut sleep = wait && !self.0.stopping.get() && self.0.registered.queue.is_empty();
        if sleep {
            sleep = self.0.sources.borrow_mut().iter_mut().all(|source| source.park());
        }
        let deadline = if sleep { self.0.timers.borrow().next() } else { Some(Mono(0)) };
        let mut completions = self.0.completions.take();
        self.0.driver.borrow_mut().poll(deadline, &mut completions);
        for source in self.0.sources.borrow_mut().iter_mut() {
            source.unpark();
        }
        busy |= !completions.is_empty();
        for completion in completions.drain(..) {
            let full = self.0.ops.borrow_mut().complete(completion);
            if let Some(token) = full {
                self.0.driver.borrow_mut().cancel(token);
            }
        }
        self.0.completions.replace(completions);
        busy
    }

    /// When the earliest timer fires, `None` without one. For a simulation's clock.
    pub fn next_timer(&self) -> Option<Mono> {
        self.0.timers.borrow().next()
    }

    /// How many timers tasks wait for.
    pub fn timer_count(&self) -> usize {
        self.0.timers.borrow().len()
    }

    /// Whether a task is ready to run.
    pub fn has_ready(&self) -> bool {
        !self.0.registered.queue.is_empty()
    }

    /// How many tasks have been polled so far.
    pub fn polls(&self) -> u64 {
        self.0.registered.queue.polls.get()
    }

    /// The count of this shard's turns, for another thread to watch.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.0.pulse)
    }

    /// The operation on a file that has been under way for longest, and since when. Such an
    /// operation ends, unless the device or the kernel is stuck.
    pub fn oldest_file_operation(&self) -> Option<(&'static str, Mono)> {
        self.0.ops.borrow().oldest_file_operation()
    }

    fn drain_sources(&self) -> bool {
        let mut busy = false;
        // A handler may add a source, so none is borrowed while one runs.
        let mut sources = self.0.sources.take();
        for source in &mut sources {
            busy |= source.drain();
        }
        sources.append(&mut self.0.sources.borrow_mut());
        self.0.sources.replace(sources);
        busy
    }

    fn fire_timers(&self) -> bool {
        let due = self.0.timers.borrow_mut().take_due(self.now());
        let busy = !due.is_empty();
        due.into_iter().for_each(Waker::wake);
        busy
    }

    fn run_ready(&self) -> bool {
        let queue = &self.0.registered.queue;
        let mut background_left = BACKGROUND_PER_TURN_MAX;
        for count in 0..TASKS_PER_TURN_MAX {
            let mut next = self.take(&queue.ready);
            if next.is_none() && background_left > 0 {
                next = self.take(&queue.background);
                background_left -= usize::from(next.is_some());
            }
            let Some(id) = next.or_else(|| queue.last.borrow_mut().pop_front()) else {
                return count > 0;
            };
            self.run_task(id);
        }
        // Where something is always ready, the others have their turn all the same.
        for _ in 0..background_left {
            let Some(id) = self.take(&queue.background) else { break };
            self.run_task(id);
        }
        let waiting = queue.last.borrow().len();
        for _ in 0..waiting {
            let id = queue.last.borrow_mut().pop_front();
            id.into_iter().for_each(|id| self.run_task(id));
        }
        true
    }

    fn take(&self, queue: &RefCell<VecDeque<TaskId>>) -> Option<TaskId> {
        let mut queue = queue.borrow_mut();
        match self.0.pick.borrow_mut().as_mut() {
            Some(pick) if queue.len() > 1 => {
                let at = pick(queue.len());
                queue.remove(at)
            }
            _ => queue.pop_front(),
        }
    }

    fn run_task(&self, id: TaskId) {
        let queue = &self.0.registered.queue;
        queue.polls.set(queue.polls.get() + 1);
        let (mut future, waker) = {
            let mut tasks = self.0.tasks.borrow_mut();
            let Some(task) = tasks.get_mut(id.slot).filter(|task| task.id == id) else { return };
            let Some(future) = task.future.take() else { return };
            task.waker.queued.store(false, Ordering::Relaxed);
            (future, Arc::clone(&task.waker))
        };
        let context = Waker::from(Arc::clone(&waker));
        let done = future.as_mut().poll(&mut Context::from_waker(&context)).is_ready();
        let last = self.0.wants_last.take();
        self.0.wants_class.take().inspect(|class| waker.set_class(*class));
        let mut tasks = self.0.tasks.borrow_mut();
        if done {
            let task = tasks.remove(id.slot);
            drop(tasks);
            // Destructors may spawn or wake.
            drop((task, future));
        } else {
            tasks.get_mut(id.slot).expect("only its own end removes a task").future = Some(future);
            if last && !waker.queued.swap(true, Ordering::Relaxed) {
                queue.last.borrow_mut().push_back(id);
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Tasks hold clones of the shard: those that never end keep it alive. `run` is the end of
        // the thread in production; simulations call `abandon`.
        debug_assert!(self.tasks.get_mut().is_empty() || std::thread::panicking());
    }
}

impl Shard {
    /// Drops every task where it stands, as a crash does. The shard can be dropped afterwards.
    pub fn abandon(&self) {
        loop {
            let mut tasks = self.0.tasks.take();
            if tasks.is_empty() {
                return;
            }
            let slots: Vec<u32> = tasks.iter().map(|(slot, _)| slot).collect();
            for slot in slots {
                drop(tasks.remove(slot));
            }
        }
    }
}

//! How tasks of one shard wait for each other. Nothing here crosses threads.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{Shard, TaskClass};
use crate::stdx::slab::Slab;

/// Something that happens again and again, and for which any number of tasks may wait.
#[derive(Default)]
pub struct Event {
    count: Cell<u64>,
    waiting: RefCell<Slab<Waker>>,
}

/// Waits for the next `notify` of an [`Event`] after it was made. Leaves no trace when dropped.
pub struct EventWait<'a> {
    event: &'a Event,
    seen: u64,
    slot: Option<u32>,
}

impl Event {
    /// Wakes everyone who waits.
    pub fn notify(&self) {
        self.count.set(self.count.get() + 1);
        // The slots stay taken until their waiters are polled or dropped.
        let waiting = self.waiting.borrow();
        waiting.iter().for_each(|(_, waker)| waker.wake_by_ref());
    }

    /// How often `notify` was called.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// Waits for the next `notify`.
    pub fn wait(&self) -> EventWait<'_> {
        EventWait { event: self, seen: self.count.get(), slot: None }
    }

    /// Waits until `condition` gives a value; it is asked again at every `notify`.
    pub async fn until<T>(&self, mut condition: impl FnMut() -> Option<T>) -> T {
        loop {
            let next = self.wait();
            if let Some(value) = condition() {
                return value;
            }
            next.await;
        }
    }
}

impl Future for EventWait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.event.count.get() != self.seen {
            return Poll::Ready(());
        }
        let mut waiting = self.event.waiting.borrow_mut();
        match self.slot {
            Some(slot) => *waiting.get_mut(slot).expect("its own slot") = cx.waker().clone(),
            None => {
                let slot = waiting.insert(cx.waker().clone());
                drop(waiting);
                self.slot = Some(slot);
            }
        }
        Poll::Pending
    }
}

impl Drop for EventWait<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.event.waiting.borrow_mut().remove(slot);
        }
    }
}

struct OneshotState<T> {
    value: Option<T>,
    waker: Option<Waker>,
    closed: bool,
}

/// The sending half of [`oneshot`].
pub struct OneshotSender<T>(Rc<RefCell<OneshotState<T>>>);

/// The receiving half of [`oneshot`]: a future of the value, or `None` if the sender was dropped.
pub struct OneshotReceiver<T>(Rc<RefCell<OneshotState<T>>>);

/// Carries one value from one task to another.
pub fn oneshot<T>() -> (OneshotSender<T>, OneshotReceiver<T>) {
    let state = Rc::new(RefCell::new(OneshotState { value: None, waker: None, closed: false }));
    (OneshotSender(Rc::clone(&state)), OneshotReceiver(state))
}

impl<T> OneshotSender<T> {
    /// Delivers the value.
    pub fn send(self, value: T) {
        self.0.borrow_mut().value = Some(value);
    }
}

impl<T> Drop for OneshotSender<T> {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.borrow_mut();
            state.closed = true;
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T> OneshotReceiver<T> {
    /// Whether awaiting would give an answer at once.
    pub fn is_ready(&self) -> bool {
        self.0.borrow().closed
    }
}

impl<T> Future for OneshotReceiver<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.borrow_mut();
        if state.closed {
            return Poll::Ready(state.value.take());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A queue between tasks. Its length is bounded by those who push.
pub struct Queue<T> {
    items: RefCell<VecDeque<T>>,
    closed: Cell<bool>,
    changed: Event,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let items = RefCell::new(VecDeque::new());
        Self { items, closed: Cell::new(false), changed: Event::default() }
    }
}

impl<T> Queue<T> {
    /// Appends an item.
    pub fn push(&self, item: T) {
        self.items.borrow_mut().push_back(item);
        self.changed.notify();
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.items.borrow().len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.items.borrow().is_empty()
    }

    /// Takes the first item, if there is one.
    pub fn try_pop(&self) -> Option<T> {
        let item = self.items.borrow_mut().pop_front();
        if item.is_some() {
            self.changed.notify();
        }
        item
    }

    /// Takes the first item, waiting for it; `None` once the queue is closed and empty.
    pub async fn pop(&self) -> Option<T> {
        self.changed
            .until(|| match self.items.borrow_mut().pop_front() {
                Some(item) => Some(Some(item)),
                None => self.closed.get().then_some(None),
            })
            .await
            .inspect(|_| self.changed.notify())
    }

    /// Waits until fewer than `len` items wait, or the queue is closed.
    pub async fn until_shorter_than(&self, len: usize) {
        let shorter = || (self.len() < len || self.closed.get()).then_some(());
        self.changed.until(shorter).await;
    }

    /// No more items come; `pop` gives what is left, then `None`.
    pub fn close(&self) {
        self.closed.set(true);
        self.changed.notify();
    }

    /// Whether `close` was called.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }
}

/// Where both classes wait for a budget's units, the background has one turn in so many.
const BACKGROUND_ONE_IN: u64 = 4;

/// A number of units (bytes, requests) that tasks take and give back, first come, first served
/// within a class. Thousands may wait: giving back wakes those alone whose units there are.
pub struct Budget {
    free: Cell<usize>,
    total: usize,
    /// Of the foreground and of the background, by number. Who is not in it any more has its units.
    queues: RefCell<[VecDeque<Waiting>; 2]>,
    tickets: Cell<u64>,
    /// How many have got the units that they waited for.
    turns: Cell<u64>,
}

/// Who waits for units.
struct Waiting {
    number: u64,
    units: usize,
    waker: Option<Waker>,
}

/// Units taken from a [`Budget`], given back when dropped.
pub struct Share {
    budget: Rc<Budget>,
    units: usize,
}

impl Budget {
    /// A budget of `total` units.
    pub fn new(total: usize) -> Rc<Budget> {
        let (free, queues) = (Cell::new(total), RefCell::default());
        Rc::new(Budget { free, total, queues, tickets: Cell::new(0), turns: Cell::new(0) })
    }

    /// Units that nobody holds.
    pub fn free(&self) -> usize {
        self.free.get()
    }

    /// Whether anybody waits for units.
    pub fn is_short(&self) -> bool {
        self.queues.borrow().iter().any(|queue| !queue.is_empty())
    }

    /// Takes `units` if they are free and nobody waits for any.
    pub fn try_take(self: &Rc<Self>, units: usize) -> Option<Share> {
        let units = units.min(self.total);
        let nobody_waits = self.queues.borrow().iter().all(VecDeque::is_empty);
        (nobody_waits && self.free.get() >= units).then(|| {
            self.free.set(self.free.get() - units);
            Share { budget: Rc::clone(self), units }
        })
    }

    /// Takes `units`, waiting for them. More than the whole budget is taken alone, as the whole
    /// budget: what is allowed at all (by a frame's own limit) must not wait for ever.
    pub async fn take(self: &Rc<Self>, units: usize) -> Share {
        self.take_as(TaskClass::Foreground, units).await
    }

    /// As [`Budget::take`]. Of those that wait the foreground goes first, most of the time.
    pub async fn take_as(self: &Rc<Self>, class: TaskClass, units: usize) -> Share {
        let units = units.min(self.total);
        let nobody_waits = self.queues.borrow()[..=class as usize].iter().all(VecDeque::is_empty);
        if nobody_waits && self.free.get() >= units {
            self.free.set(self.free.get() - units);
        } else {
            let number = self.tickets.get();
            self.tickets.set(number + 1);
            let waiting = Waiting { number, units, waker: None };
            self.queues.borrow_mut()[class as usize].push_back(waiting);
            let mut ticket = Ticket { budget: self, class, number, units, taken: false };
            poll_fn(|cx| self.poll_units(class, number, cx)).await;
            ticket.taken = true;
        }
        Share { budget: Rc::clone(self), units }
    }

    fn poll_units(&self, class: TaskClass, number: u64, cx: &mut Context<'_>) -> Poll<()> {
        let queue = &mut self.queues.borrow_mut()[class as usize];
        match queue.binary_search_by_key(&number, |waiting| waiting.number) {
            Ok(at) => {
                queue[at].waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Err(_) => Poll::Ready(()),
        }
    }

    fn give_back(&self, units: usize) {
        self.free.set(self.free.get() + units);
        let [foreground, background] = &mut *self.queues.borrow_mut();
        loop {
            let turn = self.turns.get();
            let background_goes = turn.is_multiple_of(BACKGROUND_ONE_IN) && !background.is_empty();
            let queue = match background_goes || foreground.is_empty() {
                true => &mut *background,
                false => &mut *foreground,
            };
            let next = queue.pop_front_if(|first| first.units <= self.free.get());
            let Some(next) = next else { break };
            self.turns.set(turn + 1);
            self.free.set(self.free.get() - next.units);
            if let Some(waker) = next.waker {
                waker.wake();
            }
        }
    }
}

/// A place in the queue, or the units that were got there.
struct Ticket<'a> {
    budget: &'a Budget,
    class: TaskClass,
    number: u64,
    units: usize,
    taken: bool,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let mut queues = self.budget.queues.borrow_mut();
        let queue = &mut queues[self.class as usize];
        let units = match queue.binary_search_by_key(&self.number, |waiting| waiting.number) {
            Ok(at) => {
                queue.remove(at);
                0
            }
            Err(_) => self.units,
        };
        drop(queues);
        // Whoever waited behind it may be first now.
        self.budget.give_back(units);
    }
}

impl Share {
    /// How many units it has.
    pub fn units(&self) -> usize {
        self.units
    }

    /// Gives back all but `units`.
    pub fn shrink_to(&mut self, units: usize) {
        let surplus = self.units.saturating_sub(units);
        self.units -= surplus;
        self.budget.give_back(surplus);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.units);
    }
}

impl Shard {
    /// Does `work` for every item, for at most `limit` of them at a time, and waits for all.
    pub async fn for_each<T, F: Future<Output = ()> + 'static>(
        &self,
        items: impl IntoIterator<Item = T>,
        limit: usize,
        work: impl Fn(T) -> F,
    ) {
        let turns = Budget::new(limit);
        for item in items {
            let turn = turns.take(1).await;
            let work = work(item);
            self.spawn(async move {
                work.await;
                drop(turn);
            });
        }
        drop(turns.take(limit).await);
    }
}

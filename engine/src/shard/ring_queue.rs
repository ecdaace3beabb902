//! A bounded queue from one thread to another: one producer, one consumer, no lock.
//!
//! The slots form a ring; `tail` counts what was pushed, `head` what was popped. Each side owns one
//! counter and reads the other's. The model checker loom runs the tests below over every
//! interleaving (`scripts/test` sets `--cfg loom`).

#[cfg(loom)]
use loom::{
    cell::UnsafeCell,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
};
#[cfg(not(loom))]
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// std's UnsafeCell with loom's way of lending.
#[cfg(not(loom))]
struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

struct Ring<T> {
    slots: Box<[UnsafeCell<Option<T>>]>,
    head: CacheLine<AtomicUsize>,
    tail: CacheLine<AtomicUsize>,
}

/// Keeps the two counters from sharing a cache line, which each side writes at every message.
#[repr(align(128))]
struct CacheLine<T>(T);

// SAFETY: a slot is touched by the producer while it is outside head..tail and by the consumer
// while it is inside; the counters' release and acquire order the two.
unsafe impl<T: Send> Sync for Ring<T> {}
// SAFETY: as above; the ring owns its items.
unsafe impl<T: Send> Send for Ring<T> {}

/// The pushing end.
pub(super) struct Producer<T> {
    ring: Arc<Ring<T>>,
    tail: usize,
    head_seen: usize,
}

/// The popping end.
pub(super) struct Consumer<T> {
    ring: Arc<Ring<T>>,
    head: usize,
    tail_seen: usize,
}

/// A queue of at most `capacity` items (a power of two).
pub(super) fn ring_queue<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity.is_power_of_two(), "{capacity} is not a power of two");
    let ring = Arc::new(Ring {
        slots: (0..capacity).map(|_| UnsafeCell::new(None)).collect(),
        head: CacheLine(AtomicUsize::new(0)),
        tail: CacheLine(AtomicUsize::new(0)),
    });
    let producer = Producer { ring: Arc::clone(&ring), tail: 0, head_seen: 0 };
    (producer, Consumer { ring, head: 0, tail_seen: 0 })
}

impl<T> Producer<T> {
    /// Appends an item, or gives it back if the queue is full.
    pub(super) fn push(&mut self, item: T) -> Result<(), T> {
        let capacity = self.ring.slots.len();
        if self.tail.wrapping_sub(self.head_seen) == capacity {
            self.head_seen = self.ring.head.0.load(Ordering::Acquire);
            if self.tail.wrapping_sub(self.head_seen) == capacity {
                return Err(item);
            }
        }
        self.ring.slots[self.tail & (capacity - 1)].with_mut(|slot| {
            // SAFETY: the slot is outside head..tail, so the consumer does not touch it, and there
            // is one producer.
            unsafe { *slot = Some(item) };
        });
        self.tail = self.tail.wrapping_add(1);
        self.ring.tail.0.store(self.tail, Ordering::Release);
        Ok(())
    }
}

impl<T> Consumer<T> {
    /// Takes the first item.
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let mask = self.ring.slots.len() - 1;
        let item = self.ring.slots[self.head & mask].with_mut(|slot| {
            // SAFETY: the slot is inside head..tail, so the producer does not touch it, and there
            // is one consumer.
            unsafe { (*slot).take() }
        });
        self.head = self.head.wrapping_add(1);
        self.ring.head.0.store(self.head, Ordering::Release);
        Some(item.expect("a slot inside head..tail holds an item"))
    }

    /// Whether nothing has arrived.
    pub(super) fn is_empty(&mut self) -> bool {
        if self.head == self.tail_seen {
            self.tail_seen = self.ring.tail.0.load(Ordering::Acquire);
        }
        self.head == self.tail_seen
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_refuses_more_than_it_holds() {
        let (mut producer, mut consumer) = ring_queue(4);
        for round in 0..10 {
            for i in 0..4 {
                assert_eq!(producer.push(round * 4 + i), Ok(()));
            }
            assert_eq!(producer.push(99), Err(99));
            for i in 0..4 {
                assert_eq!(consumer.pop(), Some(round * 4 + i));
            }
            assert_eq!(consumer.pop(), None);
        }
    }

    #[test]
    fn drops_what_was_never_popped() {
        let item = std::sync::Arc::new(());
        let (mut producer, consumer) = ring_queue(2);
        producer.push(std::sync::Arc::clone(&item)).expect("there is room");
        drop((producer, consumer));
        assert_eq!(std::sync::Arc::strong_count(&item), 1);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;

    #[test]
    fn every_item_arrives_once_and_in_order() {
        loom::model(|| {
            let (mut producer, mut consumer) = ring_queue::<usize>(2);
            let pushing = loom::thread::spawn(move || {
                let mut next = 0;
                while next < 3 {
                    match producer.push(next) {
                        Ok(()) => next += 1,
                        Err(_) => loom::thread::yield_now(),
                    }
                }
            });
            let mut expected = 0;
            while expected < 3 {
                match consumer.pop() {
                    Some(item) => {
                        assert_eq!(item, expected);
                        expected += 1;
                    }
                    None => loom::thread::yield_now(),
                }
            }
            pushing.join().expect("the producer does not panic");
            assert_eq!(consumer.pop(), None);
        });
    }
}

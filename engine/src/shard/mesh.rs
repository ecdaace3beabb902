//! Mailboxes between all shards of a node.
//!
//! One bounded single-producer single-consumer queue per ordered pair of shards. A shard drains its
//! mailboxes at every turn. Before it sleeps it announces so; whoever pushes to a sleeping shard
//! wakes it (MSG_RING under io_uring). Messages of one shard to another arrive in the order they
//! were sent. A full mailbox makes its sender wait, which in turn stops reading its sockets.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

#[cfg(loom)]
use loom::sync::{
    Arc,
    atomic::{AtomicBool, Ordering, fence},
};
#[cfg(not(loom))]
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering, fence},
};

use super::ring_queue::{Consumer, Producer, ring_queue};
use super::{Shard, Source};
use crate::types::ShardId;

/// Messages one mailbox holds.
pub const MAILBOX_MESSAGES_MAX: usize = 1024;
/// Messages of one mailbox that are handled before the shard's tasks have their turn.
const MESSAGES_PER_TURN_MAX: usize = 64;

/// Whether a shard sleeps, so that a message must wake it.
struct Parking(AtomicBool);

impl Parking {
    /// Announces sleep. What is pushed afterwards wakes; what was pushed before is seen by the
    /// check that follows.
    fn announce(&self) {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn retract(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// After a push: whether the shard must be woken. True for one pusher only.
    fn needs_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

/// One end of a pair of shards, before it is handed to its thread.
struct Link<T> {
    producer: Producer<T>,
    /// Set by a sender that found the mailbox full; the receiver wakes it.
    full: Arc<AtomicBool>,
    parking: Arc<Parking>,
}

struct Inbox<T> {
    consumer: Consumer<T>,
    full: Arc<AtomicBool>,
    sender_parking: Arc<Parking>,
}

/// The mailboxes of one shard, to be connected on its thread.
pub struct Mailboxes<T> {
    shard: ShardId,
    parking: Arc<Parking>,
    links: Vec<Option<Link<T>>>,
    inboxes: Vec<Option<Inbox<T>>>,
}

/// Makes the mailboxes of `shards` shards.
pub fn mesh<T>(shards: usize) -> Vec<Mailboxes<T>> {
    mesh_with_capacity(shards, MAILBOX_MESSAGES_MAX)
}

/// As [`mesh`], with mailboxes of another size (a power of two).
pub fn mesh_with_capacity<T>(shards: usize, capacity: usize) -> Vec<Mailboxes<T>> {
    let parking: Vec<_> = (0..shards).map(|_| Arc::new(Parking(AtomicBool::new(false)))).collect();
    let mut all: Vec<Mailboxes<T>> = (0..shards)
        .map(|shard| Mailboxes {
            shard: ShardId(shard as u16),
            parking: Arc::clone(&parking[shard]),
            links: (0..shards).map(|_| None).collect(),
            inboxes: (0..shards).map(|_| None).collect(),
        })
        .collect();
    for from in 0..shards {
        for to in (0..shards).filter(|to| *to != from) {
            let (producer, consumer) = ring_queue(capacity);
            let full = Arc::new(AtomicBool::new(false));
            let link =
                Link { producer, full: Arc::clone(&full), parking: Arc::clone(&parking[to]) };
            all[from].links[to] = Some(link);
            let sender_parking = Arc::clone(&parking[from]);
            all[to].inboxes[from] = Some(Inbox { consumer, full, sender_parking });
        }
    }
    all
}

/// Sends messages to the other shards.
pub struct Mesh<T> {
    shard: Shard,
    links: Rc<RefCell<Vec<Option<Link<T>>>>>,
    waiting: Rc<RefCell<Vec<Waker>>>,
}

impl<T> Clone for Mesh<T> {
    fn clone(&self) -> Self {
        let (links, waiting) = (Rc::clone(&self.links), Rc::clone(&self.waiting));
        Self { shard: self.shard.clone(), links, waiting }
    }
}

impl<T: 'static> Mailboxes<T> {
    /// Connects the mailboxes to the shard that runs on this thread. `on_message` gets every
    /// message; it must not wait.
    pub fn connect(self, shard: &Shard, on_message: impl FnMut(ShardId, T) + 'static) -> Mesh<T> {
        assert_eq!(self.shard, shard.id(), "mailboxes of another shard");
        let waiting = Rc::new(RefCell::new(Vec::new()));
        shard.add_source(Box::new(Incoming {
            shard: shard.clone(),
            parking: self.parking,
            inboxes: self.inboxes,
            waiting: Rc::clone(&waiting),
            on_message,
        }));
        Mesh { shard: shard.clone(), links: Rc::new(RefCell::new(self.links)), waiting }
    }
}

impl<T> Mesh<T> {
    /// How many shards the node has.
    pub fn shard_count(&self) -> usize {
        self.links.borrow().len()
    }

    /// Sends a message, or gives it back if the mailbox is full.
    ///
    /// # Panics
    /// If `to` is the sending shard itself.
    pub fn try_send(&self, to: ShardId, message: T) -> Result<(), T> {
        let mut links = self.links.borrow_mut();
        let link = links[usize::from(to.0)].as_mut().expect("a shard has no mailbox to itself");
        let mut result = link.producer.push(message);
        if let Err(message) = result {
            // Announce, then try again: the receiver may have made room in between.
            link.full.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            result = link.producer.push(message);
        }
        if result.is_ok() && link.parking.needs_wake() {
            self.shard.wake_shard(to);
        }
        result
    }

    /// Sends a message, waiting while the mailbox is full.
    pub async fn send(&self, to: ShardId, message: T) {
        let mut message = Some(message);
        poll_fn(|cx| {
            let unsent = message.take().expect("sent once");
            match self.try_send(to, unsent) {
                Ok(()) => Poll::Ready(()),
                Err(unsent) => {
                    message = Some(unsent);
                    self.waiting.borrow_mut().push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
    }
}

/// The receiving side: feeds a shard at every turn.
struct Incoming<T, F> {
    shard: Shard,
    parking: Arc<Parking>,
    inboxes: Vec<Option<Inbox<T>>>,
    waiting: Rc<RefCell<Vec<Waker>>>,
    on_message: F,
}

impl<T, F: FnMut(ShardId, T)> Source for Incoming<T, F> {
    fn drain(&mut self) -> bool {
        let mut busy = false;
        for (from, inbox) in self.inboxes.iter_mut().enumerate() {
            let Some(inbox) = inbox else { continue };
            let from = ShardId(from as u16);
            let mut popped = false;
            for _ in 0..MESSAGES_PER_TURN_MAX {
                let Some(message) = inbox.consumer.pop() else { break };
                popped = true;
                (self.on_message)(from, message);
            }
            busy |= popped;
            if popped {
                fence(Ordering::SeqCst);
                if inbox.full.swap(false, Ordering::Relaxed) {
                    // The sender may sleep, or be about to: either way it must look again.
                    inbox.sender_parking.retract();
                    self.shard.wake_shard(from);
                }
            }
        }
        // Those who wait for room try again at every turn: rare, and it needs no bookkeeping.
        self.waiting.take().into_iter().for_each(Waker::wake);
        busy
    }

    fn park(&mut self) -> bool {
        self.parking.announce();
        let empty = self.inboxes.iter_mut().flatten().all(|inbox| inbox.consumer.is_empty());
        if !empty {
            self.parking.retract();
        }
        empty
    }

    fn unpark(&mut self) {
        self.parking.retract();
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;

    /// The sleep protocol: a message pushed while the receiver falls asleep is either seen by its
    /// last check or comes with a wake-up.
    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| {
            let (mut producer, mut consumer) = ring_queue::<u32>(2);
            let parking = Arc::new(Parking(AtomicBool::new(false)));
            let woken = Arc::new(AtomicBool::new(false));
            let (parking_of_sender, woken_by_sender) = (Arc::clone(&parking), Arc::clone(&woken));
            let sender = loom::thread::spawn(move || {
                producer.push(1).expect("there is room");
                if parking_of_sender.needs_wake() {
                    woken_by_sender.store(true, Ordering::Release);
                }
            });
            parking.announce();
            let seen = !consumer.is_empty();
            sender.join().expect("the sender does not panic");
            assert!(seen || woken.load(Ordering::Acquire), "asleep with a message in the box");
        });
    }
}

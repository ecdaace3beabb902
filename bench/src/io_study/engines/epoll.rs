//! An epoll loop and a pool of threads that block for it: files have no readiness, so that is how
//! runtimes without io_uring do I/O on them. A thread that is done rings an eventfd.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use anyhow::{Result, anyhow};
use rustix::event::epoll;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, read, write};

use super::super::case::Case;
use super::super::files::{Prepared, block};
use super::pwrite::one;
use super::{Budget, Tally};

/// A block that was moved, or not.
type Done = (Instant, Result<usize>);

/// What threads and loop share.
struct Pool {
    bell: OwnedFd,
    done: Mutex<Vec<Done>>,
    jobs: Mutex<Receiver<(Instant, u64)>>,
}

pub fn run(case: &Case, prepared: &Prepared, budget: Budget) -> Result<Tally> {
    let (send, jobs) = channel();
    let bell = eventfd(0, EventfdFlags::CLOEXEC)?;
    let pool = Pool { bell, done: Mutex::default(), jobs: Mutex::new(jobs) };
    std::thread::scope(|scope| {
        for _ in 0..case.depth {
            scope.spawn(|| work(case, prepared, &pool));
        }
        // The threads end when the last job's sender is gone.
        dispatch(case, &pool, send, budget)
    })
}

fn work(case: &Case, prepared: &Prepared, pool: &Pool) {
    let mut buf = block(case.block.0);
    loop {
        let job = pool.jobs.lock().map(|jobs| jobs.recv());
        let Ok(Ok((began, at))) = job else { return };
        let moved = one(case, &prepared.file, &mut buf, at);
        if let Ok(mut done) = pool.done.lock() {
            done.push((began, moved));
        }
        // The loop waits for this; that it cannot be rung would be a bug of the kernel.
        let _ = write(&pool.bell, &1u64.to_ne_bytes());
    }
}

fn dispatch(
    case: &Case,
    pool: &Pool,
    jobs: Sender<(Instant, u64)>,
    budget: Budget,
) -> Result<Tally> {
    let waiter = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&waiter, &pool.bell, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
    let mut events = Vec::with_capacity(1);
    let mut tally = Tally::new();
    let (mut begun, mut under_way) = (0, 0);
    loop {
        while under_way < case.depth && budget.allows(begun) {
            jobs.send((Instant::now(), begun * case.block.0)).map_err(|_| anyhow!("no pool"))?;
            begun += 1;
            under_way += 1;
        }
        if under_way == 0 {
            return Ok(tally);
        }
        events.clear();
        match epoll::wait(&waiter, rustix::buffer::spare_capacity(&mut events), None) {
            Err(Errno::INTR) => continue,
            waited => waited?,
        };
        read(&pool.bell, &mut [0; 8])?;
        let done = pool.done.lock().map(|mut done| std::mem::take(&mut *done));
        for (began, moved) in done.map_err(|_| anyhow!("a thread of the pool has panicked"))? {
            tally.count(began, moved?, case.block.0 as usize)?;
            under_way -= 1;
        }
    }
}

//! The tokio-uring crate. Its writes know no flags, so cases with RWF flags are not for it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result};
use ringlog_engine::io::Buf;
use tokio_uring::buf::{IoBuf, IoBufMut};
use tokio_uring::fs::File;

use super::super::case::{Case, IoPath};
use super::super::files::{Prepared, block};
use super::{Budget, Tally};

/// A block on a page's boundary, as direct I/O asks for.
struct Block(Buf);

// SAFETY: the memory of a Buf stays where it is when the Buf moves, and all of it is initialised.
unsafe impl IoBuf for Block {
    fn stable_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.0.len()
    }

    fn bytes_total(&self) -> usize {
        self.0.len()
    }
}

// SAFETY: as above; its length never changes.
unsafe impl IoBufMut for Block {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    unsafe fn set_init(&mut self, _: usize) {}
}

/// What the tasks of a case share.
struct Shared {
    begun: u64,
    tally: Tally,
}

pub fn run(case: &Case, prepared: &Prepared, budget: Budget) -> Result<Tally> {
    let file = prepared.file.try_clone().context("a second handle")?;
    tokio_uring::start(async {
        let file = Rc::new(File::from_std(file));
        let shared = Rc::new(RefCell::new(Shared { begun: 0, tally: Tally::new() }));
        let tasks: Vec<_> = (0..case.depth)
            .map(|_| {
                let (case, file, shared) = (case.clone(), Rc::clone(&file), Rc::clone(&shared));
                tokio_uring::spawn(work(case, file, shared, budget))
            })
            .collect();
        for task in tasks {
            task.await.context("a task")??;
        }
        let tally = std::mem::replace(&mut shared.borrow_mut().tally, Tally::new());
        Ok(tally)
    })
}

async fn work(
    case: Case,
    file: Rc<File>,
    shared: Rc<RefCell<Shared>>,
    budget: Budget,
) -> Result<()> {
    let mut buf = Block(block(case.block.0));
    loop {
        let number = shared.borrow().begun;
        if !budget.allows(number) {
            return Ok(());
        }
        shared.borrow_mut().begun += 1;
        let (began, at) = (Instant::now(), number * case.block.0);
        let (moved, back) = match case.path {
            IoPath::Read => file.read_at(buf, at).await,
            _ => file.write_at(buf, at).submit().await,
        };
        buf = back;
        let moved = moved?;
        if case.mode.syncs() {
            file.sync_data().await?;
        }
        shared.borrow_mut().tally.count(began, moved, buf.0.len())?;
    }
}

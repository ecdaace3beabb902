//! The glommio crate: DmaFile for direct I/O, BufferedFile for the page cache. Its writes know no
//! flags, so cases with RWF flags are not for it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, anyhow};
use glommio::io::{BufferedFile, DmaFile, OpenOptions};
use glommio::{LocalExecutorBuilder, Placement, spawn_local};

use super::super::case::{Case, IoPath};
use super::super::files::{Prepared, block};
use super::{Budget, Tally};

enum Handle {
    Direct(DmaFile),
    Buffered(BufferedFile),
}

/// What the tasks of a case share.
struct Shared {
    begun: u64,
    tally: Tally,
}

pub fn run(case: &Case, prepared: &Prepared, budget: Budget) -> Result<Tally> {
    let (case, path) = (case.clone(), prepared.path.clone());
    let executor = LocalExecutorBuilder::new(Placement::Unbound).spawn(move || async move {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let handle = match case.mode.is_direct() {
            true => options.dma_open(&path).await.map(Handle::Direct),
            false => options.buffered_open(&path).await.map(Handle::Buffered),
        };
        let handle = Rc::new(handle.map_err(|e| anyhow!("{e}"))?);
        let shared = Rc::new(RefCell::new(Shared { begun: 0, tally: Tally::new() }));
        let tasks: Vec<_> = (0..case.depth)
            .map(|_| {
                let (case, handle, shared) = (case.clone(), Rc::clone(&handle), Rc::clone(&shared));
                spawn_local(work(case, handle, shared, budget))
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        let tally = std::mem::replace(&mut shared.borrow_mut().tally, Tally::new());
        Ok(tally)
    });
    executor.map_err(|e| anyhow!("{e}"))?.join().map_err(|e| anyhow!("{e}"))?
}

async fn work(
    case: Case,
    handle: Rc<Handle>,
    shared: Rc<RefCell<Shared>>,
    budget: Budget,
) -> Result<()> {
    loop {
        let number = shared.borrow().begun;
        if !budget.allows(number) {
            return Ok(());
        }
        shared.borrow_mut().begun += 1;
        let began = Instant::now();
        let moved = handle.one(&case, number * case.block.0).await.map_err(|e| anyhow!("{e}"))?;
        shared.borrow_mut().tally.count(began, moved, case.block.0 as usize)?;
    }
}

impl Handle {
    async fn one(&self, case: &Case, at: u64) -> glommio::Result<usize, ()> {
        let bytes = case.block.0 as usize;
        let moved = match (self, case.path) {
            (Handle::Direct(file), IoPath::Read) => file.read_at_aligned(at, bytes).await?.len(),
            (Handle::Buffered(file), IoPath::Read) => file.read_at(at, bytes).await?.len(),
            (Handle::Direct(file), _) => {
                let mut buf = file.alloc_dma_buffer(bytes);
                buf.as_bytes_mut().fill(7);
                file.write_at(buf, at).await?
            }
            // It takes a vector for each write, which is part of what it costs.
            (Handle::Buffered(file), _) => file.write_at(block(case.block.0).to_vec(), at).await?,
        };
        if case.mode.syncs() {
            match self {
                Handle::Direct(file) => file.fdatasync().await?,
                Handle::Buffered(file) => file.fdatasync().await?,
            }
        }
        Ok(moved)
    }
}

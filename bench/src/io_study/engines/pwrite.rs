//! Blocking system calls of the thread itself.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::time::Instant;

use anyhow::Result;
use rustix::fs::fdatasync;
use rustix::io::{ReadWriteFlags, preadv2, pwritev2};

use super::super::case::{Case, IoPath};
use super::super::files::{Prepared, block};
use super::{Budget, Tally};

pub fn run(case: &Case, prepared: &Prepared, budget: Budget) -> Result<Tally> {
    let mut buf = block(case.block.0);
    let mut tally = Tally::new();
    while budget.allows(tally.blocks) {
        let began = Instant::now();
        let moved = one(case, &prepared.file, &mut buf, tally.blocks * case.block.0)?;
        tally.count(began, moved, buf.len())?;
    }
    Ok(tally)
}

/// Moves one block, and flushes if the case says so.
pub fn one(case: &Case, file: &File, buf: &mut [u8], at: u64) -> Result<usize> {
    let flags = ReadWriteFlags::from_bits_retain(case.mode.rwf());
    let moved = match case.path {
        IoPath::Read => preadv2(file, &mut [IoSliceMut::new(buf)], at, flags)?,
        _ => pwritev2(file, &[IoSlice::new(buf)], at, flags)?,
    };
    if case.mode.syncs() {
        fdatasync(file)?;
    }
    Ok(moved)
}

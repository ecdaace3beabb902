//! What carries out I/O on files, one function each. They share what a case is and what is counted;
//! everything else is as raw as it can be, so that the differences are theirs.

mod epoll;
#[cfg(feature = "glommio")]
mod glommio;
mod pwrite;
#[cfg(feature = "tokio-uring")]
mod tokio_uring;
mod uring;

use std::time::Instant;

use anyhow::{Result, ensure};

use super::case::{Case, EngineKind};
use super::files::Prepared;
use super::{Budget, Tally};
use crate::load::new_histogram;

pub use uring::{SendRing, send_ring};

/// Runs a case on a file that is ready for it.
pub type Engine = fn(&Case, &Prepared, Budget) -> Result<Tally>;

/// The engine of a case.
pub fn engine(case: &Case) -> Result<Engine> {
    match case.engine {
        EngineKind::Pwrite => Ok(pwrite::run),
        EngineKind::Epoll => Ok(epoll::run),
        EngineKind::IoUring => Ok(uring::run),
        #[cfg(feature = "tokio-uring")]
        EngineKind::TokioUring => Ok(tokio_uring::run),
        #[cfg(feature = "glommio")]
        EngineKind::Glommio => Ok(glommio::run),
        #[allow(unreachable_patterns, reason = "with every feature there is no other")]
        other => anyhow::bail!("{} is not in this build", other.name()),
    }
}

impl Budget {
    /// Whether another block may begin.
    fn allows(&self, begun: u64) -> bool {
        begun < self.blocks && Instant::now() < self.deadline
    }
}

impl Tally {
    fn new() -> Tally {
        Tally { blocks: 0, latency: new_histogram() }
    }

    /// A block has been moved whole.
    fn count(&mut self, began: Instant, moved: usize, block: usize) -> Result<()> {
        ensure!(moved == block, "{moved} of {block} bytes were moved");
        self.blocks += 1;
        self.latency.saturating_record(began.elapsed().as_nanos() as u64);
        Ok(())
    }
}

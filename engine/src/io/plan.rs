//! Which driver a node runs on, and how each of its shards gets its own.

use thiserror::Error;

use super::epoll::{EpollDriver, EpollPeers};
use super::uring::{Peers, UringDriver, UringOptions, probe};
use super::{Driver, Errno};

/// Who is to carry out operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// io_uring where it can be had, else epoll.
    #[default]
    Auto,
    /// io_uring or nothing.
    Uring,
    /// epoll and threads for files.
    Epoll,
}

/// io_uring was asked for and cannot be had.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "io_uring cannot be set up: {0}. A container may refuse it, or the sysctl \
     kernel.io_uring_disabled; ringlog.io.driver=epoll does without"
)]
pub struct NoUring(pub Errno);

/// The drivers of a node, before each is made on its thread.
#[derive(Clone)]
pub enum DriverPlan {
    /// A ring for each shard.
    Uring(Peers, UringOptions),
    /// An epoll descriptor for each.
    Epoll(EpollPeers),
}

impl DriverPlan {
    /// Drivers for `shards` shards. With `Auto`, whatever the kernel's reason is to refuse
    /// io_uring, there is epoll: the reason is returned beside it.
    pub fn new(
        choice: DriverChoice,
        shards: usize,
        options: &UringOptions,
    ) -> Result<(DriverPlan, Option<Errno>), NoUring> {
        let epoll = || DriverPlan::Epoll(EpollPeers::new(shards));
        let uring = || DriverPlan::Uring(Peers::new(shards), options.clone());
        match (choice, probe()) {
            (DriverChoice::Epoll, _) => Ok((epoll(), None)),
            (_, Ok(_)) => Ok((uring(), None)),
            (DriverChoice::Auto, Err(errno)) => Ok((epoll(), Some(errno))),
            (DriverChoice::Uring, Err(errno)) => Err(NoUring(errno)),
        }
    }

    /// The driver of one shard, made on the thread that will drive it.
    pub fn driver(&self, shard: usize) -> Result<Box<dyn Driver>, Errno> {
        Ok(match self {
            DriverPlan::Uring(peers, options) => {
                Box::new(UringDriver::new(shard, peers.clone(), options)?)
            }
            DriverPlan::Epoll(peers) => Box::new(EpollDriver::new(shard, peers.clone())?),
        })
    }
}

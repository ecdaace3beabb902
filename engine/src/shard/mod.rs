//! A shard: one pinned thread, one driver, and the tasks that run on it.
//!
//! [`Shard`] is a single-threaded executor. Its tasks await operations of the driver
//! ([`Shard::submit`]), timers, each other ([`sync`]) and messages of other shards ([`mesh`]).
//! There are no locks and there is no shared mutable state: what two shards both need travels by
//! mailbox.
//!
//! Rules for tasks. No borrow of shard state is held across an await. A future that awaits an
//! operation may be dropped: the operation runs on, its buffers come back and are freed. A task
//! that computes for long yields ([`Shard::yield_now`]): nobody interrupts it.

mod executor;
mod file;
pub mod mesh;
mod ops;
mod pulse;
mod ring_queue;
mod socket;
pub mod sync;
mod task;
mod timer;

pub use executor::{Pick, Shard, ShardOptions, Source};
pub use file::{File, IoError};
pub use ops::{OpFuture, OpStream};
pub use pulse::Pulse;
pub use socket::{Received, Socket};
pub use task::TaskClass;
pub use timer::{Sleep, Timeout};

//! The simulated world: disks that tear, streams that break up, a clock that only moves when all
//! shards sleep. Everything follows from one seed, or, in a small world, from the choices of an
//! [`Explorer`], which goes through all of them.
//!
//! What a disk promises and what it does not is at [`SimDisk`]; how it fails, at [`DiskFaults`].
//! The code above the driver is the code that ships: there is no second log for tests.

mod disk;
mod driver;
mod explore;
mod net;

pub use disk::{CrashProfile, DiskFaults, DiskLies, SimDisk};
pub use driver::{SimDriver, World, block_on, run_turns};
pub use explore::Explorer;

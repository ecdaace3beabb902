//! The machine that something is measured on, and what this program was built from: the
//! environment of a result.

mod activity;
mod block_trace;
mod facts;
mod hardware;
mod kernel_text;
mod machine;
mod page_cache;
mod pauses;
mod versions;

pub use activity::{MachineSample, unwritten_bytes};
pub use block_trace::{BlockTrace, BlockWrites};
pub use facts::facts;
pub use hardware::{Cgroup, CpuIdle, Nic};
pub use kernel_text::{bytes_after, number_after};
pub use machine::{FileSystem, Host};
pub use page_cache::PageCache;
pub use pauses::{PAUSE_MS_MAX, PauseWatch};
pub use versions::{AgentEnv, Versions};

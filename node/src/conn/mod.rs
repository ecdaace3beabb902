//! Connections: accepting, framing, the order of responses, the memory they may take.

mod accept;
mod frames;
mod serve;

pub use accept::{bind_listeners, run_accept};
pub use serve::run_connections;

//! Telling a supervisor how a node gets on, as sd_notify(3) does: systemd starts what depends on a
//! node when it serves, and not before.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where the supervisor listens; not set where there is none.
const SOCKET: &str = "NOTIFY_SOCKET";

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It serves.
    Ready,
    /// It has begun to stop.
    Stopping,
}

/// Tells the supervisor, if there is one. A node runs without one as well, so what goes wrong is
/// logged.
pub fn notify(state: State) {
    let Some(path) = std::env::var_os(SOCKET) else { return };
    let message = match state {
        State::Ready => "READY=1\n",
        State::Stopping => "STOPPING=1\n",
    };
    let address = match path.as_encoded_bytes() {
        // A name that is no file's (unix(7)).
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&path),
    };
    let sent = address
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::warn!(%error, ?path, "supervisor_not_told");
    }
}

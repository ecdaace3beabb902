//! Ends a process of which a part is stuck: half a broker is worse than none.
//!
//! A thread of its own wakes every shard now and then and looks whether it takes a turn; a task on
//! each shard looks for operations on files that do not end. Both count looks and not time, so
//! that a process which was stopped as a whole (SIGSTOP, a suspended machine) is not taken for one
//! that is stuck. The process ends by SIGABRT; the next start recovers as after a crash.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use ringlog_engine::io::{Mono, Unpark};
use ringlog_engine::shard::{Pulse, Shard};

/// How often both look within ringlog.watchdog.ms.
const LOOKS: u32 = 8;

/// A shard that is watched.
pub struct Watched {
    /// Its number.
    pub shard: usize,
    /// Its turns.
    pub pulse: Arc<Pulse>,
    /// Wakes it.
    pub unpark: Arc<dyn Unpark>,
    /// The kernel's number of its thread.
    pub thread: i32,
}

/// Watches the shards that come by `shards`, until its other end is dropped.
pub fn watch_shards(shards: &Receiver<Watched>, limit_ms: u64) {
    let mut watched: Vec<(Watched, u64, u32)> = Vec::new();
    loop {
        match shards.recv_timeout(look_every(limit_ms)) {
            Ok(shard) => {
                watched.push((shard, 0, 0));
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        for (shard, turns, looks) in &mut watched {
            let seen = std::mem::replace(turns, shard.pulse.turns());
            *looks = if *turns == seen { *looks + 1 } else { 0 };
            if *looks > LOOKS {
                tracing::error!(
                    shard = shard.shard,
                    turns = *turns,
                    limit_ms,
                    does = what_it_does(shard.thread),
                    "shard_stuck"
                );
                std::process::abort();
            }
            shard.unpark.unpark();
        }
    }
}

fn look_every(limit_ms: u64) -> Duration {
    Duration::from_millis((limit_ms / u64::from(LOOKS)).max(1))
}

/// What the kernel knows of a thread: its state, where it waits, and in which system call.
fn what_it_does(thread: i32) -> String {
    #[allow(clippy::disallowed_methods, reason = "no shard can be asked any more")]
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/{name}"));
        text.unwrap_or_default()
    };
    let status = read("status");
    let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or("unknown");
    format!(
        "state {}, waits in {}, system call {}",
        state.trim(),
        read("wchan").trim(),
        read("syscall").trim()
    )
}

/// Watches a shard's operations on files, from the shard itself.
pub fn watch_operations(shard: &Shard, limit_ms: u64) {
    let watcher = shard.clone();
    shard.spawn(async move {
        let mut oldest: Option<(&'static str, Mono)> = None;
        let mut looks = 0;
        loop {
            watcher.sleep_ms(look_every(limit_ms).as_millis() as u64).await;
            let seen = std::mem::replace(&mut oldest, watcher.oldest_file_operation());
            looks = if oldest.is_some() && oldest == seen { looks + 1 } else { 0 };
            if let Some((operation, _)) = oldest.filter(|_| looks > LOOKS) {
                let shard = watcher.id().0;
                tracing::error!(shard, operation, limit_ms, "operation_never_ended");
                std::process::abort();
            }
        }
    });
}

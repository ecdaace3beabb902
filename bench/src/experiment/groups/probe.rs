//! [`Probe`]: a producer of a few records, which notices when the broker has no time for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Result, anyhow, ensure};
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;
use ringlog_engine::stdx::NS_PER_MS;

use crate::client::{
    Connection, Endpoint, PRODUCE_BY_NAME, error_name, one_record_each, produce_errors,
};
use crate::load::{Latency, new_histogram};
use crate::uring_shard;

/// Between two records.
const INTERVAL_MS: u64 = 5;
/// How long an answer may take.
const PATIENCE_MS: u64 = 120_000;

/// What the thread has seen.
struct Noted {
    latency: Latency,
    /// When the record that is under way was due.
    due: Option<Mono>,
}

/// A thread that produces.
pub(super) struct Probe {
    ended: Arc<AtomicBool>,
    noted: Arc<Mutex<Noted>>,
    thread: JoinHandle<Result<()>>,
}

impl Probe {
    /// Begins.
    pub(super) fn start(peer: Endpoint, topic: String) -> Probe {
        let ended = Arc::new(AtomicBool::new(false));
        let noted = Noted { latency: new_histogram(), due: None };
        let noted = Arc::new(Mutex::new(noted));
        let (over, note) = (Arc::clone(&ended), Arc::clone(&noted));
        let thread = std::thread::spawn(move || {
            let shard = uring_shard()?;
            let this = shard.clone();
            shard.run(async move { produce(&this, &peer, &topic, &over, &note).await })
        });
        Probe { ended, noted, thread }
    }

    /// Latencies since the last call, in nanoseconds. A record that is not acknowledged by now
    /// counts with the time it has waited: what a broker makes wait longest would be missing.
    pub(super) fn take(&self, now: Mono) -> Result<Latency> {
        ensure!(!self.thread.is_finished(), "the producer has ended");
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(due) = noted.due {
            noted.latency.saturating_record(now.0.saturating_sub(due.0));
        }
        Ok(std::mem::replace(&mut noted.latency, new_histogram()))
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends; tells why, if it has ended before.
    pub(super) fn end(self) -> Result<()> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the producer's thread has panicked"))?
    }
}

async fn produce(
    shard: &Shard,
    peer: &Endpoint,
    topic: &str,
    ended: &AtomicBool,
    noted: &Mutex<Noted>,
) -> Result<()> {
    let by = shard.clock().plus_ms(PATIENCE_MS);
    let mut connection = Connection::open(shard, peer, "probe", by).await?;
    let mut due = shard.clock();
    while !ended.load(Ordering::Relaxed) {
        shard.sleep_until(due).await;
        noted.lock().unwrap_or_else(PoisonError::into_inner).due = Some(due);
        connection.set_deadline(shard.clock().plus_ms(PATIENCE_MS));
        let request = one_record_each(shard.unix_ms(), topic, [0])?;
        let answer = connection.call_version(&request, PRODUCE_BY_NAME).await?;
        let error = produce_errors(&answer).map(|(_, code)| code).next();
        let why = || error.map_or_else(|| "no answer".to_owned(), error_name);
        ensure!(error == Some(0), "a record: {}", why());
        // From when it was due: one that could not be sent for the one before it is late too.
        let late_ns = shard.clock().0.saturating_sub(due.0);
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.latency.saturating_record(late_ns);
        noted.due = None;
        drop(noted);
        due.0 += INTERVAL_MS * NS_PER_MS;
    }
    Ok(())
}

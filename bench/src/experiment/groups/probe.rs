//! [`Probe`]: a producer of a few records, which notices when the broker has no time for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Result, anyhow, ensure};
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

/// A thread that produces.
pub(super) struct Probe {
    ended: Arc<AtomicBool>,
    latency: Arc<Mutex<Latency>>,
    thread: JoinHandle<Result<()>>,
}

impl Probe {
    /// Begins.
    pub(super) fn start(peer: Endpoint, topic: String) -> Probe {
        let ended = Arc::new(AtomicBool::new(false));
        let latency = Arc::new(Mutex::new(new_histogram()));
        let (over, noted) = (Arc::clone(&ended), Arc::clone(&latency));
        let thread = std::thread::spawn(move || {
            let shard = uring_shard()?;
            let this = shard.clone();
            shard.run(async move { produce(&this, &peer, &topic, &over, &noted).await })
        });
        Probe { ended, latency, thread }
    }

    /// Latencies since the last call, in nanoseconds.
    pub(super) fn take(&self) -> Result<Latency> {
        ensure!(!self.thread.is_finished(), "the producer has ended");
        let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::replace(&mut latency, new_histogram()))
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
    latency: &Mutex<Latency>,
) -> Result<()> {
    let by = shard.clock().plus_ms(PATIENCE_MS);
    let mut connection = Connection::open(shard, peer, "probe", by).await?;
    let mut due = shard.clock();
    while !ended.load(Ordering::Relaxed) {
        shard.sleep_until(due).await;
        connection.set_deadline(shard.clock().plus_ms(PATIENCE_MS));
        let request = one_record_each(shard.unix_ms(), topic, [0])?;
        let answer = connection.call_version(&request, PRODUCE_BY_NAME).await?;
        let error = produce_errors(&answer).map(|(_, code)| code).next();
        let why = || error.map_or_else(|| "no answer".to_owned(), error_name);
        ensure!(error == Some(0), "a record: {}", why());
        // From when it was due: one that could not be sent for the one before it is late too.
        let late_ns = shard.clock().0.saturating_sub(due.0);
        latency.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(late_ns);
        due.0 += INTERVAL_MS * NS_PER_MS;
    }
    Ok(())
}

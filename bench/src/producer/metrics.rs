//! The producer's own metrics, under the names and by the definitions of Kafka's client.
//!
//! One difference, stated in every report: rates are over the time measured. Kafka's
//! `outgoing-byte-rate` divides by at least 30 seconds, which makes it meaningless for a run of
//! two.

use std::collections::BTreeMap;

use ringlog_engine::io::Mono;

/// Sums over a stretch of time.
#[derive(Clone, Debug, Default)]
pub struct ProducerMetrics {
    started: Mono,
    /// Batches sent, retries among them.
    pub batches: u64,
    /// Their bytes.
    pub batch_bytes: u64,
    /// Time each lay in the accumulator, from its first record to being drained.
    pub queue_ns: u64,
    /// Records in them.
    pub records: u64,
    /// Requests sent.
    pub requests: u64,
    /// Bytes sent, Produce requests only.
    pub request_bytes: u64,
    /// Answers received.
    pub answers: u64,
    /// Time between a request and its answer.
    pub answer_ns: u64,
    /// Longest of those.
    pub answer_ns_max: u64,
    /// Records put back to be sent again.
    pub retried_records: u64,
    /// Connections that broke.
    pub disconnects: u64,
    /// Time in which somebody waited for memory.
    pub memory_wait_ns: u64,
    memory_wait_since: Option<Mono>,
}

impl ProducerMetrics {
    /// Begins to count at `now`.
    pub fn new(now: Mono) -> ProducerMetrics {
        ProducerMetrics { started: now, ..ProducerMetrics::default() }
    }

    /// Begins again at `now`, with what is under way.
    pub fn reset(&mut self, now: Mono) {
        let waiting = self.memory_wait_since.map(|_| now);
        *self = ProducerMetrics { memory_wait_since: waiting, ..ProducerMetrics::new(now) };
    }

    /// Somebody begins to wait for memory.
    pub fn memory_wait_begins(&mut self, now: Mono) {
        self.memory_wait_since.get_or_insert(now);
    }

    /// Nobody waits for memory any more.
    pub fn memory_wait_ends(&mut self, now: Mono) {
        if let Some(since) = self.memory_wait_since.take() {
            self.memory_wait_ns += now.0.saturating_sub(since.0);
        }
    }

    /// The metrics by name, as of `now`.
    pub fn by_name(&self, now: Mono) -> BTreeMap<String, f64> {
        let waiting = self.memory_wait_since.map_or(0, |since| now.0.saturating_sub(since.0));
        let elapsed_ns = now.0.saturating_sub(self.started.0).max(1) as f64;
        let seconds = elapsed_ns / 1e9;
        let per = |sum: u64, count: u64| if count == 0 { 0.0 } else { sum as f64 / count as f64 };
        [
            ("batch-size-avg", per(self.batch_bytes, self.batches)),
            ("bufferpool-wait-ratio", (self.memory_wait_ns + waiting) as f64 / elapsed_ns),
            ("outgoing-byte-rate", self.request_bytes as f64 / seconds),
            ("record-queue-time-avg", per(self.queue_ns, self.batches) / 1e6),
            ("request-latency-avg", per(self.answer_ns, self.answers) / 1e6),
            ("request-latency-max", self.answer_ns_max as f64 / 1e6),
            ("request-rate", self.requests as f64 / seconds),
            ("request-size-avg", per(self.request_bytes, self.requests)),
            ("records-per-request-avg", per(self.records, self.requests)),
            ("record-retry-rate", self.retried_records as f64 / seconds),
            ("disconnect-rate", self.disconnects as f64 / seconds),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_across_a_reset_counts_from_the_reset() {
        let at = |ms: u64| Mono(ms * 1_000_000);
        let mut metrics = ProducerMetrics::new(at(0));
        metrics.memory_wait_begins(at(10));
        metrics.reset(at(100));
        assert_eq!(metrics.by_name(at(150))["bufferpool-wait-ratio"], 1.0);
        metrics.memory_wait_ends(at(150));
        assert_eq!(metrics.by_name(at(200))["bufferpool-wait-ratio"], 0.5);
    }

    #[test]
    fn averages_are_per_batch_and_per_request() {
        let mut metrics = ProducerMetrics::new(Mono(0));
        metrics.batches = 4;
        metrics.batch_bytes = 4000;
        metrics.queue_ns = 8_000_000;
        metrics.requests = 2;
        metrics.request_bytes = 5000;
        let named = metrics.by_name(Mono(2_000_000_000));
        assert_eq!(named["batch-size-avg"], 1000.0);
        assert_eq!(named["record-queue-time-avg"], 2.0);
        assert_eq!(named["outgoing-byte-rate"], 2500.0);
        assert_eq!(named["request-latency-avg"], 0.0, "nothing was answered");
    }
}

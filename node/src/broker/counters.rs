//! [`Counters`]: what a shard has done for clients since it started.

use ringlog_wire::ApiKey;

/// Bounds of the latency histogram: this and its doubles, in nanoseconds. What is longer than the
/// last is counted with no bound.
const FIRST_BOUND_NS: u64 = 1 << FIRST_BOUND_BITS;
const FIRST_BOUND_BITS: u32 = 14;
/// So many bounds: from 16 microseconds to half a minute and more.
pub const BOUNDS: usize = 22;

/// How long requests of one API took, from when they were taken up until they were answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latencies {
    /// All together, in nanoseconds.
    pub total_ns: u64,
    /// How many were answered within each bound but not within the one before; the last are beyond
    /// all.
    pub within: [u64; BOUNDS + 1],
}

impl Latencies {
    /// A bound in nanoseconds.
    pub fn bound_ns(index: usize) -> u64 {
        FIRST_BOUND_NS << index
    }

    fn add(&mut self, ns: u64) {
        self.total_ns += ns;
        let bits = u64::BITS - ns.saturating_sub(1).leading_zeros();
        let first = bits.saturating_sub(FIRST_BOUND_BITS) as usize;
        self.within[first.min(BOUNDS)] += 1;
    }
}

/// What a shard has done. Nobody but the shard writes it.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// By number of the API; as long as needed.
    requests: Vec<Latencies>,
    /// Records that were appended to this shard's logs for producers.
    pub records_in: u64,
    /// Bytes of their batches.
    pub bytes_in: u64,
    /// Bytes of batches in answers to fetches on this shard's connections.
    pub bytes_out: u64,
    /// Bytes of the largest request that was decoded here, those of Produce and Fetch aside: theirs
    /// are bounded by what they append and read.
    pub largest_request_bytes: usize,
    /// Partitions of the largest call of another shard.
    pub largest_call_partitions: usize,
}

impl Counters {
    /// A request of so many bytes is decoded.
    pub fn decoded(&mut self, bytes: usize) {
        self.largest_request_bytes = self.largest_request_bytes.max(bytes);
    }

    /// A call about so many partitions has come.
    pub fn called(&mut self, partitions: usize) {
        self.largest_call_partitions = self.largest_call_partitions.max(partitions);
    }

    /// A request was answered, so long after it was taken up.
    pub fn answered(&mut self, key: ApiKey, ns: u64) {
        let index = key as usize;
        if index >= self.requests.len() {
            self.requests.resize(index + 1, Latencies::default());
        }
        self.requests[index].add(ns);
    }

    /// So many records were appended, in a batch of so many bytes.
    pub fn appended(&mut self, records: i64, bytes: usize) {
        self.records_in += records.max(0) as u64;
        self.bytes_in += bytes as u64;
    }

    /// So many bytes of batches are on their way to a consumer.
    pub fn fetched(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
    }

    /// Requests that were answered, by API.
    pub fn requests(&self) -> impl Iterator<Item = (ApiKey, &Latencies)> {
        let known = |(index, latencies): (usize, _)| {
            Some((ApiKey::try_from(i16::try_from(index).ok()?).ok()?, latencies))
        };
        let all = self.requests.iter().enumerate().filter_map(known);
        all.filter(|(_, latencies): &(_, &Latencies)| latencies.within.iter().any(|n| *n > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_within_the_first_bound_that_holds_them() {
        let mut counters = Counters::default();
        let last = Latencies::bound_ns(BOUNDS - 1);
        for ns in [0, FIRST_BOUND_NS, FIRST_BOUND_NS + 1, last, last + 1, u64::MAX >> 1] {
            counters.answered(ApiKey::Fetch, ns);
        }
        let all: Vec<(ApiKey, &Latencies)> = counters.requests().collect();
        let [(ApiKey::Fetch, fetch)] = all[..] else { panic!("{counters:?}") };
        assert_eq!((fetch.within[0], fetch.within[1]), (2, 1));
        assert_eq!((fetch.within[BOUNDS - 1], fetch.within[BOUNDS]), (1, 2));
        assert_eq!(fetch.within.iter().sum::<u64>(), 6);
        assert!(last > 30_000_000_000);
    }
}

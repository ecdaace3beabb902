//! [`Values`]: what the records hold. Made ahead, so that making them is never the limit.

use ringlog_engine::stdx::prng::Prng;

/// Random bytes from which values are cut. Larger than any batch, so that no batch repeats itself
/// (which a compressor would notice), and small enough for a second-level cache.
const POOL_BYTES: usize = 1 << 20;

/// Which records are produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValuesSpec {
    /// Bytes of a value.
    pub value_bytes: usize,
    /// How many different keys there are; 0: records have no key.
    pub keys: u32,
    /// Whether a value begins with the time at which it was meant to be sent.
    pub stamped: bool,
}

/// Bytes of that time.
pub const STAMP_BYTES: usize = 8;

/// The records' keys and values: random capital letters, as kafka-producer-perf-test makes them.
#[derive(Debug)]
pub struct Values {
    pool: Vec<u8>,
    at: usize,
    value_bytes: usize,
    keys: Vec<Vec<u8>>,
    stamped: bool,
    prng: Prng,
}

impl Values {
    /// Values by this specification; the seed fixes all of them.
    pub fn new(spec: ValuesSpec, seed: u64) -> Values {
        let mut prng = Prng::new(seed);
        let mut pool = vec![0; POOL_BYTES + spec.value_bytes];
        prng.fill(&mut pool);
        for byte in &mut pool {
            *byte = b'A' + ((u16::from(*byte) * 26) >> 8) as u8;
        }
        let keys = (0..spec.keys).map(|key| format!("key-{key:08}").into_bytes()).collect();
        let stamped = spec.stamped && spec.value_bytes >= STAMP_BYTES;
        Self { pool, at: 0, value_bytes: spec.value_bytes, keys, stamped, prng }
    }

    /// Bytes of the longest key.
    pub fn key_bytes_max(&self) -> usize {
        self.keys.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// The key and value of the next record, which is meant to be sent then.
    #[inline]
    pub fn next_record(&mut self, at_ns: u64) -> (Option<&[u8]>, &[u8]) {
        let start = self.at;
        if self.stamped {
            self.pool[start..start + STAMP_BYTES].copy_from_slice(&at_ns.to_be_bytes());
        }
        self.at += self.value_bytes;
        if self.at >= POOL_BYTES {
            // Another phase each time round: the next lap's values are not this lap's.
            self.at = (self.at - POOL_BYTES + 1) % POOL_BYTES;
        }
        let key = match self.keys.len() {
            0 => None,
            count => Some(self.keys[self.prng.index(count)].as_slice()),
        };
        (key, &self.pool[start..start + self.value_bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn values_are_capital_letters_and_do_not_repeat_soon() {
        let mut values = Values::new(ValuesSpec { value_bytes: 100, keys: 0, stamped: false }, 1);
        let mut seen = BTreeSet::new();
        for _ in 0..30_000 {
            let (key, value) = values.next_record(0);
            assert!(key.is_none() && value.len() == 100);
            assert!(value.iter().all(u8::is_ascii_uppercase));
            assert!(seen.insert(value.to_vec()));
        }
        let all: BTreeSet<u8> = seen.iter().flatten().copied().collect();
        assert_eq!(all.len(), 26);
    }

    #[test]
    fn sizes_of_any_kind_work() {
        for value_bytes in [0, 1, 3, POOL_BYTES - 1, POOL_BYTES, 3 * POOL_BYTES] {
            let mut values = Values::new(ValuesSpec { value_bytes, keys: 2, stamped: true }, 1);
            for _ in 0..10 {
                let (key, value) = values.next_record(0);
                assert_eq!((key.map(<[u8]>::len), value.len()), (Some(12), value_bytes));
            }
        }
    }
}

//! [`Values`]: what the records hold. Made ahead, so that making them is never the limit.

use std::rc::Rc;

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
    pool: Rc<[u8]>,
    at: usize,
    value_bytes: usize,
    keys: Rc<[Vec<u8>]>,
    /// The value that is stamped; empty if none is.
    stamped: Vec<u8>,
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
        let is_stamped = spec.stamped && spec.value_bytes >= STAMP_BYTES;
        let stamped = vec![0; if is_stamped { spec.value_bytes } else { 0 }];
        Self { pool: pool.into(), at: 0, value_bytes: spec.value_bytes, keys, stamped, prng }
    }

    /// Other values by the same specification, cut from the same memory.
    #[must_use]
    pub fn share(&self, seed: u64) -> Values {
        let mut prng = Prng::new(seed);
        let at = prng.index(POOL_BYTES);
        let (pool, keys) = (Rc::clone(&self.pool), Rc::clone(&self.keys));
        Self { pool, at, keys, stamped: self.stamped.clone(), prng, ..*self }
    }

    /// Bytes of the longest key.
    pub fn key_bytes_max(&self) -> usize {
        self.keys.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// The key and value of the next record, which is meant to be sent then.
    #[inline]
    pub fn next_record(&mut self, at_ns: u64) -> (Option<&[u8]>, &[u8]) {
        let start = self.at;
        self.at += self.value_bytes;
        if self.at >= POOL_BYTES {
            // Another phase each time round: the next lap's values are not this lap's.
            self.at = (self.at - POOL_BYTES + 1) % POOL_BYTES;
        }
        let key = match self.keys.len() {
            0 => None,
            count => Some(self.keys[self.prng.index(count)].as_slice()),
        };
        let value = &self.pool[start..start + self.value_bytes];
        if self.stamped.is_empty() {
            return (key, value);
        }
        self.stamped.copy_from_slice(value);
        self.stamped[..STAMP_BYTES].copy_from_slice(&at_ns.to_be_bytes());
        (key, &self.stamped)
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
    fn values_that_share_memory_are_others() {
        let mut one = Values::new(ValuesSpec { value_bytes: 100, keys: 0, stamped: false }, 1);
        let mut other = one.share(2);
        for _ in 0..1000 {
            assert_ne!(one.next_record(0), other.next_record(0));
        }
    }

    #[test]
    fn sizes_of_any_kind_work() {
        for value_bytes in [0, 1, 3, POOL_BYTES - 1, POOL_BYTES, 3 * POOL_BYTES] {
            let mut values = Values::new(ValuesSpec { value_bytes, keys: 2, stamped: true }, 1);
            for _ in 0..10 {
                let (key, value) = values.next_record(7);
                assert_eq!((key.map(<[u8]>::len), value.len()), (Some(12), value_bytes));
                let stamp = value.first_chunk().map(|stamp| u64::from_be_bytes(*stamp));
                assert_eq!(stamp, (value_bytes >= STAMP_BYTES).then_some(7));
            }
        }
    }
}

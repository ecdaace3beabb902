//! The last offset of every key, in bounded memory (Kafka's `SkimpyOffsetMap`).
//!
//! A key is known by 128 bits of its hash alone: two keys with the same hash would be one. The hash
//! is keyed at random, so that nobody can make two such keys (SipHash-2-4 with 128 bits).

use crate::types::Offset;

/// Bytes of a slot: the hash and the offset.
const SLOT_BYTES: usize = 24;

/// The hash, and the offset plus one: all zeros is a free slot, so that the memory of slots that
/// are never used is never touched.
type Slot = [u64; 3];

/// The last offset of every key, by the key's hash.
pub(super) struct OffsetMap {
    seed: [u64; 2],
    slots: Vec<Slot>,
    used: usize,
    used_max: usize,
    /// Keys up to here are known.
    latest: Option<Offset>,
}

impl OffsetMap {
    /// A map for `keys_max` keys within `bytes_max`, filled to `load_factor` at most, with a hash
    /// of its own by `seed`.
    pub(super) fn new(
        keys_max: u64,
        bytes_max: usize,
        load_factor: f64,
        seed: [u64; 2],
    ) -> OffsetMap {
        let factor = load_factor.clamp(0.01, 0.99);
        let wanted = (keys_max as f64 / factor) as usize + 2;
        let count = (bytes_max / SLOT_BYTES).max(2).min(wanted);
        let used_max = ((count as f64 * factor) as usize).max(1);
        OffsetMap { seed, slots: vec![[0; 3]; count], used: 0, used_max, latest: None }
    }

    /// Up to where the log is mapped; `None` before anything is.
    pub(super) fn latest(&self) -> Option<Offset> {
        self.latest
    }

    /// Everything up to `offset` is mapped.
    pub(super) fn reach(&mut self, offset: Offset) {
        self.latest = self.latest.max(Some(offset));
    }

    /// How many keys are known.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Notes a key's newest offset. False if there is no room for another.
    pub(super) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        if self.used >= self.used_max {
            return false;
        }
        let hash = siphash128(self.seed, key);
        let at = self.slot_of(hash);
        if self.slots[at][2] == 0 {
            self.used += 1;
        }
        self.slots[at] = [hash[0], hash[1], offset.0 as u64 + 1];
        true
    }

    /// A key's newest offset.
    pub(super) fn get(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.slots[self.slot_of(siphash128(self.seed, key))];
        (slot[2] != 0).then(|| Offset(slot[2] as i64 - 1))
    }

    /// The slot of a hash, or the free one where it would be. There is always a free one.
    fn slot_of(&self, hash: [u64; 2]) -> usize {
        let count = self.slots.len();
        let mut at = (hash[0] % count as u64) as usize;
        while self.slots[at][2] != 0 && self.slots[at][..2] != hash {
            at = (at + 1) % count;
        }
        at
    }
}

fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

/// SipHash-2-4 with 128 bits (Aumasson and Bernstein).
fn siphash128(seed: [u64; 2], bytes: &[u8]) -> [u64; 2] {
    let mut v = [
        seed[0] ^ 0x736f_6d65_7073_6575,
        seed[1] ^ 0x646f_7261_6e64_6f6d ^ 0xee,
        seed[0] ^ 0x6c79_6765_6e65_7261,
        seed[1] ^ 0x7465_6462_7974_6573,
    ];
    let absorb = |v: &mut [u64; 4], word: u64| {
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
    };
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        absorb(&mut v, u64::from_le_bytes(word.try_into().expect("eight bytes")));
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    absorb(&mut v, u64::from_le_bytes(last) | (bytes.len() as u64) << 56);
    v[2] ^= 0xee;
    (0..4).for_each(|_| sip_round(&mut v));
    let first = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    (0..4).for_each(|_| sip_round(&mut v));
    [first, v[0] ^ v[1] ^ v[2] ^ v[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_siphash() {
        // The first of the authors' vectors_sip128: key 00..0f, no input.
        let seed = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let hash = siphash128(seed, b"");
        let bytes: Vec<u8> = hash.iter().flat_map(|word| word.to_le_bytes()).collect();
        let expected = [
            0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55,
            0x02, 0x93,
        ];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn the_newest_offset_of_each_key_is_found() {
        let mut map = OffsetMap::new(8_000, 24 * 10_000, 0.9, [1, 2]);
        for i in 0..8_000i64 {
            assert!(map.put(&(i % 4_000).to_be_bytes(), Offset(i)));
        }
        assert_eq!(map.len(), 4_000);
        for key in 0..4_000i64 {
            assert_eq!(map.get(&key.to_be_bytes()), Some(Offset(4_000 + key)));
        }
        assert_eq!(map.get(b"another"), None);
    }

    #[test]
    fn it_takes_as_much_as_its_load_factor_and_its_memory_allow() {
        let mut map = OffsetMap::new(1000, 24 * 100 + 23, 0.5, [1, 2]);
        let taken = (0..1000i64).take_while(|i| map.put(&i.to_be_bytes(), Offset(*i))).count();
        assert_eq!(taken, 50);
        assert!(!map.put(&0i64.to_be_bytes(), Offset(2000)), "a full map ends the round");
        assert_eq!(map.slots.len(), 100);
        let mut few = OffsetMap::new(3, 1 << 30, 0.9, [1, 2]);
        assert!((0..3i64).all(|i| few.put(&i.to_be_bytes(), Offset(i))));
        assert!(few.slots.len() < 10, "no more memory than keys can need");
    }
}

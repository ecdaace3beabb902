//! The hash by which Kafka's clients spread keys over partitions (`Utils.murmur2`).

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// MurmurHash2 of `bytes`, as the Java client computes it.
pub fn murmur2(bytes: &[u8]) -> i32 {
    let mut hash = SEED ^ bytes.len() as u32;
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |rest, byte| rest << 8 | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ (hash >> 15)) as i32
}

/// The partition of a record with this key, among so many.
pub fn partition_of_key(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & i32::MAX) as usize % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_java_client() {
        // Printed by Utils.murmur2 and Utils.toPositive of Kafka 4.1.1.
        for (text, hash, of_six) in [
            ("", 275_646_681, 3),
            ("a", -1_563_381_124, 4),
            ("ab", 316_155_434, 2),
            ("abc", 479_470_107, 3),
            ("abcd", -1_323_649_548, 2),
            ("21", -973_932_308, 0),
            ("foobar", -790_332_482, 0),
            ("key-12345", -952_703_915, 3),
        ] {
            assert_eq!(murmur2(text.as_bytes()), hash, "{text}");
            assert_eq!(partition_of_key(text.as_bytes(), 6), of_six, "{text}");
        }
    }
}

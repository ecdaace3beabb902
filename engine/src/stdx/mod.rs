//! What the standard library lacks and everything above may use. Knows nothing of Kafka.

pub mod hash;
pub mod java;
pub mod prng;
pub mod slab;
pub mod varint;

/// One kibibyte, in bytes.
pub const KIB: usize = 1 << 10;
/// One mebibyte, in bytes.
pub const MIB: usize = 1 << 20;
/// Nanoseconds in a millisecond.
pub const NS_PER_MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const NS_PER_S: u64 = 1_000_000_000;

//! Newtypes for the numbers that must not be mixed up. Raw integers live on the wire and in files;
//! everything in between uses these.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A record's position in its partition. Ends (`log_end_offset`, ...) are exclusive.
    Offset(i64)
}
number! {
    /// Counts the leaders of a partition; -1 is unknown.
    LeaderEpoch(i32)
}
number! {
    /// An idempotent producer's identity; -1 is none.
    ProducerId(i64)
}
number! {
    /// Counts the incarnations of a producer id; -1 is none.
    ProducerEpoch(i16)
}
number! {
    /// A partition's number within its topic.
    PartitionIndex(i32)
}
number! {
    /// A node of the cluster, broker or controller.
    NodeId(i32)
}
number! {
    /// A core-pinned thread of this node.
    ShardId(u16)
}

impl Offset {
    /// The first offset of an untouched log.
    pub const ZERO: Offset = Offset(0);
    /// No log reaches this offset: it leaves room for a segment's worth of arithmetic.
    pub const LIMIT: Offset = Offset(i64::MAX - (1 << 32));

    /// The offset `count` records further on.
    #[must_use]
    pub fn plus(self, count: i64) -> Offset {
        Offset(self.0 + count)
    }
}

impl LeaderEpoch {
    /// No epoch is known.
    pub const NONE: LeaderEpoch = LeaderEpoch(-1);
}

impl ProducerId {
    /// A batch without a producer id.
    pub const NONE: ProducerId = ProducerId(-1);
}

/// A topic's immutable identity (KIP-516).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub [u8; 16]);

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl TopicId {
    /// No topic.
    pub const ZERO: TopicId = TopicId([0; 16]);
    /// `__cluster_metadata`.
    pub const METADATA: TopicId = TopicId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    /// Reads the 22 characters that Kafka writes (base64url without padding).
    pub fn parse(text: &str) -> Option<TopicId> {
        let text = text.trim_end_matches('=');
        if text.len() != 22 {
            return None;
        }
        let mut bits = 0u128;
        let mut tail = 0u8;
        for (i, byte) in text.bytes().enumerate() {
            let value = BASE64_URL.iter().position(|&c| c == byte)? as u8;
            if i < 21 {
                bits = bits << 6 | u128::from(value);
            } else {
                tail = value;
            }
        }
        Some(TopicId((bits << 2 | u128::from(tail >> 4)).to_be_bytes()))
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let mut text = [0u8; 22];
        for (i, slot) in text.iter_mut().enumerate() {
            let value = if i < 21 { (bits >> (122 - 6 * i)) & 63 } else { (bits & 3) << 4 };
            *slot = BASE64_URL[value as usize];
        }
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_ids_print_as_kafka_prints_them() {
        assert_eq!(TopicId::METADATA.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        for id in [TopicId::METADATA, TopicId([0xff; 16]), TopicId(*b"0123456789abcdef")] {
            assert_eq!(TopicId::parse(&id.to_string()), Some(id));
        }
        assert_eq!(TopicId::parse("short"), None);
        assert_eq!(TopicId::parse("AAAAAAAAAAAAAAAAAAAAA!"), None);
    }
}

//! Kafka's uuid: 16 bytes, written as base64url without padding.

use std::fmt;
use std::str::FromStr;

/// A topic id, directory id, cluster id or member id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// 16 bytes are 128 bits: 22 letters of 6 bits, the last with 4 bits to spare.
const LETTERS: usize = 22;

impl Uuid {
    /// All zeros: not set.
    pub const ZERO: Self = Self([0; 16]);
    /// The number one, which Kafka reserves.
    pub const ONE: Self = Self::from_u64s(0, 1);
    /// The topic id of the metadata log, `AAAAAAAAAAAAAAAAAAAAAQ`.
    pub const METADATA_TOPIC_ID: Self = Self::ONE;

    /// The uuid of Java's two longs.
    #[must_use]
    pub const fn from_u64s(most: u64, least: u64) -> Self {
        Self((((most as u128) << 64) | least as u128).to_be_bytes())
    }

    /// Whether it is not set.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u128::from_be_bytes(self.0);
        let mut text = [0_u8; LETTERS];
        for (index, letter) in text.iter_mut().enumerate() {
            let shifted =
                if index == LETTERS - 1 { number << 4 } else { number >> (122 - 6 * index) };
            *letter = ALPHABET[(shifted & 63) as usize];
        }
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// The text is not the base64url of 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a uuid: 22 letters of base64url are expected")]
pub struct ParseUuidError;

impl FromStr for Uuid {
    type Err = ParseUuidError;

    /// Accepts padding and ignores the 4 spare bits, as Kafka does.
    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        let text = text.strip_suffix("==").unwrap_or(text);
        if text.len() != LETTERS {
            return Err(ParseUuidError);
        }
        let mut number = 0_u128;
        for (index, letter) in text.bytes().enumerate() {
            let bits = ALPHABET.iter().position(|known| *known == letter).ok_or(ParseUuidError)?;
            let bits = bits as u128;
            number =
                if index == LETTERS - 1 { number << 2 | bits >> 4 } else { number << 6 | bits };
        }
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_kafkas_text() {
        assert_eq!(Uuid::METADATA_TOPIC_ID.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        // The uuid of RFC 4648's alphabet in order, and the largest.
        let ordered = Uuid::from_u64s(0x0010_8310_5187_2092, 0x8b30_d38f_4114_9351);
        assert_eq!(ordered.to_string(), "ABCDEFGHIJKLMNOPQRSTUQ");
        assert_eq!(Uuid([0xff; 16]).to_string(), "_____________________w");
        for uuid in [Uuid::ZERO, Uuid::ONE, ordered, Uuid([0xff; 16])] {
            assert_eq!(uuid.to_string().parse(), Ok(uuid));
            assert_eq!(format!("{uuid}==").parse(), Ok(uuid));
        }
        assert_eq!("AAAAAAAAAAAAAAAAAAAAAf".parse(), Ok(Uuid::ONE), "spare bits");
    }

    #[test]
    fn refuses_other_texts() {
        let long = "A".repeat(23);
        for text in ["", "AAAAAAAAAAAAAAAAAAAAA", &long, "AAAAAAAAAAAAAAAAAAAA+/", "\u{e4}"] {
            assert_eq!(text.parse::<Uuid>(), Err(ParseUuidError), "{text}");
        }
    }
}

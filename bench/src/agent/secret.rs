//! [`Secret`]: what an agent and who commands it share, and the tags that prove it.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A shorter secret can be guessed.
const SECRET_BYTES_MIN: usize = 16;
const SECRET_BYTES_MAX: usize = 1_024;
/// HMAC-SHA-256.
pub const TAG_BYTES: usize = 32;

/// A tag over some bytes.
pub type Tag = [u8; TAG_BYTES];

/// Bytes that both sides know and nobody else does.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// It is in no log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// What a file holds, without white space at its ends.
    pub fn read(path: &Path) -> Result<Secret> {
        let shown = path.display();
        let bytes = fs::read(path).with_context(|| format!("the secret file {shown}"))?;
        let bytes = bytes.trim_ascii().to_vec();
        let range = SECRET_BYTES_MIN..=SECRET_BYTES_MAX;
        ensure!(
            range.contains(&bytes.len()),
            "the secret file {shown} holds {} bytes: expected {SECRET_BYTES_MIN} to \
             {SECRET_BYTES_MAX}",
            bytes.len()
        );
        Ok(Secret(bytes))
    }

    /// A secret that follows from this one and from these bytes.
    pub fn derive(&self, parts: &[&[u8]]) -> Secret {
        Secret(self.tag(parts).to_vec())
    }

    /// The tag of these bytes, all together.
    pub fn tag(&self, parts: &[&[u8]]) -> Tag {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// Whether a tag is theirs. It takes the same time for every wrong one.
    pub fn verifies(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.mac(parts).verify_slice(tag).is_ok()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("keys of any length");
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_of_hmac_sha_256() {
        // RFC 4231, test case 2, cut in two.
        let secret = Secret(b"Jefe".to_vec());
        let tag = secret.tag(&[b"what do ya want ", b"for nothing?"]);
        assert_eq!(tag[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
        assert!(secret.verifies(&[b"what do ya want for nothing?"], &tag));
        assert!(!secret.verifies(&[b"what do ya want for something?"], &tag));
        assert!(!secret.derive(&[b"x"]).verifies(&[b"what do ya want for nothing?"], &tag));
        assert!(!secret.verifies(&[b"what do ya want for nothing?"], &tag[..31]));
    }

    #[test]
    fn a_secret_is_neither_short_nor_endless_nor_printed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("secret");
        for (text, good) in [(15, false), (16, true), (1_024, true), (1_025, false)] {
            fs::write(&path, format!("{}\n", "s".repeat(text))).expect("written");
            let read = Secret::read(&path);
            assert_eq!(read.is_ok(), good, "{text}");
            assert!(!format!("{read:?}").contains("sss"));
        }
        let error = format!("{:#}", Secret::read(&dir.path().join("none")).expect_err("none"));
        assert!(error.contains("none"), "{error}");
    }
}

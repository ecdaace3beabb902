//! [`Frames`]: responses cut out of what a connection receives.

use anyhow::{Result, ensure};

/// The largest response that is taken for one.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// Bytes received and not yet handed out.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    at: usize,
}

impl Frames {
    /// Takes in what was received.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, without its length.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.first_chunk::<4>() else { return Ok(None) };
        let length = i32::from_be_bytes(*length);
        let valid = usize::try_from(length).ok().filter(|length| *length <= FRAME_BYTES_MAX);
        ensure!(valid.is_some(), "a frame of {length} bytes: the peer does not speak Kafka");
        let end = 4 + valid.unwrap_or(0);
        if rest.len() < end {
            return Ok(None);
        }
        let start = self.at + 4;
        self.at += end;
        Ok(Some(&self.bytes[start..self.at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_went_in() {
        let mut stream = Vec::new();
        for length in [0u32, 1, 300, 5] {
            stream.extend(length.to_be_bytes());
            stream.extend((0..length).map(|i| i as u8));
        }
        for piece in [1, 2, 3, 7, 400] {
            let mut frames = Frames::default();
            let mut lengths = Vec::new();
            for part in stream.chunks(piece) {
                frames.push(part);
                while let Some(frame) = frames.next_frame().expect("valid") {
                    assert!(frame.iter().enumerate().all(|(i, byte)| *byte == i as u8));
                    lengths.push(frame.len());
                }
            }
            assert_eq!(lengths, [0, 1, 300, 5]);
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for bytes in [*b"HTTP", [0xff; 4]] {
            let mut frames = Frames::default();
            frames.push(&bytes);
            assert!(frames.next_frame().is_err());
        }
    }
}

//! The four compression codecs, in the framing that Kafka's clients use.
//!
//! gzip: RFC 1952, members may follow each other. snappy: xerial's framing (snappy-java) when
//! writing, and raw blocks too when reading, as some clients send them. lz4: the frame format.
//! zstd: plain frames.

use std::io::{self, Cursor, Read, Write};

use thiserror::Error;

/// A batch that unpacks to more than this is refused: a bomb, or of no use to any consumer.
pub const UNCOMPRESSED_BATCH_BYTES_MAX: u64 = 256 << 20;
/// zstd windows up to 2^27 bytes, its own default bound for decoders.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// What a byte of a snappy block unpacks to at most: three make a copy of 64.
const SNAPPY_RATIO_MAX: usize = 22;
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;
/// What snappy-java puts into one block.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;

/// A batch's compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// Not compressed.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// snappy in xerial's framing.
    Snappy,
    /// lz4 frames.
    Lz4,
    /// zstd (KIP-110).
    Zstd,
}

/// A batch's records could not be unpacked or packed.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The codec's own complaint.
    #[error("{codec:?}: {error}")]
    Corrupt {
        /// Which codec.
        codec: Codec,
        /// What it said.
        error: io::Error,
    },
    /// The attribute bits name no codec.
    #[error("unknown compression codec in attributes {0:#x}")]
    Unknown(u16),
    /// More than the bound.
    #[error("the batch unpacks to more than {0} bytes")]
    TooLarge(u64),
}

impl Codec {
    /// All codecs.
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    /// The codec that a batch's attribute bits name.
    pub fn from_bits(bits: u16) -> Option<Codec> {
        Self::ALL.get(usize::from(bits)).copied()
    }

    /// The attribute bits.
    pub fn bits(self) -> u16 {
        self as u16
    }

    /// The name in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }
}

/// A reader of the records that `packed` holds.
pub fn decompressor(codec: Codec, packed: &[u8]) -> Result<Box<dyn Read + '_>, CodecError> {
    let corrupt = |error| CodecError::Corrupt { codec, error };
    Ok(match codec {
        Codec::None => Box::new(packed),
        Codec::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
        Codec::Snappy => Box::new(SnappyReader::new(packed).map_err(corrupt)?),
        Codec::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(packed)),
        Codec::Zstd => {
            let mut reader = zstd::stream::read::Decoder::with_buffer(packed).map_err(corrupt)?;
            reader.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(corrupt)?;
            Box::new(reader)
        }
    })
}

/// Unpacks all of `packed`, at most `bytes_max` bytes.
pub fn decompress(codec: Codec, packed: &[u8], bytes_max: u64) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    let mut reader = decompressor(codec, packed)?.take(bytes_max + 1);
    reader.read_to_end(&mut out).map_err(|error| CodecError::Corrupt { codec, error })?;
    if out.len() as u64 > bytes_max {
        return Err(CodecError::TooLarge(bytes_max));
    }
    Ok(out)
}

/// Packs `records` at the codec's default level, or at `level`.
pub fn compress(codec: Codec, records: &[u8], level: Option<i32>) -> Result<Vec<u8>, CodecError> {
    pack(codec, records, level).map_err(|error| CodecError::Corrupt { codec, error })
}

fn pack(codec: Codec, records: &[u8], level: Option<i32>) -> io::Result<Vec<u8>> {
    match codec {
        Codec::None => Ok(records.to_vec()),
        Codec::Gzip => {
            let level = level.map_or(flate2::Compression::default(), |level| {
                flate2::Compression::new(level.clamp(1, 9) as u32)
            });
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
            writer.write_all(records)?;
            writer.finish()
        }
        Codec::Snappy => pack_xerial(records),
        Codec::Lz4 => {
            // Independent blocks with their content checksummed are what Kafka's own writer makes;
            // its reader takes no linked blocks.
            let info = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut writer = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            writer.write_all(records)?;
            writer.finish().map_err(io::Error::other)
        }
        Codec::Zstd => zstd::stream::encode_all(records, level.unwrap_or(3)),
    }
}

fn pack_xerial(records: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = XERIAL_MAGIC.to_vec();
    out.extend_from_slice(&1i32.to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(XERIAL_BLOCK_BYTES) {
        let packed = encoder.compress_vec(block).map_err(io::Error::other)?;
        out.extend_from_slice(&(packed.len() as i32).to_be_bytes());
        out.extend_from_slice(&packed);
    }
    Ok(out)
}

/// Reads xerial's framing block by block; bytes without its header are one raw block.
struct SnappyReader<'a> {
    packed: &'a [u8],
    framed: bool,
    block: Cursor<Vec<u8>>,
}

impl<'a> SnappyReader<'a> {
    fn new(packed: &'a [u8]) -> io::Result<Self> {
        let framed = packed.starts_with(XERIAL_MAGIC);
        let packed = if framed {
            packed.get(XERIAL_HEADER_BYTES..).ok_or(io::ErrorKind::UnexpectedEof)?
        } else {
            packed
        };
        Ok(Self { packed, framed, block: Cursor::default() })
    }

    fn next_block(&mut self) -> io::Result<bool> {
        if self.packed.is_empty() {
            return Ok(false);
        }
        let block = if self.framed {
            let (length, rest) =
                self.packed.split_first_chunk::<4>().ok_or(io::ErrorKind::UnexpectedEof)?;
            let length = usize::try_from(i32::from_be_bytes(*length))
                .map_err(|_| io::ErrorKind::InvalidData)?;
            let block = rest.get(..length).ok_or(io::ErrorKind::UnexpectedEof)?;
            self.packed = &rest[length..];
            block
        } else {
            std::mem::take(&mut self.packed)
        };
        // A block says its own unpacked length; believe no more than its bytes can make, nor than
        // the whole batch may have.
        let length = snap::raw::decompress_len(block).map_err(io::Error::other)?;
        let most = block.len().saturating_mul(SNAPPY_RATIO_MAX);
        if length > most || length as u64 > UNCOMPRESSED_BATCH_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut unpacked = std::mem::take(&mut self.block).into_inner();
        unpacked.resize(length, 0);
        let count =
            snap::raw::Decoder::new().decompress(block, &mut unpacked).map_err(io::Error::other)?;
        unpacked.truncate(count);
        self.block = Cursor::new(unpacked);
        Ok(true)
    }
}

impl Read for SnappyReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.block.read(out)?;
            if count > 0 || out.is_empty() || !self.next_block()? {
                return Ok(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_round_trips() {
        let records: Vec<u8> = (0..100_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for codec in Codec::ALL {
            let packed = compress(codec, &records, None).expect("packs");
            assert!(codec == Codec::None || packed.len() < records.len());
            let unpacked = decompress(codec, &packed, 1 << 20).expect("unpacks");
            assert_eq!(unpacked, records, "{codec:?}");
            let bomb = decompress(codec, &packed, 1000);
            assert!(matches!(bomb, Err(CodecError::TooLarge(1000))), "{codec:?}");
        }
    }

    #[test]
    fn raw_snappy_is_understood() {
        let packed = snap::raw::Encoder::new().compress_vec(b"some records").expect("packs");
        assert_eq!(decompress(Codec::Snappy, &packed, 100).expect("unpacks"), b"some records");
    }

    #[test]
    fn w04_a_snappy_block_that_claims_much_and_has_little_is_refused_unseen() {
        // 2^27 in a varint, and nothing to unpack it from.
        let result = decompress(Codec::Snappy, b"\x80\x80\x80\x40\0\0", 1 << 30);
        assert!(matches!(result, Err(CodecError::Corrupt { .. })));
        let most = vec![7; 1 << 20];
        let packed = snap::raw::Encoder::new().compress_vec(&most).expect("packs");
        assert!(packed.len() * SNAPPY_RATIO_MAX > most.len(), "the best that snappy can do");
        assert_eq!(decompress(Codec::Snappy, &packed, 1 << 30).expect("unpacks"), most);
    }

    #[test]
    fn garbage_is_an_error() {
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let result = decompress(codec, b"\x82SNAPPY\0garbage that is no frame", 1 << 20);
            assert!(matches!(result, Err(CodecError::Corrupt { .. })), "{codec:?}");
        }
    }
}

//! Storing a batch with another codec than its producer chose (topic config compression.type).

use super::codec::{Codec, CodecError, UNCOMPRESSED_BATCH_BYTES_MAX, compress, decompress};
use super::header::{BATCH_HEADER_BYTES, BatchHeader, with_codec, write_crc};

/// How a topic wants its batches stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// The codec.
    pub codec: Codec,
    /// Its level, if not the default.
    pub level: Option<i32>,
}

/// The batch with its records packed by another codec; `None` if they already are. Where the codec
/// is the same its level is left alone, as Kafka does.
pub fn repack(
    batch: &[u8],
    header: &BatchHeader,
    packing: Packing,
) -> Result<Option<Vec<u8>>, CodecError> {
    let Some(codec) = header.codec().filter(|codec| *codec != packing.codec) else {
        return Ok(None);
    };
    let packed = &batch[BATCH_HEADER_BYTES..header.size];
    let records = decompress(codec, packed, UNCOMPRESSED_BATCH_BYTES_MAX)?;
    let packed = compress(packing.codec, &records, packing.level)?;
    let stored = BatchHeader {
        size: BATCH_HEADER_BYTES + packed.len(),
        attributes: with_codec(header.attributes, packing.codec),
        ..*header
    };
    let mut bytes = stored.encode().to_vec();
    bytes.extend_from_slice(&packed);
    write_crc(&mut bytes);
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, RecordFields, validate_stored};

    #[test]
    fn records_stay_what_they_are_under_every_codec() {
        let build = |codec| {
            let mut builder = BatchBuilder::default();
            builder.codec = codec;
            for i in 0..50u8 {
                let value = [i; 100];
                builder.append(
                    i64::from(i),
                    &RecordFields { value: Some(&value), ..Default::default() },
                );
            }
            builder.build().expect("packs")
        };
        let unpack = |batch: &[u8]| {
            let header = validate_stored(batch).expect("sound");
            let codec = header.codec().expect("a codec");
            decompress(codec, &batch[BATCH_HEADER_BYTES..], 1 << 20).expect("unpacks")
        };
        let plain = unpack(&build(Codec::None));
        for from in Codec::ALL {
            for codec in Codec::ALL {
                let batch = build(from);
                let header = validate_stored(&batch).expect("sound");
                let packed = repack(&batch, &header, Packing { codec, level: Some(1) });
                let packed = packed.expect("packs");
                assert_eq!(packed.is_none(), from == codec);
                let stored = packed.unwrap_or(batch);
                assert_eq!(validate_stored(&stored).expect("sound").codec(), Some(codec));
                assert_eq!(unpack(&stored), plain);
            }
        }
    }
}

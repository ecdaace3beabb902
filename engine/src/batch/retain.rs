//! What compaction leaves of a batch (Kafka's `MemoryRecords.filterTo`).

use super::codec::{Codec, CodecError, compress};
use super::header::{
    BATCH_HEADER_BYTES, BatchHeader, TimestampType, with_delete_horizon, write_crc,
};
use super::record::{Record, RecordError, records};
use crate::stdx::varint::{varint_len, varlong_len, write_varint, write_varlong};

/// What is left of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remains {
    /// All of it, as it is.
    All,
    /// A batch with fewer records, or with a delete horizon.
    Some(Vec<u8>),
    /// No record.
    None,
}

/// Why a batch cannot be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RetainError {
    /// A record is broken.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The records do not pack or unpack.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The codec is none that is known.
    #[error("unknown compression codec in attributes {0:#x}")]
    UnknownCodec(u16),
}

/// Keeps the records of a batch that `keep` chooses. Offsets, sequences, producer and codec stay.
///
/// A batch that has no delete horizon yet gets `horizon_ms`, the time from which its tombstones may
/// go, if it keeps a tombstone or is the marker of a transaction without records
/// (`of_empty_txn`). The horizon takes the place of the base timestamp (KIP-534).
pub fn retain_records(
    header: &BatchHeader,
    unpacked: &[u8],
    horizon_ms: i64,
    of_empty_txn: bool,
    mut keep: impl FnMut(&Record<'_>) -> bool,
) -> Result<Remains, RetainError> {
    let (mut kept, mut dropped, mut tombstones) = (Vec::new(), false, false);
    for record in records(header, unpacked) {
        let record = record?;
        if keep(&record) {
            tombstones |= record.value.is_none();
            kept.push(record);
        } else {
            dropped = true;
        }
    }
    if kept.is_empty() {
        return Ok(Remains::None);
    }
    let known = header.delete_horizon_ms();
    let due = (tombstones || of_empty_txn) && known.is_none();
    if !dropped && !due {
        return Ok(Remains::All);
    }
    let horizon = if due { Some(horizon_ms) } else { known };
    Ok(Remains::Some(rewrite(header, &kept, horizon)?))
}

fn rewrite(
    header: &BatchHeader,
    kept: &[Record<'_>],
    horizon_ms: Option<i64>,
) -> Result<Vec<u8>, RetainError> {
    let codec = header.codec().ok_or(RetainError::UnknownCodec(header.attributes))?;
    let base_timestamp = horizon_ms.unwrap_or(kept[0].timestamp);
    let mut packed = Vec::new();
    for record in kept {
        let timestamp_delta = record.timestamp.wrapping_sub(base_timestamp);
        let offset_delta = (record.offset.0 - header.base_offset.0) as i32;
        let fields = record.raw_fields();
        let length = 1 + varlong_len(timestamp_delta) + varint_len(offset_delta) + fields.len();
        write_varint(&mut packed, length as i32);
        packed.push(0);
        write_varlong(&mut packed, timestamp_delta);
        write_varint(&mut packed, offset_delta);
        packed.extend_from_slice(fields);
    }
    if codec != Codec::None {
        packed = compress(codec, &packed, None)?;
    }
    let max_timestamp = match header.timestamp_type() {
        TimestampType::CreateTime => kept.iter().map(|record| record.timestamp).max(),
        TimestampType::LogAppendTime => Some(header.max_timestamp),
    };
    let rewritten = BatchHeader {
        size: BATCH_HEADER_BYTES + packed.len(),
        attributes: with_delete_horizon(header.attributes, horizon_ms.is_some()),
        base_timestamp,
        max_timestamp: max_timestamp.expect("some were kept"),
        records_count: kept.len() as i32,
        ..*header
    };
    Ok(finish(&rewritten, &packed))
}

/// The batch without its records: it keeps the producer's last sequence, or the log's end.
pub fn emptied(header: &BatchHeader) -> Vec<u8> {
    let attributes = BatchHeader::attribute_bits(
        Codec::None,
        header.timestamp_type(),
        header.is_transactional(),
        header.is_control(),
    );
    let (size, base_timestamp, records_count) = (BATCH_HEADER_BYTES, -1, 0);
    finish(&BatchHeader { size, attributes, base_timestamp, records_count, ..*header }, &[])
}

fn finish(header: &BatchHeader, packed: &[u8]) -> Vec<u8> {
    let mut bytes = header.encode().to_vec();
    bytes.extend_from_slice(packed);
    write_crc(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, RecordFields, decompress, stamp, validate_stored};
    use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

    fn batch(codec: Codec) -> Vec<u8> {
        let mut builder = BatchBuilder::default();
        builder.codec = codec;
        builder.producer = Some((ProducerId(5), ProducerEpoch(1), 70));
        for (i, value) in [Some(&b"one"[..]), None, Some(b"three")].into_iter().enumerate() {
            let key = [b'k', i as u8];
            let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", None), (b"h", Some(b"x"))];
            builder.append(100 + i as i64, &RecordFields { key: Some(&key), value, headers });
        }
        let mut bytes = builder.build().expect("packs");
        stamp(&mut bytes, Offset(40), LeaderEpoch(3));
        bytes
    }

    type Seen = (i64, i64, Vec<u8>, Option<Vec<u8>>, usize);

    fn contents(bytes: &[u8]) -> (BatchHeader, Vec<Seen>) {
        let header = validate_stored(bytes).expect("sound");
        let codec = header.codec().expect("a codec");
        let unpacked = decompress(codec, &bytes[BATCH_HEADER_BYTES..], 1 << 20).expect("unpacks");
        let records = records(&header, &unpacked)
            .map(|record| {
                let r = record.expect("whole");
                let key = r.key.unwrap_or_default().to_vec();
                (r.offset.0, r.timestamp, key, r.value.map(<[u8]>::to_vec), r.headers().count())
            })
            .collect();
        (header, records)
    }

    fn retain(bytes: &[u8], keep: impl Fn(i64) -> bool) -> Remains {
        let header = validate_stored(bytes).expect("sound");
        let codec = header.codec().expect("a codec");
        let unpacked = decompress(codec, &bytes[BATCH_HEADER_BYTES..], 1 << 20).expect("unpacks");
        let remains =
            retain_records(&header, &unpacked, 9_000, false, |record| keep(record.offset.0));
        remains.expect("sound")
    }

    #[test]
    fn what_is_kept_keeps_its_place_its_time_and_its_headers() {
        for codec in Codec::ALL {
            let bytes = batch(codec);
            let (original, all) = contents(&bytes);
            let Remains::Some(left) = retain(&bytes, |offset| offset == 42) else { panic!() };
            let (header, records) = contents(&left);
            assert_eq!(records, all[2..]);
            assert_eq!((header.base_offset, header.last_offset()), (Offset(40), Offset(42)));
            assert_eq!(header.last_sequence(), original.last_sequence());
            assert_eq!((header.codec(), header.base_timestamp), (Some(codec), 102));
            assert_eq!(header.delete_horizon_ms(), None);
        }
    }

    #[test]
    fn a_tombstone_that_is_kept_brings_a_horizon_once() {
        let bytes = batch(Codec::None);
        let Remains::Some(first) = retain(&bytes, |_| true) else { panic!() };
        let (header, records) = contents(&first);
        assert_eq!(records, contents(&bytes).1);
        assert_eq!((header.delete_horizon_ms(), header.max_timestamp), (Some(9_000), 102));
        assert_eq!(retain(&first, |_| true), Remains::All);
        let Remains::Some(second) = retain(&first, |offset| offset != 40) else { panic!() };
        assert_eq!(contents(&second).0.delete_horizon_ms(), Some(9_000));
        assert_eq!(retain(&first, |_| false), Remains::None);
        assert_eq!(retain(&batch(Codec::Zstd), |_| false), Remains::None);
    }

    #[test]
    fn an_emptied_batch_keeps_offsets_and_sequences() {
        let bytes = batch(Codec::Lz4);
        let original = validate_stored(&bytes).expect("sound");
        let empty = emptied(&original);
        let (header, records) = contents(&empty);
        assert!(records.is_empty());
        assert_eq!((empty.len(), header.records_count), (BATCH_HEADER_BYTES, 0));
        assert_eq!(header.last_offset(), original.last_offset());
        assert_eq!(header.last_sequence(), original.last_sequence());
        assert_eq!((header.base_timestamp, header.max_timestamp), (-1, original.max_timestamp));
    }
}

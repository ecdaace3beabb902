//! Each rule of the table in docs/FORMAT.md, broken once.

use super::*;
use crate::batch::{BatchBuilder, RecordFields, records, stamp};
use crate::stdx::prng::Prng;
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const NOW: i64 = 1_700_000_000_000;

fn rules() -> AppendRules {
    AppendRules {
        batch_bytes_max: 1 << 20,
        compacted: false,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        allow_control: false,
    }
}

fn batch_of(codec: Codec, count: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.codec = codec;
    for i in 0..count {
        let value = format!("value {i}");
        let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", Some(b"1")), (b"h", None)];
        builder.append(
            NOW + i as i64,
            &RecordFields {
                key: (i % 2 == 0).then_some(b"key"),
                value: Some(value.as_bytes()),
                headers: if i % 3 == 0 { headers } else { &[] },
            },
        );
    }
    builder.build().expect("packs")
}

fn reseal(batch: &mut [u8]) {
    crate::batch::header::write_crc(batch);
}

fn refused(mut bytes: Vec<u8>, rules: &AppendRules) -> BatchError {
    let before = bytes.clone();
    let error = validate_for_append(&mut bytes, rules, NOW).expect_err("must be refused");
    assert_eq!(bytes, before, "a refused batch is left as it was");
    error
}

#[test]
fn good_batches_of_every_codec_pass_and_keep_their_records() {
    for codec in Codec::ALL {
        let mut bytes = batch_of(codec, 100);
        let original = bytes.clone();
        let validated = validate_for_append(&mut bytes, &rules(), NOW).expect("good");
        assert_eq!(bytes, original, "nothing to change");
        assert_eq!(validated.header.max_timestamp, NOW + 99);
        stamp(&mut bytes, Offset(1000), LeaderEpoch(7));
        let header = validate_stored(&bytes).expect("the CRC does not cover the stamp");
        assert_eq!((header.base_offset, header.last_offset()), (Offset(1000), Offset(1099)));
        let unpacked = crate::batch::decompress(codec, &bytes[61..], 1 << 20).expect("unpacks");
        let all: Vec<_> = records(&header, &unpacked).collect::<Result<_, _>>().expect("whole");
        assert_eq!(all.len(), 100);
        assert_eq!(all[99].value, Some(&b"value 99"[..]));
        assert_eq!(all[0].headers().count(), 2);
        assert_eq!((all[1].key, all[2].key), (None, Some(&b"key"[..])));
    }
}

#[test]
fn w04_a_lying_crc() {
    let mut bytes = batch_of(Codec::None, 3);
    *bytes.last_mut().expect("not empty") ^= 1;
    assert!(matches!(refused(bytes, &rules()), BatchError::Crc { .. }));
}

#[test]
fn w04_wrong_magic() {
    for (magic, legacy) in [(0, true), (1, true), (3, false), (255, false)] {
        let mut bytes = batch_of(Codec::None, 3);
        bytes[16] = magic;
        let error = refused(bytes, &rules());
        assert_eq!(matches!(error, BatchError::Magic(_)), legacy, "{error}");
    }
}

#[test]
fn w04_lengths_and_truncation() {
    let good = batch_of(Codec::None, 3);
    for cut in 0..good.len() {
        let error = refused(good[..cut].to_vec(), &rules());
        assert!(matches!(error, BatchError::Missing), "{cut}: {error}");
    }
    for length in [-1, 0, 13, 48, i32::MAX] {
        let mut bytes = good.clone();
        bytes[8..12].copy_from_slice(&i32::to_be_bytes(length));
        refused(bytes, &rules());
    }
    let two = [good.clone(), good.clone()].concat();
    assert!(matches!(refused(two, &rules()), BatchError::Several));
    let small = AppendRules { batch_bytes_max: good.len() - 1, ..rules() };
    assert!(matches!(refused(good, &small), BatchError::TooLarge { .. }));
}

#[test]
fn w04_counts_deltas_and_bits() {
    type Edit = fn(&mut Vec<u8>);
    let edits: [(&str, Edit); 6] = [
        ("base offset", |b| b[7] = 1),
        ("record count", |b| b[57..61].copy_from_slice(&0i32.to_be_bytes())),
        ("record count", |b| b[57..61].copy_from_slice(&(-1i32).to_be_bytes())),
        ("do not end", |b| b[23..27].copy_from_slice(&9i32.to_be_bytes())),
        ("control", |b| b[22] |= 0x20),
        ("sequence", |b| b[43..51].copy_from_slice(&5i64.to_be_bytes())),
    ];
    for (word, edit) in edits {
        let mut bytes = batch_of(Codec::None, 3);
        edit(&mut bytes);
        reseal(&mut bytes);
        let error = refused(bytes, &rules()).to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
    let mut bytes = batch_of(Codec::None, 3);
    bytes[22] |= 7;
    reseal(&mut bytes);
    assert!(matches!(refused(bytes, &rules()), BatchError::UnknownCodec(7)));
}

#[test]
fn w04_more_or_fewer_records_than_counted() {
    for codec in Codec::ALL {
        for count in [2, 4] {
            let mut bytes = batch_of(codec, 3);
            bytes[57..61].copy_from_slice(&i32::to_be_bytes(count));
            bytes[23..27].copy_from_slice(&i32::to_be_bytes(count - 1));
            reseal(&mut bytes);
            refused(bytes, &rules());
        }
    }
}

#[test]
fn w04_every_flipped_record_byte_is_refused_or_harmless() {
    let good = batch_of(Codec::None, 4);
    let mut refusals = 0;
    for at in 61..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            reseal(&mut bytes);
            match validate_for_append(&mut bytes, &rules(), NOW) {
                Err(_) => refusals += 1,
                Ok(validated) => {
                    let all = records(&validated.header, &bytes[61..]).count();
                    assert_eq!(all, 4, "accepted, so every record can be read");
                }
            }
        }
    }
    assert!(refusals > 50, "{refusals}");
}

#[test]
fn w04_a_compressed_bomb_is_refused_within_its_bound() {
    for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
        let zeros = vec![0u8; (UNCOMPRESSED_BATCH_BYTES_MAX + (1 << 20)) as usize];
        let mut record = Vec::new();
        crate::stdx::varint::write_varint(&mut record, i32::MAX);
        // Attributes, both deltas, no key, and a value of nearly all of that.
        record.extend_from_slice(&[0, 0, 0, 1]);
        crate::stdx::varint::write_varint(&mut record, i32::MAX - 20);
        record.extend_from_slice(&zeros);
        let packed = crate::batch::compress(codec, &record, Some(1)).expect("packs");
        let mut bytes = batch_of(codec, 1);
        bytes.truncate(61);
        bytes.extend_from_slice(&packed);
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        reseal(&mut bytes);
        let rules = AppendRules { batch_bytes_max: bytes.len(), ..rules() };
        let error = refused(bytes, &rules);
        assert!(matches!(error, BatchError::TooLarge { .. }), "{codec:?}: {error}");
    }
}

#[test]
fn w04_compressed_garbage() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut bytes = batch_of(codec, 10);
        for byte in &mut bytes[70..] {
            *byte = 0x5a;
        }
        reseal(&mut bytes);
        refused(bytes, &rules());
    }
}

#[test]
fn a_compacted_topic_wants_keys() {
    let rules = AppendRules { compacted: true, ..rules() };
    let BatchError::Records { faults } = refused(batch_of(Codec::Lz4, 4), &rules) else { panic!() };
    assert_eq!(faults, [(1, RecordFault::NoKey), (3, RecordFault::NoKey)]);
}

#[test]
fn c04_timestamps_are_bounded() {
    let rules = AppendRules { timestamp_before_max_ms: 10, timestamp_after_max_ms: 2, ..rules() };
    let BatchError::Records { faults } = refused(batch_of(Codec::None, 4), &rules) else {
        panic!()
    };
    assert_eq!(faults, [(3, RecordFault::Timestamp(NOW + 3))]);
    for extreme in [i64::MIN, i64::MAX] {
        let mut bytes = batch_of(Codec::None, 1);
        bytes[27..35].copy_from_slice(&extreme.to_be_bytes());
        reseal(&mut bytes);
        assert!(matches!(refused(bytes, &rules), BatchError::Records { .. }));
    }
}

#[test]
fn c04_a_timestamp_that_wraps_is_no_timestamp() {
    let mut builder = BatchBuilder::default();
    for timestamp in [0, 2 * NOW] {
        builder.append(timestamp, &RecordFields { key: None, value: None, headers: &[] });
    }
    let mut bytes = builder.build().expect("packs");
    bytes[27..35].copy_from_slice(&i64::MAX.to_be_bytes());
    reseal(&mut bytes);
    let BatchError::Records { faults } = refused(bytes, &rules()) else { panic!() };
    assert_eq!(faults.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn log_append_time_is_stamped_and_a_wrong_max_is_mended() {
    let mut bytes = batch_of(Codec::None, 3);
    let by_leader = AppendRules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
    let validated = validate_for_append(&mut bytes, &by_leader, NOW + 50).expect("good");
    assert_eq!(validated.header.max_timestamp, NOW + 50);
    let header = validate_stored(&bytes).expect("resealed");
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    let times: Vec<i64> =
        records(&header, &bytes[61..]).map(|r| r.expect("whole").timestamp).collect();
    assert_eq!(times, [NOW + 50; 3]);

    let mut bytes = batch_of(Codec::None, 3);
    bytes[35..43].copy_from_slice(&(NOW + 5000).to_be_bytes());
    reseal(&mut bytes);
    let validated = validate_for_append(&mut bytes, &rules(), NOW).expect("good");
    assert_eq!(validated.header.max_timestamp, NOW + 2);
    validate_stored(&bytes).expect("resealed");
}

#[test]
fn random_bytes_never_panic() {
    let mut prng = Prng::new(11);
    for _ in 0..20_000 {
        let mut bytes = batch_of(Codec::ALL[prng.index(5)], 2);
        for _ in 0..prng.between(1, 6) {
            let at = prng.index(bytes.len());
            bytes[at] = prng.next_u64() as u8;
        }
        if prng.chance(1, 2) {
            reseal(&mut bytes);
        }
        // The outcome is free; that there is one is the test.
        let _ = validate_for_append(&mut bytes, &rules(), NOW);
    }
}

#[test]
fn sequences_wrap() {
    let mut builder = BatchBuilder::default();
    builder.producer = Some((ProducerId(1), ProducerEpoch(0), i32::MAX));
    for _ in 0..3 {
        builder.append(NOW, &RecordFields::default());
    }
    let bytes = builder.build().expect("packs");
    assert_eq!(BatchHeader::parse(&bytes).expect("a header").last_sequence(), 1);
}

/// The batch that has `records` packed by `codec`, sealed.
fn repacked(batch: &[u8], codec: Codec, records: &[u8]) -> Vec<u8> {
    let mut out = batch[..61].to_vec();
    out.extend(crate::batch::compress(codec, records, None).expect("packs"));
    let length = (out.len() - 12) as i32;
    out[8..12].copy_from_slice(&length.to_be_bytes());
    out[22] = codec.bits() as u8;
    reseal(&mut out);
    out
}

#[test]
fn w04_records_beyond_the_window_are_judged_as_they_would_be_unpacked() {
    let mut prng = Prng::new(5);
    let mut accepted = 0;
    for round in 0..400 {
        let mut builder = BatchBuilder::default();
        for _ in 0..prng.between(1, 3) {
            let (key, value) = (vec![1; prng.index(90_000)], vec![2; prng.index(200_000)]);
            let header: (&[u8], Option<&[u8]>) = (b"name", Some(&key));
            let headers = vec![header; prng.index(3)];
            let fields = RecordFields { key: Some(&key), value: Some(&value), headers: &headers };
            builder.append(NOW, &fields);
        }
        let plain = builder.build().expect("builds");
        let mut records = plain[61..].to_vec();
        if round % 4 != 0 {
            // Where the numbers are: at the start, or anywhere.
            let at = if prng.chance(1, 2) { prng.index(12) } else { prng.index(records.len()) };
            records[at] ^= 1 << prng.below(8);
        }
        let wide = AppendRules { batch_bytes_max: 1 << 30, ..rules() };
        let judge = |codec| {
            let mut bytes = repacked(&plain, codec, &records);
            validate_for_append(&mut bytes, &wide, NOW).map_err(|error| error.to_string())
        };
        let (whole, streamed) = (judge(Codec::None), judge(Codec::Zstd));
        assert_eq!(whole.is_ok(), streamed.is_ok(), "{round}: {whole:?} {streamed:?}");
        accepted += usize::from(whole.is_ok());
    }
    assert!((100..400).contains(&accepted), "{accepted} accepted");
}

#[test]
fn the_quick_walk_takes_nothing_that_the_careful_one_would_not() {
    let good = batch_of(Codec::None, 200);
    let records = &good[BATCH_HEADER_BYTES..];
    let mut prng = Prng::new(5);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..200 {
        let mut bytes = records.to_vec();
        for _ in 0..prng.below(20) {
            let at = prng.index(bytes.len());
            bytes[at] = prng.next_u64() as u8;
        }
        let mut at = 0;
        for index in 0..200 {
            let (mut quick_at, mut careful_at) = (at, at);
            let quick = walk_plain(&bytes, &mut quick_at, index);
            let careful = walk_record(&bytes, &mut careful_at, index);
            if let Some(quick) = quick {
                let careful = careful.as_ref().expect("as the quick walk found");
                assert_eq!(quick_at, careful_at);
                assert_eq!(quick.timestamp_delta, careful.timestamp_delta);
                assert_eq!(quick.has_key, careful.has_key);
                taken += 1;
            } else {
                assert_eq!(quick_at, at, "what is declined is left where it was");
            }
            if careful.is_err() {
                refused += 1;
                break;
            }
            at = careful_at;
        }
    }
    assert!(taken > 1000 && refused > 50, "{taken} taken, {refused} refused");
}

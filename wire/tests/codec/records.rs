//! The enums over the records of a log: frames, types, versions.

use ringlog_wire::records::metadata::{ClientQuotaRecord, MetadataRecord, TopicRecord};
use ringlog_wire::records::remote::RemoteRecord;
use ringlog_wire::records::{group, share, transaction};
use ringlog_wire::{DecodeError, EncodeError, Message, Uuid};

use crate::arbitrary::Subject;

/// Reads a record through the enum of its log and writes it again; answers its type, its name and
/// the bytes.
macro_rules! again {
    ($decoded:expr, $encode:ident $($version:ident)?) => {{
        let record = $decoded.expect("decodes");
        let mut out = Vec::new();
        record.$encode($($version,)? &mut out).expect("encodes");
        (record.record_type(), record.name(), out)
    }};
}

/// A record as its log has it, framed by hand, is read as what it is and written as it was. Any
/// other message is none of this function's business.
pub fn as_record(subject: &Subject, record_type: i16, version: i16) {
    let (bytes, _) = subject.encoded(version, 0);
    let with = |head: &[u8]| [head, &bytes].concat();
    // Types and versions of framed records take one byte of a varint each.
    let frame = || with(&[1, record_type as u8, version as u8]);
    let key = || with(&record_type.to_be_bytes());
    let value = || with(&version.to_be_bytes());
    let class = subject.java_class.trim_start_matches("org.apache.kafka.");
    let package = class.split(".generated").next().unwrap_or_default();
    let (framed, (found_type, name, written)) = match (package, class.ends_with("Key")) {
        _ if record_type < 0 => return,
        ("coordinator.group", true) => (key(), again!(group::Key::decode(&key()), encode)),
        ("coordinator.share", true) => (key(), again!(share::Key::decode(&key()), encode)),
        ("coordinator.transaction", true) => {
            (key(), again!(transaction::Key::decode(&key()), encode))
        }
        ("coordinator.group", false) => {
            let decoded = group::Value::decode(record_type, &value()).map(|(value, _)| value);
            (value(), again!(decoded, encode version))
        }
        ("coordinator.share", false) => {
            let decoded = share::Value::decode(record_type, &value()).map(|(value, _)| value);
            (value(), again!(decoded, encode version))
        }
        ("coordinator.transaction", false) => {
            let decoded = transaction::Value::decode(record_type, &value()).map(|(value, _)| value);
            (value(), again!(decoded, encode version))
        }
        ("server.log.remote.metadata.storage", _) => {
            let decoded = RemoteRecord::decode_frame(&frame()).map(|(record, _)| record);
            (frame(), again!(decoded, encode_frame version))
        }
        (package, _) if package.starts_with("common.metadata.") => {
            let decoded = MetadataRecord::decode_frame(&frame()).map(|(record, _)| record);
            (frame(), again!(decoded, encode_frame version))
        }
        _ => return,
    };
    assert_eq!((found_type, name), (record_type, subject.name));
    assert_eq!(written, framed, "{} v{version}", subject.name);
}

#[test]
fn a_metadata_record_has_kafkas_frame() {
    let record = MetadataRecord::Topic(TopicRecord {
        name: "t".to_owned(),
        topic_id: Uuid::from_u64s(0x0102_0304_0506_0708, 0x090a_0b0c_0d0e_0f10),
    });
    let mut out = Vec::new();
    record.encode_frame(0, &mut out).expect("encodes");
    // Frame version, type 2, version 0, name, uuid, no tags.
    let mut expected = vec![1, 2, 0, 2, b't'];
    expected.extend(1..=16);
    expected.push(0);
    assert_eq!(out, expected);
    assert_eq!(MetadataRecord::decode_frame(&out), Ok((record.clone(), 0)));
    assert_eq!((record.record_type(), record.name()), (2, "TopicRecord"));

    out.push(0);
    assert_eq!(MetadataRecord::decode_frame(&out), Err(DecodeError::Trailing(1)));
}

#[test]
fn a_foreign_frame_is_refused() {
    let decode = MetadataRecord::decode_frame;
    assert_eq!(decode(&[0, 2, 0]), Err(DecodeError::Frame(0)));
    assert_eq!(decode(&[2, 2, 0]), Err(DecodeError::Frame(2)));
    assert_eq!(decode(&[1, 100, 0]), Err(DecodeError::UnknownType(100)));
    let newer = DecodeError::Version { name: "TopicRecord", version: 9 };
    assert_eq!(decode(&[1, 2, 9]), Err(newer));
    assert_eq!(decode(&[1, 0x80, 0x80, 0x02, 0]), Err(DecodeError::Varint));
    assert_eq!(decode(&[]), Err(DecodeError::Truncated { missing_bytes: 1 }));
    let mut out = Vec::new();
    let refused = MetadataRecord::from(ClientQuotaRecord::default()).encode_frame(1, &mut out);
    assert_eq!(refused, Err(EncodeError::Version { name: "ClientQuotaRecord", version: 1 }));
}

#[test]
fn a_coordinator_record_is_a_typed_key_and_a_versioned_value() {
    let key = group::Key::OffsetCommit(group::OffsetCommitKey {
        group: "g".to_owned(),
        topic: "t".to_owned(),
        partition: 3,
    });
    let mut bytes = Vec::new();
    key.encode(&mut bytes).expect("encodes");
    assert_eq!(bytes, [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 3]);
    assert_eq!(group::Key::decode(&bytes), Ok(key));

    let offset_commit = group::OffsetCommitValue { offset: 7, ..Default::default() };
    let value = group::Value::from(offset_commit);
    let mut bytes = Vec::new();
    value.encode(3, &mut bytes).expect("encodes");
    assert_eq!(bytes[..2], [0, 3]);
    assert_eq!(group::Value::decode(1, &bytes), Ok((value, 3)));
    assert_eq!(group::Value::decode(99, &bytes), Err(DecodeError::UnknownType(99)));
    assert_eq!(group::Key::decode(&[0, 99]), Err(DecodeError::UnknownType(99)));
    bytes[1] = 5;
    let newer = DecodeError::Version { name: "OffsetCommitValue", version: 5 };
    assert_eq!(group::Value::decode(1, &bytes), Err(newer));
}

/// Keys and values of one type belong together in every log.
#[test]
fn keys_and_values_share_their_types() {
    assert_eq!(group::Key::from(group::GroupMetadataKey::default()).record_type(), 2);
    assert_eq!(group::Value::from(group::GroupMetadataValue::default()).record_type(), 2);
    assert_eq!(share::Key::from(share::ShareUpdateKey::default()).record_type(), 1);
    assert_eq!(share::Value::from(share::ShareUpdateValue::default()).record_type(), 1);
    let key = transaction::TransactionLogKey { transactional_id: "x".to_owned() };
    assert_eq!(transaction::Key::from(key).record_type(), 0);
    assert_eq!(transaction::TransactionLogValue::MAX_VERSION, 1);
}

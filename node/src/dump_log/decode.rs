//! Records of internal topics, in words: what kafka-dump-log's decoders print.

use ringlog_engine::batch::{ControlType, EndTxnMarker, Record};
use ringlog_wire::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, KRaftVersionRecord,
    LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord, VotersRecord,
};
use ringlog_wire::records::metadata::MetadataRecord;
use ringlog_wire::records::{group, share, transaction};
use ringlog_wire::{DecodeError, Json, Message, Reader, ToJson};

use super::DumpArgs;
use super::remote;

/// How keys and values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    Text,
    Offsets,
    Transactions,
    Metadata,
    Remote,
    Shares,
}

/// What is printed of a record's key and value.
pub(super) struct Decoded {
    pub(super) key: Option<String>,
    pub(super) payload: Option<String>,
}

impl Decoder {
    /// The one that is asked for; of several the first in Kafka's order.
    pub(super) fn of(args: &DumpArgs) -> Decoder {
        let asked = [
            (args.offsets_decoder, Decoder::Offsets),
            (args.transaction_log_decoder, Decoder::Transactions),
            (args.cluster_metadata_decoder, Decoder::Metadata),
            (args.remote_log_metadata_decoder, Decoder::Remote),
            (args.share_group_state_decoder, Decoder::Shares),
        ];
        asked.iter().find(|(asked, _)| *asked).map_or(Decoder::Text, |(_, decoder)| *decoder)
    }

    /// # Errors
    /// Where Kafka's tool ends too: a coordinator's record without a key.
    pub(super) fn decode(self, record: &Record<'_>) -> Result<Decoded, String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let at = record.offset;
        match self {
            Decoder::Text => {
                Ok(Decoded { key: record.key.map(text), payload: record.value.map(text) })
            }
            Decoder::Metadata | Decoder::Remote => {
                let value = record.value.unwrap_or_default();
                let payload = match self {
                    Decoder::Metadata => metadata(value)
                        .unwrap_or_else(|error| format!("Error at {at}, skipping. {error}")),
                    _ => remote::text(value)
                        .unwrap_or_else(|error| format!("Error at offset {at}, skipping. {error}")),
                };
                Ok(Decoded { key: None, payload: Some(payload) })
            }
            Decoder::Offsets | Decoder::Transactions | Decoder::Shares => {
                let Some(key) = record.key else {
                    return Err(format!(
                        "Failed to decode message at offset {at} using the specified decoder \
                         (message had a missing key)"
                    ));
                };
                Ok(self.coordinators(record, key))
            }
        }
    }

    fn coordinators(self, record: &Record<'_>, key: &[u8]) -> Decoded {
        let decoded = match self {
            Decoder::Offsets => offsets(key, record.value),
            Decoder::Transactions => transactions(key, record.value),
            _ => shares(key, record.value),
        };
        match decoded {
            Ok((record_type, key, value)) => {
                let key = object([("type", Json::Text(record_type.to_string())), ("data", key)]);
                let payload = value.map_or("<DELETE>".to_owned(), |(value, version)| {
                    let version = Json::Text(version.to_string());
                    object([("version", version), ("data", value)]).to_string()
                });
                Decoded { key: Some(key.to_string()), payload: Some(payload) }
            }
            Err(error) => {
                let at = record.offset;
                let key = match error {
                    DecodeError::UnknownType(unknown) => {
                        format!("Unknown record type {unknown} at offset {at}, skipping.")
                    }
                    error => format!("Error at offset {at}, skipping. {error}"),
                };
                Decoded { key: Some(key), payload: None }
            }
        }
    }
}

/// Type, key, and value with its version.
type Entry = (i16, Json, Option<(Json, i16)>);

fn object<const N: usize>(fields: [(&'static str, Json); N]) -> Json {
    Json::Object(fields.into())
}

fn offsets(key: &[u8], value: Option<&[u8]>) -> Result<Entry, DecodeError> {
    let key = group::Key::decode(key)?;
    let record_type = key.record_type();
    let value = value.map(|value| group::Value::decode(record_type, value)).transpose()?;
    let value = value.map(|(value, version)| {
        let mut json = value.to_json(version);
        if let group::Value::GroupMetadata(group) = &value
            && group.protocol_type == "consumer"
        {
            open_members(&mut json);
        }
        (json, version)
    });
    Ok((record_type, key.to_json(0), value))
}

/// What the members of a group of consumers have subscribed to and were assigned is bytes to the
/// coordinator.
fn open_members(group: &mut Json) {
    let Some(Json::Array(members)) = group.field_mut("members") else { return };
    for member in members {
        open::<ConsumerProtocolSubscription>(member, "subscription");
        open::<ConsumerProtocolAssignment>(member, "assignment");
    }
}

fn open<M: Message + ToJson>(member: &mut Json, name: &str) {
    let Some(field) = member.field_mut(name) else { return };
    let Json::Binary(bytes) = field else { return };
    let mut reader = Reader::new(bytes, bytes.len().saturating_mul(64));
    let Ok(version) = reader.i16() else { return };
    // A later version than we know is read as the last we do know, as Kafka does not.
    if let Ok(message) = M::decode(&mut reader, version) {
        *field = message.to_json(version);
    }
}

fn transactions(key: &[u8], value: Option<&[u8]>) -> Result<Entry, DecodeError> {
    let key = transaction::Key::decode(key)?;
    let record_type = key.record_type();
    let value = value.map(|value| transaction::Value::decode(record_type, value)).transpose()?;
    let value = value.map(|(value, version)| (value.to_json(version), version));
    Ok((record_type, key.to_json(0), value))
}

fn shares(key: &[u8], value: Option<&[u8]>) -> Result<Entry, DecodeError> {
    let key = share::Key::decode(key)?;
    let record_type = key.record_type();
    let value = value.map(|value| share::Value::decode(record_type, value)).transpose()?;
    let value = value.map(|(value, version)| (value.to_json(version), version));
    Ok((record_type, key.to_json(0), value))
}

fn metadata(value: &[u8]) -> Result<String, DecodeError> {
    let (record, version) = MetadataRecord::decode_frame(value)?;
    let record_type = Json::Text(constant_case(record.name()));
    let version_json = Json::Int(i64::from(version));
    let data = record.to_json(version);
    Ok(object([("type", record_type), ("version", version_json), ("data", data)]).to_string())
}

/// `RegisterBrokerRecord` becomes `REGISTER_BROKER_RECORD`.
fn constant_case(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

/// What is printed behind a control record, from the space before it on.
pub(super) fn control(record: &Record<'_>) -> String {
    let value = record.value.unwrap_or_default();
    let Some(control) = record.key.and_then(ControlType::from_key) else {
        let number =
            record.key.and_then(|key| Some(i16::from_be_bytes([*key.get(2)?, *key.get(3)?])));
        return format!(" controlType: UNKNOWN({})", number.unwrap_or(-1));
    };
    match control {
        ControlType::Abort | ControlType::Commit => {
            let name = if control == ControlType::Abort { "ABORT" } else { "COMMIT" };
            let epoch = EndTxnMarker::from_value(value).map_or(-1, |m| m.coordinator_epoch);
            format!(" endTxnMarker: {name} coordinatorEpoch: {epoch}")
        }
        ControlType::LeaderChange => {
            // The one message that says its version itself.
            let version = |message: &LeaderChangeMessage| message.version;
            format!(" LeaderChange: {}", of_control::<LeaderChangeMessage>(value, version))
        }
        ControlType::SnapshotHeader => {
            let version = |message: &SnapshotHeaderRecord| message.version;
            format!(" SnapshotHeader {}", of_control::<SnapshotHeaderRecord>(value, version))
        }
        ControlType::SnapshotFooter => {
            let version = |message: &SnapshotFooterRecord| message.version;
            format!(" SnapshotFooter {}", of_control::<SnapshotFooterRecord>(value, version))
        }
        ControlType::KraftVersion => {
            let version = |message: &KRaftVersionRecord| message.version;
            format!(" KRaftVersion {}", of_control::<KRaftVersionRecord>(value, version))
        }
        ControlType::KraftVoters => {
            let version = |message: &VotersRecord| message.version;
            format!(" KRaftVoters {}", of_control::<VotersRecord>(value, version))
        }
    }
}

fn of_control<M: Message + ToJson>(value: &[u8], version: impl Fn(&M) -> i16) -> String {
    // The first field is the version.
    let first = value.get(..2).map_or(0, |v| i16::from_be_bytes([v[0], v[1]]));
    let first = first.clamp(M::MIN_VERSION, M::MAX_VERSION);
    let mut reader = Reader::new(value, value.len().saturating_mul(64));
    match M::decode(&mut reader, first) {
        Ok(message) => message.to_json(version(&message)).to_string(),
        Err(error) => error.to_string(),
    }
}

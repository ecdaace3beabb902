//! How records say what they are: the enums over the record types of a log.
//!
//! The generated code names the variants; the macros here give them their behaviour. A record on
//! disk vouches for its own size only, so the budget of a decode follows from the bytes at hand.

use crate::{DecodeError, Message, Reader, Writer};

/// The only frame version that Kafka writes and accepts.
const FRAME_VERSION: u32 = 1;

/// Memory per encoded byte that no record exceeds; the tests hold every struct to it.
const BUDGET_FACTOR: usize = 64;

/// A reader over one record's bytes.
pub(crate) fn reader(bytes: &[u8]) -> Reader<'_> {
    Reader::new(bytes, bytes.len().saturating_mul(BUDGET_FACTOR))
}

/// Reads the frame: a frame version, the record's type, its version.
pub(crate) fn read_header(r: &mut Reader<'_>) -> Result<(i16, i16), DecodeError> {
    let frame_version = r.uvarint()?;
    if frame_version != FRAME_VERSION {
        return Err(DecodeError::Frame(frame_version));
    }
    let record_type = i16::try_from(r.uvarint()?).map_err(|_| DecodeError::Varint)?;
    let version = i16::try_from(r.uvarint()?).map_err(|_| DecodeError::Varint)?;
    Ok((record_type, version))
}

/// Writes the frame. Types and versions are never negative.
pub(crate) fn write_header(w: &mut Writer<'_>, record_type: i16, version: i16) {
    w.uvarint(FRAME_VERSION);
    w.uvarint(u32::from(record_type.unsigned_abs()));
    w.uvarint(u32::from(version.unsigned_abs()));
}

/// Reads a message that must fill its bytes.
pub(crate) fn read_last<M: Message>(r: &mut Reader<'_>, version: i16) -> Result<M, DecodeError> {
    let message = M::decode(r, version)?;
    match r.remaining() {
        0 => Ok(message),
        trailing => Err(DecodeError::Trailing(trailing)),
    }
}

/// What all three enums share: the variants, their types, and conversions into them.
macro_rules! record_enum {
    ($(#[$doc:meta])* $name:ident { $($variant:ident($message:ident) = $type:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name {
            $($variant($message),)+
        }

        impl $name {
            /// The number that stands for the type in the log.
            #[must_use]
            pub fn record_type(&self) -> i16 {
                match self {
                    $(Self::$variant(_) => $type,)+
                }
            }

            /// Kafka's name for the type.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => <$message as crate::Message>::NAME,)+
                }
            }
        }

        impl crate::ToJson for $name {
            fn to_json(&self, version: i16) -> crate::Json {
                match self {
                    $(Self::$variant(record) => crate::ToJson::to_json(record, version),)+
                }
            }
        }

        $(impl From<$message> for $name {
            fn from(record: $message) -> Self {
                Self::$variant(record)
            }
        })+
    };
}

/// Records in KRaft's frame.
macro_rules! framed_records {
    ($(#[$doc:meta])* $name:ident { $($variant:ident($message:ident) = $type:literal,)+ }) => {
        crate::frame::record_enum!($(#[$doc])* $name { $($variant($message) = $type,)+ });

        impl $name {
            /// Reads a record's value: the frame, then the message, then nothing.
            pub fn decode_frame(bytes: &[u8]) -> Result<(Self, i16), crate::DecodeError> {
                let r = &mut crate::frame::reader(bytes);
                let (record_type, version) = crate::frame::read_header(r)?;
                let record = match record_type {
                    $($type => Self::$variant(crate::frame::read_last(r, version)?),)+
                    unknown => return Err(crate::DecodeError::UnknownType(unknown)),
                };
                Ok((record, version))
            }

            /// Appends a record's value in the given version.
            pub fn encode_frame(
                &self,
                version: i16,
                out: &mut Vec<u8>,
            ) -> Result<(), crate::EncodeError> {
                let w = &mut crate::Writer::new(out);
                match self {
                    $(Self::$variant(record) => {
                        crate::frame::write_header(w, $type, version);
                        crate::Message::encode(record, w, version)
                    })+
                }
            }
        }
    };
}

/// The keys of a coordinator's records: an int16 type, then the message in its only version. As in
/// Kafka, nobody looks at what may follow, in keys as in values.
macro_rules! record_keys {
    ($(#[$doc:meta])* $name:ident { $($variant:ident($message:ident) = $type:literal,)+ }) => {
        crate::frame::record_enum!($(#[$doc])* $name { $($variant($message) = $type,)+ });

        impl $name {
            /// Reads a record's key.
            pub fn decode(bytes: &[u8]) -> Result<Self, crate::DecodeError> {
                let r = &mut crate::frame::reader(bytes);
                match r.i16()? {
                    $($type => crate::Message::decode(r, 0).map(Self::$variant),)+
                    unknown => Err(crate::DecodeError::UnknownType(unknown)),
                }
            }

            /// Appends a record's key.
            pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), crate::EncodeError> {
                let w = &mut crate::Writer::new(out);
                w.i16(self.record_type());
                match self {
                    $(Self::$variant(key) => crate::Message::encode(key, w, 0),)+
                }
            }
        }
    };
}

/// The values of a coordinator's records: an int16 version, then the message. The type is the
/// key's.
macro_rules! record_values {
    ($(#[$doc:meta])* $name:ident { $($variant:ident($message:ident) = $type:literal,)+ }) => {
        crate::frame::record_enum!($(#[$doc])* $name { $($variant($message) = $type,)+ });

        impl $name {
            /// Reads the value that belongs to a key of the given type.
            pub fn decode(
                record_type: i16,
                bytes: &[u8],
            ) -> Result<(Self, i16), crate::DecodeError> {
                let r = &mut crate::frame::reader(bytes);
                let version = r.i16()?;
                let value = match record_type {
                    $($type => Self::$variant(crate::Message::decode(r, version)?),)+
                    unknown => return Err(crate::DecodeError::UnknownType(unknown)),
                };
                Ok((value, version))
            }

            /// Appends a record's value in the given version.
            pub fn encode(
                &self,
                version: i16,
                out: &mut Vec<u8>,
            ) -> Result<(), crate::EncodeError> {
                let w = &mut crate::Writer::new(out);
                w.i16(version);
                match self {
                    $(Self::$variant(value) => crate::Message::encode(value, w, version),)+
                }
            }
        }
    };
}

pub(crate) use {framed_records, record_enum, record_keys, record_values};

//! The model of `wire/schema/kafka.schema`: messages, their structs and fields, and versions.
//!
//! The importer fills it from Kafka's files, the printer writes it, the parser reads it back, and
//! the generator turns it into Rust. Version ranges are kept clamped to those of the struct around
//! them, so that equal facts are equal values.

mod parse;
mod print;

use std::fmt;

pub use parse::parse;
pub use print::print;

/// Where the schema lives, below the workspace's folder.
pub const PATH: &str = "wire/schema/kafka.schema";

/// An inclusive range of versions; empty when `first > last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub first: i16,
    pub last: i16,
}

impl Versions {
    pub const NONE: Self = Self { first: 1, last: 0 };
    pub const ALL: Self = Self { first: 0, last: i16::MAX };

    pub fn is_empty(self) -> bool {
        self.first > self.last
    }

    pub fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }

    pub fn intersect(self, other: Self) -> Self {
        let both = Self { first: self.first.max(other.first), last: self.last.min(other.last) };
        if both.is_empty() { Self::NONE } else { both }
    }

    /// Reads `3`, `3+`, `3-5` or `none`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "none" {
            return Some(Self::NONE);
        }
        if let Some(first) = text.strip_suffix('+') {
            return Some(Self { first: first.parse().ok()?, last: i16::MAX });
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Self { first: first.parse().ok()?, last: last.parse().ok()? };
        (range.first >= 0 && !range.is_empty()).then_some(range)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { first, last } if first > last => f.write_str("none"),
            Self { first, last: i16::MAX } => write!(f, "{first}+"),
            Self { first, last } if first == last => write!(f, "{first}"),
            Self { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Request,
    Response,
    Header,
    Data,
    /// A framed record: the metadata log and the remote log metadata topic.
    Record,
    /// The key of a coordinator's record.
    Key,
    /// The value of a coordinator's record.
    Value,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Request,
        Self::Response,
        Self::Header,
        Self::Data,
        Self::Record,
        Self::Key,
        Self::Value,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Header => "header",
            Self::Data => "data",
            Self::Record => "record",
            Self::Key => "key",
            Self::Value => "value",
        }
    }
}

/// The logs whose records are part of the schema; `word` is also the Rust module's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Log {
    Metadata,
    Remote,
    Group,
    Transaction,
    Share,
}

impl Log {
    pub const ALL: [Self; 5] =
        [Self::Metadata, Self::Remote, Self::Group, Self::Transaction, Self::Share];

    pub fn word(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Remote => "remote",
            Self::Group => "group",
            Self::Transaction => "transaction",
            Self::Share => "share",
        }
    }
}

/// The type of a field, without its nullability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint16,
    Uint32,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

const PRIMITIVES: [(&str, Type); 12] = [
    ("bool", Type::Bool),
    ("int8", Type::Int8),
    ("int16", Type::Int16),
    ("int32", Type::Int32),
    ("int64", Type::Int64),
    ("uint16", Type::Uint16),
    ("uint32", Type::Uint32),
    ("float64", Type::Float64),
    ("uuid", Type::Uuid),
    ("string", Type::String),
    ("bytes", Type::Bytes),
    ("records", Type::Records),
];

impl Type {
    /// Reads a type in Kafka's notation; arrays of arrays do not exist.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(element) = text.strip_prefix("[]") {
            let element = Self::parse(element)?;
            let plain = !matches!(element, Self::Array(_) | Self::Records);
            return plain.then(|| Self::Array(Box::new(element)));
        }
        if let Some((_, primitive)) = PRIMITIVES.iter().find(|(name, _)| *name == text) {
            return Some(primitive.clone());
        }
        let named = text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.bytes().all(|b| b.is_ascii_alphanumeric());
        named.then(|| Self::Struct(text.to_owned()))
    }

    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64 | Self::Uint16 | Self::Uint32
        )
    }

    pub fn may_be_null(&self) -> bool {
        use Type::{Array, Bytes, Records, String, Struct};
        matches!(self, String | Bytes | Records | Struct(_) | Array(_))
    }

    /// The struct that this is, or that it is an array of.
    pub fn struct_name(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(element) => element.struct_name(),
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Struct(name) => f.write_str(name),
            Self::Array(element) => write!(f, "[]{element}"),
            primitive => {
                let found = PRIMITIVES.iter().find(|(_, ty)| ty == primitive);
                f.write_str(found.map_or("", |(name, _)| name))
            }
        }
    }
}

/// The value a field has when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Zero, false, or empty.
    Zero,
    Null,
    True,
    Int(i64),
}

/// One field of a message or struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub ty: Type,
    pub versions: Versions,
    pub nullable: Versions,
    /// A tagged field is tagged in all its versions.
    pub tag: Option<u32>,
    pub default: Value,
    /// May be dropped silently where the version has no place for it.
    pub ignorable: bool,
    /// Encoded as before flexible versions, whatever the message's version.
    pub classic: bool,
    /// The fields of the struct that this field defines where it stands.
    pub fields: Vec<Field>,
}

/// A struct that several fields of one message share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struct {
    pub name: String,
    pub versions: Versions,
    pub fields: Vec<Field>,
}

/// One message with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub kind: Kind,
    pub name: String,
    /// The log of a record, key or value.
    pub log: Option<Log>,
    /// API key, or type of a record.
    pub key: Option<i16>,
    pub versions: Versions,
    pub flexible: Versions,
    pub broker: bool,
    pub controller: bool,
    pub latest_unstable: bool,
    pub structs: Vec<Struct>,
    pub fields: Vec<Field>,
}

impl Message {
    /// Whether a version uses compact lengths and tagged fields.
    pub fn is_flexible(&self, version: i16) -> bool {
        self.flexible.contains(version)
    }
}

/// An API that Kafka removed, kept so that its key is never taken for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    pub name: String,
    pub key: i16,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    pub retired: Vec<Retired>,
    pub messages: Vec<Message>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_and_print() {
        for text in ["none", "0+", "3", "3-5", "7+"] {
            let versions = Versions::parse(text).expect(text);
            assert_eq!(versions.to_string(), text);
        }
        for text in ["", "+", "5-3", "-1", "a", "1-", "40000"] {
            assert_eq!(Versions::parse(text), None, "{text}");
        }
    }

    #[test]
    fn types_read_and_print() {
        for text in ["bool", "[]int32", "Topic", "[]Topic", "records"] {
            assert_eq!(Type::parse(text).expect(text).to_string(), text);
        }
        for text in ["", "[][]int32", "topic", "int31", "[]records"] {
            assert_eq!(Type::parse(text), None, "{text}");
        }
    }
}

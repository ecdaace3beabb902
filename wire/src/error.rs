//! Why bytes are not a message, and why a message has no bytes.

/// The bytes are not what they should be. The place is [`crate::Reader::position`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error("the bytes end {missing_bytes} bytes too early")]
    Truncated {
        /// How many more the value needs at least.
        missing_bytes: usize,
    },
    /// An array claims more elements than its bytes can hold.
    #[error("an array of {count} elements in {remaining_bytes} bytes")]
    Count {
        /// The claimed number of elements.
        count: usize,
        /// The bytes that are left.
        remaining_bytes: usize,
    },
    /// The decoded form would take more memory than the reader may use.
    #[error("{wanted_bytes} more bytes of memory are over the budget")]
    Budget {
        /// The allocation that was refused.
        wanted_bytes: usize,
    },
    /// A variable-length integer that does not end, or is too large for what it says.
    #[error("a varint that is too long or too large")]
    Varint,
    /// A string that is not UTF-8.
    #[error("a string that is not UTF-8")]
    Utf8,
    /// A string longer than an int16 can say.
    #[error("a string of {length} bytes")]
    StringLength {
        /// The claimed length.
        length: usize,
    },
    /// Null where the version knows no null.
    #[error("null for what cannot be null")]
    Null,
    /// A known tag that the version does not have.
    #[error("tag {tag} does not exist in version {version}")]
    Tag {
        /// The tag's number.
        tag: u32,
        /// The version that was read.
        version: i16,
    },
    /// A version that the message does not have.
    #[error("{name} has no version {version}")]
    Version {
        /// The message.
        name: &'static str,
        /// The version that was asked for.
        version: i16,
    },
    /// A record type that the log does not have: written by a newer release, perhaps.
    #[error("unknown record type {0}")]
    UnknownType(i16),
    /// A framed record in a frame of an unknown version.
    #[error("unknown frame version {0}")]
    Frame(u32),
    /// Bytes after the end of a record.
    #[error("{0} bytes after the end")]
    Trailing(usize),
}

/// The message cannot be said in this version. A bug of the caller, not of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A field is set that the version lacks and that must not be dropped.
    #[error("field {field} is set, but does not exist in version {version}")]
    Field {
        /// The field's Rust name.
        field: &'static str,
        /// The version that was asked for.
        version: i16,
    },
    /// A field is null where the version knows no null.
    #[error("field {field} is null, which version {version} cannot say")]
    Null {
        /// The field's Rust name.
        field: &'static str,
        /// The version that was asked for.
        version: i16,
    },
    /// A string, byte string or array is longer than its length field can say.
    #[error("{length} is more than a length can say")]
    TooLong {
        /// The length.
        length: usize,
    },
    /// A version that the message does not have.
    #[error("{name} has no version {version}")]
    Version {
        /// The message.
        name: &'static str,
        /// The version that was asked for.
        version: i16,
    },
}

//! Record batches (magic 2) as pure functions on bytes: header view, validation, codecs, building.
//!
//! The layout is that of Kafka's `DefaultRecordBatch` and `DefaultRecord`; docs/FORMAT.md draws it.
//! Nothing here reads a clock, a file or a setting: what validation depends on is passed in.

mod builder;
mod codec;
mod control;
mod header;
mod record;
mod repack;
mod retain;
mod validate;

pub use builder::{BatchBuilder, RecordFields};
pub use codec::{
    Codec, CodecError, UNCOMPRESSED_BATCH_BYTES_MAX, compress, decompress, decompressor,
};
pub use control::{ControlType, EndTxnMarker};
pub use header::{
    BATCH_HEADER_BYTES, BATCH_LENGTH_AT, BATCH_OVERHEAD_BYTES, BatchHeader, HeaderError,
    TimestampType, crc32c, stamp,
};
pub use record::{Header, Record, RecordError, RecordIter, records, unpack};
pub use repack::{Packing, repack};
pub use retain::{Remains, RetainError, emptied, retain_records};
pub use validate::{
    AppendRules, BatchError, RECORD_ERRORS_MAX, RecordFault, Validated, validate_for_append,
    validate_stored,
};

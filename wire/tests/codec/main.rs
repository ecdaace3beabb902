//! The generated codecs against themselves, against hostile bytes, against another crate's codecs,
//! and against Kafka's own classes.
//!
//! All of it runs on random instances of every message at every version, made from a fixed seed;
//! RINGLOG_SEED picks another one.

mod arbitrary;
mod generated;
mod hostile;
mod java;
mod oracle;
mod peer;
mod records;
mod round_trip;

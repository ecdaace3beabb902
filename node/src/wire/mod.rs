//! Kafka's wire: frames, headers, the versions we serve, and hand-written codecs for
//! the requests of the hot path. Everything else is generated, in `ringlog-wire`.

pub mod frame;
pub mod hot;
pub mod versions;

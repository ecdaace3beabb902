//! Hand-written codecs of the hot path: a cursor over the request frame, responses with record
//! bytes by reference. The generated codecs are their oracle (node/tests/hot_codecs.rs).

pub mod fetch;
pub mod produce;

//! What a node tells those who watch it: `ringlog.http.listener` serves /metrics in Prometheus'
//! text format, /healthz and /readyz.

mod http;
mod metrics;
mod parts;
mod text;

pub use http::start;

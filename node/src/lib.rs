//! A Kafka broker and KRaft controller on Ringlog's storage engine.
//!
//! The cores (`controller`, `metadata`, `quorum`) decide and do no I/O; `broker` is their shell on
//! each shard; `conn` and `api` speak Kafka's protocol; `boot` puts a node together.

pub mod api;
pub mod boot;
pub mod broker;
mod cached;
mod cli;
pub mod config;
pub mod conn;
pub mod controller;
pub mod coordinator;
mod dump_log;
pub mod error_code;
pub mod features;
pub mod format;
pub mod group;
pub mod loggers;
pub mod metadata;
mod notify;
pub mod quorum;
mod telemetry;
mod top;
pub mod tune;
pub mod watchdog;
pub mod wire;

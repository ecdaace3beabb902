//! Configuration under Kafka's names, from one table.
//!
//! | part | is about |
//! |---|---|
//! | key, keys/ | the table: a row per key, with type, default, range, scope, effect and text |
//! | value, valid, text, host_port, quorum | what a value may be, in Kafka's words if it may not |
//! | properties | `server.properties` as Java reads it |
//! | raw | [`RawConfig`]: a broker's configuration at one moment, checked as a whole |
//! | check, check_groups, listener | what must hold between keys |
//! | layers, reconfigure | [`BrokerConfig`]: what the metadata log lays over the file |
//! | topic, group, client_metrics | the other resources, with the broker's values as defaults |
//! | synonyms, describe | what DescribeConfigs answers |
//! | alter | what IncrementalAlterConfigs and AlterConfigs change |
//! | markdown | docs/config.md |
//!
//! Nothing here opens a file, knows a protocol message or acts on a value: boot reads the file,
//! api/ translates, and whoever a key is for asks for it by name. Sentences of errors are Kafka's,
//! because its clients and tools show them; node/tests/config_oracle.rs compares all of this to
//! Kafka itself. The module uses nothing but std.

mod alter;
mod check;
mod check_groups;
mod client_metrics;
mod describe;
mod error;
mod group;
mod host_port;
mod key;
mod keys;
mod layers;
mod listener;
mod markdown;
mod properties;
mod quorum;
mod raw;
mod reconfigure;
mod synonyms;
mod text;
mod topic;
mod valid;
mod value;

pub use alter::{AlterOp, Changes, apply_changes, apply_incremental, apply_legacy, stored_changes};
pub use client_metrics::{describe_client_metrics, validate_client_metrics};
pub use describe::{Described, Source, Synonym};
pub use error::{ConfigError, ConfigErrorKind};
pub use group::{describe_group, resolve_group, validate_group_overrides};
pub use host_port::HostPort;
pub use key::{ConfigKey, DefaultValue, Effect, Importance, Kind, Scope};
pub use keys::{Resource, SECTIONS, Section, all as all_keys, find as find_key};
pub use layers::{BrokerConfig, Level};
pub use listener::{Listener, SecurityProtocol};
pub use markdown::render_markdown;
pub use properties::{parse_override, parse_properties};
pub use raw::{RawConfig, Role};
pub use synonyms::{TOPIC_SYNONYMS, TopicSynonyms, Unit, of_topic_key as topic_synonyms};
pub use topic::{
    CleanupPolicy, Overrides, RemoteConfig, ThrottledReplicas, TimestampType, TopicCompression,
    TopicConfig, shown_overrides, stored_name, validate_overrides as validate_topic_overrides,
};
pub use valid::{Bound, Valid, parse_cpu_list};
pub use value::{Password, Value};

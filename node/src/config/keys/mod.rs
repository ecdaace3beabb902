//! The table: a row per key, in sections by subject. Everything else about configuration - the
//! parser, DescribeConfigs, the checks of AlterConfigs and docs/config.md - is made from it.

mod broker_cleaner;
mod broker_group;
mod broker_log;
mod broker_network;
mod broker_node;
mod broker_oauth;
mod broker_quorum;
mod broker_quota;
mod broker_remote;
mod broker_replication;
mod broker_sasl;
mod broker_share;
mod broker_ssl;
mod broker_txn;
mod client_metrics;
mod group;
mod ringlog;
mod topic;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::key::{ConfigKey, Scope};

/// What the files of rows need to write one.
mod row {
    pub(super) use super::super::key::DefaultValue::{Null, Required, Text};
    pub(super) use super::super::key::Importance::{High, Low, Medium};
    pub(super) use super::super::key::Kind::*;
    pub(super) use super::super::key::Scope::*;
    pub(super) use super::super::key::reason::*;
    pub(super) use super::super::key::{ConfigKey, key};
    pub(super) use super::super::valid::{Bound, Valid};
    pub(super) use super::SEGMENT_BYTES_MIN;
}

/// Kafka's least segment size before 4.0 raised it to [`KAFKA_SEGMENT_BYTES_MIN`] (KIP-1030): an
/// empty record of the first format. Tutorials use small segments to see them roll.
pub(super) const SEGMENT_BYTES_MIN: i64 = 14;

/// Below this size, Kafka takes a segment size only as internal.segment.bytes.
pub(super) const KAFKA_SEGMENT_BYTES_MIN: i64 = 1024 * 1024;

const _: () = assert!(SEGMENT_BYTES_MIN < KAFKA_SEGMENT_BYTES_MIN);

/// Keys of one subject.
pub struct Section {
    /// Heading in the documentation.
    pub title: &'static str,
    /// The sentence below it.
    pub intro: &'static str,
    /// The keys, in reading order.
    pub keys: &'static [ConfigKey],
}

/// The whole table.
pub static SECTIONS: &[Section] = &[
    Section {
        title: "Node, roles and request handling",
        intro: "Identity and roles of the node, and limits on the requests it serves.",
        keys: broker_node::KEYS,
    },
    Section {
        title: "Metadata quorum and controller",
        intro: "Discovery of the controllers, elections of their leader, and storage of the \
               metadata log.",
        keys: broker_quorum::KEYS,
    },
    Section {
        title: "Listeners, sockets and connections",
        intro: "Addresses to listen on and to advertise, and limits on connections.",
        keys: broker_network::KEYS,
    },
    Section {
        title: "Logs",
        intro: "Directories, segments, retention and flushing. Most keys are defaults that a topic \
               can override.",
        keys: broker_log::KEYS,
    },
    Section {
        title: "Log cleaner",
        intro: "Compaction of logs whose cleanup policy includes `compact`.",
        keys: broker_cleaner::KEYS,
    },
    Section {
        title: "Replication",
        intro: "How followers copy partitions, and when they are in sync.",
        keys: broker_replication::KEYS,
    },
    Section {
        title: "Consumer groups and offsets",
        intro: "The group coordinator: classic, consumer and streams groups, and committed \
               offsets.",
        keys: broker_group::KEYS,
    },
    Section {
        title: "Share groups",
        intro: "The share coordinator and the limits of share groups.",
        keys: broker_share::KEYS,
    },
    Section {
        title: "Transactions and producer ids",
        intro: "The transaction coordinator and the state of idempotent producers.",
        keys: broker_txn::KEYS,
    },
    Section {
        title: "Quotas, metrics and telemetry",
        intro: "Samples from which rates are measured, limits on replication traffic, and metrics.",
        keys: broker_quota::KEYS,
    },
    Section {
        title: "Tiered storage",
        intro: "Kafka's remote log storage. Its plugins are Java classes.",
        keys: broker_remote::KEYS,
    },
    Section {
        title: "SASL, delegation tokens and principals",
        intro: "Authentication of clients. Most keys can be set per listener with the prefix \
               `listener.name.<name>.`.",
        keys: broker_sasl::KEYS,
    },
    Section {
        title: "OAuth",
        intro: "The OAUTHBEARER mechanism: validation of clients' tokens, and the broker's own \
               token.",
        keys: broker_oauth::KEYS,
    },
    Section {
        title: "TLS",
        intro: "Certificates and protocol versions. Most keys can be set per listener with the \
               prefix `listener.name.<name>.`.",
        keys: broker_ssl::KEYS,
    },
    Section {
        title: "Ringlog",
        intro: "Ringlog's own keys. Kafka does not have them.",
        keys: ringlog::KEYS,
    },
    Section {
        title: "Topic configs",
        intro: "Configuration of a topic. A key that is not set takes the value of its broker key, \
               if it has one.",
        keys: topic::KEYS,
    },
    Section {
        title: "Group configs",
        intro: "Configuration of one consumer, share or streams group.",
        keys: group::KEYS,
    },
    Section {
        title: "Client metrics configs",
        intro: "Configuration of a client metrics subscription.",
        keys: client_metrics::KEYS,
    },
];

/// Whose keys a name is looked up among: the same name can mean different things for a broker and
/// for a topic.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Resource {
    /// A broker, or the default of all brokers.
    Broker,
    /// A topic.
    Topic,
    /// A group.
    Group,
    /// A client metrics subscription.
    ClientMetrics,
}

impl Resource {
    fn of(scope: Scope) -> Self {
        match scope {
            Scope::ReadOnly | Scope::PerBroker | Scope::ClusterWide | Scope::DynamicOnly => {
                Self::Broker
            }
            Scope::Topic => Self::Topic,
            Scope::Group => Self::Group,
            Scope::ClientMetrics => Self::ClientMetrics,
        }
    }
}

type ByName = BTreeMap<&'static str, &'static ConfigKey>;

static BY_RESOURCE: LazyLock<BTreeMap<Resource, ByName>> = LazyLock::new(|| {
    let mut all: BTreeMap<Resource, ByName> = BTreeMap::new();
    for key in SECTIONS.iter().flat_map(|section| section.keys) {
        let names = all.entry(Resource::of(key.scope)).or_default();
        let previous = names.insert(key.name, key);
        assert!(previous.is_none(), "{} is in the table twice", key.name);
    }
    all
});

/// A key of a resource by its exact name.
pub fn find(resource: Resource, name: &str) -> Option<&'static ConfigKey> {
    BY_RESOURCE[&resource].get(name).copied()
}

/// All keys of a resource, by name.
pub fn all(resource: Resource) -> impl Iterator<Item = &'static ConfigKey> {
    BY_RESOURCE[&resource].values().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::key::reason::NOT_YET;
    use crate::config::key::{DefaultValue, Effect};

    #[test]
    fn every_row_is_whole() {
        for key in SECTIONS.iter().flat_map(|section| section.keys) {
            assert!(key.doc.ends_with('.'), "{} needs a text", key.name);
            assert!(!key.name.contains(char::is_whitespace), "{}", key.name);
            if let Effect::Stored(reason) = key.effect {
                assert!(!reason.is_empty(), "{}", key.name);
            }
        }
    }

    #[test]
    fn every_default_passes_its_own_check() {
        for key in SECTIONS.iter().flat_map(|section| section.keys) {
            if let DefaultValue::Text(text) = key.default {
                let value = key.parse(text).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(value.to_config_text(), text, "{}", key.name);
            } else {
                // Null must not trip over a check that has no case for it.
                let _ = key.resolve(None);
            }
        }
    }

    /// The sources of this crate outside of configuration itself, their unit tests left out.
    #[allow(clippy::disallowed_methods, reason = "the test reads the sources")]
    fn sources() -> Vec<String> {
        let mut found = Vec::new();
        let mut dirs = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.ends_with("config") {
                    dirs.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(path).unwrap();
                    found.push(text.split("#[cfg(test)]").next().unwrap_or_default().to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn a_key_that_the_code_asks_for_is_not_called_idle() {
        let sources = sources();
        for key in all(Resource::Broker).filter(|key| key.effect == Effect::Stored(NOT_YET)) {
            let quoted = format!("(\"{}\")", key.name);
            assert!(!sources.iter().any(|text| text.contains(&quoted)), "{} acts", key.name);
        }
    }

    #[test]
    fn our_own_keys_carry_our_prefix() {
        for section in SECTIONS {
            let ours = section.keys.iter().filter(|key| key.name.starts_with("ringlog.")).count();
            assert!(ours == 0 || ours == section.keys.len(), "{}", section.title);
        }
        assert_eq!(find(Resource::Broker, "ringlog.durability").unwrap().scope, Scope::ReadOnly);
    }
}

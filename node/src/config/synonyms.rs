//! Keys that mean the same thing under several names or in several units.
//!
//! A broker key can have finer and coarser variants (`log.retention.ms`, `.minutes`, `.hours`); a
//! topic key falls back to broker keys, some of which must be converted; and a key with the prefix
//! `listener.name.<name>.` falls back to the one without it.

/// What the number in a broker key counts, where the topic key counts milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// The same as the topic key.
    Same,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
}

impl Unit {
    /// How many of the topic key's unit one of these is.
    pub const fn factor(self) -> i64 {
        match self {
            Self::Same => 1,
            Self::Minutes => 60 * 1000,
            Self::Hours => 60 * 60 * 1000,
        }
    }
}

/// A topic key and the broker keys it falls back to, the first that is set counting.
pub struct TopicSynonyms {
    /// The topic key.
    pub topic_key: &'static str,
    /// The broker keys.
    pub broker_keys: &'static [(&'static str, Unit)],
}

const fn one(
    topic_key: &'static str,
    broker_key: &'static [(&'static str, Unit)],
) -> TopicSynonyms {
    TopicSynonyms { topic_key, broker_keys: broker_key }
}

/// Kafka's ServerTopicConfigSynonyms. Topic keys that are not here have no broker key.
pub static TOPIC_SYNONYMS: &[TopicSynonyms] = &[
    one("cleanup.policy", &[("log.cleanup.policy", Unit::Same)]),
    one("compression.gzip.level", &[("compression.gzip.level", Unit::Same)]),
    one("compression.lz4.level", &[("compression.lz4.level", Unit::Same)]),
    one("compression.type", &[("compression.type", Unit::Same)]),
    one("compression.zstd.level", &[("compression.zstd.level", Unit::Same)]),
    one("delete.retention.ms", &[("log.cleaner.delete.retention.ms", Unit::Same)]),
    one("file.delete.delay.ms", &[("log.segment.delete.delay.ms", Unit::Same)]),
    one("flush.messages", &[("log.flush.interval.messages", Unit::Same)]),
    one(
        "flush.ms",
        &[("log.flush.interval.ms", Unit::Same), ("log.flush.scheduler.interval.ms", Unit::Same)],
    ),
    one("index.interval.bytes", &[("log.index.interval.bytes", Unit::Same)]),
    one("local.retention.bytes", &[("log.local.retention.bytes", Unit::Same)]),
    one("local.retention.ms", &[("log.local.retention.ms", Unit::Same)]),
    one("max.compaction.lag.ms", &[("log.cleaner.max.compaction.lag.ms", Unit::Same)]),
    one("max.message.bytes", &[("message.max.bytes", Unit::Same)]),
    one("message.timestamp.after.max.ms", &[("log.message.timestamp.after.max.ms", Unit::Same)]),
    one("message.timestamp.before.max.ms", &[("log.message.timestamp.before.max.ms", Unit::Same)]),
    one("message.timestamp.type", &[("log.message.timestamp.type", Unit::Same)]),
    one("min.cleanable.dirty.ratio", &[("log.cleaner.min.cleanable.ratio", Unit::Same)]),
    one("min.compaction.lag.ms", &[("log.cleaner.min.compaction.lag.ms", Unit::Same)]),
    one("min.insync.replicas", &[("min.insync.replicas", Unit::Same)]),
    one("preallocate", &[("log.preallocate", Unit::Same)]),
    one("retention.bytes", &[("log.retention.bytes", Unit::Same)]),
    one(
        "retention.ms",
        &[
            ("log.retention.ms", Unit::Same),
            ("log.retention.minutes", Unit::Minutes),
            ("log.retention.hours", Unit::Hours),
        ],
    ),
    one("segment.bytes", &[("log.segment.bytes", Unit::Same)]),
    one("segment.index.bytes", &[("log.index.size.max.bytes", Unit::Same)]),
    one(
        "segment.jitter.ms",
        &[("log.roll.jitter.ms", Unit::Same), ("log.roll.jitter.hours", Unit::Hours)],
    ),
    one("segment.ms", &[("log.roll.ms", Unit::Same), ("log.roll.hours", Unit::Hours)]),
    one("unclean.leader.election.enable", &[("unclean.leader.election.enable", Unit::Same)]),
];

/// The broker keys a topic key falls back to; none for a key only topics have.
pub fn of_topic_key(topic_key: &str) -> &'static [(&'static str, Unit)] {
    let found = TOPIC_SYNONYMS.iter().find(|synonyms| synonyms.topic_key == topic_key);
    found.map_or(&[], |synonyms| synonyms.broker_keys)
}

/// Groups of broker keys for one thing, finest first. With the last one, the first key is looked
/// up in the second, but not the other way round.
const BROKER_SYNONYMS: &[&[&str]] = &[
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
];

const FLUSH_SYNONYMS: &[&str] = &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"];

/// Keys that are set per listener and SASL mechanism.
const MECHANISM_KEYS: &[&str] = &[
    "sasl.jaas.config",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.server.callback.handler.class",
    "connections.max.reauth.ms",
];

/// Whether the key without its listener prefix is a synonym, too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ListenerBase {
    Included,
    LeftOut,
}

/// The part of `listener.name.<name>.<rest>` after the listener's name.
pub(super) fn listener_base(name: &str) -> Option<&str> {
    name.strip_prefix("listener.name.")?.split_once('.').map(|(_, base)| base)
}

/// The names a broker key is looked up under, in order of precedence; the key itself is one.
pub(super) fn of_broker_key(name: &str, base: ListenerBase) -> Vec<&str> {
    if let Some(synonyms) = BROKER_SYNONYMS.iter().find(|group| group.contains(&name)) {
        return synonyms.to_vec();
    }
    if name == FLUSH_SYNONYMS[0] {
        return FLUSH_SYNONYMS.to_vec();
    }
    match listener_base(name) {
        Some(rest) if base == ListenerBase::Included => {
            let per_mechanism = MECHANISM_KEYS.iter().find(|key| rest.ends_with(**key));
            vec![name, per_mechanism.copied().unwrap_or(rest)]
        }
        _ => vec![name],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::{Resource, find};

    #[test]
    fn synonyms_name_keys_of_the_table() {
        for synonyms in TOPIC_SYNONYMS {
            assert!(find(Resource::Topic, synonyms.topic_key).is_some(), "{}", synonyms.topic_key);
            for (broker_key, _) in synonyms.broker_keys {
                assert!(find(Resource::Broker, broker_key).is_some(), "{broker_key}");
            }
        }
        for name in BROKER_SYNONYMS.iter().copied().flatten().chain(FLUSH_SYNONYMS) {
            assert!(find(Resource::Broker, name).is_some(), "{name}");
        }
        for name in MECHANISM_KEYS {
            assert!(find(Resource::Broker, name).is_some(), "{name}");
        }
    }

    #[test]
    fn listener_keys_fall_back_to_their_base() {
        let synonyms = |name| of_broker_key(name, ListenerBase::Included);
        let key = "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config";
        assert_eq!(synonyms(key), [key, "sasl.jaas.config"]);
        let key = "listener.name.external.ssl.keystore.location";
        assert_eq!(synonyms(key), [key, "ssl.keystore.location"]);
        assert_eq!(of_broker_key(key, ListenerBase::LeftOut), [key]);
        assert_eq!(synonyms("log.retention.hours").len(), 3);
        assert_eq!(synonyms("log.flush.scheduler.interval.ms").len(), 1);
    }
}

//! A broker's configuration over time: what it was started with, and on top of that what the
//! metadata log says for all brokers and for this one.
//!
//! Precedence is: this broker > default of all brokers > file > default. A key set in one layer
//! also hides its synonyms in the layers below: log.retention.ms set at run time wins over
//! log.retention.hours in the file, and would even if it were the coarser one.

use std::collections::BTreeMap;

use super::error::{ConfigError, ConfigErrorKind};
use super::key::{ConfigKey, Scope};
use super::keys::{self, Resource};
use super::raw::RawConfig;
use super::reconfigure;
use super::synonyms::{self, ListenerBase};
use super::topic::{Overrides, TopicConfig, shown_overrides};

/// Which of a broker's two sets of changeable keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// The default of all brokers: the resource with an empty name.
    ClusterDefault,
    /// One broker.
    Broker,
}

/// Keys that more than one listener can have differently: changed only with a listener's prefix.
pub(super) const SECURITY_KEYS: &[&str] = &[
    "ssl.cipher.suites",
    "ssl.enabled.protocols",
    "ssl.endpoint.identification.algorithm",
    "ssl.engine.factory.class",
    "ssl.key.password",
    "ssl.keymanager.algorithm",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.protocol",
    "ssl.provider",
    "ssl.secure.random.implementation",
    "ssl.trustmanager.algorithm",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

/// The layers of a broker's configuration and what they make together.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    started_with: RawConfig,
    cluster_default: Overrides,
    broker: Overrides,
    current: RawConfig,
}

impl BrokerConfig {
    /// A broker that has not heard of anything set at run time yet.
    pub fn new(started_with: RawConfig) -> Self {
        let current = started_with.clone();
        Self { started_with, cluster_default: Overrides::new(), broker: Overrides::new(), current }
    }

    /// What is in force now.
    pub fn current(&self) -> &RawConfig {
        &self.current
    }

    /// What the node was started with.
    pub fn started_with(&self) -> &RawConfig {
        &self.started_with
    }

    /// What is set at a level.
    pub fn overrides(&self, level: Level) -> &Overrides {
        match level {
            Level::ClusterDefault => &self.cluster_default,
            Level::Broker => &self.broker,
        }
    }

    /// Replaces what is set at a level by what the metadata log says. Keys and values that are
    /// refused there are left out, as Kafka does, since they may have been stored by a node that
    /// takes them. Returns what was refused; if the whole was, the old values stay in force.
    pub fn set_overrides(&mut self, level: Level, stored: &Overrides) -> Vec<ConfigError> {
        let (kept, mut refused) = usable(level, stored);
        match level {
            Level::ClusterDefault => self.cluster_default = kept,
            Level::Broker => self.broker = kept,
        }
        match RawConfig::new(merge(&self.started_with, &self.cluster_default, &self.broker)) {
            Ok(current) => self.current = current,
            Err(error) => refused.push(error),
        }
        refused
    }

    /// Checks what shall be set at a level, before it is stored. All errors are INVALID_REQUEST, as
    /// Kafka has them here.
    pub fn validate_overrides(&self, level: Level, new: &Overrides) -> Result<(), ConfigError> {
        self.check_overrides(level, new)
            .map_err(|error| error.of_kind(ConfigErrorKind::InvalidRequest))
    }

    fn check_overrides(&self, level: Level, new: &Overrides) -> Result<(), ConfigError> {
        refuse_names(
            new.keys().filter(|name| is_static(name)),
            "Cannot update these configs dynamically",
            "Set",
        )?;
        refuse_names(
            new.keys().filter(|name| SECURITY_KEYS.contains(&name.as_str())),
            "These security configs can be dynamically updated only per-listener using the \
             listener prefix",
            "HashSet",
        )?;
        for (name, raw) in new {
            check_value(name, raw)?;
        }
        if level == Level::ClusterDefault {
            refuse_names(
                new.keys().filter(|name| is_per_broker(name)),
                "Cannot update these configs at default cluster level, broker id must be specified",
                "Set",
            )?;
        }
        let merged = match level {
            Level::Broker => merge(&self.started_with, &self.cluster_default, new),
            Level::ClusterDefault => merge(&self.started_with, new, &self.broker),
        };
        let next = RawConfig::new(merged)?;
        reconfigure::check(&self.current, &next)
    }

    /// The configuration of a topic for which this is stored in the metadata log.
    pub fn topic_config(&self, stored: &Overrides) -> Result<TopicConfig, ConfigError> {
        TopicConfig::resolve(&self.current, &shown_overrides(stored))
    }
}

/// Lays the overrides over what the broker was started with, one over the other.
fn merge(
    started_with: &RawConfig,
    cluster_default: &Overrides,
    broker: &Overrides,
) -> BTreeMap<String, String> {
    let mut merged = started_with.originals().clone();
    for layer in [cluster_default, broker] {
        for name in layer.keys() {
            for synonym in synonyms::of_broker_key(name, ListenerBase::LeftOut) {
                merged.remove(synonym);
            }
        }
        merged.extend(layer.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    merged
}

fn is_static(name: &str) -> bool {
    keys::find(Resource::Broker, name).is_some_and(|key| key.scope == Scope::ReadOnly)
}

/// Whether the key may differ between brokers only, so it has no cluster-wide default.
fn is_per_broker(name: &str) -> bool {
    let scope = |name| keys::find(Resource::Broker, name).map(|key: &ConfigKey| key.scope);
    match synonyms::listener_base(name) {
        Some(base) => !matches!(
            base,
            "max.connections" | "max.connection.creation.rate" | "num.network.threads"
        ),
        None => scope(name) == Some(Scope::PerBroker),
    }
}

/// Checks the value of a dynamic key, maybe with a listener's prefix. Unknown keys have no rules.
fn check_value(name: &str, raw: &str) -> Result<(), ConfigError> {
    let base = synonyms::listener_base(name).unwrap_or(name);
    match keys::find(Resource::Broker, base) {
        Some(key) if key.scope != Scope::ReadOnly => key.parse(raw).map(|_| ()),
        _ => Ok(()),
    }
}

fn refuse_names<'a>(
    names: impl Iterator<Item = &'a String>,
    message: &str,
    class: &str,
) -> Result<(), ConfigError> {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        return Ok(());
    }
    // Scala's sets of five and more elements have another class, whose name is printed.
    let class = if names.len() > 4 { "HashSet" } else { class };
    Err(ConfigError::invalid(format!("{message}: {class}({})", names.join(", "))))
}

/// What of a level's stored overrides can be used, and why the rest cannot.
fn usable(level: Level, stored: &Overrides) -> (Overrides, Vec<ConfigError>) {
    let mut kept = Overrides::new();
    let mut refused = Vec::new();
    for (name, raw) in stored {
        let problem = if is_static(name) {
            Some(format!("Non-dynamic configs will be ignored: {name}"))
        } else if SECURITY_KEYS.contains(&name.as_str()) {
            Some(format!("Security configs without a listener prefix will be ignored: {name}"))
        } else if level == Level::ClusterDefault && is_per_broker(name) {
            Some(format!("Per-broker configs at cluster level will be ignored: {name}"))
        } else {
            check_value(name, raw).err().map(|error| error.message().to_string())
        };
        match problem {
            Some(message) => refused.push(ConfigError::invalid(message)),
            None => {
                kept.insert(name.clone(), raw.clone());
            }
        }
    }
    (kept, refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::tests::node;

    fn overrides(pairs: &[(&str, &str)]) -> Overrides {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn upper_layers_hide_the_synonyms_below() {
        let mut broker = BrokerConfig::new(node("log.retention.hours=1\nlog.roll.ms=7"));
        assert_eq!(broker.current().log_retention_ms(), 3_600_000);
        let set = overrides(&[("log.retention.ms", "50")]);
        assert_eq!(broker.set_overrides(Level::ClusterDefault, &set), []);
        assert_eq!(broker.current().log_retention_ms(), 50);
        assert_eq!(broker.current().int("log.retention.hours"), 168, "as if it were not set");
        assert_eq!(broker.current().log_roll_ms(), 7);
        let set = overrides(&[("log.retention.ms", "60")]);
        broker.set_overrides(Level::Broker, &set);
        assert_eq!(broker.topic_config(&Overrides::new()).unwrap().retention_ms, Some(60));
        broker.set_overrides(Level::Broker, &Overrides::new());
        broker.set_overrides(Level::ClusterDefault, &Overrides::new());
        assert_eq!(broker.current(), broker.started_with());
    }

    #[test]
    fn what_was_stored_wrongly_is_left_out() {
        let mut broker = BrokerConfig::new(node(""));
        let stored = overrides(&[
            ("num.partitions", "9"),
            ("log.retention.ms", "abc"),
            ("listeners", "X://:1"),
            ("ssl.keystore.location", "/a"),
            ("message.max.bytes", "77"),
            ("some.plugins.key", "x"),
        ]);
        let refused = broker.set_overrides(Level::ClusterDefault, &stored);
        assert_eq!(refused.len(), 4, "{refused:?}");
        let kept = overrides(&[("message.max.bytes", "77"), ("some.plugins.key", "x")]);
        assert_eq!(broker.overrides(Level::ClusterDefault), &kept);
        assert_eq!(broker.current().int("message.max.bytes"), 77);
    }

    #[test]
    fn a_whole_that_is_refused_changes_nothing() {
        let mut broker = BrokerConfig::new(node(""));
        let stored = overrides(&[("log.retention.ms", "0")]);
        assert_eq!(broker.set_overrides(Level::Broker, &stored).len(), 1);
        assert_eq!(broker.current(), broker.started_with());
    }

    #[test]
    fn changes_are_checked_at_their_level() {
        let broker = BrokerConfig::new(node(""));
        let refused = |level, name: &str, value: &str| {
            let error = broker.validate_overrides(level, &overrides(&[(name, value)])).unwrap_err();
            assert_eq!(error.kind(), ConfigErrorKind::InvalidRequest);
            error.message().to_string()
        };
        assert_eq!(
            refused(Level::ClusterDefault, "num.partitions", "3"),
            "Cannot update these configs dynamically: Set(num.partitions)"
        );
        assert_eq!(
            refused(Level::ClusterDefault, "listeners", "X://:1"),
            "Cannot update these configs at default cluster level, broker id must be specified: \
             Set(listeners)"
        );
        assert_eq!(
            refused(Level::Broker, "ssl.keystore.location", "/a"),
            "These security configs can be dynamically updated only per-listener using the \
             listener prefix: HashSet(ssl.keystore.location)"
        );
        assert_eq!(
            refused(Level::Broker, "num.io.threads", "100"),
            "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count \
             update validation failed for num.io.threads=100, value should not be greater than \
             double the current value 8 for configuration Invalid dynamic configuration"
        );
        let fine = overrides(&[("log.retention.ms", "5"), ("some.plugins.key", "x")]);
        assert_eq!(broker.validate_overrides(Level::Broker, &fine), Ok(()));
    }

    #[test]
    fn security_keys_are_dynamic_keys() {
        for name in SECURITY_KEYS {
            let key = keys::find(Resource::Broker, name).unwrap();
            assert_eq!(key.scope, Scope::PerBroker, "{name}");
        }
    }
}

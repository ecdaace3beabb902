//! Checks of a change at run time against what is in force: numbers that may not jump, and
//! listeners that connections hang on. Kafka makes them in the parts of the broker that carry out
//! the change, each only if one of its own keys changes, and wraps their sentences into an odd one
//! that is kept here.

use std::collections::{BTreeMap, BTreeSet};

use super::error::ConfigError;
use super::key::Scope;
use super::keys::{self, Resource};
use super::layers::SECURITY_KEYS;
use super::listener::Listener;
use super::raw::RawConfig;
use super::synonyms::TOPIC_SYNONYMS;
use super::topic::check_local_within;

/// Thread pools whose size may at most halve or double at once.
const POOLS: &[&str] = &[
    "background.threads",
    "num.io.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
];

const REMOTE_POOLS: &[&str] = &[
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.reader.threads",
];

/// Keys that can be changed for one listener while it serves.
const LISTENER_KEYS: &[&str] =
    &["max.connections", "max.connection.creation.rate", "num.network.threads"];

/// Checks that a broker can go from `current` to `next`.
pub(super) fn check(current: &RawConfig, next: &RawConfig) -> Result<(), ConfigError> {
    let changed = changed_names(current, next);
    check_all(current, next, &changed).map_err(|error| {
        ConfigError::invalid(format!(
            "Invalid value org.apache.kafka.common.config.ConfigException: {} for configuration \
             Invalid dynamic configuration",
            error.message()
        ))
    })
}

/// Names whose text differs.
fn changed_names<'a>(current: &'a RawConfig, next: &'a RawConfig) -> BTreeSet<&'a str> {
    let (old, new) = (current.originals(), next.originals());
    let names = old.keys().chain(new.keys());
    names.filter(|name| old.get(*name) != new.get(*name)).map(String::as_str).collect()
}

fn check_all(
    current: &RawConfig,
    next: &RawConfig,
    changed: &BTreeSet<&str>,
) -> Result<(), ConfigError> {
    check_pools(current, next, POOLS)?;
    let topic_default =
        |name: &&str| TOPIC_SYNONYMS.iter().any(|synonyms| synonyms.broker_keys[0].0 == *name);
    if changed.iter().any(topic_default) {
        check_local_retention(next)?;
    }
    if changed.iter().any(|name| concerns_listeners(name)) {
        check_listeners(current, next)?;
    }
    check_pools(current, next, REMOTE_POOLS)?;
    check_cleaner(current, next)
}

fn check_pools(current: &RawConfig, next: &RawConfig, pools: &[&str]) -> Result<(), ConfigError> {
    for &name in pools {
        let (old, new) = (current.int(name), next.int(name));
        if old == new {
            continue;
        }
        let limit = if new <= 0 {
            "value should be at least 1".to_string()
        } else if new < old / 2 {
            format!("value should be at least half the current value {old}")
        } else if i64::from(new) > i64::from(old) * 2 {
            format!("value should not be greater than double the current value {old}")
        } else {
            continue;
        };
        return Err(ConfigError::invalid(format!(
            "Dynamic thread count update validation failed for {name}={new}, {limit}"
        )));
    }
    Ok(())
}

fn check_cleaner(current: &RawConfig, next: &RawConfig) -> Result<(), ConfigError> {
    let (old, new) = (current.int("log.cleaner.threads"), next.int("log.cleaner.threads"));
    assert!(old > 0 && new > 0, "{old} and {new} cleaner threads passed the checks at load");
    let problem = if new < old / 2 {
        format!("cannot be reduced to less than half the current value {old}")
    } else if i64::from(new) > i64::from(old) * 2 {
        format!("cannot be increased to more than double the current value {old}")
    } else {
        return Ok(());
    };
    Err(ConfigError::invalid(format!("Log cleaner threads {problem}")))
}

fn check_local_retention(next: &RawConfig) -> Result<(), ConfigError> {
    let local_ms = next.long("log.local.retention.ms");
    check_local_within(
        ("log.local.retention.ms", local_ms),
        ("log.retention.ms", next.log_retention_ms()),
    )?;
    let local_bytes = next.long("log.local.retention.bytes");
    check_local_within(
        ("log.local.retention.bytes", local_bytes),
        ("log.retention.bytes", next.long("log.retention.bytes")),
    )
}

/// Whether a change of this key makes Kafka look at the listeners again.
fn concerns_listeners(name: &str) -> bool {
    let per_broker =
        keys::find(Resource::Broker, name).is_some_and(|key| key.scope == Scope::PerBroker);
    let per_listener_only = ["ssl.keystore.key", "ssl.keystore.certificate.chain"];
    let trust = name == "ssl.truststore.certificates";
    (per_broker && !trust && !per_listener_only.contains(&name)) || LISTENER_KEYS.contains(&name)
}

fn names(listeners: &[Listener]) -> String {
    let texts: Vec<String> =
        listeners.iter().map(|listener| format!("ListenerName({})", listener.name)).collect();
    let class = if listeners.len() > 4 { "HashSet" } else { "Set" };
    format!("{class}({})", texts.join(", "))
}

fn check_listeners(current: &RawConfig, next: &RawConfig) -> Result<(), ConfigError> {
    let advertised = current.advertised_broker_listeners();
    let (old, new) = (current.listeners(), next.listeners());
    if advertised.iter().any(|listener| new.iter().all(|new| new.name != listener.name)) {
        return Err(ConfigError::invalid(format!(
            "Advertised listeners '{}' must be a subset of listeners '{}'",
            names(&advertised),
            names(&new)
        )));
    }
    for listener in &new {
        let Some(before) = old.iter().find(|old| old.name == listener.name) else { continue };
        let name = &listener.name;
        if fixed_keys(current, name) != fixed_keys(next, name) {
            return Err(ConfigError::invalid(format!(
                "Configs cannot be updated dynamically for existing listener ListenerName({name}), \
                 restart broker or create a new listener for update"
            )));
        }
        if before.protocol != listener.protocol {
            return Err(ConfigError::invalid(format!(
                "Security protocol cannot be updated for existing listener ListenerName({name})"
            )));
        }
    }
    Ok(())
}

/// What is set for a listener alone and cannot be changed while it serves.
fn fixed_keys<'a>(config: &'a RawConfig, listener: &str) -> BTreeMap<&'a str, &'a str> {
    let prefix = format!("listener.name.{}.", listener.to_lowercase());
    let set = config.originals().iter().filter_map(|(name, value)| {
        let base = name.strip_prefix(&prefix)?;
        let fixed = !SECURITY_KEYS.contains(&base) && !LISTENER_KEYS.contains(&base);
        fixed.then_some((base, value.as_str()))
    });
    set.collect()
}

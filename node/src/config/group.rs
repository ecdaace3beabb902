//! The configuration of one group: what is set for it, else what the broker has for groups of its
//! kind.

use super::check_groups::Order;
use super::describe::{Described, Source, describe_own_key, shown_names};
use super::error::ConfigError;
use super::keys::{self, Resource};
use super::raw::RawConfig;
use super::topic::Overrides;
use super::value::Value;

use std::collections::BTreeMap;

/// Group keys that default to a broker key.
const BROKER_KEYS: &[(&str, &str)] = &[
    ("consumer.heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms"),
    ("consumer.session.timeout.ms", "group.consumer.session.timeout.ms"),
    ("share.heartbeat.interval.ms", "group.share.heartbeat.interval.ms"),
    ("share.record.lock.duration.ms", "group.share.record.lock.duration.ms"),
    ("share.session.timeout.ms", "group.share.session.timeout.ms"),
];

/// Bounds of a group's own values: group key, relation, broker key.
const BOUNDS: &[(&str, Order, &str)] = &[
    ("consumer.heartbeat.interval.ms", Order::AtLeast, "group.consumer.min.heartbeat.interval.ms"),
    ("consumer.heartbeat.interval.ms", Order::AtMost, "group.consumer.max.heartbeat.interval.ms"),
    ("consumer.session.timeout.ms", Order::AtLeast, "group.consumer.min.session.timeout.ms"),
    ("consumer.session.timeout.ms", Order::AtMost, "group.consumer.max.session.timeout.ms"),
    ("share.heartbeat.interval.ms", Order::AtLeast, "group.share.min.heartbeat.interval.ms"),
    ("share.heartbeat.interval.ms", Order::AtMost, "group.share.max.heartbeat.interval.ms"),
    ("share.session.timeout.ms", Order::AtLeast, "group.share.min.session.timeout.ms"),
    ("share.session.timeout.ms", Order::AtMost, "group.share.max.session.timeout.ms"),
    ("share.record.lock.duration.ms", Order::AtLeast, "group.share.min.record.lock.duration.ms"),
    ("share.record.lock.duration.ms", Order::AtMost, "group.share.max.record.lock.duration.ms"),
    ("streams.heartbeat.interval.ms", Order::AtLeast, "group.streams.min.heartbeat.interval.ms"),
    ("streams.heartbeat.interval.ms", Order::AtMost, "group.streams.max.heartbeat.interval.ms"),
    ("streams.session.timeout.ms", Order::AtLeast, "group.streams.min.session.timeout.ms"),
    ("streams.session.timeout.ms", Order::AtMost, "group.streams.max.session.timeout.ms"),
    ("streams.num.standby.replicas", Order::AtMost, "group.streams.max.standby.replicas"),
];

/// Which of a group's values must exceed which.
const ORDERED: &[(&str, &str)] = &[
    ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"),
    ("share.session.timeout.ms", "share.heartbeat.interval.ms"),
    ("streams.session.timeout.ms", "streams.heartbeat.interval.ms"),
];

type GroupValues = BTreeMap<&'static str, Value>;

/// Whose defaults a group key falls back to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fallback {
    /// The broker's, for every kind of group.
    Broker,
    /// The broker's for consumer groups only: what Kafka checks a change against.
    BrokerForConsumers,
}

fn resolve(
    config: &RawConfig,
    overrides: &Overrides,
    fallback: Fallback,
) -> Result<GroupValues, ConfigError> {
    let mut values = GroupValues::new();
    for key in keys::all(Resource::Group) {
        let broker_key = BROKER_KEYS
            .iter()
            .filter(|(name, _)| fallback == Fallback::Broker || name.starts_with("consumer."))
            .find(|(name, _)| *name == key.name);
        let value = match (overrides.get(key.name), broker_key) {
            (None, Some((_, broker_key))) => Value::Int(config.int(broker_key)),
            (raw, _) => {
                key.resolve(raw.map(String::as_str))?.expect("no default of a group is null")
            }
        };
        values.insert(key.name, value);
    }
    Ok(values)
}

/// All values of a group with these overrides, by name.
pub fn resolve_group(
    config: &RawConfig,
    overrides: &Overrides,
) -> Result<BTreeMap<&'static str, Value>, ConfigError> {
    resolve(config, overrides, Fallback::Broker)
}

/// Checks what a group shall be set to, as a controller does before it stores it.
pub fn validate_group_overrides(config: &RawConfig, new: &Overrides) -> Result<(), ConfigError> {
    for name in new.keys() {
        if keys::find(Resource::Group, name).is_none() {
            return Err(ConfigError::invalid(format!("Unknown group config name: {name}")));
        }
    }
    let values = resolve(config, new, Fallback::BrokerForConsumers)?;
    let int = |name: &str| match values[name] {
        Value::Int(number) => number,
        ref other => panic!("{name} is {other:?}, not an int"),
    };
    for &(name, order, broker_key) in BOUNDS {
        if !order.holds(int(name), config.int(broker_key)) {
            let message = format!("{name} must be {} {broker_key}", order.words());
            return Err(ConfigError::invalid(message));
        }
    }
    for &(larger, smaller) in ORDERED {
        if !Order::Above.holds(int(larger), int(smaller)) {
            let message = format!("{larger} must be {} {smaller}", Order::Above.words());
            return Err(ConfigError::invalid(message));
        }
    }
    Ok(())
}

/// All keys of a group with these overrides, by name, as DescribeConfigs shows them.
pub fn describe_group(
    config: &RawConfig,
    overrides: &Overrides,
) -> Result<Vec<Described>, ConfigError> {
    let values = resolve(config, overrides, Fallback::Broker)?;
    let describe = |name: &str| {
        let value = values.get(name).map(Value::to_config_text);
        let source = if overrides.contains_key(name) { Source::Group } else { Source::Default };
        describe_own_key(Resource::Group, name, value, Some(source))
    };
    Ok(shown_names(Resource::Group, overrides).into_iter().map(describe).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::tests::node;

    fn overrides(name: &str, value: &str) -> Overrides {
        Overrides::from([(name.to_string(), value.to_string())])
    }

    #[test]
    fn a_group_takes_what_the_broker_has() {
        let config = node("group.consumer.session.timeout.ms=50000");
        let values =
            resolve_group(&config, &overrides("share.session.timeout.ms", "46000")).unwrap();
        assert_eq!(values["consumer.session.timeout.ms"], Value::Int(50_000));
        assert_eq!(values["share.session.timeout.ms"], Value::Int(46_000));
        let described = describe_group(&config, &overrides("share.session.timeout.ms", "46000"));
        let described = described.unwrap();
        let share = described.iter().find(|entry| entry.name == "share.session.timeout.ms");
        assert_eq!(share.unwrap().source, Source::Group);
    }

    #[test]
    fn a_group_stays_within_the_brokers_bounds() {
        let refused = |name, value| {
            let error = validate_group_overrides(&node(""), &overrides(name, value)).unwrap_err();
            error.message().to_string()
        };
        assert_eq!(refused("foo", "1"), "Unknown group config name: foo");
        assert_eq!(
            refused("consumer.session.timeout.ms", "70000"),
            "consumer.session.timeout.ms must be less than or equal to \
             group.consumer.max.session.timeout.ms"
        );
    }
}

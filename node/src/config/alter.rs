//! What a change of a resource's configuration makes of what is set for it: the operations of
//! IncrementalAlterConfigs, and the replacement of the whole by AlterConfigs.
//!
//! Results are changes under the names that are shown. For a topic, [`stored_changes`] turns them
//! into the ones that are stored.

use super::error::ConfigError;
use super::key::{DefaultValue, Kind};
use super::keys::{self, Resource};
use super::topic::{Overrides, stored_name};

/// An operation on one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AlterOp {
    /// Replaces the value.
    Set(String),
    /// Takes the key away, so that its default counts.
    Delete,
    /// Adds elements to a list that are not in it yet.
    Append(String),
    /// Takes elements out of a list.
    Subtract(String),
}

impl AlterOp {
    fn name(&self) -> &'static str {
        match self {
            Self::Set(_) => "SET",
            Self::Delete => "DELETE",
            Self::Append(_) => "APPEND",
            Self::Subtract(_) => "SUBTRACT",
        }
    }
}

/// Keys and their new values; `None` takes the key away.
pub type Changes = Vec<(String, Option<String>)>;

/// Longest value in UTF-16 units: what Kafka's metadata records hold.
const VALUE_LEN_MAX: usize = i16::MAX as usize;

/// Applies operations to what is set. Only real changes are returned, except for brokers, where a
/// repeated value makes the node look at its files again.
pub fn apply_incremental(
    resource: Resource,
    current: &Overrides,
    ops: &[(String, AlterOp)],
) -> Result<Changes, ConfigError> {
    let mut changes = Changes::new();
    for (name, op) in ops {
        let old = current.get(name);
        let new = match op {
            AlterOp::Set(value) => Some(value.clone()),
            AlterOp::Delete => None,
            AlterOp::Append(_) | AlterOp::Subtract(_) => Some(alter_list(resource, name, op, old)?),
        };
        if old != new.as_ref() || resource == Resource::Broker {
            changes.push((name.clone(), new));
        }
    }
    check_lengths(&changes)?;
    Ok(changes)
}

/// Replaces everything that is set.
pub fn apply_legacy(
    resource: Resource,
    current: &Overrides,
    new: &Overrides,
) -> Result<Changes, ConfigError> {
    let changed = |name: &String, value: &String| {
        resource == Resource::Broker || current.get(name) != Some(value)
    };
    let mut changes: Changes = new
        .iter()
        .filter(|(name, value)| changed(name, value))
        .map(|(name, value)| (name.clone(), Some(value.clone())))
        .collect();
    check_lengths(&changes)?;
    let gone = current.keys().filter(|name| !new.contains_key(*name));
    changes.extend(gone.map(|name| (name.clone(), None)));
    Ok(changes)
}

/// What is set after the changes.
pub fn apply_changes(current: &Overrides, changes: &Changes) -> Overrides {
    let mut result = current.clone();
    for (name, value) in changes {
        match value {
            Some(value) => result.insert(name.clone(), value.clone()),
            None => result.remove(name),
        };
    }
    result
}

/// A topic's changes under the names they are stored with, `stored` being what is stored now.
pub fn stored_changes(stored: &Overrides, changes: &Changes) -> Changes {
    let mut result = Changes::new();
    for (name, value) in changes {
        let (under, replaced) = stored_name(name, value.as_deref());
        if value.is_some() || stored.contains_key(under) {
            result.push((under.to_string(), value.clone()));
        }
        if let Some(replaced) = replaced.filter(|replaced| stored.contains_key(*replaced)) {
            result.push((replaced.to_string(), None));
        }
    }
    result
}

fn alter_list(
    resource: Resource,
    name: &str,
    op: &AlterOp,
    old: Option<&String>,
) -> Result<String, ConfigError> {
    let key = keys::find(resource, name);
    if key.is_none_or(|key| key.kind != Kind::List) {
        return Err(not_a_list(resource, name, op, key.is_some()));
    }
    let default = match key.map(|key| key.default) {
        Some(DefaultValue::Text(text)) => text,
        _ => "",
    };
    let old = old.map_or(default, String::as_str);
    let mut elements: Vec<&str> = old.split(',').filter(|element| !element.is_empty()).collect();
    match op {
        AlterOp::Append(value) => {
            for element in java_split(value) {
                if !elements.contains(&element) {
                    elements.push(element);
                }
            }
        }
        AlterOp::Subtract(value) => {
            for element in java_split(value) {
                if let Some(at) = elements.iter().position(|present| *present == element) {
                    elements.remove(at);
                }
            }
        }
        AlterOp::Set(_) | AlterOp::Delete => unreachable!("these are not about lists"),
    }
    Ok(elements.join(","))
}

/// For a broker Kafka checks twice, and the first check has its own words.
fn not_a_list(resource: Resource, name: &str, op: &AlterOp, known: bool) -> ConfigError {
    match resource {
        Resource::Broker if !known => ConfigError::unexpected(format!("key not found: {name}")),
        Resource::Broker => ConfigError::invalid(format!(
            "Config value {} is not allowed for config key: {name}",
            op.name().to_lowercase()
        )),
        _ => ConfigError::invalid(format!(
            "Can't {} to key {name} because its type is not LIST.",
            op.name()
        )),
    }
}

/// `String.split(",")`: empty strings at the end are dropped, unless all there is is one.
fn java_split(value: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = value.split(',').collect();
    while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts
}

fn check_lengths(changes: &Changes) -> Result<(), ConfigError> {
    let long = |value: &String| value.encode_utf16().count() > VALUE_LEN_MAX;
    if changes.iter().filter_map(|(_, value)| value.as_ref()).any(long) {
        return Err(ConfigError::invalid(format!(
            "The configuration value cannot be added because it exceeds the maximum value size of \
             {VALUE_LEN_MAX} bytes."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(pairs: &[(&str, &str)]) -> Overrides {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn altered(resource: Resource, old: &str, name: &str, op: AlterOp) -> Result<String, String> {
        let current = overrides(&[(name, old)]);
        let changes = apply_incremental(resource, &current, &[(name.to_string(), op)])
            .map_err(|error| error.message().to_string())?;
        Ok(apply_changes(&current, &changes).remove(name).unwrap_or_default())
    }

    #[test]
    fn lists_grow_and_shrink() {
        let append = |text: &str| AlterOp::Append(text.to_string());
        let subtract = |text: &str| AlterOp::Subtract(text.to_string());
        let topic = |old, op| altered(Resource::Topic, old, "cleanup.policy", op).unwrap();
        assert_eq!(topic("delete", append("compact")), "delete,compact");
        assert_eq!(topic("delete", append("delete,compact,")), "delete,compact");
        assert_eq!(topic("delete,compact", subtract("delete")), "compact");
        assert_eq!(topic("delete", subtract("delete,compact")), "");
    }

    #[test]
    fn a_list_that_is_not_set_grows_from_its_default() {
        let ops = [("cleanup.policy".to_string(), AlterOp::Append("compact".to_string()))];
        let changes = apply_incremental(Resource::Topic, &Overrides::new(), &ops).unwrap();
        assert_eq!(changes, [("cleanup.policy".to_string(), Some("delete,compact".to_string()))]);
    }

    #[test]
    fn only_lists_grow() {
        let append = || AlterOp::Append("1".to_string());
        assert_eq!(
            altered(Resource::Topic, "1", "segment.bytes", append()).unwrap_err(),
            "Can't APPEND to key segment.bytes because its type is not LIST."
        );
        assert_eq!(
            altered(Resource::Broker, "1", "log.retention.ms", append()).unwrap_err(),
            "Config value append is not allowed for config key: log.retention.ms"
        );
    }

    #[test]
    fn what_does_not_change_is_not_written_again() {
        let current = overrides(&[("retention.ms", "1")]);
        let ops = [("retention.ms".to_string(), AlterOp::Set("1".to_string()))];
        assert_eq!(apply_incremental(Resource::Topic, &current, &ops).unwrap(), []);
        assert_eq!(apply_incremental(Resource::Broker, &current, &ops).unwrap().len(), 1);
    }

    #[test]
    fn legacy_changes_replace_the_whole() {
        let current = overrides(&[("retention.ms", "1"), ("flush.ms", "2")]);
        let new = overrides(&[("retention.ms", "1"), ("segment.ms", "3")]);
        let changes = apply_legacy(Resource::Topic, &current, &new).unwrap();
        assert_eq!(apply_changes(&current, &changes), new);
        assert_eq!(changes.len(), 2);
    }

    #[test]
    fn small_segments_are_stored_under_the_internal_name() {
        let set = |value: &str| vec![("segment.bytes".to_string(), Some(value.to_string()))];
        let none = Overrides::new();
        let stored = apply_changes(&none, &stored_changes(&none, &set("50000")));
        assert_eq!(stored, overrides(&[("internal.segment.bytes", "50000")]));
        let stored = apply_changes(&stored, &stored_changes(&stored, &set("2097152")));
        assert_eq!(stored, overrides(&[("segment.bytes", "2097152")]));
        let small = overrides(&[("internal.segment.bytes", "50000")]);
        let delete = vec![("segment.bytes".to_string(), None)];
        assert_eq!(apply_changes(&small, &stored_changes(&small, &delete)), none);
    }

    #[test]
    fn overlong_values_are_refused() {
        let long = AlterOp::Set("x".repeat(40_000));
        let refused = altered(Resource::Topic, "", "cleanup.policy", long).unwrap_err();
        assert!(refused.ends_with("exceeds the maximum value size of 32767 bytes."), "{refused}");
    }
}

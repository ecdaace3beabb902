//! What DescribeConfigs answers: for each key of a resource its value, where that comes from, and
//! everything else that is set for it further down.
//!
//! The order of the layers, the names under which synonyms are looked up, and which of them are
//! shown follow Kafka's ConfigHelper to the letter, oddities included: a value that comes from a
//! synonym alone (retention.ms from log.retention.hours) shows no synonyms and counts as a default.

use super::error::ConfigError;
use super::key::{ConfigKey, DefaultValue, Kind, Scope};
use super::keys::{self, Resource};
use super::layers::{BrokerConfig, Level};
use super::raw::{RawConfig, key_of};
use super::synonyms::{self, ListenerBase};
use super::topic::{self, Overrides, shown_overrides};

/// Where a value comes from, with its number in DescribeConfigs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(i8)]
pub enum Source {
    /// Set for the topic.
    Topic = 1,
    /// Set for the broker at run time.
    Broker = 2,
    /// Set for all brokers at run time.
    ClusterDefault = 3,
    /// Set in the broker's file or on its command line.
    Static = 4,
    /// Not set.
    Default = 5,
    /// Level of a broker's logger.
    BrokerLogger = 6,
    /// Set for the client metrics subscription.
    ClientMetrics = 7,
    /// Set for the group.
    Group = 8,
}

impl Source {
    /// The source's number in DescribeConfigs.
    pub const fn wire_id(self) -> i8 {
        self as i8
    }
}

/// A value that counts, or would if the ones before it were not set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Synonym {
    /// The key it is set under.
    pub name: String,
    /// The value; `None` if it is secret.
    pub value: Option<String>,
    /// Where it is set.
    pub source: Source,
}

/// A key as DescribeConfigs shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Described {
    /// The key.
    pub name: String,
    /// Its value; `None` if it is null or secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: Source,
    /// Whether it cannot be changed while the broker runs.
    pub read_only: bool,
    /// Whether its value is secret, as are those of unknown keys.
    pub sensitive: bool,
    /// Its type; `None` for an unknown key.
    pub kind: Option<Kind>,
    /// All values that are set for it, the one that counts first.
    pub synonyms: Vec<Synonym>,
    /// What it means; `None` for a key that is not in the table under this very name.
    pub documentation: Option<&'static str>,
}

impl Described {
    /// Whether the value is a default.
    pub fn is_default(&self) -> bool {
        self.source == Source::Default
    }

    /// The type's number in DescribeConfigs.
    pub fn config_type(&self) -> i8 {
        self.kind.map_or(0, Kind::wire_id)
    }
}

/// Names to show: all keys that are not internal, and everything that is set.
pub(super) fn shown_names(resource: Resource, set: &Overrides) -> Vec<&str> {
    let public = keys::all(resource)
        .filter(|key| !key.internal && key.scope != Scope::DynamicOnly)
        .map(|key| key.name);
    let mut names: Vec<&str> = public.chain(set.keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn default_text(key: &ConfigKey) -> Option<&'static str> {
    match key.default {
        DefaultValue::Text(text) => Some(text),
        DefaultValue::Required | DefaultValue::Null => None,
    }
}

/// Kafka has none for keys that are not in the file.
fn documentation(resource: Resource, name: &str) -> Option<&'static str> {
    let key = keys::find(resource, name)?;
    (key.scope != Scope::DynamicOnly).then_some(key.doc)
}

impl BrokerConfig {
    /// All keys of this broker, by name.
    pub fn describe(&self) -> Vec<Described> {
        let config = self.current();
        shown_names(Resource::Broker, config.originals())
            .into_iter()
            .map(|name| self.describe_broker_key(name, broker_value(config, name), Level::Broker))
            .collect()
    }

    /// What is set for all brokers, by name.
    pub fn describe_cluster_default(&self) -> Vec<Described> {
        let set = self.overrides(Level::ClusterDefault).iter();
        set.map(|(name, raw)| {
            self.describe_broker_key(name, Some(raw.clone()), Level::ClusterDefault)
        })
        .collect()
    }

    fn describe_broker_key(&self, name: &str, value: Option<String>, level: Level) -> Described {
        let key = key_of(name);
        let sensitive = key.is_none_or(ConfigKey::is_sensitive);
        let mut synonyms = self.synonyms_of(name, sensitive);
        if level == Level::ClusterDefault {
            synonyms.retain(|synonym| synonym.source == Source::ClusterDefault);
        }
        Described {
            name: name.to_string(),
            value: value.filter(|_| !sensitive),
            source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
            read_only: !keys::find(Resource::Broker, name).is_some_and(ConfigKey::is_dynamic),
            sensitive,
            kind: key.map(|key| key.kind),
            synonyms,
            documentation: documentation(Resource::Broker, name),
        }
    }

    /// Where the value of a broker key that is in force comes from.
    pub fn source(&self, name: &str) -> Source {
        self.synonyms_of(name, true).first().map_or(Source::Default, |synonym| synonym.source)
    }

    /// Everything set under the key's names, layer by layer, from the key itself on: what comes
    /// before it is for a more special key.
    fn synonyms_of(&self, name: &str, sensitive: bool) -> Vec<Synonym> {
        let names = synonyms::of_broker_key(name, ListenerBase::Included);
        let layers = [
            (Source::Broker, self.overrides(Level::Broker)),
            (Source::ClusterDefault, self.overrides(Level::ClusterDefault)),
            (Source::Static, self.started_with().originals()),
        ];
        let mut found = Vec::new();
        for (source, set) in layers {
            for &name in &names {
                if let Some(raw) = set.get(name) {
                    found.push((name, raw.as_str(), source));
                }
            }
        }
        for &name in &names {
            let key = keys::find(Resource::Broker, name);
            let key = key.filter(|key| key.scope != Scope::DynamicOnly);
            if let Some(text) = key.and_then(default_text) {
                found.push((name, text, Source::Default));
            }
        }
        found
            .into_iter()
            .skip_while(|(found, ..)| *found != name)
            .map(|(name, value, source)| Synonym {
                name: name.to_string(),
                value: (!sensitive).then(|| value.to_string()),
                source,
            })
            .collect()
    }

    /// All keys of a topic for which this is stored in the metadata log, by name.
    pub fn describe_topic(&self, stored: &Overrides) -> Result<Vec<Described>, ConfigError> {
        let overrides = shown_overrides(stored);
        let values = topic::resolve_values(self.current(), &overrides)?;
        let describe = |name: &str| {
            let key = keys::find(Resource::Topic, name);
            let sensitive = key.is_none_or(ConfigKey::is_sensitive);
            let value =
                values.get(name).and_then(Option::as_ref).map(|value| value.to_config_text());
            let value = value.filter(|_| !sensitive);
            let mut synonyms = match synonyms::of_topic_key(name).first() {
                Some((broker_key, _)) => self.synonyms_of(broker_key, sensitive),
                None => Vec::new(),
            };
            if overrides.contains_key(name) {
                let own =
                    Synonym { name: name.to_string(), value: value.clone(), source: Source::Topic };
                synonyms.insert(0, own);
            }
            Described {
                name: name.to_string(),
                value,
                source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
                read_only: false,
                sensitive,
                kind: key.map(|key| key.kind),
                synonyms,
                documentation: documentation(Resource::Topic, name),
            }
        };
        Ok(shown_names(Resource::Topic, &overrides).into_iter().map(describe).collect())
    }
}

/// The value Kafka shows: parsed and printed again, unless the key is internal or unknown.
fn broker_value(config: &RawConfig, name: &str) -> Option<String> {
    match keys::find(Resource::Broker, name) {
        Some(key) if !key.internal && key.scope != Scope::DynamicOnly => {
            config.value(name).map(|value| value.to_config_text())
        }
        _ => config.originals().get(name).cloned(),
    }
}

/// A key of a group or of a client metrics subscription: it has no synonyms but itself.
pub(super) fn describe_own_key(
    resource: Resource,
    name: &str,
    value: Option<String>,
    synonym: Option<Source>,
) -> Described {
    let key = keys::find(resource, name);
    let sensitive = key.is_none_or(ConfigKey::is_sensitive);
    let value = value.filter(|_| !sensitive);
    let synonyms: Vec<Synonym> = synonym
        .map(|source| Synonym { name: name.to_string(), value: value.clone(), source })
        .into_iter()
        .collect();
    Described {
        name: name.to_string(),
        value,
        source: synonym.unwrap_or(Source::Default),
        read_only: false,
        sensitive,
        kind: key.map(|key| key.kind),
        synonyms,
        documentation: documentation(resource, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::tests::node;

    fn broker(file: &str) -> BrokerConfig {
        BrokerConfig::new(node(file))
    }

    fn overrides(name: &str, value: &str) -> Overrides {
        Overrides::from([(name.to_string(), value.to_string())])
    }

    fn described(all: &[Described], name: &str) -> Described {
        all.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("{name}")).clone()
    }

    fn sources(entry: &Described) -> Vec<(&str, Source)> {
        entry.synonyms.iter().map(|synonym| (synonym.name.as_str(), synonym.source)).collect()
    }

    #[test]
    fn internal_keys_are_shown_only_if_set() {
        let shown =
            |file| broker(file).describe().iter().map(|e| e.name.clone()).collect::<Vec<_>>();
        let internal = "log.initial.task.delay.ms".to_string();
        assert!(!shown("").contains(&internal));
        assert!(shown("log.initial.task.delay.ms=5").contains(&internal));
        assert!(shown("").is_sorted());
    }

    #[test]
    fn secrets_and_unknown_keys_show_no_value() {
        let all = broker("ssl.keystore.password=hunter2\nzookeeper.connect=x").describe();
        for name in ["ssl.keystore.password", "zookeeper.connect"] {
            let entry = described(&all, name);
            assert!(entry.sensitive && entry.value.is_none(), "{name}");
            assert_eq!(entry.source, Source::Static);
            assert_eq!(entry.synonyms[0].value, None);
        }
        assert!(!format!("{all:?}").contains("hunter2"));
        assert_eq!(described(&all, "zookeeper.connect").config_type(), 0);
        assert_eq!(described(&all, "zookeeper.connect").documentation, None);
    }

    #[test]
    fn layers_are_listed_in_order_of_precedence() {
        let mut broker = broker("message.max.bytes=1");
        broker.set_overrides(Level::ClusterDefault, &overrides("message.max.bytes", "2"));
        broker.set_overrides(Level::Broker, &overrides("message.max.bytes", "3"));
        let entry = described(&broker.describe(), "message.max.bytes");
        assert_eq!(entry.value.as_deref(), Some("3"));
        assert_eq!(
            entry.synonyms.iter().map(|s| s.value.clone().unwrap()).collect::<Vec<_>>(),
            ["3", "2", "1", "1048588"]
        );
        assert!(!entry.read_only && !entry.is_default());
        let topic = broker.describe_topic(&overrides("max.message.bytes", "4")).unwrap();
        assert_eq!(
            sources(&described(&topic, "max.message.bytes")),
            [
                ("max.message.bytes", Source::Topic),
                ("message.max.bytes", Source::Broker),
                ("message.max.bytes", Source::ClusterDefault),
                ("message.max.bytes", Source::Static),
                ("message.max.bytes", Source::Default),
            ]
        );
        assert_eq!(broker.source("message.max.bytes"), Source::Broker);
        let default = broker.describe_cluster_default();
        assert_eq!(sources(&default[0]), [("message.max.bytes", Source::ClusterDefault)]);
    }

    #[test]
    fn a_value_from_a_coarser_key_looks_like_a_default() {
        let broker = broker("log.retention.hours=24");
        let topic = described(&broker.describe_topic(&Overrides::new()).unwrap(), "retention.ms");
        assert_eq!(topic.value.as_deref(), Some("86400000"));
        assert_eq!((topic.synonyms, topic.source), (Vec::new(), Source::Default));
    }

    #[test]
    fn a_small_segment_is_shown_under_its_own_name() {
        let stored = overrides("internal.segment.bytes", "50000");
        let topic = broker("").describe_topic(&stored).unwrap();
        let entry = described(&topic, "segment.bytes");
        assert_eq!((entry.value.as_deref(), entry.source), (Some("50000"), Source::Topic));
        assert!(topic.iter().all(|entry| entry.name != "internal.segment.bytes"));
    }
}

//! One row of the table: everything Ringlog knows about a configuration key.
//!
//! Rows are written with the const builder below, one expression each, so that a key's type,
//! default, range, scope and text stand in one place and nowhere else.

use super::error::ConfigError;
use super::valid::{Bound, Valid};
use super::value::Value;

/// Kafka's types of values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// 32 bits, signed.
    Int,
    /// 16 bits, signed.
    Short,
    /// 64 bits, signed.
    Long,
    /// A floating point number.
    Double,
    /// Elements separated by commas.
    List,
    /// The name of a Java class.
    Class,
    /// A secret, never shown.
    Password,
}

impl Kind {
    /// Kafka's name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }

    /// The type's number in DescribeConfigs; an unknown key has 0.
    pub const fn wire_id(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }

    /// Whether values of this type are kept secret.
    pub const fn is_sensitive(self) -> bool {
        matches!(self, Self::Password)
    }
}

/// What a key means when it is not set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DefaultValue {
    /// It must be set.
    Required,
    /// Nothing: Kafka's null.
    Null,
    /// This value, in the text Kafka shows for it.
    Text(&'static str),
}

/// How likely it is that the key must be changed, by Kafka's judgement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Importance {
    /// Likely.
    High,
    /// Now and then.
    Medium,
    /// Hardly ever.
    Low,
}

impl Importance {
    /// Kafka's name of the level.
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

/// Which resource the key belongs to and, for a broker's, where it can be changed while it runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// A broker's; only by a restart.
    ReadOnly,
    /// A broker's; changed for one broker at a time.
    PerBroker,
    /// A broker's; changed for one broker or as the default of all.
    ClusterWide,
    /// A broker's; not read from the file, only set while it runs.
    DynamicOnly,
    /// A topic's.
    Topic,
    /// A group's.
    Group,
    /// A client metrics subscription's.
    ClientMetrics,
}

impl Scope {
    /// The name Kafka's documentation has for the update mode.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::PerBroker => "per-broker",
            Self::ClusterWide => "cluster-wide",
            Self::DynamicOnly => "dynamic only",
            Self::Topic => "topic",
            Self::Group => "group",
            Self::ClientMetrics => "client-metrics",
        }
    }
}

/// Whether the key does something in Ringlog.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// It does what its text says.
    Acts,
    /// It is checked, kept and shown, but does nothing, for this reason.
    Stored(&'static str),
}

/// A configuration key.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// Kafka's name of the key, or ours beginning with `ringlog.`.
    pub name: &'static str,
    /// Type of its value.
    pub kind: Kind,
    /// Value if it is not set.
    pub default: DefaultValue,
    /// Which values of the type are accepted.
    pub valid: Valid,
    /// Kafka's judgement of how much it matters.
    pub importance: Importance,
    /// Resource it belongs to, and where it can be changed.
    pub scope: Scope,
    /// Not shown by DescribeConfigs unless it is set.
    pub internal: bool,
    /// Whether it does something in Ringlog.
    pub effect: Effect,
    /// What it means, in our words.
    pub doc: &'static str,
}

/// Starts a row: any value of the type is accepted and, unless it says so, nothing acts on it yet.
pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    default: DefaultValue,
    importance: Importance,
    scope: Scope,
) -> ConfigKey {
    ConfigKey {
        name,
        kind,
        default,
        valid: Valid::Any,
        importance,
        scope,
        internal: false,
        effect: Effect::Stored(reason::NOT_YET),
        doc: "",
    }
}

/// Why a key is accepted without effect.
pub(super) mod reason {
    /// Not implemented.
    pub const NOT_YET: &str = "not implemented";
    /// A plugin.
    pub const JAVA_CLASS: &str = "names or configures a Java class; Ringlog loads no Java classes";
    /// A knob of Java's TLS engine.
    pub const JAVA_TLS: &str = "only for Java's TLS engine, which Ringlog does not use";
    /// A thread pool.
    pub const SHARDS: &str = "no thread pools: see ringlog.shards";
    /// A role of its own.
    pub const COMBINED: &str =
        "combined mode only (`broker,controller`); other values are refused at start";
    /// A wait for more to do.
    pub const TURNS: &str = "no delay: records of one turn of a shard are written together";
    /// What brokers tell each other or the controller.
    pub const ONE_BROKER: &str = "no effect on a single node";
    /// The other voters.
    pub const ONE_VOTER: &str = "single voter only; other voters are refused at start";
    /// A sweep of finished requests.
    pub const PURGATORY: &str = "completed requests are removed at once";
}

impl ConfigKey {
    pub(super) const fn valid(mut self, valid: Valid) -> Self {
        self.valid = valid;
        self
    }

    pub(super) const fn at_least(self, min: i64) -> Self {
        self.valid(Valid::Range { min: Some(Bound::Int(min)), max: None })
    }

    pub(super) const fn between(self, min: i64, max: i64) -> Self {
        self.valid(Valid::Range { min: Some(Bound::Int(min)), max: Some(Bound::Int(max)) })
    }

    pub(super) const fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    pub(super) const fn stored(mut self, reason: &'static str) -> Self {
        self.effect = Effect::Stored(reason);
        self
    }

    pub(super) const fn acts(mut self) -> Self {
        self.effect = Effect::Acts;
        self
    }

    pub(super) const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// Whether values are kept secret.
    pub const fn is_sensitive(&self) -> bool {
        self.kind.is_sensitive()
    }

    /// Whether the key can be changed while a broker runs; what DescribeConfigs calls read-only is
    /// the opposite.
    pub const fn is_dynamic(&self) -> bool {
        matches!(self.scope, Scope::PerBroker | Scope::ClusterWide)
    }

    /// The value if the key is not set: `None` for null and for a required key.
    pub fn default_value(&self) -> Option<Value> {
        match self.default {
            DefaultValue::Required | DefaultValue::Null => None,
            DefaultValue::Text(text) => {
                Some(Value::parse(self.name, self.kind, text).expect("defaults in the table parse"))
            }
        }
    }

    /// Parses and checks a value, with Kafka's sentence if it is refused.
    pub fn parse(&self, raw: &str) -> Result<Value, ConfigError> {
        let value = Value::parse(self.name, self.kind, raw)?;
        self.valid.check(self.name, Some(&value))?;
        Ok(value)
    }

    /// The checked value of the key where `raw` is what was set, if anything was.
    pub(super) fn resolve(&self, raw: Option<&str>) -> Result<Option<Value>, ConfigError> {
        match (raw, self.default) {
            (Some(raw), _) => self.parse(raw).map(Some),
            (None, DefaultValue::Required) => Err(ConfigError::invalid(format!(
                "Missing required configuration \"{}\" which has no default value.",
                self.name
            ))),
            (None, _) => {
                let value = self.default_value();
                self.valid.check(self.name, value.as_ref())?;
                Ok(value)
            }
        }
    }
}

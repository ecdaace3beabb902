//! A broker's configuration at one moment: what was set, and what that makes of every key.
//!
//! A [`RawConfig`] that exists is valid: each value passed its own check, and all of them together
//! passed the ones between keys (check.rs). It never changes; a change of a dynamic key makes a new
//! one (layers.rs).

use std::collections::{BTreeMap, BTreeSet};

use super::error::ConfigError;
use super::host_port::HostPort;
use super::key::{ConfigKey, Effect, Scope};
use super::keys::{self, Resource};
use super::properties;
use super::synonyms::{self, ListenerBase};
use super::value::{Password, Value};
use super::{check, quorum, text};

/// What a node does in the cluster.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Serves clients and stores their records.
    Broker,
    /// Takes part in the metadata quorum.
    Controller,
}

/// A valid configuration of a broker.
#[derive(Clone, Debug, PartialEq)]
pub struct RawConfig {
    originals: BTreeMap<String, String>,
    values: BTreeMap<&'static str, Option<Value>>,
}

impl RawConfig {
    /// Reads a properties file and then the overrides of the command line, the last one of a key
    /// counting.
    pub fn load(file: &[u8], overrides: &[(String, String)]) -> Result<Self, ConfigError> {
        let mut properties = properties::parse_properties(file)?;
        properties.extend(overrides.iter().cloned());
        Self::new(properties)
    }

    /// Checks these properties.
    pub fn new(properties: BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let config = Self::parse(properties)?;
        check::check(&config)?;
        Ok(config)
    }

    /// Checks each value, but not the ones against each other.
    pub(super) fn parse(mut properties: BTreeMap<String, String>) -> Result<Self, ConfigError> {
        if let Some(providers) = properties.get("config.providers")
            && !text::trim(providers).is_empty()
        {
            return Err(ConfigError::value(
                "config.providers",
                providers,
                "Ringlog has no config providers; write the values themselves into the file",
            ));
        }
        for (from, to) in [("node.id", "broker.id"), ("broker.id", "node.id")] {
            if let Some(id) = properties.get(from).cloned() {
                properties.entry(to.to_string()).or_insert(id);
            }
        }
        let mut values = BTreeMap::new();
        for key in keys::all(Resource::Broker).filter(|key| key.scope != Scope::DynamicOnly) {
            let raw = properties.get(key.name).map(String::as_str);
            values.insert(key.name, key.resolve(raw).map_err(with_advice)?);
        }
        Ok(Self { originals: properties, values })
    }

    /// Everything that was set, as it was written, by name. Unknown keys are here, too.
    pub fn originals(&self) -> &BTreeMap<String, String> {
        &self.originals
    }

    /// Whether the key was set.
    pub fn is_set(&self, name: &str) -> bool {
        self.originals.contains_key(name)
    }

    /// What is worth a warning when a node starts with this configuration: keys nobody knows, and
    /// keys in the wrong place.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for name in self.originals.keys() {
            match keys::find(Resource::Broker, name) {
                Some(key) if key.scope == Scope::DynamicOnly => {
                    warnings.push(format!("{name} can only be set while the node runs: ignored"));
                }
                Some(_) => {}
                None if key_of(name).is_some() => {}
                None => warnings.push(format!("unknown configuration {name}: ignored")),
            }
        }
        warnings.extend(check::role_warnings(self));
        warnings
    }

    /// Keys that were set but do nothing in Ringlog, with the reason.
    pub fn set_without_effect(&self) -> impl Iterator<Item = (&'static ConfigKey, &'static str)> {
        self.originals.keys().filter_map(|name| {
            let key = keys::find(Resource::Broker, name)?;
            match key.effect {
                Effect::Acts => None,
                Effect::Stored(reason) => Some((key, reason)),
            }
        })
    }

    /// The value of a key; `None` is null.
    pub fn value(&self, name: &str) -> Option<&Value> {
        match self.values.get(name) {
            Some(value) => value.as_ref(),
            None => panic!("{name} is not a key of a broker"),
        }
    }

    /// The value of a BOOLEAN key.
    pub fn boolean(&self, name: &str) -> bool {
        match self.value(name) {
            Some(Value::Boolean(value)) => *value,
            other => panic!("{name} is {other:?}, not a boolean"),
        }
    }

    /// The value of an INT key.
    pub fn int(&self, name: &str) -> i32 {
        self.opt_int(name).unwrap_or_else(|| panic!("{name} is null"))
    }

    /// The value of an INT key that may be null.
    pub fn opt_int(&self, name: &str) -> Option<i32> {
        match self.value(name) {
            Some(Value::Int(number)) => Some(*number),
            None => None,
            other => panic!("{name} is {other:?}, not an int"),
        }
    }

    /// The value of a SHORT key.
    pub fn short(&self, name: &str) -> i16 {
        match self.value(name) {
            Some(Value::Short(number)) => *number,
            other => panic!("{name} is {other:?}, not a short"),
        }
    }

    /// The value of a LONG key.
    pub fn long(&self, name: &str) -> i64 {
        self.opt_long(name).unwrap_or_else(|| panic!("{name} is null"))
    }

    /// The value of a LONG key that may be null.
    pub fn opt_long(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Some(Value::Long(number)) => Some(*number),
            None => None,
            other => panic!("{name} is {other:?}, not a long"),
        }
    }

    /// The value of a DOUBLE key.
    pub fn double(&self, name: &str) -> f64 {
        match self.value(name) {
            Some(Value::Double(number)) => *number,
            other => panic!("{name} is {other:?}, not a double"),
        }
    }

    /// The value of a STRING or CLASS key; `None` is null.
    pub fn string(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some(Value::String(text) | Value::Class(text)) => Some(text),
            None => None,
            other => panic!("{name} is {other:?}, not a string"),
        }
    }

    /// The value of a LIST key; null is an empty list.
    pub fn list(&self, name: &str) -> &[String] {
        match self.value(name) {
            Some(Value::List(list)) => list,
            None => &[],
            other => panic!("{name} is {other:?}, not a list"),
        }
    }

    /// The value of a PASSWORD key.
    pub fn password(&self, name: &str) -> Option<&Password> {
        match self.value(name) {
            Some(Value::Password(password)) => Some(password),
            None => None,
            other => panic!("{name} is {other:?}, not a password"),
        }
    }

    /// The value of a key on a listener: of `listener.name.<listener>.<key>` if that is set, else
    /// of the key itself. The key may have a SASL mechanism before it (`plain.sasl.jaas.config`),
    /// without which it has no value of its own.
    pub fn listener_value(&self, listener: &str, key: &str) -> Result<Option<Value>, ConfigError> {
        let prefixed = format!("listener.name.{}.{key}", listener.to_lowercase());
        match (self.originals.get(&prefixed), key_of(&prefixed)) {
            (Some(raw), Some(base)) => Value::parse(base.name, base.kind, raw)
                .and_then(|value| base.valid.check(base.name, Some(&value)).map(|()| Some(value))),
            _ => Ok(self.values.get(key).cloned().flatten()),
        }
    }
}

/// Kafka's sentence about a required key that is missing, and what to do about it.
fn with_advice(error: ConfigError) -> ConfigError {
    let advice = if error.message().contains("\"process.roles\"") {
        "There is no ZooKeeper mode: set process.roles=broker,controller and \
         controller.quorum.voters for a node on its own, or process.roles=broker and the \
         controllers' addresses for one more broker."
    } else if error.message().contains("\"node.id\"") {
        "Give each node of the cluster a number of its own, such as node.id=1."
    } else {
        return error;
    };
    ConfigError::invalid(format!("{} {advice}", error.message()))
}

/// The row that describes a broker key, one with a listener's prefix included.
pub(super) fn key_of(name: &str) -> Option<&'static ConfigKey> {
    if let Some(key) = keys::find(Resource::Broker, name) {
        return Some(key);
    }
    let synonyms = synonyms::of_broker_key(name, ListenerBase::Included);
    synonyms.into_iter().find_map(|synonym| keys::find(Resource::Broker, synonym))
}

/// What several keys decide together.
impl RawConfig {
    /// This node's number.
    pub fn node_id(&self) -> i32 {
        self.int("node.id")
    }

    /// This node's roles; never empty.
    pub fn roles(&self) -> BTreeSet<Role> {
        let role = |name: &String| match name.as_str() {
            "broker" => Role::Broker,
            "controller" => Role::Controller,
            other => unreachable!("the table lets no role {other} through"),
        };
        self.list("process.roles").iter().map(role).collect()
    }

    /// Whether this node is a broker, maybe among other things.
    pub fn is_broker(&self) -> bool {
        self.roles().contains(&Role::Broker)
    }

    /// Whether this node is a controller, maybe among other things.
    pub fn is_controller(&self) -> bool {
        self.roles().contains(&Role::Controller)
    }

    /// Directories of the logs; at least one.
    pub fn log_dirs(&self) -> Vec<String> {
        let dirs = self.string("log.dirs").or_else(|| self.string("log.dir"));
        text::csv_list(dirs.unwrap_or_default())
    }

    /// Directory of the metadata log.
    pub fn metadata_log_dir(&self) -> String {
        match self.string("metadata.log.dir") {
            Some(dir) => dir.to_string(),
            None => self.log_dirs().swap_remove(0),
        }
    }

    /// Voters of a quorum with fixed membership; empty if the membership is dynamic.
    pub fn voters(&self) -> BTreeMap<i32, HostPort> {
        quorum::parse_voters(self.list("controller.quorum.voters"))
            .expect("checked when it was loaded")
    }

    /// Where the controllers of a quorum with dynamic membership can be found.
    pub fn bootstrap_servers(&self) -> Vec<HostPort> {
        quorum::parse_bootstrap_servers(self.list("controller.quorum.bootstrap.servers"))
            .expect("checked when it was loaded")
    }

    /// Age at which segments roll.
    pub fn log_roll_ms(&self) -> i64 {
        self.opt_long("log.roll.ms").unwrap_or_else(|| self.hours_as_ms("log.roll.hours"))
    }

    /// Random time by which segments roll earlier.
    pub fn log_roll_jitter_ms(&self) -> i64 {
        let hours = || self.hours_as_ms("log.roll.jitter.hours");
        self.opt_long("log.roll.jitter.ms").unwrap_or_else(hours)
    }

    /// Age at which segments are deleted; -1 for never.
    pub fn log_retention_ms(&self) -> i64 {
        let minutes = || self.opt_int("log.retention.minutes").map(|m| i64::from(m) * 60 * 1000);
        let ms = self
            .opt_long("log.retention.ms")
            .or_else(minutes)
            .unwrap_or_else(|| self.hours_as_ms("log.retention.hours"));
        ms.max(-1)
    }

    /// Longest time a record waits for its flush.
    pub fn log_flush_interval_ms(&self) -> i64 {
        let scheduler = || self.long("log.flush.scheduler.interval.ms");
        self.opt_long("log.flush.interval.ms").unwrap_or_else(scheduler)
    }

    fn hours_as_ms(&self, name: &str) -> i64 {
        i64::from(self.int(name)) * 60 * 60 * 1000
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A combined node with these lines added to its file.
    pub(in crate::config) fn node(lines: &str) -> RawConfig {
        load(lines).unwrap_or_else(|error| panic!("{error}"))
    }

    fn load(lines: &str) -> Result<RawConfig, ConfigError> {
        let file = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@localhost:9093\n\
             listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
             controller.listener.names=CONTROLLER\nlog.dirs=/tmp/a\n{lines}"
        );
        RawConfig::load(file.as_bytes(), &[])
    }

    fn refused(lines: &str) -> String {
        load(lines).unwrap_err().message().to_string()
    }

    #[test]
    fn overrides_win_over_the_file() {
        let overrides = [("num.partitions".to_string(), "5".to_string())];
        let mut file = b"num.partitions=3\n".to_vec();
        for (name, value) in node("").originals() {
            file.extend(format!("{name}={value}\n").bytes());
        }
        let config = RawConfig::load(&file, &overrides).unwrap();
        assert_eq!(config.int("num.partitions"), 5);
    }

    #[test]
    fn a_file_without_roles_is_refused_with_advice() {
        let zookeeper = b"broker.id=1\nzookeeper.connect=localhost:2181\n";
        let message = RawConfig::load(zookeeper, &[]).unwrap_err().message().to_string();
        assert!(
            message.starts_with(
                "Missing required configuration \"process.roles\" which has no default value. "
            ),
            "{message}"
        );
        assert!(message.contains("set process.roles=broker,controller"), "{message}");
        assert!(refused("process.roles=").contains("a node needs a role"));
    }

    #[test]
    fn the_old_name_of_the_node_id_will_do() {
        let file = b"process.roles=broker\nbroker.id=7\ncontroller.listener.names=C\n\
            controller.quorum.bootstrap.servers=c:1";
        let config = RawConfig::load(file, &[]).unwrap();
        assert_eq!((config.node_id(), config.int("broker.id")), (7, 7));
        assert_eq!(config.originals()["node.id"], "7");
        assert!(!config.is_controller());
        assert_eq!(config.bootstrap_servers()[0].to_string(), "c:1");
        let two = refused("broker.id=2");
        assert_eq!(two, "You must set `node.id` to the same value as `broker.id`.");
    }

    #[test]
    fn unknown_and_misplaced_keys_are_warned_about() {
        let config = node(
            "confluent.balancer.enable=true\nlistener.name.plaintext.ssl.key.password=x\n\
             leader.replication.throttled.rate=5\nlistener.name.plaintext.foo=x",
        );
        assert_eq!(
            config.warnings(),
            [
                "unknown configuration confluent.balancer.enable: ignored",
                "leader.replication.throttled.rate can only be set while the node runs: ignored",
                "unknown configuration listener.name.plaintext.foo: ignored",
            ]
        );
        assert_eq!(config.originals()["confluent.balancer.enable"], "true");
        let idle = node("num.io.threads=8");
        let (key, reason) =
            idle.set_without_effect().find(|(key, _)| key.name == "num.io.threads").unwrap();
        assert_eq!(
            (key.kind, reason),
            (super::super::key::Kind::Int, "no thread pools: see ringlog.shards")
        );
    }

    #[test]
    fn finer_keys_win_over_coarser_ones() {
        let config = node("log.retention.minutes=2\nlog.retention.hours=9\nlog.roll.hours=1");
        assert_eq!(config.log_retention_ms(), 120_000);
        assert_eq!(config.log_roll_ms(), 3_600_000);
        assert_eq!(node("log.retention.ms=-7").log_retention_ms(), -1);
        assert_eq!(node("log.flush.scheduler.interval.ms=5").log_flush_interval_ms(), 5);
        assert_eq!(node("log.dirs=/a, /b").log_dirs(), ["/a", "/b"]);
        assert_eq!(node("log.dirs=/a,/b").metadata_log_dir(), "/a");
    }

    #[test]
    fn our_own_keys_are_read_from_the_same_file() {
        let config = node("ringlog.durability=replicated\nringlog.shards=4");
        assert_eq!(config.string("ringlog.durability"), Some("replicated"));
        assert_eq!(config.int("ringlog.shards"), 4);
        assert_eq!(config.long("ringlog.memory.limit.bytes"), 0);
        assert_eq!(
            refused("ringlog.io.driver=uring"),
            "Invalid value uring for configuration ringlog.io.driver: String must be one of: auto, \
             io_uring, epoll"
        );
        assert!(refused("ringlog.cpu.affinity=3-1").contains("CPU numbers and ranges"));
    }

    #[test]
    fn listener_values_fall_back_to_the_key_itself() {
        let config = node(
            "sasl.enabled.mechanisms=PLAIN\n\
             listener.name.external.sasl.enabled.mechanisms=SCRAM-SHA-256\n\
             listener.name.external.plain.sasl.jaas.config=secret",
        );
        let mechanisms = |listener: &str| {
            config.listener_value(listener, "sasl.enabled.mechanisms").unwrap().unwrap()
        };
        assert_eq!(mechanisms("EXTERNAL"), Value::List(vec!["SCRAM-SHA-256".to_string()]));
        assert_eq!(mechanisms("PLAINTEXT"), Value::List(vec!["PLAIN".to_string()]));
        let jaas = config.listener_value("EXTERNAL", "plain.sasl.jaas.config").unwrap();
        assert_eq!(jaas, Some(Value::Password(Password::new("secret"))));
        assert_eq!(config.listener_value("PLAINTEXT", "plain.sasl.jaas.config").unwrap(), None);
    }

    #[test]
    fn config_providers_are_refused() {
        assert!(refused("config.providers=file").contains("Ringlog has no config providers"));
    }

    #[test]
    #[should_panic(expected = "no.such.key is not a key of a broker")]
    fn asking_for_an_unknown_key_is_a_bug() {
        node("").int("no.such.key");
    }
}

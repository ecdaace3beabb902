//! Checks between the keys of a broker: those that Kafka makes when it loads its configuration, in
//! its order and with its sentences. Checks of single values are in valid.rs.

use std::collections::BTreeSet;
use std::fmt;

use super::check_groups;
use super::error::ConfigError;
use super::listener::{self, Listener, normalised};
use super::raw::{RawConfig, Role};
use super::topic::TopicConfig;
use super::value::Value;
use super::{quorum, text};

const ROLES: &str = "process.roles";
const VOTERS: &str = "controller.quorum.voters";
const SERVERS: &str = "controller.quorum.bootstrap.servers";
const LISTENERS: &str = "listeners";
const ADVERTISED: &str = "advertised.listeners";
const CONTROLLER_NAMES: &str = "controller.listener.names";
const PROTOCOL_MAP: &str = "listener.security.protocol.map";
const INTER_BROKER: &str = "inter.broker.listener.name";

type Check = Result<(), ConfigError>;

/// Scala's `require`.
pub(super) fn require(holds: bool, message: impl fmt::Display) -> Check {
    if holds { Ok(()) } else { Err(ConfigError::requirement(message)) }
}

/// Checks a configuration whose values passed their own checks.
pub(super) fn check(config: &RawConfig) -> Check {
    check_role_names(config)?;
    check_groups::check(config)?;
    check_early_listeners(config)?;
    check_groups::check_protocols(config)?;
    check_values(config)?;
    check_replication(config)?;
    check_roles(config)?;
    check_listeners(config)?;
    check_connections(config)?;
    // Kafka finds out when its LogManager starts.
    TopicConfig::broker_defaults(config).map(|_| ())
}

fn check_role_names(config: &RawConfig) -> Check {
    let roles = config.list(ROLES);
    if roles.is_empty() {
        return Err(ConfigError::value(
            ROLES,
            "",
            "a node needs a role: broker, controller or both",
        ));
    }
    if config.roles().len() != roles.len() {
        return Err(ConfigError::invalid(format!(
            "Duplicate role names found in `{ROLES}`: ArrayBuffer({})",
            roles.join(", ")
        )));
    }
    Ok(())
}

fn names(listeners: &[Listener]) -> BTreeSet<String> {
    listeners.iter().map(|listener| listener.name.clone()).collect()
}

fn check_early_listeners(config: &RawConfig) -> Check {
    let known = names(&listener::listeners(config)?);
    let Some(early) = config.string("early.start.listeners") else { return Ok(()) };
    for name in text::csv_list(early) {
        if !known.contains(&name) {
            return Err(ConfigError::invalid(format!(
                "early.start.listeners contains listener {name}, but this is not contained in \
                 {LISTENERS} or {CONTROLLER_NAMES}"
            )));
        }
    }
    Ok(())
}

fn check_values(config: &RawConfig) -> Check {
    if config.int("node.id") != config.int("broker.id") {
        return Err(ConfigError::invalid(
            "You must set `node.id` to the same value as `broker.id`.",
        ));
    }
    require(config.log_roll_ms() >= 1, "log.roll.ms must be greater than or equal to 1")?;
    require(
        config.log_roll_jitter_ms() >= 0,
        "log.roll.jitter.ms must be greater than or equal to 0",
    )?;
    require(
        config.log_retention_ms() != 0,
        "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
    )?;
    require(
        !config.log_dirs().is_empty(),
        "At least one log directory must be defined via log.dirs or log.dir.",
    )?;
    let threads = i64::from(config.int("log.cleaner.threads"));
    if threads == 0 {
        // Kafka divides by it.
        return Err(ConfigError::invalid("/ by zero"));
    }
    require(
        config.long("log.cleaner.dedupe.buffer.size") / threads > 1024 * 1024,
        "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
    )
}

fn check_replication(config: &RawConfig) -> Check {
    let wait_ms = config.int("replica.fetch.wait.max.ms");
    require(
        wait_ms <= config.int("replica.socket.timeout.ms"),
        "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent \
         unnecessary socket timeouts",
    )?;
    require(
        i64::from(wait_ms) <= config.long("replica.lag.time.max.ms"),
        "replica.fetch.wait.max.ms should always be less than or equal to \
         replica.lag.time.max.ms to prevent frequent changes in ISR",
    )
}

/// What each combination of roles needs.
fn check_roles(config: &RawConfig) -> Check {
    // Kafka looks at what brokers advertise before it looks at roles.
    listener::advertised_broker(config)?;
    let voters: Vec<i32> = quorum::parse_voters(config.list(VOTERS))?.keys().copied().collect();
    if voters.is_empty() && config.list(SERVERS).is_empty() {
        return Err(ConfigError::invalid(format!(
            "If using {ROLES}, either {SERVERS} must contain the set of bootstrap controllers or \
             {VOTERS} must contain a parseable set of controllers."
        )));
    }
    if !config.is_controller() {
        return check_broker_only(config, &voters);
    }
    if !config.is_broker() {
        check_controller_only(config)?;
    }
    check_controller(config, &voters)
}

fn scala_set<T: fmt::Display>(elements: &[T]) -> String {
    // Scala's sets of five and more elements have another class, whose name is printed.
    let class = if elements.len() > 4 { "HashSet" } else { "Set" };
    let texts: Vec<String> = elements.iter().map(ToString::to_string).collect();
    format!("{class}({})", texts.join(", "))
}

fn check_broker_only(config: &RawConfig, voters: &[i32]) -> Check {
    let node_id = config.node_id();
    require(
        !voters.contains(&node_id),
        format_args!(
            "If {ROLES} contains just the 'broker' role, the node id {node_id} must not be \
             included in the set of voters {VOTERS}={}",
            scala_set(voters)
        ),
    )?;
    let controllers = listener::controller_names(config);
    require(
        !controllers.is_empty(),
        format_args!(
            "{CONTROLLER_NAMES} must contain at least one value when running KRaft with just the \
             broker role"
        ),
    )?;
    require(
        listener::controller_listeners(config)?.is_empty(),
        format_args!(
            "{CONTROLLER_NAMES} must not contain a value appearing in the '{LISTENERS}' \
             configuration when running KRaft with just the broker role"
        ),
    )?;
    let protocols = listener::protocol_map(config)?;
    for name in controllers {
        let name = normalised(&name)?;
        if !protocols.contains_key(&name) {
            return Err(ConfigError::invalid(format!(
                "Controller listener with name {name} defined in {CONTROLLER_NAMES} not found in \
                 {PROTOCOL_MAP}  (an explicit security mapping for each controller listener is \
                 required if {PROTOCOL_MAP} is non-empty, or if there are security protocols \
                 other than PLAINTEXT in use)"
            )));
        }
    }
    Ok(())
}

fn check_controller_only(config: &RawConfig) -> Check {
    let advertised = listener::advertised_controller(config)?;
    require(
        advertised.len() == listener::listeners(config)?.len(),
        format_args!(
            "The {LISTENERS} config must only contain KRaft controller listeners from \
             {CONTROLLER_NAMES} when {ROLES}=controller"
        ),
    )?;
    if config.string(INTER_BROKER).is_some() {
        let (inter_broker, _) = listener::inter_broker(config)?;
        require(
            !listener::controller_names(config).contains(&inter_broker),
            format_args!(
                "{CONTROLLER_NAMES} must not contain an explicitly set {INTER_BROKER} \
                 configuration value when {ROLES}=controller'"
            ),
        )?;
    }
    Ok(())
}

fn check_controller(config: &RawConfig, voters: &[i32]) -> Check {
    let node_id = config.node_id();
    require(
        voters.is_empty() || voters.contains(&node_id),
        format_args!(
            "If {ROLES} contains the 'controller' role, the node id {node_id} must be included \
             in the set of voters {VOTERS}={}",
            scala_set(voters)
        ),
    )?;
    require(
        !listener::advertised_controller(config)?.is_empty(),
        format_args!(
            "{CONTROLLER_NAMES} must contain at least one value appearing in the '{LISTENERS}' \
             configuration when running the KRaft controller role"
        ),
    )?;
    let known = names(&listener::listeners(config)?);
    require(
        listener::controller_names(config).iter().all(|name| known.contains(name)),
        format_args!(
            "{CONTROLLER_NAMES} must only contain values appearing in the '{LISTENERS}' \
             configuration when running the KRaft controller role"
        ),
    )
}

fn check_listeners(config: &RawConfig) -> Check {
    let advertised = listener::advertised_broker(config)?;
    if config.is_broker() {
        check_advertised(config, &advertised)?;
    }
    let meta = |listeners: &[Listener]| {
        let routable = !listeners.iter().any(|l| l.host.as_deref() == Some("0.0.0.0"));
        require(
            routable,
            format_args!(
                "{ADVERTISED} cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP \
                 address."
            ),
        )
    };
    meta(&advertised)?;
    meta(&listener::advertised_controller(config)?)?;
    let (name, protocol) = listener::inter_broker(config)?;
    let mechanism = config.string("sasl.mechanism.inter.broker.protocol").unwrap_or_default();
    let enabled = match config.listener_value(&name, "sasl.enabled.mechanisms")? {
        Some(Value::List(enabled)) => enabled,
        _ => Vec::new(),
    };
    require(
        !protocol.is_sasl() || enabled.iter().any(|enabled| enabled == mechanism),
        "sasl.mechanism.inter.broker.protocol must be included in sasl.enabled.mechanisms when \
         SASL is used for inter-broker communication",
    )
}

fn check_advertised(config: &RawConfig, advertised: &[Listener]) -> Check {
    let joined = |listeners: &[Listener]| {
        listeners.iter().map(|l| l.name.as_str()).collect::<Vec<_>>().join(",")
    };
    require(
        !advertised.is_empty(),
        format_args!(
            "There must be at least one broker advertised listener. Perhaps all listeners appear \
             in {CONTROLLER_NAMES}?"
        ),
    )?;
    let (inter_broker, _) = listener::inter_broker(config)?;
    require(
        advertised.iter().any(|listener| listener.name == inter_broker),
        format_args!(
            "{INTER_BROKER} must be a listener name defined in {ADVERTISED}. The valid options \
             based on currently configured listeners are {}",
            joined(advertised)
        ),
    )?;
    let listeners = listener::listeners(config)?;
    require(
        names(advertised).is_subset(&names(&listeners)),
        format_args!(
            "{ADVERTISED} listener names must be equal to or a subset of the ones defined in \
             {LISTENERS}. Found {}. The valid options based on the current configuration are {}",
            joined(advertised),
            joined(&listeners)
        ),
    )
}

fn check_connections(config: &RawConfig) -> Check {
    let queued = config.long("queued.max.request.bytes");
    require(
        queued <= 0 || queued >= i64::from(config.int("socket.request.max.bytes")),
        "queued.max.request.bytes must be larger or equal to socket.request.max.bytes",
    )?;
    let overrides = config.max_connections_per_ip_overrides()?;
    if config.int("max.connections.per.ip") == 0 {
        require(
            !overrides.is_empty(),
            "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides \
             property is set.",
        )?;
    }
    let invalid: Vec<&str> = overrides
        .iter()
        .map(|(host, _)| host.as_str())
        .filter(|host| !super::host_port::is_host(host))
        .collect();
    if !invalid.is_empty() {
        return Err(ConfigError::invalid(format!(
            "max.connections.per.ip.overrides contains invalid addresses : {}",
            invalid.join(",")
        )));
    }
    let idle_ms = config.long("connections.max.idle.ms");
    let delay_ms = config.int("connection.failed.authentication.delay.ms");
    require(
        idle_ms < 0 || i64::from(delay_ms) < idle_ms,
        format_args!(
            "connection.failed.authentication.delay.ms={delay_ms} should always be less than \
             connections.max.idle.ms={idle_ms} to prevent failed authentication responses from \
             timing out"
        ),
    )
}

impl RawConfig {
    /// Limits of connections for single hosts.
    pub fn max_connections_per_ip_overrides(&self) -> Result<Vec<(String, i32)>, ConfigError> {
        let pairs = listener::parse_map(self, "max.connections.per.ip.overrides")?;
        let parse = |(host, count): (String, String)| match count.parse() {
            Ok(count) => Ok((host, count)),
            Err(_) => Err(ConfigError::invalid(format!("For input string: \"{count}\""))),
        };
        pairs.into_iter().map(parse).collect()
    }
}

/// What Kafka warns about because it stands in the file of the wrong role.
pub(super) fn role_warnings(config: &RawConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    let roles = config.roles();
    if !roles.contains(&Role::Controller) {
        let controllers = listener::controller_names(config);
        if controllers.len() > 1 {
            warnings.push(format!(
                "{CONTROLLER_NAMES} has multiple entries; only the first will be used since \
                 {ROLES}=broker: {}",
                text::list_text(&controllers)
            ));
        }
        for key in ["create.topic.policy.class.name", "alter.config.policy.class.name"] {
            if config.is_set(key) {
                warnings.push(format!(
                    "{key} is defined in the broker role. It should be defined in the controller \
                     role."
                ));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::properties::parse_properties;

    fn refused(file: &str) -> String {
        let properties = parse_properties(file.as_bytes()).unwrap();
        RawConfig::new(properties).unwrap_err().message().to_string()
    }

    const BROKER: &str = "process.roles=broker\nnode.id=1\ncontroller.listener.names=C\n\
                          controller.quorum.bootstrap.servers=c:1\n";
    const CONTROLLER: &str = "process.roles=controller\nnode.id=1\nlisteners=C://:1\n\
                              controller.listener.names=C\ncontroller.quorum.voters=1@a:1\n";

    #[test]
    fn the_quorum_must_be_findable() {
        assert_eq!(
            refused("process.roles=broker\nnode.id=1"),
            "If using process.roles, either controller.quorum.bootstrap.servers must contain the \
             set of bootstrap controllers or controller.quorum.voters must contain a parseable set \
             of controllers."
        );
    }

    #[test]
    fn each_role_needs_its_own_listeners() {
        assert!(refused(&format!("{BROKER}listeners=C://:1")).contains(
            "controller.listener.names must not contain a value appearing in the 'listeners'"
        ));
        assert!(refused(&format!("{BROKER}controller.listener.names=")).contains(
            "controller.listener.names must contain at least one value when running KRaft with just"
        ));
        assert!(
            refused(&format!("{CONTROLLER}listeners=C://:1,PLAINTEXT://:2"))
                .contains("The listeners config must only contain KRaft controller listeners")
        );
        assert_eq!(
            refused(&format!("{CONTROLLER}process.roles=broker,controller")),
            "requirement failed: There must be at least one broker advertised listener. Perhaps \
             all listeners appear in controller.listener.names?"
        );
    }

    #[test]
    fn voters_name_controllers_only() {
        assert_eq!(
            refused(&format!("{CONTROLLER}controller.quorum.voters=2@a:1,3@b:1")),
            "requirement failed: If process.roles contains the 'controller' role, the node id 1 \
             must be included in the set of voters controller.quorum.voters=Set(2, 3)"
        );
        assert!(
            refused(&format!("{BROKER}controller.quorum.voters=1@a:1"))
                .contains("the node id 1 must not be included in the set of voters")
        );
    }

    #[test]
    fn warnings_name_what_stands_in_the_wrong_place() {
        let file =
            format!("{BROKER}controller.listener.names=C,D\ncreate.topic.policy.class.name=x");
        let config = RawConfig::new(parse_properties(file.as_bytes()).unwrap()).unwrap();
        let warnings = config.warnings();
        assert!(warnings[0].ends_with("since process.roles=broker: [C, D]"), "{warnings:?}");
        assert!(warnings[1].contains("It should be defined in the controller role."));
    }
}

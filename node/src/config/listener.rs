//! Listeners: where a node listens, what it tells others to connect to, and under which security
//! protocol. Rules and sentences are those of Kafka 4.1 in KRaft mode.
//!
//! Names are compared exactly: `listeners` and `advertised.listeners` are put into capital letters
//! first, `controller.listener.names` is not, so it must be written in capitals. Kafka does the
//! same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use super::error::ConfigError;
use super::raw::RawConfig;
use super::{host_port, text};

/// How bytes travel on a listener and how its clients prove who they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without TLS.
    SaslPlaintext,
    /// SASL within TLS.
    SaslSsl,
}

impl SecurityProtocol {
    const ALL: [Self; 4] = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];

    /// Kafka's name of the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// The protocol's number in Kafka's metadata records.
    pub const fn id(self) -> i16 {
        match self {
            Self::Plaintext => 0,
            Self::Ssl => 1,
            Self::SaslPlaintext => 2,
            Self::SaslSsl => 3,
        }
    }

    /// Whether clients authenticate with SASL.
    pub const fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    fn by_name(name: &str, config: &str) -> Result<Self, ConfigError> {
        let upper = name.to_uppercase();
        Self::ALL.into_iter().find(|protocol| protocol.name() == upper).ok_or_else(|| {
            ConfigError::invalid(format!("Invalid security protocol `{name}` defined in {config}"))
        })
    }
}

/// An endpoint under a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    /// The name, in capital letters.
    pub name: String,
    /// The host; `None` means all interfaces, or when advertised, this machine's own name.
    pub host: Option<String>,
    /// The port; 0 means any that is free.
    pub port: u16,
    /// The security protocol.
    pub protocol: SecurityProtocol,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or_default();
        if host.contains(':') {
            write!(f, "{}://[{host}]:{}", self.name, self.port)
        } else {
            write!(f, "{}://{host}:{}", self.name, self.port)
        }
    }
}

/// Whether two listeners may share a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ports {
    Distinct,
    Shared,
}

/// `ListenerName.normalised`.
pub(super) fn normalised(name: &str) -> Result<String, ConfigError> {
    if text::trim(name).is_empty() {
        return Err(ConfigError::invalid("The provided listener name is null or empty string"));
    }
    Ok(name.to_uppercase())
}

type ProtocolMap = BTreeMap<String, SecurityProtocol>;

/// Security protocol by listener name. If the map is not set, each controller listener is
/// PLAINTEXT unless anything in sight uses TLS or SASL.
pub(super) fn protocol_map(config: &RawConfig) -> Result<ProtocolMap, ConfigError> {
    const MAP: &str = "listener.security.protocol.map";
    let pairs = parse_map(config, MAP)?;
    let mut map = ProtocolMap::new();
    for (name, protocol) in pairs {
        let name = normalised(&name)?;
        let protocol = SecurityProtocol::by_name(&protocol, MAP)?;
        if let Some(previous) = map.insert(name.clone(), protocol) {
            return Err(ConfigError::invalid(format!(
                "Duplicate key ListenerName({name}) (attempted merging values {} and {})",
                previous.name(),
                protocol.name()
            )));
        }
    }
    let controllers = controller_names(config);
    if config.is_set(MAP) || uses_ssl_or_sasl(config, &controllers)? {
        return Ok(map);
    }
    for name in controllers.into_iter().filter(|name| name != "PLAINTEXT") {
        map.insert(name, SecurityProtocol::Plaintext);
    }
    Ok(map)
}

/// `AbstractKafkaConfig.getMap`: a key whose value is pairs.
pub(super) fn parse_map(
    config: &RawConfig,
    key: &str,
) -> Result<Vec<(String, String)>, ConfigError> {
    text::csv_map(config.string(key).unwrap_or_default()).map_err(|error| {
        ConfigError::invalid(format!("Error parsing configuration property '{key}': {error}"))
    })
}

fn uses_ssl_or_sasl(config: &RawConfig, controllers: &[String]) -> Result<bool, ConfigError> {
    let secure = |name: &str| matches!(name, "SSL" | "SASL_SSL" | "SASL_PLAINTEXT");
    if controllers.iter().any(|name| secure(name)) {
        return Ok(true);
    }
    for listener in text::csv_list(config.string("listeners").unwrap_or_default()) {
        let (name, _) = listener.split_once(':').ok_or_else(|| {
            ConfigError::invalid(format!("Unable to parse a listener name from {listener}"))
        })?;
        if secure(&name.to_uppercase()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Names of the controller listeners, as they were written.
pub(super) fn controller_names(config: &RawConfig) -> Vec<String> {
    text::csv_list(config.string("controller.listener.names").unwrap_or_default())
}

fn parse_listener(entry: &str, map: &ProtocolMap) -> Result<Listener, ConfigError> {
    let bad = || ConfigError::invalid(format!("Unable to parse {entry} to a broker endpoint"));
    let (name, address) = entry.rsplit_once("://").ok_or_else(bad)?;
    let (host, digits) = host_port::split(address).ok_or_else(bad)?;
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let name = normalised(name)?;
    let number: i32 = digits
        .parse()
        .map_err(|_| ConfigError::invalid(format!("For input string: \"{digits}\"")))?;
    let protocol = *map.get(&name).ok_or_else(|| {
        ConfigError::invalid(format!("No security protocol defined for listener {name}"))
    })?;
    // Kafka finds out only when it binds the port.
    let port = u16::try_from(number)
        .map_err(|_| ConfigError::invalid(format!("port out of range:{number}")))?;
    let host = (!host.is_empty()).then(|| host.to_string());
    Ok(Listener { name, host, port, protocol })
}

fn parse_listeners(
    list: &str,
    map: &ProtocolMap,
    ports: Ports,
) -> Result<Vec<Listener>, ConfigError> {
    let listeners = text::csv_list(list)
        .iter()
        .map(|entry| parse_listener(entry, map))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| {
            ConfigError::invalid(format!("Error creating broker listeners from '{list}': {error}"))
        })?;
    let names: BTreeSet<&str> = listeners.iter().map(|listener| listener.name.as_str()).collect();
    if names.len() != listeners.len() {
        return Err(ConfigError::requirement(format_args!(
            "Each listener must have a different name, listeners: {list}"
        )));
    }
    if ports == Ports::Distinct {
        check_ports(&listeners, list)?;
    }
    Ok(listeners)
}

/// One port may be used twice only by one IPv4 and one IPv6 address.
fn check_ports(listeners: &[Listener], list: &str) -> Result<(), ConfigError> {
    let mut by_port: BTreeMap<u16, Vec<Option<IpAddr>>> = BTreeMap::new();
    for listener in listeners.iter().filter(|listener| listener.port != 0) {
        let address = listener.host.as_deref().and_then(|host| host.parse().ok());
        by_port.entry(listener.port).or_default().push(address);
    }
    for (port, addresses) in by_port.into_iter().filter(|(_, addresses)| addresses.len() > 1) {
        let numeric: Vec<IpAddr> = addresses.iter().flatten().copied().collect();
        if addresses.len() - numeric.len() > 1 {
            return Err(ConfigError::requirement(format_args!(
                "Each listener must have a different port, listeners: {list}"
            )));
        }
        let two_needed = format!(
            "If you have two listeners on the same port then one needs to be IPv4 and the other \
             IPv6, listeners: {list}, port: {port}"
        );
        match numeric[..] {
            [] => {}
            [first, second] if first.is_ipv4() == second.is_ipv4() => {
                return Err(ConfigError::requirement(two_needed));
            }
            [_, _] if addresses.len() > 2 => return Err(ConfigError::invalid(two_needed)),
            [_, _] => {}
            _ => {
                return Err(ConfigError::invalid(format!(
                    "Each listener must have a different port unless exactly one listener has an \
                     IPv4 address and the other IPv6 address, listeners: {list}, port: {port}"
                )));
            }
        }
    }
    Ok(())
}

/// All listeners.
pub(super) fn listeners(config: &RawConfig) -> Result<Vec<Listener>, ConfigError> {
    let list = config.string("listeners").unwrap_or_default();
    parse_listeners(list, &protocol_map(config)?, Ports::Distinct)
}

/// The listeners that controllers speak on.
pub(super) fn controller_listeners(config: &RawConfig) -> Result<Vec<Listener>, ConfigError> {
    let names = controller_names(config);
    Ok(listeners(config)?.into_iter().filter(|l| names.contains(&l.name)).collect())
}

fn advertised(config: &RawConfig) -> Result<Option<Vec<Listener>>, ConfigError> {
    let Some(list) = config.string("advertised.listeners") else { return Ok(None) };
    parse_listeners(list, &protocol_map(config)?, Ports::Shared).map(Some)
}

/// What clients and other brokers are told to connect to.
pub(super) fn advertised_broker(config: &RawConfig) -> Result<Vec<Listener>, ConfigError> {
    let names = controller_names(config);
    let all = match advertised(config)? {
        Some(advertised) => advertised,
        None => listeners(config)?,
    };
    Ok(all.into_iter().filter(|listener| !names.contains(&listener.name)).collect())
}

/// What other nodes are told to connect to for the controller here, in the order of
/// controller.listener.names. A listener that is not advertised counts itself.
pub(super) fn advertised_controller(config: &RawConfig) -> Result<Vec<Listener>, ConfigError> {
    let own = controller_listeners(config)?;
    let names = controller_names(config);
    let advertised = advertised(config)?.unwrap_or_default();
    let advertised: Vec<Listener> =
        advertised.into_iter().filter(|l| names.contains(&l.name)).collect();
    let mut found = Vec::new();
    for name in names {
        let name = normalised(&name)?;
        if let Some(listener) = advertised.iter().find(|listener| listener.name == name) {
            found.push(listener.clone());
        } else if let Some(listener) = own.iter().find(|listener| listener.name == name) {
            let host = listener.host.clone().filter(|host| host != "0.0.0.0");
            found.push(Listener { host, ..listener.clone() });
        }
    }
    Ok(found)
}

/// Name and protocol of the listener that brokers use among themselves.
pub(super) fn inter_broker(config: &RawConfig) -> Result<(String, SecurityProtocol), ConfigError> {
    const NAME: &str = "inter.broker.listener.name";
    const PROTOCOL: &str = "security.inter.broker.protocol";
    let Some(name) = config.string(NAME) else {
        let protocol = config.string(PROTOCOL).unwrap_or_default();
        let protocol = SecurityProtocol::by_name(protocol, PROTOCOL)?;
        return Ok((protocol.name().to_string(), protocol));
    };
    if config.is_set(PROTOCOL) {
        return Err(ConfigError::invalid(format!(
            "Only one of {NAME} and {PROTOCOL} should be set."
        )));
    }
    let name = normalised(name)?;
    match protocol_map(config)?.get(&name) {
        Some(protocol) => Ok((name, *protocol)),
        None => Err(ConfigError::invalid(format!(
            "Listener with name {name} defined in {NAME} not found in \
             listener.security.protocol.map."
        ))),
    }
}

/// The listeners of a configuration that passed its checks.
impl RawConfig {
    /// All listeners of this node.
    pub fn listeners(&self) -> Vec<Listener> {
        listeners(self).expect("checked when it was loaded")
    }

    /// The listeners that serve clients and other brokers.
    pub fn broker_listeners(&self) -> Vec<Listener> {
        let names = controller_names(self);
        self.listeners().into_iter().filter(|listener| !names.contains(&listener.name)).collect()
    }

    /// The listeners that serve the metadata quorum.
    pub fn controller_listeners(&self) -> Vec<Listener> {
        controller_listeners(self).expect("checked when it was loaded")
    }

    /// Names of the controllers' listeners; a broker speaks to the first.
    pub fn controller_listener_names(&self) -> Vec<String> {
        controller_names(self)
    }

    /// The protocol a broker speaks to the controllers with.
    pub fn controller_protocol(&self) -> Option<SecurityProtocol> {
        let map = protocol_map(self).expect("checked when it was loaded");
        let name = normalised(controller_names(self).first()?).ok()?;
        map.get(&name).copied()
    }

    /// What clients and other brokers are told to connect to.
    pub fn advertised_broker_listeners(&self) -> Vec<Listener> {
        advertised_broker(self).expect("checked when it was loaded")
    }

    /// What other nodes are told to connect to for the controller here.
    pub fn advertised_controller_listeners(&self) -> Vec<Listener> {
        advertised_controller(self).expect("checked when it was loaded")
    }

    /// Name and protocol of the listener that brokers use among themselves.
    pub fn inter_broker_listener(&self) -> (String, SecurityProtocol) {
        inter_broker(self).expect("checked when it was loaded")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::tests::node;

    fn shown(listeners: Vec<Listener>) -> Vec<String> {
        listeners.iter().map(|l| format!("{l} {}", l.protocol.name())).collect()
    }

    #[test]
    fn listeners_may_be_separated_by_spaces() {
        let config = node(
            "listeners=DOCKER://kafka-1:9092, EXTERNAL://kafka-1:19092,CONTROLLER://[::1]:9093\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,DOCKER:PLAINTEXT,EXTERNAL:SSL\n\
             inter.broker.listener.name=DOCKER",
        );
        assert_eq!(
            shown(config.broker_listeners()),
            ["DOCKER://kafka-1:9092 PLAINTEXT", "EXTERNAL://kafka-1:19092 SSL"]
        );
        assert_eq!(shown(config.controller_listeners()), ["CONTROLLER://[::1]:9093 PLAINTEXT"]);
        assert_eq!(
            config.inter_broker_listener(),
            ("DOCKER".to_string(), SecurityProtocol::Plaintext)
        );
        assert_eq!(config.controller_protocol(), Some(SecurityProtocol::Plaintext));
    }

    #[test]
    fn an_empty_host_means_all_interfaces() {
        let config = node("listeners=PLAINTEXT://:9092,CONTROLLER://:9093");
        assert!(config.listeners().iter().all(|listener| listener.host.is_none()));
        assert_eq!(shown(config.advertised_broker_listeners()), ["PLAINTEXT://:9092 PLAINTEXT"]);
    }

    #[test]
    fn what_is_advertised_need_not_be_listened_on() {
        let config = node("advertised.listeners=PLAINTEXT://public:443");
        assert_eq!(
            shown(config.advertised_broker_listeners()),
            ["PLAINTEXT://public:443 PLAINTEXT"]
        );
        assert_eq!(
            shown(config.advertised_controller_listeners()),
            ["CONTROLLER://localhost:9093 PLAINTEXT"]
        );
    }

    #[test]
    fn controller_listeners_are_plaintext_unless_anything_is_secure() {
        let file = |listeners: &str| {
            RawConfig::parse(
                [
                    ("process.roles", "broker"),
                    ("node.id", "1"),
                    ("controller.listener.names", "CTRL"),
                    ("listeners", listeners),
                ]
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .into(),
            )
            .unwrap()
        };
        let map = protocol_map(&file("PLAINTEXT://:1")).unwrap();
        assert_eq!(map["CTRL"], SecurityProtocol::Plaintext);
        assert!(!protocol_map(&file("SSL://:1")).unwrap().contains_key("CTRL"));
    }

    #[test]
    fn two_listeners_share_a_port_only_across_ip_versions() {
        let map = ProtocolMap::from([
            ("A".to_string(), SecurityProtocol::Plaintext),
            ("B".to_string(), SecurityProtocol::Plaintext),
        ]);
        let parse = |list: &str| parse_listeners(list, &map, Ports::Distinct);
        assert!(parse("A://1.2.3.4:1,B://[::1]:1").is_ok());
        assert!(parse("A://:0,B://:0").is_ok());
        assert!(parse("A://:1,B://:1").unwrap_err().message().contains("a different port"));
        assert!(
            parse("A://1.2.3.4:1,B://1.2.3.5:1").unwrap_err().message().contains("needs to be")
        );
        assert!(parse("A://:1,A://:2").unwrap_err().message().contains("a different name"));
        assert!(parse("A://h:70000").unwrap_err().message().ends_with("port out of range:70000"));
    }
}

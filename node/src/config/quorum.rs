//! The two ways a node is told where the controllers are: a fixed set of voters, or servers to ask.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::host_port::{BadHostPort, HostPort};

const VOTERS: &str = "controller.quorum.voters";
const BOOTSTRAP_SERVERS: &str = "controller.quorum.bootstrap.servers";

/// Parses the elements of controller.quorum.voters, `id@host:port`. The last one of an id counts.
pub(super) fn parse_voters(elements: &[String]) -> Result<BTreeMap<i32, HostPort>, ConfigError> {
    elements.iter().map(|element| parse_voter(element)).collect()
}

fn parse_voter(element: &str) -> Result<(i32, HostPort), ConfigError> {
    let form = "Each entry should be in the form `{id}@{host}:{port}`.";
    // Java's split drops empty strings at the end.
    let split = element.trim_end_matches('@').split_once('@');
    let Some((id, address)) = split.filter(|(_, address)| !address.contains('@')) else {
        return Err(ConfigError::invalid(format!(
            "Invalid configuration value for {VOTERS}. {form}"
        )));
    };
    let id: i32 = id.parse().map_err(|_| {
        ConfigError::invalid(format!("Failed to parse voter ID as an integer from {id}"))
    })?;
    match HostPort::parse(address) {
        Ok(address) => Ok((id, address)),
        Err(BadHostPort::Form) => Err(ConfigError::invalid(format!(
            "Failed to parse host name from entry {element} for the configuration {VOTERS}. {form}"
        ))),
        Err(bad) => Err(bad_port(bad)),
    }
}

/// Parses the elements of controller.quorum.bootstrap.servers, `host:port`.
pub(super) fn parse_bootstrap_servers(elements: &[String]) -> Result<Vec<HostPort>, ConfigError> {
    let parse = |element: &String| match HostPort::parse(element) {
        Ok(address) => Ok(address),
        Err(BadHostPort::Form) => Err(ConfigError::invalid(format!(
            "Failed to parse host name from {element} for the configuration {BOOTSTRAP_SERVERS}. \
             Each entry should be in the form \"{{host}}:{{port}}\""
        ))),
        Err(bad) => Err(bad_port(bad)),
    };
    elements.iter().map(parse).collect()
}

fn bad_port(bad: BadHostPort) -> ConfigError {
    ConfigError::invalid(match bad {
        BadHostPort::PortRange(port) => format!("port out of range:{port}"),
        BadHostPort::PortDigits(digits) => format!("For input string: \"{digits}\""),
        BadHostPort::Form => unreachable!("the caller words this one"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::text::split_list;

    #[test]
    fn voters_are_read_by_id() {
        let voters = parse_voters(&split_list("2@b:9094, 1@[::1]:9093,2@c:9095")).unwrap();
        assert_eq!(voters.len(), 2);
        assert_eq!(voters[&1].host, "::1");
        assert_eq!(voters[&2], HostPort { host: "c".to_string(), port: 9095 });
    }

    #[test]
    fn bad_voters_are_refused_in_kafkas_words() {
        let refused = |text| parse_voters(&split_list(text)).unwrap_err().message().to_string();
        let form = "Invalid configuration value for controller.quorum.voters. Each entry should \
                    be in the form `{id}@{host}:{port}`.";
        assert_eq!(refused("localhost:9093"), form);
        assert_eq!(refused("1@"), form);
        assert_eq!(refused("1@a@b:1"), form);
        assert_eq!(refused("x@a:1"), "Failed to parse voter ID as an integer from x");
        assert_eq!(refused("1@a:70000"), "port out of range:70000");
        assert!(refused("1@a").starts_with("Failed to parse host name from entry 1@a for"));
    }
}

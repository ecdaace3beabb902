//! `host:port` as Kafka reads it, in voters, bootstrap servers and listeners.

use std::fmt;

/// A host name or address and a port.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct HostPort {
    /// The host, an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What is wrong with a text that should have been `host:port`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum BadHostPort {
    /// Not of the form at all.
    Form,
    /// Digits that are not a number of 32 bits.
    PortDigits(String),
    /// A number that no port has.
    PortRange(i32),
}

pub(super) fn is_host(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-%._:".contains(&b))
}

/// Splits `[host]:port` or `host:port`; the brackets need not match, in Kafka neither.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    is_host(host).then_some((host, port))
}

impl HostPort {
    /// Parses `host:port`, with an optional `scheme://` before it that is dropped.
    pub(super) fn parse(text: &str) -> Result<Self, BadHostPort> {
        let address = match text.split_once("://") {
            Some((scheme, address)) if is_host(scheme) && !scheme.contains(':') => address,
            Some(_) => return Err(BadHostPort::Form),
            None => text,
        };
        let (host, digits) = split(address).ok_or(BadHostPort::Form)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadHostPort::Form);
        }
        let number: i32 =
            digits.parse().map_err(|_| BadHostPort::PortDigits(digits.to_string()))?;
        let port = u16::try_from(number).map_err(|_| BadHostPort::PortRange(number))?;
        Ok(Self { host: host.to_string(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (text, shown) in [
            ("localhost:9092", "localhost:9092"),
            ("[::1]:9092", "[::1]:9092"),
            ("::1:9092", "[::1]:9092"),
            ("PLAINTEXT://broker-1:9092", "broker-1:9092"),
            (":9092", ":9092"),
        ] {
            assert_eq!(HostPort::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for form in ["", "localhost", "localhost:", "local host:1", "a:-1", "a/b:1", "://:1/"] {
            assert_eq!(HostPort::parse(form).unwrap_err(), BadHostPort::Form, "{form}");
        }
        assert_eq!(HostPort::parse("a:70000").unwrap_err(), BadHostPort::PortRange(70000));
        let huge = HostPort::parse("a:99999999999").unwrap_err();
        assert_eq!(huge, BadHostPort::PortDigits("99999999999".to_string()));
    }
}

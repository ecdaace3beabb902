//! [`Endpoint`]: a broker's host and port, and the addresses behind them.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// A name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for Endpoint {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Endpoint> {
        let Some((host, port)) = text.rsplit_once(':') else {
            bail!("{text:?} is not HOST:PORT");
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        ensure!(!host.is_empty(), "{text:?} has no host");
        let port = port.parse().with_context(|| format!("{text:?}: {port:?} is not a port"))?;
        Ok(Endpoint { host: host.to_owned(), port })
    }
}

impl Endpoint {
    /// The addresses to try, IPv4 first: a broker on localhost is most often bound there. Names
    /// are looked up by the system, which blocks.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>> {
        if let Ok(ip) = self.host.parse() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let found = found.with_context(|| format!("{self}: the host is not known"))?;
        let mut addresses: Vec<SocketAddr> = found.collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        addresses.dedup();
        ensure!(!addresses.is_empty(), "{self}: the host has no address");
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for text in ["localhost:9092", "10.0.0.1:1", "[::1]:65535"] {
            assert_eq!(text.parse::<Endpoint>().expect(text).to_string(), text);
        }
        for text in ["localhost", ":9092", "host:", "host:70000", "host:x"] {
            let error = text.parse::<Endpoint>().expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
        }
        let addresses = "[::1]:5".parse::<Endpoint>().expect("valid").addresses();
        assert_eq!(addresses.expect("an address"), ["[::1]:5".parse().expect("valid")]);
    }
}

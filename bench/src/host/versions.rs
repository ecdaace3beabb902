//! [`Versions`]: what this program was built from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Host;

/// Versions of what took part.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Versions {
    /// This program, and the embedded node.
    pub ringlog: String,
    /// The commit it was built from, with `-dirty` behind it if there were changes.
    pub commit: Option<String>,
    /// The compiler.
    pub rustc: String,
    /// Debug or release.
    pub build: String,
    /// Packages of others that it is made of.
    #[serde(default)]
    pub packages: BTreeMap<String, String>,
}

impl Versions {
    /// Of this build.
    pub fn of_this_build() -> Versions {
        let packages = env!("RINGLOG_PACKAGES").split(',').filter_map(|one| one.split_once('='));
        Versions {
            packages: packages.map(|(name, v)| (name.to_owned(), v.to_owned())).collect(),
            ringlog: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("RINGLOG_COMMIT").map(str::to_owned),
            rustc: env!("RINGLOG_RUSTC").to_owned(),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        }
    }
}

/// A load host of a run, as env.json knows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AgentEnv {
    /// As the profile names it.
    pub address: String,
    /// Its build.
    pub versions: Versions,
    /// Its machine.
    pub host: Host,
}

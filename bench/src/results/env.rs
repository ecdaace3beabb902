//! [`Env`]: env.json, where and how a run was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Host;
use crate::agent::AgentEnv;

/// Where and how a run was made.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Env {
    /// When, in UTC.
    pub started: String,
    /// The profile's name.
    pub profile: String,
    /// What was measured.
    pub target: String,
    /// Its software, where it is not this program's.
    #[serde(default)]
    pub target_software: Option<String>,
    /// What its acknowledgements mean.
    pub durability: String,
    /// Not measured, before each experiment.
    pub warmup_seconds: f64,
    /// Measured of each.
    pub seconds: f64,
    /// How many times.
    #[serde(default = "one")]
    pub rounds: u32,
    /// Of what took part.
    pub versions: Versions,
    /// On which machine.
    pub host: Host,
    /// The hosts that the load came from, where that was not this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentEnv>,
}

/// There were no rounds at first.
fn one() -> u32 {
    1
}

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

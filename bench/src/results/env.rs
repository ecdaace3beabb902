//! [`Env`]: env.json, where and how a run was made.

use serde::Serialize;

use super::Host;

/// Where and how a run was made.
#[derive(Clone, Debug, Serialize)]
pub struct Env {
    /// When, in UTC.
    pub started: String,
    /// The profile's name.
    pub profile: String,
    /// What was measured.
    pub target: String,
    /// What its acknowledgements mean.
    pub durability: String,
    /// Not measured, before each experiment.
    pub warmup_seconds: f64,
    /// Measured of each.
    pub seconds: f64,
    /// How many times.
    pub rounds: u32,
    /// Of what took part.
    pub versions: Versions,
    /// On which machine.
    pub host: Host,
}

/// Versions of what took part.
#[derive(Clone, Debug, Serialize)]
pub struct Versions {
    /// This program, and the embedded node.
    pub ringlog: &'static str,
    /// The commit it was built from, with `-dirty` behind it if there were changes.
    pub commit: Option<&'static str>,
    /// The compiler.
    pub rustc: &'static str,
    /// Debug or release.
    pub build: &'static str,
}

impl Versions {
    /// Of this build.
    pub fn of_this_build() -> Versions {
        Versions {
            ringlog: env!("CARGO_PKG_VERSION"),
            commit: option_env!("RINGLOG_COMMIT"),
            rustc: env!("RINGLOG_RUSTC"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
        }
    }
}

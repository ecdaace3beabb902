//! [`Env`]: env.json, where and how a run was made.

use serde::{Deserialize, Serialize};

use crate::client::Durability;
use crate::host::{AgentEnv, Host, PageCache, Versions};

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
    /// What its acknowledgements mean, unless an experiment asks for something else.
    pub durability: Durability,
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
    /// Nodes of the target.
    #[serde(default = "one")]
    pub nodes: u32,
    /// What the device below the data takes for a write that is durable, without any broker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_floors: Vec<DeviceFloor>,
    /// When the run was taken up again, if it was interrupted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<String>,
    /// How full memory was, and what a page of the page cache costs.
    #[serde(default)]
    pub page_cache: Option<PageCache>,
    /// The hosts that the load came from, where that was not this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentEnv>,
}

/// There were no rounds at first.
fn one() -> u32 {
    1
}

/// Writes of one kind, one after the other, to the file system that holds the data.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct DeviceFloor {
    /// How it is written.
    pub what: String,
    /// Bytes of a write.
    pub bytes: u64,
    /// For how long.
    pub seconds: f64,
    /// Writes a second.
    pub writes_per_second: f64,
    /// Median.
    pub p50_ms: f64,
    /// The higher percentile.
    pub p99_ms: f64,
    /// The one beyond.
    pub p999_ms: f64,
}

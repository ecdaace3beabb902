//! What agents and who commands them say to each other, as JSON.

use serde::{Deserialize, Serialize};

use crate::figures::{Live, SavedOutcome};
use crate::host::{Host, Versions};
use crate::profile::Kind;

/// To an agent.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub enum Order {
    /// Make ready for this part of a load.
    Prepare(Box<Plan>),
    /// All are ready: begin.
    Begin,
}

/// An agent's part of one load in one round.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The profile's text; the agent checks it as if it had read the file.
    pub profile: String,
    /// Which of its experiments.
    pub experiment: usize,
    /// Which of its loads.
    pub load: usize,
    /// What is done: that of the experiment, but for its floor.
    pub kind: Kind,
    /// Records a second of this agent; without it a closed loop.
    pub rate: Option<f64>,
    /// The broker. Without it one that stores nothing, which the agent starts on its own host.
    pub bootstrap: Option<String>,
    /// Whether the topic is there, for all agents. Without that the agent makes one of that name.
    pub topic_is_shared: bool,
    /// Its name.
    pub topic: String,
    /// Its configurations: what the profile says, and what the target needs for the durability.
    pub topic_configs: Vec<(String, String)>,
    /// Not measured.
    pub warmup_seconds: f64,
    /// Measured.
    pub seconds: f64,
}

/// From an agent.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub enum Word {
    /// The first one.
    Hello(Box<Hello>),
    /// All is prepared.
    Ready,
    /// How it is getting on.
    Live(Live),
    /// What came of it.
    Done(Box<SavedOutcome>),
    /// Why nothing came of it.
    Failed(String),
}

/// Who an agent is.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Its build.
    pub versions: Versions,
    /// Its machine.
    pub host: Host,
}

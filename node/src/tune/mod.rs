//! `ringlog tune`: whether the host is set up as a broker wants it, why that matters, and what can
//! be done about it.
//!
//! Nothing is changed unless it is asked for. `--apply` writes down what was there before it
//! changes a setting, and changes all of what it can or nothing; `--undo` puts it back. What only
//! an administrator can do (limits of a service, mount options, kernel parameters) is explained.

#![allow(
    clippy::disallowed_methods,
    reason = "the command line reads and writes the kernel's settings; there is no driver"
)]

mod apply;
mod checks;
mod settings;

use std::fmt;
use std::path::PathBuf;

pub use apply::{apply, undo};
pub use checks::check;

/// Where to look, and where to write down what was changed.
#[derive(Clone, Debug)]
pub struct Tune {
    /// Where the kernel's files are: `/`, or a copy of them in tests.
    pub root: PathBuf,
    /// A folder on the file system that holds the logs.
    pub data_dir: PathBuf,
    /// What was there before `--apply`.
    pub state: PathBuf,
}

/// How the host stands to one wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// It could be better.
    Off,
    /// The host does not say.
    Unknown,
}

/// What was found about one wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub name: String,
    /// How the host stands to it.
    pub state: State,
    /// What is there.
    pub found: String,
    /// What should be.
    pub wanted: String,
    /// Why it matters.
    pub why: &'static str,
    /// How it is changed.
    pub remedy: Remedy,
}

/// How a setting is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// By writing a value to a file of the kernel.
    Write {
        /// The file below the root.
        path: PathBuf,
        /// What is written.
        value: String,
    },
    /// By hand.
    Explain(&'static str),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Good => "good",
            State::Off => "off",
            State::Unknown => "unknown",
        };
        write!(f, "{state:<8} {}: {}", self.name, self.found)?;
        if self.state == State::Good {
            return Ok(());
        }
        write!(f, " (wanted: {})\n         {}", self.wanted, self.why)?;
        match &self.remedy {
            _ if self.state == State::Unknown => Ok(()),
            Remedy::Write { path, value } => {
                write!(f, "\n         --apply writes {value:?} to {}", path.display())
            }
            Remedy::Explain(how) => write!(f, "\n         by hand: {how}"),
        }
    }
}

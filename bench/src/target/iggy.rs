//! Apache Iggy: its server as a target, and its own load generator. It speaks a protocol of its
//! own, so nothing else here can load it. Both programs are the caller's: `--target iggy@FOLDER`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

const SERVER: &str = "iggy-server";
const BENCH: &str = "iggy-bench";
/// What iggy-bench logs in with unless it is told otherwise.
const ROOT: &str = "iggy";

/// A folder with iggy-server and iggy-bench.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IggyKit(pub PathBuf);

impl IggyKit {
    /// That both programs are there.
    pub fn check(&self) -> Result<()> {
        for name in [SERVER, BENCH] {
            let path = self.0.join(name);
            ensure!(path.is_file(), "{} is not there: --target iggy@FOLDER", path.display());
        }
        Ok(())
    }

    /// The server, with its data in a folder, at an address.
    pub fn server(&self, data: &Path, address: &str) -> Command {
        let mut command = Command::new(self.0.join(SERVER));
        command.env("IGGY_SYSTEM_PATH", data).env("IGGY_TCP_ADDRESS", address);
        for other in ["HTTP", "QUIC", "WEBSOCKET"] {
            command.env(format!("IGGY_{other}_ENABLED"), "false");
        }
        command.env("IGGY_ROOT_USERNAME", ROOT).env("IGGY_ROOT_PASSWORD", ROOT);
        command
    }

    /// Its load generator.
    pub fn bench(&self) -> Command {
        Command::new(self.0.join(BENCH))
    }
}

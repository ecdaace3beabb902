//! [`IoArgs`]: the study's command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use super::case::{Block, EngineKind, FileState, IoMode, IoPath, RingSetup, SendPath};
use super::plan::IoPlan;
use crate::profile::check_seconds;
use crate::target::default_data_dir;

/// What to study.
#[derive(Clone, Debug, clap::Args)]
pub struct IoArgs {
    /// Folders to write in, each on a file system that is to be studied.
    #[arg(long = "dir", default_values_os_t = [default_data_dir()])]
    pub dirs: Vec<PathBuf>,
    /// What is done.
    #[arg(
        long = "path",
        value_enum,
        value_delimiter = ',',
        default_values_t = IoPath::value_variants().to_vec()
    )]
    pub paths: Vec<IoPath>,
    /// What carries it out.
    #[arg(
        long = "engine",
        value_enum,
        value_delimiter = ',',
        default_values_t = built_in_engines()
    )]
    pub engines: Vec<EngineKind>,
    /// How a ring is set up.
    #[arg(
        long = "ring",
        value_enum,
        value_delimiter = ',',
        default_values_t = [RingSetup::Defer, RingSetup::FixedBuffers]
    )]
    pub rings: Vec<RingSetup>,
    /// How a block goes to the file.
    #[arg(
        long = "mode",
        value_enum,
        value_delimiter = ',',
        default_values_t = IoMode::value_variants().to_vec()
    )]
    pub modes: Vec<IoMode>,
    /// What the file is like.
    #[arg(
        long = "file",
        value_enum,
        value_delimiter = ',',
        default_values_t = FileState::value_variants().to_vec()
    )]
    pub files: Vec<FileState>,
    /// How bytes reach a socket.
    #[arg(
        long = "send",
        value_enum,
        value_delimiter = ',',
        default_values_t = SendPath::value_variants().to_vec()
    )]
    pub sends: Vec<SendPath>,
    /// Sizes of a block, multiples of 4k.
    #[arg(
        long = "block",
        value_delimiter = ',',
        default_values_t = [Block(16 << 10), Block(128 << 10), Block(1 << 20)]
    )]
    pub blocks: Vec<Block>,
    /// Blocks under way at a time.
    #[arg(long = "depth", value_delimiter = ',', default_values_t = [1, 4])]
    pub depths: Vec<u32>,
    /// Bytes that a case moves at most, in 2^20.
    #[arg(
        long,
        default_value_t = 256,
        value_parser = clap::value_parser!(u64).range(1..=1 << 20)
    )]
    pub mib: u64,
    /// Seconds that a case takes at most.
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,
    /// The result folder [default: results/local/TIME-io].
    #[arg(long)]
    pub out: Option<PathBuf>,
}

fn built_in_engines() -> Vec<EngineKind> {
    EngineKind::value_variants().iter().copied().filter(|engine| engine.is_built_in()).collect()
}

impl IoArgs {
    /// The plan, checked.
    pub fn plan(&self) -> Result<IoPlan> {
        check_seconds("--seconds", self.seconds, 0.01)?;
        Ok(IoPlan {
            dirs: self.dirs.clone(),
            paths: self.paths.clone(),
            engines: self.engines.clone(),
            rings: self.rings.clone(),
            modes: self.modes.clone(),
            files: self.files.clone(),
            sends: self.sends.clone(),
            blocks: self.blocks.clone(),
            depths: self.depths.clone(),
            bytes: self.mib << 20,
            seconds: Duration::from_secs_f64(self.seconds),
        })
    }
}

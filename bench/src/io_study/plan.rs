//! [`IoPlan`]: which cases a study has. What makes no sense together is left out.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::case::{Block, Case, EngineKind, FileState, IoMode, IoPath, RingSetup, SendPath};

/// Cases of one study at most.
const CASES_MAX: usize = 5_000;
/// Blocks under way at most.
const DEPTH_MAX: u32 = 256;

/// What a study tries; every list is an axis.
#[derive(Clone, Debug)]
pub struct IoPlan {
    /// Folders, each on the file system that it is on.
    pub dirs: Vec<PathBuf>,
    /// What is done.
    pub paths: Vec<IoPath>,
    /// By what.
    pub engines: Vec<EngineKind>,
    /// How rings are set up.
    pub rings: Vec<RingSetup>,
    /// How blocks go to files.
    pub modes: Vec<IoMode>,
    /// What files are like.
    pub files: Vec<FileState>,
    /// How bytes reach sockets.
    pub sends: Vec<SendPath>,
    /// Sizes of blocks.
    pub blocks: Vec<Block>,
    /// Blocks under way at a time.
    pub depths: Vec<u32>,
    /// Bytes that a case moves at most.
    pub bytes: u64,
    /// Time that a case takes at most.
    pub seconds: Duration,
}

impl IoPlan {
    /// Its cases, in an order that tells a story.
    pub fn cases(&self) -> Result<Vec<Case>> {
        for engine in &self.engines {
            let name = engine.name();
            ensure!(
                engine.is_built_in(),
                "--engine {name}: not in this build; cargo build --release --features {name}"
            );
        }
        if let Some(depth) = self.depths.iter().find(|depth| !(1..=DEPTH_MAX).contains(*depth)) {
            bail!("--depth {depth}: expected 1 to {DEPTH_MAX}");
        }
        let mut cases = Vec::new();
        for dir in &self.dirs {
            for block in &self.blocks {
                for path in &self.paths {
                    match path {
                        IoPath::Send => self.add_sends(dir, *block, &mut cases),
                        _ => self.add_files(dir, *block, *path, &mut cases),
                    }
                }
            }
        }
        let count = cases.len();
        ensure!(count > 0, "these choices leave no case");
        ensure!(count <= CASES_MAX, "{count} cases: at most {CASES_MAX}; name fewer choices");
        Ok(cases)
    }

    fn add_sends(&self, dir: &std::path::Path, block: Block, cases: &mut Vec<Case>) {
        cases.extend(self.sends.iter().map(|send| Case {
            path: IoPath::Send,
            engine: EngineKind::Pwrite,
            ring: None,
            mode: IoMode::Buffered,
            file: FileState::Recycled,
            send: Some(*send),
            block,
            depth: 1,
            dir: dir.to_owned(),
        }));
    }

    fn add_files(&self, dir: &std::path::Path, block: Block, path: IoPath, cases: &mut Vec<Case>) {
        for mode in &self.modes {
            for file in &self.files {
                for engine in &self.engines {
                    for ring in self.rings_of(*engine) {
                        for depth in &self.depths {
                            let case = Case {
                                path,
                                engine: *engine,
                                ring,
                                mode: *mode,
                                file: *file,
                                send: None,
                                block,
                                depth: *depth,
                                dir: dir.to_owned(),
                            };
                            if makes_sense(&case) {
                                cases.push(case);
                            }
                        }
                    }
                }
            }
        }
    }

    fn rings_of(&self, engine: EngineKind) -> Vec<Option<RingSetup>> {
        match engine {
            EngineKind::IoUring => self.rings.iter().copied().map(Some).collect(),
            _ => vec![None],
        }
    }
}

fn makes_sense(case: &Case) -> bool {
    let Case { path, engine, ring, mode, file, depth, .. } = case;
    let flagged = mode.rwf() != 0;
    let foreign = matches!(engine, EngineKind::TokioUring | EngineKind::Glommio);
    // A blocking call is one at a time; polling needs O_DIRECT and knows no fsync; the crates have
    // no flags of a write.
    let impossible = (*engine == EngineKind::Pwrite && *depth > 1)
        || (*ring == Some(RingSetup::Iopoll) && (!mode.is_direct() || mode.syncs()))
        || (foreign && flagged);
    // One flush covers all that is under way; with several there is nothing to tell them apart.
    let several_flushes = mode.syncs() && *depth > 1;
    // Space that is set aside is nothing new to the page cache.
    let same_as_new = *file == FileState::Fallocated && !mode.is_direct();
    let read_what_is_not_there = *path == IoPath::Read
        && (matches!(file, FileState::New | FileState::Fallocated) || flagged || mode.syncs());
    !(impossible || several_flushes || same_as_new || read_what_is_not_there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    fn plan() -> IoPlan {
        IoPlan {
            dirs: vec![PathBuf::from("/tmp")],
            paths: vec![IoPath::Append, IoPath::Read, IoPath::Send],
            engines: vec![EngineKind::IoUring, EngineKind::Pwrite, EngineKind::Epoll],
            rings: RingSetup::value_variants().to_vec(),
            modes: IoMode::value_variants().to_vec(),
            files: FileState::value_variants().to_vec(),
            sends: SendPath::value_variants().to_vec(),
            blocks: vec![Block(4096)],
            depths: vec![1, 4],
            bytes: 1 << 20,
            seconds: Duration::from_secs(1),
        }
    }

    #[test]
    fn every_choice_is_tried_and_nonsense_is_not() {
        let cases = plan().cases().expect("a plan");
        for ring in RingSetup::value_variants() {
            assert!(cases.iter().any(|case| case.ring == Some(*ring)), "{ring:?}");
        }
        for mode in IoMode::value_variants() {
            assert!(cases.iter().any(|case| case.mode == *mode), "{mode:?}");
        }
        assert!(cases.iter().all(|case| case.engine != EngineKind::Pwrite || case.depth == 1));
        let polled = cases.iter().filter(|case| case.ring == Some(RingSetup::Iopoll));
        assert!(polled.clone().count() > 0 && polled.clone().all(|case| case.mode.is_direct()));
    }

    #[test]
    fn impossible_plans_are_named() {
        let mut none = plan();
        (none.paths, none.files) = (vec![IoPath::Read], vec![FileState::New]);
        assert!(none.cases().expect_err("none").to_string().contains("leave no case"));
        let mut deep = plan();
        deep.depths = vec![1000];
        assert!(deep.cases().expect_err("deep").to_string().contains("--depth 1000"));
        let mut many = plan();
        many.dirs = vec![PathBuf::from("/tmp"); 100];
        assert!(many.cases().expect_err("many").to_string().contains("at most 5000"));
        if !EngineKind::Glommio.is_built_in() {
            let mut foreign = plan();
            foreign.engines = vec![EngineKind::Glommio];
            let error = foreign.cases().expect_err("not built in").to_string();
            assert!(error.contains("--features glommio"), "{error}");
        }
    }
}

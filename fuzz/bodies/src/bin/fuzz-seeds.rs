//! Writes the seeds of every target below a folder, for cargo-fuzz: `fuzz-seeds fuzz/corpus`.

use std::path::PathBuf;

use ringlog_fuzz_bodies::TARGETS;
use ringlog_fuzz_bodies::seeds::seeds;

#[allow(clippy::disallowed_methods, reason = "a tool of the tests, without a driver")]
fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "fuzz/corpus".to_owned()));
    for (name, _) in TARGETS {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        for (i, seed) in seeds(name).iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{i}")), seed)?;
        }
    }
    Ok(())
}

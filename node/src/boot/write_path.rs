//! Who writes to the page cache: what `ringlog.io.write.path` and `ringlog.io.dontcache` say, or
//! whichever costs less processor time, by a short measurement in a log directory.
//!
//! Some file systems take a buffered write from the ring at once, others have a kernel worker do it
//! for every write, which costs more than the call that is saved.

use std::path::{Path, PathBuf};

use ringlog_engine::io::{Buf, Chunk, Errno, OpenOptions, WritePath, process_cpu_ns};
use ringlog_engine::shard::{File, IoError, Shard};

use crate::config::RawConfig;

/// The probe's file; a start that dies leaves one behind, and the next one takes it away.
const PROBE_FILE: &str = "write-path-probe.tmp";
const PROBE_BYTES: usize = 16 << 10;
/// Writes of one turn, and turns of each path.
const PROBE_WRITES: usize = 32;
const PROBE_TURNS: usize = 3;

/// Chooses, and reports what cannot be had.
pub(super) async fn choose(
    shard: &Shard,
    config: &RawConfig,
    dirs: &[PathBuf],
) -> Result<WritePath, String> {
    let direct = config.string("ringlog.io.mode") == Some("direct");
    let wanted = config.string("ringlog.io.write.path");
    if config.boolean("ringlog.io.dontcache") {
        if direct {
            return Err(
                "ringlog.io.dontcache=true does not go with ringlog.io.mode=direct, which \
                        leaves nothing in the page cache"
                    .to_owned(),
            );
        }
        if wanted == Some("ring") {
            return Err(
                "ringlog.io.dontcache=true does not go with ringlog.io.write.path=ring".to_owned()
            );
        }
        for dir in dirs {
            match probe(shard, dir, WritePath::Uncached, 1).await {
                Err(error) if error.errno == Errno::EOPNOTSUPP => {
                    return Err(format!(
                        "ringlog.io.dontcache=true: the kernel or the file system of {} cannot \
                         write so (RWF_DONTCACHE)",
                        dir.display()
                    ));
                }
                probed => probed.map_err(|error| error.to_string())?,
            };
        }
        return Ok(WritePath::Uncached);
    }
    match wanted {
        Some("ring") => Ok(WritePath::Ring),
        Some("pwrite") => Ok(WritePath::Blocking),
        // Where there is no ring, or it is not asked, there is nothing to choose.
        _ if direct || config.string("ringlog.io.driver") == Some("epoll") => {
            Ok(WritePath::Blocking)
        }
        _ => Ok(measured(shard, &dirs[0]).await),
    }
}

/// The path that costs less. A directory that cannot be written to is for others to report.
async fn measured(shard: &Shard, dir: &Path) -> WritePath {
    let (mut pwrite_ns, mut ring_ns) = (0, 0);
    for _ in 0..PROBE_TURNS {
        for (path, sum) in [(WritePath::Blocking, &mut pwrite_ns), (WritePath::Ring, &mut ring_ns)]
        {
            match probe(shard, dir, path, PROBE_WRITES).await {
                Ok(cost) => *sum += cost,
                Err(_) => return WritePath::Blocking,
            }
        }
    }
    let path = if ring_ns < pwrite_ns { WritePath::Ring } else { WritePath::Blocking };
    tracing::info!(?path, pwrite_ns, ring_ns, "write_path_chosen");
    path
}

/// Processor time of the process for so many writes of a new file.
async fn probe(shard: &Shard, dir: &Path, path: WritePath, writes: usize) -> Result<u64, IoError> {
    let name = dir.join(PROBE_FILE);
    let options =
        OpenOptions { write: true, create: true, truncate: true, ..OpenOptions::default() };
    let file = File::open(shard, &name, options).await?;
    let mut bytes = Buf::with_capacity(PROBE_BYTES);
    bytes.set_len(PROBE_BYTES);
    let bytes = std::sync::Arc::new(bytes);
    let before = process_cpu_ns();
    let mut written = Ok(());
    for i in 0..writes {
        let chunk = Chunk::from(std::sync::Arc::clone(&bytes));
        written = file.write_at(vec![chunk], (i * PROBE_BYTES) as u64, path).await;
        if written.is_err() {
            break;
        }
    }
    let cost = process_cpu_ns() - before;
    shard.unlink(&name).await?;
    written.map(|()| cost)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the test looks into a directory")]
mod tests {
    use super::*;

    /// What is chosen in a new directory, and what is left there.
    fn chosen(lines: &str) -> (Result<WritePath, String>, usize) {
        let file = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@h:9093\n\
             listeners=PLAINTEXT://h:9092,CONTROLLER://h:9093\ncontroller.listener.names=CONTROLLER\n\
             {lines}"
        );
        let config = RawConfig::load(file.as_bytes(), &[]).expect("a good file");
        let dir = tempfile::tempdir().expect("a directory");
        let (paths, slot) = (vec![dir.path().to_owned()], std::rc::Rc::default());
        let answer: std::rc::Rc<std::cell::RefCell<Option<_>>> = std::rc::Rc::clone(&slot);
        let ran = crate::boot::offline(move |shard| async move {
            *answer.borrow_mut() = Some(choose(&shard, &config, &paths).await);
            Ok(())
        });
        ran.expect("a driver");
        let left = dir.path().read_dir().expect("readable").count();
        (slot.take().expect("an answer"), left)
    }

    #[test]
    fn a_path_is_chosen_by_name_or_measured_and_nothing_is_left() {
        assert_eq!(chosen("ringlog.io.write.path=ring"), (Ok(WritePath::Ring), 0));
        assert_eq!(chosen("ringlog.io.write.path=pwrite"), (Ok(WritePath::Blocking), 0));
        let (path, left) = chosen("");
        assert!(matches!(path, Ok(WritePath::Ring | WritePath::Blocking)) && left == 0, "{path:?}");
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for other in ["ringlog.io.mode=direct", "ringlog.io.write.path=ring"] {
            let (refused, _) = chosen(&format!("ringlog.io.dontcache=true\n{other}"));
            assert!(refused.clone().is_err_and(|said| said.contains(other)), "{refused:?}");
        }
        let (path, left) = chosen("ringlog.io.dontcache=true");
        let said = path.clone().err().unwrap_or_default();
        assert!(path == Ok(WritePath::Uncached) || said.contains("RWF_DONTCACHE"), "{said}");
        assert_eq!(left, 0);
    }
}

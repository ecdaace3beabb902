//! The health of the log directories: a failed one takes only its partitions offline, a full one
//! takes no more records (Kafka's `LogDirFailureHandler`).

use std::path::Path;
use std::rc::Rc;

use ringlog_engine::shard::IoError;

use super::calls::{Call, Reply};
use super::shard_broker::Broker;

/// How often the space of the directories is looked at.
const SPACE_INTERVAL_MS: u64 = 500;
/// The reserve is never more than this part of the file system: small ones are for use, too.
const RESERVE_SHARE: u64 = 16;
/// So many times the reserve must be free before a full directory takes records again.
const REFILL: u64 = 2;

/// The free space of a directory's file system, from one look to the next.
#[derive(Clone, Copy, Debug, Default)]
struct Space {
    before: Option<u64>,
}

impl Space {
    /// Whether there is no room for more records: less than the reserve is free, or will be before
    /// producers are held back. Until the next look as much may go as went since the last one, and
    /// as much again of what they have sent by then.
    fn is_full(&mut self, free: u64, reserve: u64, was_full: bool) -> bool {
        let went = self.before.replace(free).map_or(0, |before| before.saturating_sub(free));
        let left = free.saturating_sub(went.saturating_mul(2));
        left < if was_full { reserve.saturating_mul(REFILL) } else { reserve }
    }
}

/// What is wrong with a directory.
#[derive(Clone, Debug, Default)]
pub(super) struct DirHealth {
    /// It has failed, for good.
    pub(super) failed: Option<IoError>,
    /// It has no room for more records.
    pub(super) full: bool,
}

impl Broker {
    /// Watches this shard's committers, and on the control shard the space of the directories.
    pub(super) fn start_dir_watch(self: &Rc<Self>) {
        for (dir, committer) in self.committers.iter().enumerate() {
            let (this, committer) = (Rc::clone(self), Rc::clone(committer));
            self.shard.spawn(async move {
                let error = committer.until_dir_fails().await;
                this.report_dir_failure(dir, &error).await;
            });
        }
        if self.is_control() {
            let this = Rc::clone(self);
            self.shard.spawn(async move { this.run_space_watch().await });
        }
    }

    /// Tells every shard that a directory has failed.
    pub(super) async fn report_dir_failure(self: &Rc<Self>, dir: usize, error: &IoError) {
        for shard in self.settings.all_shards() {
            let call = Call::FailDir { dir, error: error.clone() };
            self.call(shard, call).await.await;
        }
    }

    /// Whether a directory can be used.
    pub(super) fn dir_is_online(&self, dir: usize) -> bool {
        self.dir_health.borrow()[dir].failed.is_none()
    }

    /// Whether a directory has room for more records.
    pub(super) fn dir_has_room(&self, dir: usize) -> bool {
        !self.dir_health.borrow()[dir].full
    }

    /// A directory has failed: all of its logs have.
    pub(super) fn fail_dir(&self, dir: usize, error: &IoError) -> Reply {
        let known = self.dir_health.borrow_mut()[dir].failed.replace(error.clone()).is_some();
        if known {
            return Reply::DirNoted;
        }
        for partition in self.online_partitions().iter().filter(|p| p.dir == dir) {
            partition.log.fail_with_dir(error);
        }
        if self.is_control() {
            let path = self.settings.dirs[dir].path.display();
            tracing::error!(dir = %path, %error, "log_dir_failed");
            let data_dirs = 0..self.settings.data_dirs;
            let metadata = self.settings.config.metadata_log_dir();
            let last = data_dirs.into_iter().all(|dir| !self.dir_is_online(dir));
            if last || self.settings.dirs[dir].path == Path::new(&metadata) {
                // Nothing is left to serve, or to serve by. As Kafka: no orderly stop, for nothing
                // could be written down.
                tracing::error!(dir = %path, "the node ends: it cannot go on without it");
                std::process::exit(1);
            }
        }
        Reply::DirNoted
    }

    /// The control shard: tells all shards when a directory has no more room, and when it has
    /// again.
    async fn run_space_watch(self: Rc<Self>) {
        let reserve = self.config().current().long("ringlog.log.dir.reserve.bytes").max(0) as u64;
        if reserve == 0 {
            return;
        }
        let mut spaces = vec![Space::default(); self.settings.dirs.len()];
        loop {
            for (dir, info) in self.settings.dirs.iter().enumerate() {
                if !self.dir_is_online(dir) {
                    continue;
                }
                let Ok((total, free)) = self.shard.space(&info.path).await else { continue };
                let reserve = reserve.min(total / RESERVE_SHARE);
                let was_full = !self.dir_has_room(dir);
                let full = spaces[dir].is_full(free, reserve, was_full);
                if full != was_full {
                    let path = info.path.display();
                    tracing::warn!(dir = %path, free, reserve, full, "log_dir_space");
                    for shard in self.settings.all_shards() {
                        let call = Call::NoteSpace { dir, full };
                        self.call(shard, call).await.await;
                    }
                }
            }
            self.shard.sleep_ms(SPACE_INTERVAL_MS).await;
        }
    }

    pub(super) fn note_space(&self, dir: usize, full: bool) -> Reply {
        self.dir_health.borrow_mut()[dir].full = full;
        Reply::DirNoted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At 1.2 GB/s half a second takes twice the reserve: the disk was full before the next look.
    #[test]
    fn a_disk_that_fills_fast_is_full_in_time() {
        const MB: u64 = 1_000_000;
        let (reserve, mut space, mut free) = (256 * MB, Space::default(), 10_000 * MB);
        while !space.is_full(free, reserve, false) {
            free -= 600 * MB;
        }
        assert!(free >= reserve + 600 * MB, "{free}");
        // Nothing comes any more: it has room again once twice the reserve is free.
        assert!(!space.is_full(free, reserve, true), "what is left is enough");
        let mut slow = Space::default();
        assert!(!slow.is_full(257 * MB, reserve, false));
        assert!(slow.is_full(255 * MB, reserve, false));
        assert!(slow.is_full(511 * MB, reserve, true) && !slow.is_full(513 * MB, reserve, true));
    }
}

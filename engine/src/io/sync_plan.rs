//! [`SyncPlan`]: which files are synced when, for all shards of a node that write to one file
//! system. Pure: it is told of requests and of syncs that have ended, and says which sync begins
//! and which request is done. Threads carry it out in a node (`io::group_sync`), the simulated
//! world in tests.
//!
//! Each file is synced for itself, several at a time, so that a request waits for its own files and
//! for nobody else's pages (docs/decisions/0007). While a file is being synced, requests for it
//! gather, and share the next sync: two at once of one open file would share what the kernel has to
//! say of a failure (errseq_t), and one of them would not hear of it.
//!
//! After a failure of the device no request succeeds any more: what a flush has lost may belong to
//! anyone. A lack of room is a failure of the file alone.

use std::collections::BTreeMap;

use super::{Errno, Fd};

/// Names a request between its beginning and its end.
pub(super) type RequestId = u64;

/// What is to happen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SyncEffect {
    /// Sync this file; [`SyncPlan::on_synced`] is to follow.
    Start(Fd),
    /// The request is done.
    Done(RequestId, Result<(), Errno>),
}

/// The requests and syncs of one file system.
pub(super) struct SyncPlan {
    /// The sync of any file flushes the device for all.
    one_flush: bool,
    files: BTreeMap<Fd, FileSync>,
    requests: BTreeMap<RequestId, Pending>,
    requests_made: RequestId,
    failed: Option<Errno>,
}

/// A file that is being synced.
#[derive(Default)]
struct FileSync {
    /// Whom the sync that runs is for.
    served: Vec<RequestId>,
    /// Who came while it ran: for the next one.
    waiting: Vec<RequestId>,
}

/// A request that is not done.
struct Pending {
    /// How many of its files are not synced yet.
    left: usize,
    result: Result<(), Errno>,
}

impl SyncPlan {
    /// Without requests. `one_flush`: the sync of any file flushes the device for all.
    pub(super) fn new(one_flush: bool) -> Self {
        let (files, requests) = (BTreeMap::new(), BTreeMap::new());
        Self { one_flush, files, requests, requests_made: 0, failed: None }
    }

    /// Somebody wants `files` made durable, and `laid_out`, which need a flush of the device alone.
    pub(super) fn on_request(
        &mut self,
        files: &[Fd],
        laid_out: &[Fd],
        effects: &mut Vec<SyncEffect>,
    ) -> RequestId {
        let id = self.requests_made;
        self.requests_made += 1;
        let chosen = files_to_sync(files, laid_out, self.one_flush);
        assert!(!chosen.is_empty(), "a request has a file");
        if let Some(errno) = self.failed {
            effects.push(SyncEffect::Done(id, Err(errno)));
            return id;
        }
        self.requests.insert(id, Pending { left: chosen.len(), result: Ok(()) });
        for file in chosen {
            match self.files.get_mut(&file) {
                Some(running) => running.waiting.push(id),
                None => {
                    self.files.insert(file, FileSync { served: vec![id], waiting: Vec::new() });
                    effects.push(SyncEffect::Start(file));
                }
            }
        }
        id
    }

    /// A sync has ended.
    pub(super) fn on_synced(
        &mut self,
        file: Fd,
        result: Result<(), Errno>,
        effects: &mut Vec<SyncEffect>,
    ) {
        let sync = self.files.get_mut(&file).expect("only what was begun ends");
        let served = std::mem::replace(&mut sync.served, std::mem::take(&mut sync.waiting));
        match sync.served.is_empty() {
            true => drop(self.files.remove(&file)),
            false => effects.push(SyncEffect::Start(file)),
        }
        if let Err(errno) = result
            && !errno.is_lack_of_room()
        {
            self.failed.get_or_insert(errno);
        }
        for id in served {
            let pending = self.requests.get_mut(&id).expect("its file was not synced yet");
            pending.left -= 1;
            pending.result = pending.result.and(result);
            if pending.left == 0 {
                let result = pending.result.and(self.failed.map_or(Ok(()), Err));
                self.requests.remove(&id);
                effects.push(SyncEffect::Done(id, result));
            }
        }
    }
}

/// What is to be synced for a request, sorted and each once. Where any sync flushes the device, one
/// file stands for all that are laid out: a regular file, because the sync of a directory flushes
/// nothing where the file system has a journal and no transaction is open (ext4).
fn files_to_sync(files: &[Fd], laid_out: &[Fd], one_flush: bool) -> Vec<Fd> {
    let mut chosen = files.to_vec();
    match one_flush {
        true if files.is_empty() => chosen.extend(laid_out.first()),
        true => {}
        false => chosen.extend(laid_out),
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::SyncEffect::{Done, Start};
    use super::*;

    const EIO: Errno = Errno::EIO;

    fn fds(numbers: &[i32]) -> Vec<Fd> {
        numbers.iter().copied().map(Fd).collect()
    }

    fn request(plan: &mut SyncPlan, files: &[i32], laid_out: &[i32]) -> Vec<SyncEffect> {
        let mut effects = Vec::new();
        plan.on_request(&fds(files), &fds(laid_out), &mut effects);
        effects
    }

    fn synced(plan: &mut SyncPlan, file: i32, result: Result<(), Errno>) -> Vec<SyncEffect> {
        let mut effects = Vec::new();
        plan.on_synced(Fd(file), result, &mut effects);
        effects
    }

    #[test]
    fn a_request_waits_for_its_own_files_and_for_no_others() {
        let mut plan = SyncPlan::new(true);
        assert_eq!(request(&mut plan, &[4, 5], &[]), [Start(Fd(4)), Start(Fd(5))]);
        assert_eq!(request(&mut plan, &[6], &[]), [Start(Fd(6))]);
        assert_eq!(synced(&mut plan, 6, Ok(())), [Done(1, Ok(()))]);
        assert_eq!(synced(&mut plan, 5, Ok(())), []);
        assert_eq!(synced(&mut plan, 4, Ok(())), [Done(0, Ok(()))]);
    }

    #[test]
    fn who_comes_while_a_file_is_synced_shares_the_next_sync() {
        let mut plan = SyncPlan::new(true);
        assert_eq!(request(&mut plan, &[4], &[]), [Start(Fd(4))]);
        assert_eq!(request(&mut plan, &[4], &[]), []);
        assert_eq!(request(&mut plan, &[4], &[]), []);
        assert_eq!(synced(&mut plan, 4, Ok(())), [Start(Fd(4)), Done(0, Ok(()))]);
        assert_eq!(synced(&mut plan, 4, Ok(())), [Done(1, Ok(())), Done(2, Ok(()))]);
        assert_eq!(request(&mut plan, &[4], &[]), [Start(Fd(4))]);
    }

    #[test]
    fn e01_laid_out_files_share_the_sync_of_one_of_them_where_any_sync_flushes_the_device() {
        let files_of = |files: &[i32], laid_out: &[i32], one_flush| {
            files_to_sync(&fds(files), &fds(laid_out), one_flush)
        };
        assert_eq!(files_of(&[], &[9, 7, 7], true), fds(&[9]));
        assert_eq!(files_of(&[5, 4, 5], &[9, 7], true), fds(&[4, 5]));
        assert_eq!(files_of(&[5], &[9, 7, 5], false), fds(&[5, 7, 9]));
    }

    #[test]
    fn after_a_failure_of_the_device_nothing_succeeds_any_more() {
        let mut plan = SyncPlan::new(true);
        request(&mut plan, &[4], &[]);
        request(&mut plan, &[5], &[]);
        request(&mut plan, &[5], &[]);
        assert_eq!(synced(&mut plan, 4, Err(EIO)), [Done(0, Err(EIO))]);
        assert_eq!(synced(&mut plan, 5, Ok(())), [Start(Fd(5)), Done(1, Err(EIO))]);
        assert_eq!(synced(&mut plan, 5, Ok(())), [Done(2, Err(EIO))]);
        assert_eq!(request(&mut plan, &[6], &[]), [Done(3, Err(EIO))]);
    }

    #[test]
    fn a_lack_of_room_fails_those_alone_whose_file_it_is() {
        let mut plan = SyncPlan::new(true);
        request(&mut plan, &[4, 5], &[]);
        request(&mut plan, &[5], &[]);
        assert_eq!(synced(&mut plan, 4, Err(Errno::ENOSPC)), []);
        assert_eq!(synced(&mut plan, 5, Ok(())), [Start(Fd(5)), Done(0, Err(Errno::ENOSPC))]);
        assert_eq!(synced(&mut plan, 5, Ok(())), [Done(1, Ok(()))]);
    }
}

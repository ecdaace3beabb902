//! Threads that make files durable for all shards of a node, as [`SyncPlan`] says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::helper::Completer;
use super::sync_plan::{RequestId, SyncEffect, SyncPlan};
use super::{Completion, Fd, Output, Payload, Token, sys};

/// Syncs of one file system at a time: enough to keep a device busy.
const THREADS_MAX: usize = 16;

/// The sync threads of a node, by the file systems that its shards write to.
#[derive(Default)]
pub(super) struct GroupSync {
    groups: Mutex<Vec<(u64, Arc<Group>)>>,
}

/// Those of one file system.
struct Group {
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    plan: SyncPlan,
    to_sync: VecDeque<Fd>,
    waiting: BTreeMap<RequestId, (Token, Completer)>,
    threads: usize,
    idle: usize,
    closed: bool,
}

/// Files to be made durable, and who wants to know.
pub(super) struct Request {
    pub(super) token: Token,
    pub(super) files: Vec<Fd>,
    /// Those that need no more than a flush of the device.
    pub(super) laid_out: Vec<Fd>,
    pub(super) completer: Completer,
}

impl GroupSync {
    /// Has the files of a request, which lie on the file system of this number, made durable.
    pub(super) fn submit(&self, device: u64, request: Request) {
        let first = request.files.iter().chain(&request.laid_out).next();
        let first = *first.expect("a request has a file");
        let mut groups = self.groups.lock().expect("no sync thread panics");
        let known = groups.iter().position(|(of, _)| *of == device);
        let at = known.unwrap_or_else(|| {
            groups.push((device, Group::new(first)));
            groups.len() - 1
        });
        groups[at].1.add(request);
    }
}

impl Drop for GroupSync {
    fn drop(&mut self) {
        for (_, group) in self.groups.get_mut().expect("no sync thread panics") {
            group.lock().closed = true;
            group.work.notify_all();
        }
    }
}

impl Group {
    fn new(first: Fd) -> Arc<Group> {
        let state = State {
            plan: SyncPlan::new(sys::any_sync_flushes(first)),
            to_sync: VecDeque::new(),
            waiting: BTreeMap::new(),
            threads: 0,
            idle: 0,
            closed: false,
        };
        Arc::new(Group { state: Mutex::new(state), work: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no sync thread panics")
    }

    fn add(self: &Arc<Self>, Request { token, files, laid_out, completer }: Request) {
        let mut state = self.lock();
        let mut effects = Vec::new();
        let id = state.plan.on_request(&files, &laid_out, &mut effects);
        state.waiting.insert(id, (token, completer));
        let done = state.take_up(effects);
        let new = state.to_sync.len();
        let missing = new.saturating_sub(state.idle).min(THREADS_MAX - state.threads);
        state.threads += missing;
        drop(state);
        for _ in 0..missing {
            let this = Arc::clone(self);
            #[allow(clippy::disallowed_methods, reason = "the driver's own threads")]
            std::thread::Builder::new()
                .name("sync".to_owned())
                .spawn(move || this.run())
                .expect("a thread can be started");
        }
        (0..new).for_each(|_| self.work.notify_one());
        answer(done);
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            let Some(file) = state.to_sync.pop_front() else {
                if state.closed {
                    return;
                }
                state.idle += 1;
                state = self.work.wait(state).expect("no sync thread panics");
                state.idle -= 1;
                continue;
            };
            drop(state);
            let result = sys::fdatasync(file);
            state = self.lock();
            let mut effects = Vec::new();
            state.plan.on_synced(file, result, &mut effects);
            let done = state.take_up(effects);
            if !done.is_empty() {
                drop(state);
                answer(done);
                state = self.lock();
            }
        }
    }
}

impl State {
    /// Queues syncs that are to begin; gives the completions of what is done, each with its driver.
    fn take_up(&mut self, effects: Vec<SyncEffect>) -> Vec<(Completer, Completion)> {
        let mut done = Vec::new();
        for effect in effects {
            match effect {
                SyncEffect::Start(file) => self.to_sync.push_back(file),
                SyncEffect::Done(id, result) => {
                    let asked = self.waiting.remove(&id);
                    let (token, completer) = asked.expect("a request is done once");
                    let result = result.map(|()| Output::Unit);
                    let payload = Payload::None;
                    done.push((completer, Completion { token, result, payload, more: false }));
                }
            }
        }
        done
    }
}

/// Tells the drivers, each once.
fn answer(done: Vec<(Completer, Completion)>) {
    let mut by_driver: Vec<(Completer, Vec<Completion>)> = Vec::new();
    for (completer, completion) in done {
        match by_driver.iter_mut().find(|(of, _)| of.same(&completer)) {
            Some((_, completions)) => completions.push(completion),
            None => by_driver.push((completer, vec![completion])),
        }
    }
    for (completer, completions) in by_driver {
        completer.complete(completions);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::io::helper::Helpers;
    use crate::io::{Errno, Op, OpenOptions, WritePath};

    fn written(path: &Path, bytes: usize) -> Fd {
        let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
        let (opened, _) = sys::execute(Op::Open { path: path.to_owned(), options });
        let Ok(Output::Fd(file)) = opened else { panic!("{opened:?}") };
        let buf = crate::io::Buf::copy_of(&vec![7; bytes]);
        let (offset, path) = (0, WritePath::Blocking);
        sys::execute(Op::Write { file, chunks: vec![buf.into()], offset, path }).0.expect("writes");
        file
    }

    #[test]
    fn e11_a_sync_writes_the_pages_of_its_own_files_and_nobody_elses() {
        const OWN: usize = 6;
        let dir = tempfile::tempdir().expect("a directory");
        let neighbour = written(&dir.path().join("neighbour"), 32 << 20);
        let dirty = match sys::dirty_pages(neighbour) {
            // Before Linux 6.5 there is no telling.
            Err(Errno::ENOSYS) => return,
            dirty => dirty.expect("tells"),
        };
        assert!(dirty > 1000, "{dirty} pages wait to be written");
        let files: Vec<Fd> =
            (0..OWN).map(|i| written(&dir.path().join(format!("own{i}")), 8192)).collect();
        let eventfd = Arc::new(sys::eventfd().expect("an eventfd"));
        let mut helpers = Helpers::new(Arc::clone(&eventfd), 1, Arc::default());
        // Requests of several files, beside each other.
        for token in 0..20 {
            let files = files[token as usize % 3..].to_vec();
            helpers.submit(token, Op::SyncAll { device: 1, files, laid_out: Vec::new() });
        }
        let mut done = Vec::new();
        while done.len() < 20 {
            sys::drain(&eventfd);
            helpers.reap(&mut done);
        }
        assert!(done.iter().all(|completion| completion.result == Ok(Output::Unit)), "{done:?}");
        for file in &files {
            assert_eq!(sys::dirty_pages(*file), Ok(0));
        }
        let left = sys::dirty_pages(neighbour).expect("tells");
        assert!(left > dirty / 2, "{left} of {dirty} pages of another file are left to write");
        files.into_iter().chain([neighbour]).for_each(|file| drop(sys::close(file)));
    }
}

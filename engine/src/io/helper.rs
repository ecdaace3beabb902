//! Threads that carry out what has no ring opcode, or would block a shard: listing, locking. They
//! run one system call at a time and own nothing between calls.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex};

use super::group_sync::{GroupSync, Request};
use super::{Completion, Op, Token, sys};

/// How many threads a driver starts at most for operations that block.
pub(super) const HELPER_THREADS_MAX: usize = 4;

/// A driver's helper threads, started as they are needed.
pub(super) struct Helpers {
    shared: Arc<Shared>,
    threads_max: usize,
    group_sync: Arc<GroupSync>,
    /// Operations submitted and not reaped: without any there is nothing to look for.
    under_way: usize,
}

struct Shared {
    queues: Mutex<Queues>,
    work: Condvar,
    /// Signalled when a completion is ready.
    eventfd: Arc<OwnedFd>,
}

#[derive(Default)]
struct Queues {
    waiting: VecDeque<(Token, Op)>,
    done: Vec<Completion>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Helpers {
    /// Helpers that signal `eventfd` when something is done.
    pub(super) fn new(
        eventfd: Arc<OwnedFd>,
        threads_max: usize,
        group_sync: Arc<GroupSync>,
    ) -> Self {
        assert!(threads_max > 0, "helpers without a thread");
        let shared = Shared { queues: Mutex::default(), work: Condvar::new(), eventfd };
        Self { shared: Arc::new(shared), threads_max, group_sync, under_way: 0 }
    }

    /// Queues an operation.
    pub(super) fn submit(&mut self, token: Token, op: Op) {
        self.under_way += 1;
        let op = match op {
            Op::SyncAll { device, files, laid_out } => {
                let completer = Completer(Arc::clone(&self.shared));
                let request = Request { token, files, laid_out, completer };
                self.group_sync.submit(device, request);
                return;
            }
            // Name servers may take their time, which operations on files must not wait for.
            Op::Resolve { .. } => {
                let completer = Completer(Arc::clone(&self.shared));
                #[allow(clippy::disallowed_methods, reason = "the driver's own threads")]
                std::thread::spawn(move || {
                    let (result, payload) = sys::execute(op);
                    completer.complete(vec![Completion { token, result, payload, more: false }]);
                });
                return;
            }
            op => op,
        };
        let mut queues = self.shared.queues.lock().expect("no helper panics");
        queues.waiting.push_back((token, op));
        if queues.idle < queues.waiting.len() && queues.threads < self.threads_max {
            queues.threads += 1;
            let shared = Arc::clone(&self.shared);
            #[allow(clippy::disallowed_methods, reason = "the driver's own threads")]
            std::thread::Builder::new()
                .name("file".to_owned())
                .spawn(move || run(&shared))
                .expect("a thread can be started");
        }
        self.shared.work.notify_one();
    }

    /// Moves what is done into `completions`.
    pub(super) fn reap(&mut self, completions: &mut Vec<Completion>) {
        if self.under_way == 0 {
            return;
        }
        let mut queues = self.shared.queues.lock().expect("no helper panics");
        self.under_way -= queues.done.len();
        completions.append(&mut queues.done);
    }
}

/// Delivers completions to a driver from another thread, as if its helpers had done the work.
pub(super) struct Completer(Arc<Shared>);

impl Completer {
    /// Whether both deliver to the same driver.
    pub(super) fn same(&self, other: &Completer) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Delivers.
    pub(super) fn complete(&self, mut completions: Vec<Completion>) {
        self.0.queues.lock().expect("no helper panics").done.append(&mut completions);
        sys::signal(&self.0.eventfd);
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.shared.queues.lock().expect("no helper panics").closed = true;
        self.shared.work.notify_all();
    }
}

fn run(shared: &Shared) {
    let mut queues = shared.queues.lock().expect("no helper panics");
    loop {
        let Some((token, op)) = queues.waiting.pop_front() else {
            if queues.closed {
                queues.threads -= 1;
                return;
            }
            queues.idle += 1;
            queues = shared.work.wait(queues).expect("no helper panics");
            queues.idle -= 1;
            continue;
        };
        drop(queues);
        let (result, payload) = sys::execute(op);
        queues = shared.queues.lock().expect("no helper panics");
        queues.done.push(Completion { token, result, payload, more: false });
        sys::signal(&shared.eventfd);
    }
}

//! Group commit across the shards of a node: threads of each file system make durable, in one
//! round, whatever the shards have asked for by then.
//!
//! A sync of a growing file costs a commit of the file system's journal and a flush of the device,
//! however little it covers; so rounds are few and large. While one runs, the requests for the
//! next gather. And where a round would cover little, it waits for half as long as rounds take, if
//! waiting has paid of late (PostgreSQL's commit_delay, learned instead of set).
//!
//! The kernel reports a failed writeback once to each open file description (errseq_t), and marks
//! the pages clean. So no two rounds that overlap ask through the same one: a round beside another
//! syncs the whole file system through a descriptor of its thread. After a first failure no round
//! of that file system succeeds any more: what it lost may belong to anyone.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::helper::Completer;
use super::{Completion, Errno, Fd, Mono, Output, Payload, Token, sys};

/// Requests of fewer bytes than this are in a hurry: nothing waits for company.
const HURRIED_BYTES: u64 = 16 << 10;
/// So many bytes are worth a round of their own, beside one that runs.
const ROUND_BYTES: u64 = 1 << 20;
/// Rounds of one file system at a time.
const ROUNDS_AT_ONCE: usize = 2;
/// No request waits longer than this for company.
const WAIT_NS_MAX: u64 = 2_000_000;
/// One round in so many tries again what has not paid.
const PROBE_ONE_IN: u64 = 32;

/// The sync threads of a node, by the file systems that its shards write to.
#[derive(Default)]
pub(super) struct GroupSync {
    groups: Mutex<Vec<(u64, Arc<Group>)>>,
}

struct Group {
    /// To sync anything is to flush the device for all.
    one_flush: bool,
    gathering: Mutex<Gathering>,
    changed: Condvar,
}

#[derive(Default)]
struct Gathering {
    requests: Vec<Request>,
    bytes: u64,
    /// When the first of them came.
    since: Mono,
    /// Rounds that run.
    running: usize,
    patience: Patience,
    costs: Costs,
    failed: Option<Errno>,
    closed: bool,
}

/// Files to be made durable, and who wants to know.
pub(super) struct Request {
    pub(super) token: Token,
    pub(super) files: Vec<Fd>,
    /// Those that need no more than a flush of the device.
    pub(super) laid_out: Vec<Fd>,
    /// About how much was written to them.
    pub(super) bytes: u64,
    pub(super) completer: Completer,
}

impl GroupSync {
    /// Adds a request to the next round of its file system.
    pub(super) fn submit(&self, request: Request) {
        let first = request.files.iter().chain(&request.laid_out).next();
        let first = *first.expect("a request has a file");
        let device = sys::device_of(first);
        let mut groups = self.groups.lock().expect("no sync thread panics");
        let known = groups.iter().position(|(of, _)| *of == device);
        let at = known.unwrap_or_else(|| {
            groups.push((device, Group::start(first)));
            groups.len() - 1
        });
        groups[at].1.add(request);
    }
}

impl Drop for GroupSync {
    fn drop(&mut self) {
        for (_, group) in self.groups.get_mut().expect("no sync thread panics") {
            group.gathering.lock().expect("no sync thread panics").closed = true;
            group.changed.notify_all();
        }
    }
}

impl Group {
    fn start(first: Fd) -> Arc<Group> {
        let (gathering, changed) = (Mutex::default(), Condvar::new());
        let one_flush = sys::any_sync_flushes(first);
        let group = Arc::new(Group { one_flush, gathering, changed });
        for _ in 0..ROUNDS_AT_ONCE {
            let run = Arc::clone(&group);
            // Without one the thread syncs files one by one, and never beside another.
            let own = sys::open_dir_of(first).ok();
            #[allow(clippy::disallowed_methods, reason = "the driver's own threads")]
            std::thread::Builder::new()
                .name("sync".to_owned())
                .spawn(move || run.run(own.as_ref()))
                .expect("a thread can be started");
        }
        group
    }

    fn add(&self, request: Request) {
        let mut gathering = self.gathering.lock().expect("no sync thread panics");
        let first = gathering.requests.is_empty();
        if first {
            gathering.since = sys::monotonic();
        }
        let before = gathering.bytes;
        gathering.bytes += request.bytes;
        let enough = before < ROUND_BYTES && gathering.bytes >= ROUND_BYTES;
        gathering.requests.push(request);
        if first || enough {
            self.changed.notify_one();
        }
    }

    fn run(&self, own: Option<&OwnedFd>) {
        let mut gathering = self.gathering.lock().expect("no sync thread panics");
        loop {
            let beside = gathering.running > 0;
            let crowded = beside && (gathering.bytes < ROUND_BYTES || own.is_none());
            if gathering.requests.is_empty() || crowded {
                if gathering.closed {
                    return;
                }
                gathering = self.changed.wait(gathering).expect("no sync thread panics");
                continue;
            }
            if let Some(wait) = gathering.company_wait(sys::monotonic()) {
                let waited = self.changed.wait_timeout(gathering, wait);
                gathering = waited.expect("no sync thread panics").0;
                continue;
            }
            let requests = std::mem::take(&mut gathering.requests);
            gathering.patience.note(requests.len());
            gathering.bytes = 0;
            gathering.running += 1;
            let files = requests.iter().flat_map(|r| &r.files).copied().collect();
            let laid_out = requests.iter().flat_map(|r| &r.laid_out).copied().collect();
            let files = files_to_sync(files, laid_out, self.one_flush && own.is_some());
            let cheaper = files.len() < 2 || gathering.costs.prefers_one_by_one(files.len());
            let whole = own.filter(|_| !files.is_empty() && (beside || !cheaper));
            let failed = gathering.failed;
            drop(gathering);
            let start = sys::monotonic();
            let results = match failed {
                Some(errno) => vec![Err(errno); requests.len()],
                None => sync(&requests, &files, whole, own),
            };
            let took_ns = sys::monotonic().0 - start.0;
            let (one_by_one, failure) = (whole.is_none(), results.iter().find_map(|r| r.err()));
            if failure.is_some() {
                self.gathering.lock().expect("no sync thread panics").failed = failure;
            }
            answer(requests, results);
            gathering = self.gathering.lock().expect("no sync thread panics");
            gathering.running -= 1;
            gathering.patience.learn(took_ns);
            if files.len() > 1 {
                gathering.costs.learn(one_by_one, took_ns, files.len());
            }
        }
    }
}

impl Gathering {
    fn company_wait(&mut self, now: Mono) -> Option<Duration> {
        if self.closed || self.running > 0 {
            return None;
        }
        self.patience.wait(self.requests.len(), self.bytes, self.since, now)
    }
}

/// Whether to wait for company.
#[derive(Default)]
struct Patience {
    rounds: u64,
    /// What a round has taken of late.
    round_ns: u64,
    /// Requests there when the wait for this round began; 0: it has not waited.
    had: usize,
    /// How often waiting has paid of late, less how often it has not.
    credit: i32,
}

impl Patience {
    fn wait(&mut self, requests: usize, bytes: u64, since: Mono, now: Mono) -> Option<Duration> {
        let worth_waiting = (HURRIED_BYTES..ROUND_BYTES).contains(&bytes);
        let probing = self.rounds.is_multiple_of(PROBE_ONE_IN);
        if !worth_waiting || (self.credit < 0 && !probing) {
            return None;
        }
        if self.had == 0 {
            self.had = requests;
        }
        let until = since.0 + (self.round_ns / 2).min(WAIT_NS_MAX);
        (until > now.0).then(|| Duration::from_nanos(until - now.0))
    }

    fn learn(&mut self, round_ns: u64) {
        self.round_ns = (self.round_ns * 7 + round_ns) / 8;
    }

    fn note(&mut self, requests: usize) {
        self.rounds += 1;
        if self.had > 0 {
            let paid = requests > self.had;
            self.credit = (self.credit + if paid { 1 } else { -1 }).clamp(-2, 4);
        }
        self.had = 0;
    }
}

/// What making several files durable has cost of late, in nanoseconds; 0 is unknown.
#[derive(Default)]
struct Costs {
    /// For each file.
    one_by_one: u64,
    /// For a round: it is about the same for two files and for fifty.
    all_at_once: u64,
    rounds: u64,
}

impl Costs {
    fn prefers_one_by_one(&mut self, files: usize) -> bool {
        self.rounds += 1;
        let (one, all) = (self.one_by_one, self.all_at_once);
        let better = one == 0 || (all != 0 && one * files as u64 <= all);
        better != self.rounds.is_multiple_of(2 * PROBE_ONE_IN)
    }

    fn learn(&mut self, one_by_one: bool, took_ns: u64, files: usize) {
        let (slot, cost_ns) = match one_by_one {
            true => (&mut self.one_by_one, took_ns / files as u64),
            false => (&mut self.all_at_once, took_ns),
        };
        *slot = if *slot == 0 { cost_ns.max(1) } else { (*slot * 7 + cost_ns) / 8 };
    }
}

/// Makes the files of all `requests` durable: `files`, each once, one by one or with the `whole`
/// file system; without any of them it flushes the device, by syncing `own`. The results, request
/// by request.
fn sync(
    requests: &[Request],
    files: &[Fd],
    whole: Option<&OwnedFd>,
    own: Option<&OwnedFd>,
) -> Vec<Result<(), Errno>> {
    if let Some(whole) = whole {
        return vec![sys::sync_fs(whole); requests.len()];
    }
    if let Some(own) = own.filter(|_| files.is_empty()) {
        return vec![sys::fdatasync(Fd(own.as_raw_fd())); requests.len()];
    }
    if files.len() > 1 {
        // The device works on all of them while the first is waited for. Only a head start: what
        // fails here fails again below.
        files.iter().for_each(|file| sys::start_writeback(*file));
    }
    let synced: Vec<Result<(), Errno>> = files.iter().map(|file| sys::fdatasync(*file)).collect();
    let result_of =
        |file: &Fd| synced[files.binary_search(file).expect("every request's files are synced")];
    // Each of the syncs has flushed the device, if it succeeded.
    let flushed = synced.iter().try_for_each(|result| *result);
    let of_request = |request: &Request| match request.laid_out.is_empty() {
        true => request.files.iter().try_for_each(result_of),
        false => flushed,
    };
    requests.iter().map(of_request).collect()
}

/// What of a round is to be synced file by file, sorted and each once: where a flush of the device
/// is enough for files that are laid out, and any sync flushes it, not those.
fn files_to_sync(mut files: Vec<Fd>, laid_out: Vec<Fd>, one_flush: bool) -> Vec<Fd> {
    if !one_flush {
        files.extend(laid_out);
    }
    files.sort_unstable();
    files.dedup();
    files
}

/// Tells the drivers, each once.
fn answer(requests: Vec<Request>, results: Vec<Result<(), Errno>>) {
    let mut by_driver: Vec<(Completer, Vec<Completion>)> = Vec::new();
    for (Request { token, completer, .. }, result) in requests.into_iter().zip(results) {
        let result = result.map(|()| Output::Unit);
        let completion = Completion { token, result, payload: Payload::None, more: false };
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
    use super::*;

    fn wait(patience: &mut Patience, bytes: u64, since: u64, now: u64) -> Option<u128> {
        patience.wait(1, bytes, Mono(since), Mono(now)).map(|wait| wait.as_nanos())
    }

    #[test]
    fn little_and_much_wait_for_nothing() {
        let mut patience = Patience { round_ns: 1000, ..Patience::default() };
        assert_eq!(wait(&mut patience, HURRIED_BYTES - 1, 5, 5), None);
        assert_eq!(wait(&mut patience, ROUND_BYTES, 5, 5), None);
        assert_eq!(wait(&mut patience, ROUND_BYTES - 1, 5, 5), Some(500));
    }

    #[test]
    fn company_is_waited_for_half_a_round_and_not_for_long() {
        let mut patience = Patience { round_ns: 1000, ..Patience::default() };
        assert_eq!(wait(&mut patience, HURRIED_BYTES, 7, 7), Some(500));
        assert_eq!(wait(&mut patience, HURRIED_BYTES, 7, 506), Some(1));
        assert_eq!(wait(&mut patience, HURRIED_BYTES, 7, 507), None);
        patience.round_ns = 3 * WAIT_NS_MAX;
        let longest = wait(&mut patience, HURRIED_BYTES, 7, 7);
        assert_eq!(longest, Some(u128::from(WAIT_NS_MAX)));
    }

    #[test]
    fn waiting_that_does_not_pay_is_given_up_and_tried_again_now_and_then() {
        let mut patience = Patience { round_ns: 1000, ..Patience::default() };
        let mut waited = 0;
        for _ in 0..PROBE_ONE_IN * 4 {
            waited += u64::from(wait(&mut patience, HURRIED_BYTES, 0, 0).is_some());
            patience.note(1);
        }
        assert!((4..8).contains(&waited), "waited {waited} times");
        for _ in 0..PROBE_ONE_IN * 4 {
            wait(&mut patience, HURRIED_BYTES, 0, 0);
            patience.note(2);
        }
        assert!(wait(&mut patience, HURRIED_BYTES, 0, 0).is_some());
    }

    #[test]
    fn laid_out_files_share_one_sync_where_any_sync_flushes_the_device() {
        let fds = |numbers: &[i32]| numbers.iter().copied().map(Fd).collect::<Vec<_>>();
        let files_of = |files: &[i32], laid_out: &[i32], one_flush| {
            files_to_sync(fds(files), fds(laid_out), one_flush)
        };
        assert_eq!(files_of(&[], &[9, 7, 7], true), fds(&[]));
        assert_eq!(files_of(&[5, 4, 5], &[9, 7], true), fds(&[4, 5]));
        assert_eq!(files_of(&[5], &[9, 7, 5], false), fds(&[5, 7, 9]));
    }

    #[test]
    fn both_methods_are_tried_and_the_cheaper_one_is_kept() {
        let mut costs = Costs::default();
        let mut one_by_one = 0;
        for _ in 0..PROBE_ONE_IN * 4 {
            let one = costs.prefers_one_by_one(2);
            one_by_one += u64::from(one);
            costs.learn(one, if one { 100 } else { 10 }, 2);
        }
        assert!((1..5).contains(&one_by_one), "the dear method was taken {one_by_one} times");
    }

    #[test]
    fn many_files_are_synced_all_at_once_and_few_one_by_one() {
        let mut costs = Costs::default();
        costs.learn(true, 200, 2);
        costs.learn(false, 450, 2);
        assert!(costs.prefers_one_by_one(4));
        assert!(!costs.prefers_one_by_one(5));
        costs.learn(false, 450, 50);
        assert!(costs.prefers_one_by_one(4), "what a round costs does not grow with its files");
    }
}

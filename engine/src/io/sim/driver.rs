//! [`SimDriver`]: a shard's driver in the simulated [`World`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::disk::{Covered, CrashProfile, SimDisk};
use super::explore::Explorer;
use super::net::SimNet;
use crate::io::sync_plan::{RequestId, SyncEffect, SyncPlan};
use crate::io::{Buf, Completion, Driver, Errno, Fd, Mono, Op, Output, Payload, Token, Unpark};
use crate::shard::{Pick, Shard, ShardOptions};
use crate::stdx::prng::Prng;
use crate::types::ShardId;

/// A device answers within this time, at random.
const DEVICE_NS_MAX: u64 = 300_000;
/// A stream delivers within this time, at random.
const NETWORK_NS_MAX: u64 = 100_000;
/// How soon a socket operation that found nothing to do looks again.
const RETRY_NS: u64 = 50_000;
/// Size of the pieces of a multishot receive.
const RECV_BYTES: usize = 4096;

/// Everything outside the shards of a simulation.
pub struct World {
    prng: Prng,
    now: Mono,
    unix_ms_at_start: i64,
    /// The disk of the node.
    pub disk: SimDisk,
    net: SimNet,
    next_fd: i32,
    pending: BTreeMap<(Mono, u64), PendingOp>,
    sequence: u64,
    /// Which files are synced when, and who waits for it.
    sync_plan: SyncPlan,
    sync_requests: BTreeMap<RequestId, (usize, Token)>,
    shards: Vec<ShardSide>,
    explorer: Option<Rc<RefCell<Explorer>>>,
}

#[derive(Default)]
struct ShardSide {
    completions: Vec<Completion>,
    woken: bool,
}

struct PendingOp {
    asked_by: Asker,
    op: Op,
    /// By a sync.
    covered: Covered,
    cancelled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Shard(usize, Token),
    SyncPlan,
}

enum Step {
    Done(Result<Output, Errno>, Payload),
    /// One of many completions.
    More(Result<Output, Errno>, Payload),
    Again(Op),
}

impl World {
    /// A world for one node of `shards` shards, all of it decided by `seed`.
    pub fn new(seed: u64, shards: usize, profile: CrashProfile) -> Rc<RefCell<World>> {
        Rc::new(RefCell::new(World {
            prng: Prng::new(seed),
            now: Mono(1_000_000_000),
            unix_ms_at_start: 1_700_000_000_000,
            disk: SimDisk::new(profile),
            net: SimNet::default(),
            next_fd: 3,
            pending: BTreeMap::new(),
            sequence: 0,
            sync_plan: SyncPlan::new(profile == CrashProfile::Ext4),
            sync_requests: BTreeMap::new(),
            shards: (0..shards).map(|_| ShardSide::default()).collect(),
            explorer: None,
        }))
    }

    /// From now on `explorer` says what happens next, until it is taken away with `None`.
    pub fn explore(&mut self, explorer: Option<&Rc<RefCell<Explorer>>>) {
        self.explorer = explorer.cloned();
    }

    /// The world's random numbers.
    pub fn prng(&mut self) -> &mut Prng {
        &mut self.prng
    }

    /// Power failure: operations in flight may have happened or not, and unsynced data is lost in
    /// part. The shards must have been abandoned.
    pub fn crash(&mut self) {
        self.settle_in_flight();
        let mut prng = self.prng.clone();
        self.disk.crash(&mut prng);
        self.prng = prng;
        self.reset_shards();
    }

    /// The process is killed: operations in flight may have happened or not, and all that was
    /// written stays.
    pub fn kill(&mut self) {
        self.settle_in_flight();
        self.disk.kill();
        self.reset_shards();
    }

    fn settle_in_flight(&mut self) {
        for ((..), pending) in std::mem::take(&mut self.pending) {
            if matches!(pending.op, Op::Write { .. } | Op::SetLen { .. }) && self.prng.chance(1, 2)
            {
                // Its outcome reaches nobody.
                let _ = self.step(pending.op, &pending.covered);
            }
        }
    }

    fn reset_shards(&mut self) {
        self.net = SimNet::default();
        self.sync_plan = SyncPlan::new(self.disk.profile == CrashProfile::Ext4);
        self.sync_requests.clear();
        for side in &mut self.shards {
            *side = ShardSide::default();
        }
    }

    /// Breaks a connection.
    pub fn reset_connection(&mut self, socket: Fd) {
        self.net.reset(socket.0);
    }

    fn fd(&mut self) -> i32 {
        self.next_fd += 1;
        self.next_fd
    }

    fn unix_ms(&self) -> i64 {
        self.unix_ms_at_start + (self.now.0 / 1_000_000) as i64
    }

    fn enqueue(&mut self, pending: PendingOp, delay_ns: u64) {
        self.sequence += 1;
        self.pending.insert((Mono(self.now.0 + delay_ns), self.sequence), pending);
    }

    fn submit(&mut self, shard: usize, token: Token, op: Op) -> Option<Completion> {
        if op.is_immediate() || matches!(op, Op::Close { .. } | Op::CloseFile { .. }) {
            let Step::Done(result, payload) = self.step(op, &Covered::new()) else {
                unreachable!("complete at submission")
            };
            return Some(Completion { token, result, payload, more: false });
        }
        if let Op::SyncAll { files, laid_out, .. } = &op {
            let mut effects = Vec::new();
            let id = self.sync_plan.on_request(files, laid_out, &mut effects);
            self.sync_requests.insert(id, (shard, token));
            self.carry_out_syncs(effects);
            return None;
        }
        self.begin(Asker::Shard(shard, token), op);
        None
    }

    fn begin(&mut self, asked_by: Asker, op: Op) {
        let covered = match &op {
            Op::Fdatasync { .. } => self.disk.covered(),
            _ => Covered::new(),
        };
        let network = matches!(
            op,
            Op::Accept { .. }
                | Op::Connect { .. }
                | Op::Recv { .. }
                | Op::RecvMulti { .. }
                | Op::Send { .. }
                | Op::SendFile { .. }
        );
        let delay = self.prng.below(if network { NETWORK_NS_MAX } else { DEVICE_NS_MAX })
            + self.slowness_of(&op);
        self.enqueue(PendingOp { asked_by, op, covered, cancelled: false }, delay);
    }

    fn carry_out_syncs(&mut self, effects: Vec<SyncEffect>) {
        for effect in effects {
            match effect {
                SyncEffect::Start(file) => self.begin(Asker::SyncPlan, Op::Fdatasync { file }),
                SyncEffect::Done(id, result) => {
                    let asked = self.sync_requests.remove(&id);
                    let (shard, token) = asked.expect("a request is done once");
                    let result = result.map(|()| Output::Unit);
                    let payload = Payload::None;
                    self.deliver(shard, Completion { token, result, payload, more: false });
                }
            }
        }
    }

    fn slowness_of(&self, op: &Op) -> u64 {
        match op {
            Op::Read { file, .. }
            | Op::Write { file, .. }
            | Op::WriteZeroes { file, .. }
            | Op::Fdatasync { file }
            | Op::SetLen { file, .. }
            | Op::Allocate { file, .. } => self.disk.delay_ns(None, &[file.0]),
            Op::Open { path, .. }
            | Op::Unlink { path }
            | Op::SyncDir { path }
            | Op::List { path }
            | Op::Stat { path }
            | Op::Rename { from: path, .. } => self.disk.delay_ns(Some(path), &[]),
            _ => 0,
        }
    }

    /// Carries out everything due at `now`.
    fn run_due(&mut self) {
        while let Some(entry) = self.pending.first_entry() {
            if entry.key().0 > self.now {
                return;
            }
            let pending = entry.remove();
            self.carry_out(pending);
        }
    }

    /// Carries out one operation, whenever it is due: the one that the explorer says.
    fn run_chosen(&mut self, explorer: &RefCell<Explorer>) {
        let at = explorer.borrow_mut().choose(self.pending.len());
        let key = *self.pending.keys().nth(at).expect("one of those that are pending");
        let pending = self.pending.remove(&key).expect("just seen");
        self.carry_out(pending);
    }

    fn carry_out(&mut self, pending: PendingOp) {
        let PendingOp { asked_by, op, covered, cancelled } = pending;
        let Asker::Shard(shard, token) = asked_by else {
            let Op::Fdatasync { file } = op else { unreachable!("it asks for nothing else") };
            let Step::Done(result, _) = self.step(op, &covered) else {
                unreachable!("a sync ends")
            };
            let mut effects = Vec::new();
            self.sync_plan.on_synced(file, result.map(drop), &mut effects);
            return self.carry_out_syncs(effects);
        };
        if cancelled {
            let payload = payload_of(op);
            let result = Err(Errno::ECANCELED);
            self.deliver(shard, Completion { token, result, payload, more: false });
            return;
        }
        let again = match &op {
            Op::Accept { listener } => Some(Op::Accept { listener: *listener }),
            Op::RecvMulti { socket } => Some(Op::RecvMulti { socket: *socket }),
            _ => None,
        };
        match self.step(op, &covered) {
            Step::Done(result, payload) => {
                self.deliver(shard, Completion { token, result, payload, more: false });
            }
            Step::More(result, payload) => {
                self.deliver(shard, Completion { token, result, payload, more: true });
                let op = again.expect("only these complete many times");
                let delay = self.prng.below(NETWORK_NS_MAX);
                self.enqueue(PendingOp { asked_by, op, covered, cancelled }, delay);
            }
            Step::Again(op) => {
                self.enqueue(PendingOp { asked_by, op, covered, cancelled }, RETRY_NS);
            }
        }
    }

    fn deliver(&mut self, shard: usize, completion: Completion) {
        self.shards[shard].completions.push(completion);
    }

    fn step(&mut self, op: Op, covered: &Covered) -> Step {
        if self.is_unlucky(&op) {
            match op {
                // It fails as it is carried out: what it covered is lost.
                Op::Fdatasync { .. } | Op::SyncDir { .. } => {
                    self.disk.faults.sync_error_after = Some(0);
                }
                other => return Step::Done(Err(Errno::EIO), payload_of(other)),
            }
        }
        match op {
            Op::Read { file, buf, len, offset, .. } => self.step_read(file, buf, len, offset),
            Op::Write { file, chunks, offset, .. } => {
                let bytes: Vec<u8> =
                    chunks.iter().flat_map(|chunk| chunk.as_slice().iter().copied()).collect();
                let now_ms = self.unix_ms();
                let written =
                    self.disk.write(file.0, offset as usize, &bytes, &mut self.prng, now_ms);
                Step::Done(written.map(Output::Count), Payload::Chunks(chunks))
            }
            Op::Accept { listener } => match self.net.accept(listener.0) {
                Some(fd) => {
                    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
                    Step::More(Ok(Output::Accepted { socket: Fd(fd), peer }), Payload::None)
                }
                None => Step::Again(Op::Accept { listener }),
            },
            Op::Recv { socket, buf, len, all } => self.step_recv(socket, buf, len, all),
            Op::RecvMulti { socket } => match self.net.recv(socket.0, RECV_BYTES, &mut self.prng) {
                None => Step::Again(Op::RecvMulti { socket }),
                Some(Ok(bytes)) => {
                    let result = Ok(Output::Count(bytes.len()));
                    let payload = Payload::Buf(Buf::copy_of(&bytes));
                    if bytes.is_empty() {
                        Step::Done(result, payload)
                    } else {
                        Step::More(result, payload)
                    }
                }
                Some(Err(errno)) => Step::Done(Err(errno), Payload::None),
            },
            Op::Send { socket, chunks, more } => {
                let bytes: Vec<u8> =
                    chunks.iter().flat_map(|chunk| chunk.as_slice().iter().copied()).collect();
                match self.net.send(socket.0, &bytes, &mut self.prng) {
                    None => Step::Again(Op::Send { socket, chunks, more }),
                    Some(sent) => Step::Done(sent.map(Output::Count), Payload::Chunks(chunks)),
                }
            }
            Op::SendFile { socket, file, offset, len, more, path } => {
                let mut calm = Prng::new(0);
                let bytes = match self.disk.read(file.0, offset as usize, len, &mut calm) {
                    Ok(bytes) if bytes.is_empty() => {
                        return Step::Done(Ok(Output::Count(0)), Payload::None);
                    }
                    Ok(bytes) => bytes,
                    Err(errno) => return Step::Done(Err(errno), Payload::None),
                };
                match self.net.send(socket.0, &bytes, &mut self.prng) {
                    None => Step::Again(Op::SendFile { socket, file, offset, len, more, path }),
                    Some(sent) => Step::Done(sent.map(Output::Count), Payload::None),
                }
            }
            op => Step::Done(self.step_bare(op, covered), Payload::None),
        }
    }

    fn is_unlucky(&mut self, op: &Op) -> bool {
        let fails = op.on_file().is_some()
            && !matches!(
                op,
                Op::CacheStat { .. }
                    | Op::DropCache { .. }
                    | Op::ReadAhead { .. }
                    | Op::Lock { .. }
            );
        let once_in = self.disk.faults.error_once_in.filter(|_| fails);
        once_in.is_some_and(|n| self.prng.chance(1, n))
    }

    fn step_read(&mut self, file: Fd, mut buf: Buf, len: usize, offset: u64) -> Step {
        let result = self.disk.read(file.0, offset as usize, len, &mut self.prng).map(|bytes| {
            buf.extend_from_slice(&bytes);
            Output::Count(bytes.len())
        });
        Step::Done(result, Payload::Buf(buf))
    }

    fn step_recv(&mut self, socket: Fd, mut buf: Buf, len: usize, all: bool) -> Step {
        match self.net.recv(socket.0, len, &mut self.prng) {
            None => Step::Again(Op::Recv { socket, buf, len, all }),
            Some(Ok(bytes)) => {
                buf.extend_from_slice(&bytes);
                Step::Done(Ok(Output::Count(bytes.len())), Payload::Buf(buf))
            }
            Some(Err(errno)) => Step::Done(Err(errno), Payload::Buf(buf)),
        }
    }

    fn write_zeroes(&mut self, file: Fd, mut at: usize, end: usize) -> Result<(), Errno> {
        // One file system can, another cannot.
        if self.prng.chance(1, 2) {
            return Err(Errno::EOPNOTSUPP);
        }
        let now_ms = self.unix_ms();
        while at < end {
            let zeros = vec![0; end - at];
            at += self.disk.write(file.0, at, &zeros, &mut self.prng, now_ms)?;
        }
        Ok(())
    }

    fn step_bare(&mut self, op: Op, covered: &Covered) -> Result<Output, Errno> {
        let now_ms = self.unix_ms();
        let unit = |()| Output::Unit;
        match op {
            Op::Open { path, options } => {
                let fd = self.fd();
                self.disk.open(fd, &path, options, now_ms).map(|()| Output::Fd(Fd(fd)))
            }
            Op::Lock { path } => {
                let fd = self.fd();
                self.disk.lock(fd, &path, now_ms).map(|()| Output::Fd(Fd(fd)))
            }
            Op::Fdatasync { file } => self.disk.sync(file.0, covered).map(unit),
            Op::WriteZeroes { file, offset, len } => {
                self.write_zeroes(file, offset as usize, (offset + len) as usize).map(unit)
            }
            Op::Allocate { file, offset, len, keep_size } => {
                if keep_size {
                    return Ok(Output::Unit);
                }
                self.disk.extend(file.0, (offset + len) as usize).map(unit)
            }
            Op::SetLen { file, len } => self.disk.set_len(file.0, len as usize).map(unit),
            Op::Close { fd } | Op::CloseFile { fd } => {
                let known = self.disk.close(fd.0) | self.net.close(fd.0);
                if known { Ok(Output::Unit) } else { Err(Errno::EBADF) }
            }
            Op::MakeDir { path } => self.disk.make_dir(&path).map(unit),
            Op::Rename { from, to } => self.disk.rename(&from, &to).map(unit),
            Op::Unlink { path } => self.disk.unlink(&path).map(unit),
            Op::RemoveDir { path } => self.disk.remove_dir(&path).map(unit),
            Op::SyncDir { path } => self.disk.sync_dir(&path).map(unit),
            Op::List { path } => self.disk.list(&path).map(Output::Names),
            Op::Stat { path } => self.disk.stat(&path).map(Output::Stat),
            Op::SetTimes { path, modified_ms } => self.disk.set_times(&path, modified_ms).map(unit),
            Op::StatFs { .. } => {
                let total_bytes = self.disk.faults.capacity_bytes.unwrap_or(1 << 40);
                Ok(Output::Space { total_bytes, available_bytes: total_bytes })
            }
            Op::DropCache { file, .. } => self.disk.drop_cache(file.0).map(unit),
            Op::ReadAhead { .. } => Ok(Output::Unit),
            Op::CacheStat { len, .. } => Ok(Output::Cached { bytes: len }),
            Op::Listen { address, .. } => {
                let fd = self.fd();
                let port = self.net.listen(fd, address.port())?;
                Ok(Output::Listening { listener: Fd(fd), port })
            }
            Op::Connect { address } => {
                let (client, server) = (self.fd(), self.fd());
                self.net.connect(client, server, address.port())?;
                Ok(Output::Fd(Fd(client)))
            }
            Op::Resolve { host } => Ok(Output::Addresses(host.parse().into_iter().collect())),
            Op::BytesAcked { .. } => Ok(Output::Count(0)),
            Op::Shutdown { socket } => {
                self.net.shutdown(socket.0);
                Ok(Output::Unit)
            }
            op => unreachable!("handled by step: {op:?}"),
        }
    }
}

fn payload_of(op: Op) -> Payload {
    match op {
        Op::Read { buf, .. } | Op::Recv { buf, .. } => Payload::Buf(buf),
        Op::Write { chunks, .. } | Op::Send { chunks, .. } => Payload::Chunks(chunks),
        _ => Payload::None,
    }
}

/// A shard's driver in a [`World`].
pub struct SimDriver {
    world: Rc<RefCell<World>>,
    shard: usize,
}

impl SimDriver {
    /// The driver of shard `shard`.
    pub fn new(world: Rc<RefCell<World>>, shard: usize) -> Self {
        Self { world, shard }
    }
}

struct NoUnpark;

impl Unpark for NoUnpark {
    fn unpark(&self) {}
}

impl Driver for SimDriver {
    fn submit(&mut self, token: Token, op: Op) -> Option<Completion> {
        self.world.borrow_mut().submit(self.shard, token, op)
    }

    fn cancel(&mut self, token: Token) {
        let mut world = self.world.borrow_mut();
        let shard = self.shard;
        for pending in world.pending.values_mut() {
            pending.cancelled |= pending.asked_by == Asker::Shard(shard, token);
        }
    }

    /// Time passes only while a shard waits here with nothing to do.
    fn poll(&mut self, deadline: Option<Mono>, completions: &mut Vec<Completion>) {
        let mut world = self.world.borrow_mut();
        let explorer = world.explorer.clone().filter(|_| !world.pending.is_empty());
        if let Some(explorer) = explorer {
            // A shard that has something to do does it first.
            if deadline.is_none_or(|deadline| deadline > world.now) {
                world.run_chosen(&explorer);
            }
            completions.append(&mut world.shards[self.shard].completions);
            return;
        }
        world.run_due();
        let side = &mut world.shards[self.shard];
        if side.completions.is_empty() && !std::mem::take(&mut side.woken) {
            let next = world.pending.keys().next().map(|(at, _)| *at);
            let until = match (deadline, next) {
                (Some(deadline), Some(next)) => deadline.min(next),
                (Some(deadline), None) => deadline,
                (None, Some(next)) => next,
                (None, None) => panic!("deadlock: the shard waits, and nothing can happen"),
            };
            world.now = world.now.max(until);
            world.run_due();
        }
        completions.append(&mut world.shards[self.shard].completions);
    }

    fn now(&self) -> Mono {
        self.world.borrow().now
    }

    fn unix_ms(&self) -> i64 {
        self.world.borrow().unix_ms()
    }

    fn random(&mut self) -> u64 {
        self.world.borrow_mut().prng.next_u64()
    }

    fn wake(&mut self, shard: usize) {
        self.world.borrow_mut().shards[shard].woken = true;
    }

    fn unparker(&self) -> Arc<dyn Unpark> {
        Arc::new(NoUnpark)
    }

    fn describe(&self) -> String {
        "simulated".to_owned()
    }
}

/// Picks the next task: at random, or as the explorer says.
fn picker(world: &Rc<RefCell<World>>) -> impl FnMut(usize) -> usize + 'static {
    let mut prng = Prng::new(world.borrow_mut().prng.next_u64());
    let world = Rc::clone(world);
    move |count| {
        let explorer = world.borrow().explorer.clone();
        match explorer {
            Some(explorer) => explorer.borrow_mut().choose(count),
            None => prng.index(count),
        }
    }
}

/// Runs `main` on a single simulated shard, then drops whatever still runs there, as a crash would.
/// The world stays, with its disk.
pub fn block_on<T: 'static, F: Future<Output = T> + 'static>(
    world: &Rc<RefCell<World>>,
    main: impl FnOnce(Shard) -> F,
) -> T {
    run_turns(world, u64::MAX, main).expect("only the end of main ends it")
}

/// As [`block_on`], but stops after so many turns of the shard: `None` if `main` was not done.
pub fn run_turns<T: 'static, F: Future<Output = T> + 'static>(
    world: &Rc<RefCell<World>>,
    turns_max: u64,
    main: impl FnOnce(Shard) -> F,
) -> Option<T> {
    let pick: Pick = Box::new(picker(world));
    let driver = Box::new(SimDriver::new(Rc::clone(world), 0));
    let options = ShardOptions { pick: Some(pick), ..ShardOptions::default() };
    let shard = Shard::new(ShardId(0), driver, options);
    let result = shard.run_turns(turns_max, main(shard.clone()));
    shard.abandon();
    result
}

//! The seam between Ringlog and the world: one [`Driver`], one closed set of operations ([`Op`]).
//!
//! A shard submits operations and polls for their completions; that is all the input and output
//! there is. Three things follow. The driver can be replaced whole: io_uring, or a simulation in
//! which disks tear and clocks jump from one seed (`io::sim`). An operation that has no ring opcode
//! runs on a helper thread of the driver, and nobody above can tell. And nothing above ever waits.
//!
//! Ownership: buffers move into the operation and come back with its completion. Completions arrive
//! in any order. Nothing is cancelled by dropping: [`Driver::cancel`] asks, and the completion
//! still arrives, with the buffers. Operations may be short (a read, a write, a receive): those who
//! need all bytes ask again for the rest (`shard::File` and `shard::Socket` do).
//!
//! This module carries bytes. It knows no batches, offsets or topics.

mod buffer;
pub mod epoll;
mod errno;
mod group_sync;
mod helper;
mod memory;
mod plan;
#[cfg(feature = "sim")]
pub mod sim;
mod sync_plan;
mod sys;
pub mod uring;

pub use buffer::{
    BLOCK_BYTES_POOLED_MAX, BUF_ALIGN, Buf, Chunk, advance_chunks, chunks_len, pool_free_bytes,
    set_pool_limit,
};
pub use errno::Errno;
pub use memory::memory_bytes;
pub use plan::{DriverChoice, DriverPlan, NoUring};
pub use sys::{
    StopSignals, available_cpus, host_name, keep_freed_memory, monotonic_ns, pin_to_cpu,
    process_cpu_ns, raise_open_files_max, random_u64, set_realtime, thread_id,
};

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// Nanoseconds on the driver's monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// The moment `ms` milliseconds later.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Mono {
        Mono(self.0.saturating_add(ms.saturating_mul(1_000_000)))
    }

    /// Whole milliseconds since `earlier`, 0 if that is later.
    pub fn ms_since(self, earlier: Mono) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }
}

/// An open file or socket. Valid for every driver of the node that opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fd(pub i32);

/// Names an operation between its submission and its last completion. Dense and reused.
pub type Token = u32;

/// How a file is opened. Files are always opened for reading, and close on exec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Open for writing too.
    pub write: bool,
    /// Make the file if it is missing.
    pub create: bool,
    /// Fail with EEXIST if it is there.
    pub create_new: bool,
    /// Cut it to length 0.
    pub truncate: bool,
    /// O_DIRECT: offsets, lengths and memory must be aligned to [`BUF_ALIGN`]. EOPNOTSUPP where the
    /// file system would use the page cache all the same.
    pub direct: bool,
}

/// Who carries out a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritePath {
    /// The ring: punted to a kernel worker where the file system cannot write without blocking.
    Ring,
    /// A blocking pwritev on the shard's own thread, complete at submission. Cheapest for buffered
    /// writes, which only copy into the page cache (docs/decisions).
    Blocking,
    /// The same, and the pages go once they are on the disk (RWF_DONTCACHE). EOPNOTSUPP where the
    /// kernel or the file system cannot.
    Uncached,
}

/// How a read treats pages that are not in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPath {
    /// Through the ring, waiting for the device.
    Ring,
    /// At once or EAGAIN (RWF_NOWAIT); complete at submission.
    NoWait,
}

/// How bytes of a file get to a socket without a copy through user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendPath {
    /// sendfile(2).
    SendFile,
    /// splice(2) into a pipe and out of it.
    Splice,
}

/// A listening socket's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Length of the queue of connections not yet accepted.
    pub backlog: u32,
    /// SO_RCVBUF of the connections, unless `None`.
    pub receive_buffer_bytes: Option<u32>,
    /// SO_SNDBUF of the connections, unless `None`.
    pub send_buffer_bytes: Option<u32>,
}

/// Everything a shard can ask of the world.
#[allow(missing_docs, reason = "the text of a variant names its fields")]
#[derive(Debug)]
pub enum Op {
    /// Opens a file. Gives [`Output::Fd`].
    Open { path: PathBuf, options: OpenOptions },
    /// Reads up to `len` bytes at `offset`, appending to `buf`. Short only at the end of the file
    /// or after an interruption. Gives [`Output::Count`].
    Read { file: Fd, buf: Buf, len: usize, offset: u64, path: ReadPath },
    /// Writes `chunks` at `offset`. May be short. Gives [`Output::Count`].
    Write { file: Fd, chunks: Vec<Chunk>, offset: u64, path: WritePath },
    /// Makes the file's data, and the size needed to read it, durable.
    Fdatasync { file: Fd },
    /// Makes durable what was written to files of one file system: data and size of `files`, and of
    /// `laid_out` what was written past the page cache where length and blocks of the file are
    /// durable already, which takes no more than a flush of the device. Several files at a time,
    /// and each of them once for all that ask while it is being synced. `device` is theirs.
    SyncAll { device: u64, files: Vec<Fd>, laid_out: Vec<Fd> },
    /// Reserves space for `offset..offset + len`; the file grows unless `keep_size`.
    Allocate { file: Fd, offset: u64, len: u64, keep_size: bool },
    /// Has the device make `offset..offset + len` zeros that are written, the file growing to hold
    /// them (FALLOC_FL_WRITE_ZEROES); EOPNOTSUPP where kernel, file system or device cannot.
    WriteZeroes { file: Fd, offset: u64, len: u64 },
    /// Cuts or extends the file.
    SetLen { file: Fd, len: u64 },
    /// Closes a socket.
    Close { fd: Fd },
    /// Closes a file, in another thread: the last descriptor of a file that was removed frees its
    /// blocks, which takes a second where the file system discards them.
    CloseFile { fd: Fd },
    /// Makes a directory; its parent must exist.
    MakeDir { path: PathBuf },
    /// Renames, replacing what is at `to`.
    Rename { from: PathBuf, to: PathBuf },
    /// Removes a file.
    Unlink { path: PathBuf },
    /// Removes an empty directory.
    RemoveDir { path: PathBuf },
    /// Makes a directory's entries durable.
    SyncDir { path: PathBuf },
    /// The names in a directory, sorted. Gives [`Output::Names`].
    List { path: PathBuf },
    /// Gives [`Output::Stat`].
    Stat { path: PathBuf },
    /// Sets the modification time, in milliseconds since 1970.
    SetTimes { path: PathBuf, modified_ms: i64 },
    /// Opens (making it if needed) and locks a file against other processes with an fcntl record
    /// lock, as Java's FileLock does; EAGAIN if another process holds it. Gives
    /// [`Output::Fd`], and the lock lasts until that is closed.
    Lock { path: PathBuf },
    /// Gives [`Output::Space`].
    StatFs { path: PathBuf },
    /// Whether all of `offset..offset + len` is in the page cache. Gives [`Output::Cached`].
    CacheStat { file: Fd, offset: u64, len: u64 },
    /// Lets go of those pages of `offset..offset + len` that are in the page cache and clean.
    DropCache { file: Fd, offset: u64, len: u64 },
    /// Has `offset..offset + len` read into the page cache, as far as the file goes; completes
    /// before it is.
    ReadAhead { file: Fd, offset: u64, len: u64 },
    /// Opens a listening socket. Gives [`Output::Listening`].
    Listen { address: SocketAddr, options: ListenOptions },
    /// Accepts connections until cancelled: many completions of [`Output::Accepted`].
    Accept { listener: Fd },
    /// Opens a connection. Gives [`Output::Fd`].
    Connect { address: SocketAddr },
    /// Receives at least one byte, at most `len`, appending to `buf`; with `all`, tries for all of
    /// `len`. 0 bytes: the peer closed. Gives [`Output::Count`].
    Recv { socket: Fd, buf: Buf, len: usize, all: bool },
    /// Receives until cancelled or closed: many completions with a buffer each.
    RecvMulti { socket: Fd },
    /// Sends `chunks`; `more` says that more follows at once. May be short. Gives
    /// [`Output::Count`].
    Send { socket: Fd, chunks: Vec<Chunk>, more: bool },
    /// Sends `len` bytes of `file` at `offset` out of the page cache, without a copy through user
    /// space. May be short; 0 bytes: the file ends here. Gives [`Output::Count`]; EAGAIN once a
    /// socket that was full takes bytes again.
    SendFile { socket: Fd, file: Fd, offset: u64, len: usize, more: bool, path: SendPath },
    /// Looks a host up, which may take as long as name servers do. Gives [`Output::Addresses`],
    /// none if it is not known.
    Resolve { host: String },
    /// How many bytes the peer has acknowledged since the connection was made. Gives
    /// [`Output::Count`].
    BytesAcked { socket: Fd },
    /// Closes both directions of a connection; pending operations on it complete.
    Shutdown { socket: Fd },
}

impl Op {
    /// Whether it is carried out as it is submitted, by every driver: it waits for nothing, or is
    /// asked not to.
    pub(crate) fn is_immediate(&self) -> bool {
        matches!(
            self,
            Op::Write { path: WritePath::Blocking | WritePath::Uncached, .. }
                | Op::Read { path: ReadPath::NoWait, .. }
                | Op::CacheStat { .. }
                | Op::Listen { .. }
                | Op::BytesAcked { .. }
                | Op::Shutdown { .. }
        )
    }

    /// The name of an operation on a file or directory: one that waits for no peer, and ends.
    pub fn on_file(&self) -> Option<&'static str> {
        Some(match self {
            Op::Open { .. } => "open",
            Op::Read { .. } => "read",
            Op::Write { .. } => "write",
            Op::Fdatasync { .. } => "fdatasync",
            Op::SyncAll { .. } => "sync",
            Op::Allocate { .. } | Op::WriteZeroes { .. } => "fallocate",
            Op::SetLen { .. } => "ftruncate",
            Op::MakeDir { .. } => "mkdir",
            Op::Rename { .. } => "rename",
            Op::Unlink { .. } => "unlink",
            Op::RemoveDir { .. } => "rmdir",
            Op::SyncDir { .. } => "fsync",
            Op::List { .. } => "list",
            Op::Stat { .. } => "stat",
            Op::SetTimes { .. } => "utimensat",
            Op::Lock { .. } => "lock",
            Op::StatFs { .. } => "statfs",
            Op::CacheStat { .. } => "cachestat",
            Op::DropCache { .. } | Op::ReadAhead { .. } => "fadvise",
            Op::Close { .. }
            | Op::CloseFile { .. }
            | Op::Listen { .. }
            | Op::Accept { .. }
            | Op::Connect { .. }
            | Op::Recv { .. }
            | Op::RecvMulti { .. }
            | Op::Send { .. }
            | Op::SendFile { .. }
            | Op::Resolve { .. }
            | Op::BytesAcked { .. }
            | Op::Shutdown { .. } => return None,
        })
    }
}

/// What an operation that succeeded has to say.
#[allow(missing_docs, reason = "the text of a variant names its fields")]
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Done.
    Unit,
    /// So many bytes.
    Count(usize),
    /// An open file or socket.
    Fd(Fd),
    /// A listening socket, and the port it got.
    Listening { listener: Fd, port: u16 },
    /// A connection and its peer.
    Accepted { socket: Fd, peer: SocketAddr },
    /// A host's addresses.
    Addresses(Vec<IpAddr>),
    /// Names in a directory, sorted.
    Names(Vec<String>),
    /// What `Stat` found.
    Stat(Stat),
    /// What `StatFs` found.
    Space { total_bytes: u64, available_bytes: u64 },
    /// How much of the range is in memory.
    Cached { bytes: u64 },
}

/// A file's or directory's size, kind, age and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Length in bytes.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Modification time, in milliseconds since 1970.
    pub modified_ms: i64,
    /// The file system's number.
    pub device: u64,
}

/// Buffers on their way back.
#[derive(Debug)]
pub enum Payload {
    /// The operation took none.
    None,
    /// Of a read or a receive.
    Buf(Buf),
    /// Of a write or a send.
    Chunks(Vec<Chunk>),
}

/// The end of an operation, or one of many ends of `Accept` and `RecvMulti`.
#[derive(Debug)]
pub struct Completion {
    /// Whose end this is.
    pub token: Token,
    /// What came of it.
    pub result: Result<Output, Errno>,
    /// The operation's buffers.
    pub payload: Payload,
    /// More completions of the same token follow.
    pub more: bool,
}

/// Wakes a shard's driver out of `poll` from any thread.
pub trait Unpark: Send + Sync {
    /// Makes the current or next `poll` return.
    fn unpark(&self);
}

/// What carries out a shard's operations and tells it the time.
pub trait Driver {
    /// Starts an operation. One that completes at once may be returned here instead of by `poll`.
    fn submit(&mut self, token: Token, op: Op) -> Option<Completion>;

    /// Asks for an early end of an operation. Its completion arrives by `poll` in any case.
    fn cancel(&mut self, token: Token);

    /// Starts what is queued, waits until something completes, the shard is woken or `deadline`
    /// passes (`None`: for ever), and appends what completed.
    fn poll(&mut self, deadline: Option<Mono>, completions: &mut Vec<Completion>);

    /// The monotonic clock.
    fn now(&self) -> Mono;

    /// The wall clock, in milliseconds since 1970. Stamps and retention only: nothing that must
    /// be right depends on it.
    fn unix_ms(&self) -> i64;

    /// 64 random bits.
    fn random(&mut self) -> u64;

    /// Makes `poll` of another shard of the node return.
    fn wake(&mut self, shard: usize);

    /// A handle by which other threads wake this shard.
    fn unparker(&self) -> Arc<dyn Unpark>;

    /// The driver's name and what it found missing, for the log at start.
    fn describe(&self) -> String;
}

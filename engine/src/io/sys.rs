//! Plain system calls for the operations of [`Op`]: what the helper threads run, and
//! what a driver runs on the shard's own thread when that is known not to block.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self as rfs, AtFlags, CWD, FallocateFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::net as rnet;

use super::{
    Buf, Chunk, Errno, Fd, ListenOptions, Mono, Op, OpenOptions, Output, Payload, ReadPath,
    SendPath, Stat, WritePath,
};

/// Not in libc yet (Linux 6.17).
pub(super) const FALLOC_FL_WRITE_ZEROES: i32 = 0x80;
/// The congestion control that every kernel has.
const UNPACED: &str = "reno";

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Errno {
        Errno(errno.raw_os_error())
    }
}

/// Lends an open descriptor to a system call.
pub(super) fn borrow<'a>(fd: Fd) -> BorrowedFd<'a> {
    // SAFETY: an Fd comes out of this module open, and stays so until its Close operation, which
    // its single owner submits last (`shard::File`, `shard::Socket`); -1 is never made.
    unsafe { BorrowedFd::borrow_raw(fd.0) }
}

/// Has this process's heap keep so much of what is freed, instead of giving it back to the kernel
/// whenever a large block goes. Of use where the C library is glibc; elsewhere nothing changes.
pub fn keep_freed_memory(bytes: i32) {
    #[cfg(target_env = "gnu")]
    {
        /// Up to this size, the largest that glibc takes, blocks are of the heap.
        const BLOCK_BYTES_MAX: i32 = 32 << 20;
        let bounds = [(libc::M_MMAP_THRESHOLD, BLOCK_BYTES_MAX), (libc::M_TRIM_THRESHOLD, bytes)];
        for (parameter, bytes) in bounds {
            // SAFETY: sets a bound of the allocator, which takes its own lock.
            let set = unsafe { libc::mallopt(parameter, bytes) };
            debug_assert_eq!(set, 1, "mallopt({parameter}, {bytes})");
        }
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = bytes;
}

/// Takes a descriptor into the driver's keeping.
pub(super) fn keep(fd: OwnedFd) -> Fd {
    Fd(fd.into_raw_fd())
}

/// The monotonic clock.
pub(super) fn monotonic() -> Mono {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Mono(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// Raises the limit of open files as far as this process may, and returns it.
pub fn raise_open_files_max() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // What was allowed before is still allowed if more is not.
    let _ = setrlimit(Resource::Nofile, limit);
    open_files_max()
}

/// How many files this process may have open.
pub(super) fn open_files_max() -> u64 {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Processor time that the process has used, in nanoseconds.
pub fn process_cpu_ns() -> u64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

/// The kernel's number of this thread.
pub fn thread_id() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// The wall clock, in milliseconds since 1970.
pub(super) fn unix_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// Carries out a file or directory operation, blocking until it is done.
///
/// # Panics
/// On a socket operation that can wait for a peer: those belong to the driver.
pub(super) fn execute(op: Op) -> (Result<Output, Errno>, Payload) {
    match op {
        Op::Read { file, buf, len, offset, path } => read(file, buf, len, offset, path),
        Op::Write { file, chunks, offset, path } => {
            (write(file, &chunks, offset, path), Payload::Chunks(chunks))
        }
        other => (execute_bare(other), Payload::None),
    }
}

fn execute_bare(op: Op) -> Result<Output, Errno> {
    let done = |()| Output::Unit;
    Ok(match op {
        Op::Open { path, options } => return open(&path, options),
        Op::Fdatasync { file } => rfs::fdatasync(borrow(file)).map(done)?,
        Op::Allocate { file, offset, len, keep_size } => {
            let flags = if keep_size { FallocateFlags::KEEP_SIZE } else { FallocateFlags::empty() };
            rfs::fallocate(borrow(file), flags, offset, len).map(done)?
        }
        Op::WriteZeroes { file, offset, len } => {
            let flags = FallocateFlags::from_bits_retain(FALLOC_FL_WRITE_ZEROES as u32);
            rfs::fallocate(borrow(file), flags, offset, len).map(done)?
        }
        Op::SetLen { file, len } => rfs::ftruncate(borrow(file), len).map(done)?,
        Op::Close { fd } | Op::CloseFile { fd } => close(fd),
        Op::MakeDir { path } => rfs::mkdir(&path, Mode::from(0o755)).map(done)?,
        Op::Rename { from, to } => rfs::rename(&from, &to).map(done)?,
        Op::Unlink { path } => rfs::unlink(&path).map(done)?,
        Op::RemoveDir { path } => rfs::rmdir(&path).map(done)?,
        Op::SyncDir { path } => {
            let dir = rfs::open(&path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            rfs::fsync(&dir).map(done)?
        }
        Op::List { path } => Output::Names(list(&path)?),
        Op::Stat { path } => stat(&path)?,
        Op::SetTimes { path, modified_ms } => set_times(&path, modified_ms)?,
        Op::Lock { path } => lock(&path)?,
        Op::StatFs { path } => {
            let space = rfs::statvfs(&path)?;
            let total_bytes = space.f_blocks * space.f_frsize;
            Output::Space { total_bytes, available_bytes: space.f_bavail * space.f_frsize }
        }
        Op::CacheStat { file, offset, len } => cache_stat(file, offset, len)?,
        Op::DropCache { file, offset, len } => {
            advise(file, offset, len, libc::POSIX_FADV_DONTNEED)?
        }
        Op::ReadAhead { file, offset, len } => {
            advise(file, offset, len, libc::POSIX_FADV_WILLNEED)?
        }
        Op::Listen { address, options } => listen(address, options)?,
        Op::Resolve { host } => resolve(&host),
        Op::BytesAcked { socket } => bytes_acked(socket)?,
        Op::Shutdown { socket } => match rnet::shutdown(borrow(socket), rnet::Shutdown::Both) {
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Output::Unit,
            Err(errno) => return Err(errno.into()),
        },
        op => unreachable!("not an operation for a helper: {op:?}"),
    })
}

fn open(path: &Path, options: OpenOptions) -> Result<Output, Errno> {
    let mut flags = OFlags::CLOEXEC;
    flags |= if options.write { OFlags::RDWR } else { OFlags::RDONLY };
    for (wanted, flag) in [
        (options.create || options.create_new, OFlags::CREATE),
        (options.create_new, OFlags::EXCL),
        (options.truncate, OFlags::TRUNC),
        (options.direct, OFlags::DIRECT),
    ] {
        if wanted {
            flags |= flag;
        }
    }
    let file = rfs::open(path, flags, Mode::from(0o644))?;
    if options.direct && is_direct_in_name_only(&file) {
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(Output::Fd(keep(file)))
}

/// Closes a descriptor.
pub(super) fn close(fd: Fd) -> Output {
    // SAFETY: the submitter of Close owned the descriptor and uses it no more.
    drop(unsafe { OwnedFd::from_raw_fd(fd.0) });
    Output::Unit
}

/// Reads once; EINTR is retried by the caller of `Op::Read`, as any short read is.
fn read(
    file: Fd,
    mut buf: Buf,
    len: usize,
    offset: u64,
    path: ReadPath,
) -> (Result<Output, Errno>, Payload) {
    let flags = match path {
        ReadPath::Ring => rustix::io::ReadWriteFlags::empty(),
        ReadPath::NoWait => rustix::io::ReadWriteFlags::NOWAIT,
    };
    let at = buf.len();
    assert!(len <= buf.spare_len(), "a read of {len} into {}", buf.spare_len());
    buf.set_len(at + len);
    let result = {
        let mut slices = [std::io::IoSliceMut::new(&mut buf[at..])];
        rustix::io::preadv2(borrow(file), &mut slices, offset, flags)
    };
    buf.set_len(at + result.unwrap_or(0));
    (result.map(Output::Count).map_err(Errno::from), Payload::Buf(buf))
}

/// Writes once, at most IOV_MAX chunks.
fn write(file: Fd, chunks: &[Chunk], offset: u64, path: WritePath) -> Result<Output, Errno> {
    /// Not in rustix yet (Linux 6.14).
    const RWF_DONTCACHE: u32 = 0x80;
    let slices: Vec<std::io::IoSlice<'_>> =
        chunks.iter().take(1024).map(|chunk| std::io::IoSlice::new(chunk.as_slice())).collect();
    if path == WritePath::Uncached {
        let flags = rustix::io::ReadWriteFlags::from_bits_retain(RWF_DONTCACHE);
        return Ok(Output::Count(rustix::io::pwritev2(borrow(file), &slices, offset, flags)?));
    }
    Ok(Output::Count(rustix::io::pwritev(borrow(file), &slices, offset)?))
}

fn list(path: &Path) -> Result<Vec<String>, Errno> {
    let dir = rfs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut names = Vec::new();
    for entry in rfs::Dir::new(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if name != "." && name != ".." {
            names.push(name.into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn stat(path: &Path) -> Result<Output, Errno> {
    let found = rfs::stat(path)?;
    Ok(Output::Stat(Stat {
        len: found.st_size as u64,
        is_dir: rfs::FileType::from_raw_mode(found.st_mode) == rfs::FileType::Directory,
        modified_ms: found.st_mtime * 1000 + found.st_mtime_nsec as i64 / 1_000_000,
        device: found.st_dev,
    }))
}

fn set_times(path: &Path, modified_ms: i64) -> Result<Output, Errno> {
    let modified = Timespec {
        tv_sec: modified_ms.div_euclid(1000),
        tv_nsec: modified_ms.rem_euclid(1000) * 1_000_000,
    };
    let omit = Timespec { tv_sec: 0, tv_nsec: rfs::UTIME_OMIT };
    let times = Timestamps { last_access: omit, last_modification: modified };
    rfs::utimensat(CWD, path, &times, AtFlags::empty())?;
    Ok(Output::Unit)
}

fn lock(path: &Path) -> Result<Output, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
    let file = rfs::open(path, flags, Mode::from(0o644))?;
    match rfs::fcntl_lock(&file, rfs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Output::Fd(keep(file))),
        // POSIX allows both. EACCES of the open above is about permissions, not about the lock.
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::AGAIN) => Err(Errno::EAGAIN),
        Err(errno) => Err(errno.into()),
    }
}

#[repr(C)]
struct CacheStatRange {
    offset: u64,
    len: u64,
}

#[repr(C)]
#[derive(Default)]
struct CacheStatCounts {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

fn cache_stat(file: Fd, offset: u64, len: u64) -> Result<Output, Errno> {
    let counts = cache_counts(file, offset, len)?;
    Ok(Output::Cached { bytes: counts.cached * rustix::param::page_size() as u64 })
}

/// How many pages of a file are in memory and not on the disk.
#[cfg(test)]
pub(super) fn dirty_pages(file: Fd) -> Result<u64, Errno> {
    Ok(cache_counts(file, 0, i64::MAX as u64)?.dirty)
}

fn cache_counts(file: Fd, offset: u64, len: u64) -> Result<CacheStatCounts, Errno> {
    const SYS_CACHESTAT: libc::c_long = 451;
    let range = CacheStatRange { offset, len };
    let mut counts = CacheStatCounts::default();
    // SAFETY: both structures have the kernel's layout and outlive the call.
    let result =
        unsafe { libc::syscall(SYS_CACHESTAT, file.0, &raw const range, &raw mut counts, 0) };
    if result == 0 { Ok(counts) } else { Err(Errno::last()) }
}

/// Addresses of a host, IPv4 first, as Java prefers them.
fn resolve(host: &str) -> Output {
    let found = (host, 0).to_socket_addrs().map(|found| found.map(|address| address.ip()));
    let mut addresses: Vec<IpAddr> = found.map(Iterator::collect).unwrap_or_default();
    addresses.sort_by_key(IpAddr::is_ipv6);
    Output::Addresses(addresses)
}

fn bytes_acked(socket: Fd) -> Result<Output, Errno> {
    // SAFETY: an all-zero tcp_info is valid.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    let to = (&raw mut info).cast();
    // SAFETY: the kernel writes `len` bytes at most, which is the structure's size.
    let got =
        unsafe { libc::getsockopt(socket.0, libc::IPPROTO_TCP, libc::TCP_INFO, to, &raw mut len) };
    if got == 0 { Ok(Output::Count(info.tcpi_bytes_acked as usize)) } else { Err(Errno::last()) }
}

fn advise(file: Fd, offset: u64, len: u64, advice: i32) -> Result<Output, Errno> {
    let (offset, len) = (offset as libc::off_t, len as libc::off_t);
    // SAFETY: no memory is involved.
    match unsafe { libc::posix_fadvise(file.0, offset, len, advice) } {
        0 => Ok(Output::Unit),
        errno => Err(Errno(errno)),
    }
}

fn listen(address: SocketAddr, options: ListenOptions) -> Result<Output, Errno> {
    let family = match address {
        SocketAddr::V4(_) => rnet::AddressFamily::INET,
        SocketAddr::V6(_) => rnet::AddressFamily::INET6,
    };
    let flags = rnet::SocketFlags::CLOEXEC;
    let socket = rnet::socket_with(family, rnet::SocketType::STREAM, flags, None)?;
    rnet::sockopt::set_socket_reuseaddr(&socket, true)?;
    // Before listen: the connections inherit both, and the window scale follows from the first.
    if let Some(bytes) = options.receive_buffer_bytes {
        rnet::sockopt::set_socket_recv_buffer_size(&socket, bytes as usize)?;
    }
    if let Some(bytes) = options.send_buffer_bytes {
        rnet::sockopt::set_socket_send_buffer_size(&socket, bytes as usize)?;
    }
    rnet::bind(&socket, &address)?;
    rnet::listen(&socket, options.backlog.try_into().unwrap_or(i32::MAX))?;
    let port = SocketAddr::try_from(rnet::getsockname(&socket)?)?.port();
    Ok(Output::Listening { listener: keep(socket), port })
}

/// Makes a fresh connection answer at once and close on exec, and finds its peer. Closes one that
/// is gone already.
pub(super) fn adopt_connection(fd: i32) -> Result<Output, Errno> {
    let adopted = prepare_connection(fd);
    if adopted.is_err() {
        close(Fd(fd));
    }
    adopted
}

fn prepare_connection(fd: i32) -> Result<Output, Errno> {
    let socket = borrow(Fd(fd));
    rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC)?;
    rnet::sockopt::set_tcp_nodelay(socket, true)?;
    rnet::sockopt::set_socket_keepalive(socket, true)?;
    let peer = SocketAddr::try_from(rnet::getpeername(socket)?.ok_or(Errno(libc::ENOTCONN))?)?;
    let own = SocketAddr::try_from(rnet::getsockname(socket)?)?;
    let (peer_ip, own_ip) = (peer.ip().to_canonical(), own.ip().to_canonical());
    if peer_ip == own_ip || peer_ip.is_loopback() {
        do_not_pace(socket)?;
    }
    Ok(Output::Accepted { socket: Fd(fd), peer })
}

/// For connections within this host, which have no path that could be congested: bbr holds every
/// segment back by a timer, and that costs more than sending it (docs/decisions/0017).
fn do_not_pace(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    match rnet::sockopt::set_tcp_congestion(socket, UNPACED) {
        // Of a host that does not allow it, its own.
        Err(rustix::io::Errno::PERM | rustix::io::Errno::NOENT) => Ok(()),
        set => Ok(set?),
    }
}

/// A socket to connect to `address` with.
pub(super) fn client_socket(address: &SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => rnet::AddressFamily::INET,
        SocketAddr::V6(_) => rnet::AddressFamily::INET6,
    };
    let flags = rnet::SocketFlags::CLOEXEC;
    let socket = rnet::socket_with(family, rnet::SocketType::STREAM, flags, None)?;
    rnet::sockopt::set_tcp_nodelay(&socket, true)?;
    if address.ip().to_canonical().is_loopback() {
        do_not_pace(socket.as_fd())?;
    }
    Ok(socket)
}

/// Sends file bytes as far as the socket's buffer takes them: EAGAIN when that is full.
///
/// The descriptor is non-blocking for this one call only: io_uring would otherwise answer EAGAIN
/// to receives it is meant to wait for, and sendfile has no flag of its own for it.
pub(super) fn sendfile_nowait(
    socket: Fd,
    file: Fd,
    offset: u64,
    len: usize,
    path: SendPath,
) -> Result<Output, Errno> {
    set_nonblocking(socket)?;
    let sent = sendfile(socket, file, offset, len, path);
    rfs::fcntl_setfl(borrow(socket), OFlags::empty())?;
    sent
}

/// Sends file bytes as far as the socket takes them; EAGAIN if it is non-blocking and full.
pub(super) fn sendfile(
    socket: Fd,
    file: Fd,
    mut offset: u64,
    len: usize,
    path: SendPath,
) -> Result<Output, Errno> {
    if path == SendPath::Splice {
        return splice(socket, file, offset, len);
    }
    Ok(Output::Count(rfs::sendfile(borrow(socket), borrow(file), Some(&mut offset), len)?))
}

thread_local! {
    /// The pipe between file and socket.
    static PIPE: std::cell::RefCell<Option<(OwnedFd, OwnedFd)>> =
        const { std::cell::RefCell::new(None) };
}

/// Pages of the file into a pipe, and on to the socket.
fn splice(socket: Fd, file: Fd, mut offset: u64, len: usize) -> Result<Output, Errno> {
    use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    PIPE.with_borrow_mut(|kept| {
        let (output, input) = match kept.take() {
            Some(pipe) => pipe,
            None => pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?,
        };
        let filled = splice(borrow(file), Some(&mut offset), &input, None, len, flags)?;
        if filled == 0 {
            *kept = Some((output, input));
            return Ok(Output::Count(0));
        }
        let sent = splice(&output, None, borrow(socket), None, filled, flags)?;
        // What the socket did not take goes with the pipe: it is taken from the file again.
        if sent == filled {
            *kept = Some((output, input));
        }
        Ok(Output::Count(sent))
    })
}

/// Makes calls on a descriptor say EAGAIN instead of waiting.
pub(super) fn set_nonblocking(fd: Fd) -> Result<(), Errno> {
    Ok(rfs::fcntl_setfl(borrow(fd), OFlags::NONBLOCK)?)
}

/// Begins to connect a non-blocking socket.
pub(super) fn connect(socket: Fd, address: &SocketAddr) -> Result<(), Errno> {
    match rnet::connect(borrow(socket), address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// What became of connecting.
pub(super) fn connection_error(socket: Fd) -> Result<(), Errno> {
    Ok(rnet::sockopt::socket_error(borrow(socket))??)
}

/// Accepts a connection that is there, or EAGAIN.
pub(super) fn accept_nowait(listener: Fd) -> Result<Output, Errno> {
    adopt_connection(keep(rnet::accept(borrow(listener))?).0)
}

/// Sends what the socket takes at once, at most IOV_MAX chunks, or EAGAIN.
pub(super) fn send_nowait(socket: Fd, chunks: &[Chunk], more: bool) -> Result<usize, Errno> {
    let slices: Vec<std::io::IoSlice<'_>> =
        chunks.iter().take(1024).map(|chunk| std::io::IoSlice::new(chunk.as_slice())).collect();
    let mut flags = rnet::SendFlags::NOSIGNAL | rnet::SendFlags::DONTWAIT;
    if more {
        flags |= rnet::SendFlags::MORE;
    }
    let mut control = rnet::SendAncillaryBuffer::default();
    Ok(rnet::sendmsg(borrow(socket), &slices, &mut control, flags)?)
}

/// Waits for events of an epoll descriptor, at most `timeout_ms` (-1: for ever); how many came.
pub(super) fn epoll_wait(
    epoll: &OwnedFd,
    events: &mut [libc::epoll_event],
    timeout_ms: i32,
) -> usize {
    let (pointer, most) = (events.as_mut_ptr(), events.len() as i32);
    // SAFETY: the kernel writes at most `most` events, which is how many there is room for.
    let count = unsafe { libc::epoll_wait(epoll.as_raw_fd(), pointer, most, timeout_ms) };
    assert!(count >= 0 || Errno::last() == Errno::EINTR, "epoll_wait: {}", Errno::last());
    count.max(0) as usize
}

/// Takes an eventfd's counter back to zero.
pub(super) fn drain(eventfd: &OwnedFd) {
    // It is readable: the call does not wait.
    let _ = rustix::io::read(eventfd.as_fd(), &mut [0; 8]);
}

/// Pins the calling thread to one CPU.
pub fn pin_to_cpu(cpu: usize) -> Result<(), Errno> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// Gives this thread the lowest real-time priority: it runs as soon as it is woken.
pub fn set_realtime() -> Result<(), Errno> {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameter is valid for the call, which keeps no pointer to it.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &lowest) };
    if set == 0 { Ok(()) } else { Err(Errno::last()) }
}

/// The CPUs this process may run on.
pub fn available_cpus() -> Result<Vec<usize>, Errno> {
    let set = rustix::thread::sched_getaffinity(None)?;
    Ok((0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect())
}

/// 64 bits from the kernel's random number generator.
pub fn random_u64() -> u64 {
    let mut bytes = [0u8; 8];
    // SAFETY: the buffer is valid for its length; getrandom of 8 bytes is never short.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    assert_eq!(got, 8, "getrandom: {}", Errno::last());
    u64::from_ne_bytes(bytes)
}

/// Makes the file's data, and the size needed to read it, durable.
pub(super) fn fdatasync(file: Fd) -> Result<(), Errno> {
    Ok(rfs::fdatasync(borrow(file))?)
}

/// Whether fdatasync of any regular file of the file system that holds `file` flushes the device,
/// and a write past the page cache is on the device when it completes, even where the kernel had to
/// take the page cache for it. (xfs does neither for all.)
pub(super) fn any_sync_flushes(file: Fd) -> bool {
    const EXT4: i64 = 0xef53;
    rfs::fstatfs(borrow(file)).is_ok_and(|found| found.f_type == EXT4)
}

/// Whether the kernel says that O_DIRECT on `file` goes through the page cache all the same, as on
/// ext4 with data=journal.
fn is_direct_in_name_only(file: &OwnedFd) -> bool {
    // SAFETY: an all-zero statx is valid.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    let (flags, mask) = (libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN);
    // SAFETY: the path is empty, and the structure outlives the call.
    let result =
        unsafe { libc::statx(file.as_raw_fd(), c"".as_ptr(), flags, mask, &raw mut found) };
    result == 0 && found.stx_mask & mask != 0 && found.stx_dio_mem_align == 0
}

/// An eventfd: a counter that wakes whoever polls it.
pub(super) fn eventfd() -> Result<OwnedFd, Errno> {
    Ok(rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)?)
}

/// Adds one to an eventfd's counter.
pub(super) fn signal(eventfd: &OwnedFd) {
    // A full counter already wakes; nothing else can fail on an eventfd that is open.
    let _ = rustix::io::write(eventfd.as_fd(), &1u64.to_ne_bytes());
}

/// The raw number of a descriptor we keep owning.
pub(super) fn raw(fd: &OwnedFd) -> i32 {
    fd.as_raw_fd()
}

/// Receives what is there, at most `len`, appending to `buf`, or EAGAIN.
pub(super) fn recv_nowait(socket: Fd, buf: &mut Buf, len: usize) -> Result<usize, Errno> {
    let at = buf.len();
    buf.set_len(at + len);
    let received = rnet::recv(borrow(socket), &mut buf[at..], rnet::RecvFlags::DONTWAIT);
    let count = received.as_ref().map_or(0, |(count, _)| *count);
    buf.set_len(at + count);
    Ok(received.map(|_| count)?)
}

/// Nanoseconds on the monotonic clock, for those who have no driver.
pub fn monotonic_ns() -> u64 {
    monotonic().0
}

/// The machine's memory, in bytes.
pub(super) fn machine_memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram * u64::from(info.mem_unit)
}

/// The machine's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// SIGTERM and SIGINT, waited for by one thread instead of interrupting any.
pub struct StopSignals(libc::sigset_t);

impl StopSignals {
    /// Blocks them in this thread and in all it starts from now on.
    pub fn block() -> Result<Self, Errno> {
        // SAFETY: an all-zero sigset_t is valid for sigemptyset to fill; the calls only read and
        // write the set.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigaddset(&raw mut set, libc::SIGINT);
            // A write past RLIMIT_FSIZE is to fail with EFBIG, not to end the process.
            let mut blocked = set;
            libc::sigaddset(&raw mut blocked, libc::SIGXFSZ);
            let no_old = std::ptr::null_mut();
            match libc::pthread_sigmask(libc::SIG_BLOCK, &raw const blocked, no_old) {
                0 => Ok(Self(set)),
                errno => Err(Errno(errno)),
            }
        }
    }

    /// Lets every signal through to this thread: what it becomes (execve) expects that, and it
    /// inherits what the thread that started it has blocked.
    pub fn unblock() -> Result<(), Errno> {
        // SAFETY: the set is initialised by sigemptyset before it is read, and nothing is written.
        unsafe {
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            match libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) {
                0 => Ok(()),
                errno => Err(Errno(errno)),
            }
        }
    }

    /// Returns once one of them has come.
    pub fn wait(&self) {
        let mut signal = 0;
        // SAFETY: both point to valid memory for the length of the call.
        unsafe { libc::sigwait(&raw const self.0, &raw mut signal) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_within_this_host_are_not_paced() {
        let options =
            ListenOptions { backlog: 1, receive_buffer_bytes: None, send_buffer_bytes: None };
        let listening = listen(([127, 0, 0, 1], 0).into(), options);
        let Ok(Output::Listening { listener, port }) = listening else { panic!("{listening:?}") };
        // Inherited by what it accepts. Where the kernel does not have it, or root is asked for,
        // connections have the host's, which may be reno already.
        let _ = rnet::sockopt::set_tcp_congestion(borrow(listener), "cubic");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let client = client_socket(&address).expect("a socket");
        assert_eq!(rnet::sockopt::tcp_congestion(&client).expect("is TCP"), UNPACED);
        rnet::connect(&client, &address).expect("listens");
        let accepted = accept_nowait(listener);
        let Ok(Output::Accepted { socket, .. }) = accepted else { panic!("{accepted:?}") };
        assert_eq!(rnet::sockopt::tcp_congestion(borrow(socket)).expect("is TCP"), UNPACED);
        close(listener);
        close(socket);
    }
}

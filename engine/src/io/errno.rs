//! The operating system's error numbers. Matched by number per operation, never by text.

use std::fmt;

/// An error number of the operating system.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// No such file or directory.
    pub const ENOENT: Errno = Errno(libc::ENOENT);
    /// Input/output error.
    pub const EIO: Errno = Errno(libc::EIO);
    /// Bad file descriptor.
    pub const EBADF: Errno = Errno(libc::EBADF);
    /// Try again.
    pub const EAGAIN: Errno = Errno(libc::EAGAIN);
    /// Permission denied.
    pub const EACCES: Errno = Errno(libc::EACCES);
    /// File exists.
    pub const EEXIST: Errno = Errno(libc::EEXIST);
    /// Not a directory.
    pub const ENOTDIR: Errno = Errno(libc::ENOTDIR);
    /// Is a directory.
    pub const EISDIR: Errno = Errno(libc::EISDIR);
    /// Invalid argument.
    pub const EINVAL: Errno = Errno(libc::EINVAL);
    /// No space left on device.
    pub const ENOSPC: Errno = Errno(libc::ENOSPC);
    /// A file that may not grow so far.
    pub const EFBIG: Errno = Errno(libc::EFBIG);
    /// Over a quota.
    pub const EDQUOT: Errno = Errno(libc::EDQUOT);
    /// A directory is not empty.
    pub const ENOTEMPTY: Errno = Errno(libc::ENOTEMPTY);
    /// Interrupted system call.
    pub const EINTR: Errno = Errno(libc::EINTR);
    /// Too many open files.
    pub const EMFILE: Errno = Errno(libc::EMFILE);
    /// No descriptors are left in the whole system.
    pub const ENFILE: Errno = Errno(libc::ENFILE);
    /// Operation cancelled.
    pub const ECANCELED: Errno = Errno(libc::ECANCELED);
    /// Connection reset by peer.
    pub const ECONNRESET: Errno = Errno(libc::ECONNRESET);
    /// Broken pipe.
    pub const EPIPE: Errno = Errno(libc::EPIPE);
    /// Connection refused.
    pub const ECONNREFUSED: Errno = Errno(libc::ECONNREFUSED);
    /// Address already in use.
    pub const EADDRINUSE: Errno = Errno(libc::EADDRINUSE);
    /// No buffer space available.
    pub const ENOBUFS: Errno = Errno(libc::ENOBUFS);
    /// Function not implemented.
    pub const ENOSYS: Errno = Errno(libc::ENOSYS);
    /// Operation not supported.
    pub const EOPNOTSUPP: Errno = Errno(libc::EOPNOTSUPP);

    /// Whether it says that something has run out: it passes, and has not damaged what is there.
    pub fn is_lack_of_room(self) -> bool {
        matches!(self, Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG)
    }

    /// The error of the system call that just failed on this thread.
    pub fn last() -> Errno {
        Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errno({})", std::io::Error::from_raw_os_error(self.0))
    }
}

impl std::error::Error for Errno {}

//! [`File`]: a file of the shard's driver, with whole reads and writes.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use thiserror::Error;

use super::Shard;
use crate::io::{
    Buf, Chunk, Errno, Fd, Op, OpenOptions, Output, Payload, ReadPath, Stat, WritePath,
    advance_chunks, chunks_len,
};

/// How often, and how many milliseconds apart in the end, what needs a descriptor is tried while
/// there is none: files that nobody is at work on are let go of meanwhile, and of a crowd of
/// connections those beyond the bound are turned away.
const DESCRIPTOR_TRIES: u32 = 250;
const DESCRIPTOR_RETRY_MS: u64 = 20;

/// An operation on a path that failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{op} {path}: {errno}", path = path.display())]
pub struct IoError {
    /// What was tried.
    pub op: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    pub errno: Errno,
}

/// An open file. Clones are the same open file; it closes when the last one is dropped.
#[derive(Clone)]
pub struct File(Rc<Inner>);

struct Inner {
    shard: Shard,
    fd: Fd,
    path: PathBuf,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Dropping the future leaves the operation to the driver; close cannot fail usefully here:
        // whoever cares about the data has synced it.
        drop(self.shard.submit(Op::CloseFile { fd: self.fd }).started());
    }
}

impl File {
    /// Opens a file.
    pub async fn open(shard: &Shard, path: &Path, options: OpenOptions) -> Result<File, IoError> {
        let op = || Op::Open { path: path.to_owned(), options };
        match shard.path_op("open", path, op).await? {
            Output::Fd(fd) => {
                let path = path.to_owned();
                Ok(File(Rc::new(Inner { shard: shard.clone(), fd, path })))
            }
            other => unreachable!("open gave {other:?}"),
        }
    }

    /// The descriptor, for operations that this type does not wrap.
    pub fn fd(&self) -> Fd {
        self.0.fd
    }

    /// Where the file was opened; it may have been renamed since.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    fn error(&self, op: &'static str, errno: Errno) -> IoError {
        IoError { op, path: self.0.path.clone(), errno }
    }

    /// Reads `len` bytes at `offset`, appending to `buf`; fewer only at the end of the file.
    pub async fn read_at(&self, mut buf: Buf, offset: u64, len: usize) -> Result<Buf, IoError> {
        let start = buf.len();
        loop {
            let done = buf.len() - start;
            if done == len {
                return Ok(buf);
            }
            let (file, offset) = (self.0.fd, offset + done as u64);
            let op = Op::Read { file, buf, len: len - done, offset, path: ReadPath::Ring };
            let completion = self.0.shard.submit(op).await;
            buf = must_buf(completion.payload);
            match completion.result {
                Ok(Output::Count(0)) => return Ok(buf),
                Ok(_) | Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(self.error("read", errno)),
            }
        }
    }

    /// Reads like [`File::read_at`] if all of it is in memory; otherwise `None`.
    pub async fn read_cached_at(
        &self,
        buf: Buf,
        offset: u64,
        len: usize,
    ) -> Result<Option<Buf>, IoError> {
        let start = buf.len();
        let op = Op::Read { file: self.0.fd, buf, len, offset, path: ReadPath::NoWait };
        let completion = self.0.shard.submit(op).await;
        let buf = must_buf(completion.payload);
        match completion.result {
            Ok(_) if buf.len() - start == len => Ok(Some(buf)),
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR | Errno::EOPNOTSUPP) => Ok(None),
            Err(errno) => Err(self.error("read", errno)),
        }
    }

    /// Writes all of `chunks` at `offset`.
    pub async fn write_at(
        &self,
        mut chunks: Vec<Chunk>,
        mut offset: u64,
        path: WritePath,
    ) -> Result<(), IoError> {
        while chunks_len(&chunks) > 0 {
            let op = Op::Write { file: self.0.fd, chunks, offset, path };
            let completion = self.0.shard.submit(op).await;
            let Payload::Chunks(back) = completion.payload else {
                unreachable!("a write gives its chunks back")
            };
            chunks = back;
            match completion.result {
                // A device that takes nothing and reports nothing would be retried for ever.
                Ok(Output::Count(0)) => return Err(self.error("write", Errno::EIO)),
                Ok(Output::Count(count)) => {
                    advance_chunks(&mut chunks, count);
                    offset += count as u64;
                }
                Ok(other) => unreachable!("write gave {other:?}"),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(self.error("write", errno)),
            }
        }
        Ok(())
    }

    async fn unit(&self, name: &'static str, op: Op) -> Result<(), IoError> {
        self.0.shard.submit(op).await.result.map(drop).map_err(|errno| self.error(name, errno))
    }

    /// Makes data and size durable. After an error nothing written since the last success may be
    /// trusted, and trying again proves nothing (docs/DURABILITY.md).
    pub async fn fdatasync(&self) -> Result<(), IoError> {
        self.unit("fdatasync", Op::Fdatasync { file: self.0.fd }).await
    }

    /// Cuts or extends the file.
    pub async fn set_len(&self, len: u64) -> Result<(), IoError> {
        self.unit("ftruncate", Op::SetLen { file: self.0.fd, len }).await
    }

    /// Reserves space.
    pub async fn allocate(&self, offset: u64, len: u64, keep_size: bool) -> Result<(), IoError> {
        let op = Op::Allocate { file: self.0.fd, offset, len, keep_size };
        self.unit("fallocate", op).await
    }

    /// Has the device make the range zeros, if it can.
    pub async fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), IoError> {
        self.unit("fallocate", Op::WriteZeroes { file: self.0.fd, offset, len }).await
    }

    /// Reads from `offset` on see what is on the disk: writes what is dirty there, and lets go of
    /// the rest. After a sync that failed the page cache shows what is not on the disk, and takes
    /// it for clean.
    pub async fn distrust_cache(&self, offset: u64) -> Result<(), IoError> {
        self.fdatasync().await?;
        self.unit("fadvise", Op::DropCache { file: self.0.fd, offset, len: 0 }).await
    }

    /// Lets go of the clean pages of the range (a length of 0 reaches to the end), without waiting
    /// for it. Reads differ only where a sync has failed.
    pub fn drop_cache(&self, offset: u64, len: u64) {
        drop(self.0.shard.submit(Op::DropCache { file: self.0.fd, offset, len }).started());
    }

    /// Has the range read into the page cache, without waiting for it.
    pub fn read_ahead(&self, offset: u64, len: u64) {
        drop(self.0.shard.submit(Op::ReadAhead { file: self.0.fd, offset, len }).started());
    }

    /// How many bytes of the range are in the page cache.
    pub async fn cached_bytes(&self, offset: u64, len: u64) -> Result<u64, IoError> {
        let op = Op::CacheStat { file: self.0.fd, offset, len };
        match self.0.shard.submit(op).await.result {
            Ok(Output::Cached { bytes }) => Ok(bytes),
            Ok(other) => unreachable!("cachestat gave {other:?}"),
            Err(errno) => Err(self.error("cachestat", errno)),
        }
    }
}

fn must_buf(payload: Payload) -> Buf {
    match payload {
        Payload::Buf(buf) => buf,
        other => unreachable!("a read gives its buffer back, not {other:?}"),
    }
}

/// Operations on paths.
impl Shard {
    /// Makes durable what was written to `files` and `laid_out` (see [`Op::SyncAll`]), which lie on
    /// the file system of number `device`. For errors see [`File::fdatasync`].
    pub async fn sync_files(
        &self,
        device: u64,
        files: &[File],
        laid_out: &[File],
    ) -> Result<(), IoError> {
        let Some(first) = files.first().or(laid_out.first()) else { return Ok(()) };
        let fds = |files: &[File]| files.iter().map(File::fd).collect();
        let op = Op::SyncAll { device, files: fds(files), laid_out: fds(laid_out) };
        self.submit(op).await.result.map(drop).map_err(|errno| first.error("sync", errno))
    }

    async fn path_op(
        &self,
        name: &'static str,
        path: &Path,
        op: impl Fn() -> Op,
    ) -> Result<Output, IoError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.submit(op()).await.result {
                Err(Errno::EMFILE | Errno::ENFILE) if tries < DESCRIPTOR_TRIES => {
                    self.spare_files();
                    self.sleep_ms(DESCRIPTOR_RETRY_MS.min(u64::from(tries))).await;
                }
                Err(errno) => return Err(IoError { op: name, path: path.to_owned(), errno }),
                Ok(output) => return Ok(output),
            }
        }
    }

    /// Makes a directory.
    pub async fn make_dir(&self, path: &Path) -> Result<(), IoError> {
        let op = || Op::MakeDir { path: path.to_owned() };
        self.path_op("mkdir", path, op).await.map(drop)
    }

    /// Makes a directory and those above it; it may be there already.
    pub async fn make_dir_all(&self, path: &Path) -> Result<(), IoError> {
        let mut missing = Vec::new();
        let mut at = Some(path);
        while let Some(dir) = at.filter(|dir| !dir.as_os_str().is_empty()) {
            match self.stat(dir).await {
                Ok(Some(_)) => break,
                Ok(None) => missing.push(dir),
                Err(error) => return Err(error),
            }
            at = dir.parent();
        }
        for dir in missing.into_iter().rev() {
            match self.make_dir(dir).await {
                Err(error) if error.errno != Errno::EEXIST => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Renames, replacing what is at `to`.
    pub async fn rename(&self, from: &Path, to: &Path) -> Result<(), IoError> {
        let op = || Op::Rename { from: from.to_owned(), to: to.to_owned() };
        self.path_op("rename", from, op).await.map(drop)
    }

    /// Removes a file; false if there was none.
    pub async fn unlink(&self, path: &Path) -> Result<bool, IoError> {
        let op = || Op::Unlink { path: path.to_owned() };
        found(self.path_op("unlink", path, op).await).map(|output| output.is_some())
    }

    /// Removes an empty directory.
    pub async fn remove_dir(&self, path: &Path) -> Result<(), IoError> {
        let op = || Op::RemoveDir { path: path.to_owned() };
        self.path_op("rmdir", path, op).await.map(drop)
    }

    /// Makes a directory's entries durable.
    pub async fn sync_dir(&self, path: &Path) -> Result<(), IoError> {
        let op = || Op::SyncDir { path: path.to_owned() };
        self.path_op("fsync", path, op).await.map(drop)
    }

    /// The names in a directory, sorted.
    pub async fn list_dir(&self, path: &Path) -> Result<Vec<String>, IoError> {
        match self.path_op("list", path, || Op::List { path: path.to_owned() }).await? {
            Output::Names(names) => Ok(names),
            other => unreachable!("list gave {other:?}"),
        }
    }

    /// A path's size and kind; `None` if nothing is there.
    pub async fn stat(&self, path: &Path) -> Result<Option<Stat>, IoError> {
        let op = || Op::Stat { path: path.to_owned() };
        match found(self.path_op("stat", path, op).await)? {
            Some(Output::Stat(stat)) => Ok(Some(stat)),
            None => Ok(None),
            Some(other) => unreachable!("stat gave {other:?}"),
        }
    }

    /// Sets when a file was last written to, in milliseconds since 1970.
    pub async fn set_modified(&self, path: &Path, modified_ms: i64) -> Result<(), IoError> {
        let op = || Op::SetTimes { path: path.to_owned(), modified_ms };
        self.path_op("utimensat", path, op).await.map(drop)
    }

    /// Total and available bytes of the file system at `path`.
    pub async fn space(&self, path: &Path) -> Result<(u64, u64), IoError> {
        match self.path_op("statfs", path, || Op::StatFs { path: path.to_owned() }).await? {
            Output::Space { total_bytes, available_bytes } => Ok((total_bytes, available_bytes)),
            other => unreachable!("statfs gave {other:?}"),
        }
    }

    /// All of a file, refused with EFBIG above `len_max`; `None` if it is missing.
    pub async fn read_file(&self, path: &Path, len_max: u64) -> Result<Option<Buf>, IoError> {
        let Some(stat) = self.stat(path).await? else { return Ok(None) };
        if stat.len > len_max {
            return Err(IoError { op: "read", path: path.to_owned(), errno: Errno(libc::EFBIG) });
        }
        let file = match File::open(self, path, OpenOptions::default()).await {
            Err(error) if error.errno == Errno::ENOENT => return Ok(None),
            file => file?,
        };
        let len = stat.len as usize;
        file.read_at(Buf::with_capacity(len), 0, len).await.map(Some)
    }

    /// Puts a file in place whole: written beside it as `<name>.tmp`, made durable, renamed, and
    /// the rename made durable.
    pub async fn replace_file(&self, path: &Path, bytes: Vec<u8>) -> Result<(), IoError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let temporary = PathBuf::from(name);
        let options =
            OpenOptions { write: true, create: true, truncate: true, ..OpenOptions::default() };
        let file = File::open(self, &temporary, options).await?;
        file.write_at(vec![Chunk::from(Buf::copy_of(&bytes))], 0, WritePath::Ring).await?;
        // ORDER: the bytes are durable before the name points to them, and the name before anyone
        // relies on it.
        file.fdatasync().await?;
        drop(file);
        self.rename(&temporary, path).await?;
        self.sync_dir(path.parent().unwrap_or(Path::new("."))).await
    }

    /// Locks a file against other processes; see [`Op::Lock`].
    pub async fn lock_file(&self, path: &Path) -> Result<Fd, IoError> {
        match self.path_op("lock", path, || Op::Lock { path: path.to_owned() }).await? {
            Output::Fd(fd) => Ok(fd),
            other => unreachable!("lock gave {other:?}"),
        }
    }

    /// Closes a descriptor that no [`File`] or [`super::Socket`] owns.
    pub async fn close(&self, fd: Fd) {
        self.submit(Op::Close { fd }).await;
    }
}

fn found(result: Result<Output, IoError>) -> Result<Option<Output>, IoError> {
    match result {
        Err(error) if error.errno == Errno::ENOENT => Ok(None),
        result => result.map(Some),
    }
}

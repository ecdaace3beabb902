//! A simulated disk and file system.
//!
//! A completed write can be read back, but survives a crash only if a sync of its file that was
//! submitted after it has completed. With a journal ([`CrashProfile::Ext4`]) the sync of a file
//! also flushes the device, which makes durable what was written past the page cache to any file,
//! where its length was durable; the sync of a directory flushes nothing. What was not synced is,
//! at a crash, kept, lost or garbled page by page, garbled pages sector by sector (as
//! FoundationDB's AsyncFileNonDurable does), in no order. Directory entries survive once their
//! directory is synced; what was not synced survives as a prefix of history (ext4's journal) or as
//! any subset ([`CrashProfile`]). A failed sync drops what it should have written, and the next one
//! succeeds, as Linux does (Rebello et al., ATC'20).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::io::{Errno, OpenOptions, Stat};
use crate::stdx::prng::Prng;

const PAGE: usize = 4096;
const SECTOR: usize = 512;

/// What becomes of unsynced metadata when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashProfile {
    /// A journal: operations on names survive as a prefix, and syncing anything commits them all.
    Ext4,
    /// What POSIX allows: each survives or not; only syncing the directory commits.
    Hostile,
}

/// Ways in which the disk fails while the machine runs.
#[derive(Clone, Debug, Default)]
pub struct DiskFaults {
    /// A read or write handles only a part, once in so many operations.
    pub short_once_in: Option<u64>,
    /// Writes and syncs fail with EIO after so many more of them, once.
    pub write_error_after: Option<u64>,
    /// The next so many syncs succeed, the one after fails once and loses what it covered.
    pub sync_error_after: Option<u64>,
    /// An operation on a file or directory fails with EIO, once in so many; a sync that does loses
    /// what it covered.
    pub error_once_in: Option<u64>,
    /// Reads of this file (by the end of its path) fail with EIO.
    pub read_error_path: Option<String>,
    /// Bytes the disk holds in all; beyond, ENOSPC.
    pub capacity_bytes: Option<u64>,
    /// Operations on files with this in their path take so many nanoseconds longer.
    pub slow_path: Option<(String, u64)>,
    /// What the disk says it has done and has not.
    pub lies: DiskLies,
}

/// Bugs planted below the code under test: a disk that leaves out what it was asked for is a log
/// that has forgotten to ask. A test that does not notice would not notice the bug either.
#[derive(Clone, Debug, Default)]
pub struct DiskLies {
    /// Syncs of files succeed and do nothing.
    pub syncs: bool,
    /// Syncs of directories succeed and do nothing.
    pub dir_syncs: bool,
    /// The sync of a file does not flush the device: it is the file's own affair.
    pub flushes: bool,
    /// A sync that fails is tried again, and believed.
    pub sync_retries: bool,
    /// Files are never cut.
    pub cuts: bool,
    /// Writes past the page cache are changed on their way: what is behind a log's end.
    pub padding: Option<fn(&mut [u8])>,
}

type InodeId = u64;

/// How many changes each file had seen when a sync was submitted: those it covers.
pub(super) type Covered = BTreeMap<InodeId, usize>;

#[derive(Clone, Debug, Default)]
struct Inode {
    /// What a process reads.
    content: Vec<u8>,
    /// What is on the platter for certain.
    durable: Vec<u8>,
    /// Changes since, oldest first, each with its number.
    pending: Vec<(usize, Pending)>,
    /// Changes ever.
    changes: usize,
    modified_ms: i64,
}

impl Inode {
    fn change(&mut self, change: Pending) {
        apply_change(&mut self.content, &change);
        self.pending.push((self.changes, change));
        self.changes += 1;
    }
}

#[derive(Clone, Debug)]
enum Pending {
    /// `direct`: past the page cache, so that the device has it.
    Write {
        offset: usize,
        bytes: Vec<u8>,
        direct: bool,
    },
    SetLen(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(InodeId),
}

type Tree = BTreeMap<PathBuf, Node>;

#[derive(Clone, Debug)]
enum NameOp {
    Link(PathBuf, Node),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// A disk: what is on it now, and what would be left of that.
#[derive(Clone, Debug)]
pub struct SimDisk {
    /// Names as a process sees them.
    names: Tree,
    /// Names on the platter before `name_log`.
    durable_names: Tree,
    name_log: Vec<(NameOp, bool)>,
    inodes: BTreeMap<InodeId, Inode>,
    next_inode: InodeId,
    open: BTreeMap<i32, (InodeId, OpenOptions)>,
    locks: BTreeMap<PathBuf, i32>,
    /// How it misbehaves.
    pub faults: DiskFaults,
    /// What a crash does to metadata.
    pub profile: CrashProfile,
}

impl SimDisk {
    /// An empty disk with nothing but its root directory.
    pub fn new(profile: CrashProfile) -> Self {
        let root = Tree::from([(PathBuf::from("/"), Node::Dir)]);
        Self {
            names: root.clone(),
            durable_names: root,
            name_log: Vec::new(),
            inodes: BTreeMap::new(),
            next_inode: 1,
            open: BTreeMap::new(),
            locks: BTreeMap::new(),
            faults: DiskFaults::default(),
            profile,
        }
    }

    fn log_name(&mut self, op: NameOp) {
        apply_name(&mut self.names, &op);
        self.name_log.push((op, false));
    }

    fn parent_exists(&self, path: &Path) -> Result<(), Errno> {
        let parent = path.parent().ok_or(Errno::EEXIST)?;
        match self.names.get(parent) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(Errno::ENOTDIR),
            None => Err(Errno::ENOENT),
        }
    }

    fn inode(&mut self, fd: i32) -> Result<&mut Inode, Errno> {
        let (id, _) = self.open.get(&fd).ok_or(Errno::EBADF)?;
        Ok(self.inodes.get_mut(id).expect("an open file has its inode"))
    }

    /// Opens `path` as descriptor `fd`.
    pub(super) fn open(
        &mut self,
        fd: i32,
        path: &Path,
        options: OpenOptions,
        now_ms: i64,
    ) -> Result<(), Errno> {
        let id = match self.names.get(path) {
            Some(Node::Dir) => return Err(Errno::EISDIR),
            Some(Node::File(_)) if options.create_new => return Err(Errno::EEXIST),
            Some(Node::File(id)) => *id,
            None if options.create || options.create_new => {
                self.parent_exists(path)?;
                let id = self.next_inode;
                self.next_inode += 1;
                self.inodes.insert(id, Inode { modified_ms: now_ms, ..Inode::default() });
                self.log_name(NameOp::Link(path.to_owned(), Node::File(id)));
                id
            }
            None => return Err(Errno::ENOENT),
        };
        self.open.insert(fd, (id, options));
        if options.truncate {
            self.set_len(fd, 0)?;
        }
        Ok(())
    }

    /// Closes a descriptor; false if it is not one of this disk's.
    pub(super) fn close(&mut self, fd: i32) -> bool {
        self.locks.retain(|_, holder| *holder != fd);
        self.open.remove(&fd).is_some()
    }

    /// Locks `path` for descriptor `fd`, making the file.
    pub(super) fn lock(&mut self, fd: i32, path: &Path, now_ms: i64) -> Result<(), Errno> {
        if self.locks.contains_key(path) {
            return Err(Errno::EAGAIN);
        }
        let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
        self.open(fd, path, options, now_ms)?;
        self.locks.insert(path.to_owned(), fd);
        Ok(())
    }

    /// The bytes at `offset`, at most `len`.
    pub(super) fn read(
        &mut self,
        fd: i32,
        offset: usize,
        len: usize,
        prng: &mut Prng,
    ) -> Result<Vec<u8>, Errno> {
        if let Some(suffix) = &self.faults.read_error_path {
            let (id, _) = self.open.get(&fd).ok_or(Errno::EBADF)?;
            let hit = self.names.iter().any(|(path, node)| {
                *node == Node::File(*id) && path.to_string_lossy().ends_with(suffix.as_str())
            });
            if hit {
                return Err(Errno::EIO);
            }
        }
        let mut len = len;
        if len > 1 && self.is_short(prng) {
            len = prng.between(1, len as u64) as usize;
        }
        let content = &self.inode(fd)?.content;
        let start = offset.min(content.len());
        Ok(content[start..content.len().min(offset + len)].to_vec())
    }

    /// How much longer an operation on one of these takes.
    pub(super) fn delay_ns(&self, path: Option<&Path>, fds: &[i32]) -> u64 {
        let Some((part, ns)) = &self.faults.slow_path else { return 0 };
        let slow = |path: &Path| path.to_string_lossy().contains(part.as_str());
        let open = fds.iter().filter_map(|fd| self.open.get(fd));
        let nodes: Vec<Node> = open.map(|(id, _)| Node::File(*id)).collect();
        let named = self.names.iter().any(|(path, node)| nodes.contains(node) && slow(path));
        if named || path.is_some_and(slow) { *ns } else { 0 }
    }

    fn is_short(&self, prng: &mut Prng) -> bool {
        self.faults.short_once_in.is_some_and(|n| prng.chance(1, n))
    }

    /// Writes at `offset`; returns how many bytes.
    pub(super) fn write(
        &mut self,
        fd: i32,
        offset: usize,
        bytes: &[u8],
        prng: &mut Prng,
        now_ms: i64,
    ) -> Result<usize, Errno> {
        count_down(&mut self.faults.write_error_after)?;
        let direct = self.open.get(&fd).is_some_and(|(_, options)| options.direct);
        if direct && !(offset.is_multiple_of(PAGE) && bytes.len().is_multiple_of(PAGE)) {
            return Err(Errno::EINVAL);
        }
        let mut len = bytes.len();
        if len > 1 && self.is_short(prng) {
            len = prng.between(1, len as u64) as usize;
            // Past the page cache a write ends with a block.
            if direct {
                len = len.next_multiple_of(PAGE);
            }
        }
        if let Some(capacity) = self.faults.capacity_bytes {
            let used = self.used_bytes();
            let end = (offset + len) as u64;
            let grows = end.saturating_sub(self.inode(fd)?.content.len() as u64);
            if used + grows > capacity {
                return Err(Errno::ENOSPC);
            }
        }
        let write = self.open.get(&fd).is_some_and(|(_, options)| options.write);
        if !write {
            return Err(Errno::EBADF);
        }
        let padding = self.faults.lies.padding;
        let inode = self.inode(fd)?;
        // A block that is written again, longer: what stays the same is not at risk, because
        // devices write sectors whole. The kernel's page cache relies on that too.
        let there = inode.content.get(offset..).unwrap_or_default();
        let same = match direct {
            true => there.iter().zip(&bytes[..len]).take_while(|(old, new)| old == new).count(),
            false => 0,
        };
        let mut bytes = bytes[same..len].to_vec();
        if let Some(padding) = padding.filter(|_| direct) {
            padding(&mut bytes);
        }
        inode.change(Pending::Write { offset: offset + same, bytes, direct });
        inode.modified_ms = now_ms;
        Ok(len)
    }

    /// Bytes of all files.
    pub fn used_bytes(&self) -> u64 {
        self.inodes.values().map(|inode| inode.content.len() as u64).sum()
    }

    /// Cuts or extends a file.
    pub(super) fn set_len(&mut self, fd: i32, len: usize) -> Result<(), Errno> {
        let refused = self.faults.lies.cuts;
        let inode = self.inode(fd)?;
        if refused && len < inode.content.len() {
            return Ok(());
        }
        inode.change(Pending::SetLen(len));
        Ok(())
    }

    /// Extends a file to `len` at least.
    pub(super) fn extend(&mut self, fd: i32, len: usize) -> Result<(), Errno> {
        let now = self.inode(fd)?.content.len();
        if now < len { self.set_len(fd, len) } else { Ok(()) }
    }

    /// What a sync submitted now would cover.
    pub(super) fn covered(&self) -> Covered {
        self.inodes.iter().map(|(id, inode)| (*id, inode.changes)).collect()
    }

    /// Lets go of what is in memory and clean: reads see the platter again, and what is still to
    /// be written to it.
    pub(super) fn drop_cache(&mut self, fd: i32) -> Result<(), Errno> {
        let inode = self.inode(fd)?;
        inode.content = inode.durable.clone();
        for (_, change) in &inode.pending {
            apply_change(&mut inode.content, change);
        }
        Ok(())
    }

    /// A sync of a file that covers this much completes.
    pub(super) fn sync(&mut self, fd: i32, covered: &Covered) -> Result<(), Errno> {
        if self.faults.lies.syncs {
            return Ok(());
        }
        let failed = count_down(&mut self.faults.sync_error_after).is_err();
        let believed = self.faults.lies.sync_retries;
        let (id, _) = *self.open.get(&fd).ok_or(Errno::EBADF)?;
        let inode = self.inodes.get_mut(&id).expect("an open file has its inode");
        let until = covered.get(&id).copied().unwrap_or(0);
        let until = inode.pending.partition_point(|(number, _)| *number < until);
        for (_, change) in inode.pending.drain(..until) {
            if !failed {
                apply_change(&mut inode.durable, &change);
            }
        }
        if self.profile == CrashProfile::Ext4 && !self.faults.lies.flushes {
            self.flush(covered, failed);
        }
        if failed && !believed {
            return Err(Errno::EIO);
        }
        if self.profile == CrashProfile::Ext4 {
            self.commit_names(|_| true);
        }
        Ok(())
    }

    /// The device is flushed. What was written past the page cache, where a file reached to for
    /// certain, is durable, or lost if the flush has failed.
    fn flush(&mut self, covered: &Covered, failed: bool) {
        for (id, inode) in &mut self.inodes {
            let until = covered.get(id).copied().unwrap_or(0);
            let durable = &mut inode.durable;
            inode.pending.retain(|(number, change)| {
                let within = match change {
                    Pending::Write { offset, bytes, direct: true } => {
                        offset + bytes.len() <= durable.len()
                    }
                    Pending::Write { .. } | Pending::SetLen(_) => false,
                };
                let flushed = *number < until && within;
                if flushed && !failed {
                    apply_change(durable, change);
                }
                !flushed
            });
        }
    }

    /// Makes a directory's entries durable.
    pub(super) fn sync_dir(&mut self, dir: &Path) -> Result<(), Errno> {
        if self.names.get(dir) != Some(&Node::Dir) {
            return Err(Errno::ENOENT);
        }
        if self.faults.lies.dir_syncs {
            return Ok(());
        }
        count_down(&mut self.faults.sync_error_after)?;
        let all = self.profile == CrashProfile::Ext4;
        self.commit_names(|path| all || path.parent() == Some(dir));
        Ok(())
    }

    fn commit_names(&mut self, covers: impl Fn(&Path) -> bool) {
        for (op, committed) in &mut self.name_log {
            *committed |= match op {
                NameOp::Link(path, _) | NameOp::Remove(path) => covers(path),
                NameOp::Rename(from, to) => covers(from) && covers(to),
            };
        }
        let done = self.name_log.iter().take_while(|(_, committed)| *committed).count();
        for (op, _) in self.name_log.drain(..done) {
            apply_name(&mut self.durable_names, &op);
        }
    }

    /// Makes a directory.
    pub(super) fn make_dir(&mut self, path: &Path) -> Result<(), Errno> {
        self.parent_exists(path)?;
        if self.names.contains_key(path) {
            return Err(Errno::EEXIST);
        }
        self.log_name(NameOp::Link(path.to_owned(), Node::Dir));
        Ok(())
    }

    /// Renames a file or a directory with everything in it.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Errno> {
        self.parent_exists(to)?;
        if !self.names.contains_key(from) {
            return Err(Errno::ENOENT);
        }
        if self.names.get(to) == Some(&Node::Dir) && self.has_children(to) {
            return Err(Errno::ENOTEMPTY);
        }
        self.log_name(NameOp::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn has_children(&self, dir: &Path) -> bool {
        self.names.keys().any(|path| path.parent() == Some(dir))
    }

    /// Removes a file.
    pub(super) fn unlink(&mut self, path: &Path) -> Result<(), Errno> {
        match self.names.get(path) {
            Some(Node::File(_)) => self.log_name(NameOp::Remove(path.to_owned())),
            Some(Node::Dir) => return Err(Errno::EISDIR),
            None => return Err(Errno::ENOENT),
        }
        Ok(())
    }

    /// Removes an empty directory.
    pub(super) fn remove_dir(&mut self, path: &Path) -> Result<(), Errno> {
        match self.names.get(path) {
            Some(Node::Dir) if self.has_children(path) => Err(Errno::ENOTEMPTY),
            Some(Node::Dir) => {
                self.log_name(NameOp::Remove(path.to_owned()));
                Ok(())
            }
            Some(Node::File(_)) => Err(Errno::ENOTDIR),
            None => Err(Errno::ENOENT),
        }
    }

    /// The names in a directory.
    pub(super) fn list(&self, dir: &Path) -> Result<Vec<String>, Errno> {
        match self.names.get(dir) {
            Some(Node::Dir) => {}
            Some(Node::File(_)) => return Err(Errno::ENOTDIR),
            None => return Err(Errno::ENOENT),
        }
        let inside = self.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    /// A path's size and kind.
    pub(super) fn stat(&self, path: &Path) -> Result<Stat, Errno> {
        match self.names.get(path).ok_or(Errno::ENOENT)? {
            Node::Dir => Ok(Stat { len: 0, is_dir: true, modified_ms: 0, device: 0 }),
            Node::File(id) => {
                let inode = &self.inodes[id];
                let len = inode.content.len() as u64;
                Ok(Stat { len, is_dir: false, modified_ms: inode.modified_ms, device: 0 })
            }
        }
    }

    /// Sets the modification time.
    pub(super) fn set_times(&mut self, path: &Path, modified_ms: i64) -> Result<(), Errno> {
        match self.names.get(path) {
            Some(Node::File(id)) => {
                self.inodes.get_mut(id).expect("a named inode").modified_ms = modified_ms;
                Ok(())
            }
            Some(Node::Dir) => Ok(()),
            None => Err(Errno::ENOENT),
        }
    }

    /// The power fails: what was not synced survives in part.
    pub fn crash(&mut self, prng: &mut Prng) {
        let log = std::mem::take(&mut self.name_log);
        let kept = match self.profile {
            CrashProfile::Ext4 => prng.index(log.len() + 1),
            CrashProfile::Hostile => 0,
        };
        for (i, (op, committed)) in log.iter().enumerate() {
            let survives = *committed
                || match self.profile {
                    CrashProfile::Ext4 => i < kept,
                    CrashProfile::Hostile => prng.chance(1, 2),
                };
            if survives {
                apply_name(&mut self.durable_names, op);
            }
        }
        // Entries whose directory did not survive are out of reach.
        let dirs: Tree = self.durable_names.clone();
        self.durable_names.retain(|path, _| {
            path.ancestors().skip(1).all(|dir| dirs.get(dir) == Some(&Node::Dir))
        });
        self.names = self.durable_names.clone();
        for inode in self.inodes.values_mut() {
            let mut left = std::mem::take(&mut inode.durable);
            for (_, change) in inode.pending.drain(..) {
                survive(&mut left, change, prng);
            }
            inode.durable = left.clone();
            inode.content = left;
        }
        self.close_all();
    }

    /// The process dies, the machine lives: what was written stays, open files close.
    pub fn kill(&mut self) {
        self.close_all();
    }

    fn close_all(&mut self) {
        self.open.clear();
        self.locks.clear();
        let names = &self.names;
        let durable = &self.durable_names;
        let log = &self.name_log;
        self.inodes.retain(|id, _| {
            let node = Node::File(*id);
            let logged = log.iter().any(|(op, _)| matches!(op, NameOp::Link(_, n) if *n == node));
            logged || names.values().chain(durable.values()).any(|n| *n == node)
        });
    }

    /// A file's bytes as a process reads them, for checks and for editing by tests.
    pub fn content(&self, path: &Path) -> Option<&[u8]> {
        match self.names.get(path)? {
            Node::File(id) => Some(&self.inodes[id].content),
            Node::Dir => None,
        }
    }

    /// Replaces a file's bytes on the platter, as bit rot or a foreign hand does.
    pub fn overwrite(&mut self, path: &Path, bytes: Vec<u8>) {
        let Some(Node::File(id)) = self.names.get(path) else { panic!("no file {path:?}") };
        let inode = self.inodes.get_mut(id).expect("a named inode");
        inode.pending.clear();
        inode.durable = bytes.clone();
        inode.content = bytes;
    }

    /// Takes a file away for good, as a foreign hand does.
    pub fn remove(&mut self, path: &Path) {
        self.names.remove(path);
        self.durable_names.remove(path);
        self.name_log.retain(|(op, _)| !matches!(op, NameOp::Link(at, _) if at == path));
    }

    /// How many descriptors are open.
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Every file there is.
    pub fn files(&self) -> Vec<PathBuf> {
        let is_file =
            |(path, node): (&PathBuf, &Node)| matches!(node, Node::File(_)).then(|| path.clone());
        self.names.iter().filter_map(is_file).collect()
    }
}

fn count_down(counter: &mut Option<u64>) -> Result<(), Errno> {
    match counter {
        Some(0) => {
            *counter = None;
            Err(Errno::EIO)
        }
        Some(left) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

fn apply_change(bytes: &mut Vec<u8>, change: &Pending) {
    match change {
        Pending::Write { offset, bytes: new, .. } => write_bytes(bytes, *offset, new),
        Pending::SetLen(len) => bytes.resize(*len, 0),
    }
}

fn write_bytes(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    let end = offset + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(new);
}

/// What an unsynced change leaves behind: each page of it kept, lost or garbled.
fn survive(left: &mut Vec<u8>, change: Pending, prng: &mut Prng) {
    let (offset, bytes) = match change {
        Pending::SetLen(len) => {
            if prng.chance(1, 2) {
                left.resize(len, 0);
            }
            return;
        }
        Pending::Write { offset, bytes, .. } => (offset, bytes),
    };
    let mut at = 0;
    while at < bytes.len() {
        let page_end = ((offset + at) / PAGE + 1) * PAGE - offset;
        let end = page_end.min(bytes.len());
        match prng.below(4) {
            0 => {}
            1 => tear(left, offset + at, &bytes[at..end], prng),
            _ => write_bytes(left, offset + at, &bytes[at..end]),
        }
        at = end;
    }
}

fn tear(left: &mut Vec<u8>, offset: usize, bytes: &[u8], prng: &mut Prng) {
    let mut at = 0;
    while at < bytes.len() {
        let sector_end = ((offset + at) / SECTOR + 1) * SECTOR - offset;
        let end = sector_end.min(bytes.len());
        match prng.below(3) {
            0 => write_bytes(left, offset + at, &bytes[at..end]),
            1 => {
                let mut noise = vec![0; end - at];
                prng.fill(&mut noise);
                write_bytes(left, offset + at, &noise);
            }
            _ => {}
        }
        at = end;
    }
}

fn apply_name(tree: &mut Tree, op: &NameOp) {
    match op {
        NameOp::Link(path, node) => {
            tree.insert(path.clone(), node.clone());
        }
        NameOp::Remove(path) => {
            tree.remove(path);
        }
        NameOp::Rename(from, to) => {
            let moved: Vec<PathBuf> =
                tree.keys().filter(|path| path.starts_with(from)).cloned().collect();
            for path in moved {
                let node = tree.remove(&path).expect("just listed");
                let rest = path.strip_prefix(from).expect("starts with it");
                let target = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                tree.insert(target, node);
            }
        }
    }
}

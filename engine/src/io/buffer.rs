//! Pooled, page-aligned buffers that move: into an operation, through a mailbox, back again.
//!
//! A [`Buf`] owns a range of a block of memory. `split_to` cuts it into two that own disjoint
//! ranges of the same block, so one received frame can be handed out batch by batch to the shards
//! that own the partitions, each writing into its part, without a copy and without a lock. When the
//! last `Buf` of a block is dropped the block goes to the pool of the thread that dropped it.
//!
//! Invariants: two live `Buf`s never overlap; every byte of a block is initialised (blocks are
//! allocated zeroed and only ever overwritten), so a stale byte may show but never an undefined
//! one. This module holds the pool's `unsafe`; it is run under Miri (docs/TESTING.md).

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Every block starts on this boundary, so that any block can be used for direct I/O.
pub const BUF_ALIGN: usize = 4096;
/// The smallest block.
pub const BLOCK_BYTES_MIN: usize = 4096;
/// The largest block that is pooled; larger ones are returned to the allocator.
pub const BLOCK_BYTES_POOLED_MAX: usize = 4 << 20;
const CLASS_COUNT: usize = 11;
/// What a thread's pool keeps at most, unless `set_pool_limit` says otherwise.
pub const POOL_BYTES_MAX_DEFAULT: usize = 64 << 20;

const _: () = assert!(BLOCK_BYTES_MIN << (CLASS_COUNT - 1) == BLOCK_BYTES_POOLED_MAX);
const _: () = assert!(BLOCK_BYTES_MIN.is_multiple_of(BUF_ALIGN));

struct Block {
    memory: NonNull<u8>,
    size: usize,
    refs: AtomicU32,
}

/// A pooled buffer: `len` bytes in use of `capacity`.
pub struct Buf {
    block: NonNull<Block>,
    start: usize,
    len: usize,
    capacity: usize,
}

// SAFETY: a Buf has exclusive use of its range of the block (split_to hands out disjoint ranges),
// and the block's reference count is atomic.
unsafe impl Send for Buf {}
// SAFETY: shared access to a Buf only reads its range.
unsafe impl Sync for Buf {}

struct Pool {
    free: [Vec<NonNull<Block>>; CLASS_COUNT],
    free_bytes: usize,
    free_bytes_max: usize,
}

impl Drop for Pool {
    fn drop(&mut self) {
        for block in self.free.iter_mut().flat_map(std::mem::take) {
            // SAFETY: a block on the free list has no Buf.
            unsafe { free_block(block) };
        }
    }
}

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool {
            free: [const { Vec::new() }; CLASS_COUNT],
            free_bytes: 0,
            free_bytes_max: POOL_BYTES_MAX_DEFAULT,
        })
    };
}

/// Bounds what this thread's pool keeps for reuse, in bytes.
pub fn set_pool_limit(bytes_max: usize) {
    POOL.with_borrow_mut(|pool| pool.free_bytes_max = bytes_max);
}

/// What this thread's pool holds for reuse at the moment, in bytes.
pub fn pool_free_bytes() -> usize {
    POOL.with_borrow(|pool| pool.free_bytes)
}

fn class_of(size: usize) -> Option<usize> {
    if size > BLOCK_BYTES_POOLED_MAX {
        return None;
    }
    let size = size.max(BLOCK_BYTES_MIN).next_power_of_two();
    Some((size / BLOCK_BYTES_MIN).trailing_zeros() as usize)
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, BUF_ALIGN).expect("block sizes are far below isize::MAX")
}

/// Blocks from this size on come straight from the kernel, which gives zeroed pages only as they
/// are touched: a frame that is announced and never sent costs address space, not memory. (Miri
/// has no mmap.)
const MAPPED_BYTES_MIN: usize = if cfg!(miri) { usize::MAX } else { 128 << 10 };

/// Zeroed memory of `size` bytes, a multiple of the page size, on a page boundary.
fn allocate(size: usize) -> NonNull<u8> {
    if size >= MAPPED_BYTES_MIN {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new private mapping that aliases nothing.
        let mapped = unsafe { mmap_anonymous(std::ptr::null_mut(), size, protection, flags) };
        return mapped
            .ok()
            .and_then(|memory| NonNull::new(memory.cast()))
            .unwrap_or_else(|| handle_alloc_error(layout(size)));
    }
    // SAFETY: the size is not zero: it is at least BLOCK_BYTES_MIN.
    let memory = unsafe { alloc_zeroed(layout(size)) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout(size)))
}

/// # Safety
/// `memory` came from `allocate` with this size, and nothing refers to it.
unsafe fn release(memory: NonNull<u8>, size: usize) {
    if size >= MAPPED_BYTES_MIN {
        // SAFETY: the whole of a mapping made by `allocate`.
        let unmapped = unsafe { munmap(memory.as_ptr().cast(), size) };
        assert!(unmapped.is_ok(), "munmap of {size} bytes: {unmapped:?}");
    } else {
        // SAFETY: allocated with this very layout.
        unsafe { dealloc(memory.as_ptr(), layout(size)) };
    }
}

fn new_block(size: usize) -> NonNull<Block> {
    let block = Box::new(Block { memory: allocate(size), size, refs: AtomicU32::new(0) });
    NonNull::from(Box::leak(block))
}

/// # Safety
/// No `Buf` of the block may be alive.
unsafe fn free_block(block: NonNull<Block>) {
    // SAFETY: the block came from Box::leak in new_block, and nobody else refers to it.
    let block = unsafe { Box::from_raw(block.as_ptr()) };
    // SAFETY: allocated in new_block with this size; no Buf is left.
    unsafe { release(block.memory, block.size) };
}

impl Buf {
    /// An empty buffer with room for at least `capacity` bytes (as many as its block holds).
    pub fn with_capacity(capacity: usize) -> Buf {
        let class = class_of(capacity);
        let pooled = class.and_then(|class| {
            POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                let block = pool.free[class].pop()?;
                pool.free_bytes -= BLOCK_BYTES_MIN << class;
                Some(block)
            })
            .ok()
            .flatten()
        });
        let block = pooled.unwrap_or_else(|| {
            new_block(match class {
                Some(class) => BLOCK_BYTES_MIN << class,
                None => capacity.next_multiple_of(BUF_ALIGN),
            })
        });
        // SAFETY: the block is ours alone: fresh, or just taken from the free list.
        let (refs, size) = unsafe { (&block.as_ref().refs, block.as_ref().size) };
        let before = refs.swap(1, Ordering::Relaxed);
        assert_eq!(before, 0, "a free block had an owner");
        Buf { block, start: 0, len: 0, capacity: size }
    }

    /// A buffer that holds a copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Buf {
        let mut buf = Buf::with_capacity(bytes.len());
        buf.extend_from_slice(bytes);
        buf
    }

    /// How many bytes fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many more bytes fit.
    pub fn spare_len(&self) -> usize {
        self.capacity - self.len
    }

    /// Declares the first `len` bytes in use. Bytes not written since are stale, not undefined.
    ///
    /// # Panics
    /// If `len` exceeds the capacity.
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity, "{len} bytes in a buffer of {}", self.capacity);
        self.len = len;
    }

    /// Appends `bytes`.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.spare_len(), "{} > {}", bytes.len(), self.spare_len());
        let at = self.len;
        self.len += bytes.len();
        self[at..].copy_from_slice(bytes);
    }

    /// Where the unused part starts, for the kernel to write to. Valid for `spare_len` bytes.
    pub fn spare_ptr(&mut self) -> *mut u8 {
        // SAFETY: start + len is inside the block, or one past its end.
        unsafe { self.base().add(self.len) }
    }

    /// Cuts off and returns the first `at` bytes; `self` keeps the rest. No byte is copied.
    ///
    /// # Panics
    /// If `at` is past the bytes in use.
    #[must_use]
    pub fn split_to(&mut self, at: usize) -> Buf {
        assert!(at <= self.len, "split at {at} of {}", self.len);
        // SAFETY: self keeps the block alive.
        let refs = unsafe { &self.block.as_ref().refs };
        let before = refs.fetch_add(1, Ordering::Relaxed);
        assert!(before < u32::MAX / 2, "too many parts of one buffer");
        let front = Buf { block: self.block, start: self.start, len: at, capacity: at };
        self.start += at;
        self.len -= at;
        self.capacity -= at;
        front
    }

    /// Forgets the first `count` bytes.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len, "advance by {count} of {}", self.len);
        self.start += count;
        self.len -= count;
        self.capacity -= count;
    }

    fn base(&self) -> *mut u8 {
        // SAFETY: self keeps the block alive, and start lies inside it.
        unsafe { self.block.as_ref().memory.as_ptr().add(self.start) }
    }
}

impl Deref for Buf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the range is inside the block, initialised, and exclusively ours.
        unsafe { std::slice::from_raw_parts(self.base(), self.len) }
    }
}

impl DerefMut for Buf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in deref, and self is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.base(), self.len) }
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        // SAFETY: self keeps the block alive until here.
        let block = unsafe { self.block.as_ref() };
        if block.refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let kept = class_of(block.size).is_some_and(|class| {
            POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                if pool.free_bytes + block.size > pool.free_bytes_max {
                    return false;
                }
                pool.free_bytes += block.size;
                pool.free[class].push(self.block);
                true
            })
            .unwrap_or(false)
        });
        if !kept {
            // SAFETY: the count fell to zero, so this was the last Buf of the block.
            unsafe { free_block(self.block) };
        }
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({} of {})", self.len, self.capacity)
    }
}

/// Bytes to send or write: a buffer that moves, or bytes that many readers share.
#[derive(Clone, Debug)]
enum Bytes<B> {
    Owned(B),
    Shared(Arc<[u8]>),
    /// A pooled buffer that its owner keeps, to send it again if need be.
    Lent(Arc<B>),
    Static(&'static [u8]),
}

/// One contiguous part of an outgoing write or send.
#[derive(Debug)]
pub struct Chunk {
    bytes: Bytes<Buf>,
    start: usize,
}

impl Chunk {
    /// What is still to be sent.
    pub fn as_slice(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Owned(buf) => &buf[self.start..],
            Bytes::Shared(bytes) => &bytes[self.start..],
            Bytes::Lent(buf) => &buf[self.start..],
            Bytes::Static(bytes) => &bytes[self.start..],
        }
    }

    /// Forgets the first `count` bytes: they are sent.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.as_slice().len(), "advance past the end of a chunk");
        self.start += count;
    }
}

impl From<Buf> for Chunk {
    fn from(buf: Buf) -> Chunk {
        Chunk { bytes: Bytes::Owned(buf), start: 0 }
    }
}

impl From<Arc<[u8]>> for Chunk {
    fn from(bytes: Arc<[u8]>) -> Chunk {
        Chunk { bytes: Bytes::Shared(bytes), start: 0 }
    }
}

impl From<Arc<Buf>> for Chunk {
    fn from(buf: Arc<Buf>) -> Chunk {
        Chunk { bytes: Bytes::Lent(buf), start: 0 }
    }
}

impl From<&'static [u8]> for Chunk {
    fn from(bytes: &'static [u8]) -> Chunk {
        Chunk { bytes: Bytes::Static(bytes), start: 0 }
    }
}

/// How many bytes `chunks` hold together.
pub fn chunks_len(chunks: &[Chunk]) -> usize {
    chunks.iter().map(|chunk| chunk.as_slice().len()).sum()
}

/// Drops the first `count` bytes of `chunks`, whole chunks and the start of the next.
pub fn advance_chunks(chunks: &mut Vec<Chunk>, mut count: usize) {
    let mut whole = 0;
    for chunk in chunks.iter_mut() {
        let len = chunk.as_slice().len();
        if len > count {
            chunk.advance(count);
            count = 0;
            break;
        }
        count -= len;
        whole += 1;
    }
    assert_eq!(count, 0, "advanced past the end");
    chunks.drain(..whole);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_and_the_block_comes_back() {
        let mut whole = Buf::with_capacity(10_000);
        assert_eq!(whole.capacity(), 16 << 10);
        whole.extend_from_slice(b"headbody");
        let mut head = whole.split_to(4);
        head[0] = b'H';
        whole[0] = b'B';
        assert_eq!((&head[..], &whole[..]), (&b"Head"[..], &b"Body"[..]));
        let before = pool_free_bytes();
        drop(whole);
        assert_eq!(pool_free_bytes(), before);
        drop(head);
        assert_eq!(pool_free_bytes(), before + (16 << 10));
        assert_eq!(Buf::with_capacity(9000).len(), 0);
        assert_eq!(Buf::with_capacity(9000).as_ptr() as usize % BUF_ALIGN, 0);
    }

    #[test]
    fn the_pool_is_bounded() {
        set_pool_limit(8192);
        let bufs: Vec<Buf> = (0..8).map(|_| Buf::with_capacity(4096)).collect();
        drop(bufs);
        assert_eq!(pool_free_bytes(), 8192);
        drop(Buf::with_capacity(BLOCK_BYTES_POOLED_MAX + 1));
        assert_eq!(pool_free_bytes(), 8192);
    }

    #[test]
    fn parts_move_between_threads() {
        let mut whole = Buf::copy_of(&[7; 6000]);
        let part = whole.split_to(3000);
        let other = std::thread::scope(|scope| {
            scope.spawn(move || part.iter().map(|&b| u32::from(b)).sum::<u32>()).join()
        });
        assert_eq!(other.ok(), Some(21_000));
        assert_eq!(whole.len(), 3000);
    }

    #[test]
    fn chunks_advance_over_their_borders() {
        let mut chunks = vec![
            Chunk::from(Arc::new(Buf::copy_of(b"abc"))),
            Chunk::from(&b"de"[..]),
            Chunk::from(&b"f"[..]),
        ];
        advance_chunks(&mut chunks, 4);
        let left: Vec<u8> = chunks.iter().flat_map(|c| c.as_slice().to_vec()).collect();
        assert_eq!((left.as_slice(), chunks_len(&chunks)), (&b"ef"[..], 2));
        advance_chunks(&mut chunks, 2);
        assert!(chunks.is_empty());
    }
}

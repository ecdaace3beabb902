//! The ring of buffers that the kernel fills for multishot receives.
//!
//! Each slot lends one pooled [`Buf`] to the kernel. When the kernel has filled it, the `Buf` moves
//! into the completion and a fresh one takes its slot: no copy, and an idle connection holds none.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use crate::io::{Buf, Errno};

/// The only buffer group of a ring.
pub(super) const BUFFER_GROUP: u16 = 0;

/// Buffers lent to the kernel.
pub(super) struct ProvidedBuffers {
    entries: NonNull<BufRingEntry>,
    layout: Layout,
    lent: Vec<Option<Buf>>,
    buffer_bytes: usize,
    tail: u16,
}

impl ProvidedBuffers {
    /// Registers `count` buffers (a power of two) with the ring.
    pub(super) fn register(
        submitter: &Submitter<'_>,
        count: u16,
        buffer_bytes: usize,
    ) -> Result<Self, Errno> {
        let size = usize::from(count) * size_of::<BufRingEntry>();
        let layout = Layout::from_size_align(size, 4096).map_err(|_| Errno::EINVAL)?;
        // SAFETY: count is a power of two, so the size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(entries) = NonNull::new(memory.cast::<BufRingEntry>()) else {
            handle_alloc_error(layout)
        };
        let lent = (0..count).map(|_| None).collect();
        let mut this = Self { entries, layout, lent, buffer_bytes, tail: 0 };
        // SAFETY: the entries are page-aligned, of the right size, and live until `self` is
        // dropped, which the driver does after the ring is closed.
        let result = unsafe {
            submitter.register_buf_ring_with_flags(memory as u64, count, BUFFER_GROUP, 0)
        };
        result.map_err(|e| Errno(e.raw_os_error().unwrap_or(libc::EIO)))?;
        for id in 0..count {
            this.lend(id);
        }
        Ok(this)
    }

    /// Takes the buffer the kernel filled with `len` bytes, and lends another in its place.
    pub(super) fn take(&mut self, id: u16, len: usize) -> Buf {
        let mut buf = self.lent[usize::from(id)].take().expect("the kernel fills what was lent");
        buf.set_len(len);
        self.lend(id);
        buf
    }

    fn lend(&mut self, id: u16) {
        let mut buf = Buf::with_capacity(self.buffer_bytes);
        let mask = self.lent.len() - 1;
        // SAFETY: the index is below the number of entries; the kernel reads an entry only after
        // the tail has passed it.
        let entry = unsafe { &mut *self.entries.as_ptr().add(usize::from(self.tail) & mask) };
        entry.set_addr(buf.spare_ptr() as u64);
        entry.set_len(self.buffer_bytes as u32);
        entry.set_bid(id);
        self.lent[usize::from(id)] = Some(buf);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail overlays the first entry's reserved field, 2-byte aligned; the kernel
        // reads it with acquire, so the entry above is visible before it.
        let tail =
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for ProvidedBuffers {
    fn drop(&mut self) {
        // SAFETY: allocated in `register` with this layout; the ring is closed by now.
        unsafe { dealloc(self.entries.as_ptr().cast(), self.layout) };
    }
}

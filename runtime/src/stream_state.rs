//! What is known between two jobs of a stream: memory of the runtime that driver and device read and write.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

use uaccel_queue::stream::STATE_ALIGN;

/// The state of a stream, with a copy of what it was before the last job.
///
/// It is reached through its address only, never by a reference, and stays where it is.
#[derive(Debug)]
pub(crate) struct StreamState {
    start: NonNull<u8>,
    len: usize,
    layout: Layout,
    before: Box<[u8]>,
}

// SAFETY: the memory is the value's own, and is accessed by `&mut` only, or by the jobs of whoever has that.
unsafe impl Send for StreamState {}
// SAFETY: a shared reference gives access to the address alone.
unsafe impl Sync for StreamState {}

impl StreamState {
    /// A zeroed state of `len` bytes; `None` if there cannot be one.
    pub(crate) fn new(len: usize) -> Option<Self> {
        let layout = Layout::from_size_align(len.max(1), STATE_ALIGN).ok()?;
        // SAFETY: not of size 0.
        let start = unsafe { alloc::alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { alloc::handle_alloc_error(layout) };
        Some(Self { start, len, layout, before: vec![0; len].into() })
    }

    /// Where it is, for a job.
    pub(crate) fn bytes(&self) -> (*const u8, usize) {
        (self.start.as_ptr(), self.len)
    }

    /// Keeps a copy. No job that names it is in flight.
    pub(crate) fn keep(&mut self) {
        // SAFETY: `len` bytes here and there, which are apart. No job is in flight, so nobody writes them.
        unsafe { self.start.as_ptr().copy_to_nonoverlapping(self.before.as_mut_ptr(), self.len) };
    }

    /// Puts back what was kept. No job that names it is in flight.
    pub(crate) fn put_back(&mut self) {
        // SAFETY: as in `keep`; nobody reads them either.
        unsafe { self.start.as_ptr().copy_from_nonoverlapping(self.before.as_ptr(), self.len) };
    }
}

impl Drop for StreamState {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout. No job that names it is in flight: a call that runs one returns only after that.
        unsafe { alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}

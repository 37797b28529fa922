//! Memory that lies in a device's reach by itself.

use core::any::Any;
use core::fmt;
use core::ptr::NonNull;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// A piece of ordinary memory that the device's side has mapped as well, so that jobs on it cost less than on other memory.
///
/// It is the owner's alone, but for what a device does in jobs on it. [`Bus::shared_memory`](crate::Bus::shared_memory) makes it.
pub struct SharedMemory {
    start: NonNull<u8>,
    len: usize,
    /// Keeps the memory mapped and known to the device's side.
    _keeper: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the bytes belong to no thread, and the keeper may be dropped on any.
unsafe impl Send for SharedMemory {}
// SAFETY: `&SharedMemory` gives the pointer out and accesses nothing.
unsafe impl Sync for SharedMemory {}

/// It is bytes, which are never half of something; and the keeper is only dropped.
impl UnwindSafe for SharedMemory {}
impl RefUnwindSafe for SharedMemory {}

impl SharedMemory {
    /// Describes memory at `start`.
    ///
    /// # Safety
    /// `start` points to `len` initialised bytes, which stay mapped readable and writable until `keeper` is dropped, and which nobody accesses but the owner of
    /// the value, and a device in jobs on them.
    #[must_use]
    pub unsafe fn new(start: NonNull<u8>, len: usize, keeper: Arc<dyn Any + Send + Sync>) -> Self {
        Self { start, len, _keeper: keeper }
    }

    /// The first byte. In a child process made by `fork` there need not be any memory.
    #[must_use]
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemory").field("len", &self.len).finish_non_exhaustive()
    }
}

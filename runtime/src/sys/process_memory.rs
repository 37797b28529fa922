//! Ordinary memory of the process, for devices that share its addresses.

use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

use super::fork_mark::ForkMark;

/// The smallest page there is.
const PAGE: usize = 4096;

/// Fresh, zeroed pages that no child process inherits.
///
/// Were they inherited, the first write after a `fork` would give this process a copy, and a device that holds on to the old page for a moment
/// would write into the child's.
#[derive(Debug)]
pub(crate) struct ProcessMemory {
    start: NonNull<u8>,
    len: NonZeroUsize,
    fork: ForkMark,
}

// SAFETY: the pointer is only given out; the mapping belongs to the process, not to a thread.
unsafe impl Send for ProcessMemory {}
// SAFETY: as for `Send`.
unsafe impl Sync for ProcessMemory {}

impl ProcessMemory {
    /// At least `len` bytes that nobody has touched yet: no page is there before somebody does.
    pub(crate) fn untouched(len: usize, fork: ForkMark) -> io::Result<Self> {
        Self::map(None, len, MapFlags::MAP_PRIVATE, fork)
    }

    /// At least `len` bytes of which every page is there, for devices that cannot ask for one. It may be taken away later, as any page.
    pub(crate) fn populated(len: usize, fork: ForkMark) -> io::Result<Self> {
        Self::map(None, len, MapFlags::MAP_PRIVATE | MapFlags::MAP_POPULATE, fork)
    }

    /// The same at an address of the caller's choice, a multiple of the page. `AlreadyExists` if there is something.
    pub(crate) fn populated_at(start: usize, len: usize, fork: ForkMark) -> io::Result<Self> {
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_POPULATE | MapFlags::MAP_FIXED_NOREPLACE;
        let memory = Self::map(NonZeroUsize::new(start), len, flags, fork)?;
        // Kernels before 4.17 take the address for a wish.
        if memory.start().addr().get() == start { Ok(memory) } else { Err(io::ErrorKind::AlreadyExists.into()) }
    }

    /// Bytes of a huge page.
    pub(crate) const HUGE: usize = 2 << 20;

    /// At least `len` bytes in huge pages that stay where they are. `OutOfMemory` if none are set aside.
    pub(crate) fn huge(len: usize, fork: ForkMark) -> io::Result<Self> {
        let kind = MapFlags::MAP_HUGETLB | MapFlags::MAP_HUGE_2MB | MapFlags::MAP_LOCKED;
        let len = len.max(1).checked_next_multiple_of(Self::HUGE).ok_or(io::ErrorKind::OutOfMemory)?;
        Self::map(None, len, MapFlags::MAP_PRIVATE | MapFlags::MAP_POPULATE | kind, fork)
    }

    fn map(place: Option<NonZeroUsize>, len: usize, flags: MapFlags, fork: ForkMark) -> io::Result<Self> {
        let rounded = len.max(1).checked_next_multiple_of(PAGE).and_then(NonZeroUsize::new);
        let len = rounded.ok_or(io::ErrorKind::OutOfMemory)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh private mapping touches nothing that exists.
        let start = unsafe { mmap_anonymous(place, len, access, flags) }?;
        // From here on dropping unmaps.
        let memory = Self { start: start.cast(), len, fork };
        // SAFETY: changes only what a child sees of pages that are ours alone.
        unsafe { madvise(start, len.get(), MmapAdvise::MADV_DONTFORK) }?;
        Ok(memory)
    }

    /// Where it starts.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }
}

impl Drop for ProcessMemory {
    fn drop(&mut self) {
        // A child did not inherit it; something else may be there by now.
        if !self.fork.is_home() {
            return;
        }
        // SAFETY: ours, and whoever had the address is gone.
        let unmapped = unsafe { munmap(self.start.cast(), self.len.get()) };
        debug_assert!(unmapped.is_ok(), "unmapping our own pages: {unmapped:?}");
    }
}

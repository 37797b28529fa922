//! A mark that a child process does not inherit.

use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

const PAGE: NonZeroUsize = NonZeroUsize::new(4096).expect("a page is not empty");
const MARK: u64 = 1;

/// A page that holds 1 here and 0 in a child made by `fork`: the kernel wipes it (`MADV_WIPEONFORK`, Linux 4.14).
///
/// One load tells whether this process is the one that opened the queues, without a system call.
#[derive(Debug)]
pub(crate) struct ForkMark {
    page: NonNull<AtomicU64>,
}

// SAFETY: the page is only read, atomically, after it was set up.
unsafe impl Send for ForkMark {}
// SAFETY: as for `Send`.
unsafe impl Sync for ForkMark {}

impl ForkMark {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: a fresh private mapping touches nothing that exists.
        let page =
            unsafe { mmap_anonymous(None, PAGE, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE)? };
        // From here on dropping unmaps.
        let mark = Self { page: page.cast() };
        // SAFETY: the advice changes only what a child sees of a page that is ours alone.
        unsafe { madvise(page, PAGE.get(), MmapAdvise::MADV_WIPEONFORK)? };
        mark.word().store(MARK, Ordering::Relaxed);
        Ok(mark)
    }

    /// Whether this is still the process that made the mark.
    #[inline]
    pub(crate) fn is_home(&self) -> bool {
        // Relaxed: a child is born with the page already wiped; within a process the word never changes.
        self.word().load(Ordering::Relaxed) == MARK
    }

    #[inline]
    fn word(&self) -> &AtomicU64 {
        // SAFETY: mapped, aligned and zeroed at first; unmapped only by drop.
        unsafe { self.page.as_ref() }
    }
}

impl Drop for ForkMark {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody holds a reference into it beyond `self`.
        let unmapped = unsafe { munmap(self.page.cast(), PAGE.get()) };
        debug_assert!(unmapped.is_ok(), "unmapping our own page: {unmapped:?}");
    }
}

//! A mark that a child process does not inherit.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

const PAGE: NonZeroUsize = NonZeroUsize::new(4096).expect("a page is not empty");
const MARK: u64 = 1;

/// A page that holds 1 here and 0 in a child made by `fork`: the kernel wipes it (`MADV_WIPEONFORK`, Linux 4.14).
///
/// One load tells whether this process is the one that opened the queues, without a system call. Clones share the page.
#[derive(Clone, Debug)]
pub(crate) struct ForkMark {
    /// The word in the page, so that there is nothing between a holder and the word.
    word: NonNull<AtomicU64>,
    _page: Arc<Page>,
}

// SAFETY: the page is only read, atomically, after it was set up.
unsafe impl Send for ForkMark {}
// SAFETY: as for `Send`.
unsafe impl Sync for ForkMark {}

impl ForkMark {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: a fresh private mapping touches nothing that exists.
        let start =
            unsafe { mmap_anonymous(None, PAGE, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE)? };
        // From here on dropping unmaps.
        let mark = Self { word: start.cast(), _page: Arc::new(Page(start)) };
        // SAFETY: the advice changes only what a child sees of a page that is ours alone.
        unsafe { madvise(start, PAGE.get(), MmapAdvise::MADV_WIPEONFORK)? };
        mark.word().store(MARK, Ordering::Relaxed);
        Ok(mark)
    }

    /// Whether this is still the process that made the mark.
    #[inline]
    pub(crate) fn is_home(&self) -> bool {
        // Relaxed: a child is born with the page already wiped; within a process the word never changes.
        self.word().load(Ordering::Relaxed) == MARK
    }

    /// How many share the page.
    #[cfg(test)]
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self._page)
    }

    #[inline]
    fn word(&self) -> &AtomicU64 {
        // SAFETY: mapped, aligned and zeroed at first; unmapped when the last clone is dropped.
        unsafe { self.word.as_ref() }
    }
}

/// The mapping, by its first address.
#[derive(Debug)]
struct Page(NonNull<c_void>);

// SAFETY: the address is only used for unmapping, by whoever is last.
unsafe impl Send for Page {}
// SAFETY: as for `Send`.
unsafe impl Sync for Page {}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody holds a reference into it beyond the marks that share it.
        let unmapped = unsafe { munmap(self.0, PAGE.get()) };
        debug_assert!(unmapped.is_ok(), "unmapping our own page: {unmapped:?}");
    }
}

//! Mappings of the tests' own.

use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap};
use uaccel_runtime::{Room, WriteBuf};

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

/// A mapping, only ever reached through pointers: a device may be at it.
#[derive(Debug)]
pub(crate) struct Pages {
    start: NonNull<u8>,
    len: NonZeroUsize,
}

// SAFETY: the mapping belongs to the process, and is only reached through pointers and system calls. Tests race on it on purpose: with a device, and with
// a thread that changes the mapping.
unsafe impl Sync for Pages {}
// SAFETY: as for `Sync`.
unsafe impl Send for Pages {}

// SAFETY: the mapping stays where it is, and a test that gives it away does not access it before it is back.
unsafe impl WriteBuf for Pages {
    fn room(&mut self) -> Room {
        // Anonymous memory holds zeros, and a file's its bytes.
        Room { start: self.start(), len: self.len.get(), initialised: true }
    }

    unsafe fn set_written(&mut self, _: usize) {}

    fn wipe(&mut self) {
        // SAFETY: ours, and no job has it any more.
        unsafe { self.start().write_bytes(0, self.len.get()) }
    }
}

impl Pages {
    /// Pages that nobody has touched.
    pub(crate) fn untouched(len: usize) -> Self {
        Self::anonymous(None, len, MapFlags::empty())
    }

    /// The same, of the smallest size: each is brought in by itself.
    pub(crate) fn untouched_small(len: usize) -> Self {
        let pages = Self::untouched(len);
        pages.advise(MmapAdvise::MADV_NOHUGEPAGE);
        pages
    }

    /// Pages at this address, which is free.
    pub(crate) fn at(address: usize, len: usize) -> Self {
        Self::anonymous(NonZeroUsize::new(address), len, MapFlags::MAP_FIXED_NOREPLACE)
    }

    fn anonymous(address: Option<NonZeroUsize>, len: usize, flags: MapFlags) -> Self {
        let len = NonZeroUsize::new(len).expect("some pages");
        // SAFETY: fresh pages, and nothing is replaced.
        let start = unsafe { mmap_anonymous(address, len, READ_WRITE, MapFlags::MAP_PRIVATE | flags) }.expect("memory");
        Self { start: start.cast(), len }
    }

    /// The pages of a file.
    pub(crate) fn of_file(file: &impl AsFd, len: usize, flags: MapFlags) -> Self {
        let len = NonZeroUsize::new(len).expect("some pages");
        // SAFETY: fresh pages, and nothing is replaced.
        let start = unsafe { mmap(None, len, READ_WRITE, flags, file, 0) }.expect("a mapping");
        Self { start: start.cast(), len }
    }

    /// The first byte.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The byte at `offset`.
    pub(crate) fn at_offset(&self, offset: usize) -> *mut u8 {
        assert!(offset < self.len.get());
        self.start().wrapping_add(offset)
    }

    /// What stands there. No job is writing it.
    pub(crate) fn read(&self, offset: usize, len: usize) -> Vec<u8> {
        assert!(offset + len <= self.len.get());
        let mut bytes = vec![0; len];
        // SAFETY: inside the mapping, which may be read, into fresh memory.
        unsafe { self.start().add(offset).copy_to_nonoverlapping(bytes.as_mut_ptr(), len) };
        bytes
    }

    /// Writes there. No job is using it.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.len.get());
        // SAFETY: inside the mapping, which may be written.
        unsafe { self.start().add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Forbids writing, or permits it again.
    pub(crate) fn permit_writing(&self, permitted: bool) {
        let access = if permitted { READ_WRITE } else { ProtFlags::PROT_READ };
        // SAFETY: whole pages of ours; who writes them by a pointer meets the consequences.
        unsafe { mprotect(self.start.cast(), self.len.get(), access) }.expect("a change");
    }

    /// Takes the right to do anything with some of them.
    pub(crate) fn forbid(&self, offset: usize, len: usize) {
        assert!(offset + len <= self.len.get(), "inside the mapping");
        let start = NonNull::new(self.at_offset(offset)).expect("inside the mapping").cast();
        // SAFETY: pages of ours, only reached through pointers.
        unsafe { mprotect(start, len, ProtFlags::PROT_NONE) }.expect("mprotect");
    }

    /// Gives the pages away; they are read as zeros afterwards.
    pub(crate) fn discard(&self) {
        self.advise(MmapAdvise::MADV_DONTNEED);
    }

    /// Gives advice.
    pub(crate) fn advise(&self, advice: MmapAdvise) {
        // SAFETY: whole pages of ours, that nobody has a reference to.
        unsafe { madvise(self.start.cast(), self.len.get(), advice) }.expect("advice is taken");
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: ours; jobs that use them are over, or meet faults.
        unsafe { munmap(self.start.cast(), self.len.get()) }.expect("our own pages");
    }
}

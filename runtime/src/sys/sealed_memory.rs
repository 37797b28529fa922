//! Memory of this process that another one can map as well.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use memmap2::{Advice, MmapOptions, MmapRaw};
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;

use super::fork_mark::ForkMark;

/// The smallest page there is.
const PAGE: usize = 4096;

/// Zeroed pages of a memory file that can neither shrink nor grow. No child process inherits the mapping, which would share the pages with it.
#[derive(Debug)]
pub(crate) struct SealedMemory {
    file: OwnedFd,
    start: NonNull<u8>,
    map: ManuallyDrop<MmapRaw>,
    fork: ForkMark,
}

// SAFETY: the pointer is only given out; the mapping belongs to the process, not to a thread.
unsafe impl Send for SealedMemory {}
// SAFETY: as for `Send`.
unsafe impl Sync for SealedMemory {}

impl SealedMemory {
    /// At least `len` bytes.
    pub(crate) fn new(len: usize, fork: ForkMark) -> io::Result<Self> {
        let len = len.max(1).checked_next_multiple_of(PAGE).ok_or(io::ErrorKind::OutOfMemory)?;
        let size = i64::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let file = memfd_create(c"uaccel-window", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        ftruncate(&file, size)?;
        // A page that cannot be had is an error here, and not a signal at the first touch.
        fallocate(&file, FallocateFlags::empty(), 0, size)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        let map = MmapOptions::new().len(len).map_raw(&file)?;
        let start = NonNull::new(map.as_mut_ptr()).ok_or(io::ErrorKind::OutOfMemory)?;
        let memory = Self { file, start, map: ManuallyDrop::new(map), fork };
        memory.map.advise(Advice::DontFork)?;
        Ok(memory)
    }

    /// Where it starts, at a page.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether this is the process that has it.
    pub(crate) fn is_home(&self) -> bool {
        self.fork.is_home()
    }
}

impl AsFd for SealedMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for SealedMemory {
    fn drop(&mut self) {
        // A child did not inherit the mapping; something else may be there by now.
        if self.fork.is_home() {
            // SAFETY: dropped once, here, and not used again.
            unsafe { ManuallyDrop::drop(&mut self.map) };
        }
    }
}

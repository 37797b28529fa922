//! Memory that two processes have in common.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64};

use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;

use crate::error::RawError;
use crate::line::Line;
use crate::slot::Slot;

/// Most bytes of a copy within the common memory.
pub(crate) const MOST_BYTES: usize = 1 << 20;
const PAGE: usize = 4096;
/// The head, then a source, then a destination.
const LENGTH: usize = PAGE + 2 * MOST_BYTES;

/// What two processes of one limit have in common. It is mapped by both; all of it is zero at first.
#[derive(Debug)]
pub(crate) struct Floor {
    map: MmapRaw,
}

/// The words at its beginning.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Head {
    /// [`MAGIC`], once everything else is set.
    pub(crate) magic: AtomicU64,
    /// What the partner does.
    pub(crate) errand: AtomicU32,
    /// The CPU on which the partner stays.
    pub(crate) cpu: AtomicU32,
    /// Addresses in the caller's memory, and how much is copied.
    pub(crate) source: AtomicU64,
    pub(crate) destination: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// What the caller wants: see [`Wish`](crate::partner::Wish).
    pub(crate) wish: Line<AtomicU32>,
    /// What the partner does: see [`State`](crate::partner::State).
    pub(crate) state: Line<AtomicU32>,
    /// The job's line.
    pub(crate) slot: Line<Slot>,
    /// Words to sleep on: a question, and its answer.
    pub(crate) there: Line<AtomicU32>,
    pub(crate) back: Line<AtomicU32>,
}

/// Says that the descriptor is one of these.
pub(crate) const MAGIC: u64 = 0x7261_772d_666c_6f6f;

const _: () = assert!(size_of::<Head>() <= PAGE);

impl Floor {
    /// Fresh memory, and the descriptor by which another process gets it.
    pub(crate) fn new() -> Result<(Self, OwnedFd), RawError> {
        let os = |call| move |errno: nix::Error| RawError::Os { call, source: errno.into() };
        let memory = memfd_create(c"raw-floor", MFdFlags::MFD_CLOEXEC).map_err(os("memfd_create"))?;
        let length = libc::off_t::try_from(LENGTH).unwrap_or(libc::off_t::MAX);
        ftruncate(&memory, length).map_err(os("ftruncate"))?;
        Ok((Self::map(&memory)?, memory))
    }

    /// The memory behind a descriptor that somebody else made.
    pub(crate) fn map(memory: &impl AsFd) -> Result<Self, RawError> {
        let os = |source: io::Error| RawError::Os { call: "mmap", source };
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&memory.as_fd());
        let map = MmapOptions::new().len(LENGTH).populate().map_raw(descriptor).map_err(os)?;
        Ok(Self { map })
    }

    /// The words at its beginning.
    pub(crate) fn head(&self) -> &Head {
        // SAFETY: the mapping is longer than the head, begins at a page, and lives as long as `self`. Every word of the head is an
        // atomic or a slot, which has its own rules for who touches it when; all bits zero are a head.
        unsafe { &*self.map.as_mut_ptr().cast::<Head>() }
    }

    /// Where a source lies, [`MOST_BYTES`] long.
    pub(crate) fn source(&self) -> *mut u8 {
        self.map.as_mut_ptr().wrapping_add(PAGE)
    }

    /// Where a destination lies, [`MOST_BYTES`] long.
    pub(crate) fn destination(&self) -> *mut u8 {
        self.map.as_mut_ptr().wrapping_add(PAGE + MOST_BYTES)
    }
}

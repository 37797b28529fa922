//! Memory of the runtime's own that devices reach for as long as it lives.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use uaccel_queue::{RingMemory, SharedMemory, TransportError, Uncovered};

use super::memory::PinnedMemory;
use super::registration::{Registration, Wish};
use crate::sys::fork_mark::ForkMark;
use crate::sys::process_memory::ProcessMemory;

/// Pages that devices reach at their own address, zeroed at first, and that no child process inherits.
#[derive(Debug)]
pub(super) struct ArenaPages {
    /// Before the pages, so that it ends first.
    registration: Registration,
    pages: ProcessMemory,
}

impl ArenaPages {
    /// At least `len` bytes, placed where the device's addresses go.
    pub(super) fn new(len: usize, memory: &Arc<PinnedMemory>, fork: &ForkMark) -> Result<Self, TransportError> {
        let system = |source| TransportError::System { call: "mmap of memory for a device", source };
        let pages = place(len, memory, fork).map_err(system)?;
        let registration = Registration::new(pages.start().expose_provenance().get(), pages.len());
        registration.add(memory).map_err(refused)?;
        Ok(Self { registration, pages })
    }

    /// Hands it out as ring memory.
    pub(super) fn into_ring_memory(self) -> RingMemory {
        let (start, len): (NonNull<u8>, usize) = (self.pages.start(), self.pages.len());
        let device = start.expose_provenance().get() as u64;
        // SAFETY: whole pages, zeroed, mapped while the keeper lives; everybody reaches them through ring memory.
        unsafe { RingMemory::new(start, device, len, Arc::new(self)) }
    }

    /// Hands it out as memory of the program's, with what registers it with devices that come later.
    pub(super) fn into_shared_memory(self) -> (SharedMemory, Wish) {
        let (start, len, wish) = (self.pages.start(), self.pages.len(), self.registration.wish());
        // SAFETY: whole pages, zeroed, mapped while the keeper lives; nobody accesses them but the owner, and devices in jobs on them.
        (unsafe { SharedMemory::new(start, len, Arc::new(self)) }, wish)
    }
}

/// Where the kernel likes, if the device's addresses go there, else at the lowest place within its reach that is free.
fn place(len: usize, memory: &PinnedMemory, fork: &ForkMark) -> io::Result<ProcessMemory> {
    /// Below are a program's own segments, if anything, and in some systems nothing may be.
    const LOWEST: u64 = 1 << 20;
    /// Steps from one try to the next.
    const STEP: u64 = 1 << 20;
    /// Tries before giving up: 16 GiB of addresses that are taken.
    const TRIES: usize = 1 << 14;
    let is_within = |pages: &ProcessMemory| {
        memory.reach().first_outside(pages.start().addr().get() as u64, pages.len() as u64).is_none()
    };
    let pages = ProcessMemory::populated(len, fork.clone())?;
    if is_within(&pages) {
        return Ok(pages);
    }
    let places = memory.reach().ranges.iter().flat_map(|range| {
        let first = (*range.start()).max(LOWEST).next_multiple_of(STEP);
        (first..=*range.end()).step_by(usize::try_from(STEP).unwrap_or(usize::MAX))
    });
    for start in places.take(TRIES) {
        let Ok(start) = usize::try_from(start) else { break };
        match ProcessMemory::populated_at(start, len, fork.clone()) {
            Ok(pages) if is_within(&pages) => return Ok(pages),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::OutOfMemory, format!("no {len} bytes are free within {}", memory.reach())))
}

/// What it means that memory cannot be registered.
pub(super) fn refused(error: Uncovered) -> TransportError {
    TransportError::Refused(format!("memory that the device is to reach: {error}"))
}

//! Memory of the runtime's own that the device reaches for as long as it lives.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use uaccel_queue::{FaultKind, RingMemory, TransportError, Uncovered};

use super::memory::PinnedMemory;
use crate::sys::fork_mark::ForkMark;
use crate::sys::process_memory::ProcessMemory;

/// Pages that the device reaches at their own address, zeroed at first, and that no child process inherits.
#[derive(Debug)]
pub(super) struct ArenaPages {
    pages: ProcessMemory,
    memory: Arc<PinnedMemory>,
}

impl ArenaPages {
    /// At least `len` bytes, placed where the device's addresses go.
    pub(super) fn new(len: usize, memory: &Arc<PinnedMemory>, fork: &ForkMark) -> Result<Self, TransportError> {
        let system = |source| TransportError::System { call: "mmap of memory for a device", source };
        let pages = place(len, memory, fork).map_err(system)?;
        memory.register(pages.start().addr().get(), pages.len(), FaultKind::Write).map_err(refused)?;
        // From here on dropping takes it back.
        Ok(Self { pages, memory: memory.clone() })
    }

    /// Hands it out as ring memory.
    pub(super) fn into_ring_memory(self) -> RingMemory {
        let (start, len): (NonNull<u8>, usize) = (self.pages.start(), self.pages.len());
        let device = start.expose_provenance().get() as u64;
        // SAFETY: whole pages, zeroed, mapped while the keeper lives; everybody reaches them through ring memory.
        unsafe { RingMemory::new(start, device, len, Arc::new(self)) }
    }
}

impl Drop for ArenaPages {
    fn drop(&mut self) {
        // Before the pages go.
        self.memory.unregister(self.pages.start().addr().get(), self.pages.len());
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

/// What it means for a queue that its own memory cannot be had.
pub(super) fn refused(error: Uncovered) -> TransportError {
    TransportError::Refused(format!("memory for its rings: {error}"))
}

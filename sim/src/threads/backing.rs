//! A queue of this process.

use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::{MmapOptions, MmapRaw};
use nix::sys::eventfd::{EfdFlags, EventFd};
use uaccel_queue::{Region, RegionKind, RingMemory, TransportError};

use super::own_memory::OwnMemory;
use crate::UserPage;
use crate::pool::{Backing, RingBlock, Rings};

/// Pieces of ring memory a queue can have: its rings, and places for the data of jobs that do not get to the device as they are.
const RINGS: usize = 8;

/// A queue of this process: all it stands on is memory that both sides reach anyway.
#[derive(Debug)]
pub(super) struct ThreadBacking {
    page: Arc<UserPage>,
    rings: Mutex<Rings>,
    /// How long the one piece of ring memory is, where the device's interface says so.
    fixed: Option<usize>,
    /// Signals to the user.
    event: Arc<Event>,
}

/// How a user is told to look, whichever queue of several it is for.
#[derive(Debug)]
pub(super) struct Event(EventFd);

impl Event {
    pub(super) fn new() -> Result<Self, TransportError> {
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|errno| TransportError::System { call: "eventfd", source: errno.into() })?;
        Ok(Self(event))
    }

    /// Becomes readable when the device signals.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(super) fn signal(&self) {
        // The counter can only be too full to count on, and then it is readable already.
        let _ = self.0.write(1);
    }

    /// Takes back all signals. Whether there was one.
    pub(super) fn clear(&self) -> bool {
        self.0.read().is_ok()
    }
}

impl ThreadBacking {
    pub(super) fn new(event: Arc<Event>, fixed: Option<usize>) -> Self {
        Self { page: Arc::new(UserPage::new()), rings: Mutex::default(), fixed, event }
    }

    /// The registers, for the queue's user.
    pub(super) fn region(&self) -> Region {
        let base = NonNull::from(&*self.page).cast();
        // SAFETY: the page is aligned, of that size, lives as long as the keeper, and is only accessed as atomic words, here, and as
        // volatile words, by the region. Its interior is mutable, so a pointer from a shared reference may be written through.
        unsafe { Region::new(RegionKind::User, base, UserPage::SIZE, self.page.clone()) }
    }

    /// Hands out one more piece of ring memory, of at least `len` bytes.
    pub(super) fn hand_out(&self, len: usize) -> Result<RingMemory, TransportError> {
        const PAGE: usize = 4096;
        let mut rings = self.lock();
        let most = if self.fixed.is_some() { 1 } else { RINGS };
        if rings.len() >= most {
            return Err(TransportError::Refused(format!("a queue has at most {most} pieces of ring memory")));
        }
        if let Some(fixed) = self.fixed.filter(|fixed| len > *fixed) {
            return Err(TransportError::Refused(format!("{len} bytes of ring memory where there are {fixed}")));
        }
        let len = self
            .fixed
            .unwrap_or(len)
            .max(1)
            .checked_next_multiple_of(PAGE)
            .ok_or_else(|| TransportError::Refused(format!("{len} bytes of ring memory")))?;
        let map =
            MmapOptions::new().len(len).map_anon().map_err(|source| TransportError::System { call: "mmap", source })?;
        let map = MmapRaw::from(map);
        // The device's addresses are the host's.
        let base = map.as_ptr().expose_provenance() as u64;
        let block = Arc::new(RingBlock::new(map, base));
        let host = NonNull::new(block.start()).ok_or(TransportError::Gone)?;
        // SAFETY: the mapping is page-aligned, as long as said, anonymous hence zeroed, readable and writable, lives as long as
        // the keeper; this process accesses it through `RingMemory` and `RingBlock` only, both atomic.
        let memory = unsafe { RingMemory::new(host, base, block.len(), block.clone()) };
        rings.push(block);
        Ok(memory)
    }

    fn lock(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backing for ThreadBacking {
    type Memory = OwnMemory;

    fn page(&self) -> &UserPage {
        &self.page
    }

    fn rings(&self) -> Rings {
        self.lock().clone()
    }

    fn forget_rings(&self) {
        self.lock().clear();
    }

    fn memory(&self) -> OwnMemory {
        OwnMemory::new()
    }

    fn signal(&self) {
        self.event.signal();
    }

    fn clear_signal(&self) -> bool {
        self.event.clear()
    }
}

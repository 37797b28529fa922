//! Memory of this process that a queue's user and the device share.

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;
use std::sync::Arc;

use memmap2::{MmapOptions, MmapRaw};
use uaccel_queue::{Region, RegionKind, RingMemory, TransportError};

use crate::UserPage;

/// One piece of ring memory: mapped, zeroed, and kept until the last one who knows it is gone.
pub(super) struct RingBlock(MmapRaw);

impl RingBlock {
    /// Maps at least `len` bytes.
    pub(super) fn map(len: usize) -> Result<Arc<Self>, TransportError> {
        const PAGE: usize = 4096;
        let len = len
            .max(1)
            .checked_next_multiple_of(PAGE)
            .ok_or_else(|| TransportError::Refused(format!("{len} bytes of ring memory")))?;
        let map =
            MmapOptions::new().len(len).map_anon().map_err(|source| TransportError::System { call: "mmap", source })?;
        Ok(Arc::new(Self(MmapRaw::from(map))))
    }

    /// The first address: the device's is the host's.
    pub(super) fn address(&self) -> u64 {
        self.0.as_ptr().expose_provenance() as u64
    }

    /// The length in bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What the queue's user gets.
    pub(super) fn share(self: &Arc<Self>) -> Result<RingMemory, TransportError> {
        let host = NonNull::new(self.0.as_mut_ptr()).ok_or(TransportError::Gone)?;
        // SAFETY: the mapping is page-aligned, as long as said, anonymous hence zeroed, readable and writable, lives as long as
        // `self`, which the keeper holds; this process accesses it through `RingMemory` and `word` only, both atomic.
        Ok(unsafe { RingMemory::new(host, self.address(), self.len(), self.clone()) })
    }

    /// The `N` words at `offset`, if they are aligned and lie inside.
    #[inline]
    pub(super) fn record<const N: usize>(&self, offset: u64) -> Option<&[AtomicU64; N]> {
        let offset = usize::try_from(offset).ok()?;
        if !offset.is_multiple_of(8) || offset >= self.0.len() || self.0.len() - offset < N * 8 {
            return None;
        }
        // SAFETY: aligned and inside, as just checked; mapped while `self` lives; everybody accesses this memory atomically.
        Some(unsafe { &*self.0.as_mut_ptr().add(offset).cast() })
    }

    /// The word at `offset`, if it is aligned and lies inside.
    #[inline]
    pub(super) fn word(&self, offset: u64) -> Option<&AtomicU64> {
        let offset = usize::try_from(offset).ok()?;
        if !offset.is_multiple_of(8) || offset >= self.0.len() {
            return None;
        }
        // SAFETY: aligned and inside, as just checked (the length is a multiple of a page); mapped while `self` lives; everybody
        // accesses this memory atomically.
        Some(unsafe { AtomicU64::from_ptr(self.0.as_mut_ptr().add(offset).cast()) })
    }
}

impl fmt::Debug for RingBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingBlock")
            .field("address", &format_args!("{:#x}", self.address()))
            .field("len", &self.len())
            .finish()
    }
}

/// The user page as a region of the queue's user.
pub(super) fn share_page(page: &Arc<UserPage>) -> Region {
    let base = NonNull::from(&**page).cast();
    // SAFETY: the page is aligned, of that size, lives as long as the keeper, and is only accessed as atomic words, here, and as
    // volatile words, by the region. Its interior is mutable, so a pointer from a shared reference may be written through.
    unsafe { Region::new(RegionKind::User, base, UserPage::SIZE, page.clone()) }
}

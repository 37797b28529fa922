//! What a device reaches of this process's memory.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use uaccel_queue::{DeviceMemory, Fault, FaultKind, Uncovered};

use super::mapper::{Mapper, Reach};
use super::mappings::{Mappings, Unmapped, is_full};
use super::pinning::{Pinning, Policy};
use crate::sys::fork_mark::ForkMark;
use crate::sys::limits;

/// The memory of this process that a device reaches under the process's own addresses, pinned.
pub(super) struct PinnedMemory {
    reach: Reach,
    space: Mutex<Space>,
    counts: Tally,
    fork: ForkMark,
}

/// The address space of a device.
struct Space {
    mappings: Mappings,
    /// `None` when the device is gone: what was mapped for it went with it.
    mapper: Option<Box<dyn Mapper>>,
}

/// What was done for jobs, and for memory that was registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Ranges that were covered.
    pub covered: u64,
    /// Of these, ranges for which nothing had to be mapped.
    pub found: u64,
    /// Ranges that could not be covered.
    pub refused: u64,
    /// Bytes that are mapped now.
    pub bytes: u64,
}

/// Each is a statistic of its own, so Relaxed throughout.
#[derive(Debug, Default)]
struct Tally {
    covered: AtomicU64,
    found: AtomicU64,
    refused: AtomicU64,
}

impl PinnedMemory {
    /// The memory of a device that passes on so many bits of an address.
    pub(super) fn new(mapper: Box<dyn Mapper>, address_bits: u32, fork: ForkMark) -> io::Result<Self> {
        let reach = mapper.reach()?.narrowed(address_bits);
        let space = Space { mappings: Mappings::default(), mapper: Some(mapper) };
        Ok(Self { reach, space: Mutex::new(space), counts: Tally::default(), fork })
    }

    pub(super) fn reach(&self) -> &Reach {
        &self.reach
    }

    pub(super) fn counts(&self) -> Counts {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Tally { covered, found, refused } = &self.counts;
        Counts {
            covered: get(covered),
            found: get(found),
            refused: get(refused),
            bytes: self.space().mappings.bytes() as u64,
        }
    }

    /// The device is gone. Nothing is pinned for it any more, and what keeps it from others is closed.
    pub(super) fn end(&self) {
        let mut space = self.space();
        let Space { mappings, mapper } = &mut *space;
        // Piece by piece: what has the mappings may stay open, with a child of this process, or with a translation of them.
        if let Some(mapper) = mapper {
            mappings.end_all(&**mapper);
        }
        let mapper = mapper.take();
        drop(space);
        drop(mapper);
    }

    /// Pins memory until it is [unregistered](Self::unregister).
    pub(super) fn register(&self, start: usize, len: usize, access: FaultKind) -> Result<(), Uncovered> {
        self.acquire(start, len, access, false)
    }

    /// Takes back one [`register`](Self::register) of the same range.
    pub(super) fn unregister(&self, start: usize, len: usize) {
        self.release(start, len, false);
    }

    fn release(&self, start: usize, len: usize, keep: bool) {
        // A child has neither mappings nor pins: they are its parent's.
        if len == 0 || !self.fork.is_home() {
            return;
        }
        let Some(pages) = self.pages(start, len) else { return };
        let Space { mappings, mapper } = &mut *self.space();
        if let Some(mapper) = mapper {
            mappings.release(&**mapper, pages, keep);
        }
    }

    fn acquire(&self, start: usize, len: usize, access: FaultKind, joining: bool) -> Result<(), Uncovered> {
        if len == 0 {
            return Ok(());
        }
        let counted = |result: Result<(), Uncovered>| {
            let Tally { covered, refused, .. } = &self.counts;
            if result.is_ok() { covered } else { refused }.fetch_add(1, Ordering::Relaxed);
            result
        };
        counted(self.acquire_pages(start, len, access, joining))
    }

    fn acquire_pages(&self, start: usize, len: usize, access: FaultKind, joining: bool) -> Result<(), Uncovered> {
        let fault = |address: usize| Uncovered::Fault(Fault { address: address as u64, kind: access });
        if !self.fork.is_home() {
            return Err(fault(start));
        }
        let pages = self.check_reach(start, len, access)?;
        let write = access == FaultKind::Write;
        let mut space = self.space();
        let Space { mappings, mapper: Some(mapper) } = &mut *space else { return Err(Uncovered::Gone) };
        let joined = mappings.join(pages, write);
        let acquired = match joined {
            Ok(()) => {
                self.counts.found.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) if joining => Err(error),
            // Its end does not wrap: there are whole pages around it.
            Err(_) => mappings.acquire(&**mapper, self.reach.page, start..start + len, write),
        };
        let bytes = mappings.bytes();
        acquired.map_err(|error| match error {
            Unmapped::Fault(page) => fault(page.max(start)),
            Unmapped::Absent(page) => Uncovered::Unregistered(page.max(start) as u64),
            Unmapped::ReadOnly(page) => Uncovered::Refused {
                start: page.max(start) as u64,
                len: len as u64,
                reason: "the page is in use by a job that reads memory nobody may write".to_owned(),
            },
            Unmapped::Kernel(gap, error) if is_full(&error) => {
                Uncovered::Limit { wanted: gap.len() as u64, limit: limit(&**mapper, &error, bytes) }
            }
            Unmapped::Kernel(gap, error) => {
                Uncovered::Refused { start: gap.start as u64, len: gap.len() as u64, reason: error.to_string() }
            }
        })
    }

    /// Whether the device is gone.
    pub(super) fn has_ended(&self) -> bool {
        self.space().mapper.is_none()
    }

    /// Checks that the device's addresses go there; gives the whole pages around the range.
    pub(super) fn check_reach(&self, start: usize, len: usize, access: FaultKind) -> Result<Range<usize>, Uncovered> {
        let wraps = || Uncovered::Fault(Fault { address: start as u64, kind: access });
        let pages = self.pages(start, len).ok_or_else(wraps)?;
        match self.reach.first_outside(pages.start as u64, pages.len() as u64) {
            None => Ok(pages),
            Some(address) => {
                Err(Uncovered::Reach { address: address.max(start as u64), reach: self.reach.to_string() })
            }
        }
    }

    /// The whole pages around a range.
    fn pages(&self, start: usize, len: usize) -> Option<Range<usize>> {
        let page = self.reach.page;
        let end = start.checked_add(len)?.checked_next_multiple_of(page)?;
        Some(start - start % page..end)
    }

    fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept for later, and what nobody has released, goes with it.
impl Drop for PinnedMemory {
    fn drop(&mut self) {
        // A child has neither mappings nor pins: they are its parent's.
        if self.fork.is_home() {
            self.end();
        }
    }
}

/// Which limit was reached, and what raises it.
fn limit(mapper: &dyn Mapper, error: &io::Error, bytes: usize) -> String {
    if error.raw_os_error() == Some(Errno::ENOSPC as i32) {
        let left = mapper.reach().ok().and_then(|reach| reach.left).unwrap_or(0);
        return format!(
            "{left} more mappings can be made for the device; raise dma_entry_limit of the kernel module vfio_iommu_type1"
        );
    }
    match limits::locked_memory() {
        Some(limit) => format!(
            "{bytes} are pinned and the process may lock {limit} (RLIMIT_MEMLOCK); raise it with `ulimit -l`, LimitMEMLOCK= or limits.conf"
        ),
        None => format!("{bytes} are pinned, and memory is short ({error})"),
    }
}

/// The same as one queue sees it.
#[derive(Debug)]
pub(super) struct JobMemory {
    pub(super) memory: Arc<PinnedMemory>,
    pub(super) policy: Policy,
}

impl DeviceMemory for JobMemory {
    fn cover(&self, start: usize, len: usize, access: FaultKind) -> Result<(), Uncovered> {
        self.memory.acquire(start, len, access, self.policy == Policy::Safe(Pinning::RegisteredOnly))
    }

    fn release(&self, start: usize, len: usize) {
        self.memory.release(start, len, self.policy == Policy::Keep);
    }
}

impl fmt::Debug for PinnedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedMemory").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel whose mappings stay when it is no longer spoken to, as those of a file that a child has open, too.
    #[derive(Debug)]
    struct Staying(Arc<AtomicU64>);

    impl Mapper for Staying {
        fn reach(&self) -> io::Result<Reach> {
            Ok(Reach { ranges: vec![0..=u64::MAX], page: 4096, left: None })
        }

        fn map(&self, _iova: u64, _start: usize, len: usize, _write: bool) -> io::Result<()> {
            self.0.fetch_add(len as u64, Ordering::Relaxed);
            Ok(())
        }

        fn unmap(&self, _iova: u64, len: usize) -> io::Result<()> {
            self.0.fetch_sub(len as u64, Ordering::Relaxed);
            Ok(())
        }
    }

    fn memory() -> (Arc<PinnedMemory>, Arc<AtomicU64>) {
        let pinned = Arc::new(AtomicU64::new(0));
        let memory = PinnedMemory::new(Box::new(Staying(pinned.clone())), 64, ForkMark::new().unwrap()).unwrap();
        (Arc::new(memory), pinned)
    }

    #[test]
    fn nothing_stays_pinned_for_a_device_that_is_gone() {
        let (memory, pinned) = memory();
        memory.register(0x10_0000, 100_000, FaultKind::Write).unwrap();
        assert!(pinned.load(Ordering::Relaxed) >= 100_000);
        memory.end();
        assert_eq!(pinned.load(Ordering::Relaxed), 0);
        assert_eq!(memory.counts().bytes, 0);
        // Its owner lets go of it later.
        memory.unregister(0x10_0000, 100_000);
        assert_eq!(memory.register(0x10_0000, 100_000, FaultKind::Write), Err(Uncovered::Gone));
    }

    #[test]
    fn nothing_stays_pinned_that_was_kept_for_later() {
        let (memory, pinned) = memory();
        let jobs = JobMemory { memory, policy: Policy::Keep };
        jobs.cover(0x10_0000, 100_000, FaultKind::Read).unwrap();
        jobs.release(0x10_0000, 100_000);
        assert!(pinned.load(Ordering::Relaxed) >= 100_000);
        drop(jobs);
        assert_eq!(pinned.load(Ordering::Relaxed), 0);
    }
}

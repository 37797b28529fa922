//! The port of the thread host: the memory of this process.

use core::sync::atomic::Ordering;
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use uaccel_queue::{Fault, FaultKind};

use super::memory::RingBlock;
use crate::{Access, AddressSpace, MemoryPort, SourceWindow, Span, TargetWindow};

/// The smallest page there is; a larger one only makes more steps.
const PAGE: u64 = 4096;

/// The memory of this process. Never answers [`Access::Pending`]: a page that is not there is the kernel's business.
///
/// Ring memory is accessed as atomic words. Everything else is copied by the kernel, which checks each address as it checks those of
/// a system call, so a bad one is a fault and not a signal; unless the host vouched for it, then it is used in place.
#[derive(Clone, Debug)]
pub(super) struct ThreadPort {
    rings: Vec<Arc<RingBlock>>,
    process: Pid,
}

impl ThreadPort {
    /// The port that knows these pieces of ring memory.
    pub(super) fn new(rings: Vec<Arc<RingBlock>>) -> Self {
        Self { rings, process: Pid::this() }
    }

    /// The piece of ring memory that has this address, and where in it.
    #[inline]
    fn ring_at(&self, address: u64) -> Option<(&RingBlock, u64)> {
        self.rings
            .iter()
            .map(|ring| (&**ring, address.wrapping_sub(ring.address())))
            .find(|(ring, offset)| *offset < ring.len() as u64)
    }

    /// Reads through the kernel.
    fn copy_in(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        transfer(address, into.len(), |base, len| {
            process_vm_readv(self.process, &mut [IoSliceMut::new(&mut into[..len])], &[RemoteIoVec { base, len }])
        })
    }

    /// Writes through the kernel, which honours page protection.
    fn copy_out(&self, address: u64, from: &[u8]) -> Option<usize> {
        transfer(address, from.len(), |base, len| {
            process_vm_writev(self.process, &[IoSlice::new(&from[..len])], &[RemoteIoVec { base, len }])
        })
    }
}

impl MemoryPort for ThreadPort {
    #[inline]
    fn observe(&self, _: AddressSpace, address: u64) -> Access<u64> {
        match self.ring_at(address).and_then(|(ring, offset)| ring.word(offset)) {
            Some(word) => Access::Ready(word.load(Ordering::Acquire)),
            None => unreadable(address),
        }
    }

    fn read(&self, _: AddressSpace, address: u64, into: &mut [u8]) -> Access<usize> {
        if into.is_empty() {
            return Access::Ready(0);
        }
        match self.copy_in(address, into) {
            Some(count) => Access::Ready(count),
            None => unreadable(address),
        }
    }

    fn write(&self, _: AddressSpace, address: u64, from: &[u8]) -> Access<usize> {
        if from.is_empty() {
            return Access::Ready(0);
        }
        match self.copy_out(address, from) {
            Some(count) => Access::Ready(count),
            None => unwritable(address),
        }
    }

    #[inline]
    fn publish(&self, _: AddressSpace, address: u64, value: u64) -> Access<()> {
        match self.ring_at(address).and_then(|(ring, offset)| ring.word(offset)) {
            Some(word) => {
                word.store(value, Ordering::Release);
                Access::Ready(())
            }
            None => unwritable(address),
        }
    }

    #[inline]
    fn words<const N: usize>(&self, _: AddressSpace, address: u64) -> Access<[u64; N]> {
        let Some((ring, offset)) = self.ring_at(address) else { return unreadable(address) };
        match ring.record(offset) {
            // Relaxed: ordered by the acquire load that observed the record's publication.
            Some(words) => Access::Ready(words.each_ref().map(|word| word.load(Ordering::Relaxed))),
            // Rings are looked at when the queue is started, so a record that is not wholly inside is none of them.
            None => unreadable(address),
        }
    }

    #[inline]
    fn put(&self, _: AddressSpace, address: u64, value: u64) -> Access<()> {
        match self.ring_at(address).and_then(|(ring, offset)| ring.word(offset)) {
            // Relaxed: ordered by the publication of the record it is part of.
            Some(word) => {
                word.store(value, Ordering::Relaxed);
                Access::Ready(())
            }
            None => unwritable(address),
        }
    }

    #[inline]
    fn take_record<const N: usize>(
        &self,
        _: AddressSpace,
        address: u64,
        valid: impl FnOnce(u64) -> bool,
    ) -> Access<Option<[u64; N]>> {
        let Some(record) = self.ring_at(address).and_then(|(ring, offset)| ring.record::<N>(offset)) else {
            return unreadable(address);
        };
        // Acquire, as in `observe`: the other words are then the host's.
        let last = record[N - 1].load(Ordering::Acquire);
        Access::Ready(valid(last).then(|| {
            // Relaxed: ordered by the acquire above.
            let mut words = record.each_ref().map(|word| word.load(Ordering::Relaxed));
            words[N - 1] = last;
            words
        }))
    }

    #[inline]
    fn publish_record<const N: usize>(&self, _: AddressSpace, address: u64, words: [u64; N]) -> Access<()> {
        let Some(record) = self.ring_at(address).and_then(|(ring, offset)| ring.record::<N>(offset)) else {
            return unwritable(address);
        };
        for (place, word) in record[..N - 1].iter().zip(words) {
            // Relaxed: ordered by the release below.
            place.store(word, Ordering::Relaxed);
        }
        // Release, as in `publish`.
        record[N - 1].store(words[N - 1], Ordering::Release);
        Access::Ready(())
    }

    fn ring(&self, _: AddressSpace, span: Span) -> bool {
        self.ring_at(span.address).is_some_and(|(ring, offset)| ring.len() as u64 - offset >= span.len as u64)
    }

    fn home(&self, _: AddressSpace) -> Option<u64> {
        self.rings.last().map(|ring| ring.address())
    }

    #[inline]
    fn source_in_place(&self, _: AddressSpace, span: Span) -> Option<SourceWindow> {
        // SAFETY: asked for only under the flag by which the host vouches that the memory stays mapped, initialised and unwritten until the
        // job is answered, and the window is dropped before. Whoever sets that flag in a descriptor has made this promise.
        unsafe { SourceWindow::new(span.address, span.len) }
    }

    #[inline]
    fn target_in_place(&self, _: AddressSpace, span: Span, initialised: bool) -> Option<TargetWindow> {
        // SAFETY: as for sources; the host also vouches that nobody else touches a destination, and `initialised` is its word.
        unsafe { TargetWindow::new(span.address, span.len, initialised) }
    }
}

const fn unreadable<T>(address: u64) -> Access<T> {
    Access::Fault(Fault { address, kind: FaultKind::Read })
}

const fn unwritable<T>(address: u64) -> Access<T> {
    Access::Fault(Fault { address, kind: FaultKind::Write })
}

/// Moves as many of `len` bytes at `address` as can be moved in a step; `None` if not even the first one can.
///
/// The kernel may refuse a whole range of which only the later part is bad. What lies on the first page is then tried alone, so that
/// a fault is reported at the first bad byte.
fn transfer(address: u64, len: usize, mut step: impl FnMut(usize, usize) -> nix::Result<usize>) -> Option<usize> {
    let base = usize::try_from(address).ok()?;
    base.checked_add(len)?;
    if let Ok(moved @ 1..) = step(base, len) {
        return Some(moved);
    }
    let on_page = usize::try_from(PAGE - address % PAGE).ok()?;
    if on_page >= len {
        return None;
    }
    step(base, on_page).ok().filter(|moved| *moved > 0)
}

//! The way to a device: what the runtime, or a simulator, hands to a driver.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use crate::{AddressMode, CopyError, DeviceMemory, Region, RegionKind, RingMemory, TransportError};

/// Why a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The device has something, or pretends to: poll and see.
    Signalled,
    /// The time has come.
    TimedOut,
}

/// What is known about the device after a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// The device touches none of this queue's memory any more, nor that of its jobs.
    Proven,
    /// It may still do so.
    Unproven,
}

/// The way to one queue of a device. All system calls of a driver are behind this.
///
/// A transport is opened per queue ([`Bus::open`](crate::Bus::open)) and closed by dropping it; what it handed out
/// keeps its own memory mapped. All methods may be called from any thread. Only [`ring_doorbell`](Self::ring_doorbell)
/// and [`enqueue`](Self::enqueue) are on the hot path.
pub trait Transport: Send + Sync + std::fmt::Debug {
    /// The registers of the queue.
    fn regions(&self) -> &[Region];

    /// Memory that both sides reach, zeroed, at least `len` bytes, aligned to a page. It may be longer, and where a
    /// device has one fixed piece per queue its length is part of the interface: see [`RingMemory::len`].
    ///
    /// # Errors
    /// If the device's reach or the system's memory is exhausted.
    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError>;

    /// Writes a register whose write the device notices at once. `offset` is in the [`RegionKind::User`] region.
    ///
    /// Everything the caller wrote before is visible to the device when it notices.
    fn ring_doorbell(&self, offset: usize, value: u64);

    /// As [`ring_doorbell`](Self::ring_doorbell), for devices whose doorbells have 16 bits.
    fn ring_doorbell16(&self, offset: usize, value: u16) {
        if let Some(region) = self.region(RegionKind::User) {
            // What was written before is visible to a device in this process, or one that snoops what is written.
            fence(Ordering::SeqCst);
            region.write16(offset, value);
        }
    }

    /// Hands descriptors to a device that takes them through a portal instead of fetching them from a ring, from the
    /// first on, and returns how many it took. Fewer than there are is no error: such a device may turn a descriptor
    /// down.
    ///
    /// Everything the caller wrote before is visible to the device with the descriptor.
    ///
    /// # Errors
    /// [`TransportError::Refused`] if the device has no portal, which is the default; [`TransportError::Gone`].
    fn enqueue(&self, descriptors: &[[u64; 8]]) -> Result<usize, TransportError> {
        let _ = descriptors;
        Err(TransportError::Refused("the device has no portal".to_owned()))
    }

    /// Blocks until the device signals, or until `until`; without `until` until it signals. May end early.
    ///
    /// A signal that came since the last sleep, or that comes between [`Completer::arm`](crate::Completer::arm) and the
    /// sleep, is not lost.
    ///
    /// # Errors
    /// [`TransportError::Gone`] if no signal can come any more.
    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError>;

    /// A descriptor that becomes readable when the device signals, for a reactor; `None` if waiting means polling.
    fn wake_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Takes back a signal that [`wake_fd`](Self::wake_fd) showed, so that the next one shows again.
    fn clear_wake(&self);

    /// Signals as the device would, for an answer that does not come from it. By default nothing happens, which is right where all answers come from the device.
    fn signal(&self) {}

    /// Stops the queue: no new job starts, and those that run end or are dropped. Returns after at most about `within`.
    /// Answers that the device gave before may still be polled; there are no later ones. Stopping a stopped queue
    /// changes nothing.
    ///
    /// # Errors
    /// If the request could not even be made; the device must then be taken for not quiet.
    fn stop(&self, within: Duration) -> Result<Quiet, TransportError>;

    /// Brings a stopped queue back to the state after opening. Ring memory handed out before is given up.
    ///
    /// # Errors
    /// If the device does not come back within `within`; the queue is then finished.
    fn reset(&self, within: Duration) -> Result<(), TransportError>;

    /// Whether the device is still there.
    fn is_alive(&self) -> bool;

    /// Whether the device's side makes a full fence on every thread of this process between saying that it sleeps and its last
    /// look for work. A driver may then leave out its own, between publishing work and asking whether the device sleeps.
    fn fences_for_host(&self) -> bool {
        false
    }

    /// How addresses in jobs reach memory.
    fn address_mode(&self) -> AddressMode;

    /// The PASID of the queue's accesses, where they have one and this process knows it: the number that the kernel's log names an address space by.
    fn pasid(&self) -> Option<u32> {
        None
    }

    /// What the device reaches of this process's memory, where that is not everything: the submitter covers what a job names first.
    fn memory(&self) -> Option<Arc<dyn DeviceMemory>> {
        None
    }

    /// Copies the bytes at `address` of this process, whatever is there: a bad address is an error, and no signal. For a driver that has to look at the source of a
    /// job nobody vouches for. Others may write there meanwhile.
    ///
    /// # Errors
    /// The first address that cannot be read; [`CopyError::Refused`] where there is no such copy, which is the default. `into` is then unspecified.
    fn read_memory(&self, address: usize, into: &mut [u8]) -> Result<(), CopyError> {
        let _ = (address, into);
        Err(CopyError::Refused)
    }

    /// As [`read_memory`](Self::read_memory), the other way.
    ///
    /// # Safety
    /// What is written is the destination of a job that was handed to [`submit`](crate::Submitter::submit) and is not answered, and no device has it.
    ///
    /// # Errors
    /// The first address that cannot be written; [`CopyError::Refused`]. What was written is then unspecified.
    unsafe fn write_memory(&self, address: usize, from: &[u8]) -> Result<(), CopyError> {
        let _ = (address, from);
        Err(CopyError::Refused)
    }

    /// The hardware queues behind this queue, in the order of the kinds that the device's interface numbers: where each does only some of the work that a
    /// driver offers on one queue. None, which is the default, where this is the only one.
    ///
    /// A driver goes through a part to its regions, ring memory and doorbells, and to nothing else: sleeping, stopping, resetting, and asking whether the device
    /// is there, is for all parts at once.
    fn parts(&self) -> &[Arc<dyn Transport>] {
        &[]
    }

    /// The first region of a kind.
    fn region(&self, kind: RegionKind) -> Option<&Region> {
        self.regions().iter().find(|region| region.kind() == kind)
    }
}

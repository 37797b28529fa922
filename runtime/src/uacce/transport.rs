//! The way to one hardware queue of a uacce device.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use uaccel_queue::{AddressMode, CopyError, Quiet, Region, RegionKind, RingMemory, Transport, TransportError, Wake};

use super::kinds::{Description, QueueKind};
use super::node::Node;
use super::refusal::refusal;
use super::reopening;
use super::sysfs::Entry;
use crate::sys::fork_mark::ForkMark;
use crate::sys::{careful_copy, store_barrier};

/// How long to sleep before looking whether the device is still there.
const LOOK: Duration = Duration::from_millis(250);

/// The way to one hardware queue: the whole of a queue, or a part.
#[derive(Debug)]
pub(super) struct UacceTransport {
    pub(super) entry: Entry,
    kind: Option<QueueKind>,
    /// Before the rings: it stops the queue when it is dropped, and only then may they go.
    pub(super) node: Box<dyn Node>,
    regions: Vec<Region>,
    /// All the ring memory of ours that the device may know, whoever else has let go of it.
    rings: Mutex<Vec<RingMemory>>,
    /// Whether the queue was stopped. The kernel's queue is not used again then.
    stopped: Mutex<bool>,
    /// Whether the device was found to be gone, which is for good.
    gone: AtomicBool,
    fork: ForkMark,
}

impl UacceTransport {
    /// Takes over an open node and starts its queue, as one of a kind where the device has kinds.
    pub(super) fn start(entry: Entry, node: Box<dyn Node>, kind: Option<QueueKind>) -> Result<Self, TransportError> {
        let fork =
            ForkMark::new().map_err(|source| TransportError::System { call: "mmap of the fork mark", source })?;
        let mut regions = node.regions().to_vec();
        if kind.is_some() {
            // The memory shared with the device is its ring memory.
            regions.retain(|region| region.kind() != RegionKind::Shared);
            regions.push(Region::copied(RegionKind::Description, &Description::default()));
        }
        let transport = Self {
            entry,
            kind,
            node,
            regions,
            rings: Mutex::default(),
            stopped: Mutex::new(false),
            gone: AtomicBool::new(false),
            fork,
        };
        transport.start_queue().map_err(|(call, source)| transport.failed(call, source))?;
        Ok(transport)
    }

    /// Starts the queue that the node has. An error says which call failed.
    pub(super) fn start_queue(&self) -> Result<(), (&'static str, io::Error)> {
        if let Some(kind) = self.kind {
            let description = self.node.choose(kind).map_err(|source| ("UACCE_CMD_QM_SET_QP_CTX", source))?;
            self.describe(&description);
            self.clear_shared_memory();
        }
        self.node.start().map_err(|source| ("UACCE_CMD_START_Q", source))
    }

    /// Says what was said of the queue.
    fn describe(&self, description: &Description) {
        let Some(region) = self.region(RegionKind::Description) else { return };
        for (word, bytes) in description.as_chunks().0.iter().enumerate() {
            region.write(word * size_of::<u64>(), u64::from_le_bytes(*bytes));
        }
    }

    /// Zeroes what the queue's last user may have left there. The last word is the kernel's, which may have stopped the queue by now.
    fn clear_shared_memory(&self) {
        let Some(memory) = self.node.shared_memory() else { return };
        let words = (memory.len() / size_of::<u64>()).saturating_sub(1);
        (0..words).for_each(|word| memory.write(word * size_of::<u64>(), 0));
    }

    /// Gives the queue back to the kernel.
    pub(super) fn give_back(&self) -> Result<(), TransportError> {
        self.node.give_back().map_err(|error| self.failed("close of a uacce node", error))?;
        // The queue that knew them is closed.
        self.rings().clear();
        Ok(())
    }

    /// What it means that another queue was refused.
    pub(super) fn refused(&self, source: io::Error) -> TransportError {
        let error = refusal(&self.entry.name, source);
        // Relaxed: as in `check`.
        self.gone.fetch_or(matches!(error, TransportError::Gone), Ordering::Relaxed);
        error
    }

    /// What a failed call means. That a device is gone is remembered.
    pub(super) fn failed(&self, call: &'static str, source: io::Error) -> TransportError {
        if source.raw_os_error() == Some(Errno::ENXIO as i32) {
            self.gone.store(true, Ordering::Relaxed);
            return TransportError::Gone;
        }
        TransportError::System { call, source }
    }

    /// A child process has no queue here.
    pub(super) fn check(&self) -> Result<(), TransportError> {
        // Relaxed: what is known late is found out again.
        if self.fork.is_home() && !self.gone.load(Ordering::Relaxed) { Ok(()) } else { Err(TransportError::Gone) }
    }

    /// The queue's ring memory where that is the memory shared with the device. Its length is what it is.
    fn shared_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        let memory = self.node.shared_memory().filter(|memory| memory.len() >= len);
        memory.ok_or_else(|| {
            TransportError::Refused(format!("{} shares less than {len} bytes with its queues", self.entry.name))
        })
    }

    fn rings(&self) -> std::sync::MutexGuard<'_, Vec<RingMemory>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stopped(&self) -> std::sync::MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sleeps in pieces, between which the device is looked at: the kernel does not say when it goes.
pub(super) fn sleep_on(
    transport: &dyn Transport,
    until: Option<Instant>,
    check: impl Fn() -> Result<(), TransportError>,
    wait: impl Fn(Duration) -> Result<bool, TransportError>,
) -> Result<Wake, TransportError> {
    loop {
        check()?;
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if wait(left.map_or(LOOK, |left| left.min(LOOK)))? {
            return Ok(Wake::Signalled);
        }
        if !transport.is_alive() {
            return Err(TransportError::Gone);
        }
        if until.is_some_and(|until| until <= Instant::now()) {
            return Ok(Wake::TimedOut);
        }
    }
}

impl Transport for UacceTransport {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        self.check()?;
        if self.kind.is_some() {
            return self.shared_memory(len);
        }
        let memory = self.node.ring_memory(len).map_err(|source| TransportError::System { call: "mmap", source })?;
        self.rings().push(memory.clone());
        Ok(memory)
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        // A child has no registers: the access would end it.
        if let (Ok(()), Some(region)) = (self.check(), self.region(RegionKind::User)) {
            store_barrier::before_device();
            self.node.store(region, offset, value);
        }
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        let wait = |within| self.node.wait(within).map_err(|error| self.failed("poll", error));
        sleep_on(self, until, || self.check(), wait)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.node.wake_fd())
    }

    fn clear_wake(&self) {
        // A signal is taken by whoever looks; there is nothing to do about an error, and the next sleep meets it again.
        let _ = self.node.wait(Duration::ZERO);
    }

    /// The kernel answers when the device has let go of the queue, which its driver bounds; it cannot be hurried.
    fn stop(&self, _within: Duration) -> Result<Quiet, TransportError> {
        if !self.fork.is_home() {
            return Err(TransportError::Gone);
        }
        let mut stopped = self.stopped();
        if !*stopped {
            match self.node.put().map_err(|error| self.failed("UACCE_CMD_PUT_Q", error)) {
                // A device is taken from its users before it is taken from the kernel.
                Ok(()) | Err(TransportError::Gone) => *stopped = true,
                Err(error) => return Err(error),
            }
        }
        Ok(Quiet::Proven)
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        self.check()?;
        reopening::reopen(&[self], within)
    }

    fn is_alive(&self) -> bool {
        if self.check().is_err() {
            return false;
        }
        // A queue that is being stopped or reset tells nothing of its device: some kernels say the same of a stopped queue as of one that is gone.
        let Ok(stopped) = self.stopped.try_lock() else { return true };
        let present = *stopped || self.node.is_present();
        if !present {
            tracing::warn!(device = self.entry.name, "device is gone");
            self.gone.store(true, Ordering::Relaxed);
        }
        present
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }

    fn read_memory(&self, address: usize, into: &mut [u8]) -> Result<(), CopyError> {
        careful_copy::read_for_driver(address, into)
    }

    unsafe fn write_memory(&self, address: usize, from: &[u8]) -> Result<(), CopyError> {
        // SAFETY: the caller's promise.
        unsafe { careful_copy::write_for_driver(address, from) }
    }
}

impl Drop for UacceTransport {
    fn drop(&mut self) {
        // A child only closes its descriptors: the queue is the parent's.
        if !self.fork.is_home() || *self.stopped() {
            return;
        }
        // Closing does it as well, but not before every copy of the descriptor is closed.
        if let Err(error) = self.node.put() {
            tracing::debug!(device = self.entry.name, %error, "queue could not be stopped before it was closed");
            if self.node.is_present() {
                // A child may have a copy of the descriptor, and the queue with it: what the device can reach stays.
                std::mem::forget(std::mem::take(&mut *self.rings()));
            }
        }
    }
}

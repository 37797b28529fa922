//! The way to one queue of a uacce device.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use uaccel_queue::{AddressMode, Quiet, Region, RegionKind, RingMemory, Transport, TransportError, Wake};

use super::node::Node;
use super::refusal::refusal;
use crate::sys::fork_mark::ForkMark;
use crate::sys::store_barrier;

/// How long to sleep before looking whether the device is still there: the kernel does not say when it goes.
const LOOK: Duration = Duration::from_millis(250);

/// The way to one queue.
#[derive(Debug)]
pub(super) struct UacceTransport {
    device: String,
    /// Before the rings: it stops the queue when it is dropped, and only then may they go.
    node: Box<dyn Node>,
    /// All the ring memory the device may know, whoever else has let go of it.
    rings: Mutex<Vec<RingMemory>>,
    /// Whether the queue was stopped. The kernel's queue is not used again then.
    stopped: Mutex<bool>,
    /// Whether the device was found to be gone, which is for good.
    gone: AtomicBool,
    fork: ForkMark,
}

impl UacceTransport {
    /// Takes over an open node and starts its queue.
    pub(super) fn start(device: &str, node: Box<dyn Node>) -> Result<Self, TransportError> {
        let fork =
            ForkMark::new().map_err(|source| TransportError::System { call: "mmap of the fork mark", source })?;
        let transport = Self {
            device: device.to_owned(),
            node,
            rings: Mutex::default(),
            stopped: Mutex::new(false),
            gone: AtomicBool::new(false),
            fork,
        };
        transport.start_queue()?;
        Ok(transport)
    }

    fn start_queue(&self) -> Result<(), TransportError> {
        self.node.start().map_err(|error| self.failed("UACCE_CMD_START_Q", error))
    }

    /// What a failed call means. That a device is gone is remembered.
    fn failed(&self, call: &'static str, source: io::Error) -> TransportError {
        if source.raw_os_error() == Some(Errno::ENXIO as i32) {
            self.gone.store(true, Ordering::Relaxed);
            return TransportError::Gone;
        }
        TransportError::System { call, source }
    }

    /// A child process has no queue here.
    fn check(&self) -> Result<(), TransportError> {
        // Relaxed: what is known late is found out again.
        if self.fork.is_home() && !self.gone.load(Ordering::Relaxed) { Ok(()) } else { Err(TransportError::Gone) }
    }

    fn rings(&self) -> std::sync::MutexGuard<'_, Vec<RingMemory>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> std::sync::MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for UacceTransport {
    fn regions(&self) -> &[Region] {
        self.node.regions()
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        self.check()?;
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
        loop {
            self.check()?;
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let within = left.map_or(LOOK, |left| left.min(LOOK));
            if self.node.wait(within).map_err(|error| self.failed("poll", error))? {
                return Ok(Wake::Signalled);
            }
            if !self.is_alive() {
                return Err(TransportError::Gone);
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(Wake::TimedOut);
            }
        }
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
        let begun = Instant::now();
        let mut stopped = self.stopped();
        // Until another queue works, this one is not used.
        *stopped = true;
        loop {
            match self.node.reopen().map_err(|error| refusal(&self.device, error)) {
                Ok(()) => break,
                // Ours went back, and another process was faster. One will be free again.
                Err(TransportError::Busy(_)) if begun.elapsed() < within => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => {
                    // Relaxed: as in `check`.
                    self.gone.fetch_or(matches!(error, TransportError::Gone), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        // The queue that knew them is closed.
        self.rings().clear();
        self.start_queue()?;
        *stopped = false;
        Ok(())
    }

    fn is_alive(&self) -> bool {
        if self.check().is_err() {
            return false;
        }
        // A queue that is being stopped or reset tells nothing of its device: some kernels say the same of a stopped queue as of one that is gone.
        let Ok(stopped) = self.stopped.try_lock() else { return true };
        let present = *stopped || self.node.is_present();
        if !present {
            tracing::warn!(device = self.device, "device is gone");
            self.gone.store(true, Ordering::Relaxed);
        }
        present
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
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
            tracing::debug!(device = self.device, %error, "queue could not be stopped before it was closed");
            if self.node.is_present() {
                // A child may have a copy of the descriptor, and the queue with it: what the device can reach stays.
                std::mem::forget(std::mem::take(&mut *self.rings()));
            }
        }
    }
}

//! The way to a queue that is several hardware queues.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uaccel_queue::{AddressMode, CopyError, Quiet, Region, RingMemory, Transport, TransportError, Wake};

use super::reopening;
use super::transport::{UacceTransport, sleep_on};
use crate::sys::careful_copy;
use crate::sys::signal::{self, Bell};
use crate::sys::signals::Signals;

/// The way to a queue of which each kind of work has a hardware queue of its own. They are stopped, reset and waited for as one; a driver talks to each.
///
/// A hardware queue goes back to the kernel when nobody has its part any more: neither this nor the driver.
#[derive(Debug)]
pub(super) struct PartedTransport {
    queues: Vec<Arc<UacceTransport>>,
    /// The same, as drivers know them.
    parts: Vec<Arc<dyn Transport>>,
    /// For answers that do not come from the device.
    bell: Bell,
    /// Of all queues, and the bell.
    signals: Signals,
}

impl PartedTransport {
    /// The queue that these hardware queues are, in the order of their kinds.
    pub(super) fn new(queues: Vec<UacceTransport>) -> Result<Self, TransportError> {
        let queues: Vec<_> = queues.into_iter().map(Arc::new).collect();
        let parts = queues.iter().map(|queue| queue.clone() as Arc<dyn Transport>).collect();
        let bell = Bell::new().map_err(|source| TransportError::System { call: "eventfd", source })?;
        let signals = Signals::new().map_err(|source| TransportError::System { call: "epoll_create1", source })?;
        let added = signals.add(bell.as_fd());
        added.map_err(|source| TransportError::System { call: "epoll_ctl", source })?;
        let transport = Self { queues, parts, bell, signals };
        transport.connect()?;
        Ok(transport)
    }

    /// Lets the signals of all queues wake.
    fn connect(&self) -> Result<(), TransportError> {
        let connected = self.queues.iter().try_for_each(|queue| self.signals.add(queue.node.wake_fd()));
        connected.map_err(|source| TransportError::System { call: "epoll_ctl", source })
    }

    fn check(&self) -> Result<(), TransportError> {
        self.queues.iter().try_for_each(|queue| queue.check())
    }

    /// Takes the signals there are, so that the next one of each queue shows again.
    fn take_signals(&self) -> io::Result<()> {
        self.bell.clear();
        self.queues.iter().try_for_each(|queue| queue.node.wait(Duration::ZERO).map(drop))
    }

    /// As [`Node::wait`](super::Node::wait), for all. Asks the queues themselves: they say so also where nobody was woken.
    fn wait(&self, within: Duration) -> io::Result<bool> {
        let mut sources: Vec<_> = self.queues.iter().map(|queue| queue.node.wake_fd()).collect();
        sources.push(self.bell.as_fd());
        // The kernel's queues have shown their signals by that, and show them no more.
        let shown = signal::sleep_on(&sources, within)?.contains(&true);
        if shown {
            self.take_signals()?;
        }
        Ok(shown)
    }
}

impl Transport for PartedTransport {
    /// Registers are the parts'.
    fn regions(&self) -> &[Region] {
        &[]
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        self.check()?;
        Err(TransportError::Refused(format!("{len} bytes of ring memory are asked of a queue whose parts have it")))
    }

    fn ring_doorbell(&self, _: usize, _: u64) {}

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        let wait = |within| self.wait(within).map_err(|source| TransportError::System { call: "poll", source });
        sleep_on(self, until, || self.check(), wait)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.signals.as_fd())
    }

    fn clear_wake(&self) {
        // There is nothing to do about an error, and the next sleep meets it again.
        let _ = self.take_signals();
    }

    fn signal(&self) {
        self.bell.ring();
    }

    fn stop(&self, within: Duration) -> Result<Quiet, TransportError> {
        // All, whatever becomes of one.
        let stopped: Vec<_> = self.queues.iter().map(|queue| queue.stop(within)).collect();
        stopped.into_iter().find(|stopped| !matches!(stopped, Ok(Quiet::Proven))).unwrap_or(Ok(Quiet::Proven))
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        self.check()?;
        for queue in &self.queues {
            // It is not there any more if the last reset has failed.
            let _ = self.signals.remove(queue.node.wake_fd());
        }
        let queues: Vec<&UacceTransport> = self.queues.iter().map(|queue| &**queue).collect();
        reopening::reopen(&queues, within)?;
        self.connect()
    }

    fn is_alive(&self) -> bool {
        self.queues.iter().all(|queue| queue.is_alive())
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

    fn parts(&self) -> &[Arc<dyn Transport>] {
        &self.parts
    }
}

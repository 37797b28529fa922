//! The way to one queue, as its user sees it.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use uaccel_queue::{AddressMode, Quiet, Region, RingMemory, Transport, TransportError, Wake};

use super::backing::ThreadBacking;
use crate::DeviceModel;
use crate::pool::{Backing as _, Pool, Queue};

/// How long closing waits for running work. A job of the largest size ends well within.
const CLOSING: Duration = Duration::from_secs(10);

/// The way to one queue.
#[derive(Debug)]
pub(super) struct ThreadTransport<M: DeviceModel> {
    /// Keeps the device running.
    pool: Pool<M, ThreadBacking>,
    queue: Arc<Queue<M, ThreadBacking>>,
    regions: [Region; 1],
}

impl<M: DeviceModel> ThreadTransport<M> {
    pub(super) fn new(pool: Pool<M, ThreadBacking>, queue: Arc<Queue<M, ThreadBacking>>) -> Self {
        let regions = [queue.backing().region()];
        Self { pool, queue, regions }
    }

    /// The device does not exist in a forked child, and may have been removed.
    fn check(&self) -> Result<(), TransportError> {
        if self.is_alive() { Ok(()) } else { Err(TransportError::Gone) }
    }
}

impl<M: DeviceModel> Transport for ThreadTransport<M> {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        self.check()?;
        self.queue.backing().hand_out(len)
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        if !self.is_alive() {
            return;
        }
        self.pool.doorbell(&self.queue, offset, value);
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        self.check()?;
        let left = until.map(|until| TimeSpec::from_duration(until.saturating_duration_since(Instant::now())));
        let mut events = [PollFd::new(self.queue.backing().event(), PollFlags::POLLIN)];
        match ppoll(&mut events, left, None) {
            Ok(0) => Ok(Wake::TimedOut),
            // A signal handler ran: ending early is allowed.
            Ok(_) | Err(Errno::EINTR) => {
                self.queue.backing().clear_signal();
                self.check()?;
                Ok(Wake::Signalled)
            }
            Err(errno) => Err(TransportError::System { call: "ppoll", source: errno.into() }),
        }
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.queue.backing().event())
    }

    fn clear_wake(&self) {
        self.queue.backing().clear_signal();
    }

    fn stop(&self, within: Duration) -> Result<Quiet, TransportError> {
        if self.pool.is_foreign() {
            return Err(TransportError::Gone);
        }
        Ok(self.pool.stop(&self.queue, within))
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        self.check()?;
        self.pool.reset(&self.queue, within)
    }

    fn is_alive(&self) -> bool {
        !self.pool.is_foreign() && self.pool.is_alive()
    }

    fn fences_for_host(&self) -> bool {
        self.pool.fences_for_all()
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }
}

impl<M: DeviceModel> Drop for ThreadTransport<M> {
    fn drop(&mut self) {
        // In a forked child the locks may be held by threads that do not exist there.
        if self.pool.is_foreign() {
            return;
        }
        let within = if self.pool.plan().is_deaf() { Duration::ZERO } else { CLOSING };
        if self.pool.close(&self.queue, within) == Quiet::Unproven {
            self.pool.abandon(&self.queue);
        }
    }
}

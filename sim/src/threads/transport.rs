//! The way to one queue, as its user sees it.

use core::fmt;
use core::sync::atomic::Ordering;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use uaccel_queue::{AddressMode, Quiet, Region, RingMemory, Transport, TransportError, Wake};

use super::host::Core;
use super::memory::{RingBlock, share_page};
use super::port::ThreadPort;
use super::queue::Queue;
use crate::{Control, DeviceModel, Doorbell};

/// How long closing waits for running work. A job of the largest size ends well within.
const CLOSING: Duration = Duration::from_secs(10);
/// Pieces of ring memory a queue can have.
const RINGS: usize = 4;

/// The way to one queue.
pub(super) struct ThreadTransport<M: DeviceModel> {
    /// Keeps the device running.
    core: Arc<Core<M>>,
    queue: Arc<Queue<M>>,
    regions: [Region; 1],
}

impl<M: DeviceModel> ThreadTransport<M> {
    pub(super) fn new(core: Arc<Core<M>>, queue: Arc<Queue<M>>) -> Self {
        let regions = [share_page(&queue.page)];
        Self { core, queue, regions }
    }

    /// The device does not exist in a forked child, and may have been removed.
    fn check(&self) -> Result<(), TransportError> {
        if self.is_alive() { Ok(()) } else { Err(TransportError::Gone) }
    }

    fn control(&self, offset: usize, value: u64) {
        let (shared, queue) = (&self.core.shared, &self.queue);
        if queue.failed.load(Ordering::Relaxed) {
            return;
        }
        let rings = queue.rings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let port = ThreadPort::new(rings);
        let mut fetch = queue.fetch_side();
        let mut complete = queue.complete_side();
        let control =
            shared.model.control(&mut fetch.submissions, &mut complete.completions, &port, &queue.page, offset, value);
        if control == Control::Started {
            fetch.port = port.clone();
            complete.port = port;
            fetch.running = true;
            queue.set_stopping(false);
        }
        drop((fetch, complete));
        match control {
            // The workers may all be asleep, and this queue's need-wake-up word does not say so.
            Control::Started => shared.sleepers.wake(),
            Control::Stop => shared.begin_stop(queue),
            Control::Refused => tracing::warn!(queue = queue.id, "queue set-up refused"),
            Control::Unchanged => {}
        }
    }
}

impl<M: DeviceModel> Transport for ThreadTransport<M> {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        self.check()?;
        let mut rings = self.queue.rings.lock().unwrap_or_else(PoisonError::into_inner);
        if rings.len() >= RINGS {
            return Err(TransportError::Refused(format!("a queue has at most {RINGS} pieces of ring memory")));
        }
        let block = RingBlock::map(len)?;
        let memory = block.share()?;
        rings.push(block);
        Ok(memory)
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        if !self.is_alive() {
            return;
        }
        self.queue.page.store(offset, value);
        match self.core.shared.model.doorbell(offset) {
            // Its lock orders all the caller wrote before what the woken worker reads.
            Doorbell::Submit => self.core.shared.sleepers.wake(),
            Doorbell::Control => self.control(offset, value),
            Doorbell::Plain => {}
        }
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        self.check()?;
        let left = until.map(|until| TimeSpec::from_duration(until.saturating_duration_since(Instant::now())));
        let mut events = [PollFd::new(self.queue.event.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut events, left, None) {
            Ok(0) => Ok(Wake::TimedOut),
            // A signal handler ran: ending early is allowed.
            Ok(_) | Err(Errno::EINTR) => {
                self.queue.clear_signal();
                self.check()?;
                Ok(Wake::Signalled)
            }
            Err(errno) => Err(TransportError::System { call: "ppoll", source: errno.into() }),
        }
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.queue.event.as_fd())
    }

    fn clear_wake(&self) {
        self.queue.clear_signal();
    }

    fn stop(&self, within: Duration) -> Result<Quiet, TransportError> {
        if self.core.is_foreign() {
            return Err(TransportError::Gone);
        }
        Ok(self.core.shared.stop(&self.queue, within))
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        self.check()?;
        self.core.shared.reset(&self.queue, within)
    }

    fn is_alive(&self) -> bool {
        !self.core.is_foreign() && self.core.shared.alive.load(Ordering::Relaxed)
    }

    fn fences_for_host(&self) -> bool {
        self.core.shared.barrier.is_for_all()
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }
}

impl<M: DeviceModel> Drop for ThreadTransport<M> {
    fn drop(&mut self) {
        // In a forked child the locks may be held by threads that do not exist there.
        if self.core.is_foreign() {
            return;
        }
        let within = if self.core.shared.plan.is_deaf() { Duration::ZERO } else { CLOSING };
        self.core.shared.close(&self.queue, within);
    }
}

impl<M: DeviceModel> fmt::Debug for ThreadTransport<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadTransport").field("queue", &self.queue).finish_non_exhaustive()
    }
}

//! One queue of the device: all of a user's queue, or one of its parts.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uaccel_queue::{AddressMode, Quiet, Region, RegionKind, RingMemory, Transport, TransportError, Wake};

use super::backing::ThreadBacking;
use crate::pool::{Pool, Queue};
use crate::{DeviceModel, UserPage};

/// How long closing waits for running work. A job of the largest size ends well within.
const CLOSING: Duration = Duration::from_secs(10);

/// One queue of the device, closed when this is dropped.
///
/// As a [`Transport`] it is a part of a queue: whoever has it gets to registers and rings, and to nothing else.
#[derive(Debug)]
pub(super) struct Part<M: DeviceModel> {
    /// Keeps the device running.
    pool: Pool<M, ThreadBacking>,
    queue: Arc<Queue<M, ThreadBacking>>,
    regions: Vec<Region>,
}

impl<M: DeviceModel> Part<M> {
    pub(super) fn new(pool: Pool<M, ThreadBacking>, queue: Arc<Queue<M, ThreadBacking>>) -> Self {
        let opening = queue.opening();
        let registers = match pool.model().registers() {
            UserPage::SIZE => queue.backing().region(),
            // What is rung goes through `ring_doorbell`.
            len => Region::copied(RegionKind::User, &vec![0; len]),
        };
        let description = pool.model().description(opening.queue, opening.kind);
        let described = !description.is_empty();
        let description = described.then(|| Region::copied(RegionKind::Description, &description));
        let regions = [registers].into_iter().chain(description).collect();
        Self { pool, queue, regions }
    }

    pub(super) fn stop(&self, within: Duration) -> Quiet {
        self.pool.stop(&self.queue, within)
    }

    pub(super) fn reset(&self, within: Duration) -> Result<(), TransportError> {
        self.pool.reset(&self.queue, within)
    }
}

impl<M: DeviceModel> Transport for Part<M> {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        if !self.is_alive() {
            return Err(TransportError::Gone);
        }
        self.queue.backing().hand_out(len)
    }

    #[inline]
    fn ring_doorbell(&self, offset: usize, value: u64) {
        if self.is_alive() {
            self.pool.doorbell(&self.queue, offset, value);
        }
    }

    fn sleep(&self, _: Option<Instant>) -> Result<Wake, TransportError> {
        Err(not_of_a_part("sleep"))
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn clear_wake(&self) {}

    fn stop(&self, _: Duration) -> Result<Quiet, TransportError> {
        Err(not_of_a_part("stop"))
    }

    fn reset(&self, _: Duration) -> Result<(), TransportError> {
        Err(not_of_a_part("reset"))
    }

    /// The device does not exist in a forked child, and may have been removed.
    #[inline]
    fn is_alive(&self) -> bool {
        !self.pool.is_foreign() && self.pool.is_alive()
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }
}

fn not_of_a_part(what: &str) -> TransportError {
    TransportError::Refused(format!("{what} is for all parts of a queue at once"))
}

impl<M: DeviceModel> Drop for Part<M> {
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

//! The way to one queue, as its user sees it.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use uaccel_queue::{
    AddressMode, CopyError, Fault, FaultKind, Quiet, Region, RingMemory, Transport, TransportError, Wake,
};

use super::backing::{Event, ThreadBacking};
use super::own_memory::OwnMemory;
use super::part::Part;
use crate::DeviceModel;
use crate::pool::{JobMemory as _, Pool};

/// The way to one queue: one of the device's, or one of each kind that it has.
#[derive(Debug)]
pub(super) struct ThreadTransport<M: DeviceModel> {
    /// Keeps the device running.
    pool: Pool<M, ThreadBacking>,
    event: Arc<Event>,
    /// Never empty.
    queues: Box<[Arc<Part<M>>]>,
    /// The same, if there are several.
    parts: Vec<Arc<dyn Transport>>,
}

impl<M: DeviceModel> ThreadTransport<M> {
    pub(super) fn new(pool: Pool<M, ThreadBacking>, event: Arc<Event>, queues: Box<[Part<M>]>) -> Self {
        let queues: Box<[Arc<Part<M>>]> = queues.into_iter().map(Arc::new).collect();
        let several = queues.len() > 1;
        let parts = queues.iter().filter(|_| several).map(|part| part.clone() as Arc<dyn Transport>).collect();
        Self { pool, event, queues, parts }
    }

    /// The one queue, if there is one only.
    fn only(&self) -> Option<&Part<M>> {
        match &*self.queues {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The device does not exist in a forked child, and may have been removed.
    fn check(&self) -> Result<(), TransportError> {
        if self.is_alive() { Ok(()) } else { Err(TransportError::Gone) }
    }
}

impl<M: DeviceModel> Transport for ThreadTransport<M> {
    fn regions(&self) -> &[Region] {
        self.only().map_or(&[], |only| only.regions())
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        self.only()
            .ok_or_else(|| TransportError::Refused("each part has its own ring memory".to_owned()))?
            .ring_memory(len)
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        if let Some(only) = self.only() {
            only.ring_doorbell(offset, value);
        }
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        self.check()?;
        let left = until.map(|until| TimeSpec::from_duration(until.saturating_duration_since(Instant::now())));
        let mut events = [PollFd::new(self.event.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut events, left, None) {
            Ok(0) => Ok(Wake::TimedOut),
            // A signal handler ran: ending early is allowed.
            Ok(_) | Err(Errno::EINTR) => {
                self.event.clear();
                self.check()?;
                Ok(Wake::Signalled)
            }
            Err(errno) => Err(TransportError::System { call: "ppoll", source: errno.into() }),
        }
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.event.as_fd())
    }

    fn clear_wake(&self) {
        self.event.clear();
    }

    fn signal(&self) {
        self.event.signal();
    }

    fn stop(&self, within: Duration) -> Result<Quiet, TransportError> {
        if self.pool.is_foreign() {
            return Err(TransportError::Gone);
        }
        let begun = Instant::now();
        let unproven = |part: &&Arc<Part<M>>| part.stop(within.saturating_sub(begun.elapsed())) == Quiet::Unproven;
        // All are told, whatever the first of them says.
        let unproven = self.queues.iter().filter(unproven).count();
        Ok(if unproven == 0 { Quiet::Proven } else { Quiet::Unproven })
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        self.check()?;
        let begun = Instant::now();
        self.queues.iter().try_for_each(|part| part.reset(within.saturating_sub(begun.elapsed())))
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

    fn read_memory(&self, address: usize, into: &mut [u8]) -> Result<(), CopyError> {
        copy(address, into.len(), FaultKind::Read, |from, done| OwnMemory::new().read(from, &mut into[done..]))
    }

    unsafe fn write_memory(&self, address: usize, from: &[u8]) -> Result<(), CopyError> {
        copy(address, from.len(), FaultKind::Write, |to, done| OwnMemory::new().write(to, &from[done..]))
    }

    fn parts(&self) -> &[Arc<dyn Transport>] {
        &self.parts
    }
}

/// Copies `len` bytes at `address` in steps, each from an address on and after so many bytes, that say how far they came.
fn copy(
    address: usize,
    len: usize,
    kind: FaultKind,
    mut step: impl FnMut(u64, usize) -> Option<usize>,
) -> Result<(), CopyError> {
    let mut done = 0;
    while done < len {
        let at = (address as u64).wrapping_add(done as u64);
        match step(at, done) {
            Some(count) => done += count,
            None => return Err(CopyError::Fault(Fault { address: at, kind })),
        }
    }
    Ok(())
}

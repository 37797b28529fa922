//! The way to one queue of a device that this process holds.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uaccel_queue::{AddressMode, DeviceMemory, Quiet, Region, RegionKind, RingMemory, Transport, TransportError, Wake};

use super::open_device::{OpenDevice, STEP};
use super::pinning::Policy;
use super::space::Space;
use crate::sys::{signal, store_barrier};

/// How long to sleep before looking whether the device is still there.
const LOOK: Duration = Duration::from_millis(250);

/// The way to one queue.
#[derive(Debug)]
pub(super) struct VfioTransport {
    /// Before the device, which is told when it ends.
    space: Arc<Space>,
    device: Arc<OpenDevice>,
    number: usize,
    /// The queue's registers, and the device's configuration.
    regions: [Region; 2],
    memory: Option<Arc<dyn DeviceMemory>>,
    mode: AddressMode,
    /// All the ring memory the device may know, whoever else has let go of it.
    rings: Mutex<Vec<RingMemory>>,
    /// Whether the queue was taken away. It is not used until it is given again.
    stopped: Mutex<bool>,
}

impl VfioTransport {
    /// Takes one of the device's queues, and lets it work.
    pub(super) fn start(device: &Arc<OpenDevice>, space: Arc<Space>, policy: Policy) -> Result<Self, TransportError> {
        let number = device.take()?;
        let (memory, mode) = space.job_memory(policy);
        // From here on dropping gives the queue back.
        let transport = Self {
            space,
            device: device.clone(),
            number,
            regions: [
                device.user_region(number).inspect_err(|_| device.give_back(number, Quiet::Proven))?,
                device.configuration.clone(),
            ],
            memory,
            mode,
            rings: Mutex::default(),
            stopped: Mutex::new(false),
        };
        transport.clear_wake();
        transport.device.assign(number, &transport.space)?;
        tracing::debug!(device = device.name, queue = number, "queue taken");
        Ok(transport)
    }

    /// A child process has no queue here.
    fn check(&self) -> Result<(), TransportError> {
        let usable = self.device.fork.is_home() && !self.device.is_lost() && !self.device.has_failed(self.number);
        if usable { Ok(()) } else { Err(TransportError::Gone) }
    }

    fn rings(&self) -> MutexGuard<'_, Vec<RingMemory>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for VfioTransport {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        self.check()?;
        let memory = self.space.ring_memory(len, &self.device.fork)?;
        self.rings().push(memory.clone());
        Ok(memory)
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        if let (Ok(()), Some(region)) = (self.check(), self.region(RegionKind::User)) {
            store_barrier::before_device();
            region.write(offset, value);
        }
    }

    fn ring_doorbell16(&self, offset: usize, value: u16) {
        if let (Ok(()), Some(region)) = (self.check(), self.region(RegionKind::User)) {
            store_barrier::before_device();
            region.write16(offset, value);
        }
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        let bell = &self.device.bells[self.number];
        loop {
            self.check()?;
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let within = left.map_or(LOOK, |left| left.min(LOOK));
            let rung = signal::sleep_on(&[bell.as_fd()], within)
                .map_err(|source| TransportError::System { call: "poll", source })?;
            if rung[0] {
                self.clear_wake();
                self.check()?;
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
        Some(self.device.bells[self.number].as_fd())
    }

    fn clear_wake(&self) {
        self.device.bells[self.number].clear();
        // A line is masked when it signals. Always both, and in this order: then a line that is masked has its signal there, whoever sleeps on it. Whoever polls now has
        // the device let go of its line; until then it signals again, which costs a look.
        self.device.unmask();
    }

    fn signal(&self) {
        self.device.bells[self.number].ring();
    }

    fn stop(&self, within: Duration) -> Result<Quiet, TransportError> {
        if !self.device.fork.is_home() {
            return Err(TransportError::Gone);
        }
        let mut stopped = self.stopped();
        if !*stopped {
            *stopped = self.device.revoke(self.number, within) == Quiet::Proven;
        }
        Ok(if *stopped { Quiet::Proven } else { Quiet::Unproven })
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        if !self.device.fork.is_home() || self.device.is_lost() {
            return Err(TransportError::Gone);
        }
        let mut stopped = self.stopped();
        if !*stopped && self.device.revoke(self.number, within) != Quiet::Proven {
            return Err(TransportError::TimedOut { step: "reset of a queue", within });
        }
        *stopped = true;
        // The queue that knew them is gone.
        self.rings().clear();
        self.clear_wake();
        self.device.assign(self.number, &self.space)?;
        *stopped = false;
        Ok(())
    }

    fn is_alive(&self) -> bool {
        self.check().is_ok() && self.device.is_present()
    }

    fn address_mode(&self) -> AddressMode {
        self.mode
    }

    fn pasid(&self) -> Option<u32> {
        self.space.pasid
    }

    fn memory(&self) -> Option<Arc<dyn DeviceMemory>> {
        self.memory.clone()
    }
}

impl Drop for VfioTransport {
    fn drop(&mut self) {
        // A child closes nothing: the queue is the parent's, and so is whom the device would tell of its end.
        if !self.device.fork.is_home() {
            std::mem::forget((std::mem::take(&mut *self.rings()), self.space.clone(), self.device.clone()));
            return;
        }
        let quiet = if *self.stopped() { Quiet::Proven } else { self.device.revoke(self.number, STEP) };
        if quiet != Quiet::Proven {
            tracing::error!(device = self.device.name, queue = self.number, "device does not let go; rings leaked");
            std::mem::forget((std::mem::take(&mut *self.rings()), self.space.clone()));
        }
        self.device.give_back(self.number, quiet);
    }
}

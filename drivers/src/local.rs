//! Devices that are this process itself: no registers, nothing to map, nothing to wait for.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uaccel_queue::{
    AddressMode, Algorithm, Bus, Capabilities, Cells, DeviceInfo, Direction, FaultHandling, OpenError, Operation,
    Order, QueueRequest, Quiet, Region, RingMemory, Transport, TransportError, Wake,
};

use crate::{null, software};

/// The bus of the devices that are this process itself: [`software`] and [`null`].
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalBus;

impl Bus for LocalBus {
    fn name(&self) -> &str {
        "local"
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        let mut null = DeviceInfo::new(null::DEVICE, null::INTERFACE);
        // Its results are no results: nobody gets it without asking for it.
        null.simulated = true;
        vec![DeviceInfo::new(software::DEVICE, software::INTERFACE), null]
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        match device {
            software::DEVICE | null::DEVICE => Ok(Arc::new(LocalTransport)),
            _ => Err(TransportError::NoSuchDevice { bus: self.name().to_owned(), device: device.to_owned() }),
        }
    }
}

/// The smallest window that an algorithm has to choose.
const SMALLEST_WINDOW: u32 = 512;

/// What the devices of this bus have in common: every operation, answered in order by the caller's own thread.
pub(crate) fn capabilities(
    depth: usize,
    max_transfer: u64,
    offers: impl Fn(Algorithm, Direction) -> bool,
) -> Capabilities {
    let mut capabilities = Capabilities::new(depth, max_transfer);
    capabilities.operations = Operation::ALL.into_iter().collect();
    capabilities.algorithms = Algorithm::ALL
        .into_iter()
        .flat_map(|algorithm| [(algorithm, Direction::Forward), (algorithm, Direction::Inverse)])
        .filter(|(algorithm, direction)| offers(*algorithm, *direction))
        .collect();
    capabilities.smallest_window = SMALLEST_WINDOW;
    capabilities.in_place = [Operation::Encrypt, Operation::Decrypt].into_iter().collect();
    capabilities.order = Order::Submission;
    capabilities.faults = FaultHandling::CallerVouches;
    capabilities
}

/// Refuses a depth that the table does not have. A table is never deeper than the limit; a request may be.
pub(crate) fn check_depth(request: &QueueRequest, cells: &Cells) -> Result<(), OpenError> {
    if request.depth == 0 || request.depth > cells.depth() {
        return Err(OpenError::Depth { depth: request.depth, limit: cells.depth() });
    }
    Ok(())
}

/// The way to a device that is this process itself: there is nothing on it.
///
/// Jobs are done when `submit` returns. So the device is quiet whenever anybody asks, and a sleep has nothing to wait
/// for.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalTransport;

impl Transport for LocalTransport {
    fn regions(&self) -> &[Region] {
        &[]
    }

    fn ring_memory(&self, _len: usize) -> Result<RingMemory, TransportError> {
        Err(TransportError::Refused("a device that is the process itself has no ring memory".to_owned()))
    }

    fn ring_doorbell(&self, _offset: usize, _value: u64) {}

    fn sleep(&self, _until: Option<Instant>) -> Result<Wake, TransportError> {
        // Whatever was submitted is answered, so there is something to poll, or there never will be.
        Ok(Wake::Signalled)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn clear_wake(&self) {}

    fn stop(&self, _within: Duration) -> Result<Quiet, TransportError> {
        // Nothing runs outside `submit`, and nobody calls that beside a stop.
        Ok(Quiet::Proven)
    }

    fn reset(&self, _within: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }
}

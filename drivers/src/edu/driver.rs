//! Opens the device's only queue.

use std::sync::{Arc, Mutex};

use uaccel_queue::{
    Capabilities, Cells, DeviceInfo, Driver, FaultHandling, MAX_DEPTH, OpenError, OpenQueue, Operation, OperationSet,
    Order, QueueRequest, RegionKind, Transport,
};

use super::completer::EduCompleter;
use super::engine::Engine;
use super::registers::{IDENT, Registers};
use super::submitter::EduSubmitter;
use super::{INTERFACE, LONGEST};
use crate::local::check_depth;

/// The driver of QEMU's `edu`.
#[derive(Clone, Copy, Debug, Default)]
pub struct EduDriver;

impl EduDriver {
    fn capabilities(depth: usize) -> Capabilities {
        let mut capabilities = Capabilities::new(depth, LONGEST as u64);
        capabilities.operations = OperationSet::default().with(Operation::Nop).with(Operation::Copy);
        capabilities.order = Order::Submission;
        // The device does not notice what the IOMMU refuses.
        capabilities.faults = FaultHandling::CallerVouches;
        capabilities.wakes = true;
        capabilities
    }
}

impl Driver for EduDriver {
    fn name(&self) -> &str {
        "edu"
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        device.interface == INTERFACE
    }

    fn advertised(&self, device: &DeviceInfo) -> Capabilities {
        let mut capabilities = Self::capabilities(MAX_DEPTH);
        capabilities.numa_node = device.numa_node;
        capabilities
    }

    fn open(
        &self,
        transport: Arc<dyn Transport>,
        cells: Arc<Cells>,
        request: &QueueRequest,
    ) -> Result<OpenQueue, OpenError> {
        check_depth(request, &cells)?;
        let region = transport.region(RegionKind::User).ok_or(OpenError::MissingRegion("user"))?;
        let registers = Registers::new(region.clone());
        let registers = registers.map_err(|found| OpenError::Version { found, known: IDENT })?;
        let engine = Arc::new(Mutex::new(Engine::new(registers, request.depth)));
        let mut granted = Self::capabilities(request.depth);
        granted.address_mode = transport.address_mode();
        granted.wakes = transport.wake_fd().is_some();
        Ok(OpenQueue {
            granted,
            submitter: Box::new(EduSubmitter { engine: engine.clone() }),
            completer: Box::new(EduCompleter { engine }),
        })
    }
}

//! Opens queues to the CPU.

use std::sync::Arc;

use uaccel_queue::{
    Algorithm, Capabilities, Cells, DeviceInfo, Direction, Driver, FaultHandling, MAX_DEPTH, OpenError, OpenQueue,
    Operation, Order, QueueRequest, Transport,
};
use uaccel_units::Unit;

use super::completer::SoftwareCompleter;
use super::memory;
use super::sessions::Sessions;
use super::submitter::SoftwareSubmitter;
use crate::handoff;

/// The driver of the CPU.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoftwareDriver;

impl SoftwareDriver {
    fn capabilities(depth: usize) -> Capabilities {
        let directions = [Direction::Forward, Direction::Inverse];
        let mut capabilities = Capabilities::new(depth, memory::LONGEST as u64);
        capabilities.operations = Operation::ALL.into_iter().collect();
        capabilities.algorithms = Algorithm::ALL
            .into_iter()
            .flat_map(|algorithm| directions.map(|direction| (algorithm, direction)))
            .filter(|(algorithm, direction)| Unit::supports(*algorithm, *direction))
            .collect();
        capabilities.sessions = Sessions::MOST;
        capabilities.order = Order::Submission;
        capabilities.faults = FaultHandling::CallerVouches;
        capabilities
    }
}

impl Driver for SoftwareDriver {
    fn name(&self) -> &str {
        "software"
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        device.interface == super::INTERFACE
    }

    fn advertised(&self, _device: &DeviceInfo) -> Capabilities {
        Self::capabilities(MAX_DEPTH)
    }

    fn open(
        &self,
        _transport: Arc<dyn Transport>,
        cells: Arc<Cells>,
        request: &QueueRequest,
    ) -> Result<OpenQueue, OpenError> {
        if request.depth == 0 || request.depth > cells.depth() {
            return Err(OpenError::Depth { depth: request.depth, limit: cells.depth() });
        }
        let (giver, taker) = handoff::ring(cells.depth());
        Ok(OpenQueue {
            granted: Self::capabilities(request.depth),
            submitter: Box::new(SoftwareSubmitter::new(giver)),
            completer: Box::new(SoftwareCompleter::new(taker)),
        })
    }
}

//! Opens queues to the CPU.

use std::sync::Arc;

use uaccel_queue::{Capabilities, Cells, DeviceInfo, Driver, MAX_DEPTH, OpenError, OpenQueue, QueueRequest, Transport};
use uaccel_units::Unit;

use super::completer::SoftwareCompleter;
use super::memory;
use super::sessions::Sessions;
use super::submitter::SoftwareSubmitter;
use crate::{handoff, local};

/// The driver of the CPU.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoftwareDriver;

impl SoftwareDriver {
    fn capabilities(depth: usize) -> Capabilities {
        let mut capabilities = local::capabilities(depth, memory::LONGEST as u64, Unit::supports);
        capabilities.sessions = Sessions::MOST;
        capabilities.immediate = true;
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
        local::check_depth(request, &cells)?;
        let (giver, taker) = handoff::ring(cells.depth());
        Ok(OpenQueue {
            granted: Self::capabilities(request.depth),
            submitter: Box::new(SoftwareSubmitter::new(giver)),
            completer: Box::new(SoftwareCompleter::new(taker)),
        })
    }
}

//! How jobs reach memory over a transport: opens queues so that a job's plain pointers work, whatever the device itself reaches.

use std::sync::Arc;

use uaccel_queue::{
    AddressMode, Capabilities, Cells, DeviceInfo, Driver, FaultHandling, OpenError, OpenQueue, QueueRequest, Transport,
};

use crate::alarm::Alarm;
use crate::bounce;
use crate::pins::{self, Pins};

/// A driver whose queues do for their jobs what the transport needs: memory is covered first, or data goes through memory that the device reaches. The
/// runtime opens every queue like this; on its own it is for tests of a driver over such a transport.
#[derive(Clone, Debug)]
pub struct Reaching<D>(pub D);

impl<D: Driver> Driver for Reaching<D> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        self.0.drives(device)
    }

    fn advertised(&self, device: &DeviceInfo) -> Capabilities {
        self.0.advertised(device)
    }

    fn open(
        &self,
        transport: Arc<dyn Transport>,
        cells: Arc<Cells>,
        request: &QueueRequest,
    ) -> Result<OpenQueue, OpenError> {
        Ok(open(&self.0, &transport, &cells, request)?.0)
    }
}

/// Opens a queue, with what its jobs have covered, where that has to be.
pub(crate) fn open(
    driver: &dyn Driver,
    transport: &Arc<dyn Transport>,
    cells: &Arc<Cells>,
    request: &QueueRequest,
) -> Result<(OpenQueue, Option<Arc<Pins>>), OpenError> {
    if transport.address_mode() == AddressMode::Bounced {
        return Ok((bounce::open(driver, transport, cells, request)?, None));
    }
    let open = driver.open(transport.clone(), cells.clone(), request)?;
    let Some(memory) = transport.memory() else { return Ok((open, None)) };
    let (mut open, pins) = pins::cover(open, memory, Alarm::new(transport.clone()), cells);
    // Where the caller was to vouch, what is missing is found out before the device could.
    if open.granted.faults == FaultHandling::CallerVouches {
        open.granted.faults = FaultHandling::Reported;
    }
    Ok((open, Some(pins)))
}

//! The Warp driver, with queues that a test changes after they were opened.

use std::fmt;
use std::sync::Arc;

use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{Capabilities, Cells, DeviceInfo, Driver, OpenError, OpenQueue, QueueRequest, Transport};

/// The Warp driver, but for what is done to its queues.
pub(crate) struct AlteredWarp {
    name: &'static str,
    alter: Box<dyn Fn(OpenQueue) -> OpenQueue + Send + Sync>,
}

impl AlteredWarp {
    /// The driver under this name, whose queues go through `alter`.
    pub(crate) fn new(name: &'static str, alter: impl Fn(OpenQueue) -> OpenQueue + Send + Sync + 'static) -> Self {
        Self { name, alter: Box::new(alter) }
    }
}

impl Driver for AlteredWarp {
    fn name(&self) -> &str {
        self.name
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        WarpDriver.drives(device)
    }

    fn advertised(&self, device: &DeviceInfo) -> Capabilities {
        WarpDriver.advertised(device)
    }

    fn open(
        &self,
        transport: Arc<dyn Transport>,
        cells: Arc<Cells>,
        request: &QueueRequest,
    ) -> Result<OpenQueue, OpenError> {
        WarpDriver.open(transport, cells, request).map(&self.alter)
    }
}

impl fmt::Debug for AlteredWarp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlteredWarp").field("name", &self.name).finish_non_exhaustive()
    }
}

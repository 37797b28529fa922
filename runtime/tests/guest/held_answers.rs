//! A driver that keeps the device's answers to itself when told to: for the runtime, no job ends then, however fast the device is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{
    Capabilities, Cells, Completer, DeviceError, DeviceInfo, Done, Driver, OpenError, OpenQueue, QueueRequest,
    Transport,
};

/// The Warp driver, but for that.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldAnswers(Arc<AtomicBool>);

impl HeldAnswers {
    /// Answers are held back from now on, or no longer.
    pub(crate) fn hold(&self, hold: bool) {
        self.0.store(hold, Ordering::SeqCst);
    }
}

impl Driver for HeldAnswers {
    fn name(&self) -> &str {
        "warp with held answers"
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
        let queue = WarpDriver.open(transport, cells, request)?;
        Ok(OpenQueue { completer: Box::new(Held(queue.completer, self.0.clone())), ..queue })
    }
}

struct Held(Box<dyn Completer>, Arc<AtomicBool>);

// SAFETY: the Warp driver's, or nothing.
unsafe impl Completer for Held {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        if self.1.load(Ordering::SeqCst) { Ok(()) } else { self.0.poll(done) }
    }

    fn arm(&mut self) {
        self.0.arm();
    }
}

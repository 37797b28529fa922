//! A driver that keeps the device's answers to itself when told to: for the runtime, no job ends then, however fast the device is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uaccel_queue::{Completer, DeviceError, Done, Driver, OpenQueue};

use super::altered_warp::AlteredWarp;

/// What tells the driver.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldAnswers(Arc<AtomicBool>);

impl HeldAnswers {
    /// Answers are held back from now on, or no longer.
    pub(crate) fn hold(&self, hold: bool) {
        self.0.store(hold, Ordering::SeqCst);
    }

    /// The Warp driver, but for that.
    pub(crate) fn driver(&self) -> Arc<dyn Driver> {
        let held = self.0.clone();
        Arc::new(AlteredWarp::new("warp with held answers", move |queue| OpenQueue {
            completer: Box::new(Held(queue.completer, held.clone())),
            ..queue
        }))
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

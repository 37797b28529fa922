//! Signals for answers that do not come from the device.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uaccel_queue::Transport;

/// Wakes whoever sleeps on a queue when one of its jobs has ended without the device.
pub(crate) struct Alarm {
    transport: Arc<dyn Transport>,
    /// Whether a signal was demanded and did not come yet from here.
    armed: AtomicBool,
}

impl Alarm {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, armed: AtomicBool::new(false) }
    }

    /// Demands a signal. Who does so looks for answers once more before sleeping.
    pub(crate) fn arm(&self) {
        // SeqCst, as in `ring`: either the look that follows finds the answer, or `ring` finds the demand.
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Signals, if that was demanded. The answer can be found by now.
    pub(crate) fn ring(&self) {
        // SeqCst: pairs with `arm`.
        if self.armed.swap(false, Ordering::SeqCst) {
            self.transport.signal();
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("armed", &self.armed).finish_non_exhaustive()
    }
}

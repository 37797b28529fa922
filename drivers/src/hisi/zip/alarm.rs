//! Wakes a sleeper for an answer that does not come from the engine.

use std::sync::Arc;

use uaccel_queue::Transport;
use uaccel_queue::sync::atomic::{AtomicBool, Ordering};

/// Wakes whoever sleeps on the queue when a job has ended without the engine.
#[derive(Debug)]
pub(super) struct Alarm {
    transport: Arc<dyn Transport>,
    /// Whether a signal was demanded, and did not come from here since.
    armed: AtomicBool,
}

impl Alarm {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, armed: AtomicBool::new(false) }
    }

    /// Demands a signal. Who does so looks for answers once more before sleeping.
    pub(super) fn arm(&self) {
        // SeqCst, as in `ring`: either the look that follows finds the answer, or `ring` finds the demand.
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Signals, if that was demanded. The answer can be found by now.
    #[cold]
    pub(super) fn ring(&self) {
        // SeqCst: pairs with `arm`.
        if self.armed.swap(false, Ordering::SeqCst) {
            self.transport.signal();
        }
    }
}

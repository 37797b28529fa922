//! The half that hands out what was computed.

use uaccel_queue::{Completer, DeviceError, Done};

use crate::handoff::Taker;

#[derive(Debug)]
pub(super) struct SoftwareCompleter {
    answered: Taker,
}

impl SoftwareCompleter {
    pub(super) fn new(answered: Taker) -> Self {
        Self { answered }
    }
}

// SAFETY: a token is handed over when the job is done, and nothing touches its memory afterwards.
unsafe impl Completer for SoftwareCompleter {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        let tokens = self.answered.take(done.room());
        // SAFETY: they come from `launch_answered`, and the hand-off orders them behind it.
        unsafe { done.complete_answered(tokens) }.map_err(Box::new)
    }

    fn arm(&mut self) {
        // Nothing is ever answered later than it was submitted.
    }
}

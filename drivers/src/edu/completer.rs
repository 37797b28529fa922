//! The half that answers.

use std::sync::{Arc, Mutex, PoisonError};

use uaccel_queue::{Completer, DeviceError, Done};

use super::engine::Engine;

#[derive(Debug)]
pub(super) struct EduCompleter {
    pub(super) engine: Arc<Mutex<Engine>>,
}

// SAFETY: a job is answered when the device has ended its last transfer, or when it never came to the device.
unsafe impl Completer for EduCompleter {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        engine.look();
        while done.room() > 0
            && let Some((token, outcome)) = engine.answer()
        {
            done.complete(token, &outcome)?;
        }
        Ok(())
    }

    fn arm(&mut self) {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).arm();
    }
}

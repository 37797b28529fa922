//! The half that answers.

use std::sync::{Arc, Mutex, PoisonError};

use uaccel_queue::{Completer, DeviceError, Done};

use super::data_queue::DataQueue;

#[derive(Debug)]
pub(super) struct VirtioCryptoCompleter {
    pub(super) queue: Arc<Mutex<DataQueue>>,
}

// SAFETY: a job is answered when the device has put its chain into the used ring, or when it never came to the device.
unsafe impl Completer for VirtioCryptoCompleter {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let advanced = queue.advance();
        while done.room() > 0
            && let Some((token, outcome)) = queue.answer()
        {
            done.complete(token, &outcome)?;
        }
        Ok(advanced?)
    }

    fn arm(&mut self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).arm();
    }
}

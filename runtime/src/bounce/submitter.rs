//! The half that takes jobs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uaccel_queue::{Batch, Cancel, DeviceError, SessionError, SessionId, SessionSpec, Submitter, Token};

use super::desk::Desk;
use crate::alarm::Alarm;

pub(super) struct BouncedSubmitter {
    pub(super) desk: Arc<Mutex<Desk>>,
    /// Rung for jobs that end without the device.
    pub(super) alarm: Arc<Alarm>,
}

impl BouncedSubmitter {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: each job of the batch is launched before it is passed on, and counted.
unsafe impl Submitter for BouncedSubmitter {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        let mut desk = self.desk();
        for index in 0..batch.len() {
            desk.add(batch.launch(index));
        }
        desk.pass_on()?;
        if desk.has_answers() {
            self.alarm.ring();
        }
        Ok(batch.len())
    }

    fn open_session(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        self.desk().open_session(id, spec)
    }

    fn close_session(&mut self, id: SessionId) {
        self.desk().close_session(id);
    }

    fn cancel(&mut self, token: Token) -> Cancel {
        let mut desk = self.desk();
        let asked = desk.cancel(token);
        if desk.has_answers() {
            self.alarm.ring();
        }
        asked
    }
}

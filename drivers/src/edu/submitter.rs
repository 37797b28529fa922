//! The half that takes jobs.

use std::sync::{Arc, Mutex, PoisonError};

use uaccel_queue::{Batch, DeviceError, SessionError, SessionId, SessionSpec, Submitter};

use super::engine::{Engine, Task};

#[derive(Debug)]
pub(super) struct EduSubmitter {
    pub(super) engine: Arc<Mutex<Engine>>,
}

// SAFETY: each job of the batch is launched before the engine has it, and counted.
unsafe impl Submitter for EduSubmitter {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        engine.add((0..batch.len()).map(|index| {
            let task = Task::of(batch.job(index));
            batch.launch(index);
            task
        }));
        Ok(batch.len())
    }

    fn open_session(&mut self, _id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        Err(SessionError::Unsupported { algorithm: spec.algorithm(), direction: spec.direction() })
    }

    fn close_session(&mut self, _id: SessionId) {}
}

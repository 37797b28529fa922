//! The half that takes jobs, and does them.

use uaccel_queue::{Batch, DeviceError, Job, Outcome, SessionError, SessionId, SessionSpec, Submitter};
use uaccel_units::Scratch;

use super::sessions::Sessions;
use super::work;
use crate::handoff::Giver;

#[derive(Debug)]
pub(super) struct SoftwareSubmitter {
    answered: Giver,
    sessions: Sessions,
    scratch: Scratch,
}

impl SoftwareSubmitter {
    pub(super) fn new(answered: Giver) -> Self {
        Self { answered, sessions: Sessions::default(), scratch: Scratch::new() }
    }
}

// SAFETY: only jobs of the batch are done, each is launched before its answer is published, and all are counted.
unsafe impl Submitter for SoftwareSubmitter {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        for index in 0..batch.len() {
            // SAFETY: the caller's promise for the jobs of the batch; this one is answered by what follows.
            let outcome = unsafe { work::perform(&self.sessions, &mut self.scratch, batch.job(index)) };
            // SAFETY: what was computed is no longer than the slices it was computed with, which are those of the job.
            let token = unsafe { batch.launch_answered(index, outcome) };
            // One by one: the next job may take long, and a completer on another thread need not wait for it.
            self.answered.give([token].into_iter());
        }
        Ok(batch.len())
    }

    unsafe fn perform(&mut self, job: &Job) -> Option<Outcome> {
        // SAFETY: the caller's promise.
        Some(unsafe { work::perform_alone(&self.sessions, &mut self.scratch, job) })
    }

    fn open_session(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        self.sessions.open(id, spec)
    }

    fn close_session(&mut self, id: SessionId) {
        self.sessions.close(id);
    }
}

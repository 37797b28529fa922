//! The half that takes jobs and does nothing with them.

use uaccel_queue::{Batch, DeviceError, Job, Operation, Outcome, SessionError, SessionId, SessionSpec, Submitter};

use crate::handoff::Giver;

#[derive(Debug)]
pub(super) struct NullSubmitter {
    pub(super) answered: Giver,
    pub(super) sessions: u16,
}

// SAFETY: each job is launched before its answer is published, counted, and its memory is never touched.
unsafe impl Submitter for NullSubmitter {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        // SAFETY: no byte is said to be produced, and no more consumed than the job's source has.
        self.answered
            .give((0..batch.len()).map(|index| unsafe { batch.launch_answered(index, outcome(batch.job(index))) }));
        Ok(batch.len())
    }

    fn open_session(&mut self, id: SessionId, _spec: &SessionSpec) -> Result<(), SessionError> {
        if id.0 < self.sessions { Ok(()) } else { Err(SessionError::OutOfRange(id)) }
    }

    fn close_session(&mut self, _id: SessionId) {}
}

/// All of the source was read, nothing was written.
#[inline]
fn outcome(job: &Job) -> Outcome {
    match job.operation {
        Operation::Nop | Operation::Fill => Outcome::ok(0, 0),
        _ => Outcome::ok(job.source_len as u64, 0),
    }
}

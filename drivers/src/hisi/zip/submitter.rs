//! The half that takes jobs and sessions.

use std::sync::Arc;

use uaccel_queue::{
    Batch, Capabilities, DeviceError, Direction, JobFlags, Outcome, SessionError, SessionId, SessionSpec, Status,
    Submitter, Transport,
};

use super::alarm::Alarm;
use super::format::Format;
use super::lists::Lists;
use super::stream;
use super::task::{SPECIAL, Session, task, task_in_pieces};
use super::window::Window;
use crate::handoff::Giver;
use crate::hisi::qm::{Lookout, Record, Tail};

#[derive(Debug)]
pub(super) struct ZipSubmitter {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) granted: Capabilities,
    pub(super) compress: Tail,
    pub(super) decompress: Tail,
    /// Jobs that end without the engine.
    pub(super) ended: Giver,
    pub(super) alarm: Arc<Alarm>,
    /// Those of jobs in pieces.
    pub(super) lists: Lists,
    pub(super) lookout: Lookout,
    /// By number.
    pub(super) sessions: Box<[Option<Session>]>,
}

impl ZipSubmitter {
    /// Writes the entry of a job with something [special](SPECIAL), or says how it ends without the engine.
    ///
    /// # Safety
    /// As for [`submit`](Submitter::submit); the job is one of the batch and was not seen by the device.
    #[cold]
    unsafe fn put_special(&mut self, batch: &Batch<'_>, index: usize) -> Result<(), Outcome> {
        let job = batch.job(index);
        let session = Session::of(&self.sessions, job)?;
        // SAFETY: the caller's promise.
        let (entry, header) = unsafe {
            if job.flags.contains(JobFlags::STREAM) {
                stream::task(session, &*self.transport, job)?
            } else if job.flags.contains(JobFlags::CHAINED) {
                // It was not granted.
                return Err(Outcome::failed(Status::InvalidJob));
            } else {
                let task = task_in_pieces(session, &*self.transport, job)?;
                (task.listed_entry(job, self.lists.put(job)), task.header)
            }
        };
        let record = Record { token: batch.launch(index), note: header };
        self.tail(session.direction).put(&entry.encode(), record);
        Ok(())
    }

    #[inline]
    fn tail(&mut self, direction: Direction) -> &mut Tail {
        match direction {
            Direction::Forward => &mut self.compress,
            Direction::Inverse => &mut self.decompress,
        }
    }
}

// SAFETY: each job of the batch is launched before the device can see it, and counted.
unsafe impl Submitter for ZipSubmitter {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        self.compress.check()?;
        self.decompress.check()?;
        if self.lookout.is_due(batch.len()) {
            // Asks the kernel, which moves its head by that; and what was to wake a sleeper still does.
            self.transport.clear_wake();
            self.transport.signal();
        }
        let mut ended = false;
        for index in 0..batch.len() {
            let job = batch.job(index);
            let outcome = if job.flags.intersects(SPECIAL) {
                // SAFETY: the caller's promise for the jobs of the batch; this one is answered by what follows.
                match unsafe { self.put_special(batch, index) } {
                    Ok(()) => continue,
                    Err(outcome) => outcome,
                }
            } else {
                let session = Session::of(&self.sessions, job);
                // SAFETY: the same.
                match session.and_then(|session| unsafe { task(session, &*self.transport, job) }) {
                    Ok(task) => {
                        let entry = task.entry(job).encode();
                        let record = Record { token: batch.launch(index), note: task.header };
                        self.tail(task.direction).put(&entry, record);
                        continue;
                    }
                    Err(outcome) => outcome,
                }
            };
            // SAFETY: it says no more than what was written to the destination.
            let token = unsafe { batch.launch_answered(index, outcome) };
            self.ended.give([token].into_iter());
            ended = true;
        }
        self.compress.show();
        self.decompress.show();
        if ended && self.alarm.is_due() {
            self.transport.signal();
        }
        Ok(batch.len())
    }

    fn open_session(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        let (algorithm, direction) = (spec.algorithm(), spec.direction());
        let offered = Format::of(algorithm).filter(|_| self.granted.offers(spec)).zip(Window::within(spec.window()));
        let (format, window) = offered.ok_or(SessionError::Unsupported { algorithm, direction })?;
        let place = self.sessions.get_mut(usize::from(id.0)).ok_or(SessionError::OutOfRange(id))?;
        *place = Some(Session { format, direction, window });
        Ok(())
    }

    fn close_session(&mut self, id: SessionId) {
        if let Some(place) = self.sessions.get_mut(usize::from(id.0)) {
            *place = None;
        }
    }
}

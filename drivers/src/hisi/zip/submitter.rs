//! The half that takes jobs and sessions.

use std::sync::Arc;

use uaccel_hisi_abi::zip::Entry;
use uaccel_queue::{
    Batch, Capabilities, DeviceError, Direction, JobFlags, SessionError, SessionId, SessionSpec, Submitter, Token,
    Transport,
};

use super::alarm::Alarm;
use super::format::Format;
use super::lists::Lists;
use super::task::{Session, Task, task};
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
    /// Writes an entry with lists. By itself, so that those without need not be made in memory first.
    #[cold]
    fn put_listed(&mut self, task: Task, entry: &Entry, token: Token) {
        let tail = match task.direction {
            Direction::Forward => &mut self.compress,
            Direction::Inverse => &mut self.decompress,
        };
        tail.put(&entry.encode(), Record { token, note: task.header });
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
            // SAFETY: the caller's promise for the jobs of the batch; this one is answered by what follows.
            match unsafe { task(&self.sessions, &*self.transport, job) } {
                Ok(task) => {
                    if job.flags.contains(JobFlags::SCATTER) {
                        // SAFETY: the caller's promise; the task was found for no more pieces than that.
                        let entry = unsafe { task.listed_entry(job, self.lists.put(job)) };
                        self.put_listed(task, &entry, batch.launch(index));
                        continue;
                    }
                    let entry = task.entry(job).encode();
                    let record = Record { token: batch.launch(index), note: task.header };
                    let tail = match task.direction {
                        Direction::Forward => &mut self.compress,
                        Direction::Inverse => &mut self.decompress,
                    };
                    tail.put(&entry, record);
                }
                Err(outcome) => {
                    // SAFETY: it says no more than what was written to the destination.
                    let token = unsafe { batch.launch_answered(index, outcome) };
                    self.ended.give([token].into_iter());
                    ended = true;
                }
            }
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
        let format = Format::of(algorithm).filter(|_| self.granted.algorithms.contains(algorithm, direction));
        let format = format.ok_or(SessionError::Unsupported { algorithm, direction })?;
        let place = self.sessions.get_mut(usize::from(id.0)).ok_or(SessionError::OutOfRange(id))?;
        *place = Some(Session { format, direction });
        Ok(())
    }

    fn close_session(&mut self, id: SessionId) {
        if let Some(place) = self.sessions.get_mut(usize::from(id.0)) {
            *place = None;
        }
    }
}

//! The half that takes jobs and sessions.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uaccel_queue::{
    Batch, Capabilities, DeviceError, Direction, Job, JobFlags, Operation, Outcome, SessionError, SessionId,
    SessionSpec, Status, Submitter, Transport,
};

use super::control_queue::ControlQueue;
use super::data_queue::{DataQueue, Text};
use super::registers::{DeviceStatus, Registers};
use super::request::{self, CREATED, DeviceSession, STATUS};

pub(super) struct VirtioCryptoSubmitter {
    queue: Arc<Mutex<DataQueue>>,
    control: ControlQueue,
    registers: Registers,
    transport: Arc<dyn Transport>,
    granted: Capabilities,
    /// By number.
    sessions: Vec<Option<DeviceSession>>,
    /// How many jobs there are places for.
    depth: usize,
}

/// The number of the only data queue that is used (5.9.2).
pub(super) const QUEUE: u16 = 0;

impl VirtioCryptoSubmitter {
    pub(super) fn new(
        queue: Arc<Mutex<DataQueue>>,
        control: ControlQueue,
        registers: Registers,
        transport: Arc<dyn Transport>,
        granted: Capabilities,
        depth: usize,
    ) -> Self {
        let sessions = vec![None; granted.sessions.into()];
        Self { queue, control, registers, transport, granted, sessions, depth }
    }

    /// What is to be done for a job: by the device, or it ends so.
    fn task(&self, job: &Job) -> Result<Text, Outcome> {
        let failed = |status| Err(Outcome::failed(status));
        // Neither was granted.
        if job.flags.intersects(JobFlags::CHAINED.union(JobFlags::SCATTER)) || job.token.slot() >= self.depth {
            return failed(Status::InvalidJob);
        }
        let direction = match job.operation {
            Operation::Nop => return Err(Outcome::ok(0, 0)),
            Operation::Encrypt => Direction::Forward,
            Operation::Decrypt => Direction::Inverse,
            _ => return failed(Status::Unsupported),
        };
        let session = self.sessions.get(usize::from(job.session.0)).copied().flatten();
        let Some(session) = session.filter(|session| session.direction == direction) else {
            return failed(Status::BadSession);
        };
        let len = job.source_len as u64;
        let is_taken = session.algorithm.text_lengths().is_some_and(|lengths| lengths.contains(len));
        let short = u32::try_from(len).ok().filter(|_| is_taken && len <= self.granted.max_transfer);
        let Some(short) = short else { return failed(Status::InvalidJob) };
        if job.destination_len < job.source_len {
            return Err(Outcome { produced: len, ..Outcome::failed(Status::OutputTooSmall) });
        }
        if short == 0 {
            return Err(Outcome::ok(0, 0));
        }
        Ok(Text {
            token: job.token,
            session,
            iv: job.iv(),
            source: job.source.expose_provenance() as u64,
            destination: job.destination.expose_provenance() as u64,
            len: short,
        })
    }

    /// Ends a session on the device.
    fn destroy(&mut self, session: DeviceSession, within: Duration) -> Result<(), DeviceError> {
        let [status] = self.control.exchange::<STATUS>(&request::destroy(session.number, QUEUE), within)?;
        match request::outcome(status, 0) {
            Some(_) => Ok(()),
            None => Err(DeviceError::Protocol("a status of the control queue that does not exist")),
        }
    }
}

// SAFETY: each job of the batch is launched before the device can see it, and counted.
unsafe impl Submitter for VirtioCryptoSubmitter {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut added = false;
        for index in 0..batch.len() {
            let task = self.task(batch.job(index));
            let token = batch.launch(index);
            match task {
                Ok(text) => {
                    queue.add(&text);
                    added = true;
                }
                Err(outcome) => queue.end(token, outcome),
            }
        }
        if added {
            queue.publish();
        }
        Ok(batch.len())
    }

    fn open_session(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        let (algorithm, direction) = (spec.algorithm(), spec.direction());
        let number = request::number(algorithm).filter(|_| self.granted.algorithms.contains(algorithm, direction));
        let number = number.ok_or(SessionError::Unsupported { algorithm, direction })?;
        if id.0 >= self.granted.sessions {
            return Err(SessionError::OutOfRange(id));
        }
        let create = request::create(number, direction, spec.key(), QUEUE);
        let answer = self.control.exchange::<CREATED>(&create, ControlQueue::PATIENCE)?;
        let created = request::created(answer);
        let created = created.ok_or(DeviceError::Protocol("a status of the control queue that does not exist"))?;
        let number = created.map_err(SessionError::Refused)?;
        if self.sessions.iter().flatten().any(|session| session.number == number) {
            return Err(DeviceError::Protocol("one number for two sessions").into());
        }
        self.sessions[usize::from(id.0)] = Some(DeviceSession { number, algorithm, direction });
        Ok(())
    }

    fn close_session(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(usize::from(id.0)).and_then(Option::take) {
            // One that the device does not close is lost to it; if it is stuck, the next one that is opened says so.
            let _ = self.destroy(session, ControlQueue::PATIENCE);
        }
    }
}

/// Sessions outlive a reset of the device (QEMU), so those that are open are closed while somebody knows their numbers.
impl Drop for VirtioCryptoSubmitter {
    fn drop(&mut self) {
        /// Not as long as for a session that somebody wants.
        const PATIENCE: Duration = Duration::from_millis(100);
        let sessions = std::mem::take(&mut self.sessions);
        if sessions.iter().all(Option::is_none) || !self.transport.is_alive() {
            return;
        }
        let status = self.registers.status();
        // After a stop there is no control queue.
        if !status.contains(DeviceStatus::DRIVER_OK) || status.contains(DeviceStatus::NEEDS_RESET) {
            return;
        }
        for session in sessions.into_iter().flatten() {
            if self.destroy(session, PATIENCE).is_err() {
                return;
            }
        }
    }
}

//! The half that reads answers.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use uaccel_queue::{Completer, DeviceError, Done, Fault, FaultKind, Job, Operation, Outcome, Region, Status, Token};

use crate::driver::Shared;
use crate::layout::{self, Answer, State, register};

#[derive(Debug)]
pub(crate) struct TallyCompleter {
    shared: Arc<Shared>,
    registers: Region,
    /// Answers taken.
    next: u64,
    armed: u64,
}

impl TallyCompleter {
    pub(crate) fn new(shared: Arc<Shared>, registers: Region) -> Self {
        Self { shared, registers, next: 0, armed: 0 }
    }

    /// Takes the answers that are there, as far as there is room, and says how many.
    fn drain(&mut self, done: &mut Done<'_>) -> Result<usize, DeviceError> {
        // Acquire, pairs with the device's release: its answers, and what its jobs wrote, are visible from here on.
        let answered = self.shared.memory.observe(layout::DONE);
        if !(self.next..=self.shared.submitted()).contains(&answered) {
            // A counter that runs back, or ahead of what it counts. The device writes this word, so it is looked at before it is used.
            return Err(DeviceError::Protocol("it counts jobs that were never submitted"));
        }
        let mut taken = 0;
        while self.next < answered && done.room() > 0 {
            let at = layout::entry(self.next);
            let answer = Answer::decode([at, at + 8].map(|at| self.shared.memory.read(at)));
            let token = self.shared.token(self.next);
            let found = done.find(token)?;
            let outcome = outcome(token, found.job(), &answer)?;
            found.complete(outcome)?;
            self.shared.take(self.next);
            self.next += 1;
            taken += 1;
        }
        Ok(taken)
    }
}

/// What an answer says about a job. Lengths are the job's own: the device is not asked for what the host knows.
fn outcome(token: Token, job: &Job, answer: &Answer) -> Result<Outcome, DeviceError> {
    let malformed = |what| DeviceError::Malformed { token, what };
    let status = Status::from_raw(answer.status);
    match status.ok_or(DeviceError::UnknownStatus { token, status: answer.status })? {
        Status::Ok => {
            let len = job.source_len as u64;
            match job.operation {
                Operation::Nop => Ok(Outcome::ok(0, 0)),
                Operation::Copy => Ok(Outcome::ok(len, len)),
                Operation::Fill => Ok(Outcome::ok(0, job.destination_len as u64)),
                // That this lies within the length is checked by `Done`.
                Operation::Compare => Ok(Outcome::ok(len, u64::from(answer.value))),
                Operation::Crc32 | Operation::Crc32c => Ok(Outcome::ok(len, 0).with_checksum(answer.value)),
                _ => Err(malformed("success at what it cannot do")),
            }
        }
        Status::Fault => {
            let kind = FaultKind::from_raw(answer.fault).ok_or_else(|| malformed("a fault of no kind"))?;
            Ok(Outcome::faulted(Fault { address: answer.address, kind }))
        }
        status @ (Status::InvalidJob | Status::Unsupported | Status::DeviceError | Status::Aborted) => {
            Ok(Outcome::failed(status))
        }
        _ => Err(malformed("a status that its operations cannot have")),
    }
}

// SAFETY: a job is completed when the device has counted it, which it does after its last access to the job's memory.
unsafe impl Completer for TallyCompleter {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        if self.drain(done)? > 0 || done.room() == 0 {
            return Ok(());
        }
        // Only when there is nothing is it worth asking whether anything can still come.
        let error = match State::decode(self.shared.memory.observe(layout::STATE)) {
            State::Running => return Ok(()),
            State::Off | State::Stopped => DeviceError::Stopped(0),
            State::Failed(reason) => DeviceError::Stopped(reason),
        };
        // Something may have come between the two looks, and it counts. The next poll will find the state again.
        if self.drain(done)? > 0 { Ok(()) } else { Err(error.into()) }
    }

    fn arm(&mut self) {
        self.armed += 1;
        self.registers.write(register::ARM, self.armed);
        // Pairs with the device's fence between its answer and its look at the register: either it sees the new count and signals, or the
        // poll that comes next sees the answer.
        fence(Ordering::SeqCst);
    }
}

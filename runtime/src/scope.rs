//! Jobs on borrowed memory: built in place, submitted in batches, all answered before the scope ends.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use uaccel_queue::{Batch, Cells, DeviceError, Job, JobFlags, Operation, Outcome, Status, Token};

use crate::error::Cause;
use crate::pair::Pair;
use crate::patience::{Next, Patience};
use crate::policy::OnLost;
use crate::queue_core::QueueCore;
use crate::recover::{self, Verdict};
use crate::sys::fork_mark::ForkMark;
use crate::work::{RawWork, Work};
use crate::{Error, gathered, immediate};

/// A set of jobs on borrowed memory. Made by [`Lease::scope`](crate::Lease::scope).
///
/// Methods named after operations build a job in its slot; [`submit`](Self::submit) passes what was built to the device with one doorbell; [`poll`](Self::poll) and
/// [`finish`](Self::finish) hand out answers. Memory lent to a job is lent for `'env`, which outlives the scope; and the
/// scope does not end, nor unwind, before the device has finished with it.
#[derive(Debug)]
pub struct Scope<'scope, 'env: 'scope> {
    core: &'scope Arc<QueueCore>,
    cells: &'scope Cells,
    fork: &'scope ForkMark,
    pair: &'scope mut Pair,
    deadline: Duration,
    /// Why answers that say "aborted" were aborted.
    aborted: Option<Cause>,
    /// Invariant in both: a scope cannot be swapped for one that lives longer.
    _lent: PhantomData<(&'scope mut &'scope (), &'env mut &'env ())>,
}

/// The name of a job within its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(Token);

/// A job that was not built, with what it borrows.
#[derive(Debug)]
pub struct Refused<'a> {
    /// Why.
    pub error: Error,
    /// The job, as it was given.
    pub work: Work<'a>,
}

impl std::error::Error for Refused<'_> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl std::fmt::Display for Refused<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the job was not built")
    }
}

/// For those who do not want the job back.
impl From<Refused<'_>> for Error {
    fn from(refused: Refused<'_>) -> Self {
        refused.error
    }
}

/// How a job of a scope ended.
#[derive(Debug)]
pub struct Answer<'a> {
    ticket: Ticket,
    outcome: &'a Outcome,
    core: &'a QueueCore,
    cause: Option<&'a Cause>,
}

impl Answer<'_> {
    /// Which job.
    #[inline]
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Whether it ended well.
    #[inline]
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.outcome.status == Status::Ok
    }

    /// The outcome of a job that ended well, or why it did not.
    ///
    /// # Errors
    /// See [`Error`].
    #[inline]
    pub fn outcome(&self) -> Result<Outcome, Error> {
        if self.is_ok() { Ok(*self.outcome) } else { self.outcome_but_ok() }
    }

    #[cold]
    fn outcome_but_ok(&self) -> Result<Outcome, Error> {
        // Only a job of a stream can end so, and for it that is a good end.
        if self.outcome.status == Status::More { Ok(*self.outcome) } else { Err(self.error()) }
    }

    #[cold]
    fn error(&self) -> Error {
        let device = self.core.device.name();
        match (self.outcome.status, self.cause) {
            (Status::Aborted, Some(cause)) => cause.to_error(device),
            // Cancelled because its time was over.
            (Status::Canceled, Some(cause @ Cause::Deadline(_))) => cause.to_error(device),
            _ => {
                // SAFETY: the slot was just answered, and nobody builds it while the answer is handed out.
                let job = unsafe { self.core.cells.job(self.ticket.0.slot()) };
                let refusal = match self.outcome {
                    // A fault without an address is one that the device never met.
                    Outcome { status: Status::Fault, fault: None, .. } => {
                        self.core.refusal(self.ticket.0.slot(), job.operation)
                    }
                    _ => None,
                };
                // SAFETY: lists of a job of a scope are borrowed, as its memory is.
                let (_, room) = unsafe { job.extents() };
                refusal.unwrap_or_else(|| self.core.error_of(job.operation, self.outcome, room))
            }
        }
    }
}

/// Runs `f` with a scope over a pair, and ends the scope.
pub(crate) fn run<'env, R>(
    core: &Arc<QueueCore>,
    pair: &mut Pair,
    f: impl for<'s> FnOnce(&mut Scope<'s, 'env>) -> R,
) -> R {
    f(&mut Scope::new(core, pair))
}

/// Runs one job over a pair to its end.
#[inline]
pub(crate) fn run_one(core: &Arc<QueueCore>, pair: &mut Pair, work: &RawWork<'_>) -> Result<Outcome, Error> {
    if let Some(pieces) = work.pieces()
        && !pieces.are_taken(&pair.granted)
    {
        return gathered::run_one(core, pair, work, pieces);
    }
    if pair.granted.immediate { immediate::run_now(core, pair, work) } else { run_one_queued(core, pair, work) }
}

/// Runs one job over a pair to its end, by way of the queue.
pub(crate) fn run_one_queued(core: &Arc<QueueCore>, pair: &mut Pair, work: &RawWork<'_>) -> Result<Outcome, Error> {
    Scope::new(core, pair).run_one(work)
}

/// What is told of a single job that did not end well.
#[cold]
pub(crate) fn failed(core: &QueueCore, work: &RawWork<'_>, outcome: &Outcome) -> Error {
    let limit = core.device.limit();
    let room = (work.destination_len as u64).min(limit);
    of_clamped(work, core.error_of(work.operation, outcome, room), limit)
}

/// The error of a job whose room was clamped to the device's limit: it is the device that is too small, not the caller's buffer.
fn of_clamped(work: &RawWork<'_>, error: Error, limit: u64) -> Error {
    match error {
        Error::OutputTooSmall { operation, .. } if work.destination_len as u64 > limit => {
            Error::TooLarge { operation, len: work.destination_len as u64, limit }
        }
        error => error,
    }
}

impl<'scope, 'env> Scope<'scope, 'env> {
    #[inline]
    fn new(core: &'scope Arc<QueueCore>, pair: &'scope mut Pair) -> Self {
        debug_assert!(pair.borrowed == 0 && pair.slots.is_submitted(), "a pair at home has no borrowed jobs");
        Self {
            deadline: core.device.options.deadline,
            cells: &core.cells,
            fork: &core.fork,
            core,
            pair,
            aborted: None,
            _lent: PhantomData,
        }
    }

    /// How long [`finish`](Self::finish) and [`wait`](Self::wait) wait for an answer before jobs are taken back; at first what the runtime was built with.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Builds a job that does nothing.
    ///
    /// # Errors
    /// [`Error::QueueFull`], as with every job: hand out answers, then try again. [`Error::UnsupportedOperation`].
    #[inline]
    pub fn nop(&mut self) -> Result<Ticket, Error> {
        self.build(Operation::Nop, 0, |_| {})
    }

    /// Builds a copy from `source` to the start of `destination`. The destination stays lent to the scope whatever comes of it;
    /// [`push`](Self::push) gives it back.
    ///
    /// # Errors
    /// As [`nop`](Self::nop); [`Error::OutputTooSmall`], [`Error::TooLarge`].
    #[inline]
    pub fn copy(&mut self, source: &'env [u8], destination: &'env mut [u8]) -> Result<Ticket, Error> {
        if destination.len() < source.len() {
            return Err(Error::OutputTooSmall {
                operation: Operation::Copy,
                needed: Some(source.len() as u64),
                room: destination.len() as u64,
            });
        }
        self.build(Operation::Copy, source.len(), |job| {
            (job.source, job.source_len) = (source.as_ptr(), source.len());
            (job.destination, job.destination_len) = (destination.as_mut_ptr(), source.len());
        })
    }

    /// Builds a CRC-32C of `source`, continued from `seed`.
    ///
    /// # Errors
    /// As [`nop`](Self::nop); [`Error::TooLarge`].
    #[inline]
    pub fn crc32c(&mut self, source: &'env [u8], seed: u32) -> Result<Ticket, Error> {
        self.build(Operation::Crc32c, source.len(), |job| {
            (job.source, job.source_len) = (source.as_ptr(), source.len());
            job.immediate[..4].copy_from_slice(&seed.to_le_bytes());
        })
    }

    /// Builds any job on borrowed memory.
    ///
    /// # Errors
    /// [`Refused`] with the work, so that what it borrows is not lent for nothing: with [`Error::QueueFull`] hand out answers, then
    /// push it again. Every error that the request itself can have.
    #[inline]
    pub fn push(&mut self, work: Work<'env>) -> Result<Ticket, Refused<'env>> {
        match self.push_checked(&work.raw) {
            Ok(ticket) => Ok(ticket),
            Err(error) => Err(Refused { error, work }),
        }
    }

    /// Builds a job on raw pointers. A bad pointer fails its job, unless the queue's fault handling is
    /// [`FaultHandling::CallerVouches`](uaccel_queue::FaultHandling::CallerVouches).
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// # Safety
    /// Until the scope ends nobody writes what the job reads or touches what it writes. If the fault handling is `CallerVouches`, the
    /// ranges are readable and writable as the operation needs them.
    pub unsafe fn push_raw(&mut self, work: &RawWork<'env>) -> Result<Ticket, Error> {
        self.push_checked(work)
    }

    #[inline]
    pub(crate) fn push_checked(&mut self, work: &RawWork<'_>) -> Result<Ticket, Error> {
        let room = work.check(self.core.device.name(), &self.pair.granted)?;
        let session = match work.session {
            Some(session) => Some(self.pair.enter(self.core, session)?),
            None => None,
        };
        if !self.core.has_free_slot(self.pair) {
            if let Some(session) = session {
                self.pair.sessions.leave(session);
            }
            return Err(self.core.full());
        }
        let slot = self.pair.slots.next();
        // SAFETY: the slot is free and ours.
        let token = unsafe {
            self.cells.build(slot, |job| {
                work.fill(job, session, room);
                job.token
            })
        };
        self.pair.slots.built();
        Ok(Ticket(token))
    }

    #[inline]
    fn build(&mut self, operation: Operation, len: usize, build: impl FnOnce(&mut Job)) -> Result<Ticket, Error> {
        if !self.pair.granted.operations.contains(operation) || len as u64 > self.pair.granted.max_transfer {
            return Err(self.refuse(operation, len));
        }
        if !self.core.has_free_slot(self.pair) {
            return Err(self.core.full());
        }
        let slot = self.pair.slots.next();
        // SAFETY: the slot is free and ours.
        let token = unsafe {
            self.cells.build(slot, |job| {
                job.operation = operation;
                job.flags = JobFlags::VOUCHED;
                build(job);
                job.token
            })
        };
        self.pair.slots.built();
        Ok(Ticket(token))
    }

    #[cold]
    fn refuse(&self, operation: Operation, len: usize) -> Error {
        let (limit, device) = (self.pair.granted.max_transfer, self.core.device.name());
        if self.pair.granted.operations.contains(operation) {
            Error::TooLarge { operation, len: len as u64, limit }
        } else {
            Error::UnsupportedOperation { device: device.into(), operation }
        }
    }

    /// How many more jobs can be built before answers have to be handed out.
    pub fn room(&mut self) -> usize {
        self.core.free_slots(self.pair)
    }

    /// Passes what was built to the device, as far as it takes it, and says how many jobs it took. The others stay built.
    ///
    /// # Errors
    /// [`Error::Forked`] in a child process, [`Error::DeviceFailed`] if the queue is gone for good. Jobs are answered all the same.
    #[inline]
    pub fn submit(&mut self) -> Result<usize, Error> {
        if self.pair.slots.is_submitted() {
            return Ok(0);
        }
        if !self.fork.is_home() {
            return Err(Error::Forked);
        }
        if self.pair.verdict != Verdict::Usable {
            return Err(self.finished());
        }
        // SAFETY: staged slots were built by this scope and not submitted; they are named once and stay until answered.
        let batch = unsafe { Batch::new(self.cells, self.pair.slots.staged()) };
        // SAFETY: requests were checked when they were built; their memory is borrowed for 'env, or the caller of `push_raw` vouches,
        // and the scope does not end before they are answered.
        match unsafe { self.pair.submitter.submit(&batch) } {
            Ok(taken) => {
                self.pair.borrowed += taken;
                self.pair.slots.submitted(taken);
                Ok(taken)
            }
            Err(error) => Ok(self.submit_failed(error)),
        }
    }

    #[cold]
    fn finished(&self) -> Error {
        Error::device_failed(self.core.device.name(), "the queue did not come back after a stop")
    }

    /// The queue failed in the middle of a batch: what the device may have seen counts as submitted.
    #[cold]
    fn submit_failed(&mut self, error: Box<DeviceError>) -> usize {
        let cells = self.cells;
        // SAFETY: staged slots were built, and reading is allowed whether or not they were launched.
        let taken = self.pair.slots.submitted_where(|slot| cells.is_live(unsafe { cells.job(slot as usize) }.token));
        self.pair.borrowed += taken;
        self.aborted = Some(error.into());
        taken
    }

    /// Hands out the answers that are there, and says how many. If the device has failed, everything in flight is taken back and answered
    /// with [`Error::DeviceFailed`].
    #[inline]
    pub fn poll(&mut self, mut each: impl FnMut(Answer<'_>)) -> usize {
        let core = self.core;
        let drained = core.drain(self.pair, |token, outcome| each(answer(core, token, outcome, None)));
        match drained {
            Ok(count) if self.aborted.is_none() => count,
            Ok(count) => count + self.take_back(None, &mut each),
            Err(error) => self.take_back(Some(error.into()), &mut each),
        }
    }

    /// Waits until there is at least one answer, hands out what is there, and says how many. Zero means that nothing is in flight.
    ///
    /// When nothing has come for the deadline, everything in flight is taken back and answered with [`Error::Deadline`].
    pub fn wait(&mut self, mut each: impl FnMut(Answer<'_>)) -> usize {
        let mut patience = Patience::new(self.deadline);
        while self.pair.borrowed != 0 {
            let count = self.poll(&mut each);
            if count != 0 {
                return count;
            }
            if let Some(cause) = self.pause(&mut patience) {
                return self.take_back(Some(cause), &mut each);
            }
        }
        0
    }

    /// Submits what was built and waits for all answers.
    ///
    /// # Errors
    /// As [`submit`](Self::submit). Jobs that could not be submitted are then discarded; those in flight were answered.
    #[inline]
    pub fn finish(&mut self, mut each: impl FnMut(Answer<'_>)) -> Result<(), Error> {
        let submitted = self.submit();
        self.poll(&mut each);
        if self.pair.borrowed == 0 && self.pair.slots.is_submitted() {
            return submitted.map(|_| ());
        }
        self.finish_slowly(submitted, &mut |answer| each(answer))
    }

    /// The rest of [`finish`](Self::finish), when not all answers were there at once.
    #[cold]
    fn finish_slowly(
        &mut self,
        mut submitted: Result<usize, Error>,
        each: &mut dyn FnMut(Answer<'_>),
    ) -> Result<(), Error> {
        let mut patience = Patience::new(self.deadline);
        let mut moved = true;
        loop {
            if self.pair.borrowed == 0 {
                match submitted {
                    Ok(_) if self.pair.slots.is_submitted() => return Ok(()),
                    Ok(_) => {}
                    Err(error) => {
                        self.discard_staged();
                        return Err(error);
                    }
                }
            }
            if moved {
                patience.found();
            } else if let Some(cause) = self.pause(&mut patience) {
                self.take_back(Some(cause), each);
                patience.found();
            }
            moved = self.poll(&mut *each) != 0;
            // Most of the time there is nothing left to submit: the loop stays short.
            if !self.pair.slots.is_submitted() {
                submitted = self.submit();
                moved |= matches!(submitted, Ok(1..));
            }
        }
    }

    /// Runs one job to its end.
    #[inline]
    fn run_one(&mut self, work: &RawWork<'_>) -> Result<Outcome, Error> {
        let Ticket(token) = self.push_checked(work)?;
        let submitted = self.submit();
        let mut good = false;
        let drained = self.core.drain(self.pair, |_, outcome| good = outcome.status == Status::Ok);
        // A good answer is that of this job: there is no other.
        if !good || drained.is_err() || self.aborted.is_some() {
            self.finish_one(work, token, submitted, drained)?;
        }
        // SAFETY: it was the only job, it was answered, and none was built since.
        Ok(unsafe { self.cells.outcome(token.slot()) })
    }

    /// The rest of [`run_one`](Self::run_one), when there was no good answer at once.
    #[cold]
    fn finish_one(
        &mut self,
        work: &RawWork<'_>,
        token: Token,
        submitted: Result<usize, Error>,
        drained: Result<usize, Box<DeviceError>>,
    ) -> Result<(), Error> {
        let answered = matches!(submitted, Ok(1..)) && self.pair.borrowed == 0;
        let mut result = None;
        {
            let mut each = |answer: Answer<'_>| result = Some(answer.outcome().map(|_| ()));
            self.take_back(drained.err().map(Cause::from), &mut each);
            self.finish_slowly(submitted, &mut each)?;
        }
        if answered {
            // SAFETY: it was the only job, it was answered, and none was built since.
            let outcome = unsafe { self.cells.answer(token.slot()) }.1;
            result = Some(answer(self.core, token, outcome, None).outcome().map(|_| ()));
        }
        match result {
            Some(result) => result.map_err(|error| of_clamped(work, error, self.core.device.limit())),
            None => Err(Error::device_failed(self.core.device.name(), "a job ended without an answer")),
        }
    }

    /// One step of waiting. Says why to give up, if so.
    #[inline]
    fn pause(&mut self, patience: &mut Patience) -> Option<Cause> {
        match patience.next(&mut *self.pair.completer, self.pair.granted.wakes) {
            Next::Poll => None,
            Next::Sleep(until) => self.sleep(until),
            Next::Expired => Some(Cause::Deadline(self.deadline)),
        }
    }

    #[cold]
    fn sleep(&self, until: std::time::Instant) -> Option<Cause> {
        if self.pair.granted.wakes {
            self.pair.transport.sleep(Some(until)).err().map(Cause::from)
        } else {
            std::thread::sleep(until.saturating_duration_since(std::time::Instant::now()));
            None
        }
    }

    /// Gets everything in flight answered, because of `cause` or of what was noted before.
    #[cold]
    fn take_back(&mut self, cause: Option<Cause>, each: &mut dyn FnMut(Answer<'_>)) -> usize {
        let Some(cause) = cause.or_else(|| self.aborted.take()) else { return 0 };
        self.aborted = None;
        let core = self.core;
        let mut count = 0;
        let mut hand_out = |token: Token, outcome: &Outcome| {
            count += 1;
            each(answer(core, token, outcome, Some(&cause)));
        };
        let mut verdict = recover::recover(core, self.pair, &cause, &mut hand_out);
        if verdict == Verdict::Unproven {
            core.lose_owned(self.pair);
            if self.pair.borrowed != 0 {
                core.tally.lost.add(self.pair.borrowed as u64);
                if core.device.options.on_lost == OnLost::Abort {
                    tracing::error!(
                        device = core.device.name(),
                        "device holds borrowed memory and does not let go; aborting, as configured"
                    );
                    std::process::abort();
                }
                // Rule: never return while the device may write what the caller lent.
                core.set_parked(true);
                while verdict == Verdict::Unproven {
                    tracing::error!(
                        device = core.device.name(),
                        "device holds borrowed memory and does not let go; the call stays"
                    );
                    std::thread::sleep(recover::STEP);
                    verdict = recover::stop(core, self.pair, &cause, &mut hand_out);
                }
                core.set_parked(false);
            }
        }
        self.pair.verdict = verdict;
        count
    }

    /// Frees slots that were built and never submitted.
    #[inline]
    fn discard_staged(&mut self) {
        let Pair { slots, sessions, .. } = &mut *self.pair;
        slots.discard_staged(|slot| {
            // SAFETY: a staged slot was built.
            let job = unsafe { self.cells.job(slot as usize) };
            if job.operation.needs_session() {
                sessions.leave(job.session);
            }
        });
    }

    /// Ends the scope: nothing borrowed is in flight afterwards.
    #[inline]
    fn end(&mut self) {
        while self.pair.borrowed != 0 {
            self.wait(|_| {});
        }
        self.discard_staged();
        let Pair { sessions, submitter, .. } = &mut *self.pair;
        sessions.tidy(&mut **submitter);
    }
}

/// Also when the caller's closure panics.
impl Drop for Scope<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        self.end();
    }
}

#[inline]
fn answer<'a>(core: &'a QueueCore, token: Token, outcome: &'a Outcome, cause: Option<&'a Cause>) -> Answer<'a> {
    Answer { ticket: Ticket(token), outcome, core, cause }
}

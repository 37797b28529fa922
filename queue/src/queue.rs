//! The two halves of a queue, which a driver implements.
//!
//! # Contract
//!
//! **Who validates.** The runtime, once, before it submits: operation and session are granted, lengths are within
//! the limits, pointers are not null unless their length is 0, and nothing written overlaps what is read ([`Operation`](crate::Operation)
//! has the two exceptions). A driver that finds such a mistake
//! has found a bug above it, and answers the job with [`Status::InvalidJob`](crate::Status::InvalidJob). What the *device* writes is checked by the driver, against
//! [`Cells`](crate::Cells) and its own copies, never against memory the device can write.
//!
//! **Ordering.** Jobs of one queue start in the order of submission and complete in any order, unless
//! [`Order::Submission`](crate::Order::Submission) was granted. Between queues nothing is promised. A job does not see what another job in flight writes.
//!
//! **What a completion proves.** The device has finished all accesses to the job's memory, and they are visible to the thread that
//! polled. Nothing else proves that: not a deadline, not a cancel request, not an error from `submit` for *other* jobs of the batch.
//!
//! **Threads.** Each half is `Send`, none is `Sync`; the two may be on two threads at once. A driver synchronises its halves with each other, if it must.
//!
//! **Back-pressure.** `submit` takes as many jobs as fit and says how many. Zero is not an error: the ring is full, or the device
//! turned the submission down, as shared work queues do. A driver takes as many jobs as it was granted depth without a poll in between; the
//! table has no more slots than that, so it bounds what is in flight, and a slot comes back only after its answer was polled.
//!
//! **Waiting.** There is no wait here: the runtime has one for all queues, which polls, spins, arms, polls again, and sleeps on the transport.
//!
//! **Errors and bugs.** Errors of the two calls per batch are boxed: what a batch gets then travels in registers. An error of `submit` or `poll` means that the device failed; the queue is finished, and the runtime stops the transport
//! before it gives any buffer back. Panicking is for bugs in this process.

use crate::{Batch, DeviceError, Done, Job, Outcome, SessionError, SessionId, SessionSpec, Token};

/// What became of a request to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// The device was asked; the job's own completion tells what came of it.
    Requested,
    /// This device cannot cancel.
    Unsupported,
}

/// The half of a queue that takes jobs and sessions. See the [module's contract](self).
///
/// # Safety
/// An implementation passes on only jobs of the batch it was given, [launches](Batch::launch) each before the device can see it,
/// and, once the device can see a job, counts it as accepted.
pub unsafe trait Submitter: Send {
    /// Passes jobs to the device, from the first on, with one doorbell for all, and returns how many were accepted.
    ///
    /// Accepted jobs are in flight until [`Completer::poll`] answers them or the transport has stopped with
    /// [`Quiet::Proven`](crate::Quiet::Proven). The others were not seen by the device and are the caller's again.
    ///
    /// # Safety
    /// For every job: the memory it names may be read, or written, as its operation says, from any thread, until it is answered; nobody
    /// writes the source or touches the destination meanwhile. For a job without [`JobFlags::VOUCHED`](crate::JobFlags::VOUCHED) on a queue whose fault handling is not
    /// [`FaultHandling::CallerVouches`](crate::FaultHandling::CallerVouches), memory may also be missing or be protected; then the job fails.
    ///
    /// # Errors
    /// [`DeviceError`] if the queue is finished. Jobs that the device may have seen are in flight all the same.
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>>;

    /// Does one job at once, on the calling thread, and says how it ended: for a device that is this process itself, when
    /// nobody has a use for a queue in between. The job stands in no slot, and its token names nothing. `None` if the device
    /// takes jobs by [`submit`](Self::submit) only; then nothing has happened. The outcome claims no more than the job offered.
    ///
    /// Only called where [`Capabilities::immediate`](crate::Capabilities::immediate) was granted.
    ///
    /// # Safety
    /// As for [`submit`](Self::submit), until this returns.
    unsafe fn perform(&mut self, job: &Job) -> Option<Outcome> {
        let _ = job;
        None
    }

    /// Opens session `id`, for jobs submitted after this. The id is not open.
    ///
    /// # Errors
    /// See [`SessionError`]. A device that decides late answers the session's jobs with [`Status::BadSession`](crate::Status::BadSession) instead.
    fn open_session(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError>;

    /// Closes session `id`. No job of it is in flight.
    fn close_session(&mut self, id: SessionId);

    /// Asks the device to drop a job that it has not begun. Whatever comes of it, the job completes.
    fn cancel(&mut self, token: Token) -> Cancel {
        let _ = token;
        Cancel::Unsupported
    }
}

/// The half of a queue that hands out answers. See the [module's contract](self).
///
/// # Safety
/// An implementation calls [`Done::complete`] only for jobs whose memory the device has finished with.
pub unsafe trait Completer: Send {
    /// Puts the answers that are there into `done`, as far as they fit, and returns. Never blocks, makes no system call.
    ///
    /// # Errors
    /// [`DeviceError`] if the queue is finished; answers put into `done` before hold.
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>>;

    /// Demands a signal for the next answer that a `poll` after this call could find. The caller polls once more before it sleeps, since answers that
    /// came before are not signalled.
    fn arm(&mut self);
}

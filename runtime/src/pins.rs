//! What jobs in flight have covered of memory that a device reaches only where it was told to.
//!
//! A queue over such a device gets its halves wrapped: memory is covered before a job is passed on, and released when the job is answered.
//! A job whose memory cannot be covered is never passed on: it is answered as a fault. What is covered when the halves are dropped is released
//! then, since the device is quiet; halves that are forgotten because it is not keep it covered for ever.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_queue::ArrayQueue;
use uaccel_queue::{
    Batch, Cancel, Cells, Completer, DeviceError, DeviceMemory, Done, Job, JobFlags, OpenQueue, Outcome, SessionError,
    SessionId, SessionSpec, Status, Submitter, Token, Uncovered,
};

use crate::alarm::Alarm;
use crate::extent::{self, Extent};

/// Wraps the halves of a fresh queue.
pub(crate) fn cover(
    open: OpenQueue,
    memory: Arc<dyn DeviceMemory>,
    alarm: Alarm,
    cells: &Arc<Cells>,
) -> (OpenQueue, Arc<Pins>) {
    let pins = Arc::new(Pins::new(memory, alarm, cells.depth(), open.granted.max_transfer));
    let OpenQueue { mut granted, submitter, completer } = open;
    // What a list names is not looked for.
    (granted.scatter, granted.pieces) = (false, 0);
    let submitter = Covered { inner: submitter, cells: cells.clone(), pins: pins.clone(), slots: Vec::new() };
    let completer = Releasing { inner: completer, pins: pins.clone() };
    (OpenQueue { granted, submitter: Box::new(submitter), completer: Box::new(completer) }, pins)
}

/// What jobs of one queue have covered.
pub(crate) struct Pins {
    memory: Arc<dyn DeviceMemory>,
    /// By slot. Whoever has the slot has no company, so the locks are free.
    slots: Box<[Mutex<Slot>]>,
    /// Jobs that were not passed on.
    refused: ArrayQueue<Token>,
    /// Rung for these.
    alarm: Alarm,
    /// The most bytes that a job may name at a time.
    limit: u64,
}

#[derive(Debug, Default)]
struct Slot {
    held: [Option<(usize, usize)>; 3],
    refusal: Option<Uncovered>,
}

impl Pins {
    fn new(memory: Arc<dyn DeviceMemory>, alarm: Alarm, depth: usize, limit: u64) -> Self {
        Self {
            memory,
            slots: (0..depth).map(|_| Mutex::default()).collect(),
            refused: ArrayQueue::new(depth),
            alarm,
            limit,
        }
    }

    /// Why the job in a slot was not passed on, if it was not.
    pub(crate) fn refusal(&self, slot: usize) -> Option<Uncovered> {
        self.slot(slot)?.refusal.clone()
    }

    fn slot(&self, slot: usize) -> Option<MutexGuard<'_, Slot>> {
        Some(self.slots.get(slot)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Covers what a job names; says whether all of it is covered.
    ///
    /// # Errors
    /// If there is no device to cover it for.
    fn cover(&self, job: &Job) -> Result<bool, Box<DeviceError>> {
        let Some(mut slot) = self.slot(job.token.slot()) else { return Ok(false) };
        slot.refusal = None;
        if job.flags.contains(JobFlags::SCATTER) {
            return Ok(false);
        }
        let extents = extent::of(job);
        // The state of a stream is as long as the device wants it.
        let limited = if job.flags.contains(JobFlags::STREAM) { 2 } else { extents.len() };
        // Refused by the driver, or by the device, whatever is there.
        if extents.iter().take(limited).flatten().any(|extent| extent.len as u64 > self.limit) {
            return Ok(true);
        }
        for (place, Extent { start, len, access }) in extents.into_iter().flatten().enumerate() {
            if let Err(refusal) = self.memory.cover(start, len, access) {
                self.release_all(&mut slot);
                if refusal == Uncovered::Gone {
                    return Err(DeviceError::Gone.into());
                }
                tracing::debug!(operation = ?job.operation, %refusal, "memory of a job cannot be covered");
                slot.refusal = Some(refusal);
                return Ok(false);
            }
            slot.held[place] = Some((start, len));
        }
        Ok(true)
    }

    fn release(&self, slot: usize) {
        if let Some(mut slot) = self.slot(slot) {
            self.release_all(&mut slot);
        }
    }

    /// Releases what all jobs have covered. The device is quiet, and does not begin again.
    pub(crate) fn release_jobs(&self) {
        (0..self.slots.len()).for_each(|slot| self.release(slot));
    }

    fn release_all(&self, slot: &mut Slot) {
        for (start, len) in slot.held.iter_mut().filter_map(Option::take) {
            self.memory.release(start, len);
        }
    }

    /// How a job that was not passed on ends.
    fn outcome(&self, token: Token) -> Outcome {
        match self.refusal(token.slot()) {
            Some(Uncovered::Fault(fault)) => Outcome::faulted(fault),
            // Without an address: whoever wants to know more asks for the refusal.
            Some(_) => Outcome::failed(Status::Fault),
            // A list, which was not granted.
            None => Outcome::failed(Status::InvalidJob),
        }
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        self.release_jobs();
    }
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pins").field("memory", &self.memory).field("depth", &self.slots.len()).finish_non_exhaustive()
    }
}

/// A half that covers first.
struct Covered {
    inner: Box<dyn Submitter>,
    cells: Arc<Cells>,
    pins: Arc<Pins>,
    /// Slots of jobs that are covered and not passed on yet; empty between calls.
    slots: Vec<u32>,
}

impl Covered {
    /// Passes on what is covered, and says whether all was taken. `taken` counts jobs.
    ///
    /// # Safety
    /// The slots are of a batch that [`Submitter::submit`]'s caller gave, and none of it is in flight.
    unsafe fn pass_on(&mut self, taken: &mut usize) -> Result<bool, Box<DeviceError>> {
        if self.slots.is_empty() {
            return Ok(true);
        }
        // SAFETY: slots of the caller's batch, each named once, in its order.
        let batch = unsafe { Batch::new(&self.cells, &self.slots) };
        // SAFETY: the caller's promise about the whole batch holds for its parts.
        let accepted = match unsafe { self.inner.submit(&batch) } {
            Ok(accepted) => accepted,
            Err(error) => {
                // What the device may have seen stays covered until the queue is given up; the rest is the caller's again.
                let tokens = (0..batch.len()).map(|index| batch.job(index).token);
                tokens.filter(|token| !self.cells.is_live(*token)).for_each(|token| self.pins.release(token.slot()));
                self.slots.clear();
                return Err(error);
            }
        };
        *taken += accepted;
        for slot in self.slots.iter().skip(accepted) {
            self.pins.release(*slot as usize);
        }
        let all = accepted == self.slots.len();
        self.slots.clear();
        Ok(all)
    }
}

// SAFETY: jobs are passed on to a submitter that keeps the contract, or launched here, where the device never sees them.
unsafe impl Submitter for Covered {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        let mut taken = 0;
        for index in 0..batch.len() {
            let job = batch.job(index);
            let covered = self.pins.cover(job).inspect_err(|_| {
                // What was not passed on is the caller's again.
                self.slots.drain(..).for_each(|slot| self.pins.release(slot as usize));
            });
            if covered? {
                #[allow(clippy::cast_possible_truncation, reason = "a slot is below MAX_DEPTH")]
                self.slots.push(job.token.slot() as u32);
                continue;
            }
            // In their order: what comes before is passed on first.
            // SAFETY: slots of this batch, not in flight yet.
            if !unsafe { self.pass_on(&mut taken) }? {
                return Ok(taken);
            }
            let token = batch.launch(index);
            taken += 1;
            // There is a place for each slot.
            let _ = self.pins.refused.push(token);
            self.pins.alarm.ring();
        }
        // SAFETY: as above.
        unsafe { self.pass_on(&mut taken) }?;
        Ok(taken)
    }

    fn open_session(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        self.inner.open_session(id, spec)
    }

    fn close_session(&mut self, id: SessionId) {
        self.inner.close_session(id);
    }

    fn cancel(&mut self, token: Token) -> Cancel {
        self.inner.cancel(token)
    }
}

/// A half that releases what was covered.
struct Releasing {
    inner: Box<dyn Completer>,
    pins: Arc<Pins>,
}

// SAFETY: answers come from a completer that keeps the contract, or are those of jobs that the device never saw.
unsafe impl Completer for Releasing {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        while done.room() > 0
            && let Some(token) = self.pins.refused.pop()
        {
            done.complete(token, &self.pins.outcome(token))?;
        }
        let before = done.slots().len();
        let polled = self.inner.poll(done);
        for slot in done.slots().iter().skip(before) {
            self.pins.release(*slot as usize);
        }
        polled
    }

    fn arm(&mut self) {
        self.pins.alarm.arm();
        self.inner.arm();
    }
}

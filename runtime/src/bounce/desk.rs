//! Where jobs wait for a bay, and are passed on.

use std::collections::VecDeque;
use std::sync::Arc;

use uaccel_queue::{
    Batch, Cancel, Cells, DeviceError, Outcome, SessionError, SessionId, SessionSpec, Status, Submitter, Token,
};

use super::bay::Bay;

/// What the two halves of a queue share: the jobs that wait, and the bays.
pub(super) struct Desk {
    /// Takes what is in the bays.
    submitter: Box<dyn Submitter>,
    /// The table of jobs that the driver sees. A job stands in the slot that has its bay's number.
    inner: Arc<Cells>,
    /// The table of jobs that the runtime sees.
    outer: Arc<Cells>,
    bays: Vec<Bay>,
    /// Which job is in a bay, by the bay's number.
    guests: Vec<Option<Token>>,
    /// Jobs that have no bay yet.
    waiting: VecDeque<Token>,
    /// Jobs that ended without the device.
    answered: VecDeque<(Token, Outcome)>,
    /// Bays that were just filled; empty between calls.
    filled: Vec<u32>,
}

impl Desk {
    pub(super) fn new(submitter: Box<dyn Submitter>, inner: Arc<Cells>, outer: Arc<Cells>, bays: Vec<Bay>) -> Self {
        let guests = vec![None; bays.len()];
        let (waiting, answered, filled) = (VecDeque::new(), VecDeque::new(), Vec::new());
        Self { submitter, inner, outer, bays, guests, waiting, answered, filled }
    }

    /// Puts a job that was launched behind the others.
    pub(super) fn add(&mut self, token: Token) {
        self.waiting.push_back(token);
    }

    /// Brings jobs that wait into free bays, and passes them on, as far as the device takes them.
    pub(super) fn pass_on(&mut self) -> Result<(), Box<DeviceError>> {
        self.fill();
        if self.filled.is_empty() {
            return Ok(());
        }
        let filled = std::mem::take(&mut self.filled);
        // SAFETY: each slot is one of the table, was built by `fill`, is named once, and is not built again before it is answered.
        let batch = unsafe { Batch::new(&self.inner, &filled) };
        // SAFETY: the jobs name a bay each, which is there as long as anybody has it, and which nobody else uses until the job is answered.
        let taken = unsafe { self.submitter.submit(&batch) }?;
        // What the device did not take waits again, in its old place.
        for bay in filled.iter().skip(taken).rev() {
            if let Some(token) = self.guests[*bay as usize].take() {
                self.waiting.push_front(token);
            }
        }
        self.filled = filled;
        self.filled.clear();
        Ok(())
    }

    fn fill(&mut self) {
        for number in 0..self.bays.len() {
            while self.guests[number].is_none() {
                let Some(token) = self.waiting.pop_front() else { return };
                // SAFETY: the job is in flight until this answers it.
                let job = unsafe { self.outer.job(token.slot()) };
                let bay = &self.bays[number];
                // SAFETY: in flight, as above; the bay is free, and this has the only access.
                if let Err(outcome) = unsafe { bay.bring(job) } {
                    self.answered.push_back((token, outcome));
                    continue;
                }
                // SAFETY: the slot belongs to the bay, which is free: its last job was answered, or not taken.
                unsafe { self.inner.build(number, |inner| bay.rewrite(job, inner)) };
                self.guests[number] = Some(token);
                #[allow(clippy::cast_possible_truncation, reason = "there are few bays")]
                self.filled.push(number as u32);
            }
        }
    }

    /// Takes the answer of the job in a bay to the job that it stands for, and frees the bay.
    pub(super) fn leave(&mut self, number: usize) -> Option<(Token, Outcome)> {
        let token = self.guests.get_mut(number)?.take()?;
        // SAFETY: the completer found the slot answered, and it is built again only by `fill`, which needs `self`.
        let outcome = unsafe { self.inner.outcome(number) };
        // SAFETY: in flight until this answers it.
        let job = unsafe { self.outer.job(token.slot()) };
        // SAFETY: in flight, as above, and answered with this outcome.
        Some((token, unsafe { self.bays[number].deliver(job, outcome) }))
    }

    /// Whether jobs have ended without the device that nobody was told of.
    pub(super) fn has_answers(&self) -> bool {
        !self.answered.is_empty()
    }

    /// The next job that ended without the device.
    pub(super) fn answer(&mut self) -> Option<(Token, Outcome)> {
        self.answered.pop_front()
    }

    pub(super) fn cancel(&mut self, token: Token) -> Cancel {
        if let Some(place) = self.waiting.iter().position(|waiting| *waiting == token) {
            self.waiting.remove(place);
            self.answered.push_back((token, Outcome::failed(Status::Canceled)));
            return Cancel::Requested;
        }
        match self.guests.iter().position(|guest| *guest == Some(token)) {
            // SAFETY: the slot was built for this guest.
            Some(number) => self.submitter.cancel(unsafe { self.inner.job(number) }.token),
            None => Cancel::Unsupported,
        }
    }

    pub(super) fn open_session(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        self.submitter.open_session(id, spec)
    }

    pub(super) fn close_session(&mut self, id: SessionId) {
        self.submitter.close_session(id);
    }
}

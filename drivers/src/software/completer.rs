//! The half that hands out what was computed.

use uaccel_queue::{Completer, DeviceError, Done, Outcome, Status, Token};

use super::submitter::ANSWER;
use crate::handoff::Taker;

#[derive(Debug)]
pub(super) struct SoftwareCompleter {
    answers: Taker<ANSWER>,
}

impl SoftwareCompleter {
    pub(super) fn new(answers: Taker<ANSWER>) -> Self {
        Self { answers }
    }
}

// SAFETY: an answer is published when the job is done, and nothing touches its memory afterwards.
unsafe impl Completer for SoftwareCompleter {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), DeviceError> {
        #[allow(clippy::cast_possible_truncation, reason = "put together from these parts by the other half")]
        let answers = self.answers.take(done.room()).map(|[head, status, consumed, produced]| {
            let status = Status::from_raw(status as u8).unwrap_or(Status::DeviceError);
            let outcome = Outcome { status, checksum: (head >> 32) as u32, consumed, fault: None, produced };
            (Token::from_raw(head as u32), outcome)
        });
        // SAFETY: what the other half computed is no longer than the slices it computed with, which are the job's.
        unsafe { done.complete_own(answers, |_, outcome| outcome) }
    }

    fn arm(&mut self) {
        // Nothing is ever answered later than it was submitted.
    }
}

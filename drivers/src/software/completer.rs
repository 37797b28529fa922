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
            (Token::from_raw(head as u32), (status as u8, consumed, produced, (head >> 32) as u32))
        });
        done.complete_each(answers, |job, (status, consumed, produced, checksum)| {
            let status = Status::from_raw(status).ok_or(DeviceError::UnknownStatus { token: job.token, status })?;
            Ok(Outcome { status, consumed, produced, checksum, fault: None })
        })
    }

    fn arm(&mut self) {
        // Nothing is ever answered later than it was submitted.
    }
}

//! The books of a queue: what was answered, and which sessions it leaves.

use uaccel_queue::{Job, Outcome, Status};

use crate::counters::Tally;
use crate::session::SessionTable;

/// Goes through jobs just answered and keeps the books: sessions left, jobs and bytes counted. A job is booked before it
/// is handed out, except for its bytes, which are counted when this is dropped. So are jobs that were not fetched, because a caller's closure panicked.
pub(crate) struct Books<'a, A: ExactSizeIterator<Item = (&'a Job, &'a Outcome)>> {
    answers: A,
    sessions: &'a mut SessionTable,
    tally: &'a Tally,
    /// Bytes read and written, counted when all jobs are through: a sum costs no store per job.
    bytes: (u64, u64),
}

impl<'a, A: ExactSizeIterator<Item = (&'a Job, &'a Outcome)>> Books<'a, A> {
    #[inline]
    pub(crate) fn open(tally: &'a Tally, sessions: &'a mut SessionTable, answers: A) -> Self {
        tally.jobs.add_alone(answers.len() as u64);
        Self { answers, sessions, tally, bytes: (0, 0) }
    }

    /// Books the next job.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<(&'a Job, &'a Outcome)> {
        let (job, outcome) = self.answers.next()?;
        if job.operation.needs_session() {
            self.sessions.leave(job.session);
        }
        self.bytes.0 = self.bytes.0.wrapping_add(outcome.consumed);
        self.bytes.1 = self.bytes.1.wrapping_add(outcome.produced);
        if outcome.status != Status::Ok {
            self.note(outcome.status);
        }
        Some((job, outcome))
    }

    /// Counts what is not simply good. A stream that goes on is.
    #[cold]
    fn note(&self, status: Status) {
        if status != Status::More {
            self.tally.failures.add_alone(1);
        }
    }
}

impl<'a, A: ExactSizeIterator<Item = (&'a Job, &'a Outcome)>> Drop for Books<'a, A> {
    #[inline]
    fn drop(&mut self) {
        while self.next().is_some() {}
        self.tally.bytes_in.add_alone(self.bytes.0);
        self.tally.bytes_out.add_alone(self.bytes.1);
    }
}

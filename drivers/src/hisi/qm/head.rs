//! The half of a hardware queue that gives answers.

use std::sync::Arc;

use uaccel_hisi_abi::{Doorbell, DoorbellCommand, QueueCompletion};
use uaccel_queue::DeviceError;

use super::Queue;
use super::queue::Record;

/// Reads completions.
#[derive(Debug)]
pub(in crate::hisi) struct Head {
    queue: Arc<Queue>,
    /// The next entry to be answered.
    entry: u16,
    /// The next completion.
    completion: u16,
    /// The phase that it will have.
    phase: bool,
    /// The completion up to which the device knows that all were taken.
    returned: u16,
}

/// An entry that the device has answered, and whose it was.
#[derive(Debug)]
pub(in crate::hisi) struct Answered<const WORDS: usize> {
    /// The entry's words.
    pub(in crate::hisi) words: [u64; WORDS],
    /// The host's own record of it.
    pub(in crate::hisi) record: Record,
}

impl Head {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { queue, entry: 0, completion: 0, phase: true, returned: 0 }
    }

    /// Takes the next answer, if there is one: those words of its entry that `at` names.
    ///
    /// # Errors
    /// [`DeviceError::Malformed`] if it is not that of the next entry.
    #[inline]
    pub(in crate::hisi) fn take<const WORDS: usize>(
        &mut self,
        at: [usize; WORDS],
    ) -> Result<Option<Answered<WORDS>>, DeviceError> {
        let Queue { memory, dus, number, .. } = &*self.queue;
        // Acquire: pairs with the device's store of this word, before which it wrote the results into the entry and all else for the job.
        let control = memory.observe(dus.completion(self.completion) + QueueCompletion::CONTROL);
        let completion = QueueCompletion::decode(control);
        if completion.phase != self.phase {
            return Ok(None);
        }
        let record = self.queue.record(self.entry);
        if completion.entry != self.entry || completion.queue != *number {
            return Err(DeviceError::Malformed { token: record.token, what: "a completion out of order" });
        }
        let entry = dus.submission(self.entry);
        // Ordered by the acquire above.
        let words = at.map(|word| memory.read(entry + 8 * word));
        self.entry = if self.entry + 1 == dus.submissions { 0 } else { self.entry + 1 };
        self.completion = if self.completion + 1 == dus.completions { 0 } else { self.completion + 1 };
        self.phase ^= self.completion == 0;
        Ok(Some(Answered { words, record }))
    }

    /// Gives back what was taken since the last time, with one doorbell.
    #[inline]
    pub(in crate::hisi) fn give_back(&mut self) {
        // No more was taken than there are places less one, so equal means nothing.
        if self.returned != self.completion {
            self.returned = self.completion;
            self.queue.ring(DoorbellCommand::Completion, self.completion, 0);
        }
    }

    /// Demands a signal for the next completion; the device signals at once if there are any that were not taken.
    pub(in crate::hisi) fn arm(&self) {
        self.queue.ring(DoorbellCommand::Completion, self.completion, Doorbell::ARM);
    }

    /// Whether nothing will be answered any more.
    #[inline]
    pub(in crate::hisi) fn is_stopped(&self) -> bool {
        self.queue.stop_words().receive
    }
}

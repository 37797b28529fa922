//! The half of a hardware queue that gives answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uaccel_hisi_abi::{Doorbell, DoorbellCommand, Dus, QueueCompletion};
use uaccel_queue::{DeviceError, RingMemory};

use super::Queue;
use super::queue::{Record, stop_words};

/// Reads completions.
#[derive(Debug)]
pub(in crate::hisi) struct Head {
    queue: Arc<Queue>,
    /// The queue's.
    memory: RingMemory,
    dus: Dus,
    /// The next entry to be answered.
    entry: u16,
    /// The next completion.
    completion: u16,
    /// Where its control word is.
    control: usize,
    /// The phase that it will have.
    phase: bool,
    /// The completion up to which the device knows that all were taken.
    returned: u16,
}

/// An entry that the device has answered, and whose it was.
#[derive(Debug)]
pub(in crate::hisi) struct Answered<'a, const WORDS: usize> {
    entry: &'a [AtomicU64; WORDS],
    /// The host's own record of it.
    pub(in crate::hisi) record: Record,
}

impl<const WORDS: usize> Answered<'_, WORDS> {
    /// A word of the entry.
    #[inline]
    pub(in crate::hisi) fn word(&self, word: usize) -> u64 {
        // Relaxed: ordered by the acquire load of the completion.
        self.entry[word].load(Ordering::Relaxed)
    }
}

impl Head {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        let (memory, dus) = (queue.memory.clone(), queue.dus);
        let control = control(&dus, 0);
        Self { queue, memory, dus, entry: 0, completion: 0, control, phase: true, returned: 0 }
    }

    /// The next completion, if it is there.
    #[inline]
    fn next(&self) -> Option<QueueCompletion> {
        // Acquire: pairs with the device's store of this word, before which it wrote the results into the entry and all else for the job.
        let completion = QueueCompletion::decode(self.memory.observe(self.control));
        (completion.phase == self.phase).then_some(completion)
    }

    /// Whether there is an answer.
    #[inline]
    pub(in crate::hisi) fn is_ready(&self) -> bool {
        self.next().is_some()
    }

    /// Takes the next answer, if there is one, to an entry of so many words.
    ///
    /// # Errors
    /// [`DeviceError::Malformed`] if it is not that of the next entry.
    #[inline]
    pub(in crate::hisi) fn take<const WORDS: usize>(&mut self) -> Result<Option<Answered<'_, WORDS>>, DeviceError> {
        let Some(completion) = self.next() else { return Ok(None) };
        let record = self.queue.record(self.entry);
        // The queue's number is not looked at, as in the kernel and in UADK: whether a virtual function says its own or the device's is not known, and order and tag tell enough.
        if completion.entry != self.entry {
            return Err(DeviceError::Malformed { token: record.token, what: "a completion out of order" });
        }
        let entry = self.memory.record(self.dus.submission(self.entry));
        self.entry = if self.entry + 1 == self.dus.submissions { 0 } else { self.entry + 1 };
        self.completion = if self.completion + 1 == self.dus.completions { 0 } else { self.completion + 1 };
        self.control = control(&self.dus, self.completion);
        self.phase ^= self.completion == 0;
        Ok(Some(Answered { entry, record }))
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
        stop_words(&self.memory).receive
    }
}

/// Where the control word of a completion is.
#[inline]
fn control(dus: &Dus, completion: u16) -> usize {
    dus.completion(completion) + QueueCompletion::CONTROL
}

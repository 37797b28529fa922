//! The half of a hardware queue that takes entries.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use uaccel_hisi_abi::DoorbellCommand;
use uaccel_queue::{DeviceError, RingMemory};

use super::Queue;
use super::queue::{Record, stop_words};

/// Writes entries.
#[derive(Debug)]
pub(in crate::hisi) struct Tail {
    queue: Arc<Queue>,
    /// The queue's.
    memory: RingMemory,
    /// The next place.
    place: u16,
    /// The place up to which the device knows of entries.
    shown: u16,
}

impl Tail {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { memory: queue.memory.clone(), queue, place: 0, shown: 0 }
    }

    /// See [`Queue::limit`].
    pub(in crate::hisi) fn limit(&self) -> usize {
        self.queue.limit()
    }

    /// Places of the completion ring.
    pub(in crate::hisi) fn completions(&self) -> usize {
        self.queue.dus.completions.into()
    }

    /// Whether entries are taken: once per batch.
    ///
    /// # Errors
    /// [`DeviceError::Stopped`] if the kernel wants none any more.
    #[inline]
    pub(in crate::hisi) fn check(&self) -> Result<(), DeviceError> {
        if stop_words(&self.memory).transmit { Err(DeviceError::Stopped(0)) } else { Ok(()) }
    }

    /// Writes an entry. The device sees it with the next [`show`](Self::show).
    #[inline]
    pub(in crate::hisi) fn put<const WORDS: usize>(&mut self, entry: &[u64; WORDS], record: Record) {
        let dus = &self.queue.dus;
        let places = self.memory.record::<WORDS>(dus.submission(self.place));
        for (place, word) in places.iter().zip(entry) {
            // Relaxed: ordered by the doorbell.
            place.store(*word, Ordering::Relaxed);
        }
        self.queue.put(self.place, record);
        self.place = if self.place + 1 == dus.submissions { 0 } else { self.place + 1 };
    }

    /// Rings the doorbell if there are entries that the device does not know of.
    #[inline]
    pub(in crate::hisi) fn show(&mut self) {
        // No more entries were written than places less one, so equal means none.
        if self.shown != self.place {
            self.shown = self.place;
            self.queue.ring(DoorbellCommand::Submission, self.place, 0);
        }
    }
}

//! A job's cache line with its sequence word inside.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::line::Line;

/// Words of a job beside the sequence word; word 0 is the job's token.
pub(crate) const WORDS: usize = 7;

/// One 64-byte line: 56 bytes of job and the word that says whose turn it is.
///
/// The payload belongs to the side whose turn it is; the turn passes with [`Slot::publish`] and [`Slot::holds`].
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Slot {
    sequence: AtomicU64,
    words: UnsafeCell<[u64; WORDS]>,
}

// SAFETY: `words` is touched only through the unsafe methods below, whose callers promise that the sequence word has
// given them the turn; the release store and the acquire load of that word order the accesses of the two threads.
unsafe impl Sync for Slot {}

impl Slot {
    /// Whether the sequence word has the value `turn`.
    #[inline]
    pub(crate) fn holds(&self, turn: u64) -> bool {
        // Pairs with the release store in `publish` by the other side: its words are seen whole.
        self.sequence.load(Ordering::Acquire) == turn
    }

    /// Passes the slot on to the side that waits for `turn`.
    #[inline]
    pub(crate) fn publish(&self, turn: u64) {
        // Pairs with the acquire load in `holds` by the other side.
        self.sequence.store(turn, Ordering::Release);
    }

    /// Reads the whole job and returns its token.
    ///
    /// # Safety
    ///
    /// It must be the caller's turn: no other thread writes the words until the caller has passed the slot on.
    #[inline]
    pub(crate) unsafe fn take(&self) -> u64 {
        let words = self.words.get().cast::<u64>();
        // An engine looks at its descriptor. Volatile, so that the words which a null engine has no use for are loaded
        // all the same, and into registers rather than by way of the stack.
        for i in 1..WORDS {
            // SAFETY: no other thread writes, as the caller promises; `i` is inside the array of a live cell.
            unsafe { words.add(i).read_volatile() };
        }
        // SAFETY: as above, with word 0.
        unsafe { words.read_volatile() }
    }

    /// Writes the whole job.
    ///
    /// # Safety
    ///
    /// As for [`Slot::take`], and no other thread reads either.
    #[inline]
    pub(crate) unsafe fn write(&self, words: [u64; WORDS]) {
        // SAFETY: no other thread reads or writes, as the caller promises; the pointer is that of a live cell.
        unsafe { self.words.get().write(words) }
    }

    /// The engine's answer (word 1).
    ///
    /// # Safety
    ///
    /// As for [`Slot::take`].
    #[inline]
    pub(crate) unsafe fn answer(&self) -> u64 {
        // SAFETY: as in `take`; word 1 is inside the array.
        unsafe { self.words.get().cast::<u64>().add(1).read() }
    }

    /// Writes the engine's answer (word 1) and leaves the rest.
    ///
    /// # Safety
    ///
    /// As for [`Slot::write`].
    #[inline]
    pub(crate) unsafe fn set_answer(&self, answer: u64) {
        // SAFETY: as in `write`; word 1 is inside the array.
        unsafe { self.words.get().cast::<u64>().add(1).write(answer) }
    }
}

/// `count` slots (a power of two), with sequence words zero, on lines that nothing else uses.
pub(crate) fn slots(count: usize) -> Arc<Line<Box<[Slot]>>> {
    Arc::new(Line((0..count).map(|_| Slot::default()).collect()))
}

/// The job with number `serial`. Its token is not the number itself, so that an engine which made up its answers by
/// counting would be found out.
#[inline]
pub(crate) fn job(serial: u64) -> [u64; WORDS] {
    [token(serial), 0, 2, 3, 4, 5, 6]
}

/// Token of the job with number `serial`.
#[inline]
pub(crate) fn token(serial: u64) -> u64 {
    serial ^ 0x5bd1_e995_9d1b_58d3
}

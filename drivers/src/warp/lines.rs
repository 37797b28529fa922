//! Mailbox mode: which submission stands in which line, as the host knows it.

use uaccel_queue::Token;
use uaccel_queue::sync::atomic::{AtomicU64, Ordering};

/// The host's own record of the lines of a mailbox queue. The device cannot write it.
#[derive(Debug)]
pub(super) struct Lines {
    /// How many submissions were made.
    submitted: AtomicU64,
    /// What stands in each line: a token with the [`stamp`](Lines::stamp) of its submission, or 0.
    lines: Box<[AtomicU64]>,
}

impl Lines {
    const BUSY: u64 = 1 << 32;

    /// The record of a ring of `entries` lines, a power of two.
    pub(super) fn new(entries: usize) -> Self {
        Self { submitted: AtomicU64::new(0), lines: (0..entries).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether the line of submission number `index` is free, for the submitter alone.
    #[inline]
    pub(super) fn is_free(&self, index: u64) -> bool {
        // Acquire: pairs with the release in `take`: the answer was read before the line is written again.
        self.line(index).load(Ordering::Acquire) == 0
    }

    /// Records submission number `index`, the next one, *before* it is published: the device may answer and signal at
    /// once, and the completer that wakes has to know where to look.
    #[inline]
    pub(super) fn put(&self, index: u64, token: u32) {
        // Relaxed: ordered by the next line.
        self.line(index).store(self.stamp(index) | u64::from(token), Ordering::Relaxed);
        // Release: pairs with the acquire in `submitted`.
        self.submitted.store(index + 1, Ordering::Release);
    }

    /// How many submissions were made, for the completer.
    #[inline]
    pub(super) fn submitted(&self) -> u64 {
        // Acquire: pairs with the release in `put`. A submission whose answer was signalled is seen: it was recorded
        // before it was published, which happens before the device's answer, which comes before the signal.
        self.submitted.load(Ordering::Acquire)
    }

    /// The token of submission number `index`, if its answer was not taken yet, for the completer alone.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the low half is the token")]
    pub(super) fn waiting(&self, index: u64) -> Option<Token> {
        // Relaxed: written before the count that `submitted` acquired, or by this thread. If it was taken, the submitter
        // may have put another one there since, or be about to: that one has another stamp.
        let line = self.line(index).load(Ordering::Relaxed);
        (line & !u64::from(u32::MAX) == self.stamp(index)).then_some(Token::from_raw(line as u32))
    }

    /// Frees the line of submission number `index`, whose answer was read.
    #[inline]
    pub(super) fn take(&self, index: u64) {
        // Release: pairs with the acquire in `is_free`.
        self.line(index).store(0, Ordering::Release);
    }

    /// What tells the submission from the others that have the same line: how often the ring went round, modulo 2^31.
    /// Above a token's bits, and never 0.
    #[inline]
    fn stamp(&self, index: u64) -> u64 {
        (index >> self.lines.len().trailing_zeros()) << 33 | Self::BUSY
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "masked to the ring")]
    fn line(&self, index: u64) -> &AtomicU64 {
        &self.lines[index as usize & (self.lines.len() - 1)]
    }
}

#[cfg(all(loom, test))]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// One line, used three times. The line's memory is a cell that the checker watches: the submitter writes it only
    /// when the completer has read the answer out of it.
    #[test]
    fn a_line_is_written_only_when_its_answer_was_read() {
        loom::model(|| {
            let lines = Arc::new(Lines::new(1));
            let memory = loom::sync::Arc::new(loom::cell::UnsafeCell::new(0_u64));
            let completer = {
                let (lines, memory) = (Arc::clone(&lines), loom::sync::Arc::clone(&memory));
                loom::thread::spawn(move || {
                    for index in 0..3 {
                        while lines.submitted() <= index {
                            loom::thread::yield_now();
                        }
                        let token = lines.waiting(index).expect("submitted and not taken");
                        // SAFETY: the submitter leaves the line alone until it is taken.
                        assert_eq!(memory.with(|word| unsafe { *word }), u64::from(token.raw()));
                        lines.take(index);
                    }
                })
            };
            for index in 0..3 {
                while !lines.is_free(index) {
                    loom::thread::yield_now();
                }
                let token = 0x1000 * (u32::try_from(index).expect("small") + 1);
                // SAFETY: the line is free.
                memory.with_mut(|word| unsafe { *word = u64::from(token) });
                lines.put(index, token);
            }
            completer.join().expect("no panic inside");
        });
    }

    /// Two lines, answered the wrong way round. When both are free the submitter uses them again, while the completer is
    /// still on its way past the second: what it took there long ago is not there again.
    #[test]
    fn a_line_that_is_used_again_does_not_hold_what_was_taken() {
        loom::model(|| {
            let lines = Arc::new(Lines::new(2));
            lines.put(0, 0x1000);
            lines.put(1, 0x1001);
            let submitter = {
                let lines = Arc::clone(&lines);
                loom::thread::spawn(move || {
                    for index in 2..4 {
                        while !lines.is_free(index) {
                            loom::thread::yield_now();
                        }
                        lines.put(index, 0x2000);
                    }
                })
            };
            lines.take(1);
            lines.take(0);
            assert_eq!(lines.waiting(1), None);
            submitter.join().expect("no panic inside");
            assert_eq!((lines.waiting(0), lines.waiting(1)), (None, None));
            assert_eq!(lines.waiting(3), Some(Token::from_raw(0x2000)));
        });
    }
}

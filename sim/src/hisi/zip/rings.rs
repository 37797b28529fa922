//! Where a started queue's rings are.

use uaccel_hisi_abi::zip::Entry;
use uaccel_hisi_abi::{CompletionContext, Dus, QueueCompletion, StopWords, SubmissionContext};

/// Where a started queue's rings are. Places are counted on from the first one; a count modulo the ring's places is a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rings {
    /// The address of the submission ring.
    submission_base: u64,
    /// The address of the completion ring.
    completion_base: u64,
    pub(super) submissions: u16,
    pub(super) completions: u16,
    /// Where the first entry is.
    pub(super) first_submission: u16,
    /// Where the first completion goes.
    pub(super) first_completion: u16,
    /// The phase of the completion ring's first round.
    first_phase: bool,
    /// Where the stop words are, where the model writes them.
    pub(super) stop_words: Option<u64>,
}

impl Rings {
    /// Rings in memory as the kernel lays it out, where there is no kernel.
    pub(super) fn in_memory(base: u64, dus: &Dus, len: usize) -> Self {
        Self {
            submission_base: base,
            completion_base: base.wrapping_add(dus.completion(0) as u64),
            submissions: dus.submissions,
            completions: dus.completions,
            first_submission: 0,
            first_completion: 0,
            first_phase: true,
            stop_words: Some(Self::stop_words(base, len)),
        }
    }

    /// Where the stop words are in such memory.
    pub(super) const fn stop_words(base: u64, len: usize) -> u64 {
        base.wrapping_add((len - StopWords::FROM_END) as u64)
    }

    /// Rings as the kernel's contexts say; `None` if they make no sense.
    pub(super) fn in_contexts(submission: &SubmissionContext, completion: &CompletionContext) -> Option<Self> {
        let rings = Self {
            submission_base: submission.base,
            completion_base: completion.base,
            submissions: submission.depth,
            completions: completion.depth,
            first_submission: submission.head,
            first_completion: completion.tail,
            first_phase: completion.phase,
            stop_words: None,
        };
        let fits = 1 << submission.entry_shift == Entry::SIZE
            && submission.depth > 1
            && completion.depth > 1
            && submission.head < submission.depth
            && completion.tail < completion.depth
            && submission.base.is_multiple_of(8)
            && completion.base.is_multiple_of(8)
            && submission.base.checked_add(u64::from(submission.depth) * Entry::SIZE as u64).is_some()
            && completion.base.checked_add(u64::from(completion.depth) * QueueCompletion::SIZE as u64).is_some();
        fits.then_some(rings)
    }

    /// The place of an entry.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a remainder of 16 bits")]
    pub(super) const fn submission_place(&self, count: u64) -> u16 {
        (count % self.submissions as u64) as u16
    }

    /// The place of a completion.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a remainder of 16 bits")]
    pub(super) const fn completion_place(&self, count: u64) -> u16 {
        (count % self.completions as u64) as u16
    }

    /// The address of an entry.
    #[inline]
    pub(super) const fn submission(&self, count: u64) -> u64 {
        self.submission_base + self.submission_place(count) as u64 * Entry::SIZE as u64
    }

    /// The address of a completion.
    #[inline]
    pub(super) const fn completion(&self, count: u64) -> u64 {
        self.completion_base + self.completion_place(count) as u64 * QueueCompletion::SIZE as u64
    }

    /// The phase of a completion.
    #[inline]
    pub(super) const fn phase(&self, count: u64) -> bool {
        (count / self.completions as u64).is_multiple_of(2) == self.first_phase
    }

    /// How many completions of `count` are not taken, if the first one that is not is at `head`.
    #[inline]
    pub(super) const fn untaken(&self, count: u64, head: u16) -> u64 {
        let (end, head, places) =
            (self.completion_place(count) as u64, head as u64 % self.completions as u64, self.completions as u64);
        (end + places - head) % places
    }
}

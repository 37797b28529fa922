//! What the kernel said of a queue, and how far the queue is.

use uaccel_hisi_abi::{CompletionContext, SubmissionContext};

/// What the kernel said of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contexts {
    /// Of its submission ring.
    pub submission: SubmissionContext,
    /// Of its completion ring.
    pub completion: CompletionContext,
}

/// How far a ring is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// What is taken next.
    pub head: u16,
    /// One past what was put last.
    pub tail: u16,
    /// Whether the tail is in an odd round.
    pub odd: bool,
}

/// How far a queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The submission ring: up to where entries were taken and announced.
    pub submissions: Position,
    /// The completion ring: up to where completions were taken and put.
    pub completions: Position,
}

/// What the queue manager keeps of a queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    pub(super) submission: Option<SubmissionContext>,
    pub(super) completion: Option<CompletionContext>,
    /// Whether the host has it.
    pub(super) running: bool,
    /// How far it was when the host had it last.
    pub(super) progress: Progress,
}

/// What became of a queue's events.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Notice {
    /// The number of the last one.
    pub(super) last: Option<u64>,
    /// Whether the next one waits for that to be taken.
    pub(super) held: bool,
}

impl Slot {
    /// The context of the submission ring as it stands.
    pub(super) fn submission_bytes(&self) -> [u8; SubmissionContext::SIZE] {
        let Position { head, tail, odd } = self.progress.submissions;
        self.submission.map_or([0; SubmissionContext::SIZE], |context| {
            SubmissionContext { head, tail, ..context }.encode_in_round(odd)
        })
    }

    /// The context of the completion ring as it stands.
    pub(super) fn completion_bytes(&self) -> [u8; CompletionContext::SIZE] {
        let Position { head, tail, odd } = self.progress.completions;
        self.completion.map_or([0; CompletionContext::SIZE], |context| {
            CompletionContext { head, tail, phase: context.phase ^ odd, ..context }.encode_in_round(odd)
        })
    }
}

//! Events: what the queue manager tells the kernel (`hisi_acc_qm.h`: `struct qm_eqe`, `qm_aeqe`).

/// An event: a completion ring on which one was demanded has a completion.
///
/// | bits | field |
/// | --- | --- |
/// | 15:0 | number of the completion ring |
/// | 16 | phase, 1 in the first round |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// Number of the completion ring.
    pub completions: u16,
    /// The phase of the round.
    pub phase: bool,
}

impl Event {
    /// Bytes of an event.
    pub const SIZE: usize = 4;

    /// The value.
    #[must_use]
    pub const fn encode(self) -> u32 {
        self.completions as u32 | (self.phase as u32) << 16
    }
}

/// What an asynchronous event is about (`qm.c`: `qm_aeq_thread`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AsyncKind {
    /// A completion ring had no room.
    CompletionOverflow = 0,
    /// The ring of events had no room. The kernel resets the function.
    EventOverflow = 1,
    /// A completion could not be written.
    CompletionError = 2,
}

/// An asynchronous event: something is wrong.
///
/// | bits | field |
/// | --- | --- |
/// | 15:0 | number of the queue |
/// | 16 | phase, 1 in the first round |
/// | 20:17 | what it is about |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AsyncEvent {
    /// Number of the queue.
    pub queue: u16,
    /// The phase of the round.
    pub phase: bool,
    /// What it is about.
    pub kind: AsyncKind,
}

impl AsyncEvent {
    /// Bytes of an event.
    pub const SIZE: usize = 4;

    /// The value.
    #[must_use]
    pub const fn encode(self) -> u32 {
        self.queue as u32 | (self.phase as u32) << 16 | (self.kind as u32) << 17
    }
}

//! When the CPU may take the device's place, and what to do when a job cannot be taken back.

/// When a job may leave its device for the CPU. Whatever is chosen, it is counted
/// ([`Counters::fallbacks`](crate::Counters::fallbacks)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fallback {
    /// Never: what the device cannot do is an error.
    Never,
    /// When the device cannot do the job, or has failed and has provably let go of the job's memory.
    #[default]
    OnError,
    /// As [`Fallback::OnError`], and for jobs that read fewer bytes than this, where the way to the device costs more than the work.
    Auto {
        /// Bytes below which the CPU is preferred.
        below: u64,
    },
}

/// What a call that has *lent* memory does when the device neither finishes nor stops. It can never return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnLost {
    /// The thread stays in the call, logs, and asks the device again from time to time.
    #[default]
    Park,
    /// The process aborts.
    Abort,
}

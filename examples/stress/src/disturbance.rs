//! When what was done to whom: what the run may blame an error on.

use crate::record::Verdict;

/// Something that was done, from when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disturbance {
    /// To which process; `None` if to all, by way of the device.
    pub process: Option<u32>,
    /// What.
    pub kind: Kind,
    /// From when, in nanoseconds of the monotonic clock.
    pub from: u64,
    /// Until when.
    pub until: u64,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stopped for a while: what takes time may be late, or lost to the device.
    Stopped,
    /// The device was gone, and is back.
    Gone,
    /// The device was told to fail now and then.
    Faulty,
}

impl Disturbance {
    /// Whether it may be what a job of this process, in flight from `submitted` to `answered`, died of.
    #[must_use]
    pub fn explains(&self, process: u32, verdict: Verdict, submitted: u64, answered: u64) -> bool {
        let hit = self.process.is_none_or(|hit| hit == process) && self.from <= answered && submitted <= self.until;
        let possible = match (self.kind, self.process) {
            // A process that was stopped itself finds that its time is over, no more.
            (Kind::Stopped, Some(_)) => matches!(verdict, Verdict::Deadline | Verdict::NoQueue),
            _ => matches!(
                verdict,
                Verdict::Deadline | Verdict::DeviceFailed | Verdict::Lost | Verdict::NoQueue | Verdict::Canceled
            ),
        };
        hit && possible
    }
}

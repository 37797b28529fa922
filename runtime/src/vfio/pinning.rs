//! When memory is pinned, and for how long.

use uaccel_queue::AddressMode;

/// When the memory that jobs name is pinned, and for how long. Memory that was registered, and the runtime's own, is pinned as long as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pinning {
    /// From submission to answer. Whatever the program does with its memory between jobs, the device sees the same memory as the program.
    #[default]
    PerJob,
    /// Not at all: jobs may name registered memory only, and others are refused.
    RegisteredOnly,
}

/// What is done with pages that no job uses any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// As the user of the safe interface said.
    Safe(Pinning),
    /// They stay pinned for the next job that names them: see [`VfioBus::keeping_pins`](super::VfioBus::keeping_pins).
    Keep,
}

impl Policy {
    /// What it makes of addresses, for a device whose page requests are answered or are not. Only where memory is pinned for the time of a job, it can be
    /// pinned on request.
    pub(super) fn address_mode(self, on_request: bool) -> AddressMode {
        if on_request && self == Self::Safe(Pinning::PerJob) {
            AddressMode::OnDemandPinned
        } else {
            AddressMode::IdentityPinned
        }
    }
}

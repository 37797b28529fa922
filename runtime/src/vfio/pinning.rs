//! When memory is pinned, and for how long.

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

//! A doorbell that another process made.

use std::os::fd::OwnedFd;

use nix::unistd::write;

/// The eventfd that wakes the other side.
#[derive(Debug)]
pub(crate) struct Doorbell(OwnedFd);

impl Doorbell {
    pub(crate) fn new(eventfd: OwnedFd) -> Self {
        Self(eventfd)
    }

    /// Wakes the other side, which sees all that this thread wrote before: the kernel takes a lock for the one and the other.
    pub(crate) fn ring(&self) {
        // Fails only if the other side made something else than it says, and then nobody hears of it: what is waited for has a deadline.
        if let Err(errno) = write(&self.0, &1u64.to_ne_bytes()) {
            tracing::warn!(%errno, "doorbell cannot be rung");
        }
    }
}

//! What a Warp engine is built with.

use uaccel_warp_abi::{Descriptor, Geometry, Limits};

/// What a Warp engine is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarpConfig {
    /// Queues that can be open at a time.
    pub queues: usize,
    /// The most entries a ring can have, a power of two.
    pub entries: u16,
    /// The most sessions a queue can have open.
    pub sessions: u16,
    /// The most bytes one job may read, and the most it may write.
    pub max_transfer: u32,
    /// Jobs that are worked on at the same time, where a plan gives them a service time. Without a plan the workers are the limit.
    pub engines: usize,
}

/// Why there can be no such engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WarpConfigError {
    /// Nothing could be done with it.
    #[error("an engine needs at least one queue, one engine and one byte of transfer")]
    Empty,
    /// The ring size is impossible.
    #[error("rings have 2 to 8192 entries, a power of two, not {0}")]
    Entries(u16),
    /// More sessions than a descriptor can name.
    #[error("{0} sessions are more than a descriptor can name")]
    Sessions(u16),
}

impl WarpConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// See [`WarpConfigError`].
    pub fn check(&self) -> Result<(), WarpConfigError> {
        if self.queues == 0 || self.engines == 0 || self.max_transfer == 0 {
            return Err(WarpConfigError::Empty);
        }
        let log2 = u8::try_from(self.entries.trailing_zeros()).unwrap_or(u8::MAX);
        if !self.entries.is_power_of_two() || !Geometry::LOG2_ENTRIES.contains(&log2) {
            return Err(WarpConfigError::Entries(self.entries));
        }
        if self.sessions > Descriptor::MAX_SESSIONS {
            return Err(WarpConfigError::Sessions(self.sessions));
        }
        Ok(())
    }

    /// The limits register.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        Limits { entries: self.entries, sessions: self.sessions, max_transfer: self.max_transfer }
    }
}

impl Default for WarpConfig {
    fn default() -> Self {
        Self { queues: 64, entries: 4096, sessions: 256, max_transfer: 4 << 20, engines: 4 }
    }
}

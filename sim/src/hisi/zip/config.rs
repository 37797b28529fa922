//! What a ZIP engine is built with.

use uaccel_hisi_abi::zip::Entry;
use uaccel_hisi_abi::{Doorbell, Dus};

/// What a ZIP engine is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HisiZipConfig {
    /// Queues that can be open at a time. A driver that works in both directions needs two.
    pub queues: usize,
    /// Places of a submission ring, where no kernel says so.
    pub submissions: u16,
    /// Places of a completion ring, where no kernel says so.
    pub completions: u16,
    /// Jobs that are worked on at the same time, where a plan gives them a service time. Without a plan the workers are the limit.
    pub engines: usize,
}

/// Why there can be no such engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HisiZipConfigError {
    /// Nothing could be done with it.
    #[error("an engine needs at least one queue and one engine")]
    Empty,
    /// A doorbell could not name them all.
    #[error("{0} queues are more than a doorbell can name")]
    Queues(usize),
    /// The ring size is impossible.
    #[error("rings have 2 to 4096 places, not {0}")]
    Places(u16),
}

impl HisiZipConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// See [`HisiZipConfigError`].
    pub fn check(&self) -> Result<(), HisiZipConfigError> {
        if self.queues == 0 || self.engines == 0 {
            return Err(HisiZipConfigError::Empty);
        }
        if self.queues > usize::from(Doorbell::LAST_QUEUE) + 1 {
            return Err(HisiZipConfigError::Queues(self.queues));
        }
        let possible = |places: &u16| (2..=Dus::DEEPEST).contains(places);
        match [self.submissions, self.completions].into_iter().find(|places| !possible(places)) {
            Some(places) => Err(HisiZipConfigError::Places(places)),
            None => Ok(()),
        }
    }

    /// The rings of a queue, where no kernel says so.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "an entry has 128 bytes")]
    pub const fn dus(&self) -> Dus {
        Dus { entry: Entry::SIZE as u32, submissions: self.submissions, completions: self.completions }
    }
}

impl Default for HisiZipConfig {
    /// As the kernel's driver sets a function up: 64 queues, rings of 1024 places.
    fn default() -> Self {
        Self { queues: 64, submissions: Dus::DEPTH, completions: Dus::DEPTH, engines: 2 }
    }
}

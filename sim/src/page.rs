//! The user page: the registers a queue's user writes and the device reads.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

/// Words of a page.
const WORDS: usize = 512;

/// One 4 KiB page of registers, shared by a queue's user and the device.
///
/// A host maps it into the user's memory, or traps the user's accesses and performs them here.
#[repr(C, align(4096))]
pub struct UserPage([AtomicU64; WORDS]);

impl UserPage {
    /// Bytes of the page.
    pub const SIZE: usize = WORDS * 8;

    /// A page of zeros.
    #[must_use]
    pub fn new() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }

    /// Reads a register; 0 outside the page. Offsets are rounded down to a word.
    #[inline]
    #[must_use]
    pub fn load(&self, offset: usize) -> u64 {
        // Relaxed: what a register's value is ordered against is said where it matters, by fences.
        self.0.get(offset / 8).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Writes a register; outside the page nothing happens. Offsets are rounded down to a word.
    #[inline]
    pub fn store(&self, offset: usize, value: u64) {
        if let Some(word) = self.0.get(offset / 8) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Writes zeros everywhere.
    pub fn clear(&self) {
        self.0.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }
}

impl Default for UserPage {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for UserPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserPage").finish_non_exhaustive()
    }
}
